"""Was the model trained and tested on enough rows, on the rows that it says, and on outcomes that still arrive?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import APPLICANT, Feature
from tollgate.clock import months_before
from tollgate.gates.base import Verdict, judged, listed, percent
from tollgate.gates.evidence import PARTS, Case, check_columns
from tollgate.labels import Finding, findings, mature_before
from tollgate.stats.distributions import counts, frozen, psi_and_null
from tollgate.stats.two_samples import share_test

BOTH = ("train", "test")
STABLE = 0.10           # below it a PSI is no change (Siddiqi, "Credit Risk Scorecards", 2006)
SHARE_SHIFT = 0.05      # a feature that is missing in so much more or less of the rows, or unseen in so much, moved
SHARES = ("missing", "unseen")
SHOWN = 8


def data(case: Case) -> Verdict:
    """Enough rows and defaults in train and test, new enough, and every file of the run about the same loans.

    Measured is the smaller number of defaults of the two parts, against ``snapshot.min_defaults``.
    """
    limits = case.params.snapshot
    sizes = {part: _size(case.features_of(part)) for part in BOTH}
    faults = [f"{part} has {rows:,} loans with {defaults:,} defaults, and needs {limits.min_rows:,} with "
              f"{limits.min_defaults:,}: ingest what is missing, or give it more months in params.yaml"
              for part, (rows, defaults) in sizes.items()
              if rows < limits.min_rows or defaults < limits.min_defaults]
    feed = findings(case.feed, case.book, case.params.as_of, case.params.labels)
    faults += _provenance(case) + _same_loans(case) + _order_of_time(case) + _stale(case) + _missing(case)
    faults += _same_feed(case) + _said(feed, "refuse") + _same_person(case)
    told = ", ".join(f"{part} has {rows:,} loans with {defaults:,} defaults ({percent(defaults / rows)})"
                     for part, (rows, defaults) in sizes.items())
    drifted, constant = _drift(case), _constant(case)
    warnings = [f"from train to test, {listed([row['feature'] for row in drifted])} drifted"] if drifted else []
    if constant:
        warnings.append(f"{listed(constant)}, which tells no loan from another; look whether a feed broke")
    warnings += _said(feed, "warn")
    return judged("data", not faults, measured=float(min(defaults for _, defaults in sizes.values())),
                  limit=float(limits.min_defaults), table=tuple(drifted[:SHOWN]), sentence=(
        (f"Refused: {'; '.join(faults)}." if faults else
         f"{told.capitalize()}. Snapshot, features and split are about the same loans.")
        + (f" A warning, not a refusal, for the gates judged on these very loans: {'; '.join(warnings)}."
           if warnings else "")))


def _size(rows: pa.Table) -> tuple[int, int]:
    return rows.num_rows, int(pc.sum(rows["label"]).as_py() or 0)


def _provenance(case: Case) -> list[str]:
    """Whether snapshot and model are of this as-of and of each other."""
    snapshot, spec, as_of = case.snapshot, case.spec, case.params.as_of.isoformat()
    findings = [f"{name} is as of {record.get('as_of')}, and the run is as of {as_of}"
                for name, record in (("snapshot.json", snapshot), ("model.json", spec)) if record.get("as_of") != as_of]
    if not snapshot.get("digest") or spec.get("snapshot") != snapshot["digest"]:
        findings.append(f"the model was trained on the snapshot {str(spec.get('snapshot'))[:12]}, and the snapshot "
                        f"here is {str(snapshot.get('digest'))[:12]}")
    return findings


def _same_loans(case: Case) -> list[str]:
    """Whether the files of the run name the same loans, with the same labels, days and protected attributes."""
    whole, features, findings = case.loans, case.features, []
    if lake.digest(whole) != case.snapshot.get("digest"):
        findings.append("snapshot.parquet is not what snapshot.json describes")
    for name, rows in case.histories.items():
        if lake.digest(rows) != case.snapshot.get("lake", {}).get(f"history/{name}", {}).get("digest"):
            findings.append(f"histories/{name}.parquet is not what snapshot.json describes")
    # What a loan is judged by besides its features: these are copied, and no feature's function makes them again.
    copied = ["loan_id", "label", "applied_on", *(name for name in case.book.protected() if name in whole.column_names)]
    check_columns("features.parquet", features, tuple(copied))
    snapshot = whole.select(copied).sort_by("loan_id")
    then = features.select(copied).sort_by("loan_id").cast(snapshot.schema)
    if other := [name for name in copied if snapshot[name] != then[name]]:
        findings.append(f"snapshot.parquet and features.parquet differ in {listed(other)}")
    if case.split["loan_id"].sort() != features["loan_id"].sort():
        findings.append("features.parquet and split.parquet name different loans")
    return findings


def _same_person(case: Case) -> list[str]:
    """Whether somebody has loans in two parts of the split: a model could know them again."""
    if not case.book.grouped:
        return []
    place = pc.index_in(case.split["loan_id"], value_set=case.loans["loan_id"].combine_chunks())
    who = case.loans[APPLICANT].take(place)
    of = {part: who.filter(pc.equal(case.split["split"], part)).drop_null().unique() for part in PARTS}
    return [f"{shared:,} applicants have loans in {one} and in {other}, such as {both[0].as_py()}"
            for one, other in combinations(PARTS, 2)
            if (shared := len(both := of[one].filter(pc.is_in(of[one], value_set=of[other]))))]


def _order_of_time(case: Case) -> list[str]:
    """Whether every training loan was asked for before every test loan."""
    if not case.book.dated:
        return []
    newest = pc.max(case.features_of("train")["applied_on"]).as_py()
    oldest = pc.min(case.features_of("test")["applied_on"]).as_py()
    if newest and oldest and newest < oldest:
        return []
    return [f"the training loans reach to {newest}, past the first test loan of {oldest}"]


def _stale(case: Case) -> list[str]:
    """Whether the newest test loan is about as new as a loan that had matured by the as-of can be."""
    if not case.book.dated:
        return []
    newest = pc.max(case.loans["applied_on"]).as_py()
    until = mature_before(case.book, case.params.as_of, case.params.snapshot.horizon_months)
    months = case.params.gates.stale_months_max
    if newest is not None and newest >= months_before(until, months):
        return []
    return [f"the newest loan is of {newest}, more than {months} months before {until}, up to which loans had matured; "
            "ingest what is missing"]


def _same_feed(case: Case) -> list[str]:
    """Whether the counts of the feed are those of the snapshot, and can be of the loans in it."""
    if lake.digest(case.feed) != case.snapshot.get("feed"):
        return ["feed.parquet is not what snapshot.json describes"]
    rows, defaults = _size(case.loans)
    of = {what: pc.sum(case.feed.filter(pc.equal(case.feed["what"], what))["count"]).as_py() or 0
          for what in ("booked", "bad")}
    return [f"the snapshot holds {held:,} loans that were {what}, and feed.parquet counts {of[what]:,} of all"
            for what, held in (("booked", rows), ("bad", defaults)) if held > of[what]]


def _said(feed: list[Finding], level: str) -> list[str]:
    """What the findings on the feed of outcomes at that level say."""
    return [finding.sentence[0].lower() + finding.sentence[1:] for finding in feed if finding.level == level]


def _missing(case: Case) -> list[str]:
    """The features that are missing for every loan of train or of test: a feed that broke."""
    found: dict[str, list[str]] = {}
    for feature in _features(case):
        empty = [part for part in BOTH if not case.features_of(part)[feature.name].drop_null()]
        found.setdefault(" and ".join(empty), []).append(feature.name)
    return [f"every loan in {parts} lacks {', '.join(names)}: have the feed mended, or take it out of the book's "
            "features" for parts, names in found.items() if parts]


def _constant(case: Case) -> list[str]:
    """The features that have one and the same value for every loan of train or of test."""
    found: dict[str, list[str]] = {}
    for feature in _features(case):
        for part in BOTH:
            values = case.features_of(part)[feature.name]
            least, most = pc.min_max(values).as_py().values()
            if least == most and not values.null_count:
                value = most if feature.kind == "category" else f"{most:,.6g}"
                found.setdefault(f"{feature.name} is {value}", []).append(part)
    return [f"{told} for every loan in {' and '.join(parts)}" for told, parts in found.items()]


def _features(case: Case) -> list[Feature]:
    """The book's features that the run holds; where it lacks one, the leakage gate refuses."""
    return [feature for feature in case.book.features if feature.name in case.features.column_names]


