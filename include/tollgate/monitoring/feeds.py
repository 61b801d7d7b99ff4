"""The feed of outcomes on a day without a verdict: it may stop where nothing is scored, and is told all the same."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Params
from tollgate.labels import feed_evidence
from tollgate.monitoring.events import before, follow, fresh
from tollgate.monitoring.rules import alert_rows, feed_signals
from tollgate.monitoring.steps import record_feed


def feed_step(book: Book, as_of: date, params: Params) -> dict[str, Any]:
    """Look whether outcomes still arrive, and write down what began, worsened or ended of that.

    Where the day has a verdict, that has told of the feed, and nothing is written. What goes on about a model lasts: of
    it this day can tell nothing. A verdict that comes later writes the day again, and the same of the feed.

    Raises:
        PassingFault: the lake did not answer.
    """
    found = record_feed(book, as_of, params, feed_evidence(book, as_of))
    days = lake.read(lake.verdicts(book.name), columns=["day", "model_version"],
                     filters=[("day", "<=", as_of.isoformat())]).to_pylist()
    answer = {"book": book.name, "as_of": as_of.isoformat(), "feed": found}
    newest = max(days, key=lambda row: str(row["day"]), default={"day": "", "model_version": ""})
    if newest["day"] == as_of.isoformat():
        return {**answer, "alerts": []}
    now = feed_signals(found)
    rows = follow(before(book.name, as_of), now, as_of, newest["model_version"])
    alerts = alert_rows(fresh(rows, now), newest["model_version"], "")
    stamp = {"day": as_of.isoformat(), "as_of": as_of}
    for table, written in ((lake.events(book.name), rows), (lake.alerts(book.name), alerts)):
        lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in written], table.schema),
                                [as_of.isoformat()])
    return {**answer, "alerts": alerts}
