"""What a night publishes for the Board, as one file of the store: how it is judged, and pictures with their numbers."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from tollgate import incidents, lake, registry
from tollgate.books import Book
from tollgate.clock import months_before
from tollgate.config import Params, settings
from tollgate.errors import BadInput
from tollgate.labels import feed_evidence, vintages
from tollgate.monitoring.baselines import promised
from tollgate.monitoring.board.business import loss_picture, profit_picture, volume_picture
from tollgate.monitoring.board.canvas import Picture
from tollgate.monitoring.board.groups import fairness_picture
from tollgate.monitoring.board.judgement import level_of_night
from tollgate.monitoring.board.pictures import (
    alerts_picture,
    auc_picture,
    decline_picture,
    default_picture,
    psi_picture,
    vintages_picture,
)
from tollgate.monitoring.board.published import path_of
from tollgate.monitoring.board.timeline import with_incidents
from tollgate.monitoring.business import BUSINESS
from tollgate.monitoring.events import gravest_first, of_nights
from tollgate.monitoring.kinds import conclusions
from tollgate.monitoring.measures import PSI, watched
from tollgate.monitoring.paired import JUDGEMENT
from tollgate.monitoring.performance import DECLINE_RATE, DECLINE_RATE_GAP, PERFORMANCE

MONTHS = 36   # that the page goes back
COHORTS = 12  # in which a challenger is shown beside the champion, the newest

Row = dict[str, Any]


def publish_board(book: Book, params: Params) -> str:
    """Put what is known as of the book's newest verdict into ``board/BOOK.json``; returns its path in the store.

    It depends on the lake as it stands and on nothing else: a night that is monitored again, the newest or an older
    one, leaves the page of the newest.

    Raises:
        BadInput: the book has no verdict yet, or an older Tollgate wrote a table.
        PassingFault: the lake, the store or MLflow did not answer.
    """
    newest = max(lake.partitions(lake.verdicts(book.name)), default=None)
    if newest is None:
        raise BadInput(f"{book.name} has no verdict yet", value="no night was monitored",
                       remedy=f"Conclude first: tollgate monitor verdict {book.name} --as-of DAY.")
    as_of = date.fromisoformat(newest)
    recent = partial(_between, months_before(as_of, MONTHS), as_of)
    events, measures = recent(lake.events(book.name)), recent(lake.measures(book.name))
    feeds = lake.read(lake.feeds(book.name), filters=[("day", "=", newest)]).to_pylist()
    lake.Store(settings().store).write_json(path_of(book.name), {
        "title": book.title, "as_of": newest, "nights": _nights(recent(lake.verdicts(book.name)), events),
        "alerts": gravest_first(of_nights(book.name)), "shadows": _shadows(recent(lake.shadow_performance(book.name))),
        "feeds": feeds,
        "guard": [{"version": row["model_version"], "loans": row["n"], "level": row["level"],
                   **json.loads(row["parameters"])}
                  for row in measures if (row["metric"], row["day"]) == (JUDGEMENT, newest)],
        "kinds": [asdict(one) for one in conclusions(
            book, params.monitoring, (row for row in measures if row["day"] == newest), feeds)],
        "pictures": [asdict(picture) for picture in (*_pictures(book, as_of, params, events, measures),
                                                     *_of_business(params, measures)) if picture]})
    registry.publish_gates(book.name)
    return path_of(book.name)


def _between(first: date, last: date, table: lake.Table) -> list[Row]:
    """The rows of a table that were written for these days and those between, oldest first."""
    rows: list[Row] = lake.read(table, filters=[
        ("day", ">=", first.isoformat()), ("day", "<=", last.isoformat())]).to_pylist()
    return sorted(rows, key=itemgetter("as_of"))


def _nights(verdicts: list[Row], events: list[Row]) -> list[Row]:
    """Every verdict with how it is judged by what was going on then, the newest first."""
    going_on = {day: list(rows) for day, rows in groupby(events, key=itemgetter("as_of"))}
    return [{**{name: row[name] for name in ("model_version", "level", "rows", "sentence")},
             "as_of": row["as_of"].isoformat(), "judged": level_of_night(row, going_on.get(row["as_of"], []))}
            for row in reversed(verdicts)]


def _shadows(rows: list[Row]) -> list[Row]:
    """The challengers beside the champion on the same matured loans, as last measured, the newest night first."""
    newest = {(row["scored_as_of"], row["model_version"]): row for row in rows}
    return [newest[key] for key in sorted(newest, reverse=True)][:COHORTS]


def _pictures(book: Book, as_of: date, params: Params, events: list[Row], measures: list[Row]) -> list[Picture | None]:
    performance, confidence = [row for row in measures if row["kind"] == PERFORMANCE], params.monitoring.confidence
    return [psi_picture([row for row in measures if row["metric"] == PSI], watched(book)),
            auc_picture(performance, promised(registry.models(book.name)), confidence),
            default_picture(performance, confidence),
            decline_picture(row for row in measures if row["metric"] == DECLINE_RATE),
            fairness_picture(row for row in measures if row["metric"] == DECLINE_RATE_GAP),
            alerts_picture(with_incidents(events, incidents.lives(book.name), book.name,
                                          months_before(as_of, MONTHS), as_of)),
            vintages_picture(vintages(feed_evidence(book, as_of), as_of)) if book.dated else None]


def _of_business(params: Params, measures: list[Row]) -> list[Picture | None]:
    rows = [row for row in measures if row["kind"] == BUSINESS]
    return [volume_picture(rows), profit_picture(rows, params.monitoring.confidence), loss_picture(rows)]
