"""Publishing an attempt: audit its shards against the pin, then one commit by which it counts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights
from tollgate.books import LOAN, load_book
from tollgate.clock import months_before
from tollgate.errors import BadInput, Refused
from tollgate.nights import Attempt, Pin, Publication
from tollgate.scoring.population import all_differ, taken_elsewhere
from tollgate.scoring.shards import DECLINE, REFUSED

AGAIN = "Score the shards again; what is published stays as it was."


def publish(key: str) -> dict[str, Any]:
    """Audit an attempt's shards against its pin and publish them whole; doing it again changes nothing.

    A row that could not be scored is published too, with its reason, so that every application of the night is
    accounted for in the table itself. What an earlier attempt published is kept in ``superseded``.

    Returns ``{"attempt", "book", "population", "as_of", "rows", "scored", "refused", "declined", "champion",
    "replaces"}``: counts, the version that scored, and the attempt that counted before.

    Raises:
        BadInput: the attempt was not pinned, or a shard is missing.
        Refused: the loans scored are not exactly the loans pinned, a newer attempt is published or another one that
            this was not opened to replace, or another night has published one of the loans since.
        PassingFault: the lake or the store did not answer.
    """
    attempt = nights.attempt_of(key)
    pin = nights.read_pin(attempt)
    missing = [k for k in range(pin.shards) if nights.read_shard(attempt, k) is None]
    if missing:
        raise BadInput(f"The night {key} cannot be published: shards are missing", value=missing,
                       remedy="Run tollgate score shard for each of them first.")
    counts = {"rows": 0, "scored": 0, "refused": 0, "declined": 0}
    for k in range(pin.shards):
        scored = nights.read_scored(pin, k, [LOAN, "status", "decision"])
        audit(nights.read_population(pin, k, [LOAN])[LOAN], scored[LOAN])
        counts["rows"] += scored.num_rows
        counts["refused"] += _count(scored, "status", REFUSED)
        counts["declined"] += _count(scored, "decision", DECLINE)
    if counts["rows"] != pin.rows:
        raise Refused(f"The shards of the night {key} hold {counts['rows']} loans; {pin.rows} were pinned",
                      value=counts["rows"], remedy=AGAIN)
    counts["scored"] = counts["rows"] - counts["refused"]

    def check(before: int | None, version: int) -> None:
        _in_turn(pin, before)
        if attempt.population == nights.NEW:
            _once_in_its_life(pin, version)
        if before is not None:
            _keep_superseded(attempt)

    try:
        lake.publish_turn(lake.scores(attempt.book), attempt.night, attempt.number,
                          lambda: (nights.scored_file(pin, k) for k in range(pin.shards)), check=check,
                          part=attempt.day.isoformat(),
                          where=f"day = '{attempt.day}' AND population = '{attempt.population}'")
    except Refused:
        if pin.replaces is not None and not nights.was_published(attempt):
            _change_superseded(attempt, None)  # they count still, or another attempt has superseded them
        raise
    model = pin.champion
    nights.add_publication(Publication(attempt, pin.run, model.version, model.digest, model.snapshot, **counts,
                                       rows_digest=pin.rows_digest, replaces=pin.replaces))
    return {"attempt": key, "book": attempt.book, "population": attempt.population,
            "as_of": attempt.day.isoformat(), **counts, "champion": model.version, "replaces": pin.replaces}


def audit(population: pa.ChunkedArray, scored: pa.ChunkedArray) -> None:
    """Raise ``Refused`` unless every loan of the population stands in the scores exactly once, and no other."""
    if population.equals(scored) and all_differ(population):
        return
    wanted, found = set(population.to_pylist()), set(scored.to_pylist())
    wrong = {"missing": wanted - found, "not pinned": found - wanted}
    for what, loans in wrong.items():
        if loans:
            raise Refused(f"{len(loans)} loan(s) are {what} in the scores", value=", ".join(sorted(loans)[:5]),
                          remedy=AGAIN)
    if len(scored) != len(found):
        raise Refused(f"{len(scored) - len(found)} loan(s) stand twice in the scores", value=len(scored), remedy=AGAIN)


def _count(rows: pa.Table, column: str, value: str) -> int:
    return int(pc.sum(pc.equal(rows[column], value)).as_py() or 0)


def _in_turn(pin: Pin, published: int | None) -> None:
    """Raise ``Refused`` unless the attempt may follow what is published."""
    attempt = pin.attempt
    if published is None or (published == pin.replaces and published < attempt.number):
        return
    newer = published > attempt.number
    raise Refused(f"Attempt {attempt.number} at the night of {attempt.book} as of {attempt.day} came too late: "
                  f"attempt {published}{', a newer one,' if newer else ''} is published", value=pin.run,
                  remedy="Nothing was changed. What is published counts; to score the night once more, say why: "
                         f"tollgate score reopen {attempt.book} --as-of {attempt.day} --population "
                         f"{attempt.population} --run-id ... --reason ...")


def _once_in_its_life(pin: Pin, version: int) -> None:
    """Raise ``Refused`` where another night has published a loan of this one since it was pinned."""
    day = pin.attempt.day
    since = months_before(day, pin.params["scoring"]["window_months"])
    taken = taken_elsewhere(load_book(pin.attempt.book), day, since, at=version)
    for k in range(pin.shards if len(taken) else 0):
        loans = nights.read_population(pin, k, [LOAN])[LOAN]
        twice = loans.filter(pc.is_in(loans, value_set=taken))
        if len(twice):
            told = Refused(f"{len(twice)} loan(s) of the night {pin.attempt} were published by another night meanwhile",
                           value=", ".join(sorted(twice.to_pylist())[:5]),
                           remedy="Clear the run from its pin on: it is pinned anew and leaves them out. Nights that "
                                  "follow one another are scored one after the other: a backfill takes "
                                  "--max-active-runs 1.")
            nights.give_up(pin.attempt, str(told))
            raise told


def _keep_superseded(attempt: Attempt) -> None:
    """Copy what counted until now to ``superseded``; once, if run again."""
    before = lake.read(lake.scores(attempt.book), filters=[
        ("day", "=", attempt.day.isoformat()), ("population", "=", attempt.population)])
    _change_superseded(attempt, before.append_column("superseded_by", pa.array(
        [attempt.number] * before.num_rows, pa.int64())))


def _change_superseded(attempt: Attempt, rows: pa.Table | None) -> None:
    """Make these the rows that the attempt has superseded; none where None."""
    def change(kept: pa.Table) -> pa.Table:
        theirs = pc.and_(pc.equal(kept["population"], attempt.population),
                         pc.equal(kept["superseded_by"], attempt.number))
        others = kept.filter(pc.invert(theirs))
        return others if rows is None else pa.concat_tables([others, rows.select(kept.column_names).cast(kept.schema)])

    lake.change_partitions(lake.superseded(attempt.book), [attempt.day.isoformat()], change)
