"""Whatever a lender's system sends as a file: it is taken in right, or refused whole with one clear message."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lender import as_csv, as_json_lines, as_parquet, bad_share
from tests.ingest.bad_file import PERSON, Case, manifest, normal
from tests.ingest.bad_files import CASES

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.config import PROJECT, Ingest, settings
from tollgate.errors import BadInput, Refused, TollgateError
from tollgate.ingest import check_file, ingest_file, new_files

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


@contextmanager
def landed(case: Case, folder: Path) -> Iterator[None]:
    """The case's file in landing, and perhaps its sender still at it."""
    place = folder / case.book / case.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(case.content)
    if case.manifest is not None:
        place.with_name(f"{case.name}.manifest.json").write_bytes(case.manifest)
    if case.open:
        with place.open("ab"):
            yield
    else:
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.item}: {case.sent}")
def test_what_becomes_of_it_is_what_the_page_says(case: Case, home: Path, drop: Drop) -> None:
    book, limits = load_book(case.book), bad_share(case.limit)
    for name, content in case.before:
        ingest_file(book, drop(content, name, case.book), limits)
    published, said, warned = 0, "", ()
    with landed(case, home / "landing"):
        assert ({"book": case.book, "name": case.name} in new_files()) == (case.taken and not case.again)
        try:
            answer = ingest_file(book, case.name, limits)
        except TollgateError as err:
            said = str(err)
        else:
            assert answer["new"] is not case.again
            published = answer["published"] if answer["new"] else 0
            warned = tuple(answer["warnings"])
            assert answer["received"] == answer["published"] + answer["quarantined"]
    quarantined = lake.read(lake.quarantine(case.book)).to_pylist()
    assert normal(said) == case.says
    assert warned == case.warns
    assert tuple((line["row"], line["rule"], line["column"], line["value"]) for line in quarantined) == case.reasons
    assert published == case.published
    assert lake.view(lake.applications(book)).num_rows == (case.published if case.held is None else case.held)
    assert [file["name"] for file in new_files()] == [case.name] * case.open
    assert len(said.splitlines()) <= 1
    everything = said + str(quarantined)
    assert not [value for value in (*PERSON.values(), "jane@", "078-05", "010-0199", "4111") if value in everything]


def test_the_page_lists_every_case() -> None:
    page = (PROJECT / "docs" / "bad-files.md").read_text(encoding="utf-8")
    assert sum(line.startswith("| ") for line in page.splitlines()) == len(CASES) + 1


@pytest.fixture
def rows(loans: Loans) -> list[dict[str, str]]:
    """Two good applications of a person whose name nobody may meet."""
    return loans({**PERSON}, {**PERSON, "NoEmp": "7"})


def published(book: Book) -> list[dict]:
    return lake.read(lake.applications(book)).to_pylist()


def refused_whole(book: Book, name: str) -> str:
    """What is said of a file that is refused whole; checked to be one line without the person, and to cost nothing."""
    with pytest.raises(Refused) as caught:
        ingest_file(book, name, bad_share(1.0))
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    everything = said + str(lake.read(lake.quarantine(book.name)).to_pylist())
    assert not [value for value in PERSON.values() if value in everything]
    assert published(book) == []
    assert [line["row"] for line in lake.read(lake.quarantine(book.name)).to_pylist()] == [0]
    assert new_files(book.name) == []
    return said


@pytest.mark.parametrize(("ending", "encode"), [
    (".csv.gz", lambda rows: gzip.compress(as_csv(rows))),
    (".jsonl", as_json_lines),
    (".jsonl.gz", lambda rows: gzip.compress(as_json_lines(rows))),
    (".parquet", as_parquet),
])
def test_every_format_publishes_the_very_rows_of_the_csv_file(
        ending: str, encode: Callable[..., bytes], sba: Book, limits: Ingest, rows: list[dict[str, str]],
        drop: Drop) -> None:
    ingest_file(sba, drop(rows), limits)
    version, before = lake.version(lake.applications(sba)), published(sba)
    name = drop(encode(rows), f"applications_again{ending}")
    assert new_files("sba") == [{"book": "sba", "name": name}]
    answer = ingest_file(sba, name, limits)
    assert (answer["new"], answer["received"], answer["published"]) == (True, 2, 2)
    assert published(sba) == before
    assert lake.version(lake.applications(sba)) == version


