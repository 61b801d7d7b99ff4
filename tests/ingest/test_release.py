"""Quarantined rows released after a fix of the contract: once, signed, and never over what another file brought."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import deltalake
import pyarrow as pa
import pytest
from lender import as_csv, as_parquet, bad_share

from tollgate import lake, registry
from tollgate.books import Book
from tollgate.config import Ingest
from tollgate.errors import BadInput, Refused
from tollgate.ingest import audit, ingest_file, quarantined_rows, release

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]
SIGNED = ("Ann", "ZZ is a state since March")


@pytest.fixture
def mended(sba: Book) -> Book:
    """The book whose vocabulary of states knows ZZ."""
    return sba.with_columns("applications", tuple(replace(c, isin=(*c.isin, "ZZ")) if c.name == "state" else c
                                                  for c in sba.applications))


@pytest.fixture
def rows(loans: Loans) -> list[dict[str, str]]:
    """One good row, two of an unknown state, one of them of another month, and one that no mending helps."""
    return loans({}, {"State": "ZZ"}, {"State": "ZZ", "ApprovalDate": "1-Mar-06"}, {"State": "ZZ", "GrAppv": "?"})


def tables(book: Book) -> dict[str, pa.Table]:
    kinds = (lake.applications(book), lake.quarantine(book.name), lake.received(book.name))
    return {table.name: lake.read(table) for table in kinds}


def decisions(book: str = "sba") -> list[tuple[str, dict]]:
    return [(entry["kind"], entry["payload"]) for entry in registry.entries(book)]


def reasons(fingerprint: str) -> list[tuple[int, str, str | None, str | None]]:
    return [(row["row"], row["rule"], row["column"], row["value"])
            for row in quarantined_rows("sba", fingerprint)["rows"]]


def test_rows_that_pass_now_are_published_and_the_others_stay_with_todays_reasons(
        sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]], drop: Drop) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    answer = release(mended, fingerprint[:10], *SIGNED)
    assert (answer["released"], answer["left"], answer["partitions"]) == (2, 1, ["2006-02", "2006-03"])
    published = lake.read(lake.applications(mended)).to_pylist()
    assert [(row["loan_id"], row["month"], row["state"]) for row in published] == [
        ("0000000001", "2006-02", "IN"), ("0000000002", "2006-02", "ZZ"), ("0000000003", "2006-03", "ZZ")]
    assert reasons(fingerprint) == [(4, "not_a_number", "approved", "?")]
    (line,) = lake.read(lake.received("sba")).to_pylist()
    assert (line["received"], line["published"], line["quarantined"]) == (4, 3, 1)
    told = {"fingerprint": fingerprint, "file": "applications_2006-02.csv", "why": SIGNED[1],
            "rows": [2, 3], **registry.signed_by(SIGNED[0])}
    assert decisions() == [("release-intent", told), ("release-committed", {**told, "left": 1})]
    assert registry.verify("sba")["intact"]


def test_a_release_gives_the_table_that_the_mended_contract_would_have_given(
        sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]], drop: Drop,
        monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    release(mended, ingest_file(sba, drop(rows), limits)["fingerprint"], *SIGNED)
    released = tables(mended)
    monkeypatch.setenv("TOLLGATE_LAKE", str(home / "another-lake"))
    ingest_file(mended, "applications_2006-02.csv", limits)
    assert tables(mended) == released


def test_releasing_twice_changes_nothing_and_says_the_same_of_what_is_left(
        sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]], drop: Drop) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    first = release(mended, fingerprint, *SIGNED)
    before, said = tables(mended), decisions()
    assert release(mended, fingerprint, "Bob", "again") == {**first, "released": 0}
    assert tables(mended) == before
    assert decisions() == said


def test_without_a_fix_nothing_is_released_and_nothing_is_recorded(
        sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    rows = loans({}, {"State": "ZZ"}, {"LoanNr_ChkDgt": "0000000001"})
    text = as_csv(rows) + b"torn\r\n"
    fingerprint = ingest_file(sba, drop(text), limits)["fingerprint"]
    before = tables(sba)
    assert release(sba, fingerprint, *SIGNED)["released"] == 0
    assert tables(sba) == before
    assert decisions() == []
    assert [reason[:2] for reason in reasons(fingerprint)] == [
        (2, "not_in_vocabulary"), (3, "duplicate"), (4, "malformed_row")]


def test_a_loan_that_another_file_brought_meanwhile_is_not_overwritten(
        sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]], loans: Loans, drop: Drop) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    ingest_file(sba, drop(loans({"NoEmp": "9"}, start=2), "applications_new.csv"), limits)
    answer = release(mended, fingerprint, *SIGNED)
    assert (answer["released"], answer["left"]) == (1, 2)
    held = {row["loan_id"]: row["employees"] for row in lake.read(lake.applications(mended)).to_pylist()}
    assert held == {"0000000001": 4, "0000000002": 9, "0000000003": 4}
    assert reasons(fingerprint) == [(2, "superseded", "loan_id", "0000000002"), (4, "not_a_number", "approved", "?")]
    before = tables(mended)
    assert release(mended, fingerprint, *SIGNED)["released"] == 0
    assert tables(mended) == before


@pytest.mark.parametrize(("room", "name"), [(registry, "record"), (deltalake, "write_deltalake")],
                         ids=["before the commit looks", "between the commit's look and its write"])
def test_a_loan_that_another_file_brings_during_the_release_is_not_overwritten(
        room: ModuleType, name: str, sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]],
        loans: Loans, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    drop(loans({"NoEmp": "9", "ApprovalDate": "1-Apr-06"}, start=2), "applications_new.csv")
    real, cut_in = getattr(room, name), []

    def late(to: object, *args: object, **named: object) -> object:
        if not cut_in and (room is registry or "/applications" in to.table_uri):
            cut_in.append(ingest_file)
            ingest_file(sba, "applications_new.csv", limits)
        return real(to, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(room, name, late)
        answer = release(mended, fingerprint, *SIGNED)
    assert cut_in
    assert (answer["released"], answer["left"], answer["partitions"]) == (1, 2, ["2006-02", "2006-03"])
    held = {row["loan_id"]: row["employees"] for row in lake.read(lake.applications(mended)).to_pylist()}
    assert held == {"0000000001": 4, "0000000002": 9, "0000000003": 4}
    assert reasons(fingerprint) == [(2, "superseded", "loan_id", "0000000002"), (4, "not_a_number", "approved", "?")]
    assert [(line["received"], line["published"], line["quarantined"]) for line in
            lake.read(lake.received("sba"), filters=[("fingerprint", "=", fingerprint)]).to_pylist()] == [(4, 2, 2)]
    assert audit(mended)["quarantined"] == 2
    (_, intent), (_, committed) = decisions()
    assert (intent["rows"], committed["rows"], committed["left"]) == ([2, 3], [3], 2)
    before = tables(mended)
    assert release(mended, fingerprint, *SIGNED)["released"] == 0
    assert tables(mended) == before


def test_racing_releases_of_one_file_publish_each_row_once(
        sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]], drop: Drop,
        monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    real, cut_in = registry.record, []

    def late(*args: object, **named: object) -> object:
        if not cut_in:
            cut_in.append(release)
            release(mended, fingerprint, *SIGNED)
        return real(*args, **named)

    monkeypatch.setattr(registry, "record", late)
    assert release(mended, fingerprint, *SIGNED)["released"] == 2
    assert lake.read(lake.applications(mended)).num_rows == 3
    assert audit(mended)["quarantined"] == 1


def test_a_row_with_a_masked_cell_is_never_released(sba: Book, mended: Book, limits: Ingest, loans: Loans,
                                                    drop: Drop) -> None:
    fingerprint = ingest_file(sba, drop(loans({"Bank": "ann@bank.example"}, {"State": "ZZ"})), limits)["fingerprint"]
    assert release(mended, fingerprint, *SIGNED)["released"] == 1
    assert lake.read(lake.applications(mended))["loan_id"].to_pylist() == ["0000000002"]
    assert reasons(fingerprint) == [(1, "personal_data", "bank", "(masked: an e-mail address)")]


def test_typed_rows_are_released_as_they_were(sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]],
                                              drop: Drop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [{**row, "ApprovalDate": datetime(2006, 3, day, 23, 59), "NoEmp": 4.0, "GrAppv": Decimal("60000.10")}
             for day, row in enumerate(rows[:3], start=1)]
    fingerprint = ingest_file(sba, drop(as_parquet(typed), "applications.parquet"), limits)["fingerprint"]
    assert release(mended, fingerprint, *SIGNED)["released"] == 2
    released = tables(mended)
    monkeypatch.setenv("TOLLGATE_LAKE", str(home / "another-lake"))
    ingest_file(mended, "applications.parquet", limits)
    assert tables(mended) == released


def test_a_file_refused_whole_is_judged_anew_and_not_released(sba: Book, mended: Book, limits: Ingest,
                                                              rows: list[dict[str, str]], drop: Drop) -> None:
    name = drop(rows)
    with pytest.raises(Refused):
        ingest_file(sba, name, bad_share(0.1))
    (line,) = lake.read(lake.received("sba")).to_pylist()
    with pytest.raises(BadInput, match=f"refused whole.*Mend the contract.*tollgate ingest file sba {name}"):
        release(mended, line["fingerprint"], *SIGNED)


@pytest.mark.parametrize(("fingerprint", "by", "why", "says"), [
    ("xyz", *SIGNED, "No file that was received has this fingerprint"), ("", "", "because", "Pass --by"),
    ("", "Ann", " ", "Pass --why")])
def test_a_release_needs_a_file_a_name_and_a_reason(fingerprint: str, by: str, why: str, says: str, sba: Book) -> None:
    with pytest.raises(BadInput, match=says):
        release(sba, fingerprint, by, why)


WRITES = 5


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_a_kill_around_any_write_is_mended_by_releasing_again(
        write: int, moment: str, home: Path, sba: Book, mended: Book, limits: Ingest, rows: list[dict[str, str]],
        drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    shutil.copytree(home, home.parent / "killed")
    release(mended, fingerprint, *SIGNED)
    undisturbed, said = tables(mended), decisions()

    monkeypatch.setenv("TOLLGATE_DATA", str(home.parent / "killed"))
    done = 0

    def killed(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done == write and moment == "before":
                raise KeyboardInterrupt
            answer = real(*args, **named)
            if done == write:
                raise KeyboardInterrupt
            return answer

        return call

    with monkeypatch.context() as patch:
        for room, name in ((lake, "append_next"), (lake, "replace_partitions")):
            patch.setattr(room, name, killed(getattr(room, name)))
        with pytest.raises(KeyboardInterrupt):
            release(mended, fingerprint, *SIGNED)
    release(mended, fingerprint, *SIGNED)
    assert tables(mended) == undisturbed
    assert decisions() == said
    assert done == write
