"""From the lender's spelling to the lake's types, column by column, and the cells that could not be read.

A CSV cell is text: it is trimmed, and then what it is spelled as says whether it is missing, recoded or a value. A
Parquet cell may be typed already, and is read as the same cell of a CSV file would be. What is not a whole number, a
finite number, a day in the column's format or a key as the lender gave it is a failure, never a value.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as pt

from tollgate.books import Reader
from tollgate.books.description.tables import has_day, read_day
from tollgate.ingest.reading.formats import Unfit
from tollgate.ingest.reading.numerals import as_percent, numerals
from tollgate.ingest.reading.spelling import (
    as_float,
    is_key,
    named,
    readings,
    trimmed,
    unseen,
    was_float,
    without_point,
)

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute  # its functions are made at import, so that no type checker sees them

WHOLE = 10**15  # below it a float names one whole number, and a spreadsheet shows its digits

Nulls = Sequence[str]
Read = Callable[["Column", pa.Array, Nulls, Reader], tuple[pa.Array, dict[str, pa.Array]]]
PLAIN = Reader()
REASONS = pa.schema([("row", pa.int64()), ("rule", pa.string()), ("column", pa.string())])


def parse(columns: Sequence[Column], raw: pa.Table, nulls: Nulls = (),
          reader: Reader = PLAIN) -> tuple[pa.Table, pa.Table]:
    """Read every column that is not personal.

    Args:
        raw: the lender's rows, under the lender's column names. A column that comes as a dictionary is read value by
            value, each of them once.
        nulls: the book's own spellings of nothing.
        reader: how the lender spells numbers in text.

    Returns the rows under the lake's names and types, a failed cell being null and text a dictionary where it came as
    one; and the failures in ``REASONS`` (``row`` is an index into the rows; the rule is ``not_an_integer``,
    ``not_a_number``, ``not_a_percent``, ``not_finite``, ``not_a_date``, ``float_key`` or ``invisible_character``).

    Raises:
        Unfit: a Parquet column has a type that its kind cannot be read from.
    """
    typed, failures = {}, []
    for column in columns:
        if column.personal:
            continue
        cells = raw[column.source]
        cells = (cells.unify_dictionaries() if pt.is_dictionary(cells.type) else cells).combine_chunks()
        read = _read_each_once if pt.is_dictionary(cells.type) else _read
        typed[column.name], broken = read(column, cells, nulls, reader)
        failures += [reasons(np.flatnonzero(mask.to_numpy(zero_copy_only=False)), rule, column.name)
                     for rule, mask in broken.items()]
    return pa.table(typed), pa.concat_tables([REASONS.empty_table(), *failures])


def holds(column: Column, cells: Sequence[str | None], wanted: Collection[str], nulls: Nulls = ()) -> pa.Array:
    """Where a cell of a text column is one of the values, as it is spelled or as it is read."""
    spelled, values = pa.array(cells, pa.string()), pa.array(sorted(wanted), pa.string())
    read, _ = _read(column, spelled, nulls, PLAIN)
    return pc.or_(pc.is_in(spelled, value_set=values), pc.is_in(read, value_set=values))


def _read(column: Column, cells: pa.Array, nulls: Nulls, reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    if pt.is_floating(cells.type):
        cells = _wide(cells)
        cells = _only(cells, pc.invert(pc.is_nan(cells)))
    return _READERS[column.kind](column, cells, nulls, reader)


def _read_each_once(column: Column, cells: pa.DictionaryArray, nulls: Nulls,
                    reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    values, broken = _read(column, cells.dictionary, nulls, reader)
    masks = {rule: pc.fill_null(mask.take(cells.indices), False) for rule, mask in broken.items()
             if pc.any(mask).as_py()}
    if column.kind != "text":
        return values.take(cells.indices), masks
    merged = values.dictionary_encode()  # two spellings may have become one value, or none
    return pa.DictionaryArray.from_arrays(merged.indices.take(cells.indices), merged.dictionary), masks


def spell(columns: Sequence[Column], raw: pa.Table, reader: Reader = PLAIN) -> pa.Table:
    """The rows as text of which ``parse`` makes what it makes of the rows themselves.

    A typed day is spelled in the first of its column's formats that tells it, a typed number with the reader's letters.
    Where no format can tell the day (two digits of a year before 1969), it is spelled in full: rather not read than
    read as another day.

    Args:
        raw: rows that ``parse`` has read.
    """
    kinds = {column.source: column for column in columns}
    return pa.table({name: _spell(kinds[name], raw[name].unify_dictionaries().combine_chunks(), reader)
                     for name in raw.column_names})


def _spell(column: Column, cells: pa.Array, reader: Reader) -> pa.Array:
    if pt.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pt.is_temporal(cells.type):
        return _spell_days(column, _days(cells))
    if is_key(column) and (pt.is_floating(cells.type) or pt.is_decimal(cells.type)):
        floats = _floats(cells)
        spelled = [None if cell is None else as_float(cell) for cell in _only(cells, floats).to_pylist()]
        return pc.if_else(floats, pa.array(spelled, pa.string()), _key(cells))
    if not _is_number(cells.type):
        return _plain(cells)
    if column.kind == "percent" and not column.recode:
        return pa.array([None if cell is None else as_percent(repr(cell), reader.decimal)
                         for cell in _numbers(cells).to_pylist()], pa.string())
    if column.kind != "text" and not column.recode and not pt.is_integer(cells.type):
        cells = _numbers(cells)  # the shortest spelling of a float32 is not that of the float64 it is read as
    return _lettered(_plain(cells), column, reader)


def _spell_days(column: Column, days: pa.Array) -> pa.Array:
    spelled = days.cast(pa.string())
    for form in reversed(column.formats):
        text = pc.strftime(days, format=form)
        told, _ = _read_date(column, text, (), PLAIN)
        spelled = pc.if_else(pc.fill_null(pc.equal(told, days), False), text, spelled)
    return spelled


def spelled_cell(column: Column, cell: object, reader: Reader) -> str:
    """A typed cell of a column that holds text too, as text of which ``parse`` makes the same."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, date) and column.kind == "date":
        day = cell.date() if isinstance(cell, datetime) else cell
        return str(_spell_days(column, pa.array([day], pa.date32()))[0].as_py())
    if not isinstance(cell, int | float):
        return str(cell)
    if column.kind == "percent":
        return as_percent(repr(cell), reader.decimal)
    if cell == int(cell) and abs(cell) < WHOLE:
        return str(int(cell))
    return as_float(cell) if is_key(column) else repr(cell).replace(".", reader.decimal)