@pytest.mark.parametrize("name", ["applications.csv", "applications.csv.gz", "applications.jsonl",
                                  "applications.jsonl.gz", "applications.parquet"])
def test_an_empty_file_is_refused_whole(name: str, sba: Book, drop: Drop) -> None:
    said = refused_whole(sba, drop(b"", name))
    assert f"{name} cannot be read: " in said
    assert "(got: 0 bytes)" in said


@pytest.mark.parametrize(("break_it", "says"), [
    (lambda packed: packed[:-12], "its gzip stream breaks off"),
    (lambda packed: packed[:40], "its gzip stream breaks off"),
    (lambda packed: packed[:-8] + bytes(8), "it is not gzip, or was damaged on its way"),
    (lambda packed: packed + b"JANE Q PUBLIC", "it is not gzip, or was damaged on its way"),
    (gzip.decompress, "it is not gzip, or was damaged on its way"),
])
def test_a_torn_or_damaged_gzip_file_is_refused_whole(break_it: Callable[[bytes], bytes], says: str, sba: Book,
                                                      rows: list[dict[str, str]], drop: Drop) -> None:
    name = drop(break_it(gzip.compress(as_csv(rows))), "applications.csv.gz")
    assert f"cannot be read: {says}" in refused_whole(sba, name)


