"""A sweep's result is a function of its inputs: not of how many worked on it, nor of who died while at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tenacity
from tests.databases import Databases
from training.conftest import changed

from tollgate.books import Book
from tollgate.books.shipped import consumer
from tollgate.config import Params, settings
from tollgate.errors import BadInput, PassingFault
from tollgate.features import make_features
from tollgate.training import Course, Parts, course, draw, finish, open_study, prepare, prepare_folds, sweep, work
from tollgate.training.sweep import study_name, told

Folds = tuple[Parts, ...]


@pytest.fixture
def parts(book: Book, params: Params) -> Folds:
    """Two folds of 1,500 simulated loans; the older is cut off at 1,000."""
    sent = consumer.simulate(seed=3, rows_a_month=250, first_month="2003-01", last_month="2003-06")
    rows = make_features(book, pa.table({c.name: sent[c.source] for c in book.applications}))
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    place = np.arange(len(label))
    split = pa.table({f"fold_{k}": np.select([place < cut, place < cut + 500], ["train", "validation"], "unseen")
                      for k, cut in ((1, 500), (2, 1_000))})
    return prepare_folds(book, rows.append_column("label", pa.array(label)), split, params)


@pytest.fixture
def small(params: Params) -> Params:
    """Four points, of which two reach the last of two rungs."""
    return changed(params, sweep={"trials": 4, "rounds_first": 5, "rounds_max": 15, "workers": 1})


Elsewhere = Callable[[], None]


@pytest.fixture(autouse=True)
def elsewhere(book: Book, studies: Elsewhere) -> Elsewhere:
    """Move to a database that knows nothing of the studies so far."""
    return studies


def test_one_worker_and_three_find_the_same(parts: Folds, small: Params, elsewhere: Elsewhere) -> None:
    alone = finish(open_study(small, "d"), parts, small)
    elsewhere()
    three = changed(small, sweep={"workers": 3})
    with ThreadPoolExecutor(3) as pool:
        shares = [worker.result() for worker in
                  [pool.submit(work, open_study(three, "d"), parts, Course(three)) for _ in range(3)]]
    scored = [(answer["rung"], answer["point"]) for share in shares for answer in share]
    assert finish(open_study(three, "d"), parts, three) == alone
    assert sorted(scored) == sorted((rung["budget"], trial["point"]) for trial in alone["trials"]
                                    for rung in trial["rungs"]), "every point of every rung, by one of them"


CLIMBING = """
import signal, sys
from tollgate.config import Params, settings
from tollgate.training import Course, open_study, rungs, work

def stand(climb, budget, *_):
    if budget == int(sys.argv[1]):
        print("climbing", flush=True)
        signal.pause()
    climb.auc = 0.5

rungs.Climb.__init__ = lambda climb, *_: vars(climb).update(auc=0.0, rounds=0)
rungs.Climb.to = stand
params = Params.model_validate_json(sys.stdin.read())
work(open_study(params, "d"), (), Course(params))
"""


@contextmanager
def climbing(params: Params, budget: int) -> Iterator[subprocess.Popen[str]]:
    """A worker of its own that stands at this rung, in the middle of its first point of it; killed in the end."""
    with subprocess.Popen([sys.executable, "-c", CLIMBING, str(budget)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        try:
            worker.stdin.write(params.model_dump_json())
            worker.stdin.close()
            assert worker.stdout.readline() == "climbing\n"
            yield worker
        finally:
            worker.kill()


def test_a_point_that_a_dead_worker_had_claimed_is_tried_by_the_next(parts: Folds, small: Params,
                                                                    elsewhere: Elsewhere) -> None:
    whole = finish(open_study(small, "d"), parts, small)
    elsewhere()
    with climbing(small, 5):
        pass
    assert finish(open_study(small, "d"), parts, small) == whole


def test_a_worker_waits_for_the_point_that_a_living_one_has_claimed_and_takes_it_when_that_dies(
        parts: Folds, small: Params) -> None:
    study = open_study(small, "d")
    with climbing(small, 5) as slow, ThreadPoolExecutor(1) as pool:
        mine = pool.submit(work, study, parts, Course(small))
        tenacity.Retrying(retry=tenacity.retry_if_not_result(lambda scored: scored == {1, 2, 3}),
                          stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.1))(
            lambda: {point for point, _ in told(study)})
        assert not mine.done(), "no point of the next rung is known before the claimed one has scored"
        slow.kill()
        assert [answer["point"] for answer in mine.result(timeout=60) if answer["rung"] == 5] == [1, 2, 3, 0]


OPENING = """
import sys
from tollgate.config import Params, settings
from tollgate.training import open_study

