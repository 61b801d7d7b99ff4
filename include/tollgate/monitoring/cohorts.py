"""The nights whose every label has matured, and what was known of their loans when they were scored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights
from tollgate.books import LOAN, Book
from tollgate.clock import months_before
from tollgate.features import make_features, with_histories
from tollgate.labels import BAD, GOOD, IMMATURE, label_of, mature_before, read_labels
from tollgate.monitoring.window import is_declined, scored_only
from tollgate.training import slice_columns

AMOUNT = "amount"
WATCHED_MONTHS = 12  # matured cohorts older than this have been reported long ago


@dataclass(frozen=True, eq=False)
class Cohort:
    """Scored loans, each array of shape (loans,).

    Attributes:
        scores: their rows of the lake's ``scores``, with the ``amount`` of each where the book names one.
        label: one of ``LABELS`` each, object.
    """

    scores: pa.Table
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, which: np.ndarray) -> Cohort:
        """The loans at these places, or where this is True."""
        places = np.flatnonzero(which) if which.dtype == bool else which
        return Cohort(self.scores.take(pa.array(places)), self.label[places])

    def judged(self) -> Cohort:
        """The good and the bad ones."""
        return self.take((self.label == GOOD) | (self.label == BAD))

    @property
    def day(self) -> date:
        """On which they were scored: of those of several nights the first."""
        first: date = self.scores["as_of"][0].as_py()
        return first

    @property
    def last_day(self) -> date:
        """On which the last of them were scored."""
        last: date = self.scores["as_of"][-1].as_py()
        return last

    @property
    def version(self) -> str:
        """Of the model that scored them."""
        return str(self.scores["model_version"][0].as_py())

    @property
    def score(self) -> np.ndarray:
        """P(default), float64."""
        return np.asarray(self.scores["score"].to_numpy())

    @property
    def declined(self) -> np.ndarray:
        """The decisions, bool."""
        return is_declined(self.scores)

    @property
    def bad(self) -> np.ndarray:
        """Whether it turned out bad, bool."""
        return np.asarray(self.label == BAD)

    @property
    def amount(self) -> np.ndarray | None:
        """Of each loan, float64, not a number where it is not known; None of a book that names none."""
        return np.asarray(self.scores[AMOUNT].to_numpy()) if AMOUNT in self.scores.column_names else None


def matured_cohorts(book: Book, as_of: date, horizon_months: int) -> list[Cohort]:
    """Each night of the last 12 months whose every booked loan's label had matured by ``as_of``, oldest first.

    A loan was applied for before the date it was scored on. Where loans are booked later than that, their cohort waits
    for the last of them.

    Raises:
        PassingFault: the lake did not answer.
    """
    until = mature_before(book, as_of, horizon_months)
    since = months_before(until, WATCHED_MONTHS)
    scores = scored_only(lake.read(lake.scores(book.name), columns=[
        "as_of", "attempt", LOAN, "applied_on", "model_version", "score", "decision"], filters=[
        ("day", ">=", since.isoformat()), ("day", "<=", until.isoformat()), ("population", "=", nights.NEW)]))
    if not scores.num_rows:
        return []
    first, last = pc.min_max(scores["applied_on"]).as_py().values()
    if book.amount:
        scores = scores.append_column(AMOUNT, _amounts(book, as_of, scores[LOAN], first, last))
    labels = read_labels(book, as_of, horizon_months, since=first, until=last + timedelta(days=1))
    label = label_of(scores[LOAN], labels)
    day = scores["as_of"].to_numpy()
    order = np.argsort(day, kind="stable")
    starts = np.flatnonzero(np.diff(day[order], prepend=day[order][:1] - 1))
    return [Cohort(scores, label).take(cohort) for cohort in np.split(order, starts[1:])
            if not np.any(label[cohort] == IMMATURE)]


def _amounts(book: Book, as_of: date, loans: pa.ChunkedArray, first: date, last: date) -> pa.ChunkedArray:
    """The amount of each loan as it is known on ``as_of``, float64, asked for from the first day to the last."""
    rows = lake.view(lake.applications(book), as_of=as_of, columns=[LOAN, book.amount], filters=[
        ("applied_on", ">=", first), ("applied_on", "<=", last)])
    place = pc.index_in(loans, value_set=rows[LOAN].combine_chunks())
    return rows[book.amount].cast(pa.float64(), safe=False).take(place)


def newest_judged(cohorts: Iterable[Cohort], loans: int, days: int) -> Cohort | None:
    """The good and bad loans of the newest nights of one model, of so many days at most, until they are ``loans``.

    Args:
        cohorts: as ``matured_cohorts`` answers.
    """
    taken: list[Cohort] = []
    for cohort in reversed([one.judged() for one in cohorts]):
        if not len(cohort):
            continue
        if taken and (sum(map(len, taken)) >= loans or cohort.version != taken[0].version
                      or (taken[0].day - cohort.day).days >= days):
            break
        taken.append(cohort)
    if not taken:
        return None
    return Cohort(pa.concat_tables([one.scores for one in reversed(taken)]),
                  np.concatenate([one.label for one in reversed(taken)]))


def parted_by(book: Book, cohort: Cohort) -> tuple[pa.Table, np.ndarray]:
    """The columns that slices are cut from as they were known when the last of the loans were scored, and the places
    of the loans that they are of: of all but those whose day of application was corrected between two of the nights.

    Raises:
        PassingFault: the lake did not answer.
    """
    first, last = pc.min_max(cohort.scores["applied_on"]).as_py().values()
    rows = lake.view(lake.applications(book), as_of=cohort.last_day, filters=[
        ("applied_on", ">=", first), ("applied_on", "<=", last)])
    place = pc.index_in(cohort.scores[LOAN], value_set=rows[LOAN].combine_chunks())
    rows, histories = with_histories(book, rows.take(place.drop_null()), cohort.last_day)
    made = make_features(book, rows, histories)
    columns = {name: (made if name in made.column_names else rows)[name] for name in slice_columns(book)}
    return pa.table(columns), np.flatnonzero(place.is_valid().to_numpy())
