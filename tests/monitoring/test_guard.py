"""A champion that was let through on purpose, and what the guard makes of it, from the first night to the ledger."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from monitoring.guarding import BOOK, FIRST, SECOND, guard, guard_and_die, params_with
from registry.world import aliases, client, copied_to, made
from tests.databases import Databases
from tests.processes import PROCESSES, places
from tests.scored import publish_night

from tollgate import lake, monitoring, registry, scoring
from tollgate.books import load_book
from tollgate.errors import BadInput, PassingFault
from tollgate.features import Model, make_features
from tollgate.monitoring.guard import another_regime
from tollgate.registry.reigns import Reign

__all__ = ["made"]
THRESHOLD = 0.3
YEARS_LATER = date(2009, 1, 1)
WRITES = 6  # two lines, the digest kept of each, the alias that moves, and the measures


@pytest.fixture(scope="module")
def promoted(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which version 2, which says the same of everybody, replaced version 1 on the first night."""
    home = tmp_path_factory.mktemp("promoted") / "data"
    with copied_to(home, made, databases) as world:
        world.promoted("a")
        world.promoted("b")
    return home


@pytest.fixture(scope="module")
def scored(promoted: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after the first night, by the models themselves."""
    home = Path(shutil.copytree(promoted, tmp_path_factory.mktemp("scored") / "data"))
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, home)
        pinned = scoring.pin(load_book(BOOK), FIRST, "night", params_with())
        assert (pinned["champion"], pinned["shadows"]) == ("2", ["1"])
        for shard in pinned["shards"]:
            scoring.score_shard(pinned["attempt"], shard["shard"])
        scoring.publish(pinned["attempt"])
        scoring.score_shadows(pinned["attempt"])
        monitoring.drift_step(load_book(BOOK), FIRST, params_with())
    return home


@pytest.fixture
def at(home: Path, settle: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Live in a copy of a home."""
    return lambda of: settle(Path(shutil.copytree(of, home)))


def loans(first: str, last: str) -> pa.Table:
    """The applications of these months, in the order of their numbers."""
    rows = lake.view(lake.applications(load_book(BOOK)))
    month = pc.strftime(rows["applied_on"], format="%Y-%m")
    return rows.filter(pc.and_(pc.greater_equal(month, first), pc.less_equal(month, last))).sort_by("loan_id")


def fair(rows: pa.Table) -> np.ndarray:
    """What version 1 says of them."""
    return Model.load(registry.fetch_model(BOOK, "1")).predict_features(make_features(load_book(BOOK), rows))


def shuffled(score: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).permutation(score)


def publish(day: date, rows: pa.Table, champion: np.ndarray, former: np.ndarray) -> None:
    """A night on which version 2 says this of these loans, and version 1 that in its shadow; and the night's drift."""
    publish_night(load_book(BOOK), day, rows, champion, THRESHOLD, version="2", run=f"night-{day}")
    table = lake.shadow_scores(BOOK)
    beside = [{"day": day.isoformat(), "as_of": day, "population": "new", "attempt": 1, "loan_id": loan, "score": score,
               "decision": "decline" if score >= THRESHOLD else "approve", "status": "scored", "model_version": "1"}
              for loan, score in zip(rows["loan_id"].to_pylist(), former, strict=True)]
    lake.replace_partitions(table, pa.Table.from_pylist(beside, table.schema), [day.isoformat()])
    monitoring.drift_step(load_book(BOOK), day, params_with())


def told(day: date) -> list[tuple[str, str]]:
    """What people are told of the guard that night, once the verdict is in."""
    monitoring.performance_step(load_book(BOOK), day, params_with())
    monitoring.verdict_step(load_book(BOOK), day, params_with())
    return [(row["severity"], row["message"]) for row in lake.read(lake.alerts(BOOK)).to_pylist()
            if row["day"] == day.isoformat() and row["subject"] == "guard"]


def rollbacks() -> list[dict[str, Any]]:
    return [entry["payload"] for entry in registry.entries(BOOK) if entry["kind"] == "rollback-committed"]


def test_a_bad_champion_is_gone_on_its_first_night_once_and_the_ledger_says_why(
        at: Callable[[Path], Path], scored: Path) -> None:
    at(scored)
    answer = guard(FIRST)
    assert (answer["judgement"], answer["former"], aliases()["champion"]) == ("rolled back", "1", "1")
    (line,) = rollbacks()
    assert (line["by"], line["previous"], line["proof"]["max_difference"]) == ("guard", "2", 0.0)
    assert line["comment"].startswith("Version 2 is worse than version 1, which it replaced: on the same 250 loans")
    assert "were the scores of version 1 right, its AUC on the same 250 loans would be 0.500" in line["comment"]
    ((severity, message),) = told(FIRST)
    assert severity == "page" and message.endswith("It was rolled back to version 1.")
    before = lake.digest(lake.read(lake.measures(BOOK)))
    assert guard(FIRST) == answer
    assert lake.digest(lake.read(lake.measures(BOOK))) == before and len(rollbacks()) == 1
    assert told(FIRST) == [(severity, message)]
    pinned = scoring.pin(load_book(BOOK), SECOND, "next", params_with())
    assert (pinned["champion"], pinned["shadows"]) == ("1", []), "a rollback is not guarded: there is no way back"
    for shard in pinned["shards"]:
        scoring.score_shard(pinned["attempt"], shard["shard"])
    scoring.publish(pinned["attempt"])
    monitoring.drift_step(load_book(BOOK), SECOND, params_with())
    assert guard(SECOND)["judgement"] is None and told(SECOND) == []
    assert [row["event"] for row in monitoring.alerts(BOOK)] == []


def test_an_equal_champion_stays_before_and_after_the_labels_and_a_worse_one_goes_when_they_tell(
        at: Callable[[Path], Path], promoted: Path) -> None:
    at(promoted)
    limits = {"guard_auc_drop": 0.5, "guard_months": 24}  # before labels nothing is beyond such limits
    rows, later = loans("2005-09", "2006-08"), loans("2006-09", "2006-10")
    publish(FIRST, rows, fair(rows) + 1e-9, fair(rows))
    publish(YEARS_LATER, later, fair(later), fair(later))
    for day in (FIRST, YEARS_LATER):
        assert guard(day, **limits)["judgement"] == "within"
    labelled = guard(YEARS_LATER, **limits)["measures"][3]
    assert labelled["value"] == pytest.approx(0.0, abs=1e-3) and labelled["n"] > 1_000
    lake.change_partitions(lake.scores(BOOK), [FIRST.isoformat()], lambda there: there.set_column(
        there.schema.get_field_index("score"), "score", pa.array(shuffled(there["score"].to_numpy()))))
    assert guard(FIRST, **limits)["judgement"] == "within", "nothing is known of the loans yet"
    answer = guard(YEARS_LATER, **limits)
    assert answer["judgement"] == "rolled back"
    assert "of them bad within 24 months, is 0." in rollbacks()[0]["comment"]


@pytest.mark.parametrize(("broken", "now"), [
    (lambda scores: pc.subtract(scores, 150), r"\d+\.\d\d"),
    (lambda scores: pa.nulls(len(scores), scores.type), "unknown")], ids=["moved", "missing in every row"])
def test_evidence_from_another_regime_pages_a_person_and_leaves_the_champion(
        at: Callable[[Path], Path], promoted: Path, broken: Callable[[pa.ChunkedArray], Any], now: str) -> None:
    at(promoted)
    first, later = loans("2006-08", "2006-08"), loans("2006-09", "2006-09")
    publish(FIRST, first, shuffled(fair(first)), fair(first))
    later = later.set_column(later.schema.get_field_index("credit_score"), "credit_score", broken(
        later["credit_score"]))
    publish(SECOND, later, shuffled(fair(later)), fair(later))
    answer = guard(SECOND)
    assert answer["judgement"] == "another regime" and rollbacks() == [] and aliases()["champion"] == "2"
    ((severity, message),) = told(SECOND)
    assert severity == "page"
    assert re.search(rf"drift otherwise than when it began: credit_score \(PSI 0\.\d\d then, {now} now\)", message)


def test_where_params_say_so_a_person_decides_or_nothing_is_guarded(at: Callable[[Path], Path], scored: Path) -> None:
    at(scored)
    assert guard(FIRST, guard="never")["judgement"] is None
    unguarded = params_with(guard="never")
    assert scoring.pin(load_book(BOOK), SECOND, "unguarded", unguarded)["shadows"] == []
    assert scoring.pin(load_book(BOOK), SECOND, "over", params_with(guard_days=30))["shadows"] == []
    assert guard(FIRST, guard="page")["judgement"] == "paged" and rollbacks() == []
    assert told(FIRST)[0][1].endswith("By monitoring.guard a person decides whether to go back to version 1.")


def test_a_former_champion_that_does_not_reproduce_pages_a_person(at: Callable[[Path], Path], scored: Path) -> None:
    at(scored)
    client().set_model_version_tag(f"tollgate-{BOOK}", "1", "digest", "f" * 64)
    answer = guard(FIRST)
    assert answer["judgement"] == "refused" and rollbacks() == [] and aliases()["champion"] == "2"
    assert "a person has to decide" in told(FIRST)[0][1]


def test_nobody_elses_decision_is_undone(at: Callable[[Path], Path], scored: Path) -> None:
    at(scored)
    with pytest.raises(PassingFault, match="Another decision"):
        registry.rollback(BOOK, "1", by="guard", reason="worse", leaving="3")
    registry.rollback(BOOK, "1", by="eve", reason="a hunch")
    assert guard(FIRST)["judgement"] == "superseded" and told(FIRST) == []
    registry.rollback(BOOK, "2", by="eve", reason="it was none")
    assert guard(FIRST)["judgement"] is None and len(rollbacks()) == 2
    assert registry.reign(BOOK, "2") is None


def test_killed_around_any_write_it_rolls_back_once_when_it_is_run_again(
        scored: Path, databases: Databases, settle: Callable[[Path], Path], home: Path) -> None:
    for nth in count(1):
        settle(Path(shutil.copytree(scored, home / str(nth))))
        child = PROCESSES.Process(target=guard_and_die, args=(places(), FIRST, nth))
        child.start()
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL)
        assert guard(FIRST)["judgement"] == "rolled back"
        assert (len(rollbacks()), aliases()["champion"], registry.verify(BOOK)["intact"]) == (1, "1", True)
        if child.exitcode == 0:
            break
    assert nth == WRITES + 1