@pytest.mark.parametrize("break_it", [lambda whole: whole[:-6], lambda whole: whole[:len(whole) // 2],
                                      lambda whole: whole[:-8] + b"\xff\xff\xff\x7fPAR1",
                                      lambda whole: whole[:40] + bytes(400) + whole[440:]])
def test_a_torn_parquet_file_is_refused_whole(break_it: Callable[[bytes], bytes], sba: Book,
                                              rows: list[dict[str, str]], drop: Drop) -> None:
    name = drop(break_it(as_parquet(rows)), "applications.parquet")
    assert "applications.parquet cannot be read: " in refused_whole(sba, name)


@pytest.mark.parametrize("encode", [as_csv, as_json_lines])
def test_a_byte_order_mark_does_no_harm(encode: Callable[..., bytes], sba: Book, limits: Ingest,
                                        rows: list[dict[str, str]], drop: Drop) -> None:
    ending = "csv" if encode is as_csv else "jsonl"
    assert ingest_file(sba, drop(b"\xef\xbb\xbf" + encode(rows), f"applications.{ending}"), limits)["published"] == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_utf_16_file_is_refused_whole(encoding: str, ending: str, sba: Book, rows: list[dict[str, str]],
                                        drop: Drop) -> None:
    text = (as_csv(rows) if ending == "csv" else as_json_lines(rows)).decode()
    said = refused_whole(sba, drop(text.encode(encoding), f"applications.{ending}"))
    assert "cannot be read: it is UTF-16 or no text, not UTF-8" in said


@pytest.mark.parametrize("encode", [as_csv, lambda rows: json.dumps(rows[0], ensure_ascii=False).encode()])
def test_a_file_of_mixed_encodings_is_refused_whole(encode: Callable[..., bytes], sba: Book,
                                                    rows: list[dict[str, str]], drop: Drop) -> None:
    content = encode([{**rows[0], "Bank": "CAF@ BANK"}, rows[1]]).replace(b"@", "é".encode("latin-1"))
    said = refused_whole(sba, drop(content, f"applications.{'csv' if encode is as_csv else 'jsonl'}"))
    assert "cannot be read: " in said
    assert "in UTF-8" in said


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_every_end_of_line_is_read(ending: bytes, sba: Book, limits: Ingest, rows: list[dict[str, str]],
                                   drop: Drop) -> None:
    content = as_csv(rows).replace(b"\r\n", ending)
    assert ingest_file(sba, drop(content), limits)["published"] == 2
    assert [row["employees"] for row in published(sba)] == [4, 7]


def test_a_line_that_is_no_flat_json_object_is_quarantined_by_its_place(sba: Book, limits: Ingest,
                                                                        rows: list[dict[str, str]], drop: Drop) -> None:
    good, other = (json.dumps(row) for row in rows)
    broken = ["{torn", "[1]", "7", '"JANE Q PUBLIC"', good.replace('"4"', '["4"]'), good[:-1] + ', "NoEmp": "5"}',
              good.replace('"IN"', r'"\ud800"'), "[" * 100_000]
    answer = ingest_file(sba, drop("\n\n".join([good, *broken, other]).encode(), "applications.jsonl"), limits)
    assert (answer["received"], answer["published"], answer["quarantined"]) == (10, 2, 8)
    lines = lake.read(lake.quarantine("sba")).to_pylist()
    assert [(line["row"], line["rule"], line["value"], line["record"]) for line in lines] == [
        (place, "malformed_row", None, "{}") for place in range(2, 10)]


def test_json_numbers_are_read_as_they_are_spelled(sba: Book, limits: Ingest, rows: list[dict[str, str]],
                                                   drop: Drop) -> None:
    text = (json.dumps({**rows[0], "LoanNr_ChkDgt": 0, "NoEmp": 5, "GrAppv": 1234.50, "Bank": None})
            .replace('"LoanNr_ChkDgt": 0', '"LoanNr_ChkDgt": 12345678901234567890'))
    odd = json.dumps({**rows[1], "GrAppv": float("nan"), "NoEmp": True, "Term": 10**400})
    ingest_file(sba, drop(f"{text}\n{odd}\n".encode(), "applications.jsonl"), limits)
    (row,) = published(sba)
    assert (row["loan_id"], row["employees"], row["approved"], row["bank"]) == ("12345678901234567890", 5, 1234.5, None)
    lines = lake.read(lake.quarantine("sba")).to_pylist()
    assert {(line["rule"], line["column"]) for line in lines} == {
        ("required", "approved"), ("not_an_integer", "employees"), ("not_an_integer", "term")}


@pytest.mark.parametrize(("change", "says"), [
    (lambda rows: [{k: v for k, v in row.items() if k != "GrAppv"} for row in rows], "lacks a column.*GrAppv"),
    (lambda rows: [rows[0], {**rows[1], "Rating": "A"}], "does not know.*Rating"),
    (lambda rows: [list(row.values()) for row in rows], "no line of it is a JSON object"),
])
def test_json_lines_of_other_keys_are_refused_whole(change: Callable[..., list], says: str, sba: Book,
                                                    rows: list[dict[str, str]], drop: Drop) -> None:
    name = drop(as_json_lines(change(rows)), "applications.jsonl")
    said = refused_whole(sba, name)
    assert re.search(says, said)


def test_a_file_like_its_manifest_is_published_and_the_manifest_is_no_data_file(
        sba: Book, limits: Ingest, rows: list[dict[str, str]], drop: Drop) -> None:
    content = gzip.compress(as_csv(rows), mtime=0)
    announced = drop(manifest(content), "applications.csv.gz.manifest.json")
    name = drop(content, "applications.csv.gz")
    assert new_files("sba") == [{"book": "sba", "name": name}]
    assert ingest_file(sba, name, limits)["published"] == 2
    with pytest.raises(BadInput, match="not the name of a complete file"):
        ingest_file(sba, announced, limits)


@pytest.mark.parametrize(("changes", "says"), [
    ({"sha256": "0" * 64}, "is not the file that its manifest describes"),
    ({"rows": 3}, "does not hold as many rows as its manifest says (got: 2 rows, announced 3)"),
    ({"rows": "2"}, "applications.csv.manifest.json is no manifest"),
    ({"sha256": "JANE Q PUBLIC"}, "applications.csv.manifest.json is no manifest"),
])
def test_a_file_unlike_its_manifest_is_refused_whole(changes: dict[str, object], says: str, sba: Book, limits: Ingest,
                                                     rows: list[dict[str, str]], drop: Drop) -> None:
    content = as_csv(rows)
    drop(manifest(content, **changes), "applications.csv.manifest.json")
    name = drop(content, "applications.csv")
    assert says in refused_whole(sba, name)
    landed = settings().data / "landing" / "sba" / name
    assert says in str(check_file(sba, landed, limits).refused)
    drop(manifest(content), "applications.csv.manifest.json")
    assert ingest_file(sba, name, limits)["published"] == 2


