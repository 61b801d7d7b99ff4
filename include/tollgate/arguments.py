"""The arguments that many verbs share."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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


BookName = Annotated[str, typer.Argument(metavar="BOOK", help="sba, consumer or card", callback=known)]
MaybeBook = Annotated[str | None, typer.Option("--book", help="only this book", callback=known)]
Month = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="the month that lands")]
AsOf = Annotated[datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="the instant to stand at")]
Page = Annotated[Path | None, typer.Option("--out", help="write the page here instead of answering it")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="its number, as `tollgate models BOOK` lists it")]
RequestKey = Annotated[str, typer.Argument(metavar="KEY", help="its key, as `tollgate requests list` shows it")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="the run's id, a plain folder name")]
AnsweredAt = Annotated[datetime | None, typer.Option(
    "--answered-at", formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"], metavar="INSTANT",
    help="when the person answered, such as 2026-03-02T09:30:00+01:00; default: now")]
By = Annotated[str, typer.Option("--by", help="who decides")]
Fingerprint = Annotated[str, typer.Argument(metavar="FINGERPRINT", help="of the file, or the beginning of it")]