def test_a_night_that_was_not_published_is_named(at: Callable[[Path], Path], promoted: Path) -> None:
    at(promoted)
    assert registry.reign(BOOK, "2") == Reign("2", "1", FIRST, None, None) and registry.reign(BOOK, "1") is None
    with pytest.raises(BadInput, match=r"No night of consumer is published as of 2006-10-01 .*Score first"):
        guard(SECOND)


@pytest.mark.parametrize(("then", "now", "moved"), [
    ("stable", "major", True), ("major", "minor", True), ("major", "major", False), ("minor", "stable", False),
    ("moderate", "major", False),   # in between tells nothing
    ("major", "unknown", True),     # nothing is known tonight
])
def test_a_regime_is_another_where_a_feature_drifts_at_one_of_two_times(then: str, now: str, moved: bool) -> None:
    rows = [{"as_of": day, "subject": "income", "value": 0.1, "n": 500, "level": level}
            for day, level in ((FIRST, then), (SECOND, now))]
    assert bool(another_regime(rows, SECOND)) is moved


def test_a_feature_that_is_gone_makes_it_another_regime_though_the_others_stand_still() -> None:
    rows = [{"as_of": day, "subject": name, "value": value, "n": 500, "level": level} for day, name, value, level in (
        (FIRST, "credit_score", 0.02, "stable"), (FIRST, "income", 0.01, "stable"), (FIRST, "rare", None, "unknown"),
        (SECOND, "credit_score", None, "unknown"), (SECOND, "income", 0.03, "stable"))]
    assert another_regime(rows, SECOND) == [], "of a rare value there may be none by luck"
    (row,) = another_regime(rows, SECOND, {"credit_score", "rare"})
    assert (row["subject"], row["value"], row["reference"]) == ("credit_score", None, 0.02)
