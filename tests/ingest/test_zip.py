"""A zip with one file is read as that file; any other is told for what it is."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
from lender import as_csv, as_json_lines, as_parquet, bad_share, sba_loans

from tollgate import lake
from tollgate.books import Book
from tollgate.errors import Refused
from tollgate.ingest import ingest_file

Drop = Callable[..., str]
TWO = sba_loans({}, {"NoEmp": "7"})


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(("name", "content"), [
    ("anything.csv", as_csv(TWO)), ("applications.jsonl", as_json_lines(TWO)), ("x.parquet", as_parquet(TWO))])
@pytest.mark.parametrize("outside", ["applications.zip", "applications.csv.zip"])
def test_the_ending_inside_tells_the_format(name: str, content: bytes, outside: str, sba: Book, drop: Drop) -> None:
    answer = ingest_file(sba, drop(zipped(**{name: content}), outside), bad_share(1.0))
    assert (answer["published"], answer["received"]) == (2, 2)
    assert lake.read(lake.applications(sba), columns=["employees"])["employees"].to_pylist() == [4, 7]


def encrypted() -> bytes:
    """A zip whose one member is flagged as encrypted, as a tool with a password leaves it."""
    plain = bytearray(zipped(**{"a.csv": as_csv(TWO)}))
    central = plain.rindex(b"PK\x01\x02")
    for at in (6, central + 8):
        plain[at:at + 2] = struct.pack("<H", 1)
    return bytes(plain)


@pytest.mark.parametrize(("content", "says"), [
    (zipped(**{"a.csv": as_csv(TWO), "b.csv": b""}), "it holds 2 files, and a zip is to hold one"),
    (zipped(), "it holds 0 files"),
    (zipped(**{"a/b.csv": as_csv(TWO)}), "the file in it has a path in its name"),
    (zipped(**{"../b.csv": as_csv(TWO)}), "the file in it has a path in its name"),
    (zipped(**{"..csv": as_csv(TWO)}), "the file in it has a path in its name"),
    (zipped(**{"b.zip": zipped()}), "the file in it does not end with .csv, .txt, .jsonl, .parquet, .xlsx"),
    (encrypted(), "it is protected by a password"),
    (zipped(**{"a.csv": as_csv(TWO) + b"," * (80 * 2**20)}), "it unpacks to more than 64 MiB"),
    (zipped(**{"a.csv": as_csv(TWO)})[:-30], "it is no zip that can be unpacked, or was damaged on its way"),
    (b"PK", "it is no zip that can be unpacked, or was damaged on its way"),
    (zipped(**{"a.csv": b""}), "it is empty")])
def test_a_zip_of_anything_but_one_file_is_refused_in_words(content: bytes, says: str, sba: Book, drop: Drop) -> None:
    with pytest.raises(Refused) as caught:
        ingest_file(sba, drop(content, "applications.zip"), bad_share(1.0))
    assert f"applications.zip cannot be read: {says}" in str(caught.value)


def test_a_zip_that_lies_about_its_size_is_refused(sba: Book, drop: Drop) -> None:
    content = zipped(**{"a.csv": as_csv(TWO)})
    size = struct.pack("<I", len(as_csv(TWO)))
    with pytest.raises(Refused, match="damaged on its way"):
        ingest_file(sba, drop(content.replace(size, struct.pack("<I", 40)), "applications.zip"), bad_share(1.0))
