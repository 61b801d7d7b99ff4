"""Text of columns that each have a width: a line is cut by letters, and one of another length is malformed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tollgate.ingest.reading.delimited import BLOCK_BYTES, parsed
from tollgate.ingest.reading.header import check_names, check_skipped
from tollgate.ingest.reading.lines import Marks, read_lines, skipped_at_top, without_last
from tollgate.ingest.reading.raw import Raw

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.ingest.reading.layout import Layout

WHOLE = Marks(b"\x1f", b"")  # a separator of units, in use nowhere: a line that has one is torn, and malformed
LINE = "line"


def read_fixed(opened: Callable[[], IO[bytes]], layout: Layout) -> Iterator[Raw]:
    """The rows of a file of fixed widths. Raises ``Unfit`` and ``Unreadable`` as ``files.batches`` says.

    Args:
        opened: the file's text from its first letter, each time it is asked.
    """
    reader = layout.reader
    length = sum(reader.widths)
    check_names(layout, reader.names)
    for number, line in skipped_at_top(opened(), reader.skip_top) if reader.skip_top else ():
        check_skipped(layout, _cells_of(layout, line), reader.names, f"Line {number}", "title")
    skipped: list[tuple[int, bytes]] = []
    every = read_lines(opened(), BLOCK_BYTES, WHOLE, reader.skip_top)
    for lines in without_last(every, reader.skip_bottom, skipped) if reader.skip_bottom else every:
        found, torn = parsed(lines, [LINE], [LINE], frozenset([LINE]), WHOLE)
        numbers = np.delete(lines.numbers, torn)
        text = found[LINE].combine_chunks()
        fits = _lengths(text) == length
        rows = _cut(layout, text.filter(fits))
        malformed = np.sort(np.concatenate([lines.numbers[torn], numbers[~fits]]))
        yield Raw(rows, numbers[fits] - reader.skip_top, malformed - reader.skip_top, reader.skip_top, unit="line",
                  torn=f"is not of {length} letters", unread=layout.unread(reader.names))
    for number, line in skipped:
        check_skipped(layout, _cells_of(layout, line.rstrip(b"\r\n")), reader.names, f"Line {number}", "footer")


def _lengths(text: pa.Array) -> np.ndarray:
    import pyarrow.compute

    pc: Any = pyarrow.compute
    lengths: np.ndarray = pc.utf8_length(text).to_numpy(zero_copy_only=False)
    return lengths


def _cut(layout: Layout, text: pa.Array) -> pa.Table:
    """The wanted columns of whole lines."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    ends = list(accumulate(layout.reader.widths))
    places = {name: (end - width, end) for name, width, end in zip(layout.reader.names, layout.reader.widths, ends,
                                                                    strict=True)}
    cut = {name: pc.utf8_slice_codeunits(text, *places[name]) for name in layout.wanted}
    return pa.table({name: cells if name in layout.keys else cells.dictionary_encode() for name, cells in cut.items()})


def _cells_of(layout: Layout, line: bytes) -> list[str]:
    """The cells of one line; none where it is not as long as a row."""
    text = line.decode("utf-8", errors="replace")
    if len(text) != sum(layout.reader.widths):
        return []
    ends = list(accumulate(layout.reader.widths))
    return [text[end - width:end] for width, end in zip(layout.reader.widths, ends, strict=True)]
