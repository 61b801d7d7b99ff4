"""A fit on supposed labels or weights: what it changes, what it must not touch, and the short run of its benchmark."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks import reject_inference as bench

from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.training import fit, fit_inferred, prepare

CHOICE = {"max_depth": 3, "learning_rate": 0.2}


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "LOANS_A_MONTH", 150)
        return bench.world(consumer.BOOK, 3, 0.4)


def fitted(rows: pa.Table, method: str) -> tuple[str, np.ndarray, np.ndarray | None]:
    """The trees, and of the validation rows their labels and weights."""
    booked, unbooked = rows.filter(rows["booked"]), rows.filter(pc.invert(rows["booked"])).drop_columns(["label"])
    found = fit_inferred(consumer.BOOK, booked, booked["part"], unbooked, chosen(method), CHOICE)
    return json.dumps(found.fitted.parts()), found.parts.validation.label, found.parts.validation.weight


def chosen(method: str) -> Params:
    params = load_params(book="consumer")
    return params.model_copy(update={"train": params.train.model_copy(update={"reject_inference": method})})


def test_what_is_shipped_trains_on_the_booked_alone_and_gives_the_model_that_it_gave(rows: pa.Table) -> None:
    assert load_params(book="consumer").train.reject_inference == "booked"
    booked = rows.filter(rows["booked"])
    alone = fit(prepare(consumer.BOOK, booked, booked["part"], chosen("booked")), chosen("booked"), CHOICE)
    assert fitted(rows, "booked")[0] == json.dumps(alone.fitted.parts())


def test_each_method_gives_another_model_and_every_one_validates_on_booked_loans_alone(rows: pa.Table) -> None:
    found = {method: fitted(rows, method) for method in ("booked", "parcelling", "fuzzy", "weighted")}
    assert len({model for model, *_ in found.values()}) == 4
    assert fitted(rows, "parcelling")[0] == found["parcelling"][0]
    for _, label, weight in found.values():
        assert np.array_equal(label, found["booked"][1])
        assert weight is None


def test_where_nobody_was_declined_there_is_nothing_to_suppose(rows: pa.Table) -> None:
    booked = rows.filter(rows["booked"])
    assert fitted(booked, "fuzzy")[0] == fitted(booked, "booked")[0]


def test_the_benchmark_shows_what_the_page_says_on_one_short_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "LOANS_A_MONTH", 400)
    (found,) = bench.seeds(("credit_score",), 1)
    assert set(found) == {*((share, method) for share in (0.2, 0.4) for method in bench.METHODS), (0.0, bench.TRUTH)}
    truth, booked, weighted = found[0.0, bench.TRUTH], found[0.4, "booked"], found[0.4, "weighted"]
    assert truth.ratio == pytest.approx(1, abs=0.1)
    assert booked.ratio > 1.4  # what the policy saw and the model does not: a score that is far too low
    assert abs(weighted.ratio - 1) < (booked.ratio - 1) / 2
    assert booked.auc < truth.auc
    lines = bench.table([found]).splitlines()
    assert len(lines) == 2 + 2 * 5
    assert lines[2].startswith("| 20 % | booked | 0.")


def test_a_slope_and_an_auc_are_those_of_a_score_that_is_known() -> None:
    true = np.random.default_rng(1).uniform(0.02, 0.6, 5_000)
    half = np.sqrt(true / (1 - true))  # log-odds twice too timid
    assert bench.slope(true, true) == pytest.approx(1)
    assert bench.slope(true, half / (1 + half)) == pytest.approx(2)
    assert bench.true_auc(true, true) == bench.true_auc(true, half) > bench.true_auc(true, -half)
