"""A shadow and its champion on the same loans, once these have matured."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from tests.scored import publish_night

from tollgate import lake
from tollgate.monitoring import performance_step
from tollgate.monitoring.shadows import matured_shadows
from tollgate.registry.shadowing import shadow_record
from tollgate.stats.ranking import area_under

if TYPE_CHECKING:
    from conftest import Night

FEB = date(2007, 2, 1)
BOOK = "consumer"


def _shadow(version: str, *rows: tuple[str, float | None, str | None], attempt: int = 1) -> None:
    """What a shadow said of the night of FEB: loan, score, decision."""
    table = lake.shadow_scores(BOOK)
    made = [{"day": FEB.isoformat(), "as_of": FEB, "population": "new", "attempt": attempt, "loan_id": loan,
             "score": score, "decision": said, "status": "refused" if said is None else "scored",
             "model_version": version} for loan, score, said in rows]
    lake.change_partitions(table, [FEB.isoformat()], lambda there: pa.concat_tables(
        [there, pa.Table.from_pylist(made, table.schema)]))


def _scores(*rows: tuple[str, float, str]) -> pa.Table:
    return pa.Table.from_pylist([{"as_of": FEB, "attempt": 1, "loan_id": loan, "score": score, "decision": said,
                                  "model_version": "1"} for loan, score, said in rows])


def test_who_changes_side_and_how_they_paid_by_hand(home: object) -> None:
    champion = _scores(("a", 0.1, "approve"), ("b", 0.2, "approve"), ("c", 0.6, "decline"), ("d", 0.7, "decline"))
    _shadow("3", ("a", 0.1, "approve"), ("b", 0.8, "decline"), ("c", 0.2, "approve"), ("d", None, None))
    _shadow("3", ("a", 0.9, "decline"), attempt=2)
    (row,) = matured_shadows(BOOK, champion, np.array([False, True, False, True]), 0.95)
    assert {name: row[name] for name in ("champion", "model_version", "labelled", "defaults")} == {
        "champion": "1", "model_version": "3", "labelled": 3, "defaults": 1}
    assert [row[f"only_{side}"] for side in ("declines", "declines_bad", "approves", "approves_bad")] == [1, 1, 1, 0]
    assert row["difference"] is None, "of one default"
    (paid,) = matured_shadows(BOOK, champion, np.zeros(4, bool), 0.95)
    assert paid["auc_shadow"] is None and paid["defaults"] == 0
    assert matured_shadows(BOOK, champion.slice(0, 0), np.zeros(0, bool), 0.95) == []


def test_a_night_that_matured_is_told_with_its_shadow_to_whoever_decides(night: Night) -> None:
    loans = night.publish("stationary", FEB)
    night.outcomes("stationary")
    better = loans["defaulted_on"].is_valid().to_numpy() * 0.5 + 0.1
    _shadow("2", *((loan, float(score), "decline" if score > 0.3 else "approve")
                   for loan, score in zip(loans["loan_id"].to_pylist(), better, strict=True)))
    tonight = date(2009, 3, 5)
    publish_night(night.book, tonight, lake.view(lake.applications(night.book)).slice(0, 0), np.array([]), 0.5)
    performance_step(night.book, tonight, night.params)
    told = shadow_record(BOOK, "2")
    (row,) = told["matured"]
    assert (told["nights"], row["scored_as_of"], row["labelled"]) == ([], "2007-02-01", 1000)
    bad = loans["defaulted_on"].is_valid().to_numpy()
    assert row["auc_shadow"] == 1.0
    assert row["auc_champion"] == pytest.approx(area_under(bad, loans["true_probability"].to_numpy()))
    assert row["low"] > 0 and row["only_declines_bad"] == row["only_declines"] > 0
    performance_step(night.book, tonight, night.params)
    assert shadow_record(BOOK, "2") == told
