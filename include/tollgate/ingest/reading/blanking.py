"""Writing a file again without some of its rows, every other row in its place."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollgate.ingest.reading.formats import TEXT
from tollgate.ingest.reading.landed import Landed

if TYPE_CHECKING:
    from tollgate.books import Reader

BLANKED = (*TEXT, ".jsonl", ".parquet")  # packed or not; in a workbook no row can be blanked


def can_blank(name: str, reader: Reader) -> bool:
    """Whether rows of such a file can be blanked: a workbook is left to people, and text whose line ends are not ASCII.

    A zip is opened for what is in it.
    """
    if "\n".encode(reader.encoding) != b"\n":
        return False
    return name.endswith((".zip", ".parquet")) or _unpacked_name(name).endswith(BLANKED)


@dataclass(frozen=True)
class Gone:
    """Which rows of a file are to be blanked.

    Attributes:
        places: lines of text from 1, what stands above the rows counted; else rows, from 1.
        doubtful: whether a line of text, by its place and its bytes, is to be too. None of another format can be told.
        spans: the first and the last line of records that run over several, which go whole.
    """

    places: Set[int]
    doubtful: Callable[[int, bytes], bool]
    spans: Sequence[Sequence[int]] = ()

    def of(self, lines: Iterable[tuple[int, bytes]]) -> Set[int]:
        """The places of these lines that are to go."""
        found = {place for place, line in lines if place in self.places or self.doubtful(place, line)}
        whole = [range(first, last + 1) for first, last in self.spans if any(first <= at <= last for at in found)]
        return found.union(*whole)


def blanked(file: Landed, gone: Gone) -> tuple[bytes, int] | None:
    """The file's bytes with nothing in these rows, and how many these are; None where it has a format that is left.

    A line of text becomes an empty one, a line of JSON an empty object, a row of Parquet one of nulls: each other row
    keeps its place.
    """
    if file.name.endswith(".zip"):
        return _zip(file, gone)
    content = file.open().read()
    if file.name.endswith(".gz"):
        found = _blanked(_unpacked_name(file.name), gzip.decompress(content), gone)
        return None if found is None else (gzip.compress(found[0], mtime=0), found[1])
    return _blanked(file.name, content, gone)


def _unpacked_name(name: str) -> str:
    return name.removesuffix(".gz")


def _zip(file: Landed, gone: Gone) -> tuple[bytes, int] | None:
    with zipfile.ZipFile(file.open()) as packed:
        members = packed.infolist()
        if len(members) != 1:
            return None
        found = _blanked(members[0].filename, packed.read(members[0]), gone)
    if found is None:
        return None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr(members[0], found[0], zipfile.ZIP_DEFLATED)
    return buffer.getvalue(), found[1]


def _blanked(name: str, content: bytes, gone: Gone) -> tuple[bytes, int] | None:
    if name.endswith(".parquet"):
        return _null_rows(content, gone.places)
    if name.endswith(".jsonl"):
        return _empty_objects(content, gone)
    if name.endswith(TEXT):
        return _empty_lines(content, gone)
    return None


def _empty_lines(content: bytes, gone: Gone) -> tuple[bytes, int]:
    lines = content.splitlines(keepends=True)
    found = gone.of(enumerate(lines, start=1))
    for place in found:
        line = lines[place - 1]
        lines[place - 1] = line[len(line.rstrip(b"\r\n")):]
    return b"".join(lines), len(found)


def _empty_objects(content: bytes, gone: Gone) -> tuple[bytes, int]:
    lines = content.split(b"\n")
    there = [at for at, line in enumerate(lines) if line.strip()]  # blank ones have no place
    found = gone.of((place, lines[at]) for place, at in enumerate(there, start=1))
    for place in found:
        lines[there[place - 1]] = b"{}"
    return b"\n".join(lines), len(found)


def _null_rows(content: bytes, places: Set[int]) -> tuple[bytes, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(content))
    kept = pa.array([None if place in places else place - 1 for place in range(1, rows.num_rows + 1)], pa.int64())
    schema = pa.schema([field.with_nullable(True) for field in rows.schema], rows.schema.metadata)
    buffer = io.BytesIO()
    pq.write_table(rows.cast(schema).take(kept), buffer)
    return buffer.getvalue(), kept.null_count
