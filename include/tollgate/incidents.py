"""What goes wrong in operation, whether or not there is a night: each event's life, in the lake's ``incidents``.

A task that failed, a night that is late, a model that waits for a person, a retrain that its gates refused. An event
begins, goes on, worsens and ends as those of a night's ``events`` do; but it is told as it happens, by whom it happens
to, and no later night writes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.config import SEVERITIES, check_book

if TYPE_CHECKING:
    import pyarrow as pa

BEGAN, WORSENED, LASTS, ENDED = "began", "worsened", "lasts", "ended"
WAITING = "waiting:"   # what waits in a run waits no longer than the run
RETRAIN = "retrain:"   # a retrain that was refused, by the key of its request

Line = dict[str, Any]


def begin(book: str, event: str, as_of: date, message: str, *, severity: str = "warning",
          run_id: str = "") -> dict[str, Any]:
    """Note that something goes wrong; of what is under way, that it goes on, or has become graver than ever.

    The same said again of the same run adds nothing.

    Returns ``{"book", "event", "status", "id"}``: the event's newest line, by the ``id`` that telling knows it by.

    Raises:
        BadInput: there is no such book.
        PassingFault: the lake did not answer.
    """
    table = lake.incidents(check_book(book))
    stood: Line = {}

    def make(rows: pa.Table) -> pa.Table | None:
        lines = rows.to_pylist()
        last = next((line for line in reversed(_newest(lines)) if line["event"] == event), None)
        if last is not None and last["status"] == ENDED:
            last = None
        said = {"event": event, "as_of": as_of, "run_id": run_id, "severity": severity, "message": message}
        stood.clear()
        if last is not None and said.items() <= last.items():
            stood.update(last)
            return None
        rank, seq = SEVERITIES.index(severity) + 1, len(lines)
        stood.update(said, seq=seq, rank=rank, status=BEGAN, began=seq, since=as_of, reached=rank)
        if last is not None:
            stood.update(status=WORSENED if rank > last["reached"] else LASTS, began=last["began"],
                         since=last["since"], reached=max(rank, last["reached"]))
        return _rows(table, [stood])

    lake.append_next(table, make)
    return {"book": book, "event": event, "status": stood["status"], "id": name_of(stood)}


def end(book: str, events: Sequence[str], as_of: date, *, run_id: str = "") -> dict[str, Any]:
    """Note that these events are over, and whatever waits in a run that has ended; of what is not under way, nothing.

    Returns ``{"book", "ended": the events}``.

    Raises:
        BadInput: there is no such book.
        PassingFault: the lake did not answer.
    """
    table = lake.incidents(check_book(book))

    def make(rows: pa.Table) -> pa.Table | None:
        over = [line for line in _newest(rows.to_pylist()) if line["status"] != ENDED and (
            line["event"] in events or (run_id and run_id == line["run_id"] and line["event"].startswith(WAITING)))]
        return _rows(table, [{**line, "seq": rows.num_rows + k, "as_of": as_of, "status": ENDED, "rank": 0}
                             for k, line in enumerate(over)])

    ended = lake.append_next(table, make)
    return {"book": book, "ended": [] if ended is None else sorted(ended["event"].to_pylist())}


def lives(book: str) -> list[list[Line]]:
    """Every life of every event: its lines in sequence.

    Raises:
        PassingFault: the lake did not answer.
    """
    found: dict[int, list[Line]] = {}
    for line in sorted(lake.records(lake.incidents(book)), key=itemgetter("seq")):
        found.setdefault(line["began"], []).append(line)
    return list(found.values())


def name_of(line: Line) -> str:
    """What telling knows a line by."""
    return f"{line['as_of'].isoformat()} {key_of(line)}"


def key_of(line: Line) -> str:
    """Its key among all that people are told of a day."""
    return f"{line['event']}#{line['seq']}"


def _rows(table: lake.Table, lines: list[Line]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(lines, table.schema)


def _newest(lines: Iterable[Line]) -> list[Line]:
    """The newest line of each life, in the order in which they began."""
    return list({line["began"]: line for line in sorted(lines, key=itemgetter("seq"))}.values())
