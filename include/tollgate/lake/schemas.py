"""The tables of one book's lake: columns, partitioning, row order, and the column that says when a row was known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book

LEDGER = "ledger"
Columns = tuple[tuple[str, str], ...]

# Types as Arrow writes them.
TEXT, COUNT, NUMBER, DAY, FLAG, TEXTS = "string", "int64", "double", "date32[day]", "bool", "list<item: string>"
# First, so that Delta keeps their least and largest values of every file, however many columns the lender sends. The
# line of the delivery's file that a version came from is unknown where an older Tollgate took it in.
VERSIONS = (("known_on", DAY), ("delivery", COUNT), ("version", COUNT), ("line", COUNT))
STAMPED = ("month", "known_on", "delivery", "version")  # of every version

OF_NIGHT = (("day", TEXT), ("as_of", DAY), ("population", TEXT), ("attempt", COUNT))
SCORED = (("loan_id", TEXT), ("applied_on", DAY), ("status", TEXT), ("refusal", TEXT), ("score", NUMBER),
          ("decision", TEXT))
MADE_BY = (("model_version", TEXT), ("snapshot_version", TEXT), ("run_id", TEXT))


@dataclass(frozen=True)
class Table:
    """One Delta table.

    Attributes:
        book, name: its folder under the lake.
        columns: names and types; ``partition`` is one of them. required: those that are never null.
        partition: the text column whose values are replaced atomically.
        order: rows of a partition are sorted by these, so that the same rows give the same bytes.
        known: the date column on which a row became known; as-of reads filter on it.
        versioned: whether it keeps every version of a row under the key ``order``, with the columns ``VERSIONS``.
    """

    book: str
    name: str
    columns: Columns
    partition: str
    order: tuple[str, ...]
    known: str | None = None
    versioned: bool = False
    required: frozenset[str] = frozenset()

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns as Arrow knows them."""
        import pyarrow as pa

        types = {TEXT: pa.string(), COUNT: pa.int64(), NUMBER: pa.float64(), DAY: pa.date32(), FLAG: pa.bool_(),
                 TEXTS: pa.list_(pa.string())}
        return pa.schema([pa.field(name, types[kind], name not in self.required) for name, kind in self.columns])

    @property
    def names(self) -> list[str]:
        """Of its columns."""
        return [name for name, _ in self.columns]

    @property
    def in_files(self) -> pa.Schema:
        """The columns that its files hold: that of the partition stands in the log, and in the folder's name."""
        import pyarrow as pa

        return pa.schema([field for field in self.schema if field.name != self.partition])


def published(book: Book, name: str) -> Table:
    """A table of the book by its name: every version of every row, by the month of the first of its ``told`` days."""
    of = book.table(name)
    theirs = of.schema()
    columns = (("month", TEXT), *VERSIONS, *((field.name, str(field.type)) for field in theirs))
    required = frozenset([*STAMPED, *(field.name for field in theirs if not field.nullable)])
    return Table(book.name, name, columns, "month", of.key, "known_on", versioned=True, required=required)


def applications(book: Book) -> Table:
    """What was known when each loan was asked for, by month of application."""
    return published(book, "applications")


def decisions(book: Book) -> Table:
    """What the lender did with each application, by month of decision; none in a book of booked loans alone."""
    return published(book, "decisions")


def outcomes(book: Book) -> Table:
    """What became of each loan, by the month in which it was reported."""
    return published(book, "outcomes")


def deliveries(book: str) -> Table:
    """Every file in the order in which it was first seen, and the day of that."""
    return Table(book, "deliveries", (
        ("kind", TEXT), ("delivery", COUNT), ("fingerprint", TEXT), ("file", TEXT), ("seen_on", DAY),
    ), "kind", ("delivery",))


def quarantine(book: str) -> Table:
    """Refused rows, whole but for the personal columns, one line a broken rule.

    ``landed`` is the day on which the file was first seen; an older Tollgate wrote the instant at which it came.
    ``row`` is the place among the file's rows, ``line`` that in the file itself, what stands above the rows counted.
    ``table`` is the one whose contract is broken; all that the file feeds, where no cell of a row is known.
    """
    return Table(book, "quarantine", (
        ("fingerprint", TEXT), ("file", TEXT), ("table", TEXT), ("landed", TEXT), ("row", COUNT), ("line", COUNT),
        ("rule", TEXT),
        ("column", TEXT), ("value", TEXT), ("record", TEXT),
    ), "fingerprint", ("row", "rule", "column"))


def received(book: str) -> Table:
    """Every file that was taken in, with its counts: received = published + quarantined.

    Of the published rows, ``added`` are new, ``restated`` change what was published, ``superseded`` lie behind a later
    delivery; the others say what the lake knew. A file that feeds several tables has all of them in ``table``, with
    commas between, its rows counted once and their changes added up over the tables.
    """
    return Table(book, "received", (
        ("fingerprint", TEXT), ("file", TEXT), ("table", TEXT), ("delivery", COUNT), ("known_on", DAY),
        ("received", COUNT), ("published", COUNT), ("quarantined", COUNT), ("added", COUNT), ("restated", COUNT),
        ("superseded", COUNT), ("partitions", TEXTS), ("verdict", TEXT),
    ), "fingerprint", ("file",))


