"""Holding the counts of everything that was taken in against what the lake shows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.errors import PassingFault, Refused
from tollgate.ingest.contract import PUBLISHED
from tollgate.ingest.reading import apart

if TYPE_CHECKING:
    from tollgate.books import Book

REMEDY = "Nothing was mended: compare the tables `received` and `quarantine` with their earlier versions first."


def audit(book: Book) -> dict[str, Any]:
    """Check that ``received = published + quarantined`` for every file, by the lake's own tables.

    As many rows as a file's line says lie in the quarantine, and a published table holds no more versions than its
    files published.

    Returns ``{"book", "files", "received", "published", "quarantined"}``: sums over the published files.

    Raises:
        Refused: it does not hold; the file and its counts are named.
        PassingFault: a table holds rows of a file that is not written down as received yet, or the lake did not answer.
    """
    lines = lake.read(lake.quarantine(book.name), columns=["fingerprint", "row"]).to_pylist()
    kept = Counter(fingerprint for fingerprint, row in {(line["fingerprint"], line["row"]) for line in lines} if row)
    files = lake.read(lake.received(book.name)).to_pylist()
    taken = [file for file in files if file["verdict"] == PUBLISHED]
    for file in files:
        counts = file["received"], file["published"], file["quarantined"]
        if counts[0] != counts[1] + counts[2]:
            raise Refused(f"The counts of {file['file']} do not add up: received, published, quarantined",
                          value=counts, remedy=REMEDY)
        if file["verdict"] == PUBLISHED and kept[file["fingerprint"]] != counts[2]:
            raise Refused(f"The quarantine does not hold the rows that {file['file']} was refused",
                          value=f"{kept[file['fingerprint']]} of {counts[2]}", remedy=REMEDY)
    for table in (lake.published(book, table.name) for table in book.tables):
        published = sum(file["published"] for file in taken if table.name in apart(file["table"]))
        if (held := lake.count(table)) > published:
            raise PassingFault(f"The table {table.name} holds more than its files published: a run is at work, or was "
                               "killed at it", value=f"{held:,} rows, {published:,} published",
                               remedy=f"Take in what `tollgate ingest list --book {book.name}` shows, then look again.")
    return {"book": book.name, "files": len(files),
            **{name: sum(file[name] for file in taken) for name in ("received", "published", "quarantined")}}
