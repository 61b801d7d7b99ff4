"""All gates in their order; what goes wrong inside one refuses that one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tollgate.config import Params
from tollgate.errors import TollgateError
from tollgate.gates import (
    baseline,
    behaviour,
    calibration,
    champion,
    data,
    decisions,
    fairness,
    leakage,
    performance,
    slices,
)
from tollgate.gates.base import Verdict, refused
from tollgate.gates.evidence import Case
from tollgate.gates.report import Report

CHECKS: dict[str, Callable[[Case], Verdict]] = {
    "auc": performance.auc,
    "ks": performance.ks,
    "false_negatives": performance.false_negatives,
    "approval_rate": decisions.approval_rate,
    "cost": decisions.cost,
    "calibration": calibration.calibration,
    "expected_defaults": calibration.expected_defaults,
    "slices": slices.slices,
    "baseline": baseline.baseline,
    "champion": champion.champion,
    "former_best": champion.former_best,
    "swap_set": decisions.swap_set,
    "fairness": fairness.fairness,
    "behaviour": behaviour.behaviour,
    "leakage": leakage.leakage,
    "data": data.data,
}
GATES = tuple(CHECKS)


def run_gates(folder: Path, params: Params, champion: Path | None = None, former: tuple[Path, ...] = ()) -> Report:
    """Judge the challenger of a run.

    Every test loan is scored again by every model, and must come out as the run's evidence says; every metric is
    computed from these scores. A gate that cannot read or believe what it needs refuses and says why; the others
    still judge.

    Args:
        folder: the ``run/`` folder of a workspace.
        params: what the run was made with; the limits are in ``params.gates``.
        champion, former: model folders of those that ``champion.json`` names, from the registry.
    """
    case = Case(folder, params, champion, former)
    verdicts = tuple(judge(case, gate) for gate in GATES)
    return Report(book=params.book, title=case.book.title, as_of=params.as_of.isoformat(),
                  model_digest=_named(lambda: case.digest),
                  snapshot_digest=_named(lambda: case.snapshot.get("digest")),
                  champion_version=_named(lambda: case.json("champion.json").get("version")), verdicts=verdicts)


def judge(case: Case, gate: str) -> Verdict:
    """One gate's verdict; a refusal with the fault's own words when the gate could not finish."""
    try:
        return CHECKS[gate](case)
    except TollgateError as err:
        return refused(gate, _told(case, str(err)))
    except Exception as err:  # whatever it is, the gate did not say yes
        return refused(gate, _told(case, f"The gate could not finish: {type(err).__name__}: {err}"))


def _told(case: Case, text: str) -> str:
    """One line of an error, the same wherever the workspace lies and whenever it is read (XGBoost tells the time)."""
    line = (text.splitlines() or [""])[0].replace(str(case.folder), "run")
    for folder in filter(None, (case.champion, *case.former)):
        line = line.replace(str(folder), folder.name)
    return re.sub(r"\[\d\d:\d\d:\d\d\] ", "", line)


def _named(read: Callable[[], object]) -> str | None:
    """What ``read`` gives, for the report's head; None where there is nothing or the gates refused it."""
    try:
        found = read()
    except TollgateError:
        return None
    return None if found is None else str(found)