def _drift(case: Case) -> list[dict[str, str]]:
    """The features whose PSI from train to test is past the limit of a stable one and past luck, or that are missing or
    unseen in another share of the rows, the worst first.
    """
    train, test, confidence = case.features_of("train"), case.features_of("test"), case.params.gates.confidence
    found = []
    for feature in _features(case):
        entry = frozen(feature.kind, train[feature.name])
        before, now = np.asarray(entry["counts"]), counts(entry, test[feature.name])
        measured, r = psi_and_null(before, now.bins, confidence), int(before.sum())
        if measured is None:
            continue  # every loan of train or test lacks it, which is told elsewhere
        value, luck = measured
        shares = [(now.missing, test.num_rows, entry["missing"], train.num_rows),
                  (now.unseen, test.num_rows - now.missing, entry["once"], r)]
        moved = [abs(k / n - past_k / past_n) > max(SHARE_SHIFT, share_test(k, n, past_k, past_n, confidence)[1])
                 for k, n, past_k, past_n in shares]
        if value > max(luck, STABLE) or any(moved):
            found.append((value, {"feature": feature.name, "PSI from train to test": f"{value:.3f}",
                                  "by luck below": f"{luck:.4f}", **{
                                      name: f"{percent(past_k / past_n)} to {percent(k / n)}"
                                      for name, (k, n, past_k, past_n) in zip(SHARES, shares, strict=True)}}))
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])]
