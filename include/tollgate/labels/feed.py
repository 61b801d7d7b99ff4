"""Whether the outcomes still arrive, in time, and of loans that are there: findings on the evidence of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from tollgate.books import Book
from tollgate.config import Labels
from tollgate.labels.development import expected, hazards
from tollgate.labels.evidence import Feed, read_feed

if TYPE_CHECKING:
    import pyarrow as pa

WINDOWS = (3, 6, 12)     # months whose arrivals are held against those expected
QUIETER = 1.5            # a feed was silent for long only when for this many times its longest silence before
REFERENCE_MIN = 6        # months before a window below which nothing is expected

Level = Literal["ok", "unknown", "warn", "refuse"]


@dataclass(frozen=True)
class Finding:
    """One check of the feed: what was measured, its limit, and what that means in a sentence.

    ``unknown`` says that there is too little to conclude from. No model is trained on what is refused.
    """

    check: str
    value: float | None
    limit: float | None
    level: Level
    sentence: str


def findings(evidence: pa.Table, book: Book, as_of: date, limits: Labels) -> list[Finding]:
    """Every check of the feed, in a fixed order; ``evidence`` is that of ``feed_evidence`` as of the same day."""
    feed = read_feed(evidence, as_of)
    in_time = [_stopped(feed, as_of, limits), _thinned(feed, limits), _lag(feed, book, limits),
               _delivery(feed, book, limits)]
    decided = [] if book.all_booked else [_decision_orphans(feed, limits), _unbooked(feed, limits)]
    return [*(in_time if book.dated else []), _orphans(feed, limits), _early(feed, limits), *decided]


def _reference(feed: Feed, last: int, limits: Labels) -> tuple[np.ndarray, float] | None:
    """Hazards of the months before ``last``, and how much more than by Poisson's luck their arrivals vary."""
    first = max(0, last - limits.reference_months)
    if last - first < REFERENCE_MIN:
        return None
    hazard = hazards(feed, first, last)
    told, due = feed.bad[:, first:last].sum(axis=0), expected(feed, hazard, range(first, last))
    some = due > 0
    if not some.any():
        return None
    spread = float(np.sum((told[some] - due[some]) ** 2 / due[some]) / max(1, some.sum() - 1))
    return hazard, max(1.0, spread)


def _luck(told: float, due: float, spread: float) -> float:
    """The probability of no more arrivals than these, by a Poisson law that is spread wider."""
    from scipy.special import gammaincc

    return float(gammaincc(told / spread + 1, due / spread))


def _stopped(feed: Feed, as_of: date, limits: Labels) -> Finding:
    if not len(feed.arrived):
        return Finding("stopped", None, float(limits.quiet_days_max), "unknown",
                       f"No outcome at all was known before {as_of}")
    newest = feed.arrived[-1]
    quiet = int((np.datetime64(as_of) - newest).astype(int))
    begin = feed.months[0] if len(feed.months) else newest.astype("datetime64[M]")
    last = min(int((newest.astype("datetime64[M]") - begin).astype(int)), len(feed.months))
    since = feed.arrived[feed.arrived >= newest - np.timedelta64(31 * limits.reference_months, "D")]
    longest = int(np.diff(since).astype(int).max(initial=0))
    limit = max(float(limits.quiet_days_max), QUIETER * longest)
    told = f"The newest outcome known is of {newest}, {quiet:,} days before {as_of}"
    reference = _reference(feed, last, limits)
    if quiet <= limit:
        return Finding("stopped", float(quiet), limit, "ok", told)
    if reference is None:
        return Finding("stopped", float(quiet), limit, "unknown", f"{told}, and there are too few months before it to "
                                                                  "tell what ought to have come since")
    hazard, spread = reference
    due = _due_since(feed, hazard, newest, as_of, begin)
    if _luck(0, due, spread) >= 1 - limits.confidence:
        return Finding("stopped", float(quiet), limit, "unknown", f"{told}; since then about {due:,.0f} loans ought to "
                                                                  "have become known as bad, too few to tell")
    return Finding("stopped", float(quiet), limit, "refuse", (
        f"{told}; since then about {due:,.0f} loans ought to have become known as bad: the feed of outcomes has "
        "stopped. Have it mended and ingest what is missing"))


def _due_since(feed: Feed, hazard: np.ndarray, newest: np.datetime64, as_of: date, begin: np.datetime64) -> float:
    """Loans that ought to have become known as bad between two days."""
    end = np.datetime64(as_of)
    months = np.arange(newest.astype("datetime64[M]"), end.astype("datetime64[M]") + 1)
    starts, ends = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    within = (np.minimum(ends, end) - np.maximum(starts, newest + 1)).astype(int).clip(0)
    first = int((months[0] - begin).astype(int))
    due = expected(feed, hazard, range(first, first + len(months)))
    return float(np.sum(due * within / (ends - starts).astype(int)))


