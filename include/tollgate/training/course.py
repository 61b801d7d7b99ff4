"""The course of a sweep: which points are tried, and how far each of them climbs.

Both follow from the parameters and from what was scored so far, and from nothing else: not from who scored it or when.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tollgate.config import Params
from tollgate.training.rungs import best_third, budgets
from tollgate.training.space import suggest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Choice = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What one point scored on one rung.

    Attributes:
        auc: the mean over the folds, None where a fold could not be scored. rounds: those that reached it.
    """

    auc: float | None
    rounds: int


Told = Mapping[tuple[int, int], Answer]


@dataclass(frozen=True)
class Rung:
    """Points that climb equally far.

    Attributes:
        points: what each of them chooses, by its number. budget: boosting rounds. last: nobody goes on from here.
    """

    points: dict[int, Choice]
    budget: int
    last: bool

    def missing(self, told: Told) -> list[int]:
        """The points without an answer on this rung."""
        return [k for k in self.points if (k, self.budget) not in told]


class Course:
    """The rungs of one sweep, in their order.

    By ``sobol`` all points are one scrambled Sobol sequence over the space (Owen, "Randomly permuted (t,m,s)-nets and
    (t,s)-sequences", 1995). By ``tpe`` only the first batch is; each later one is drawn by a tree-structured Parzen
    estimator (Bergstra, Bardenet, Bengio and Kégl, "Algorithms for hyper-parameter optimization", 2011) once those
    before it are whole, from all that they scored.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self._batches: dict[int, dict[int, Choice]] = {}  # drawn so far; drawing again would give the same

    def open(self, told: Told) -> Rung | None:
        """The rung that is to be climbed now, the first that misses an answer; None when none does."""
        *_, rung = self.rungs(told)
        return rung if rung.missing(told) else None

    def rungs(self, told: Told) -> Iterator[Rung]:
        """Every rung that is known, up to the first that misses an answer."""
        sweep, drawn = self.params.sweep, 0
        tried: list[FrozenTrial] = []
        size = sweep.batch if sweep.sampler == "tpe" else sweep.trials
        for batch in range(-(-sweep.trials // size)):
            if batch not in self._batches:
                count = min(size, sweep.trials - drawn)
                choices = _learned(self.params, batch, count, tried) if batch else _even(self.params, count)
                self._batches[batch] = dict(enumerate(choices, start=drawn))
            points = self._batches[batch]
            drawn, standing, climb = drawn + len(points), list(points), budgets(sweep, len(points))
            for budget in climb:
                rung = Rung({k: points[k] for k in standing}, budget, budget == climb[-1])
                yield rung
                if rung.missing(told):
                    return
                tried += [_trial(self.params, rung, k, told[k, budget]) for k in standing]
                standing = best_third({k: auc for k in standing if (auc := told[k, budget].auc) is not None})


def distributions(params: Params, choice: Choice) -> dict[str, BaseDistribution]:
    """What each hyperparameter of a point was drawn from, as Optuna describes it."""
    import optuna

    asked = optuna.trial.FixedTrial(choice)
    suggest(asked, params)
    return asked.distributions


def _trial(params: Params, rung: Rung, point: int, answer: Answer) -> FrozenTrial:
    """One point on one rung as a trial of Optuna's, to learn from."""
    import optuna

    scored, state = answer.auc is not None, optuna.trial.TrialState
    reached = (state.COMPLETE if rung.last else state.PRUNED) if scored else state.FAIL
    return optuna.trial.create_trial(
        state=reached, value=answer.auc, params=rung.points[point],
        distributions=distributions(params, rung.points[point]),
        intermediate_values={rung.budget: answer.auc} if answer.auc is not None else {})


def _even(params: Params, count: int) -> list[Choice]:
    """The first points of the Sobol sequence."""
    import optuna

    with _experiments():
        study = optuna.create_study(sampler=optuna.samplers.QMCSampler(seed=params.seed, scramble=True,
                                                                       warn_independent_sampling=False))
    points = []
    for _ in range(count):
        trial = study.ask()
        points.append(suggest(trial, params))
        study.tell(trial, 0.0)  # the sequence goes over what a trial that was told has drawn
    return points


def _learned(params: Params, batch: int, count: int, tried: Sequence[FrozenTrial]) -> list[Choice]:
    """The points of a later batch."""
    import optuna

    with _experiments():
        # The constant liar keeps them apart: each is drawn as if those before it had scored badly.
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(
            seed=params.seed + batch, n_startup_trials=1, multivariate=True, constant_liar=True))
    study.add_trials(tried)
    return [suggest(study.ask(), params) for _ in range(count)]


@contextmanager
def _experiments() -> Iterator[None]:
    """Optuna warns of what it may still change, and tells of every study; its version is part of ours' names."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