def checks(book: str) -> Table:
    """What was surprising in a received file, by the months before it: one line a check and column."""
    return Table(book, "checks", (
        ("fingerprint", TEXT), ("file", TEXT), ("table", TEXT), ("check", TEXT), ("column", TEXT), ("value", NUMBER),
        ("limit", NUMBER), ("level", TEXT), ("sentence", TEXT),
    ), "fingerprint", ("check", "column"))


def scores(book: str) -> Table:
    """What counts: one row a loan of each night, by the champion of that night's newest published attempt.

    ``status`` is ``scored``, with a score and a decision, or ``refused``, with the rule that says why.
    """
    return Table(book, "scores", (*OF_NIGHT, *SCORED, ("reasons", TEXTS), *MADE_BY),
                 "day", ("population", "loan_id"), "as_of")


def superseded(book: str) -> Table:
    """Rows of ``scores`` that counted until a newer attempt, ``superseded_by``, was published."""
    of = scores(book)
    return Table(book, "superseded", (*of.columns, ("superseded_by", COUNT)), "day",
                 ("population", "attempt", "loan_id"), "as_of")


def shadow_scores(book: str) -> Table:
    """What other models than the champion said of a night's loans; no decision rests on it."""
    return Table(book, "shadow_scores", (*OF_NIGHT, *SCORED, *MADE_BY), "day",
                 ("population", "attempt", "model_version", "loan_id"), "as_of")


def nights(book: str) -> Table:
    """One row a published attempt: rows = scored + refused. Of each night the highest attempt counts."""
    return Table(book, "nights", (
        *OF_NIGHT, ("run_id", TEXT), ("model_version", TEXT), ("model_digest", TEXT), ("snapshot_version", TEXT),
        ("rows", COUNT), ("scored", COUNT), ("refused", COUNT), ("declined", COUNT), ("rows_digest", TEXT),
        ("replaces", COUNT),
    ), "day", ("population", "attempt"), "as_of")


def shadows(book: str) -> Table:
    """How a shadow agrees with the champion on a night, one row a shadow; ``fault`` where it could not score.

    Of ``rows`` both scored ``both``: ``agree`` decisions are alike, ``only_declines`` and ``only_approves`` are the
    shadow's alone. ``psi`` is of its scores from the champion's; ``rank_correlation`` is Spearman's.
    """
    return Table(book, "shadows", (
        *OF_NIGHT, ("champion", TEXT), ("model_version", TEXT), ("rows", COUNT), ("both", COUNT), ("agree", COUNT),
        ("only_declines", COUNT), ("only_approves", COUNT), ("psi", NUMBER), ("rank_correlation", NUMBER),
        ("fault", TEXT),
    ), "day", ("population", "attempt", "model_version"), "as_of")


def shadow_performance(book: str) -> Table:
    """A night's champion and a shadow on the same loans, once their labels have matured; one row a shadow.

    Of ``labelled`` loans that both scored, ``defaults`` went bad. ``difference`` is the shadow's AUC less the
    champion's, ``low`` and ``high`` its interval. Of the loans that the shadow alone would have declined, or approved,
    so many went bad.
    """
    return Table(book, "shadow_performance", (
        ("day", TEXT), ("as_of", DAY), ("scored_as_of", DAY), ("champion", TEXT), ("model_version", TEXT),
        ("labelled", COUNT), ("defaults", COUNT), ("auc_champion", NUMBER), ("auc_shadow", NUMBER),
        ("difference", NUMBER), ("low", NUMBER), ("high", NUMBER), ("only_declines", COUNT),
        ("only_declines_bad", COUNT), ("only_approves", COUNT), ("only_approves_bad", COUNT),
    ), "day", ("scored_as_of", "model_version"), "as_of")


def measures(book: str) -> Table:
    """One number about a model in a window of nights, with what it is held against: a line a subject and metric.

    ``kind`` says what may have moved: a ``feature`` (the ``subject``), the ``prediction``, ``fairness`` (the protected
    attribute), ``decision`` (what is declined, or could not be scored), ``guard`` (how a promoted champion fares beside
    the one that it replaced), ``label`` (how many default, beside loans before them at equal age), ``concept`` (whether
    they do so as their scores say, by band of the scores and part of the book), ``business`` (what the decisions are
    worth), or ``performance``. Of the last two ``reference`` is what the scores promise (of the ``matured_auc`` the
    test months), ``value``, once the loans have matured, what came true. ``segment`` is the part of the window that it
    is about; null is the whole. ``value`` is told of ``n`` values, ``reference`` of ``reference_n`` others; how far the
    two lie apart by luck alone is ``null_value``. ``level`` is what was concluded, where something was; ``parameters``
    are those that were used, as JSON.
    """
    return Table(book, "measures", (
        ("day", TEXT), ("as_of", DAY), ("window_from", DAY), ("window_to", DAY), ("model_version", TEXT),
        ("kind", TEXT), ("subject", TEXT), ("segment", TEXT), ("metric", TEXT),
        ("value", NUMBER), ("reference", NUMBER), ("null_value", NUMBER), ("p_value", NUMBER),
        ("n", COUNT), ("reference_n", COUNT), ("level", TEXT), ("parameters", TEXT),
    ), "day", ("kind", "subject", "segment", "metric", "window_to"), "as_of")


