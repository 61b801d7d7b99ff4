"""What a replay of the decade came to: read from its lake and its ledger, as JSON could carry it.

Beside what stands there, two models score the rows that each night pinned: the first champion, as if it had been left
alone, and the champion that the night's own had replaced. Labels are those that were known in the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights, registry, requests
from tollgate.books import Book, load_book
from tollgate.config import load_params, settings
from tollgate.features import Model
from tollgate.incidents import ENDED
from tollgate.labels import BAD, GOOD, label_of, read_labels
from tollgate.monitoring.measures import KS, MISSING, PSI, UNSEEN, watched
from tollgate.monitoring.performance import MATURED_AUC, matured
from tollgate.monitoring.reference import read_profile
from tollgate.monitoring.window import is_declined, scored_only
from tollgate.nights import Publication
from tollgate.numerals import numeral
from tollgate.scoring.shards import judge_shard
from tollgate.stats.distributions import counts
from tollgate.stats.expected import expected_auc
from tollgate.stats.ranking import paired

Row = dict[str, Any]

KNOWN = date(2015, 1, 1)  # after the book's last outcome
PLAIN = (0.10, 0.25)      # the limits of plain PSI rules
FEWEST = 2                # of either class, for an interval
CONFIDENCE = 0.95
OF_FEATURES = (PSI, KS, MISSING, UNSEEN)
COMMITTED, REJECTED = "-committed", "rejected"


def told(book_name: str) -> Row:
    """Everything that the page tells of a replay, but for its plan."""
    book = load_book(book_name)
    found = list(reversed(nights.publications(book.name)))
    decisions = [line for line in reversed(registry.decisions(book.name))]
    incidents = lake.read(lake.incidents(book.name)).to_pylist()
    reigns = [line for line in decisions if line["kind"].endswith(COMMITTED)]
    return {"attempts": _attempts(incidents, registry.champions_since(book.name)),
            "models": [_plain(model) for model in reversed(registry.models(book.name))],
            "decisions": [_decision(line) for line in decisions
                          if line["kind"].endswith(COMMITTED) or line["kind"] == REJECTED],
            "requests": [{**_plain(one), "why": _refusal(incidents, one["key"])} for one in _requests(book.name)],
            "alerts": _alerts(book, found),
            "incidents": [_plain(line) for line in incidents],
            "nights": [_night(book, night, _replaced(reigns, night.version)) for night in found]}


def _plain(row: Row) -> Row:
    """Days as ISO text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


def _attempts(incidents: Iterable[Row], since: date | None) -> list[Row]:
    """The trainings that came to nothing before there was a champion, with the last that each task told."""
    told = {line["as_of"].isoformat(): error_in(line["message"]) for line in incidents
            if ":train_weekly" in line["event"] and line["status"] != ENDED
            and (since is None or line["as_of"] < since)}
    return [{"as_of": day, "message": message} for day, message in sorted(told.items())]


def error_in(message: str) -> str:
    """Without which task told it at which try."""
    return message.split(" error: ", 1)[-1]


def _decision(line: Row) -> Row:
    payload = line["payload"]
    return {"kind": line["kind"].removesuffix(COMMITTED), "version": line["version"], "by": line["by"],
            "since": payload.get("effective_on"), "reason": payload.get("reason") or payload.get("comment") or "",
            "previous": payload.get("previous")}


def _replaced(reigns: Iterable[Row], version: str) -> str | None:
    """The champion that a version replaced when it was last promoted."""
    found = [line["payload"].get("previous") for line in reigns if line["version"] == version]
    return found[-1] if found else None


def _requests(book: str) -> list[Row]:
    events = lake.read(lake.requests(book)).to_pylist()
    return [{**one, "book": book} for one in requests.fold(book, events).values()]


def _refusal(incidents: Iterable[Row], key: str) -> str:
    """Why the gates refused the model that a request led to; nothing where they did not."""
    told = [error_in(line["message"]) for line in incidents
            if line["event"].startswith("refused:") and line["status"] != ENDED and line["run_id"] == f"drift__{key}"]
    return told[-1] if told else ""


def _alerts(book: Book, found: Iterable[Publication]) -> list[Row]:
    """Every alert with the luck that its measure allows for, and of each feature that moved, where it moved most."""
    versions = {night.attempt.day.isoformat(): night for night in found}
    told = []
    for alert in lake.read(lake.alerts(book.name)).to_pylist():
        measures = lake.read(lake.measures(book.name), filters=[("day", "=", alert["day"])]).to_pylist()
        metric, subjects = alert["key"].split(":")[0], alert["subject"].split("+")
        same = [row for row in measures if row["metric"] in (metric, *_NAMES.get(metric, ()))
                and row["null_value"] is not None and (row["subject"] in subjects or metric in _NAMES or
                                                       row["metric"] == alert["subject"])]
        null = max((row["null_value"] for row in same), default=None)
        night = versions.get(alert["day"])
        moved = [] if night is None else [where for subject in subjects
                                          if (where := _moved_most(book.name, night, subject)) is not None]
        told.append(_plain({**alert, "null": null, "moved": moved}))
    return told


_NAMES = {"auc": (MATURED_AUC,), KS: (KS,)}  # of an event, the measure behind it


