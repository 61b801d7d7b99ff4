"""Erasing a loan from what a lender sent: in every format, with its past, so that no file brings it back."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import zipfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lender import as_csv, as_json_lines, as_parquet, bad_share, consumer_loans, instalment_loans
from tests.ingest.test_personal_data import MARK
from tests.processes import PROCESSES, die_before, move_to, places
from tests.scored import publish_night

from tollgate import erasure, incidents, lake, nights, registry, requests
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.features import make_features
from tollgate.ingest import audit, ingest_file, new_files, quarantined_loan, release, take_in
from tollgate.monitoring import acknowledge

Drop = Callable[..., str]
BOOK, LOAN, WHY = "consumer", "LOAN2", "request 17"
ROWS = consumer_loans(*({"loan_id": f"LOAN{i}", "applicant_name": f"{MARK} {i}", "credit_score": f"70{i}"}
                        for i in range(1, 6)))


def zipped(content: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr(name, content)
    return buffer.getvalue()


FILES = {"applications_a.csv": as_csv(ROWS), "applications_a.csv.gz": gzip.compress(as_csv(ROWS)),
         "applications_a.jsonl": b"\n" + as_json_lines(ROWS), "applications_a.parquet": as_parquet(ROWS),
         "applications_a.zip": zipped(as_csv(ROWS), "inside.csv")}


def erase(*loans: str, book: str = BOOK, **how: Any) -> dict[str, Any]:
    return erasure.erase(load_book(book), loans, WHY, by="ann", **how)


def rows_of(name: str, book: str = BOOK) -> str:
    """What stands in a landed file, unpacked."""
    content = (Path(settings().landing) / book / name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            content = packed.read(packed.namelist()[0])
    return str(pq.read_table(io.BytesIO(content)).to_pylist()) if name.endswith(".parquet") else content.decode()


def told_in(home: Path) -> str:
    """All that any file under a folder says, Parquet read."""
    return "\n".join(str(pq.read_table(path, partitioning=None).to_pylist()) if path.suffix == ".parquet"
                     else path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file())


def versions(book: str = BOOK) -> list[dict[str, Any]]:
    return lake.read(lake.applications(load_book(book))).to_pylist()


@pytest.mark.parametrize("name", FILES)
def test_a_loan_goes_from_its_file_and_its_name_with_it_and_every_other_row_keeps_its_line(
        name: str, home: Path, drop: Drop) -> None:
    book = load_book(BOOK)
    drop(FILES[name], name, BOOK)
    ingest_file(book, name, bad_share(1.0))
    lines = {row["loan_id"]: row["line"] for row in versions()}
    told = erase(LOAN)
    assert told["landing"] == {name: 1} and told["rows"] == {"applications": 1} and told["still_holds"] == []
    content = rows_of(name)
    assert f"{MARK} 2" not in content and "LOAN2" not in content
    assert all(f"{MARK} {i}" in content for i in (1, 3, 4, 5))
    assert {row["loan_id"]: row["line"] for row in versions()} == {k: v for k, v in lines.items() if k != LOAN}
    if not name.endswith((".gz", ".zip")):
        assert LOAN not in told_in(home / "lake") + told_in(home / "store")


@pytest.mark.parametrize("name", FILES)
def test_neither_the_rewritten_file_nor_the_one_that_came_before_brings_the_loan_back(
        name: str, home: Path, drop: Drop) -> None:
    book = load_book(BOOK)
    drop(FILES[name], name, BOOK)
    take_in(book, bad_share(1.0))
    erase(LOAN)
    before = versions()
    assert new_files(BOOK) == []
    assert ingest_file(book, name, bad_share(1.0))["new"] is False
    drop(FILES[name], name, BOOK)  # sent once more
    assert new_files(BOOK) == [] and ingest_file(book, name, bad_share(1.0))["new"] is False
    assert versions() == before
    audit(book)
    assert erase(LOAN)["landing"] == {name: 1}


def test_what_a_failed_task_or_a_person_said_of_a_loan_stays_without_its_name(home: Path, drop: Drop) -> None:
    drop(FILES["applications_a.csv"], "applications_a.csv", BOOK)
    take_in(load_book(BOOK), bad_share(1.0))
    event, day = f"failed:score_nightly__{BOOK}.publish", date(2006, 3, 1)
    incidents.begin(BOOK, event, day, "3 loan(s) are not pinned in the scores (got: LOAN1, LOAN2, LOAN22). Score again")
    acknowledge(BOOK, event, "LOAN2 is a test of ours", "ann")
    requests.ask(BOOK, day, "ann asks: LOAN2 has another income by now", expiry_days=30)
    assert erase(LOAN, dry_run=True)["rows"] == erase(LOAN)["rows"] == {
        "incidents": 1, "acknowledgements": 1, "requests": 1, "applications": 1}
    (line,) = incidents.lives(BOOK)[0]
    assert line["message"] == "3 loan(s) are not pinned in the scores (got: LOAN1, (erased), LOAN22). Score again"
    assert re.search(r"LOAN2(?!2)", told_in(home / "lake")) is None, "neither now nor in the past of a table"
    assert incidents.end(BOOK, [event], day)["ended"] == [event]


def test_several_loans_go_at_once_and_one_that_nobody_knows_is_no_fault(home: Path, drop: Drop) -> None:
    drop(FILES["applications_a.csv"], "applications_a.csv", BOOK)
    take_in(load_book(BOOK), bad_share(1.0))
    assert erase("LOAN1", "LOAN5", "NOBODY")["rows"] == {"applications": 2}
    assert [row["loan_id"] for row in versions()] == ["LOAN2", "LOAN3", "LOAN4"]
    with pytest.raises(BadInput, match="needs the id of a loan"):
        erase(" ")


def test_a_quarantined_row_keeps_its_place_and_its_rule_and_nothing_of_what_it_said(home: Path, drop: Drop) -> None:
    book = load_book(BOOK)
    rows = [*ROWS, {**ROWS[0], "loan_id": "LOAN9", "credit_score": "bad"}, {**ROWS[0], "loan_id": LOAN}]
    drop(as_csv(rows), "applications_a.csv", BOOK)
    ingest_file(book, "applications_a.csv", bad_share(1.0))
    assert len(quarantined_loan(book, LOAN)) == 1
    told = erase(LOAN)
    assert told["rows"] == {"applications": 1, "quarantine": 1} and told["landing"] == {"applications_a.csv": 2}
    assert quarantined_loan(book, LOAN) == [] and len(quarantined_loan(book, "LOAN9")) == 1
    left = lake.read(lake.quarantine(BOOK)).to_pylist()
    assert sorted((line["row"], line["rule"], line["value"] is None) for line in left) == [
        (6, "not_an_integer", False), (7, "duplicate", True)]
    assert LOAN not in told_in(home)
    assert audit(book)["quarantined"] == 2
    fingerprint = left[0]["fingerprint"]
    assert release(book, fingerprint, "ann", "looked at again")["released"] == 0


@pytest.mark.parametrize("spelling", ["LOAN2\u200b", "\ufeffLOAN2", "LOAN2\u00a0 "])
def test_a_quarantined_row_is_found_by_its_loan_whatever_nobody_sees_stands_around_it(spelling: str, home: Path,
                                                                                      drop: Drop) -> None:
    book = load_book(BOOK)
    drop(as_csv([ROWS[0], {**ROWS[1], "loan_id": spelling, "credit_score": "bad"}]), "applications_a.csv", BOOK)
    ingest_file(book, "applications_a.csv", bad_share(1.0))
    assert [line["rule"] for line in quarantined_loan(book, LOAN)] == ["not_an_integer"]
    assert erase(LOAN)["rows"] == {"quarantine": 1}
    assert LOAN not in told_in(home)


def test_a_line_that_is_no_row_goes_where_it_names_the_loan_and_one_that_runs_on_goes_whole(
        home: Path, drop: Drop) -> None:
    good = as_csv(ROWS)
    torn = b"LOAN2,torn\r\nLOAN22,torn\r\n" + b'LOAN2,2006-02-28,P1,"O Person\r\nof this street",700\r\n'
    drop(good + torn, "applications_a.csv", BOOK)
    ingest_file(load_book(BOOK), "applications_a.csv", bad_share(1.0))
    assert erase(LOAN)["landing"] == {"applications_a.csv": 4}
    content = rows_of("applications_a.csv")
    assert "LOAN22,torn" in content and "street" not in content and len(content.splitlines()) == 10
    audit(load_book(BOOK))


def test_a_file_that_waits_is_rewritten_and_then_taken_in_without_the_loan(home: Path, drop: Drop) -> None:
    drop(FILES["applications_a.csv"], "applications_a.csv", BOOK)
    erase(LOAN)
    assert [file["name"] for file in new_files(BOOK)] == ["applications_a.csv"]
    take_in(load_book(BOOK), bad_share(1.0))
    assert [row["loan_id"] for row in versions()] == ["LOAN1", "LOAN3", "LOAN4", "LOAN5"]


def test_what_it_cannot_rewrite_it_names(home: Path, drop: Drop) -> None:
    from workbook import workbook

    drop(workbook({"Sheet1": [list(ROWS[0]), *([*row.values()] for row in ROWS)]}), "applications_a.xlsx", BOOK)
    drop(b"a note about LOAN2 of the street", "note.md", BOOK)
    drop(b"a note about LOAN22", "other.md", BOOK)
    told = erase(LOAN)
    assert [said.split(" in landing")[0] for said in told["still_holds"]] == ["applications_a.xlsx", "note.md"]


def test_the_log_of_a_table_forgets_the_values_of_a_file_of_one_row(home: Path, drop: Drop) -> None:
    book = load_book(BOOK)
    drop(as_csv([ROWS[1]]), "applications_a.csv", BOOK)
    drop(as_csv([ROWS[0]]), "applications_b.csv", BOOK)
    take_in(book, bad_share(1.0))
    log = home / "lake" / BOOK / "applications" / "_delta_log"
    assert LOAN in told_in(log)
    erase(LOAN)
    assert LOAN not in told_in(log) and "LOAN1" in told_in(log)
    assert [row["loan_id"] for row in versions()] == ["LOAN1"]


def test_a_checkpoint_of_the_log_is_made_anew(home: Path, drop: Drop) -> None:
    from deltalake import DeltaTable

    drop(FILES["applications_a.csv"], "applications_a.csv", BOOK)
    take_in(load_book(BOOK), bad_share(1.0))
    place = home / "lake" / BOOK / "applications"
    DeltaTable(str(place)).create_checkpoint()
    erase("LOAN1")
    assert "LOAN1" not in told_in(place)
    assert len(versions()) == 4 and len(list((place / "_delta_log").glob("*.checkpoint.parquet"))) == 1


def test_the_histories_of_a_loan_go_with_it_unless_they_are_of_another_loan_too(home: Path, drop: Drop) -> None:
    book = load_book("instalment")
    loans = instalment_loans({"customer_id": "P1"}, {"customer_id": "P2"}, {"customer_id": "P2"})
    drop(as_csv(loans), "applications_a.csv", "instalment")
    bureau = next(of for of in book.tables if of.name == "bureau")
    lines = [{column.source: value for column, value in ((c, _cell(c, i)) for c in bureau.columns)} for i in (1, 2)]
    drop(as_csv(lines), "bureau_a.csv", "instalment")
    take_in(book, bad_share(1.0))
    table = lake.published(book, "bureau")
    assert lake.count(table) == 2
    assert erase("I1", book="instalment")["rows"] == {"applications": 1, "bureau": 1}
    told = erase("I2", book="instalment")
    assert told["rows"] == {"applications": 1} and "whom other loans are of too" in told["still_holds"][0]
    assert erase("I3", book="instalment")["rows"] == {"applications": 1, "bureau": 1}
    assert lake.count(table) == 0


def test_a_file_of_before_the_book_had_a_column_is_looked_into_as_well(home: Path, drop: Drop) -> None:
    book = load_book("instalment")
    loans = instalment_loans({"loan_id": "LOAN-1", "customer_id": "P1"}, {"loan_id": "LOAN-2", "customer_id": "P2"})
    drop(as_csv(loans), "applications_a.csv", "instalment")
    take_in(book, bad_share(1.0))
    table = lake.applications(book)
    rows = lake.read(table)
    lake.rewrite(table, lambda now: now.drop_columns("applicant_id"))
    lake.rewrite(table, lambda _: rows)  # as a migration adds it
    assert erase("LOAN-1", book="instalment")["past"]["applications"] == 3
    assert "LOAN-1" not in told_in(home / "lake") and lake.read(table)["loan_id"].to_pylist() == ["LOAN-2"]


def _cell(column: Any, person: int) -> str:
    """A cell of a good row of the bureau."""
    if column.name == "applicant_id":
        return f"P{person}"
    if column.kind == "date":
        return "2005-01-31" if column.name == "reported_on" else "2004-01-31"
    return column.isin[0] if column.isin else f"{person}"


def test_erasing_on_an_object_store_is_the_same(anywhere: str, drop: Drop) -> None:
    book = load_book(BOOK)
    drop_to = lake.Store(settings().landing)
    drop_to.write(f"{BOOK}/applications_a.csv", FILES["applications_a.csv"])
    take_in(book, bad_share(1.0))
    told = erase(LOAN)
    assert told["rows"] == {"applications": 1} and told["landing"] == {"applications_a.csv": 1}
    for root in (settings().lake, settings().landing, settings().store):
        store = lake.Store(root)
        for entry in store.list(""):
            content = store.read(entry.path)
            text = str(pq.read_table(io.BytesIO(content)).to_pylist()) if content[:4] == b"PAR1" else content.decode()
            assert LOAN not in text, entry.path
    assert erase(LOAN)["ledger"] is None
    assert registry.verify(BOOK)["entries"] == 2
    assert json.dumps(registry.entries(BOOK)).count(WHY) == 2


KILLED_AT = ((lake.Store, "write"), (lake.Store, "delete"), (lake, "change_rows"), (lake, "change_partitions"),
             (lake, "replace_partitions"), (lake, "append_next"))


def test_after_an_erasure_was_cut_off_other_loans_wait_until_it_is_finished(
        home: Path, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    book = load_book(BOOK)
    drop(as_csv(ROWS), "applications_a.csv", BOOK)
    take_in(book, bad_share(1.0))
    night = publish_night(book, date(2006, 3, 1), lake.view(lake.applications(book)), np.linspace(0, 1, 5), 0.5)
    write = lake.Store.write

    def cut_off(store: lake.Store, path: str, content: bytes) -> None:
        if path.endswith("rows-0.parquet"):  # features and scores are written already
            raise KeyboardInterrupt
        write(store, path, content)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(lake.Store, "write", cut_off)
        erase(LOAN)
    with pytest.raises(BadInput, match="other loans was cut off.*LOAN2.*tollgate erase consumer LOAN2 --reason"):
        erase("LOAN4")
    assert erase("LOAN4", dry_run=True)["nights"] == {str(night): 1}
    assert len(registry.open_erasures(BOOK)) == 1, "nobody else's erasure closes it"
    assert erase(LOAN)["still_holds"] == [] == registry.open_erasures(BOOK)
    assert erase("LOAN4")["still_holds"] == []
    pinned = nights.read_pin(night)
    assert nights.read_scored(pinned, 0)["loan_id"] == nights.read_population(pinned, 0)["loan_id"]
    made = make_features(book, nights.read_population(pinned, 0))
    assert nights.read_features(pinned, 0).equals(made), "each row of features is of its own loan"
    assert "LOAN2" not in told_in(home) and "LOAN4" not in told_in(home)


def erase_and_die(where: Mapping[str, str], nth: int) -> None:
    """Erase the loan, and be killed before the ``nth`` write."""
    move_to(where)
    die_before(KILLED_AT, nth)
    erase(LOAN)
    os._exit(0)


def test_whoever_is_killed_at_any_write_runs_it_again_and_nothing_is_left(
        home: Path, drop: Drop, tmp_path: Path) -> None:
    book = load_book(BOOK)
    drop(as_csv([*ROWS, {**ROWS[1], "credit_score": "bad"}]), "applications_a.csv", BOOK)
    take_in(book, bad_share(1.0))
    night = publish_night(book, date(2006, 3, 1), lake.view(lake.applications(book)), np.linspace(0, 1, 5), 0.5)
    kept = Path(shutil.copytree(home, tmp_path / "kept"))
    nth, died = 0, True
    while died:
        nth += 1
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        child = PROCESSES.Process(target=erase_and_die, args=(places(), nth))
        child.start()
        child.join()
        died = child.exitcode == -signal.SIGKILL
        assert died or child.exitcode == 0
        assert erase(LOAN)["still_holds"] == [], nth
        assert LOAN not in told_in(home), nth
        registry.verify(BOOK)
        assert registry.open_erasures(BOOK) == [], nth
        audit(book)
        assert new_files(BOOK) == [], nth
        pinned = nights.read_pin(night)
        assert (pinned.rows, pinned.erased) == (4, 1)
        assert nights.read_scored(pinned, 0).num_rows == nights.read_features(pinned, 0).num_rows == 4
        assert nights.publications(BOOK)[0].rows == 4
    assert nth > 20
