"""What was learned later, or put right later, does not change what a run stood on: through files, lake and stages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lender import as_csv, bad_share
from published import publish
from training.conftest import changed

from tollgate import ingest, lake, stages
from tollgate.books import Book
from tollgate.books.shipped import consumer
from tollgate.config import Params, settings
from tollgate.lake import Store

FEBRUARY, APRIL = date(2007, 2, 1), date(2007, 4, 1)
APPLIED, IN_TIME, TOO_LATE = date(2004, 6, 10), date(2005, 3, 1), date(2006, 9, 1)  # the horizon ends in June 2006
MADE = ("lake.json", "snapshot.parquet", "snapshot.json", "features.parquet", "split.parquet")


@pytest.fixture
def world(home: Path, settle: Callable[[Path], Path], params: Params, receive: Callable[..., None]) -> Params:
    """Simulated loans of 2003 to 2007 with their outcomes, ingested; and parameters that are content with so few."""
    settle(home)
    sent = consumer.simulate(seed=8, rows_a_month=40, last_month="2007-04")
    for table in consumer.TABLES:
        rows = sent.select([column.source for column in table.columns])
        day = next(column.source for column in table.columns if column.name == table.told[0])
        receive(f"{table.name}_2003-01_2009-12.parquet", rows.filter(pc.is_valid(rows[day])))
    return changed(params, snapshot={"min_rows": 100, "min_defaults": 10}).model_copy(update={"as_of": FEBRUARY})


@pytest.fixture
def receive(book: Book) -> Callable[..., None]:
    """Land a file, a table or rows spelled as text, and ingest it."""

    def take(name: str, rows: pa.Table | list[dict[str, str]]) -> None:
        sink = pa.BufferOutputStream()
        if isinstance(rows, pa.Table):
            pq.write_table(rows, sink)
        content = sink.getvalue().to_pybytes() if isinstance(rows, pa.Table) else as_csv(rows)
        Store(settings().landing).write(f"{book.name}/{name}", content)
        # A month that puts a year's outcomes right is as large as no month before it.
        ingest.ingest_file(book, name, bad_share(0.02).model_copy(update={"rows_ratio_max": 1000.0}))

    return take


def told(loan: str, known: date, defaulted: date | None) -> dict[str, str]:
    """One line of an outcomes file."""
    return {"loan_id": loan, "reported_date": known.isoformat(),
            "default_date": "" if defaulted is None else defaulted.isoformat()}


def run(folder: Path, params: Params, *, pin: bool = True) -> dict[str, bytes]:
    """The files of the first stages; with ``pin=False`` of the pin that the folder already has."""
    if pin:
        stages.pin(folder, params)
    for stage in ("snapshot", "features", "split"):
        stages.STAGES[stage](folder, params)
    return {name: (folder / name).read_bytes() for name in MADE}


def test_a_future_that_is_added_to_altered_or_deleted_changes_no_byte(world: Params, book: Book, tmp_path: Path,
                                                                      receive: Callable[..., None]) -> None:
    before = run(tmp_path / "before", world)
    window = lake.read(lake.applications(book), filters=[("applied_on", "<", date(2005, 2, 1))])["loan_id"]

    receive("outcomes_2007-02_2007-05.csv",
            [told(loan, FEBRUARY if k % 3 else date(2007, 5, 3), None if k % 2 else date(2005, 2, 1))
             for k, loan in enumerate(window.to_pylist())])
    assert run(tmp_path / "added", world) == before

    def doubled(rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("loan_amount")
        return rows.set_column(place, "loan_amount", pc.multiply(rows["loan_amount"], 2))

    def withdrawn(rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("defaulted_on")
        return rows.set_column(place, "defaulted_on", pa.nulls(rows.num_rows, pa.date32()))

    for table, altered in ((lake.applications(book), doubled), (lake.outcomes(book), withdrawn)):
        months = [month for month in lake.partitions(table) if month >= "2007-02"]
        assert months
        for what, change in (("altered", altered), ("deleted", lambda rows: rows.slice(0, 0))):
            lake.change_partitions(table, months, change)
            assert run(tmp_path / f"{what}-{table.name}", world) == before


# Statements on one loan in the order in which they came, and its label as of February and as of April.
CASES = {
    "a default that is withdrawn": ([(IN_TIME, IN_TIME), (date(2007, 3, 9), None)], 1, 0),
    "a default withdrawn long ago and told again": (
        [(IN_TIME, IN_TIME), (date(2005, 9, 1), None), (date(2007, 3, 9), IN_TIME)], 0, 1),
    "a default told after its horizon": ([(date(2007, 3, 9), IN_TIME)], 0, 1),
    "a date moved out of the horizon": ([(IN_TIME, IN_TIME), (date(2007, 3, 9), None), (date(2007, 3, 10), TOO_LATE)],
                                        1, 0),
    "another event after the horizon": ([(IN_TIME, IN_TIME), (date(2007, 3, 9), TOO_LATE)], 1, 1),
    "a date moved into the horizon": ([(TOO_LATE, TOO_LATE), (date(2007, 3, 9), IN_TIME)], 0, 1),
    "the same default told anew": ([(IN_TIME, IN_TIME), (date(2007, 3, 9), IN_TIME)], 1, 1),
    # The same report said otherwise is known on the day on which it came: long after these as-ofs.
    "a default and its withdrawal of one day": ([(IN_TIME, IN_TIME), (IN_TIME, None)], 1, 1),
    "a withdrawal and a default of one day": ([(IN_TIME, None), (IN_TIME, IN_TIME)], 0, 0),
    "a correction of the last day before February": ([(IN_TIME, IN_TIME), (date(2007, 1, 31), None)], 0, 0),
    "a correction of the first of February": ([(IN_TIME, IN_TIME), (FEBRUARY, None)], 1, 0),
    "an older statement that comes last": ([(date(2005, 9, 1), None), (IN_TIME, IN_TIME)], 0, 0),
}


def test_a_correction_counts_from_the_day_on_which_it_is_known(world: Params, book: Book, tmp_path: Path,
                                                               receive: Callable[..., None]) -> None:
    rows = [{**row, "loan_id": case, "applied_on": APPLIED} for case, row in zip(
        CASES, lake.view(lake.applications(book)).slice(0, len(CASES)).to_pylist(), strict=True)]
    publish(book, "applications", rows, number=100)
    publish(book, "decisions", [{"loan_id": case, "decided_on": APPLIED, "decision": "approved", "booked_on": APPLIED}
                                for case in CASES], number=101)
    for turn in range(3):
        receive(f"outcomes_2003-01_2007-0{3 + turn}.csv", [
            told(case, *statements[turn]) for case, (statements, _, _) in CASES.items() if turn < len(statements)])
    for as_of, place in ((FEBRUARY, 1), (APRIL, 2)):
        run(tmp_path / f"{as_of}", world.model_copy(update={"as_of": as_of}))
        found = pq.read_table(tmp_path / f"{as_of}" / "snapshot.parquet", columns=["loan_id", "label"]).to_pylist()
        labels = {row["loan_id"]: row["label"] for row in found}
        assert {case: labels[case] for case in CASES} == {case: expected[place] for case, expected in CASES.items()}


def test_a_late_file_about_the_past_changes_a_new_pin_and_not_one_that_was_made(
        world: Params, book: Book, tmp_path: Path, receive: Callable[..., None]) -> None:
    before = run(tmp_path / "february", world)
    known = lake.read(lake.outcomes(book), filters=[("known_on", "<", date(2005, 2, 1))]).slice(0, 9).to_pylist()
    # The same keys with another content, statements that are new, and a loan that nobody had told of.
    receive("outcomes_2003-01_2007-02.csv", [told(row["loan_id"], row["known_on"], None) for row in known[:5]]
            + [told(row["loan_id"], date(2007, 1, 15), None) for row in known[5:]])
    sent = consumer.simulate(seed=9, rows_a_month=2, first_month="2004-06", last_month="2004-06").select(
        [column.source for column in consumer.APPLICATIONS])
    receive("applications_2004-06.parquet", sent)
    for name in MADE[1:]:
        (tmp_path / "february" / name).unlink()
    assert run(tmp_path / "february", world, pin=False) == before
    after = run(tmp_path / "april", world)
    assert {name for name in MADE if after[name] != before[name]} == set(MADE)
