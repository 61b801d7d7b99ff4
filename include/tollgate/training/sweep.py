"""The sweep: one study that any number of workers share, with a result that does not depend on how many.

Every worker follows the same course (``course.py``): it claims a point of the rung that is open, climbs it, and writes
down what it scored. A claim is a lock of the answers' database, which is free at once when its holder dies: who waits
for a neighbour knows a slow one from a dead one. Workers share that database, and no disk.
"""

from __future__ import annotations

import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from tollgate.books import load_book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import estimator
from tollgate.training.course import Answer, Choice, Course, Rung
from tollgate.training.fit import Parts
from tollgate.training.rungs import Climb, Each
from tollgate.training.space import check_space

HERE = Path(__file__).parent
SCORED_BY = (*(path for room in ("estimators", "features") for path in sorted((HERE.parent / room).glob("*.py"))),
             *(HERE / f"{name}.py" for name in ("course", "fit", "rungs", "space", "sweep", "weights")))


def study_name(params: Params, data_digest: str) -> str:
    """A name that changes with whatever could change a trial's score: data, directions, parameters and code."""
    name = params.train.estimator
    directions = [(feature.name, feature.monotone) for feature in load_book(params.book).features]
    decides = [data_digest, directions, params.split.model_dump(), params.sweep.model_dump(exclude={"workers"}),
               params.seed, name, params.train.default_weight, params.train.half_life_months,
               params.space.model_dump(), version_of(estimator(name).library), version_of("optuna"),
               [hashlib.sha256(path.read_bytes()).hexdigest() for path in SCORED_BY]]
    return f"{params.book}-{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}"


def open_study(params: Params, data_digest: str) -> str:
    """The name of the study, whose database answers.

    Raises:
        PassingFault: the database cannot be reached.
        BadInput: ``TOLLGATE_OPTUNA`` names none, or the space what the estimator does not know.
    """
    from tollgate.training import answers

    check_space(params)
    answers.prepare()
    return study_name(params, data_digest)


def work(study: str, folds: tuple[Parts, ...], course: Course,
         paused: dict[int, Climb] | None = None, each: Each = map) -> list[dict[str, Any]]:
    """Climb with whoever else does until every rung is whole; the records of what this worker scored.

    Args:
        study: its name, by ``open_study``. course: of the same parameters; workers of one process may share it.
        paused: climbs by their points, to go on with and to add to. A point without one starts from the ground and
            scores the same.
        each: ``map``, or another that does the folds side by side.

    Raises:
        PassingFault: the study's database cannot be reached.
    """
    from tollgate.services import claim
    from tollgate.training import answers

    mine = list[dict[str, Any]]()
    paused = {} if paused is None else paused
    with answers.session() as database:
        while (rung := course.open(known := answers.read(database, study))) is not None:
            for left in set(paused) - set(rung.points):
                paused.pop(left, None)
            # First what this worker has climbed before: for another it starts from the ground.
            missing = sorted(rung.missing(known), key=lambda k: (k not in paused, k))
            for point in missing:
                with claim(database, f"{study} {point} {rung.budget}") as had:
                    if not had or (point, rung.budget) in answers.read(database, study):
                        continue
                    climb = paused[point] = paused.get(point) or Climb(folds, course.params, rung.points[point])
                    climb.to(rung.budget, each)
                    answer = Answer(None if math.isnan(climb.auc) else climb.auc, climb.rounds)
                    answers.write(database, study, point, rung.budget, answer)
                mine.append({"point": point, "rung": rung.budget, **asdict(answer)})
                break
            else:
                # Each has a living worker: until one of them is done with it, or dead.
                with claim(database, f"{study} {missing[0]} {rung.budget}", wait=True):
                    pass
    return mine


def finish(study: str, folds: tuple[Parts, ...], params: Params) -> dict[str, Any]:
    """Climb what is left of the course, and report every point: ``sweep.json``.

    Raises:
        BadInput: no point has a score.
        PassingFault: the study's database cannot be reached.
    """
    workers, course, paused = params.sweep.workers, Course(params), dict[int, Climb]()
    course.open({})  # its first points are drawn once, not by each of us
    with ThreadPoolExecutor(workers) as fitting, ThreadPoolExecutor(workers) as pool:
        for worker in [pool.submit(work, study, folds, course, paused, fitting.map) for _ in range(workers)]:
            worker.result()
    known, climbed = told(study), dict[int, list[tuple[Rung, Answer]]]()
    for rung in course.rungs(known):
        for point in rung.points:
            climbed.setdefault(point, []).append((rung, known[point, rung.budget]))
    trials = [_report(point, rungs[0][0].points[point], rungs) for point, rungs in climbed.items()]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    if not complete:
        raise BadInput("No point of the sweep has a score", value=f"{len(trials)} points",
                       remedy="Look among the features for values that no model can be fitted to.")
    return {"trials": trials, "best": max(complete, key=lambda t: (t["auc"], -t["point"]))}


def told(study: str) -> dict[tuple[int, int], Answer]:
    """What was scored so far, by point and budget. Raises ``PassingFault`` where the database cannot be reached."""
    from tollgate.training import answers

    with answers.session() as database:
        return answers.read(database, study)


def _report(point: int, choice: Choice, rungs: list[tuple[Rung, Answer]]) -> dict[str, Any]:
    """One point's record, by its answers on the rungs that it reached."""
    scored = [(rung, answer) for rung, answer in rungs if answer.auc is not None]
    last, auc = rungs[-1][0].last, rungs[-1][1].auc
    state = "failed" if auc is None else "complete" if last else "pruned"
    return {"point": point, "params": choice, "state": state, "auc": scored[-1][1].auc if scored else None,
            "rounds": scored[-1][1].rounds if scored else None,
            "rungs": [{"budget": rung.budget, "auc": answer.auc} for rung, answer in scored]}
