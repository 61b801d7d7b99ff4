"""A shorter look-back competes in the sweep, and whoever wins by it is fitted on these months alone ever after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_model import CHOICES
from training.conftest import changed
from training.test_weights import loans

from tollgate.books import Book, load_book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import ESTIMATORS
from tollgate.training import finish, fit, open_study, prepare
from tollgate.training.fit import fit_rounds
from tollgate.training.sweep import study_name
from tollgate.training.weights import newest


@pytest.fixture
def debt(book: Book) -> Book:
    """The book with one feature: more debt is more risk until the shift of January 2007, and less risk from then on."""
    return replace(book, features=tuple(f for f in book.features if f.name == "debt_to_income_ratio"))


def months_of(rows: pa.Table) -> np.ndarray:
    return rows["applied_on"].to_numpy().astype("datetime64[M]")


def parted(rows: pa.Table) -> pa.ChunkedArray:
    """The newest month validates, the eight before it train: two of them come after the shift."""
    return pa.chunked_array([np.where(months_of(rows) == np.datetime64("2007-03"), "validation", "train")])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_look_back_that_leaves_out_what_no_longer_holds_wins_the_sweep(
        kind: str, book: Book, debt: Book, params: Params, studies: Callable[[], None]) -> None:
    rows = loans(book, "concept_shift")
    competing = changed(params, train={"estimator": kind}, sweep={
        "trials": 8, "rounds_first": 5, "rounds_max": 15, "workers": 1, "lookback_months": [2]})
    swept = finish(open_study(competing, "d"), (prepare(debt, rows, parted(rows), competing),), competing)
    assert {trial["params"]["lookback_months"] for trial in swept["trials"]} == {0, 2}
    assert swept["best"]["params"]["lookback_months"] == 2 and swept["best"]["auc"] > 0.5


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_fit_with_a_look_back_is_the_fit_on_the_loans_of_these_months_alone(
        kind: str, book: Book, debt: Book, params: Params) -> None:
    rows = loans(book, "concept_shift")
    competing = changed(params, train={"estimator": kind}, sweep={"rounds_max": 15, "lookback_months": [2, 5]})
    alone = rows.filter(pa.array(months_of(rows) >= np.datetime64("2007-01")))
    short = fit(prepare(debt, rows, parted(rows), competing), competing, {**CHOICES[kind], "lookback_months": 2})
    plain = changed(competing, sweep={"lookback_months": []})
    only = fit(prepare(debt, alone, parted(alone), plain), plain, CHOICES[kind])
    matrix = only.parts.encoder.encode(rows)
    assert np.array_equal(short.predict(matrix), only.predict(matrix))
    whole = fit(prepare(debt, rows, parted(rows), competing), competing, {**CHOICES[kind], "lookback_months": 0})
    assert not np.array_equal(short.predict(matrix), whole.predict(matrix))


def test_a_refit_keeps_the_look_back_that_was_judged_counted_from_its_own_newest_month(
        book: Book, debt: Book, params: Params) -> None:
    rows = loans(book, "concept_shift")
    alone = rows.filter(pa.array(months_of(rows) >= np.datetime64("2007-02")))
    choice = {**CHOICES["xgboost"], "lookback_months": 2}
    encoder, short = fit_rounds(debt, rows, rows.slice(0, 0), params, choice, 5)
    _, only = fit_rounds(debt, alone, rows.slice(0, 0), params, CHOICES["xgboost"], 5)
    matrix = encoder.encode(rows)
    assert np.array_equal(short.predict(matrix), only.predict(matrix))


def test_months_are_counted_back_from_the_newest_loan_its_own_among_them(book: Book) -> None:
    days = pa.array(np.array(["2005-04-30", "2005-05-01", "2005-06-30", "2005-06-01"], "datetime64[D]"))
    rows = pa.table({"label": [0, 1, 0, 1], "applied_on": days})
    assert newest(book, rows, 1)["applied_on"].to_pylist() == days.to_pylist()[2:]
    assert newest(book, rows, 2).num_rows == 3 and newest(book, rows, 40).num_rows == 4


def test_a_look_back_without_defaults_or_of_loans_without_dates_is_refused(book: Book) -> None:
    days = pa.array(np.array(["2005-05-30", "2005-06-01", "2005-06-02"], "datetime64[D]"))
    rows = pa.table({"label": [1, 0, 0], "applied_on": days})
    with pytest.raises(BadInput, match="newest 1 months .* of 2 rows 0 defaulted.*Take it out of sweep"):
        newest(book, rows, 1)
    with pytest.raises(BadInput, match="card carry no dates.*Empty sweep.lookback_months"):
        newest(load_book("card"), rows, 1)


def test_other_look_backs_begin_another_study(params: Params) -> None:
    assert study_name(changed(params, sweep={"lookback_months": [12]}), "d") != study_name(params, "d")
