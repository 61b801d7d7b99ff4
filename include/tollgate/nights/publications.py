"""Which attempts were published, and which of them count: the newest of each night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tollgate import lake
from tollgate.nights.attempts import NEW, Attempt


@dataclass(frozen=True)
class Publication:
    """A published attempt.

    Attributes:
        run: the run that made it. version, digest, snapshot: of the champion that scored it.
        rows: of the population; scored + refused = rows, and declined of the scored.
        rows_digest: of the population, as the pin has it. replaces: the attempt that it replaced; None where none was.

    An older Tollgate kept no digests.
    """

    attempt: Attempt
    run: str
    version: str
    digest: str | None
    snapshot: str
    rows: int
    scored: int
    refused: int
    declined: int
    rows_digest: str | None
    replaces: int | None


def publications(book: str, *, until: date | None = None, population: str = NEW) -> list[Publication]:
    """What counts of every night up to ``until``, that day with it, newest first: its newest published attempt."""
    newest = {row["day"]: row for row in lake.records(lake.nights(book))
              if row["population"] == population and (until is None or row["as_of"] <= until)}
    return [_publication(book, row) for _, row in sorted(newest.items(), reverse=True)]


def publication(book: str, day: date, population: str = NEW) -> Publication | None:
    """What counts of one night; None where nothing was published."""
    found = publications(book, until=day, population=population)
    return found[0] if found and found[0].attempt.day == day else None


def was_published(attempt: Attempt) -> bool:
    """Whether the attempt was ever published, also where a newer one counts now."""
    return any((row["population"], row["as_of"], row["attempt"]) == (attempt.population, attempt.day, attempt.number)
               for row in lake.records(lake.nights(attempt.book)))


def add_publication(it: Publication) -> None:
    """Write it down; once, however often it is told."""
    table, day = lake.nights(it.attempt.book), it.attempt.day
    row: dict[str, Any] = {
        "day": day.isoformat(), "as_of": day, "population": it.attempt.population, "attempt": it.attempt.number,
        "run_id": it.run, "model_version": it.version, "model_digest": it.digest, "snapshot_version": it.snapshot,
        "rows": it.rows, "scored": it.scored, "refused": it.refused, "declined": it.declined,
        "rows_digest": it.rows_digest, "replaces": it.replaces}

    def change(rows: Any) -> Any:
        import pyarrow as pa

        others = [other for other in rows.to_pylist()
                  if (other["population"], other["attempt"]) != (row["population"], row["attempt"])]
        return pa.Table.from_pylist([*others, row], schema=table.schema)

    lake.change_partitions(table, [row["day"]], change)


def _publication(book: str, row: dict[str, Any]) -> Publication:
    return Publication(Attempt(book, row["population"], row["as_of"], row["attempt"]), row["run_id"],
                       row["model_version"], row["model_digest"], row["snapshot_version"], row["rows"], row["scored"],
                       row["refused"], row["declined"], row["rows_digest"], row["replaces"])
