"""The arguments that many verbs share, and how a person writes them."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from tollgate.errors import BadInput


class Panel(StrEnum):
    """The headings under which ``tollgate --help`` lists the verbs."""

    MODELS = "Models and decisions"
    STEPS = "Steps that the DAGs take"
    DATA = "A book's data"
    LOOP = "The whole loop"


def known(book: str | None) -> str | None:
    """The name of a book that there is; ``BadInput`` for any other."""
    from tollgate.config import check_book

    return None if book is None else check_book(book)


def day(text: str) -> date:
    """A day of the calendar; ``BadInput`` for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise BadInput("A day is written YYYY-MM-DD", value=text, remedy="For example 2007-01-31.") from None


def instant(text: str) -> datetime:
    """A moment with its zone; ``BadInput`` for anything else."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        told = None
    if told is None or told.tzinfo is None:
        raise BadInput("A moment is written with its day, its time and its zone", value=text,
                       remedy="For example 2026-03-02T09:30:00+01:00.")
    return told


def whole_digest(text: str) -> str:
    """A SHA-256 in hexadecimal; ``BadInput`` for anything else, such as the beginning that tables show."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise BadInput("A digest is 64 characters of 0-9 and a-f", value=text,
                       remedy="Give it whole, as the approval, the gate report and `tollgate --json models BOOK` do.")
    return text


def person(name: str) -> str:
    """The name of whoever decides; ``BadInput`` for the one under which monitoring goes back by itself."""
    from tollgate.monitoring import GUARD

    if name.strip().casefold() == GUARD:
        raise BadInput("No person decides in the name of the guard after a promotion", value=name,
                       remedy="Pass your own name, or leave --by out: then it is your login.")
    return name


BookName = Annotated[str, typer.Argument(metavar="BOOK", help="its name, as `tollgate book list` shows",
                                         callback=known)]
MaybeBook = Annotated[str | None, typer.Option("--book", help="only this book", callback=known)]
Month = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="the month that lands")]
AsOf = Annotated[date, typer.Option("--as-of", parser=day, metavar="YYYY-MM-DD", help="the day to stand at")]
MaybeFrom = Annotated[date | None, typer.Option("--as-of", parser=day, metavar="YYYY-MM-DD",
                                               help="from this day; default: the newest scored")]
Page = Annotated[Path | None, typer.Option("--out", help="write the page here instead of answering it")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="its number, as `tollgate models BOOK` lists it")]
Digest = Annotated[str, typer.Option("--digest", parser=whole_digest, metavar="SHA256",
                                     help="of the artefact that was approved, as its gate report gives it")]
RequestKey = Annotated[str, typer.Argument(metavar="KEY", help="its key, as `tollgate requests list` shows it")]
Alert = Annotated[str, typer.Argument(metavar="ALERT", help="its name, as `tollgate alerts list BOOK` shows it")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="the run's id, a plain folder name")]
RunOption = Annotated[str, typer.Option("--run-id", help="the run's id, a plain folder name")]
Population = Annotated[Literal["new", "portfolio"], typer.Option(
    help="applications that no other night has scored, or every open loan")]
AttemptKey = Annotated[str, typer.Argument(metavar="ATTEMPT", help="BOOK/POPULATION/DAY/NUMBER, as `pin` answers it")]
AnsweredAt = Annotated[datetime | None, typer.Option(
    "--answered-at", parser=instant, metavar="INSTANT",
    help="when the person answered, such as 2026-03-02T09:30:00+01:00; default: now")]
By = Annotated[str | None, typer.Option("--by", parser=person, metavar="NAME",
                                        help="who decides, where it is not your login; both are kept")]
Fingerprint = Annotated[str, typer.Argument(metavar="FINGERPRINT", help="of the file, or the beginning of it")]
Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="as `tollgate cluster status` lists it")]
