"""JSON lines: an object a line, its cells as they are spelled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tollgate.ingest.reading.formats import LINE_MAX, Unreadable
from tollgate.ingest.reading.header import check_names
from tollgate.ingest.reading.numerals import as_percent
from tollgate.ingest.reading.raw import BATCH_ROWS, Raw

if TYPE_CHECKING:
    from tollgate.ingest.reading.layout import Layout

TORN = "is no flat JSON object"
Row = dict[str, str | None]


def read_objects(text: IO[bytes], layout: Layout) -> Iterator[Raw]:
    """The rows of JSON lines. Raises ``Unfit`` and ``Unreadable`` as ``files.batches`` says."""
    import pyarrow as pa

    names: dict[str, None] = {}
    wanted = layout.wanted
    lines: Iterator[tuple[int, Row | None]] = enumerate(read_json_lines(text), start=1)
    while chunk := list(islice(lines, BATCH_ROWS)):
        rows = [row for _, row in chunk if row is not None]
        names.update(dict.fromkeys(name for row in rows for name in row))
        yield Raw(pa.table({name: pa.array(_cells(layout, name, rows), pa.string()) for name in wanted}),
                  np.array([place for place, row in chunk if row is not None], np.int64),
                  np.array([place for place, row in chunk if row is None], np.int64), torn=TORN,
                  unread=layout.unread(names))
    if not names:
        raise Unreadable("no line of it is a JSON object")
    # Many a tool leaves out what is null: a column that may be empty and is in no line is empty in all of them.
    left_out = [name for name in layout.columns if name in layout.may_miss and name not in names]
    check_names(layout, [*names, *left_out])


def _cells(layout: Layout, name: str, rows: list[Row]) -> list[str | None]:
    """A column's cells; its numbers as the reader would have them in text, for no text says that it was a number."""
    cells, decimal = [row.get(name) for row in rows], layout.reader.decimal
    if layout.columns[name].kind == "percent":
        return [as_percent(cell, decimal) if isinstance(cell, _Number) else cell for cell in cells]
    if decimal != ".":
        return [cell.replace(".", decimal) if isinstance(cell, _Number) else cell for cell in cells]
    return cells


def read_json_lines(text: IO[bytes]) -> Iterator[Row | None]:
    """Every line that is not blank: its cells as they are spelled, or None when it is no flat JSON object.

    Raises:
        Unreadable: a line is longer than any row.
        UnicodeDecodeError: it is not UTF-8.
    """
    while line := text.readline(LINE_MAX + 1):
        if len(line) > LINE_MAX:
            raise Unreadable(f"a line of it is longer than {LINE_MAX // 2**20} MiB")
        if spelled := line.decode("utf-8-sig").strip():
            yield _flat_object(spelled)


def _flat_object(line: str) -> Row | None:
    """The object's cells as text; None when it is broken, is no object, has a key twice or a cell that is no scalar."""
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_float,
                           parse_constant=str)
        if not isinstance(pairs, _Pairs):
            return None
        row = {name: _spelled(cell) for name, cell in pairs}
        "".join([*row, *filter(None, row.values())]).encode()  # half of a surrogate pair is no text
    except (ValueError, TypeError, RecursionError):
        return None
    return row if len(row) == len(pairs) else None


class _Number(str):
    """A cell that is a number, as it is spelled."""


def _float(number: str) -> _Number:
    """A number as it is spelled, with the sign of its exponent: a text ``1E5`` may be a code, a number is none."""
    return _Number(re.sub(r"[eE](?=\d)", "e+", number))


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and cells, as they came."""


def _spelled(cell: object) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if cell is None or isinstance(cell, str):
        return cell
    raise TypeError("a cell is a scalar")
