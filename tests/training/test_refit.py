"""A refit on every matured loan: what it may see, and where it is made at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from published import publish_sent
from training.conftest import changed

from tollgate import stages, training
from tollgate.books import APPLICANT, load_book
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params
from tollgate.features import TableFile
from tollgate.run_files import write_json

CHOICE, ROUNDS = {"max_depth": 3, "min_child_weight": 5, "subsample": 0.8, "learning_rate": 0.2}, 20


def params_with(**train: object) -> Params:
    shipped = load_params(PROJECT / "params.yaml", book="consumer", as_of=date(2007, 1, 1))
    return changed(shipped, snapshot={"min_rows": 100, "min_defaults": 10}, train=train)


@pytest.fixture
def matured(home: Path, settle: Callable[[Path], Path], tmp_path: Path) -> Callable[..., training.Matured]:
    """Matured loans of a lender that declined three in ten of its applicants, some of whom came again."""
    settle(home)
    publish_sent(load_book("consumer"), consumer.simulate(seed=4, rows_a_month=150, last_month="2006-12", declined=0.3))

    def of(params: Params) -> training.Matured:
        run = tmp_path / "run"
        stages.describe(run, params)
        stages.pin_lake(run, params)
        for stage in ("snapshot", "features", "split"):
            stages.STAGES[stage](run, params)
        write_json(run / "model" / "model.json", {"params": CHOICE, "rounds": ROUNDS})
        return stages.matured_loans(run, params)[0]

    return of


def scored(matured: training.Matured, params: Params) -> np.ndarray:
    return training.refit_all(matured, training.fit_younger(matured, params), params).scores


def with_labels_turned(matured: training.Matured, rows: np.ndarray) -> training.Matured:
    features = matured.features.read() if isinstance(matured.features, TableFile) else matured.features
    label = features["label"].to_numpy()
    turned = pa.array(np.where(rows, 1 - label, label).astype(label.dtype))
    return replace(matured, features=features.set_column(features.column_names.index("label"), "label", turned))


def test_a_loan_is_scored_by_fits_that_saw_neither_it_nor_another_loan_of_its_applicant(
        matured: Callable[..., training.Matured]) -> None:
    params = params_with()
    loans = matured(params)
    who = loans.applications[APPLICANT].combine_chunks()
    counts = who.value_counts().to_pylist()
    month = pc.strftime(loans.applications["applied_on"], format="%Y-%m").to_numpy(zero_copy_only=False)
    again = next(each["values"] for each in counts if each["counts"] >= 3 and len(set(
        month[np.array(pc.equal(who, each["values"]))])) >= 3)
    theirs = np.array(pc.equal(who, again))
    before = scored(loans, params)
    after = scored(with_labels_turned(loans, theirs), params)
    assert np.array_equal(before[theirs], after[theirs])
    assert not np.array_equal(before, after)  # others are scored by fits that saw them


def test_the_younger_fit_knows_nothing_of_the_test_months(matured: Callable[..., training.Matured]) -> None:
    params = params_with()
    loans = matured(params)
    turned = with_labels_turned(loans, loans.tests)
    assert np.array_equal(training.fit_younger(loans, params), training.fit_younger(turned, params))
    assert not np.array_equal(training.fit_younger(loans, params),
                              training.fit_younger(with_labels_turned(loans, ~loans.tests), params))


@pytest.mark.parametrize("asked", [{}, {"reject_inference": "fuzzy"}], ids=str)
def test_a_refit_of_loans_that_stay_in_their_file_is_that_of_loans_in_memory(
        asked: dict[str, object], matured: Callable[..., training.Matured], monkeypatch: pytest.MonkeyPatch) -> None:
    params = params_with(**asked)
    loans = matured(params)
    assert isinstance(loans.features, TableFile)
    in_memory = scored(loans, params)
    monkeypatch.setattr("tollgate.features.encode.IN_MEMORY", 0)  # any file is too large for memory
    monkeypatch.setattr("tollgate.features.table_file.PIECE_ROWS", 1_000)
    assert np.array_equal(scored(loans, params), in_memory)


@pytest.mark.parametrize("asked", [{}, {"reject_inference": "fuzzy"}, {"reject_inference": "weighted"},
                                   {"calibration": "platt", "default_weight": 5.0, "half_life_months": 12},
                                   {"calibration": "isotonic"}], ids=str)
def test_a_refit_is_the_same_however_many_threads_share_it(asked: dict[str, object],
                                                           matured: Callable[..., training.Matured]) -> None:
    params = params_with(**asked)
    loans = matured(params)
    younger = training.fit_younger(loans, params)
    one, three = (training.refit_all(loans, younger, changed(params, sweep={"workers": workers}))
                  for workers in (1, 3))
    assert one.fitted.parts() == three.fitted.parts()
    assert np.array_equal(one.scores, three.scores)
    assert one.point == three.point
    assert one.calibration.kind == params.train.calibration
    label = loans.features["label"].to_numpy()
    # Weights taken back and a calibration done, the scores of the newest months add up to about their defaults.
    assert one.scores[loans.newest].sum() == pytest.approx(label[loans.newest].sum(), rel=0.35)
