"""The name of an attempt at a night, and the claim of its number by the run that makes it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput

NEW, PORTFOLIO = POPULATIONS = "new", "portfolio"
CLAIM = "claim.json"
GIVEN_UP = "given-up.json"
KEY = re.compile(rf"(?P<book>[a-z][a-z0-9_]*)/(?P<population>{NEW}|{PORTFOLIO})/(?P<day>\d{{4}}-\d\d-\d\d)/"
                 r"(?P<number>[1-9]\d*)")
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


@dataclass(frozen=True, order=True)
class Attempt:
    """One attempt at a night, ``BOOK/POPULATION/DAY/NUMBER``.

    Attributes:
        population: ``new``, each application once, or ``portfolio``, every open loan.
        number: from 1, in the order in which runs claimed them.
    """

    book: str
    population: str
    day: date
    number: int

    def __str__(self) -> str:
        return f"{self.book}/{self.population}/{self.day}/{self.number}"

    @property
    def night(self) -> str:
        """The night within its book, ``POPULATION/DAY``."""
        return f"{self.population}/{self.day}"

    def path(self, name: str) -> str:
        """Where a file of the attempt lies in the store."""
        return f"nights/{self}/{name}"


def attempt_of(key: str) -> Attempt:
    """The attempt that a key names. Raises ``BadInput`` for what is no key."""
    found = KEY.fullmatch(key)
    try:
        if found is None:
            raise ValueError
        return Attempt(found["book"], found["population"], date.fromisoformat(found["day"]), int(found["number"]))
    except ValueError:
        raise BadInput("An attempt at a night is written BOOK/POPULATION/DAY/NUMBER", value=key,
                       remedy="Take it from the answer of tollgate score pin: such as sba/new/2007-02-01/1.") from None


def claim(book: str, population: str, day: date, run: str, after: int = 0) -> Attempt:
    """The run's attempt at a night: the one that it has claimed, or the next number, which no other run then gets.

    An attempt that was given up is never taken up again.

    Args:
        after: the number is higher than this one, that of the attempt which it is to replace.

    Raises:
        BadInput: the run's id is no plain folder name.
        PassingFault: the store did not answer.
    """
    if not PLAIN.fullmatch(run):
        raise BadInput("A run id must be a plain folder name", value=run,
                       remedy="Use letters, digits, and any of _ . + = -")
    store, number = lake.Store(settings().store), after + 1
    while True:
        attempt = Attempt(book, population, day, number)
        if store.create(attempt.path(CLAIM), (json.dumps({"run": run}) + "\n").encode()):
            return attempt
        own = store.read_json(attempt.path(CLAIM))["run"] == run
        if own and not store.exists(attempt.path(GIVEN_UP)):
            return attempt
        number += 1


def give_up(attempt: Attempt, why: str) -> None:
    """Note that the attempt cannot be published any more: its run makes another one when it is run again."""
    lake.Store(settings().store).write_json(attempt.path(GIVEN_UP), {"why": why})