def _moved_most(book: str, night: Publication, subject: str) -> str | None:
    """The bin of a feature whose share changed most in the sense of PSI, then and now; None where it has none."""
    profile = read_profile(registry.fetch_to_score(book, night.version))
    entry = profile["score"] if subject == "score" else profile["features"].get(subject)
    if entry is None or night.attempt.number is None:
        return None
    pin = nights.read_pin(night.attempt)
    values = pa.concat_tables([nights.read_scored(pin, k) if subject == "score" else nights.read_features(pin, k)
                               for k in range(pin.shards)])[subject]
    now, before = counts(entry, values).bins, np.asarray(entry["counts"])
    e, a = before / before.sum(), np.maximum(now, 0.5) / max(now.sum(), 1)
    terms = np.where(before > 0, (a - e) * np.log(a / np.where(e > 0, e, 1)), 0.0)
    place = int(np.argmax(terms))
    return f"{subject} {_bin(entry, place)}: {e[place]:.0%} then, {now[place] / max(now.sum(), 1):.0%} now"


def _bin(entry: Row, place: int) -> str:
    if entry["kind"] == "category":
        return f"`{entry['levels'][place]}`"
    low = entry["edges"][place - 1] if place else None
    high = entry["edges"][place] if place < len(entry["edges"]) else None
    if low is None or high is None:
        return f"from {numeral(low, 4)} on" if high is None else f"below {numeral(high, 4)}"
    least, most = numeral(low, 4), numeral(high, 4)
    return f"about {least}" if least == most else f"{least} to {most}"


def _night(book: Book, night: Publication, former: str | None) -> Row:
    """One night: what was measured, what was concluded, and what in the end came true of it and of two others."""
    day = night.attempt.day
    measures = lake.read(lake.measures(book.name), filters=[("day", "=", day.isoformat())]).to_pylist()
    verdict = lake.read(lake.verdicts(book.name), filters=[("day", "=", day.isoformat())]).to_pylist()
    measured = {metric: {row["subject"]: row["value"] for row in measures
                         if row["metric"] == metric and row["value"] is not None} for metric in OF_FEATURES}
    psi = measured[PSI]
    worst = max(((psi[one], one) for one in watched(book) if one in psi), default=(None, None))
    scores = scored_only(lake.read(lake.scores(book.name), columns=[
        "loan_id", "applied_on", "score", "decision"], filters=[
            ("day", "=", day.isoformat()), ("population", "=", nights.NEW)])).sort_by("loan_id")
    label = _labels(book, scores)
    guard = next((row for row in measures if row["kind"] == "guard" and row["metric"] == "judgement"), None)
    others = {name: _fared(scores, label, _scored_by(night, version))
              for name, version in (("alone", "1"), ("former", former)) if version is not None}
    return {"day": day.isoformat(), "version": night.version, "rows": night.rows, "former_version": former,
            "level": verdict[0]["level"] if verdict else None, "request": verdict[0]["request"] if verdict else None,
            "asked": bool(verdict and verdict[0]["asked"]), "measured": measured, "worst": worst[1],
            "worst_psi": worst[0], "guard": None if guard is None else guard["level"],
            "plain": {f"{limit:.2f}": sorted(name for name, value in psi.items() if value > limit) for limit in PLAIN},
            "own": _own(scores, label), **others}


def _labels(book: Book, scores: pa.Table) -> np.ndarray:
    """GOOD, BAD, or something else, of each score's loan."""
    ends = pc.min_max(scores["applied_on"]).as_py()
    horizon = load_params(settings().project / "params.yaml", book=book.name).snapshot.horizon_months
    return label_of(scores["loan_id"], read_labels(book, KNOWN, horizon, since=ends["min"],
                                                   until=ends["max"] + timedelta(days=1)))


def _own(scores: pa.Table, label: np.ndarray) -> Row:
    """What the scores that counted promised, and what came true."""
    return _promised_and_true(scores["score"].to_numpy(), is_declined(scores), label)


def _promised_and_true(score: np.ndarray, declined: np.ndarray, label: np.ndarray) -> Row:
    judged = (label == GOOD) | (label == BAD)
    bad = label[judged] == BAD
    true = matured(bad.astype(np.int8), score[judged], declined[judged])
    return {"expected_auc": expected_auc(score), "expected_rate": float(score.mean()), "auc": true["auc"],
            "rate": float(bad.mean()) if len(bad) else None, "labelled": len(bad), "defaults": int(bad.sum()),
            "missed": true["false_negative_rate"], "declined": float(declined.mean())}


def _scored_by(night: Publication, version: str) -> pa.Table:
    """What another model says of the rows that a night pinned."""
    pin = nights.read_pin(night.attempt)
    model = Model.load(registry.fetch_to_score(pin.attempt.book, version))
    found = [judge_shard(model, pin, k, reasons=0)[1] for k in range(pin.shards)]
    return scored_only(pa.concat_tables(found)).sort_by("loan_id")


def _fared(scores: pa.Table, label: np.ndarray, other: pa.Table) -> Row:
    """Another model on the same loans: as ``_own``, and how far the scores that counted rank better (paired DeLong)."""
    place = pc.index_in(scores["loan_id"], value_set=other["loan_id"].combine_chunks())
    both = place.is_valid().to_numpy()
    theirs, label = other.take(place.drop_null()), label[both]
    score, declined = theirs["score"].to_numpy(), is_declined(theirs)
    row = _promised_and_true(score, declined, label)
    judged = (label == GOOD) | (label == BAD)
    bad, mine = label[judged] == BAD, scores["score"].to_numpy()[both][judged]
    row |= {"ahead": None, "low": None, "high": None}
    if min(bad.sum(), (~bad).sum()) >= FEWEST:
        _, row["ahead"], (row["low"], row["high"]) = paired(bad, mine, score[judged], (1 + CONFIDENCE) / 2)
    return row


def saved(told: Row) -> str:
    """``told`` as JSON text."""
    return json.dumps(told, indent=1, sort_keys=True) + "\n"
