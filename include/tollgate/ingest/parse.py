"""From the lender's spelling to the lake's types, column by column, and the cells that could not be read.

A CSV cell is text: it is trimmed, recoded, and then an empty cell (or ``NaN`` in a column that is not text) is
missing. A Parquet cell may be typed already. What is not a whole number, a finite number or a day in the column's
format is a failure, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as pt

from tollgate.ingest.files import Unfit

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute  # its functions are made at import, so that no type checker sees them

INTEGER = r"^[+-]?\d{1,18}(\.0*)?$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$|^-?inf$|^nan$"
MONEY = r"^[+-]?\$?[+-]?((\d{1,3}(,\d{3})+|\d+)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$|^-?inf$|^nan$"

Reader = Callable[["Column", pa.Array], tuple[pa.Array, dict[str, pa.Array]]]
REASONS = pa.schema([("row", pa.int64()), ("rule", pa.string()), ("column", pa.string())])


def parse(columns: Sequence[Column], raw: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Read every column that is not personal.

    Args:
        raw: the lender's rows, under the lender's column names. A column that comes as a dictionary is read value by
            value, each of them once.

    Returns the rows under the lake's names and types, a failed cell being null and text a dictionary where it came as
    one; and the failures in ``REASONS`` (``row`` is an index into the rows; the rule is ``not_an_integer``,
    ``not_a_number``, ``not_finite`` or ``not_a_date``).

    Raises:
        Unfit: a Parquet column has a type that its kind cannot be read from.
    """
    typed, failures = {}, []
    for column in columns:
        if column.personal:
            continue
        cells = raw[column.source]
        cells = (cells.unify_dictionaries() if pt.is_dictionary(cells.type) else cells).combine_chunks()
        read = _read_each_once if pt.is_dictionary(cells.type) else _READERS[column.kind]
        typed[column.name], broken = read(column, cells)
        failures += [reasons(np.flatnonzero(mask.to_numpy(zero_copy_only=False)), rule, column.name)
                     for rule, mask in broken.items()]
    return pa.table(typed), pa.concat_tables([REASONS.empty_table(), *failures])


def _read_each_once(column: Column, cells: pa.DictionaryArray) -> tuple[pa.Array, dict[str, pa.Array]]:
    values, broken = _READERS[column.kind](column, cells.dictionary)
    masks = {rule: pc.fill_null(mask.take(cells.indices), False) for rule, mask in broken.items()
             if pc.any(mask).as_py()}
    if column.kind != "text":
        return values.take(cells.indices), masks
    merged = values.dictionary_encode()  # two spellings may have become one value, or none
    return pa.DictionaryArray.from_arrays(merged.indices.take(cells.indices), merged.dictionary), masks


def spell(columns: Sequence[Column], raw: pa.Table) -> pa.Table:
    """The rows as text of which ``parse`` makes what it makes of the rows themselves.

    A typed day is spelled in its column's format. Where that cannot tell it (two digits of a year before 1969), it is
    spelled in full: rather not read than read as another day.

    Args:
        raw: rows that ``parse`` has read.
    """
    kinds = {column.source: column for column in columns}
    return pa.table({name: _spell(kinds[name], raw[name].unify_dictionaries().combine_chunks())
                     for name in raw.column_names})


def _spell(column: Column, cells: pa.Array) -> pa.Array:
    if pt.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pt.is_temporal(cells.type):
        days = _days(cells)
        text = pc.strftime(days, format=column.format)
        told, _ = _read_date(column, text)
        return pc.if_else(pc.fill_null(pc.equal(told, days), False), text, days.cast(pa.string()))
    if column.kind != "text" and not column.recode and not pt.is_integer(cells.type) and _is_number(cells.type):
        cells = _numbers(cells)  # the shortest spelling of a float32 is not that of the float64 it is read as
    return _plain(cells)


def reasons(rows: np.ndarray, rule: str, column: str | None) -> pa.Table:
    """``REASONS`` that name one rule and column for many rows."""
    return pa.table([pa.array(rows, pa.int64()), pa.repeat(pa.scalar(rule), len(rows)),
                     pa.repeat(pa.scalar(column, pa.string()), len(rows))], schema=REASONS)


def _read_text(column: Column, cells: pa.Array) -> tuple[pa.Array, dict[str, pa.Array]]:
    return _as_text(column, cells), {}


def _read_integer(column: Column, cells: pa.Array) -> tuple[pa.Array, dict[str, pa.Array]]:
    if _is_number(cells.type) and not column.recode:
        floats = _numbers(cells)
        good = _is_whole(floats)
        if not pt.is_integer(cells.type):
            return _only(floats, good).cast(pa.int64()), {"not_an_integer": _bad(cells, good)}
        if pc.all(good).as_py():
            return cells.cast(pa.int64()), {}
    text = _as_text(column, cells)
    good = pc.match_substring_regex(text, INTEGER)
    digits = pc.replace_substring_regex(_only(text, good), r"^\+|\.0*$", "")
    return digits.cast(pa.int64()), {"not_an_integer": _bad(text, good)}


