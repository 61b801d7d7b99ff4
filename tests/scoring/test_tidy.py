"""Tidying: what was kept for long enough goes, what counts stays readable, and nothing is published twice."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pytest
from registry.world import BOOK
from scoring.nightly import KEY, NIGHT, ROWS, params_with, pin, score, scores
from tests.published import publish

from tollgate import lake, nights, registry, retention
from tollgate.books import load_book
from tollgate.config import Monitoring, load_retention, settings
from tollgate.errors import BadInput, Refused
from tollgate.monitoring.window import load_window
from tollgate.versioning import tidy_workspaces

DAY = 86_400


def _age(folder: Path, days: float) -> None:
    then = time.time() - days * DAY
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def _tidy(dry_run: bool = False) -> list[str]:
    return list(retention.tidy(load_book(BOOK), dry_run)["nights"])


def _folder(attempt: str = KEY) -> Path:
    return Path(settings().store) / "nights" / attempt


def test_a_night_that_counts_is_kept_for_as_long_as_params_say_and_then_its_rows_go(night: Path) -> None:
    score()
    before, kept = scores(), load_retention()
    _age(_folder(), kept.night_days - 1)
    assert _tidy() == []
    _age(_folder(), kept.night_days + 1)
    assert _tidy(dry_run=True) == [KEY] and len(list(_folder().iterdir())) > 5
    assert _tidy() == [KEY]
    assert [path.name for path in _folder().iterdir()] == ["claim.json"]
    assert _tidy() == []
    assert scores().equals(before) and nights.publications(BOOK)[0].rows == ROWS
    with pytest.raises(BadInput, match="Nothing is pinned for this attempt any more.*for how long is in params.yaml"):
        load_window(load_book(BOOK), NIGHT, _monitoring())
    with pytest.raises(BadInput, match="any more; what it published stays .*A backup of before"):
        pin()  # as its run does when it is cleared: to pin it is no remedy


def test_after_its_night_is_tidied_a_model_is_proved_by_its_evidence_and_the_night_is_not_published_again(
        night: Path) -> None:
    score()
    _age(_folder(), 1_000)
    _tidy()
    with pytest.raises(Refused, match="published already"):
        pin("other")
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")  # type: ignore[union-attr]
    assert registry.rollback(BOOK, "1", by="eve", reason="worse")["proof"]["source"] == "test evidence"


def test_an_attempt_that_does_not_count_goes_sooner(night: Path) -> None:
    score()
    registry.reopen(BOOK, NIGHT, "again", "once more", by="ann")
    second = score(pin("again"))["attempt"]
    failed = pin("failed", as_of=date(2006, 10, 2))["attempt"]
    for attempt in (KEY, second, failed):
        _age(_folder(attempt), load_retention().attempt_days + 1)
    assert _tidy() == [KEY, failed]
    assert lake.read(lake.superseded(BOOK)).num_rows == ROWS, "what was acted on is never lost"
    assert load_window(load_book(BOOK), NIGHT, _monitoring()).scores.num_rows == ROWS
    assert pin("failed", as_of=date(2006, 10, 2))["attempt"] == failed, "its run may still come to its end"


def test_an_attempt_that_somebody_works_on_is_young_however_old_its_claim(night: Path) -> None:
    pin()
    _age(_folder(), 1_000)
    (_folder() / "scores-0.parquet").write_bytes(b"")
    assert _tidy() == []


def test_small_files_are_put_together_and_no_row_changes(night: Path) -> None:
    book = load_book(BOOK)
    last = lake.view(lake.applications(book)).slice(0, 1).to_pylist()[0]
    publish(book, "applications", [{**last, "loan_id": "one more"}], number=2)
    table, before = lake.applications(book), lake.view(lake.applications(book))
    pinned = lake.version(table)
    assert retention.tidy(book)["files_fewer"]["applications"] == 1
    assert lake.view(table).equals(before) and lake.view(table, at=pinned).equals(before)
    told = lake.version(table)
    assert "applications" not in retention.tidy(book)["files_fewer"]
    assert lake.version(table) == told > pinned
    assert score()["rows"] == ROWS


def test_this_machines_copy_of_an_old_training_run_goes_and_a_young_one_stays(home: Path) -> None:
    for name, days in (("old", 100), ("young", 10)):
        folder = settings().data / "workspaces" / name / "run"
        folder.mkdir(parents=True)
        (folder / "snapshot.json").write_text("{}")
        _age(folder.parent, days)
    assert tidy_workspaces(time.time(), 90, dry_run=True) == ["old"]
    assert tidy_workspaces(time.time(), 90) == ["old"]
    assert [path.name for path in (settings().data / "workspaces").iterdir() if path.name[0] != "."] == ["young"]


def test_a_training_run_is_as_old_as_its_files_wherever_its_link_to_the_code_leads(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new code").mkdir()
    for name, code in (("moved", tmp_path / "no longer there"), ("updated", tmp_path / "new code")):
        folder = settings().data / "workspaces" / name
        folder.mkdir(parents=True)
        (folder / "include").symlink_to(code, target_is_directory=True)
        os.utime(folder / "include", (0, 0), follow_symlinks=False)
        os.utime(folder, (0, 0))
    assert tidy_workspaces(time.time(), 90) == ["moved", "updated"]
    assert (tmp_path / "new code").is_dir()


def _monitoring() -> Monitoring:
    return params_with().monitoring


def test_a_file_of_scores_that_no_commit_names_goes_when_it_is_a_day_old(night: Path) -> None:
    score()
    before, folder = scores(), Path(settings().lake) / BOOK / "scores" / f"day={NIGHT}"
    own = sorted(folder.iterdir())
    assert len(own) == 2, "a file a shard"
    stray = folder / "part-of-a-publication-that-was-killed.parquet"
    stray.write_bytes(own[0].read_bytes())
    book = load_book(BOOK)
    assert retention.tidy(book)["strays"] == [], "it may be one that a run is about to commit"
    _age(folder, 2)
    told = [f"{BOOK}/scores/day={NIGHT}/{stray.name}"]
    assert retention.tidy(book, dry_run=True)["strays"] == told and stray.exists()
    assert retention.tidy(book)["strays"] == told and not stray.exists()
    assert scores().equals(before) and set(own) <= set(folder.iterdir())
