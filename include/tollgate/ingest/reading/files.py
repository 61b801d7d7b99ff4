"""Reading a landed file batch by batch: its rows as the lender spelled them, or why the whole file is unfit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollgate.ingest.reading.columnar import read_columns
from tollgate.ingest.reading.delimited import read_delimited
from tollgate.ingest.reading.fixed import read_fixed
from tollgate.ingest.reading.formats import TEXT, Unfit, Unreadable, check_text, open_text
from tollgate.ingest.reading.json_lines import read_objects
from tollgate.ingest.reading.landed import Landed
from tollgate.ingest.reading.layout import Layout, layout_of
from tollgate.ingest.reading.raw import Raw
from tollgate.ingest.reading.workbooks import WORKBOOK, read_workbook
from tollgate.ingest.reading.zipped import unpacked

if TYPE_CHECKING:
    from tollgate.books import Book


def batches(book: Book, file: Landed) -> Iterator[Raw]:
    """Take a file's rows in from the first, every cell as it stands.

    Personal columns must be there like any other, and are left unread.

    Raises:
        Unfit: it cannot be read, or lacks a column of the contract, or brings one that the contract does not know. It
            may come as late as after the last batch.
    """
    import pyarrow as pa

    layout = layout_of(book, file.name)
    try:
        with unpacked(file) as whole:
            yield from _read(whole, layout)
    except (Unreadable, pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as err:
        said = str(err).splitlines()[0]
        raise Unfit("unreadable", f"{file.name} cannot be read: {said}", value=f"{file.size} bytes",
                    remedy=_remedy(layout, file.name)) from err


def _read(file: Landed, layout: Layout) -> Iterator[Raw]:
    if file.name.endswith(".parquet"):
        return read_columns(file, layout)
    if file.name.endswith(WORKBOOK):
        return read_workbook(file, layout)
    encoding = layout.reader.encoding
    check_text(open_text(file, encoding))
    if not file.name.removesuffix(".gz").endswith(TEXT):
        return read_objects(open_text(file, encoding), layout)
    read = read_fixed if layout.reader.widths else read_delimited
    return read(lambda: open_text(file, encoding), layout)


def _remedy(layout: Layout, name: str) -> str:
    if name.endswith(WORKBOOK):
        return "Ask the lender to send it again: a workbook that opens without a password, with values in its cells."
    encoding = layout.reader.encoding
    return f"Ask the lender to send it again, whole and in {'UTF-8' if encoding == 'utf-8' else encoding}."
