"""A book with a champion in its ledger and some nights behind it, all of whose texts are HTML."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tollgate import registry, requests
from tollgate.config import settings
from tollgate.lake import Store
from tollgate.monitoring import performance_step
from tollgate.monitoring.board import publish_board

if TYPE_CHECKING:
    from conftest import Night

HTML = "<script>document.title = location</script>"
CALM = (date(2007, 2, 1), date(2007, 3, 1), date(2007, 4, 1))
BROKEN = date(2007, 5, 1)
METRICS = {"auc": 0.85, "auc_low": 0.83, "auc_high": 0.87, "rows": 12_000, "approval_rate": 0.8, "ks": 0.55,
           "false_negative_rate": 0.12}
_LIVED: list[Path] = []


def register(version: str, decline_rate: float = 0.2, trained_in: str | None = None) -> dict[str, Any]:
    """Record a version as `register` would, and publish what its gates said; what the ledger calls it."""
    model = registry.Version("consumer", version, version * 64, "5" * 64, date(2007, 1, 1), version * 32).to_json()
    registry.record("consumer", "registered", {
        "model": model, "compared_with": None, "files": {"gates.json": "a" * 64}, "metrics": METRICS,
        "decline_rate": decline_rate, "trained_in": trained_in})
    Store(settings().store).write_json(f"gates/consumer/{version}.json", [
        {"gate": "Ranking (AUC)", "measured": "0.8500", "interval": "0.8300 to 0.8700", "limit": "> 0.82",
         "verdict": "pass", "why": f"It ranks well {HTML}."}])
    return model


def promote(version: str, previous: str | None = None, decline_rate: float = 0.2) -> None:
    """Register a version and make it the champion, by somebody whose name and comment are HTML."""
    decided = {"model": register(version, decline_rate), "previous": previous, "by": f"Anna {HTML}",
               "comment": f"Good {HTML}", "effective_on": "2007-01-01"}
    intent = registry.record("consumer", "promotion-intent", decided)
    assert intent is not None
    registry.record("consumer", "promotion-committed", {**decided, "intent": intent.seq})


def one_night(night: Night, scenario: str, day: date, rows: int | None = None) -> None:
    """Publish a night, or so many of its rows, and when its loans will go bad; measure it and conclude."""
    night.outcomes(scenario, night.publish(scenario, day, rows=rows))
    performance_step(night.book, day, night.params)
    night.drift(day)
    night.verdict(day)


def live(night: Night) -> None:
    """Three calm nights of the champion, one with a broken feed, a challenger, and a request by hand; all published."""
    promote("1", decline_rate=json.loads((night.model / "model.json").read_text())["operating"]["decline_rate"])
    for day in CALM:
        one_night(night, "stationary", day)
    one_night(night, "broken_feed", BROKEN)
    register("2")
    requests.ask("consumer", BROKEN, f"loan {HTML} went bad", expiry_days=60)
    publish_board(night.book, night.params)


@pytest.fixture
def board(night: Night, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A book whose title is HTML, whose labels mature in a month, as ``live`` leaves it; made once and copied."""
    snapshot = night.params.snapshot.model_copy(update={"horizon_months": 1})
    night = replace(night, book=replace(night.book, title=f"Loans {HTML}"),
                    params=night.params.model_copy(update={"snapshot": snapshot}))
    if not _LIVED:
        data = tmp_path_factory.mktemp("lived") / "data"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOLLGATE_DATA", str(data))
            live(night)
        _LIVED.append(data)
    shutil.copytree(_LIVED[0], home)
    return night
