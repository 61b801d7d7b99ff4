"""A lake that an older Tollgate wrote is refused with the command that brings it up to date, and that command does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lender import as_csv, bad_share, sba_loans

from tollgate import lake, nights
from tollgate.books import Book
from tollgate.errors import BadInput, Refused
from tollgate.ingest import audit, ingest_file, migrate, new_files, quarantined_rows

Drop = Callable[..., str]
SENT = as_csv(sba_loans({}, {"State": "ZZ"}))


@pytest.fixture
def old(home: Path, sba: Book, drop: Drop) -> Book:
    """Two loans of which one defaulted and one was quarantined, and the file of them, as version 0.1 left them."""
    drop(SENT, "applications.csv")
    sha = hashlib.sha256(SENT).hexdigest()
    loan = {"month": "2006-02", "loan_id": "0000000001", "applied_on": date(2006, 2, 28), "franchise": "1",
            "approved": 60000.0, "guaranteed": 1000.0, "employees": 4}
    told = {"month": "2007-03", "loan_id": "0000000001", "known_on": date(2007, 3, 2), "defaulted_on": date(2007, 3, 2),
            "charged_off": 5.0}
    quarantined = {"fingerprint": sha, "file": "applications.csv", "table": "applications",
                   "landed": "2026-01-02T03:04:05Z", "row": 2, "rule": "not_in_vocabulary", "column": "state",
                   "value": "ZZ", "record": "{}"}
    received = {"fingerprint": sha, "file": "applications.csv", "table": "applications", "received": 2, "published": 1,
                "quarantined": 1, "partitions": ["2006-02"], "verdict": "published"}
    gone = {**received, "fingerprint": "0" * 64, "file": "outcomes.csv", "table": "outcomes", "received": 1,
            "quarantined": 0, "partitions": ["2007-03"]}
    applications = pa.schema([("month", pa.string()), *sba.table("applications").schema()])
    for name, rows, schema, by in (
            ("applications", [loan], applications, "month"), ("outcomes", [told], None, "month"),
            ("quarantine", [quarantined], lake.quarantine("sba").schema, "fingerprint"),
            ("received", [received, gone], None, "fingerprint")):
        write_deltalake(home / "lake" / "sba" / name, pa.Table.from_pylist(rows, schema=schema), partition_by=[by])
    return sba


def test_an_old_lake_is_refused_and_not_half_read(old: Book) -> None:
    for read in (lambda: lake.view(lake.applications(old)), lambda: lake.view(lake.outcomes(old)),
                 lambda: ingest_file(old, "applications.csv", bad_share(1.0))):
        with pytest.raises(BadInput, match="an older Tollgate wrote it.*tollgate ingest migrate sba"):
            read()


def test_migrating_keeps_every_row_and_what_was_taken_in_and_doing_it_again_changes_nothing(
        old: Book, home: Path) -> None:
    assert migrate(old)["migrated"] == {
        "applications": 1, "outcomes": 1, "verdicts": 0, "requests": 0, "ledger": 0, "scores": 0,
        "measures": 0, "quarantine": 1, "checks": 0, "received": 2}
    versions = [DeltaTable(path).version() for path in sorted((home / "lake" / "sba").iterdir())]
    assert lake.read(lake.outcomes(old)).to_pylist() == [{
        "month": "2007-03", "known_on": date(2007, 3, 2), "delivery": 1, "version": 1, "line": None,
        "loan_id": "0000000001",
        "reported_on": date(2007, 3, 2), "defaulted_on": date(2007, 3, 2), "charged_off": 5.0}]
    assert lake.view(lake.applications(old), as_of=date(2006, 2, 28)).num_rows == 0
    assert lake.view(lake.applications(old), as_of=date(2006, 3, 1))["employees"].to_pylist() == [4]
    assert new_files("sba") == []
    assert ingest_file(old, "applications.csv", bad_share(1.0))["new"] is False
    assert audit(old)["files"] == 2
    (fingerprint,) = lake.partitions(lake.quarantine("sba"))
    assert quarantined_rows("sba", fingerprint)["rows"][0]["value"] == "ZZ"
    migrate(old)
    assert [DeltaTable(path).version() for path in sorted((home / "lake" / "sba").iterdir())] == versions


def test_what_comes_after_a_migration_is_a_new_version(old: Book, drop: Drop) -> None:
    migrate(old)
    answer = ingest_file(old, drop(as_csv(sba_loans({"NoEmp": "9"})), "applications_b.csv"), bad_share(1.0))
    assert (answer["restated"], answer["delivery"]) == (1, 3)
    assert lake.view(lake.applications(old))["employees"].to_pylist() == [9]
    assert lake.view(lake.applications(old), as_of=date(2006, 3, 1))["employees"].to_pylist() == [4]


def test_rows_that_were_kept_without_their_line_are_migrated_to_rows_of_no_known_line(
        home: Path, sba: Book, drop: Drop) -> None:
    first = ingest_file(sba, drop(as_csv(sba_loans({}, {"State": "ZZ"})), "applications.csv"), bad_share(1.0))
    for table in (lake.applications(sba), lake.quarantine("sba")):
        path = home / "lake" / "sba" / table.name
        write_deltalake(path, DeltaTable(path).to_pyarrow_table().drop_columns(["line"]), mode="overwrite",
                        schema_mode="overwrite")
    with pytest.raises(BadInput, match="lacks the columns line: an older Tollgate wrote it"):
        lake.view(lake.applications(sba))
    assert migrate(sba)["migrated"]["applications"] == 1
    assert lake.read(lake.applications(sba), columns=["delivery", "version", "line"]).to_pylist() == [
        {"delivery": 1, "version": 1, "line": None}]
    assert audit(sba)["quarantined"] == 1
    assert quarantined_rows("sba", first["fingerprint"])["rows"][0]["row"] == 2
    versions = [DeltaTable(path).version() for path in sorted((home / "lake" / "sba").iterdir())]
    migrate(sba)
    assert [DeltaTable(path).version() for path in sorted((home / "lake" / "sba").iterdir())] == versions
    again = ingest_file(sba, drop(as_csv(sba_loans({}, {"NoEmp": "9"})), "applications_b.csv"), bad_share(1.0))
    assert (again["added"], again["restated"]) == (1, 0)
    assert lake.read(lake.applications(sba), columns=["line"])["line"].to_pylist() == [None, 3]


def test_a_new_column_that_is_never_empty_is_refused_with_what_to_write_and_one_that_may_be_comes_in_empty(
        sba: Book, drop: Drop) -> None:
    ingest_file(sba, drop(as_csv(sba_loans({})), "applications.csv"), bad_share(1.0))
    employees = next(column for column in sba.applications if column.name == "employees")
    strict, lax = (sba.with_columns("applications", (*sba.applications, replace(
        employees, name="staff", source="Staff", nullable=nullable))) for nullable in (False, True))
    with pytest.raises(BadInput, match="staff is never empty.*got: 1 rows.*nullable=True"):
        migrate(strict)
    assert migrate(lax)["migrated"]["applications"] == 1
    assert lake.view(lake.applications(lax))["staff"].to_pylist() == [None]


def test_scores_of_before_nights_had_attempts_become_the_first_attempt_of_each_night(sba: Book, home: Path) -> None:
    day = date(2006, 3, 1)
    row = {"day": "2006-03-01", "as_of": day, "loan_id": "1", "applied_on": date(2006, 2, 3), "role": "champion",
           "model_version": "1", "snapshot_version": "s", "run_id": "r", "score": 0.3, "decision": "decline",
           "reasons": ["term"]}
    refused = {**row, "loan_id": "2", "score": None, "decision": "refused", "reasons": ["amount is missing"]}
    rows = [row, refused, {**row, "role": "challenger", "model_version": "2", "reasons": []}]
    write_deltalake(home / "lake" / "sba" / "scores", pa.Table.from_pylist(rows), partition_by=["day"])
    with pytest.raises(BadInput, match="tollgate ingest migrate sba"):
        lake.read(lake.scores("sba"))
    assert migrate(sba)["migrated"]["scores"] == 2
    one, two = lake.read(lake.scores("sba")).to_pylist()
    assert (one["status"], one["decision"], one["reasons"], one["attempt"]) == ("scored", "decline", ["term"], 1)
    assert (two["status"], two["decision"], two["refusal"]) == ("refused", None, "amount is missing")
    assert lake.read(lake.shadow_scores("sba"))["model_version"].to_pylist() == ["2"]
    (night,) = nights.publications("sba")
    assert (night.attempt.day, night.rows, night.scored, night.declined) == (day, 2, 1, 1)
    before = lake.version(lake.scores("sba"))
    migrate(sba)
    assert lake.version(lake.scores("sba")) == before
    with pytest.raises(Refused, match="attempt 1"):
        lake.publish_turn(lake.scores("sba"), night.attempt.night, 2, list, part="2006-03-01",
                          where="day = '2006-03-01'", check=_refuse)


def test_a_table_that_a_later_tollgate_wrote_is_refused_and_left_as_it_is(sba: Book, home: Path) -> None:
    path = home / "lake" / "sba" / "verdicts"
    rows = pa.table({"day": ["2009-03-01"], "conclusion": ["stable"]})
    DeltaTable.create(path, rows.schema, partition_by=["day"], configuration={"tollgate.format": "2"},
                      raise_if_key_not_exists=False)
    write_deltalake(path, rows, mode="append")
    with pytest.raises(BadInput, match="sba/verdicts is of format 2, which another Tollgate wrote"):
        migrate(sba)
    assert DeltaTable(path).to_pyarrow_table().to_pydict() == rows.to_pydict()


def test_what_the_table_performance_held_becomes_measures_of_no_rule(sba: Book, home: Path) -> None:
    row = {"day": "2009-03-01", "as_of": date(2009, 3, 1), "scored_as_of": date(2009, 3, 1), "model_version": "1",
           "rows": 90, "refused": 10, "labelled": None, "auc": None, "ks": None, "decline_rate": 0.2}
    matured = {**row, "scored_as_of": date(2007, 2, 1), "refused": None, "labelled": 80, "auc": 0.7, "ks": 0.3}
    table = lake.measures("sba")
    kept = {"day": "2009-03-01", "kind": "feature", "subject": "term", "metric": "psi", "value": 0.1}
    lake.replace_partitions(table, pa.Table.from_pylist([kept], table.schema), ["2009-03-01"])
    write_deltalake(home / "lake" / "sba" / "performance", pa.Table.from_pylist([matured, row]), partition_by=["day"])
    assert migrate(sba)["migrated"]["measures"] == 5
    found = {(row["metric"], row["segment"]): row for row in lake.read(table).to_pylist()}
    assert {key: (row["value"], row["n"]) for key, row in found.items() if row["kind"] != "feature"} == {
        ("decline_rate", None): (0.2, 90), ("refused_share", None): (0.1, 100),
        ("decline_rate", "scored 2007-02-01"): (0.2, 90), ("matured_auc", "scored 2007-02-01"): (0.7, 80),
        ("matured_ks", "scored 2007-02-01"): (0.3, 80)}
    assert found["psi", None]["value"] == 0.1, "what was there stays"
    assert all(row["reference"] is None for row in found.values())
    assert migrate(sba)["migrated"]["measures"] == 0 and lake.read(table).num_rows == 6


def _refuse(before: int | None, version: int) -> None:
    raise Refused(f"attempt {before} is published", value=version, remedy="none")
