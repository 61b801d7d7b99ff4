"""Workbooks: the rows of one sheet, in which numbers are floats, days are typed, and an empty cell says nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate.ingest.reading.formats import Unfit, Unreadable
from tollgate.ingest.reading.header import check_names, check_skipped
from tollgate.ingest.reading.parsing import spelled_cell
from tollgate.ingest.reading.raw import BATCH_ROWS, Raw
from tollgate.ingest.reading.sheets import DAMAGED, check_packed, column_letters
from tollgate.ingest.reading.spelling import is_key

if TYPE_CHECKING:
    import pyarrow as pa
    from python_calamine import CalamineSheet

    from tollgate.books import Column
    from tollgate.ingest.reading.landed import Landed
    from tollgate.ingest.reading.layout import Layout

WORKBOOK = ".xlsx"
AT_ONCE = 2**16  # rows, as Python objects
Cells = list[Any]
Row = tuple[int, Cells]  # the number that the sheet gives it, and its cells


def read_workbook(file: Landed, layout: Layout) -> Iterator[Raw]:
    """The rows of the reader's sheet. Raises ``Unfit`` and ``Unreadable`` as ``files.batches`` says."""
    sheet = _sheet(file, layout)
    merged = _Merged(sheet, layout)
    rows = _filled(sheet, layout.reader.skip_top)
    titles = _above(sheet, layout.reader.skip_top)
    names, header = list(layout.reader.names), layout.reader.skip_top
    if not names:
        header, cells = next(rows, (0, []))
        if not cells:
            raise Unreadable("its sheet is empty")
        names = [_name(cell) for cell in cells]
        merged.check(header, header, "among the names of its columns")
    for number, cells in titles:
        check_skipped(layout, _texts(cells), names, f"Row {number}", "title")
    check_names(layout, _named(names, layout))
    skipped: deque[Row] = deque()
    last, chunk = header, []
    for row in _without_last(rows, layout.reader.skip_bottom, skipped):
        _check_nameless(layout, names, row, sheet)
        last = row[0]
        chunk.append(row)
        if len(chunk) == min(AT_ONCE, BATCH_ROWS):
            yield _batch(layout, names, chunk, header)
            chunk = []
    yield _batch(layout, names, chunk, header)
    for number, cells in skipped:
        check_skipped(layout, _texts(cells), names, f"Row {number}", "footer")
    merged.check(header + 1, last, "among its rows")


def _sheet(file: Landed, layout: Layout) -> CalamineSheet:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum

    packed = check_packed(file)
    try:
        book = CalamineWorkbook.from_filelike(file.open())
        sheets = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        name = layout.reader.sheet or next(iter(sheets), "")
        if name not in sheets:
            raise Unfit("no_sheet", f"{file.name} has no sheet of that name", value=name,
                        remedy=f"Its sheets are {', '.join(sheets) or 'none'}: mend sheet in the reader of its source "
                               "in the book, or ask the lender for the one that is meant.")
        packed.check(name)
        return book.get_sheet_by_name(name)
    except PasswordError as err:
        raise Unreadable("it is protected by a password") from err
    except (CalamineError, *DAMAGED) as err:
        raise Unreadable(f"it is no workbook, or was damaged on its way ({err})") from err


def _above(sheet: CalamineSheet, count: int) -> list[Row]:
    return [(number, cells) for number, cells in zip(range(1, count + 1), sheet.iter_rows(), strict=False)]


def _filled(sheet: CalamineSheet, skip: int) -> Iterator[Row]:
    """The rows below the skipped ones that have a cell."""
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > skip and any(cell != "" for cell in cells):
            yield number, cells


def _without_last(rows: Iterator[Row], count: int, skipped: deque[Row]) -> Iterator[Row]:
    for row in rows:
        skipped.append(row)
        if len(skipped) > count:
            yield skipped.popleft()


def _name(cell: object) -> str:
    return f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell)


def _texts(cells: Sequence[object]) -> list[str]:
    return [str(cell) for cell in cells]


def _named(names: Sequence[str], layout: Layout) -> list[str]:
    """The names without those of columns that are wholly empty, as a sheet has them to the right of its rows."""
    return [name for name in names if name.strip() or name in layout.columns]


def _check_nameless(layout: Layout, names: Sequence[str], row: Row, sheet: CalamineSheet) -> None:
    """Raise ``Unfit`` where a cell stands in a column without a name, unless such columns are ignored."""
    if "" in layout.ignored:
        return
    number, cells = row
    for at, cell in enumerate(cells):
        if cell != "" and not (at < len(names) and names[at].strip()):
            where = column_letters(at + (sheet.start or (0, 0))[1])
            raise Unfit("unknown_column", f"{layout.file} has a cell in the column {where}, which has no name",
                        value=f"{where}{number}",
                        remedy='Name the column, or empty it; ignored=("",) in its source in the book leaves it '
                               "unread.")


class _Merged:
    """The cells of a sheet that were made one: only the first of them holds a value, and the others look empty."""

    def __init__(self, sheet: CalamineSheet, layout: Layout) -> None:
        self._file = layout.file
        self._ranges = sheet.merged_cell_ranges or []

    def check(self, first: int, last: int, where: str) -> None:
        """Raise ``Unfit`` where cells of these rows, by the sheet's numbers, are merged."""
        for (top, left), (bottom, right) in sorted(self._ranges):
            if top + 1 <= last and bottom + 1 >= first:
                raise Unfit("merged_cells", f"{self._file} has merged cells {where}", value=(
                    f"{column_letters(left)}{top + 1}:{column_letters(right)}{bottom + 1}"),
                    remedy="Unmerge them, so that every cell holds its own value, and land the file anew.")


def _batch(layout: Layout, names: Sequence[str], rows: Sequence[Row], header: int) -> Raw:
    import pyarrow as pa

    places = {name: at for at, name in enumerate(names) if name in layout.columns}
    columns = {name: _column(layout, name, [cells[places[name]] if places[name] < len(cells) else ""
                                            for _, cells in rows]) for name in layout.wanted}
    return Raw(pa.table(columns), np.array([number - header for number, _ in rows], np.int64), header=header,
               unread=layout.unread([name for name in names if name.strip()]))


def _column(layout: Layout, name: str, cells: Cells) -> pa.Array:
    """A column typed as all its cells are, or as text where they differ, and where it is a key."""
    import pyarrow as pa

    column = layout.columns[name]
    values = [None if cell == "" else cell for cell in cells]
    kind = None if is_key(column) else _kind(column, {type(value) for value in values if value is not None})
    if kind is not None:
        return pa.array(values, kind)
    return pa.array([None if value is None else spelled_cell(column, value, layout.reader) for value in values],
                    pa.string())


def _kind(column: Column, types: set[type]) -> pa.DataType | None:
    """The type that holds all of them as they are; None where there is none."""
    import pyarrow as pa

    if types <= {str}:
        return pa.string()
    if types <= {int, float}:
        return pa.float64()
    if types == {bool}:
        return pa.bool_()
    if types == {date} and column.kind == "date":
        return pa.date32()
    return None
