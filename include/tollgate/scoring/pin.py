"""Fixing an attempt at a night before it starts: which models, which rows, in which shard.

All of it is written down, so that a promotion, an ingestion or a retry in mid-run changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from tollgate import lake, nights, registry
from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput, Refused
from tollgate.nights import Attempt, Pin, Pinned
from tollgate.scoring.dividing import divide
from tollgate.scoring.population import new_applications, open_portfolio, too_late

SHARD_ROWS = 500_000  # in a shard at most, on average: what one process holds of a night

log = logging.getLogger(__name__)


def pin(book: Book, as_of: date, run_id: str, params: Params, population: str = nights.NEW) -> dict[str, Any]:
    """Fix the champion of the date, its shadows, and whom they score.

    That are the applications that no other night has scored, or every open loan of the portfolio. A run has one attempt
    at a night; doing it again answers what was pinned the first time. A day without any is a night of no rows.

    Args:
        run_id: a plain folder name.

    Returns:
        ``{"attempt", "book", "population", "as_of", "champion", "shadows", "rows", "too_late", "shards":
        [{"attempt", "shard", "name"}]}``; an attempt by its key, models by their version number; ``too_late`` are
        applications that arrived when their window was over.

    Raises:
        BadInput: no champion was in force on that date, or the run id is no folder name.
        Refused: the night is published already and nobody opened it again for this run, a loan stands twice among the
            applications, or the champion's artefact changed.
        PassingFault: the lake, the store or MLflow did not answer.
    """
    published = nights.publication(book.name, as_of, population)
    if published is not None and published.run == run_id:
        return _answer(nights.read_pin(published.attempt))
    replaces = None if published is None else _opened_again(published, run_id)
    attempt = _claimed(book.name, population, as_of, run_id, replaces)
    if nights.was_pinned(attempt):
        return _answer(nights.read_pin(attempt))
    champion = registry.champion_on(book.name, as_of)
    if champion is None:
        raise _no_champion(book, as_of)
    registry.fetch_to_score(book.name, champion.version)
    versions = {table.name: lake.version(lake.published(book, table.name)) for table in book.tables}
    version = versions["applications"]
    whom = (new_applications(book, as_of, version, params.scoring.window_months) if population == nights.NEW else
            open_portfolio(book, as_of, version, params.scoring.portfolio_months))
    late = too_late(book, as_of, params.scoring.window_months) if population == nights.NEW else 0
    if late:
        log.warning("%d application(s) of %s arrived so late that no night scores them: they were asked for more than "
                    "scoring.window_months (%d) before %s", late, book.name, params.scoring.window_months, as_of)
    shards = max(params.scoring.shards, math.ceil(whom.about() / SHARD_ROWS))
    rows, files = divide(whom, attempt, shards)
    record = Pin(attempt, run_id, replaces, Pinned(champion.version, champion.digest, champion.snapshot),
                 _shadows(book.name, champion.version, as_of, params), rows, late, shards, _digest(files), files,
                 versions, params.model_dump(mode="json"))
    nights.write_pin(record)
    return _answer(record)


def _digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests of all files of rows."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files.items()).encode()).hexdigest()


def _claimed(book: str, population: str, as_of: date, run: str, replaces: int | None) -> Attempt:
    """The run's attempt that may replace what is published; none that it had begun before that was."""
    while True:
        attempt = nights.claim(book, population, as_of, run, after=replaces or 0)
        if not nights.was_pinned(attempt) or nights.read_pin(attempt).replaces == replaces:
            return attempt
        nights.give_up(attempt, f"The night was opened again for its run to replace attempt {replaces}")


def _opened_again(published: nights.Publication, run: str) -> int:
    """The number of the published attempt, where a person let this run replace it."""
    it = published.attempt
    if registry.reopened(it.book, it.night, run) != it.number:
        raise Refused(f"The night of {it.book} as of {it.day} is published already: attempt {it.number}, by version "
                      f"{published.version}", value=run,
                      remedy="To score it once more, say why: in the form of score_nightly, or by "
                             f"tollgate score reopen {it.book} --as-of {it.day} --population {it.population} "
                             f"--run-id {run} --reason ...")
    return it.number


def _shadows(book: str, champion: str, as_of: date, params: Params) -> tuple[Pinned, ...]:
    """What scores beside the champion: the present challenger, the champion that it replaced while it is guarded, and
    the versions that params.yaml names.

    By the ledger alone. Whether they can score, and whether they exist at all, their own tasks find out.
    """
    known = {model["version"]: model for model in registry.models(book)}
    waiting = {version for version, model in known.items() if model["state"] == "challenger"}
    reign = registry.reign(book, champion) if params.monitoring.guard != "never" else None
    guarded = reign is not None and as_of < reign.since + timedelta(days=params.monitoring.guard_days)
    former = {reign.former} if reign is not None and guarded else set()
    wanted = (waiting | former | set(params.scoring.shadows)) - {champion}
    return tuple(Pinned(version, known.get(version, {}).get("digest", ""), known.get(version, {}).get("snapshot", ""))
                 for version in sorted(wanted, key=int))


def _no_champion(book: Book, as_of: date) -> BadInput:
    since = registry.champions_since(book.name)
    if since is None:
        return BadInput(f"{book.name} had no champion yet on this date", value=as_of,
                        remedy="Train and approve one, with an as-of on this date or before.")
    return BadInput(f"No champion of {book.name} was in force yet on this date: the first is, from {since} on",
                    value=as_of, remedy="A model scores from the day of its approval on. To replay the past as if each "
                                        "had been approved on its as-of, approve with TOLLGATE_TODAY=as-of.")


def _answer(pin: Pin) -> dict[str, Any]:
    key = str(pin.attempt)
    return {"attempt": key, "book": pin.attempt.book, "population": pin.attempt.population,
            "as_of": pin.attempt.day.isoformat(), "champion": pin.champion.version,
            "shadows": [model.version for model in pin.shadows], "rows": pin.rows, "too_late": pin.too_late,
            "shards": [{"attempt": key, "shard": k, "name": f"shard {k}"} for k in range(pin.shards)]}