def _read_number(column: Column, cells: pa.Array) -> tuple[pa.Array, dict[str, pa.Array]]:
    pattern = MONEY if column.kind == "money" else NUMBER
    if _is_number(cells.type) and not column.recode:
        values, broken = _numbers(cells), {}
    else:
        text = _as_text(column, cells)
        good = pc.match_substring_regex(text, pattern)
        values = pc.replace_substring_regex(_only(text, good), r"[$,]", "").cast(pa.float64())
        broken = {"not_a_number": _bad(text, good)}
    finite = pc.is_finite(values)
    return _only(values, finite), {**broken, "not_finite": _bad(values, finite)}


def _read_date(column: Column, cells: pa.Array) -> tuple[pa.Array, dict[str, pa.Array]]:
    if pt.is_timestamp(cells.type) or pt.is_date(cells.type):
        return _days(cells), {}
    text = _as_text(column, cells)
    # Days repeat: each spelling is read once, by the one parser that knows that February has no 31st.
    spelled = text.dictionary_encode()
    days = pa.array([_day(value, column.format) for value in spelled.dictionary.to_pylist()], pa.date32())
    values = days.take(spelled.indices)
    return values, {"not_a_date": pc.and_(pc.is_valid(text), pc.is_null(values))}


def _days(cells: pa.Array) -> pa.Array:
    if pt.is_date(cells.type):
        return cells.cast(pa.date32())
    cells = pc.local_timestamp(cells) if cells.type.tz else cells
    return pc.floor_temporal(cells, unit="day").cast(pa.date32())


def _day(text: str, pattern: str) -> date | None:
    try:
        return datetime.strptime(text, pattern).date()
    except ValueError:
        return None


_READERS: dict[str, Reader] = {"text": _read_text, "integer": _read_integer, "number": _read_number,
                               "money": _read_number, "date": _read_date}


def _as_text(column: Column, cells: pa.Array) -> pa.Array:
    """Trimmed, recoded text; null where the cell is missing."""
    if not (pt.is_string(cells.type) or pt.is_large_string(cells.type) or pt.is_integer(cells.type)
            or pt.is_floating(cells.type) or pt.is_null(cells.type) or pt.is_string_view(cells.type)):
        raise Unfit("wrong_type", f"The column {column.source} has a type that is not read as {column.kind}",
                    column=column.name, value=cells.type)
    text = _plain(cells)
    text = text if _has_no_blank(text) else pc.utf8_trim_whitespace(text)
    if column.recode:
        spellings = pa.array(list(column.recode), pa.string())
        at = pc.index_in(text, value_set=spellings)
        text = pc.coalesce(pa.array(list(column.recode.values()), pa.string()).take(at), text)
    missing = pa.array([""] if column.kind == "text" else ["", "NaN"])
    return _only(text, pc.invert(pc.is_in(text, value_set=missing)))


def _plain(cells: pa.Array) -> pa.Array:
    """Cells as text; a code column with gaps comes as 1.0 out of many a tool, and is spelled without the point."""
    if not pt.is_floating(cells.type):
        return cells.cast(pa.string())
    cells = cells.cast(pa.float32()) if pt.is_float16(cells.type) else cells  # Arrow has no floor of a float16
    whole = _is_whole(cells)
    return pc.if_else(whole, _only(cells, whole).cast(pa.int64()).cast(pa.string()), cells.cast(pa.string()))


def _has_no_blank(text: pa.StringArray) -> bool:
    """Whether every byte lies from ! to ~, where white space never does; a hundred times cheaper than trimming."""
    _, ends, content = text.buffers()
    if len(text) == 0 or content is None:
        return True
    ends = np.frombuffer(ends, np.int32)[text.offset:text.offset + len(text) + 1]
    letters = np.frombuffer(content, np.uint8)[ends[0]:ends[-1]]
    return letters.size == 0 or bool(letters.min() > ord(" ") and letters.max() <= ord("~"))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def _is_whole(floats: pa.Array) -> pa.Array:
    """Whether each is an integer; beyond 2^53 a float names no single one."""
    return pc.and_(pc.equal(floats, pc.floor(floats)), pc.less_equal(pc.abs(floats), float(2**53)))


def _numbers(cells: pa.Array) -> pa.Array:
    return cells.cast(pa.float64(), safe=False)


def _only(values: pa.Array, good: pa.Array) -> pa.Array:
    """``values`` with null wherever ``good`` is not true."""
    return pc.if_else(good, values, pa.scalar(None, values.type))


def _bad(values: pa.Array, good: pa.Array) -> pa.Array:
    """Where there is a value and it is not good."""
    return pc.and_(pc.is_valid(values), pc.invert(pc.fill_null(good, False)))
