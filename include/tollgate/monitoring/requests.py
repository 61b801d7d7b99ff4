"""Retrain requests: each a life of events (opened, claimed, closed) in the lake, appended one at a time.

The lake decides every race: an event is appended only if the whole table, as it stands then, allows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa

from tollgate import lake
from tollgate.config import check_book, known_books
from tollgate.errors import BadInput, Refused

OPENED, CLAIMED, CLOSED = "opened", "claimed", "closed"
OPEN_STATES = ("open", "claimed")

Event = dict[str, Any]
Request = dict[str, Any]


def fold(book: str, events: Iterable[Event]) -> dict[str, Request]:
    """The requests that ``events`` (in sequence) leave behind, by key, in the order of opening.

    Each is ``{"book", "key", "as_of" (date), "reason", "state", "run_id", "result"}`` with the state open, claimed or
    closed, and the run that claimed it last.
    """
    requests: dict[str, Request] = {}
    for event in events:
        if event["kind"] == OPENED:
            requests[event["key"]] = {"book": book, "key": event["key"], "as_of": event["as_of"],
                                      "reason": event["reason"], "state": "open", "run_id": "", "result": ""}
        elif event["kind"] == CLAIMED:
            requests[event["key"]] |= {"state": "claimed", "run_id": event["run_id"]}
        else:
            requests[event["key"]] |= {"state": "closed", "result": event["result"]}
    return requests


def open_request(book: str, key: str, as_of: date, reason: str, *, cooldown_days: int) -> Request:
    """Open a request, unless another stands: the request ``key`` if it was opened now or before, else that other.

    Another stands while it is open or claimed, and for ``cooldown_days`` around its own as-of once it is closed.
    """
    answer: Request = {}

    def make(rows: pa.Table) -> pa.Table | None:
        events = rows.to_pylist()
        known = fold(book, events)
        standing = [known[key]] if key in known else [r for r in known.values() if _stands(r, as_of, cooldown_days)]
        answer.clear()
        if standing:
            answer.update(standing[-1])
            return None
        event = _event(events, kind=OPENED, key=key, as_of=as_of, reason=reason)
        answer.update(fold(book, [event])[key])
        return _rows(book, event)

    lake.append_next(lake.requests(book), make)
    return answer


def open_requests(book: str | None = None) -> list[dict[str, Any]]:
    """Requests that are open or claimed, oldest first; of every book when ``book`` is None. Dates as ISO text."""
    found = []
    for name in known_books() if book is None else [check_book(book)]:
        requests = fold(name, _events(name)).values()
        found += [{**{field: r[field] for field in ("book", "key", "reason", "state", "run_id")},
                   "as_of": r["as_of"].isoformat()} for r in requests if r["state"] in OPEN_STATES]
    return found


def claim(book: str, key: str, run_id: str, ended: str | None = None) -> dict[str, Any]:
    """Take a request for one run; the same run may claim it again.

    Args:
        run_id: the run that will answer the request, by the id that Airflow knows it by.
        ended: a run of which the caller knows that it has ended or was deleted: its claim is taken over, unless
            another has taken it over first.

    Raises:
        BadInput: there is no such request.
        Refused: it is closed, or another run has claimed it.
    """

    def make(rows: pa.Table) -> pa.Table | None:
        events = rows.to_pylist()
        request = _find(book, events, key)
        if request["state"] == "closed":
            raise Refused(f"The request {key} is closed: {request['result']}", value=key,
                          remedy="Nothing is left to do for it.")
        if request["state"] == "claimed" and request["run_id"] == run_id:
            return None
        if request["state"] == "claimed" and request["run_id"] != ended:
            raise Refused(f"The request {key} is claimed by the run {request['run_id']}", value=run_id,
                          remedy="Leave it to that run. Where it has ended or was deleted, retrain_on_drift takes the "
                                 f"request over by itself; to do so by hand: tollgate requests claim {book} '{key}' "
                                 f"--run-id '{run_id}' --ended '{request['run_id']}'; or close the request: tollgate "
                                 "requests close.")
        return _rows(book, _event(events, kind=CLAIMED, key=key, as_of=request["as_of"], run_id=run_id))

    lake.append_next(lake.requests(book), make)
    request = _find(book, _events(book), key)
    return {"key": key, "as_of": request["as_of"].isoformat(), "reason": request["reason"], "claimed": True}


def close(book: str, key: str, result: str) -> dict[str, Any]:
    """End a request with what came of it; closing it again with the same result changes nothing.

    Raises:
        BadInput: there is no such request.
        Refused: it is closed with another result.
    """

    def make(rows: pa.Table) -> pa.Table | None:
        events = rows.to_pylist()
        request = _find(book, events, key)
        if request["state"] == "closed":
            if request["result"] == result:
                return None
            raise Refused(f"The request {key} is closed already: {request['result']}", value=result,
                          remedy="A closed request stays as it is.")
        return _rows(book, _event(events, kind=CLOSED, key=key, as_of=request["as_of"], result=result))

    lake.append_next(lake.requests(book), make)
    return {"key": key, "result": result, "closed": True}


def _stands(request: Request, as_of: date, cooldown_days: int) -> bool:
    near = abs((as_of - request["as_of"]).days) < cooldown_days
    return near or request["state"] in OPEN_STATES


def _find(book: str, events: list[Event], key: str) -> Request:
    try:
        return fold(book, events)[key]
    except KeyError:
        raise BadInput(f"{book} has no request of that key", value=key,
                       remedy="See the open ones: tollgate requests list.") from None


def _events(book: str) -> list[Event]:
    return lake.read(lake.requests(book)).to_pylist()


def _event(events: list[Event], *, kind: str, key: str, as_of: date, reason: str = "", run_id: str = "",
           result: str = "") -> Event:
    return {"kind": kind, "seq": len(events), "key": key, "as_of": as_of, "reason": reason, "run_id": run_id,
            "result": result}


def _rows(book: str, event: Event) -> pa.Table:
    return pa.Table.from_pylist([event], lake.requests(book).schema)
