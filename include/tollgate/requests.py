"""Retrain requests: each a life of events (opened, claimed, closed) in the lake, appended one at a time.

The lake decides every race: an event is appended only if the whole table, as it stands then, allows it. A book has one
request at a time, whatever its cause. One that no run has claimed for too long expires when the next is asked for;
after a verdict on a request monitoring asks for no other within the cool-down, whereas a training that broke off leaves
none. A retrain that its gates refused is told to people, as an incident.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tollgate import incidents, lake
from tollgate.config import check_book, known_books
from tollgate.errors import BadInput, Refused

if TYPE_CHECKING:
    import pyarrow as pa

OPENED, CLAIMED, CLOSED = "opened", "claimed", "closed"
OPEN_STATES = ("open", "claimed")
DRIFT, PERFORMANCE, VOLUME, SCHEDULE, BY_HAND = "drift", "performance", "volume", "schedule", "by hand"  # who asks
REFUSED, DISMISSED, FAILED, EXPIRED = "refused", "dismissed", "failed", "expired"
NO_VERDICT = (FAILED, EXPIRED)

Event = dict[str, Any]
Request = dict[str, Any]


def fold(book: str, events: Iterable[Event]) -> dict[str, Request]:
    """The requests that ``events`` (in sequence) leave behind, by key, in the order of opening.

    Each is ``{"book", "key", "as_of" (date), "cause", "reason", "state", "run_id", "result", "outcome"}`` with the
    state open, claimed or closed, and the run that claimed it last.
    """
    requests: dict[str, Request] = {}
    for event in events:
        if event["kind"] == OPENED:
            requests[event["key"]] = {"book": book, "key": event["key"], "as_of": event["as_of"],
                                      "cause": event["cause"] or DRIFT, "reason": event["reason"], "state": "open",
                                      "run_id": "", "result": "", "outcome": None}
        elif event["kind"] == CLAIMED:
            requests[event["key"]] |= {"state": "claimed", "run_id": event["run_id"]}
        else:
            requests[event["key"]] |= {"state": "closed", "result": event["result"], "outcome": event["outcome"]}
    return requests


def open_request(book: str, key: str, as_of: date, reason: str, *, cause: str = DRIFT, cooldown_days: int,
                 expiry_days: int) -> Request:
    """Open a request, unless another stands: the request ``key`` if it was opened now or before, else that other.

    Another stands while it is open or claimed, and once it was closed by a verdict for ``cooldown_days`` around its own
    as-of. An open one that no run has claimed by ``expiry_days`` after its as-of is closed as expired, and stands no
    more.
    """
    answer: Request = {}

    def make(rows: pa.Table) -> pa.Table | None:
        events = rows.to_pylist()
        known, new = fold(book, events), list[Event]()
        for old in known.values():
            if key not in known and old["state"] == "open" and (as_of - old["as_of"]).days >= expiry_days:
                new.append(_event([*events, *new], kind=CLOSED, key=old["key"], as_of=old["as_of"], outcome=EXPIRED,
                                  result=f"expired: no run has claimed it by {as_of}"))
        known = fold(book, [*events, *new])
        standing = [known[key]] if key in known else [r for r in known.values() if _stands(r, as_of, cooldown_days)]
        answer.clear()
        if standing:
            answer.update(standing[-1])
        else:
            new.append(_event([*events, *new], kind=OPENED, key=key, as_of=as_of, cause=cause, reason=reason))
            answer.update(fold(book, new[-1:])[key])
        return _rows(book, new) if new else None

    lake.append_next(lake.requests(book), make)
    if answer["key"] == key and answer["state"] in OPEN_STATES:  # what was refused before is superseded
        before = takewhile(lambda old: old != key, fold(book, _events(book)))
        incidents.end(book, [incidents.RETRAIN + old for old in before], as_of)
    return answer


def ask(book: str, as_of: date, reason: str, *, expiry_days: int) -> dict[str, Any]:
    """Ask for a retrain by hand: no cool-down holds it up, but one that is open or claimed does.

    Returns ``{"book", "key", "as_of", "state", "opened"}``: the request that stands now, and whether this opened it.

    Raises:
        BadInput: no reason is given.
        PassingFault: the lake did not answer.
    """
    if not reason.strip():
        raise BadInput("A retrain is asked for with a reason", value=repr(reason), remedy="Say why: --reason TEXT.")
    known = fold(book, _events(book))
    asked = sum(request["as_of"] == as_of and request["cause"] == BY_HAND and request["state"] == "closed"
                for request in known.values())
    key = f"{book}-by-hand-{as_of.isoformat()}" + (f"-{asked + 1}" if asked else "")
    stood = open_request(book, key, as_of, reason, cause=BY_HAND, cooldown_days=0, expiry_days=expiry_days)
    return {"book": book, "key": stood["key"], "as_of": stood["as_of"].isoformat(), "state": stood["state"],
            "opened": stood["key"] == key and key not in known}


def open_requests(book: str | None = None) -> list[dict[str, Any]]:
    """Requests that are open or claimed, oldest first; of every book when ``book`` is None. Dates as ISO text."""
    found = []
    for name in known_books() if book is None else [check_book(book)]:
        requests = fold(name, _events(name)).values()
        found += [{**{field: r[field] for field in ("book", "key", "cause", "reason", "state", "run_id")},
                   "as_of": r["as_of"].isoformat()} for r in requests if r["state"] in OPEN_STATES]
    return sorted(found, key=lambda request: request["as_of"])


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
        return _rows(book, [_event(events, kind=CLAIMED, key=key, as_of=request["as_of"], run_id=run_id)])

    lake.append_next(lake.requests(book), make)
    request = _find(book, _events(book), key)
    return {"key": key, "as_of": request["as_of"].isoformat(), "reason": request["reason"], "claimed": True}


def close(book: str, key: str, result: str, outcome: str = DISMISSED) -> dict[str, Any]:
    """End a request with what came of it; closing it again with the same result changes nothing.

    One that was refused goes to a person, as the incident ``retrain:KEY``: nothing else would follow from it. Another
    that was opened since has ended that.

    Args:
        outcome: promoted, rejected, refused, dismissed, failed or expired. All but the last two are a verdict, after
            which the cool-down holds.

    Raises:
        BadInput: there is no such request.
        Refused: it is closed with another result.
    """
    found: Request = {}
    newest = ""

    def make(rows: pa.Table) -> pa.Table | None:
        nonlocal newest
        events = rows.to_pylist()
        request = _find(book, events, key)
        found.update(request)
        newest = list(fold(book, events))[-1]
        if request["state"] == "closed":
            if request["result"] == result:
                return None
            raise Refused(f"The request {key} is closed already: {request['result']}", value=result,
                          remedy="A closed request stays as it is.")
        return _rows(book, [_event(events, kind=CLOSED, key=key, as_of=request["as_of"], result=result,
                                   outcome=outcome)])

    lake.append_next(lake.requests(book), make)
    if outcome == REFUSED and key == newest:
        incidents.begin(book, incidents.RETRAIN + key, found["as_of"], run_id=found["run_id"], message=(
            f"The retrain {key} ({found['reason']}) was {result}. The champion stays, and monitoring asks for no other "
            f"within the cool-down. Read the gate report; then mend the cause, or ask again: tollgate requests open "
            f"{book}"))
    return {"key": key, "result": result, "outcome": outcome, "closed": True}


def _stands(request: Request, as_of: date, cooldown_days: int) -> bool:
    near = abs((as_of - request["as_of"]).days) < cooldown_days
    return request["state"] in OPEN_STATES or (near and request["outcome"] not in NO_VERDICT)


def _find(book: str, events: list[Event], key: str) -> Request:
    try:
        return fold(book, events)[key]
    except KeyError:
        raise BadInput(f"{book} has no request of that key", value=key,
                       remedy="See the open ones: tollgate requests list.") from None


def _events(book: str) -> list[Event]:
    return lake.records(lake.requests(book))


def _event(events: list[Event], *, kind: str, key: str, as_of: date, cause: str | None = None, reason: str = "",
           run_id: str = "", result: str = "", outcome: str | None = None) -> Event:
    return {"kind": kind, "seq": len(events), "key": key, "as_of": as_of, "cause": cause, "reason": reason,
            "run_id": run_id, "result": result, "outcome": outcome}


def _rows(book: str, events: list[Event]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(events, lake.requests(book).schema)
