"""The verbs of a night: pin, shards, publish; its shadows; opening it again."""

from __future__ import annotations

from typing import Annotated

import typer

from tollgate.cli.arguments import AsOf, AttemptKey, BookName, By, Panel, Population, RunOption
from tollgate.cli.same_code import note_format, same_code
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer

app = typer.Typer()
score = typer.Typer(no_args_is_help=True, help="Score a book: pin, shards, publish.", callback=same_code,
                    result_callback=note_format)
app.add_typer(score, name="score", rich_help_panel=Panel.STEPS)


@score.command("pin")
def score_pin(context: typer.Context, book: BookName, as_of: AsOf, run_id: RunOption,
              population: Population = "new") -> None:
    """Fix the models and the rows of one night; the run's attempt at it."""
    from tollgate import scoring
    from tollgate.books import load_book
    from tollgate.config import load_params

    _answer(context, scoring.pin(load_book(book), as_of, run_id, load_params(book=book), population))


@score.command("shard")
def score_shard(context: typer.Context, attempt: AttemptKey,
                shard: Annotated[int, typer.Argument(metavar="SHARD", help="its number, from 0")]) -> None:
    """Score one shard with the pinned champion."""
    from tollgate import scoring

    _answer(context, scoring.score_shard(attempt, shard))


@score.command("publish")
def score_publish(context: typer.Context, attempt: AttemptKey) -> None:
    """Audit the counts and publish the night whole."""
    from tollgate import scoring

    _answer(context, scoring.publish(attempt))


@score.command("shadow")
def score_shadow(context: typer.Context, attempt: AttemptKey) -> None:
    """Score the night with the challenger, and what else was pinned beside the champion."""
    from tollgate import scoring

    _answer(context, scoring.score_shadows(attempt))


@score.command("compare")
def score_compare(context: typer.Context, attempt: AttemptKey) -> None:
    """How the shadows of a scored night agree with its champion."""
    from tollgate import scoring

    _answer(context, scoring.compare_shadows(attempt))


@score.command("reopen")
def score_reopen(context: typer.Context, book: BookName, as_of: AsOf, run_id: RunOption,
                 reason: Annotated[str, typer.Option(help="why the night is scored once more")],
                 by: By = None, population: Population = "new") -> None:
    """Let a run score a published night once more; it stands in the ledger."""
    from tollgate import registry

    _answer(context, registry.reopen(book, as_of, run_id, reason, by, population))


@score.command("list")
def score_list(context: typer.Context, book: BookName, population: Population = "new") -> None:
    """Every published night, newest first: what counts of it."""
    from dataclasses import asdict

    from tollgate import nights

    found = nights.publications(book, population=population)
    _answer(context, {"book": book, "nights": [{**asdict(night), "attempt": str(night.attempt)} for night in found]},
            readable.nights)
