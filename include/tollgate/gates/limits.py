"""Which limits a book's own fits would bear: told beside those in force, with the evidence; nothing is changed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollgate.config import Params
from tollgate.gates.report import MEANINGS

DIGITS = 2
ADVICE = ("A limit that is suggested is the end of the interval that the fits of this book reached, rounded outwards: "
          "a model as good as those passes, but for bad luck. It says what is usual and not what is good enough, which "
          "is for whoever answers for the loans.")


@dataclass(frozen=True)
class Limit:
    """A limit of params.yaml, and the gate that holds a value against it.

    Attributes:
        means: what a value beyond the limit in force says.
        loosened: whether measuring may loosen it; a limit of fairness is not measured but decided.
    """

    key: str
    gate: str
    means: str
    loosened: bool = True


LIMITS = (
    Limit("auc_min", "auc", "the columns tell less of this book's outcome than the limit asks; look for more of what "
                            "was known at the application before asking for less"),
    Limit("ks_min", "ks", "good and bad loans are told apart less than the limit asks"),
    Limit("false_negative_max", "false_negatives", "the operating threshold misses more defaults out of time than "
                                                   "train.false_negative_target meant it to"),
    Limit("calibration_gap_max", "calibration", "the default rate moved between training and test"),
    Limit("parity_gap_max", "fairness", "groups are approved at different rates; how far they may be apart is a "
                                        "question of law, not of what was measured", loosened=False),
)


def suggested_limits(reports: Sequence[Mapping[str, Any]], params: Params) -> dict[str, Any]:
    """What a book's limits could be by the gate reports of its fits, the contents of ``gates.json``.

    Returns ``limits``, one record a limit: in force, measured with its interval at each as-of, suggested, and what it
    means; ``scorecard``, the AUC that anyone could have built; and ``params``, a block to paste.
    """
    told = {(str(report["as_of"]), report.get("model_digest")): report for report in reports}
    runs = [told[key] for key in sorted(told, key=str)]
    limits = [_limit(limit, runs, getattr(params.gates, limit.key)) for limit in LIMITS]
    found = [record for record in limits if record["measured"]]
    return {"as_ofs": [str(run["as_of"]) for run in runs], "limits": found,
            "scorecard": [line for run in runs if (line := _scorecard(run))],
            "params": _block(found, runs), "advice": ADVICE}


def _limit(limit: Limit, runs: Sequence[Mapping[str, Any]], in_force: float) -> dict[str, Any]:
    verdicts = [(run["as_of"], verdict) for run in runs for verdict in run["verdicts"]
                if verdict["gate"] == limit.gate and verdict["measured"] is not None and verdict["low"] is not None]
    above = MEANINGS[limit.gate].above_is_good
    rounded, weakest, stricter = (_down, min, max) if above else (_up, max, min)
    measured = {str(day): f"{v['measured']:.3f} ({v['low']:.3f} to {v['high']:.3f})" for day, v in verdicts}
    suggested = weakest((rounded(v["low" if above else "high"]) for _, v in verdicts), default=in_force)
    beyond = [v for _, v in verdicts if not (v["measured"] > in_force if above else v["measured"] < in_force)]
    if not beyond or not limit.loosened:  # what passes needs no looser limit, however wide its interval is
        suggested = stricter(suggested, in_force)
    said = (f"beyond the limit in force, so that such a model is refused: {limit.means}" if beyond else
            "within the limit in force")
    return {"limit": limit.key, "in force": in_force, "measured": measured, "suggested": suggested, "means": said}


def _scorecard(run: Mapping[str, Any]) -> str:
    """What the logistic scorecard reached on the same test loans."""
    by = {verdict["gate"]: verdict for verdict in run["verdicts"]}
    model, ahead = (by.get(gate, {}).get("measured") for gate in ("auc", "baseline"))
    if model is None or ahead is None:
        return ""
    return f"{run['as_of']}: AUC {model:.3f}, of the scorecard {model - ahead:.3f}"


def _block(limits: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> str:
    """The limits that differ from those in force, each with its evidence, as YAML."""
    lines = [f"  {record['limit']}: {record['suggested']:g}  # {_evidence(record['measured'])}; {record['in force']:g} "
             "before" for record in limits if record["suggested"] != record["in force"]]
    days = ", ".join(str(run["as_of"]) for run in runs)
    return "\n".join([f"gates:  # by the fits as of {days}", *lines]) + "\n" if lines else ""


def _evidence(measured: Mapping[str, str]) -> str:
    return ", ".join(measured.values())


def _down(value: float) -> float:
    return _to(value, math.floor)


def _up(value: float) -> float:
    return _to(value, math.ceil)


def _to(value: float, rounded: Callable[[float], int]) -> float:
    """A share to two digits, which a limit can be: neither 0 nor 1."""
    return min(max(rounded(round(value * 10**DIGITS, 6)) / 10**DIGITS, 10**-DIGITS), 1 - 10**-DIGITS)
