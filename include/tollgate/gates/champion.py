"""Is the challenger as good as the model whose scores count today, and as the best of those whose did?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tollgate.errors import Refused
from tollgate.gates.base import Verdict, judged, listed, not_applicable, percent
from tollgate.gates.evidence import Case
from tollgate.gates.looks import earlier_looks, window_of
from tollgate.stats.intervals import normal_quantile
from tollgate.stats.looks import look_confidence
from tollgate.stats.ranking import paired

POWER = 0.8             # how often an equal challenger should pass, when a refusal says how many loans that takes
PINNED = ("version", "digest", "unproven", "former", "left_out", "looks")


@dataclass(frozen=True)
class Rival:
    """A model that a challenger is compared with.

    Attributes:
        gate: which gate compares. name: for people. version: its number.
        score: its score of each test loan, float64 of shape (rows,).
    """

    gate: str
    name: str
    version: str
    score: np.ndarray


def champion(case: Case) -> Verdict:
    """Non-inferiority in AUC, paired on the same test rows.

    The challenger passes when the lower end of the one-sided DeLong interval of AUC(challenger) - AUC(champion)
    reaches no further down than the margin, and is worse when the upper end lies below it. Where the margin lies
    between the two, the test is too small to tell and the champion stays. The level rises with every look at these
    months (``look_confidence``). docs/gate-errors.md and docs/slow-slide.md have the error rates.
    """
    rival = reigning(case)
    if rival is None:
        return not_applicable("champion", f"{nobody(case)} to compare with.")
    return _compared(case, _pinned(case), rival)


def former_best(case: Case) -> Verdict:
    """The test of ``champion``, against the former champion that ranks the validation rows best.

    Each champion may be a little worse than the one before; none may be worse than the best by more than the margin.
    """
    pinned = _pinned(case)
    left_out = "".join(f" Version {one['version']} is left out: {one['why']}." for one in pinned["left_out"])
    if not pinned["former"]:
        return not_applicable("former_best", f"There is no former champion to compare with.{left_out}")
    versions = {former["digest"]: str(former["version"]) for former in pinned["former"]}
    version = versions.get(_made_by(case, "former"))
    if version is None:
        raise Refused("evidence.parquet holds the scores of no former champion that champion.json names",
                      value=_made_by(case, "former")[:12] or "none", remedy="Run the evaluate stage again.")
    told = _compared(case, pinned, Rival("former_best", f"former champion {version}", version, _scores(case, "former")))
    tried = listed(sorted(versions.values(), key=int), len(versions))
    return replace(told, sentence=f"{told.sentence} Of the former champions {tried} it ranks the validation loans best."
                                  f"{left_out}")


def _compared(case: Case, pinned: dict[str, Any], rival: Rival) -> Verdict:
    """The verdict of the paired test against one rival."""
    margin = case.params.gates.champion_margin
    look = 1 + earlier_looks(pinned["looks"], rival.version, case.digest, window_of(case.evidence))
    sure = look_confidence(case.params.gates.confidence, look)
    (mine, other), ahead, (low, high) = paired(case.label, case.score, rival.score, sure)
    told = (f"AUC is {mine:.4f} against {other:.4f} of {rival.name} on the same {len(case.label):,} loans, "
            f"{ahead:+.4f} and with {100 * sure:.4g} % confidence at least {low:+.4f}")
    if low >= -margin:
        told += f"; it may be worse by at most {margin:g}."
    elif high >= -margin:
        told += (f": cannot tell. The margin is {margin:g}, the test window is too small to rule out a worse model, "
                 f"and the rule for that case is to keep the champion. More test months would tell")
        reach = ahead - low
        enough = len(case.label) * (reach * (1 + normal_quantile(POWER) / normal_quantile(sure)) / margin) ** 2
        told += f"; an equal model passes {percent(POWER)} of tests of {enough:,.0f} loans."
    else:
        told += f": worse than {rival.name} by more than the margin of {margin:g}."
    told += (f" This is look {look} at loans of these months against {rival.name}: all looks together let a model that "
             f"is worse by the margin through in at most {percent(1 - case.params.gates.confidence)} of cases.")
    return judged(rival.gate, low >= -margin, measured=ahead, interval=(low, high), limit=-margin, sentence=told)


def reigning(case: Case) -> Rival | None:
    """The champion, with its scores; None where there is none to compare with.

    Raises:
        Refused: the evidence is of another champion, or today's code no longer scores as it and
            ``gates.unproven_champion`` does not accept that.
    """
    pinned = _pinned(case)
    if pinned["version"] is None:
        return None
    if pinned["unproven"]:
        if case.params.gates.unproven_champion == "accept":
            return None
        raise Refused(f"Version {pinned['version']}, the champion, cannot be compared with. {pinned['unproven']}",
                      remedy="Make the code score again as was approved. Where that cannot be, set "
                             "gates.unproven_champion to accept, with the reason, and have the challenger approved.")
    if _made_by(case, "champion") != pinned["digest"]:
        raise Refused(f"evidence.parquet holds the scores of another champion "
                      f"({_made_by(case, 'champion')[:12] or 'none'}) than champion.json names "
                      f"({str(pinned['digest'])[:12]})",
                      remedy="Open the run again, so that it is compared with the champion of today.")
    version = str(pinned["version"])
    return Rival("champion", f"champion {version}", version, _scores(case, "champion"))


def nobody(case: Case) -> str:
    """Why there is no champion, as the beginning of a sentence."""
    pinned = _pinned(case)
    if pinned["version"] is None:
        return "There is no champion yet"
    return (f"By gates.unproven_champion of params.yaml, version {pinned['version']}, the champion, is nobody (today's "
            f"code does not score as it: {pinned['unproven']})")


def _pinned(case: Case) -> dict[str, Any]:
    """``champion.json``, of this book and complete."""
    pinned = case.json("champion.json")
    if "version" not in pinned:
        raise Refused("champion.json does not say which version is the champion", remedy="Open the run again.")
    if pinned.get("model") != case.params.book:
        raise Refused(f"champion.json is of another book than {case.params.book}", value=pinned.get("model"),
                      remedy="Open the run again.")
    if absent := [name for name in PINNED if name not in pinned]:
        raise Refused(f"champion.json does not tell {', '.join(absent)}", remedy="Open the run again.")
    return pinned


def _made_by(case: Case, role: str) -> str:
    """The digest of the model whose scores of this role the evidence holds; empty when there is none."""
    _ = case.evidence
    return str((case.rescored.schema.metadata or {}).get(f"{role}_digest".encode(), b"").decode())


def _scores(case: Case, role: str) -> np.ndarray:
    """Scores of the test rows by the champion or the best former champion, float64 of shape (rows,)."""
    theirs = case.evidence[f"{role}_score"]
    if theirs.null_count or not np.isfinite(theirs.to_numpy()).all():
        raise Refused(f"evidence.parquet lacks {role} scores for some test rows",
                      remedy="Run the evaluate stage again.")
    return theirs.to_numpy()
