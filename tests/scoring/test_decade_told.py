"""The decade in short: two nights of a small book, monitored, and what its page reads of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from benchmarks import decade_told
from benchmarks.decade_page import page
from registry.world import BOOK
from scoring.nightly import NIGHT, ROWS, pin, score, scores

from tollgate import monitoring, registry
from tollgate.books import load_book
from tollgate.config import load_params

LATER = date(2006, 11, 1)


def go_through(day: date) -> None:
    """A night and its monitoring."""
    score(pin(as_of=day, run=f"night-{day}"))
    for step in ("drift", "performance", "guard", "verdict"):
        getattr(monitoring, f"{step}_step")(load_book(BOOK), day, load_params(book=BOOK))


def test_a_replay_is_told_from_its_tables_with_the_first_champion_and_the_former_on_the_same_loans(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_through(NIGHT)
    challenger = registry.challenger(BOOK)
    assert challenger is not None
    monkeypatch.setenv("TOLLGATE_TODAY", "as-of")
    registry.promote(BOOK, challenger.version, challenger.digest, by="ann", comment="better")
    go_through(LATER)
    told = decade_told.told(BOOK)
    first, second = told["nights"]
    assert [(one["day"], one["version"], one["former_version"], one["rows"]) for one in (first, second)] == [
        ("2006-10-01", "1", None, ROWS), ("2006-11-01", "2", "1", ROWS)]
    assert first["alone"]["expected_auc"] == first["own"]["expected_auc"]
    assert (first["alone"]["ahead"], first["own"]["labelled"]) == (0.0, ROWS)
    assert second["alone"] == second["former"] != second["own"]
    assert second["own"]["auc"] == 0.5, "the small challenger says the same of everybody"
    defaults = [one["own"]["defaults"] for one in (first, second)]
    assert all(0 < count < ROWS for count in defaults)
    assert first["own"]["expected_rate"] == pytest.approx(sum(scores(day=str(NIGHT))["score"].to_pylist()) / ROWS)
    assert [(one["kind"], one["version"], one["previous"]) for one in told["decisions"]] == [
        ("promotion", "1", None), ("promotion", "2", "1")]
    written = page({**told, "first": "2006-07", "every": 1, "ask_every": 12, "overlay": []})
    assert f"| 2006-11-01 | {ROWS} | v2 |" in written
    assert all(f"| {alert['day']} |" in written for alert in told["alerts"])
