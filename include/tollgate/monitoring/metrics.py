"""The newest numbers of every book as gauges of Prometheus; of times the instant, from which it makes ages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tollgate import lake, nights, registry, requests
from tollgate.books import Book, load_book
from tollgate.config import SEVERITIES, known_books, load_params
from tollgate.errors import BadInput, TollgateError
from tollgate.monitoring.business import APPROVAL_RATE, LOSS, LOSS_AMOUNT, PROFIT
from tollgate.monitoring.events import alerts
from tollgate.monitoring.kinds import CANNOT_TELL, MOVED, STEADY, conclusions
from tollgate.monitoring.levels import LEVELS
from tollgate.monitoring.measures import MISSING, PSI, of_metric
from tollgate.monitoring.performance import ESTIMATED
from tollgate.monitoring.rules import FEED_RANKS

GAUGES = {
    "up": ("Whether the numbers of the book could be read", ()),
    "night_timestamp_seconds": ("The as-of of the newest published night", ("population",)),
    "night_loans": ("Loans of the newest published night", ("population", "status")),
    "champion_version": ("The version whose scores count", ()),
    "champion_timestamp_seconds": ("The as-of of the champion's training", ()),
    "verdict_timestamp_seconds": ("The as-of of the newest verdict of monitoring", ()),
    "drift_level": ("0 stable, 1 minor, 2 moderate, 3 major; -1 too few rows to tell", ()),
    "psi": ("Population stability index of the newest window", ("subject",)),
    "psi_null": ("What that index stays below by luck alone", ("subject",)),
    "moved": ("1 a kind of drift has moved beyond luck and the limit, 0 it has not; -1 cannot be told", ("kind",)),
    "approval_rate": ("Share of the newest window's applications that is approved", ()),
    "missing_share": ("Share of the newest window's rows that have no value", ("subject",)),
    "expected": ("What the newest scores promise until labels are mature", ("metric",)),
    "came_true": ("What came true of the newest loans whose labels are mature", ("metric",)),
    "promised": ("What the scores of these loans had promised", ("metric",)),
    "feed_level": ("A check of the outcomes' feed: 0 well, 1 a warning, 2 refused; -1 cannot be told", ("check",)),
    "alerts": ("Alerts under way", ("severity", "seen")),
    "requests": ("Requests for a retrain that are not closed", ("state",)),
}

STATES = {MOVED: 1, STEADY: 0, CANNOT_TELL: -1}


def exposition(books: Sequence[str] | None = None) -> str:
    """Every gauge ``tollgate_NAME`` in Prometheus' text format, with the label ``book``.

    A book whose numbers cannot be read has ``tollgate_up`` 0 and no other; it holds up none of the rest.

    Args:
        books: their names; all that are known where None.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    into = CollectorRegistry()
    gauges = {name: Gauge(f"tollgate_{name}", text, ("book", *labels), registry=into)
              for name, (text, labels) in GAUGES.items()}
    for name in known_books() if books is None else books:
        try:
            found = _of(load_book(name))
        except TollgateError:
            found = [("up", (), 0)]
        for gauge, labels, value in found:
            gauges[gauge].labels(name, *labels).set(value)
    return str(generate_latest(into), "utf-8")


def write_metrics(file: Path, books: Sequence[str] | None = None) -> dict[str, Any]:
    """Write ``exposition`` for the textfile collector of Prometheus' node exporter, which never reads half of it.

    Returns ``{"file", "samples"}``.

    Raises:
        BadInput: the file cannot be written, or a named book is not known.
    """
    if file.is_dir():
        raise BadInput("The metrics cannot be written: that is a folder", value=file,
                       remedy="Name a file in it, such as tollgate.prom.")
    text = exposition(books)
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as err:
        raise BadInput(f"The metrics cannot be written: {err.strerror}", value=file,
                       remedy="Name a file in a folder that is there and yours.") from err
    return {"file": str(file), "samples": sum(not line.startswith("#") for line in text.splitlines())}


Sample = tuple[str, tuple[str, ...], float]


def _of(book: Book) -> list[Sample]:
    """The samples of one book."""
    return [("up", (), 1), *_nights(book.name), *_champion(book.name), *_verdict(book.name), *_measures(book),
            *_feed(book.name), *_open(book.name)]


def _nights(book: str) -> list[Sample]:
    found: list[Sample] = []
    for population in (nights.NEW, nights.PORTFOLIO):
        for newest in nights.publications(book, population=population)[:1]:
            found.append(("night_timestamp_seconds", (population,), _instant(newest.attempt.day)))
            found += [("night_loans", (population, status), getattr(newest, status))
                      for status in ("scored", "refused", "declined")]
    return found


def _champion(book: str) -> list[Sample]:
    return [sample for model in registry.models(book) if model["state"] == "champion" for sample in (
        ("champion_version", (), float(model["version"])),
        ("champion_timestamp_seconds", (), _instant(date.fromisoformat(model["as_of"]))))]


def _verdict(book: str) -> list[Sample]:
    return [sample for row in _newest(lake.verdicts(book)) for sample in (
        ("verdict_timestamp_seconds", (), _instant(row["as_of"])),
        ("drift_level", (), LEVELS.index(row["level"]) if row["level"] in LEVELS else -1))]


def _measures(book: Book) -> list[Sample]:
    rows = _newest(lake.measures(book.name))
    kinds = conclusions(book, load_params(book=book.name).monitoring, rows, _newest(lake.feeds(book.name)))
    found: list[Sample] = [("moved", (one.kind,), STATES[one.state]) for one in kinds if rows]
    for row in of_metric(rows, PSI):
        found += [("psi", (row["subject"],), row["value"]), ("psi_null", (row["subject"],), row["null_value"])]
    found += [("missing_share", (row["subject"],), row["value"]) for row in of_metric(rows, MISSING)]
    found += [("approval_rate", (), row["value"]) for row in of_metric(rows, APPROVAL_RATE)]
    for metric in (*ESTIMATED, LOSS, PROFIT, LOSS_AMOUNT):
        told = [row for row in rows if row["metric"] == metric and row["reference"] is not None]
        found += [("expected", (metric,), row["reference"]) for row in told if row["segment"] is None]
        true = [row for row in told if row["segment"] is not None and row["value"] is not None]
        for row in sorted(true, key=lambda row: (row["window_to"], row["n"]))[-1:]:
            found += [("came_true", (metric,), row["value"]), ("promised", (metric,), row["reference"])]
    return found


def _feed(book: str) -> list[Sample]:
    return [("feed_level", (row["check"],), FEED_RANKS.get(row["level"], -1)) for row in _newest(lake.feeds(book))]


def _open(book: str) -> list[Sample]:
    under_way, open_now = alerts(book), requests.open_requests(book)
    return [*(("alerts", (severity, seen), sum(
        row["severity"] == severity and (row["acknowledged"] is not None) == (seen == "yes") for row in under_way))
        for severity in SEVERITIES for seen in ("no", "yes")),
        *(("requests", (state,), sum(row["state"] == state for row in open_now)) for state in requests.OPEN_STATES)]


def _newest(table: lake.Table) -> list[dict[str, Any]]:
    """The rows of the newest day."""
    day = max(lake.partitions(table), default=None)
    return [] if day is None else lake.read(table, filters=[("day", "=", day)]).to_pylist()


def _instant(day: date) -> float:
    """Seconds since 1970 at which a day begins, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

