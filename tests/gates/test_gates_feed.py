"""What the data gate makes of the feed of outcomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollgate import lake
from tollgate.gates import Verdict

from .conftest import Run, feed

Change = Callable[[pa.Table], pa.Table]


def judged(run: Run, change: Change) -> Verdict:
    """The data gate where the feed was so."""
    counted = feed(run.params, run.rows("snapshot"), change)
    run.write("feed", counted)
    run.edit("snapshot.json", feed=lake.digest(counted))
    return run.verdict("data")


def put(told: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return told.set_column(told.column_names.index(name), name, values)


def moved(told: pa.Table, name: str, days: np.ndarray | int) -> pa.Table:
    return put(told, name, pa.array(told[name].to_numpy().astype("datetime64[D]") + days))


def test_a_whole_feed_passes(run: Run) -> None:
    verdict = judged(run, lambda told: told)
    assert verdict.verdict == "pass", verdict.sentence


def test_a_feed_that_stopped_is_refused_with_the_newest_outcome_known(run: Run) -> None:
    """L3."""
    verdict = judged(run, lambda told: told.filter(pc.less(told["reported_on"], date(2006, 6, 1))))
    assert verdict.verdict == "refuse"
    assert "the newest outcome known is of 2006-05-30, 216 days before 2007-01-01" in verdict.sentence
    assert "the feed of outcomes has stopped" in verdict.sentence


def test_a_feed_of_which_a_third_arrives_is_refused(run: Run) -> None:
    def thin(told: pa.Table) -> pa.Table:
        lost = np.random.default_rng(1).random(told.num_rows) > 0.3
        return told.filter(pa.array(~(lost & (told["reported_on"].to_numpy() >= np.datetime64("2006-07-01")))))

    verdict = judged(run, thin)
    assert verdict.verdict == "refuse"
    assert "loans became known as bad where the months before let expect" in verdict.sentence


def test_outcomes_whose_numbers_lost_a_zero_are_refused_with_how_many_would_fit(run: Run) -> None:
    """L5."""
    def strip(told: pa.Table) -> pa.Table:
        lower = pa.array([loan.lower() if place < 100 else loan
                          for place, loan in enumerate(told["loan_id"].to_pylist())])
        return put(told, "loan_id", lower)

    verdict = judged(run, strip)
    assert verdict.verdict == "refuse"
    assert "100 of" in verdict.sentence
    assert "100 of them are but for zeros in front, blanks or case" in verdict.sentence


def test_one_stray_outcome_is_a_warning(run: Run) -> None:
    verdict = judged(run, lambda told: pa.concat_tables([told, put(told.slice(0, 1), "loan_id", pa.array(["X1"]))]))
    assert verdict.verdict == "pass"
    assert "1 of" in verdict.sentence
    assert "are in no application" in verdict.sentence


def test_defaults_before_the_application_are_refused(run: Run) -> None:
    """L6."""
    early = np.where(np.arange(20_000) % 50 == 0, 2_000, 0)
    verdict = judged(run, lambda told: moved(told, "defaulted_on", -early[:told.num_rows]))
    assert verdict.verdict == "refuse"
    assert "went bad before they were booked" in verdict.sentence


def test_a_stated_lag_that_is_too_short_is_refused_with_the_lag_that_would_do(run: Run) -> None:
    """L4."""
    verdict = judged(run, lambda told: moved(told, "reported_on", 75))
    assert verdict.verdict == "refuse"
    assert "state lag_days=75 in the book's Target" in verdict.sentence


def test_counts_that_were_changed_after_the_snapshot_are_refused(run: Run) -> None:
    counted = run.rows("feed")
    run.write("feed", put(counted, "count", pc.add(counted["count"], 1)))
    assert "feed.parquet is not what snapshot.json describes" in run.verdict("data").sentence


def test_counts_that_cannot_be_those_of_the_snapshot_are_refused(run: Run) -> None:
    loans = run.rows("snapshot")
    counted = feed(run.params, loans.slice(0, loans.num_rows // 2))
    run.write("feed", counted)
    run.edit("snapshot.json", feed=lake.digest(counted))
    assert f"the snapshot holds {loans.num_rows:,} loans that were booked" in run.verdict("data").sentence


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PAR1")])
def test_a_run_without_counts_of_its_feed_is_refused(run: Run, spoil: Callable) -> None:
    spoil(run.folder / "feed.parquet")
    verdict = run.verdict("data")
    assert verdict.verdict == "refuse"
    assert "feed.parquet" in verdict.sentence
    assert "snapshot stage" in verdict.sentence