def _lettered(text: pa.Array, column: Column, reader: Reader) -> pa.Array:
    """Numbers with the reader's decimal letter, but for keys."""
    return text if reader.decimal == "." or is_key(column) else pc.replace_substring(text, ".", reader.decimal)


def reasons(rows: np.ndarray, rule: str, column: str | None) -> pa.Table:
    """``REASONS`` that name one rule and column for many rows."""
    return pa.table([pa.array(rows, pa.int64()), pa.repeat(pa.scalar(rule), len(rows)),
                     pa.repeat(pa.scalar(column, pa.string()), len(rows))], schema=REASONS)


def _read_text(column: Column, cells: pa.Array, nulls: Nulls, reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    text = _as_text(column, cells, nulls, reader)
    if not is_key(column):
        return text, {}
    spelled = text if reader.decimal == "." else pc.replace_substring(text, reader.decimal, ".")
    broken = {"float_key": _true(_floats(cells) if _is_number(cells.type) else was_float(spelled)),
              "invisible_character": _true(unseen(text))}
    return _only(text, pc.invert(pc.or_(*broken.values()))), broken


def _floats(cells: pa.Array) -> pa.Array:
    """Where a number is a float, or a decimal with a fraction: no key was ever given so."""
    if pt.is_floating(cells.type):
        return pc.fill_null(pc.invert(pc.is_nan(_wide(cells))), False)
    if pt.is_decimal(cells.type):
        return _true(pc.match_substring_regex(cells.cast(pa.string()), r"\.\d*[1-9]"))
    return pa.array(np.zeros(len(cells), bool))


def _read_integer(column: Column, cells: pa.Array, nulls: Nulls,
                  reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    if _is_number(cells.type) and not column.recode:
        floats = _numbers(cells)
        good = _is_whole(floats)
        if not pt.is_integer(cells.type):
            return _only(floats, good).cast(pa.int64()), {"not_an_integer": _bad(cells, good)}
        if pc.all(good).as_py():
            return cells.cast(pa.int64()), {}
    text = _as_text(column, cells, nulls, reader)
    spelling = numerals("integer", reader.decimal, reader.thousands)
    good = spelling.fits(text)
    return spelling.plain(_only(text, good)).cast(pa.int64()), {"not_an_integer": _bad(text, good)}


def _read_number(column: Column, cells: pa.Array, nulls: Nulls,
                 reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    """Money, numbers, and shares: a number that is none of text is a share as it stands."""
    if _is_number(cells.type) and not column.recode:
        values, broken = _numbers(cells), {}
    else:
        text = _as_text(column, cells, nulls, reader)
        spelling = numerals(column.kind, reader.decimal, reader.thousands)
        good = spelling.fits(text)
        values = spelling.plain(_only(text, good)).cast(pa.float64())
        broken = {"not_a_percent" if column.kind == "percent" else "not_a_number": _bad(text, good)}
    finite = pc.is_finite(values)
    return _only(values, finite), {**broken, "not_finite": _bad(values, finite)}


def _read_date(column: Column, cells: pa.Array, nulls: Nulls, reader: Reader) -> tuple[pa.Array, dict[str, pa.Array]]:
    if pt.is_timestamp(cells.type) or pt.is_date(cells.type):
        return _days(cells), {}
    text = _as_text(column, cells, nulls, reader)
    # Days repeat: each spelling is read once, by the one parser that knows that February has no 31st.
    spelled = text.dictionary_encode()
    days = pa.array([_day(value, column) for value in spelled.dictionary.to_pylist()], pa.date32())
    values = days.take(spelled.indices)
    return values, {"not_a_date": pc.and_(pc.is_valid(text), pc.is_null(values))}


def _days(cells: pa.Array) -> pa.Array:
    if pt.is_date(cells.type):
        return cells.cast(pa.date32())
    cells = pc.local_timestamp(cells) if cells.type.tz else cells
    return pc.floor_temporal(cells, unit="day").cast(pa.date32())


def _day(text: str, column: Column) -> date | None:
    """The day by the first of the column's formats that fits."""
    for pattern in column.formats:
        try:
            day = read_day(text, pattern)
        except ValueError:
            continue
        if column.month_end and not has_day(pattern):
            day = day.replace(day=monthrange(day.year, day.month)[1])
        return day
    return None


_READERS: dict[str, Read] = {"text": _read_text, "integer": _read_integer, "number": _read_number,
                               "money": _read_number, "percent": _read_number, "date": _read_date}


def _as_text(column: Column, cells: pa.Array, nulls: Nulls, reader: Reader) -> pa.Array:
    """Trimmed, recoded text; null where the cell is missing."""
    if not (pt.is_string(cells.type) or pt.is_large_string(cells.type) or _is_number(cells.type)
            or pt.is_boolean(cells.type) or pt.is_null(cells.type) or pt.is_string_view(cells.type)):
        raise Unfit("wrong_type", f"The column {column.source} has a type that is not read as {column.kind}",
                    column=column.name, value=cells.type)
    if column.kind == "percent" and _is_number(cells.type):
        cells = _spell(replace(column, recode=None), cells, reader)
    text = trimmed(_key(cells) if is_key(column) else _plain(cells))
    if reader.decimal != "." and column.kind not in ("text", "date") and _is_number(cells.type):
        text = _lettered(text, column, reader)
    if not is_key(column) and (column.recode or column.kind in ("text", "date")):
        text = without_point(text, named(column), "." if _is_number(cells.type) else reader.decimal)
    read = readings(column, nulls)
    at = pc.index_in(text, value_set=pa.array(list(read), pa.string()))
    return pc.if_else(pc.is_null(at), text, pa.array(list(read.values()), pa.string()).take(at))


def _plain(cells: pa.Array) -> pa.Array:
    """Cells as text; a code column with gaps comes as 1.0 out of many a tool, and is spelled without the point."""
    if not pt.is_floating(cells.type):
        return cells.cast(pa.string())
    cells = _wide(cells)
    whole = _is_whole(cells)
    return pc.if_else(whole, _only(cells, whole).cast(pa.int64()).cast(pa.string()), cells.cast(pa.string()))


def _key(cells: pa.Array) -> pa.Array:
    """Cells of a key as text: a decimal without a fraction is a whole number."""
    text = _plain(cells)
    return pc.replace_substring_regex(text, r"\.0+$", "") if pt.is_decimal(cells.type) else text


def _wide(cells: pa.Array) -> pa.Array:
    """Floats that Arrow can count with: it has no floor of a float16."""
    return cells.cast(pa.float32()) if pt.is_float16(cells.type) else cells


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


def _true(mask: pa.Array) -> pa.Array:
    """A mask that is false where it was null."""
    return pc.fill_null(mask, False)
