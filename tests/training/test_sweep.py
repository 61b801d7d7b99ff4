"""A sweep's result is a function of its inputs: not of how many worked on it, nor of who died while at it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pyarrow as pa
import pytest
from training.conftest import changed

from tollgate.books import Book, consumer
from tollgate.config import Params
from tollgate.errors import PassingFault
from tollgate.features import make_features
from tollgate.training import Parts, finish, open_study, prepare, work
from tollgate.training.sweep import study_name


@pytest.fixture
def parts(book: Book) -> Parts:
    sent = consumer.simulate(seed=3, rows_a_month=250, first_month="2003-01", last_month="2003-06")
    rows = make_features(book, pa.table({c.name: sent[c.source] for c in book.applications}))
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    split = np.where(np.arange(len(label)) < 1_000, "train", "validation")
    return prepare(book, rows.append_column("label", pa.array(label)), pa.table({"split": split}))


@pytest.fixture
def small(params: Params) -> Params:
    return changed(params, sweep={"trials": 4, "rounds_max": 5, "workers": 1})


Elsewhere = Callable[[str], None]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Move to a study storage that knows nothing of the others."""
    return lambda name: monkeypatch.setenv("TOLLGATE_DATA", str(tmp_path / name))


def test_one_worker_and_three_find_the_same(parts: Parts, small: Params, elsewhere: Elsewhere) -> None:
    elsewhere("one")
    alone = finish(open_study(small, "d"), parts, small)
    elsewhere("three")
    three = changed(small, sweep={"workers": 3})
    with ThreadPoolExecutor(3) as pool:
        shares = [worker.result() for worker in
                  [pool.submit(work, open_study(three, "d"), parts, three) for _ in range(3)]]
    assert finish(open_study(three, "d"), parts, three) == alone
    assert sorted(point["point"] for share in shares for point in share) == [0, 1, 2, 3]


def test_a_point_that_a_dead_worker_left_running_is_tried_again(parts: Parts, small: Params,
                                                               elsewhere: Elsewhere) -> None:
    elsewhere("whole")
    whole = finish(open_study(small, "d"), parts, small)
    elsewhere("struck")
    study = open_study(small, "d")
    for _ in range(2):
        study.ask()  # a worker took these points, and was killed before it told
    work(open_study(small, "d"), parts, small)
    assert len(study.get_trials(states=[optuna.trial.TrialState.RUNNING])) == 2
    assert finish(open_study(small, "d"), parts, small) == whole


def test_finishing_twice_tries_nothing_again(parts: Parts, small: Params) -> None:
    first = finish(open_study(small, "d"), parts, small)
    assert work(open_study(small, "d"), parts, small) == []
    assert finish(open_study(small, "d"), parts, small) == first


def test_the_best_point_is_the_one_with_the_largest_validation_auc(parts: Parts, small: Params) -> None:
    result = finish(open_study(small, "d"), parts, small)
    assert result["best"]["auc"] == max(trial["auc"] for trial in result["trials"])
    assert [trial["point"] for trial in result["trials"]] == [0, 1, 2, 3]
    assert len({str(trial["params"]) for trial in result["trials"]}) == 4


def test_other_data_or_another_seed_is_another_study_and_more_workers_is_the_same(small: Params) -> None:
    name = study_name(small, "d")
    assert study_name(small, "other") != name
    assert study_name(small.model_copy(update={"seed": 1}), "d") != name
    assert study_name(changed(small, sweep={"trials": 5}), "d") != name
    assert study_name(changed(small, sweep={"workers": 9}), "d") == name


def test_rows_of_validation_do_not_teach_the_encoder(book: Book, parts: Parts) -> None:
    levels = {i.name: i.vocabulary for i in parts.encoder.inputs}
    assert levels["purpose"] == tuple(sorted(consumer.PURPOSES))
    few = replace(book, features=tuple(f for f in book.features if f.name == "purpose"))
    rows = pa.table({"purpose": ["car"] * 60 + ["boat"] * 60, "label": [0, 1] * 60})
    split = pa.table({"split": ["train"] * 60 + ["validation"] * 60})
    assert prepare(few, rows, split).encoder.inputs[0].vocabulary == ("car",)


def test_a_storage_that_is_away_is_a_passing_fault(small: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_OPTUNA", "sqlite:////proc/no/such/folder/optuna.db")
    with pytest.raises(PassingFault, match="The sweep's storage did not answer.*Check TOLLGATE_OPTUNA"):
        open_study(small, "d")