params = Params.model_validate_json(sys.stdin.read())
print("ready", flush=True)
print(open_study(params, "d"), flush=True)
"""


@pytest.mark.parametrize("tables", ["made", "not made"])
def test_two_machines_that_open_a_study_at_once_share_it(
        small: Params, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: str) -> None:
    empty = databases.new(databases.studies if tables == "made" else "template1")
    monkeypatch.setenv("TOLLGATE_OPTUNA", databases.url(empty))
    openers = []
    for machine in ("one", "another"):
        openers.append(subprocess.Popen([sys.executable, "-c", OPENING], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, "TOLLGATE_DATA": str(tmp_path / machine)}))
        assert openers[-1].stdin is not None
        openers[-1].stdin.write(small.model_dump_json())
    for opener in openers:
        opener.stdin.close()
    said = [opener.stdout.read().split() for opener in openers]
    assert [opener.wait(timeout=60) for opener in openers] == [0, 0]
    assert said == [["ready", open_study(small, "d")]] * 2


@pytest.fixture
def learning(small: Params) -> Params:
    """Three batches, of which two are drawn from what those before them scored."""
    return changed(small, sweep={"trials": 10, "sampler": "tpe", "batch": 4, "rounds_first": 2, "rounds_max": 6})


def test_batches_that_learn_are_the_same_for_one_worker_and_for_three(parts: Folds, learning: Params,
                                                                      elsewhere: Elsewhere) -> None:
    alone = finish(open_study(learning, "d"), parts, learning)
    elsewhere()
    three = changed(learning, sweep={"workers": 3})
    assert finish(open_study(three, "d"), parts, three) == alone
    assert [trial["point"] for trial in alone["trials"]] == list(range(10))
    assert len({str(trial["params"]) for trial in alone["trials"]}) == 10


def test_the_first_batch_is_the_even_draw_and_the_next_follow_what_scored_best(parts: Folds, learning: Params) -> None:
    trials = finish(open_study(learning, "d"), parts, learning)["trials"]
    assert [trial["params"] for trial in trials[:4]] == course._even(learning, 4)
    even = changed(learning, sweep={"sampler": "sobol"})
    assert [trial["params"] for trial in trials[4:]] != course._even(even, 10)[4:]
    better = {trial["point"]: trial["rungs"][0]["auc"] for trial in trials}
    assert sum(better[k] for k in range(4, 10)) / 6 > sum(better[k] for k in range(4)) / 4


def test_each_batch_climbs_rungs_of_its_own(parts: Folds, learning: Params) -> None:
    trials = finish(open_study(learning, "d"), parts, learning)["trials"]
    last = [[trial["rungs"][-1]["budget"] for trial in trials[of]] for of in (slice(4), slice(4, 8), slice(8, 10))]
    assert [sorted(rounds) for rounds in last] == [[2, 2, 6, 6], [2, 2, 6, 6], [2, 2]]


def test_finishing_twice_tries_nothing_again(parts: Folds, small: Params) -> None:
    first = finish(open_study(small, "d"), parts, small)
    assert work(open_study(small, "d"), parts, Course(small)) == []
    assert finish(open_study(small, "d"), parts, small) == first


def test_the_best_third_of_the_points_goes_on_and_the_best_of_those_wins(parts: Folds, small: Params) -> None:
    trials = finish(open_study(small, "d"), parts, small)["trials"]
    assert [trial["point"] for trial in trials] == [0, 1, 2, 3]
    assert len({str(trial["params"]) for trial in trials}) == 4
    first = {trial["point"]: trial["rungs"][0]["auc"] for trial in trials}
    on = {trial["point"] for trial in trials if trial["state"] == "complete"}
    assert on == set(sorted(first, key=first.__getitem__)[-2:])
    assert {trial["state"] for trial in trials if trial["point"] not in on} == {"pruned"}


def test_the_best_point_has_the_largest_auc_of_those_on_the_last_rung(parts: Folds, small: Params) -> None:
    result = finish(open_study(small, "d"), parts, small)
    assert result["best"]["auc"] == max(t["auc"] for t in result["trials"] if t["state"] == "complete")
    assert result["best"] in result["trials"]


def test_every_answer_of_a_sweep_stands_in_the_study(parts: Folds, small: Params) -> None:
    study = open_study(small, "d")
    trials = finish(study, parts, small)["trials"]
    assert {at: answer.auc for at, answer in told(study).items()} == {
        (trial["point"], rung["budget"]): rung["auc"] for trial in trials for rung in trial["rungs"]}
    assert sorted(budget for _, budget in told(study)) == [5] * 4 + [15] * 2


def test_a_score_is_the_mean_over_the_folds(parts: Folds, small: Params) -> None:
    both = finish(open_study(small, "both"), parts, small)["trials"]
    each = [finish(open_study(small, str(k)), parts[k:k + 1], small)["trials"] for k in range(2)]
    for trial, older, newer in zip(both, *each, strict=True):  # the first look is at the end of the first rung
        assert trial["rungs"][0]["auc"] == (older["rungs"][0]["auc"] + newer["rungs"][0]["auc"]) / 2


def test_the_pictures_of_a_sweep_are_the_same_whoever_worked(parts: Folds, small: Params, elsewhere: Elsewhere,
                                                            tmp_path: Path) -> None:
    def drawn(name: str, workers: int) -> list[bytes]:
        elsewhere()
        params = changed(small, sweep={"workers": workers})
        draw(finish(open_study(params, "d"), parts, params)["trials"], params, tmp_path / f"{name}-plots")
        return [(tmp_path / f"{name}-plots" / f"{plot}.png").read_bytes() for plot in ("parallel", "importance")]

    assert drawn("one", 1) == drawn("three", 3)


NO_NUMBER = {"learning_rate": 1e38, "reg_lambda": 1e-30, "min_child_weight": 1e-30}


@pytest.fixture
def wide(small: Params) -> Params:
    """A space in which some points lead to scores that are no numbers."""
    drawn = small.space.model_dump()
    for name, value in NO_NUMBER.items():
        ends = {value, drawn["xgboost"][name]["low"], drawn["xgboost"][name]["high"]}
        drawn["xgboost"][name] = {"low": min(ends), "high": max(ends), "log": True}
    return Params.model_validate({**small.model_dump(), "space": drawn})


def test_a_point_that_cannot_be_scored_fails_and_the_others_go_on(
        parts: Folds, small: Params, wide: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = course._even(small, 4)
    monkeypatch.setattr(course, "_even", lambda *_: [{**drawn[0], **NO_NUMBER}, *drawn[1:]])
    result = finish(open_study(wide, "d"), parts, wide)
    assert [trial["state"] == "failed" for trial in result["trials"]] == [True, False, False, False]
    assert result["trials"][0]["auc"] is None


def test_a_sweep_without_any_score_says_so(parts: Folds, small: Params, wide: Params,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = course._even(small, 4)
    monkeypatch.setattr(course, "_even", lambda *_: [{**choice, **NO_NUMBER} for choice in drawn])
    with pytest.raises(BadInput, match="No point of the sweep has a score.*4 points.*no model can be fitted to"):
        finish(open_study(wide, "d"), parts, wide)


def test_other_data_or_another_seed_is_another_study_and_more_workers_is_the_same(small: Params) -> None:
    name = study_name(small, "d")
    assert study_name(small, "other") != name
    assert study_name(small.model_copy(update={"seed": 1}), "d") != name
    assert study_name(changed(small, sweep={"trials": 5}), "d") != name
    assert study_name(changed(small, sweep={"workers": 9}), "d") == name


def test_the_order_of_the_space_in_params_decides_no_point(small: Params) -> None:
    turned = {name: dict(reversed(of.items())) for name, of in small.space.model_dump().items()}
    other = Params.model_validate({**small.model_dump(), "space": turned})
    assert list(other.space.xgboost) != list(small.space.xgboost)
    assert course._even(other, 4) == course._even(small, 4)


def test_a_hyperparameter_that_the_estimator_does_not_know_is_refused_before_it_is_drawn(small: Params) -> None:
    wrong = Params.model_validate({**small.model_dump(), "space": {
        **small.space.model_dump(), "xgboost": {"max_dept": {"low": 2, "high": 6}}}})
    with pytest.raises(BadInput, match="space.xgboost.*draws.*max_dept.*max_depth"):
        open_study(wrong, "d")


def test_another_estimator_weight_or_space_begins_another_study(small: Params) -> None:
    name = study_name(small, "d")
    assert study_name(changed(small, train={"estimator": "lightgbm"}), "d") != name
    assert study_name(changed(small, train={"default_weight": 10.0}), "d") != name
    assert study_name(changed(small, train={"half_life_months": 12}), "d") != name
    narrow = {**small.space.model_dump(), "xgboost": {"max_depth": {"low": 2, "high": 3}}}
    assert study_name(Params.model_validate({**small.model_dump(), "space": narrow}), "d") != name


def test_another_direction_of_the_book_and_other_code_begin_another_study(small: Params, tmp_path: Path,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    name = study_name(small, "d")
    with monkeypatch.context() as patch:
        free = tuple(replace(feature, monotone=0) for feature in consumer.BOOK.features)
        patch.setattr(consumer, "BOOK", replace(consumer.BOOK, features=free))
        assert study_name(small, "d") != name
    (tmp_path / "fit.py").write_text("ROUNDS = 10")
    monkeypatch.setattr(sweep, "SCORED_BY", (tmp_path / "fit.py",))
    before = study_name(small, "d")
    (tmp_path / "fit.py").write_text("ROUNDS = 20")
    assert study_name(small, "d") != before


def test_rows_of_validation_do_not_teach_the_encoder(book: Book, params: Params, parts: Folds) -> None:
    levels = {i.name: i.vocabulary for i in parts[-1].encoder.inputs}
    assert levels["purpose"] == tuple(sorted(consumer.PURPOSES))
    few = replace(book, features=tuple(f for f in book.features if f.name == "purpose"))
    rows = pa.table({"purpose": ["car"] * 60 + ["boat"] * 60, "label": [0, 1] * 60})
    part = pa.chunked_array([["train"] * 60 + ["validation"] * 60])
    assert prepare(few, rows, part, params).encoder.inputs[0].vocabulary == ("car",)


def test_a_database_that_is_away_is_a_passing_fault(small: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_OPTUNA", "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(PassingFault, match="The sweep's database did not answer.*Check TOLLGATE_OPTUNA"):
        open_study(small, "d")


def test_a_database_that_goes_away_in_the_middle_of_a_climb_is_a_passing_fault(
        parts: Folds, small: Params, databases: Databases) -> None:
    study = open_study(small, "d")

    def cut_off(fold_auc: Callable[..., float], *folds: Any) -> Iterator[float]:
        databases.cut_off(settings().optuna.partition("?")[0].rpartition("/")[2])
        return map(fold_auc, *folds)

    with pytest.raises(PassingFault, match="The sweep's database did not answer.*Check TOLLGATE_OPTUNA"):
        work(study, parts, Course(small), each=cut_off)
    assert finish(study, parts, small)["best"]["state"] == "complete"


def test_a_password_that_the_database_does_not_know_is_told(small: Params, databases: Databases, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pgpass").touch(mode=0o600)
    (tmp_path / "pgpass").write_text("*:*:*:*:wrong\n")
    monkeypatch.setenv("TOLLGATE_OPTUNA", databases.url("postgres").partition("?")[0] + f"?passfile={tmp_path}/pgpass")
    with pytest.raises(BadInput, match="The sweep's database did not let us in.*password in its pgpass file"):
        open_study(small, "d")


@pytest.mark.parametrize("where", ["sqlite:////somewhere/optuna.db", "/somewhere/sweeps", "mysql://me:secret@host/o"])
def test_studies_anywhere_but_in_a_postgresql_are_refused(small: Params, where: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_OPTUNA", where)
    with pytest.raises(BadInput, match="TOLLGATE_OPTUNA must be a PostgreSQL database.*leave it unset") as caught:
        open_study(small, "d")
    assert "secret" not in str(caught.value)
