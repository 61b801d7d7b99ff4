"""The sweep: one Optuna study that any number of workers share, with a result that does not depend on how many.

The points to try are drawn beforehand by a seeded quasi-random sequence, and climb in rungs. A worker takes the next
enqueued point until none is left. What a point scores on a rung is a function of the point, and who goes on a function
of those scores, so that the outcome is the same for one worker and for ten; a killed worker's points are tried again
by whoever finishes the sweep.
"""

from __future__ import annotations

import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.books import load_book
from tollgate.config import Params
from tollgate.errors import BadInput, PassingFault
from tollgate.estimators import estimator
from tollgate.training.fit import Parts
from tollgate.training.rungs import Climb, Each, best_third, budgets
from tollgate.training.space import check_space, suggest

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

POINT, BUDGET, ROUNDS, UNSCORED = "point", "budget", "rounds", "unscored"
HERE = Path(__file__).parent
SCORED_BY = (*(path for room in ("estimators", "features") for path in sorted((HERE.parent / room).glob("*.py"))),
             *(HERE / f"{name}.py" for name in ("fit", "rungs", "space", "sweep", "weights")))


def study_name(params: Params, data_digest: str) -> str:
    """A name that changes with whatever could change a trial's score: data, directions, parameters and code."""
    name = params.train.estimator
    directions = [(feature.name, feature.monotone) for feature in load_book(params.book).features]
    decides = [data_digest, directions, params.split.model_dump(), params.sweep.model_dump(exclude={"workers"}),
               params.seed, name, params.train.default_weight, params.train.half_life_months,
               params.space.model_dump(), version_of(estimator(name).library),
               [hashlib.sha256(path.read_bytes()).hexdigest() for path in SCORED_BY]]
    return f"{params.book}-{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}"


def open_study(params: Params, data_digest: str) -> optuna.Study:
    """The shared study, every point enqueued for the first rung once, whoever comes first.

    Raises:
        PassingFault: the study's database cannot be reached.
        BadInput: ``TOLLGATE_OPTUNA`` names none, or the space what the estimator does not know.
    """
    import optuna

    from tollgate.training import studies

    check_space(params)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = study_name(params, data_digest)
    try:
        with studies.alone() as storage:
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
            if not study.get_trials(deepcopy=False):
                _enqueue(study, dict(enumerate(_points(params))), budgets(params.sweep)[0])
    except optuna.exceptions.StorageInternalError as err:
        raise PassingFault(f"The sweep's database did not answer: {str(err).splitlines()[0]}", value=name,
                           remedy="Check TOLLGATE_OPTUNA and the server behind it.") from err
    return study


def _points(params: Params) -> list[dict[str, Any]]:
    """The points to try: a scrambled Sobol sequence over the space, fixed by the seed."""
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=optuna.samplers.QMCSampler(seed=params.seed, scramble=True,
                                                                       warn_independent_sampling=False))
    points = []
    for _ in range(params.sweep.trials):
        trial = study.ask()
        points.append(suggest(trial, params))
        study.tell(trial, 0.0)
    return points


def _enqueue(study: optuna.Study, points: dict[int, dict[str, Any]], budget: int) -> None:
    for point, choice in points.items():
        study.enqueue_trial(choice, user_attrs={POINT: point, BUDGET: budget})


def work(study: optuna.Study, folds: tuple[Parts, ...], params: Params,
         paused: dict[int, Climb] | None = None, each: Each = map) -> list[dict[str, Any]]:
    """Try enqueued points until none is left; returns the records of those that this worker scored.

    A trial that climbed to the last rung is COMPLETE, one that stopped at an earlier rung PRUNED, and one whose score
    is no number FAIL. A point that goes on is a trial anew.

    Args:
        paused: climbs by their points, to go on with and to add to. A point without one starts from the ground and
            scores the same.
        each: ``map``, or another that does the folds side by side.
    """
    import optuna

    state = optuna.trial.TrialState
    paused = {} if paused is None else paused
    mine: list[dict[str, Any]] = []
    while True:
        trial = study.ask()
        if POINT not in trial.user_attrs:
            # The queue ran dry between two workers: this trial was not enqueued and is none of ours.
            study.tell(trial, state=state.FAIL)
            return mine
        point, budget, choice = trial.user_attrs[POINT], trial.user_attrs[BUDGET], suggest(trial, params)
        climb = paused[point] = paused.get(point) or Climb(folds, params, choice)
        climb.to(budget, each)
        if math.isnan(climb.auc):
            trial.set_user_attr(UNSCORED, True)
            study.tell(trial, state=state.FAIL)
            continue
        trial.set_user_attr(ROUNDS, climb.rounds)
        trial.report(climb.auc, budget)
        if budget < budgets(params.sweep)[-1]:
            study.tell(trial, state=state.PRUNED)
        else:
            study.tell(trial, climb.auc)
        mine.append({"point": point, "auc": climb.auc, "rounds": climb.rounds})


def finish(study: optuna.Study, folds: tuple[Parts, ...], params: Params) -> dict[str, Any]:
    """Play every rung to its end, dead workers' points included, and report every point: ``sweep.json``.

    Raises:
        BadInput: no point has a score.
    """
    import optuna

    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        if POINT in trial.user_attrs:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    points, paused = dict(enumerate(_points(params))), dict[int, Climb]()
    climbed: dict[int, list[FrozenTrial]] = {k: [] for k in points}
    standing, workers = list(points), params.sweep.workers
    for budget in budgets(params.sweep):
        known = trials_on(study, budget)
        _enqueue(study, {k: points[k] for k in standing if k not in known}, budget)
        with ThreadPoolExecutor(workers) as fitting, ThreadPoolExecutor(workers) as pool:
            for worker in [pool.submit(work, study, folds, params, paused, fitting.map) for _ in range(workers)]:
                worker.result()
        told = trials_on(study, budget)
        for k in standing:
            climbed[k].append(told[k])
        standing = best_third({k: auc for k in standing if (auc := told[k].value) is not None})
        for k in paused.keys() - set(standing):
            del paused[k]
    trials = [_report(k, rungs) for k, rungs in climbed.items()]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    if not complete:
        raise BadInput("No point of the sweep has a score", value=f"{len(trials)} points",
                       remedy="Look among the features for values that no model can be fitted to.")
    return {"trials": trials, "best": max(complete, key=lambda t: (t["auc"], -t["point"]))}


def trials_on(study: optuna.Study, budget: int) -> dict[int, FrozenTrial]:
    """The trials of one rung by their points: enqueued, or told with a score or without one for good."""
    import optuna

    state = optuna.trial.TrialState
    there = study.get_trials(deepcopy=False, states=[state.WAITING, state.COMPLETE, state.PRUNED, state.FAIL])
    return {t.user_attrs[POINT]: t for t in there if t.user_attrs.get(BUDGET) == budget
            and (t.state != state.FAIL or UNSCORED in t.user_attrs)}


def _report(point: int, rungs: list[FrozenTrial]) -> dict[str, Any]:
    """One point's record, by its trials on the rungs that it reached."""
    scored = [t for t in rungs if t.value is not None]
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[rungs[-1].state.name]
    return {"point": point, "params": rungs[-1].params, "state": state,
            "auc": scored[-1].value if scored else None, "rounds": scored[-1].user_attrs[ROUNDS] if scored else None,
            "rungs": [{"budget": t.user_attrs[BUDGET], "auc": t.value} for t in scored]}