def _thinned(feed: Feed, limits: Labels) -> Finding:
    size, limit = len(feed.months), limits.thinned_ratio_min
    judged = []
    for window in WINDOWS:
        reference = _reference(feed, size - window, limits) if size > window else None
        if reference is None:
            continue
        hazard, spread = reference
        told, due = feed.bad[:, -window:].sum(), expected(feed, hazard, range(size - window, size)).sum()
        if due >= limits.expected_min:
            judged.append((told / due, window, told, due, _luck(told, due, spread)))
    if not judged:
        return Finding("thinned", None, limit, "unknown", (
            "Too few loans were expected to become known as bad to tell whether the feed is whole; "
            f"{limits.expected_min} are needed"))
    thin = [found for found in judged if found[0] < limit and found[-1] < 1 - limits.confidence]
    ratio, window, told, due, _ = min(thin or judged)
    text = (f"In the last {window} months {told:,.0f} loans became known as bad where the months before let expect "
            f"{due:,.0f} ({ratio:.0%})")
    if thin:
        return Finding("thinned", float(ratio), limit, "refuse",
                       f"{text}: outcomes are missing. Compare the files that came with the lender's own count")
    return Finding("thinned", float(ratio), limit, "ok", text)


def _late(lags: tuple[np.ndarray, np.ndarray], book: Book, limits: Labels) -> tuple[float, int, int]:
    """The share of events later than the stated lag, how many there are, and the lag that would do."""
    lag, counts = lags
    total = int(counts.sum())
    share = float(counts[lag > book.target.lag_days].sum() / total)
    reached = np.cumsum(counts) >= (1 - limits.late_share_max) * total
    return share, total, int(lag[reached.argmax()])


def _lag(feed: Feed, book: Book, limits: Labels) -> Finding:
    stated, limit = book.target.lag_days, limits.late_share_max
    if feed.reported[1].sum() < limits.expected_min:
        return Finding("lag", None, limit, "unknown", "Too few events are old enough to measure the reporting lag; "
                                                      f"{limits.expected_min} are needed")
    share, total, enough = _late(feed.reported, book, limits)
    text = f"{share:.1%} of {total:,} events were reported later than the stated lag of {stated} days"
    if share <= limit:
        return Finding("lag", share, limit, "ok", text)
    return Finding("lag", share, limit, "refuse", (
        f"{text}: loans are called good whose default is still to be reported. A lag of {enough} days would do: state "
        f"lag_days={enough} in the book's Target"))


def _delivery(feed: Feed, book: Book, limits: Labels) -> Finding:
    limit = limits.late_share_max
    if feed.delivered[1].sum() < limits.expected_min:
        return Finding("delivery", None, limit, "unknown", "Too few events are old enough to measure how late their "
                                                           "files come")
    share, total, enough = _late(feed.delivered, book, limits)
    text = (f"The files of {share:.1%} of {total:,} events came later than {book.target.lag_days} days after they "
            "happened")
    return Finding("delivery", share, limit, "ok", text) if share <= limit else Finding(
        "delivery", share, limit, "warn", f"{text}; {enough} days would do. Labels of that time were too good")


def _orphans(feed: Feed, limits: Labels) -> Finding:
    orphans, alike = feed.counts["orphans"], feed.counts["orphans_alike"]
    told = (f"{orphans:,} of {feed.counts['with_outcome']:,} loans with an outcome are in no application")
    if alike:
        told += f"; {alike:,} of them are but for zeros in front, blanks or case: look how their numbers were written"
    return _share("orphans", orphans, feed.counts["with_outcome"], limits.orphan_share_max, told)


def _decision_orphans(feed: Feed, limits: Labels) -> Finding:
    orphans, decisions = feed.counts["decision_orphans"], feed.counts["decisions"]
    return _share("decision_orphans", orphans, decisions, limits.orphan_share_max,
                  f"{orphans:,} of {decisions:,} decisions are on no known application")


def _early(feed: Feed, limits: Labels) -> Finding:
    early = feed.counts["early"]
    return _share("early", early, feed.counts["with_outcome"], limits.early_share_max,
                  f"{early:,} of {feed.counts['with_outcome']:,} loans with an outcome went bad before they were "
                  "booked, which is not believed")


def _unbooked(feed: Feed, limits: Labels) -> Finding:
    unbooked = feed.counts["unbooked"]
    return _share("unbooked_outcomes", unbooked, feed.counts["with_outcome"], limits.early_share_max,
                  f"{unbooked:,} of {feed.counts['with_outcome']:,} loans with an outcome were never booked")


def _share(check: str, count: int, of: int, limit: float, told: str) -> Finding:
    share = count / of if of else 0.0
    level: Level = "refuse" if share > limit else "warn" if count else "ok"
    return Finding(check, share, limit, level, told)
