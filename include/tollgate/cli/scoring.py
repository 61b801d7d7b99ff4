"""The verbs of a night: pin, shards, publish."""

from __future__ import annotations

from typing import Annotated

import typer

from tollgate.cli.arguments import AsOf, BookName, Panel, RunId
from tollgate.cli.same_code import same_code
from tollgate.terminal.answers import answer as _answer

app = typer.Typer()
score = typer.Typer(no_args_is_help=True, help="Score a book: pin, shards, publish.", callback=same_code)
app.add_typer(score, name="score", rich_help_panel=Panel.STEPS)


@score.command("pin")
def score_pin(context: typer.Context, book: BookName, as_of: AsOf,
              run_id: Annotated[str, typer.Option(help="the run's id")]) -> None:
    """Fix the models and the rows of one night."""
    from tollgate import scoring
    from tollgate.books import load_book
    from tollgate.config import load_params

    _answer(context, scoring.pin(load_book(book), as_of, run_id, load_params(book=book)))


@score.command("shard")
def score_shard(context: typer.Context, run: RunId,
                shard: Annotated[int, typer.Argument(metavar="SHARD", help="its number, from 0")]) -> None:
    """Score one shard with the pinned models."""
    from tollgate import scoring

    _answer(context, scoring.score_shard(run, shard))


@score.command("publish")
def score_publish(context: typer.Context, run: RunId) -> None:
    """Audit the counts and publish the night's partition whole."""
    from tollgate import scoring

    _answer(context, scoring.publish(run))
