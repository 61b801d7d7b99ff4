"""CSV: the lines of a text by their delimiter and quotes, without what its reader skips."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

import numpy as np

from tollgate.ingest.reading.formats import LINE_MAX, Unreadable
from tollgate.ingest.reading.header import check_names, check_skipped
from tollgate.ingest.reading.lines import Lines, Marks, first_line, read_lines, skipped_at_top, without_last
from tollgate.ingest.reading.raw import BATCH_ROWS, NO_PLACES, Raw

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Reader
    from tollgate.ingest.reading.layout import Layout

BLOCK_BYTES = LINE_MAX  # a batch, and the longest row
TORN = "has too many or too few cells"


def read_delimited(opened: Callable[[], IO[bytes]], layout: Layout) -> Iterator[Raw]:
    """The rows of a CSV file. Raises ``Unfit``, ``Unreadable`` and Arrow's errors as ``files.batches`` says.

    Args:
        opened: the file's text from its first letter, each time it is asked.
    """
    reader = layout.reader
    names, header = list(reader.names), reader.skip_top if reader.names else 0
    skipped: list[tuple[int, bytes]] = []
    unread: tuple[str, ...] = ()
    marks = Marks(reader.delimiter.encode(), reader.quote.encode())
    if names:
        unread = _begun(opened, layout, names)
    every = read_lines(opened(), BLOCK_BYTES, marks, reader.skip_top)
    for lines in without_last(every, reader.skip_bottom, skipped) if reader.skip_bottom else every:
        if not names:
            if len(lines.spans):
                first, last = lines.spans[0]
                if not len(lines.numbers) or first < lines.numbers[0]:
                    raise Unreadable(f"a quote in line {first}, among the names of the columns, is open until line "
                                     f"{last}")
            if not len(lines.numbers):
                continue
            line, rest = first_line(lines.text)
            # A byte that is no UTF-8 may stand in a personal column further down, which is not read.
            names = cells_of(line, reader)
            header = int(lines.numbers[0])
            unread = _begun(opened, layout, names, rest, lines.numbers.tolist())
            lines = Lines(rest, lines.numbers[1:], lines.spans)
        rows, torn = parsed(lines, names, layout.wanted, layout.keys, marks)
        malformed = np.concatenate([lines.numbers[torn], _lines_of(lines.spans)]) - header
        for at in range(0, max(len(malformed), 1), BATCH_ROWS):
            first_part = at == 0
            yield Raw(rows if first_part else rows.slice(0, 0),
                      np.delete(lines.numbers, torn) - header if first_part else NO_PLACES,
                      malformed[at:at + BATCH_ROWS], header, lines.spans, "line", TORN, unread)
    for number, line in skipped:
        check_skipped(layout, cells_of(line.rstrip(b"\r\n"), reader), names, f"Line {number}", "footer")
    if not names:
        raise Unreadable("it is empty")


def cells_of(line: bytes, reader: Reader) -> list[str]:
    """The cells of one line."""
    return next(reader.cells([line.decode("utf-8", errors="replace")]), [])


def _begun(opened: Callable[[], IO[bytes]], layout: Layout, names: Sequence[str], below: bytes = b"",
           lines: Sequence[int] = ()) -> tuple[str, ...]:
    """Check the names, and the lines above them; the columns that are left unread."""
    if layout.reader.skip_top:
        for number, line in skipped_at_top(opened(), layout.reader.skip_top):
            check_skipped(layout, cells_of(line, layout.reader), names, f"Line {number}", "title")
    check_names(layout, names, below, lines)
    return layout.unread(names)


def _lines_of(spans: np.ndarray) -> np.ndarray:
    """Every line from the first to the last of each span."""
    counts = spans[:, 1] - spans[:, 0] + 1
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(spans[:, 0] - before, counts)


def parsed(lines: Lines, names: Sequence[str], wanted: Sequence[str], keys: frozenset[str],
           marks: Marks) -> tuple[pa.Table, np.ndarray]:
    """The rows of whole records, and the indices of those that have too many or too few cells."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    repeating = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.string() if name in keys else repeating for name in wanted}
    if not lines.text:
        return pa.schema(list(types.items())).empty_table(), np.empty(0, np.int64)
    torn: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        torn.append(row.number - 1)
        return "skip"

    # Columns that nobody reads may share a name.
    own = [name if name in types else f"\0{at}" for at, name in enumerate(names)]
    try:
        rows = pa_csv.read_csv(
            io.BytesIO(lines.text),
            read_options=pa_csv.ReadOptions(use_threads=False,  # rows are numbered only when read in turn
                                            column_names=own, block_size=len(lines.text) + 1),
            parse_options=pa_csv.ParseOptions(delimiter=marks.delimiter.decode(),
                                              quote_char=marks.quote.decode() or False, invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(include_columns=wanted, strings_can_be_null=False,
                                                  column_types=types))
    except pa.ArrowInvalid as err:
        if met := re.search(r"column #(\d+): Row #(\d+): .*invalid UTF8", str(err)):
            raise Unreadable(f"line {lines.numbers[int(met[2]) - 1]} is not UTF-8 in the column "
                             f"{names[int(met[1])]}") from err
        raise
    if rows.num_rows + len(torn) != len(lines.numbers):
        raise RuntimeError(f"{len(lines.numbers)} lines were read as {rows.num_rows} rows, {len(torn)} malformed")
    return rows, np.array(torn, np.int64)
