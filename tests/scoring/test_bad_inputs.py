"""Bad input of a night: a full disk, a clock that was set back, a lake whose columns are not what the book says."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from registry.world import BOOK
from scoring.nightly import KEY, NIGHT, ROWS, files, pin, score, score_shards, scores, versions

from tollgate import lake, nights, registry, scoring
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused

YEAR = 365 * 86_400


@contextmanager
def full_disk(at: int = 1_024) -> Iterator[None]:
    """No file grows beyond so many bytes: the kernel stops the write midway, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_at_any_step_is_a_passing_fault_and_the_next_try_publishes_every_row_once(
        night: Path) -> None:
    before = versions()
    with full_disk(), pytest.raises(PassingFault):
        pin()
    assert nights.publications(BOOK) == [] and not nights.was_pinned(nights.attempt_of(KEY))
    pinned = pin()
    with full_disk(), pytest.raises(PassingFault, match="disk"):
        score_shards(pinned)
    assert nights.read_shard(nights.attempt_of(KEY), 0) is None
    assert not [name for name in files() if name.endswith(".part")]
    score_shards(pinned)
    with full_disk(), pytest.raises(PassingFault, match="disk"):
        scoring.publish(KEY)
    assert versions() == before and scores().num_rows == 0 and nights.publications(BOOK) == []
    assert scoring.publish(KEY)["rows"] == ROWS == scores().num_rows == len(set(scores()["loan_id"].to_pylist()))


def _set_back(patch: pytest.MonkeyPatch) -> None:
    """What was written was written in the future, by the clock of now."""
    now = time.time
    patch.setattr(time, "time", lambda: now() - 2 * YEAR)
    for path in (Path(settings().store) / "nights").rglob("*"):
        os.utime(path, (now() + YEAR, now() + YEAR))


def test_a_clock_that_is_set_back_changes_no_row_and_lets_no_older_attempt_in(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score()
    undisturbed, kept = scores(), files()
    registry.reopen(BOOK, NIGHT, "again", "once more", by="ann")
    second = pin("again")
    assert second["attempt"].endswith("/2")
    _set_back(monkeypatch)
    monkeypatch.setenv("TOLLGATE_TODAY", "2001-01-01")
    assert pin("again")["attempt"] == second["attempt"], "its claim is older than now, whatever the clock says"
    assert score(second)["replaces"] == 1
    _set_back(monkeypatch)
    with pytest.raises(Refused, match="attempt 2, a newer one, is published"):
        scoring.publish(KEY)
    assert nights.claim(BOOK, nights.NEW, NIGHT, "third").number == 3
    assert files() == kept
    assert scores().drop_columns(["attempt", "run_id"]).equals(undisturbed.drop_columns(["attempt", "run_id"]))


def _retype(kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.column_names.index("credit_score")
        return rows.set_column(at, "credit_score", rows["credit_score"].cast(kind))

    return change


def _rename(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["fico" if name == "credit_score" else name for name in rows.column_names])


@pytest.mark.parametrize(("change", "said"), [
    (_rename, "lacks the columns credit_score"),
    (lambda rows: rows.drop_columns("credit_score"), "lacks the columns credit_score"),
    (_retype(pa.string()), "credit_score is string, not long"),
    (_retype(pa.float64()), "credit_score is double, not long"),
], ids=["renamed", "missing", "text", "fraction"])
def test_a_column_that_is_not_what_the_book_says_is_named_and_nothing_is_pinned(
        night: Path, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    table = lake.applications(load_book(BOOK))
    rows: Any = change(lake.read(table))
    write_deltalake(f"{settings().lake}/{BOOK}/applications", rows, mode="overwrite", schema_mode="overwrite",
                    partition_by=["month"])
    with pytest.raises(BadInput, match=f"{BOOK}/applications.*{said}") as told:
        pin()
    assert told.value.remedy
    assert nights.publications(BOOK) == [] and not nights.was_pinned(nights.attempt_of(KEY))
