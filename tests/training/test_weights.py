"""A weight teaches the ranking what matters more, and leaves the scores probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_model import CHOICES
from training.conftest import changed

from tollgate.books import Book, load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import ESTIMATORS
from tollgate.features import make_features
from tollgate.stats.ranking import area_under
from tollgate.training import Fit, fit, prepare
from tollgate.training.weights import row_weights


def loans(book: Book, scenario: str = "stationary") -> pa.Table:
    """Raw features of 9,000 simulated loans of nine months about the onset of a shift, with label and month."""
    sent = consumer.simulate(seed=3, scenario=scenario, rows_a_month=1_000, first_month="2006-07", last_month="2007-03")
    rows = make_features(book, pa.table({c.name: sent[c.source] for c in book.applications}))
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    return rows.append_column("label", pa.array(label)).append_column("applied_on", sent["application_date"])


def fitted(book: Book, rows: pa.Table, part: np.ndarray, params: Params, kind: str, **train: float) -> Fit:
    params = changed(params, train={"estimator": kind, **train}, sweep={"rounds_max": 60})
    return fit(prepare(book, rows, pa.chunked_array([part]), params), params, CHOICES[kind])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_defaults_that_count_tenfold_leave_the_scores_probabilities(book: Book, params: Params, kind: str) -> None:
    rows = loans(book)
    part = np.array(["train", "validation", "test"])[np.arange(rows.num_rows) % 3]
    test = rows.filter(pa.array(part == "test"))
    plain, tenfold = (fitted(book, rows, part, params, kind, default_weight=weight) for weight in (1.0, 10.0))
    scores = [found.predict(found.parts.encoder.encode(test)) for found in (plain, tenfold)]
    assert test["label"].to_numpy().sum() / scores[1].sum() == pytest.approx(1, abs=0.2)
    assert scores[1].mean() == pytest.approx(scores[0].mean(), rel=0.2)
    # Without the correction they would be two to three times as high.
    assert tenfold.fitted.predict(tenfold.parts.encoder.encode(test)).mean() > 2 * scores[0].mean()
    assert (scores[0] != scores[1]).any()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_with_a_half_life_the_months_before_a_shift_count_less(book: Book, params: Params, kind: str) -> None:
    # More debt is more risk until the shift, and less risk from then on.
    rows = loans(book, "concept_shift")
    month = rows["applied_on"].to_numpy().astype("datetime64[M]").astype(int)
    newest = month == month.max()
    part = np.where(newest, np.where(np.arange(len(month)) % 2, "validation", "test"), "train")
    few = replace(book, features=tuple(f for f in book.features if f.name == "debt_to_income_ratio"))
    test = rows.filter(pa.array(part == "test"))
    label = test["label"].to_numpy() == 1
    alike, fading = (fitted(few, rows, part, params, kind, half_life_months=months) for months in (0, 1))
    areas = [area_under(label, found.predict(found.parts.encoder.encode(test))) for found in (alike, fading)]
    assert areas[1] > 0.5 > areas[0] + 0.05


def test_a_loan_counts_half_for_each_half_life_and_as_often_as_all_its_weights_say(book: Book, params: Params) -> None:
    rows = pa.table({"label": [0, 1, 0, 1], "applied_on": pa.array(
        np.array(["2005-06-30", "2005-06-01", "2004-06-15", "2003-06-15"], "datetime64[D]"))})
    halved = changed(params, train={"half_life_months": 12}).train
    assert row_weights(book, rows, halved).tolist() == [1, 1, 0.5, 0.25]
    tenfold = halved.model_copy(update={"default_weight": 10.0})
    assert row_weights(book, rows, tenfold).tolist() == [1, 10, 0.5, 2.5]
    supposed = rows.append_column("weight", pa.array([1.0, 0.3, 0.5, 1.0]))
    assert row_weights(book, supposed, tenfold).tolist() == [1, 3, 0.25, 2.5]


def test_without_a_weight_a_fit_is_the_fit_that_it_was(book: Book, params: Params) -> None:
    rows = pa.table({"label": [0, 1]})
    assert row_weights(book, rows, params.train) is None


def test_validation_counts_every_loan_alike(book: Book, params: Params) -> None:
    rows = loans(book)
    part = np.where(np.arange(rows.num_rows) % 2, "validation", "train")
    weighty = changed(params, train={"default_weight": 10.0, "half_life_months": 3})
    parts = prepare(book, rows, pa.chunked_array([part]), weighty)
    assert parts.train.weight is not None and parts.validation.weight is None


def test_a_half_life_of_loans_without_dates_is_refused(params: Params) -> None:
    ageing = changed(params, train={"half_life_months": 6})
    with pytest.raises(BadInput, match="card carry no dates.*half_life_months: 6.*half_life_months to 0"):
        row_weights(load_book("card"), pa.table({"label": [0, 1]}), ageing.train)