def feeds(book: str) -> Table:
    """What was found of the feed of outcomes at each scoring date, one line a check."""
    return Table(book, "feeds", (
        ("day", TEXT), ("as_of", DAY), ("check", TEXT), ("value", NUMBER), ("limit", NUMBER), ("level", TEXT),
        ("sentence", TEXT),
    ), "day", ("check",), "as_of")


def alerts(book: str) -> Table:
    """What people were told; ``key`` names the event, so that one event alerts once."""
    return Table(book, "alerts", (
        ("day", TEXT), ("as_of", DAY), ("key", TEXT), ("severity", TEXT), ("subject", TEXT), ("value", NUMBER),
        ("limit", NUMBER), ("message", TEXT),
    ), "day", ("key",), "as_of")


def events(book: str) -> Table:
    """What was going on at each scoring date: a line an event that was under way, or ended then.

    ``since`` the date on which it began, ``reached`` the highest rank since; ``value`` and ``limit`` are those of the
    date. ``model_version`` is empty for what is about no model.
    """
    return Table(book, "events", (
        ("day", TEXT), ("as_of", DAY), ("event", TEXT), ("model_version", TEXT), ("status", TEXT), ("since", DAY),
        ("rank", COUNT), ("reached", COUNT), ("severity", TEXT), ("value", NUMBER), ("limit", NUMBER),
        ("message", TEXT),
    ), "day", ("event",), "as_of")


def incidents(book: str) -> Table:
    """What went wrong in operation, one line whenever it began, went on, worsened or ended, in sequence.

    ``began`` is the ``seq`` of the line with which this life of the event began, ``since`` that line's date;
    ``reached`` the highest rank since.
    """
    return Table(book, "incidents", (
        ("event", TEXT), ("seq", COUNT), ("as_of", DAY), ("status", TEXT), ("began", COUNT), ("since", DAY),
        ("rank", COUNT), ("reached", COUNT), ("severity", TEXT), ("run_id", TEXT), ("message", TEXT),
    ), "event", ("seq",))


def acknowledgements(book: str) -> Table:
    """Who has seen which event, a line each, in sequence."""
    return Table(book, "acknowledgements", (
        ("event", TEXT), ("seq", COUNT), ("model_version", TEXT), ("since", DAY), ("by", TEXT), ("login", TEXT),
        ("comment", TEXT),
    ), "event", ("seq",))


def told(book: str) -> Table:
    """Which alert people were told of by which channel, a line each, in sequence.

    A channel's first line has no ``key``: its ``day`` is that of the night with which the channel began.
    """
    return Table(book, "told", (("channel", TEXT), ("seq", COUNT), ("day", TEXT), ("key", TEXT)),
                 "channel", ("seq",))


def verdicts(book: str) -> Table:
    """What monitoring concluded at each scoring date.

    ``asked`` whether a rule asked for a retrain; null in the lines that an older Tollgate wrote, of which a major
    ``level`` did.
    """
    return Table(book, "verdicts", (
        ("day", TEXT), ("as_of", DAY), ("window_from", DAY), ("model_version", TEXT), ("level", TEXT),
        ("features", TEXTS),
        ("rows", COUNT), ("asked", FLAG), ("tripped", FLAG), ("request", TEXT), ("sentence", TEXT),
    ), "day", ("as_of",), "as_of")


def requests(book: str) -> Table:
    """The life of every retrain request, one line an event (opened, claimed, closed), in sequence.

    ``cause`` of one that is opened, ``outcome`` of one that is closed; null in the lines that an older Tollgate wrote.
    """
    return Table(book, "requests", (
        ("kind", TEXT), ("seq", COUNT), ("key", TEXT), ("as_of", DAY), ("cause", TEXT), ("reason", TEXT),
        ("run_id", TEXT), ("result", TEXT), ("outcome", TEXT),
    ), "kind", ("seq",), "as_of")


def ledger(book: str) -> Table:
    """The append-only, hash-chained, signed record of every decision.

    ``key`` and ``signature`` are null in the lines that an older Tollgate wrote.
    """
    return Table(book, LEDGER, (
        ("kind", TEXT), ("seq", COUNT), ("at", TEXT), ("payload", TEXT), ("previous", TEXT), ("digest", TEXT),
        ("key", TEXT), ("signature", TEXT),
    ), "kind", ("seq",))
