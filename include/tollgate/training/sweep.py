"""The sweep: one Optuna study that any number of workers share, with a result that does not depend on how many.

The points to try are drawn beforehand by a seeded quasi-random sequence and enqueued; a worker takes the next one
until none is left. What a point scores is a function of the point, so the best of them is the same for one worker
and for ten, and a killed worker's points are tried again by whoever finishes the sweep.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tollgate.config import Params, settings
from tollgate.errors import PassingFault
from tollgate.training.fit import Parts, fit

if TYPE_CHECKING:
    import optuna
    from filelock import FileLock

POINT = "point"


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    """The search space, by XGBoost's names."""
    return {
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 5, 200, log=True),
        "subsample": trial.suggest_float("subsample", 0.6, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.5, 20, log=True),
    }


def study_name(params: Params, data_digest: str) -> str:
    """A name that changes with whatever could change a trial's score."""
    import xgboost

    decides = [data_digest, params.split.model_dump(), params.sweep.model_dump(exclude={"workers"}), params.seed,
               xgboost.__version__]
    return f"{params.book}-{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}"


def open_study(params: Params, data_digest: str) -> optuna.Study:
    """The shared study, its points enqueued once, whoever comes first.

    Raises:
        PassingFault: the study's storage cannot be reached.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    where, name = settings().optuna, study_name(params, data_digest)
    settings().data.mkdir(parents=True, exist_ok=True)
    try:
        with _turn():
            storage = optuna.storages.RDBStorage(where, engine_kwargs={"connect_args": {"timeout": 60}}
                                                 if where.startswith("sqlite") else None)
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
            if not study.get_trials(deepcopy=False):
                for k, choice in enumerate(_points(params)):
                    study.enqueue_trial(choice, user_attrs={POINT: k})
    except SQLAlchemyError as err:
        raise PassingFault(f"The sweep's storage did not answer: {str(err).splitlines()[0]}", value=name,
                           remedy="Check TOLLGATE_OPTUNA and the server behind it.") from err
    return study


def _turn() -> FileLock:
    """One at a time on this machine: SQLite cannot lock a row, so that two workers could take the same point."""
    from filelock import FileLock

    return FileLock(settings().data / "optuna.lock")


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
        points.append(_suggest(trial))
        study.tell(trial, 0.0)
    return points


def work(study: optuna.Study, parts: Parts, params: Params) -> list[dict[str, Any]]:
    """Try enqueued points until none is left; returns the records of those that this worker tried."""
    import optuna

    mine: list[dict[str, Any]] = []
    while True:
        with _turn():
            trial = study.ask()
        if POINT not in trial.user_attrs:
            # The queue ran dry between two workers: this trial was not enqueued and is none of ours.
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return mine
        choice = _suggest(trial)
        booster, auc = fit(parts, params, choice)
        trial.set_user_attr("rounds", booster.num_boosted_rounds())
        study.tell(trial, auc)
        mine.append({"point": trial.user_attrs[POINT], "auc": auc, "rounds": booster.num_boosted_rounds()})


def finish(study: optuna.Study, parts: Parts, params: Params) -> dict[str, Any]:
    """Try what is left, dead workers' points included, and report every point: the content of ``sweep.json``."""
    import optuna

    state = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=[state.RUNNING]):
        if POINT in trial.user_attrs:
            study.tell(trial.number, state=state.FAIL)
    done = {t.user_attrs[POINT] for t in study.get_trials(deepcopy=False, states=[state.COMPLETE, state.WAITING])
            if POINT in t.user_attrs}
    for k, choice in enumerate(_points(params)):
        if k not in done:
            study.enqueue_trial(choice, user_attrs={POINT: k})
    with ThreadPoolExecutor(params.sweep.workers) as workers:
        for worker in [workers.submit(work, study, parts, params) for _ in range(params.sweep.workers)]:
            worker.result()
    complete = {t.user_attrs[POINT]: t for t in study.get_trials(deepcopy=False, states=[state.COMPLETE])}
    trials = [{"point": k, "auc": t.value, "rounds": t.user_attrs["rounds"], "params": t.params}
              for k, t in sorted(complete.items())]
    return {"trials": trials, "best": max(trials, key=lambda t: (t["auc"], -t["point"]))}
