"""The verbs of models: what stands, what was decided, and deciding."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from tollgate.cli.arguments import (
    AnsweredAt,
    BookName,
    By,
    Digest,
    MaybeFrom,
    Page,
    Panel,
    Population,
    Version,
    day,
    whole_digest,
)
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer
from tollgate.terminal.answers import page as _page

app = typer.Typer()
Loan = Annotated[str, typer.Argument(metavar="LOAN", help="the id that its application came with")]
ledger = typer.Typer(no_args_is_help=True, help="Check the record of every decision.")
app.add_typer(ledger, name="ledger", rich_help_panel=Panel.MODELS)


@app.command(rich_help_panel=Panel.MODELS)
def promote(context: typer.Context, book: BookName, version: Version, digest: Digest, by: By = None,
            comment: Annotated[str, typer.Option(help="why")] = "", answered_at: AnsweredAt = None) -> None:
    """Make the challenger the champion."""
    from tollgate import registry

    _answer(context, registry.promote(book, version, digest, by, comment, answered_at))


@app.command(rich_help_panel=Panel.MODELS)
def reject(context: typer.Context, book: BookName, version: Version, by: By = None,
           comment: Annotated[str, typer.Option(help="why")] = "", answered_at: AnsweredAt = None) -> None:
    """Record that a person said no to the challenger."""
    from tollgate import registry

    _answer(context, registry.reject(book, version, by, comment, answered_at))


@app.command(rich_help_panel=Panel.MODELS)
def rollback(context: typer.Context, book: BookName, version: Version,
             reason: Annotated[str, typer.Option(help="why")], by: By = None, as_of: MaybeFrom = None) -> None:
    """Make an earlier champion the champion again, and prove it by scoring again."""
    from tollgate import registry

    _answer(context, registry.rollback(book, version, by, reason, as_of))


@app.command(rich_help_panel=Panel.MODELS)
def models(context: typer.Context, book: BookName) -> None:
    """Every registered version, newest first: its state, what it reached on its test months, its digest."""
    from tollgate import registry

    _answer(context, {"book": book, "models": registry.models(book)}, readable.models)


@app.command(rich_help_panel=Panel.MODELS)
def report(context: typer.Context, book: BookName,
           of: Annotated[str, typer.Argument(metavar="VERSION", help="or the MLflow run of a model that was refused")],
           out: Page = None) -> None:
    """The gate report of a version, or of a run that MLflow holds, as HTML."""
    from tollgate import registry

    _answer(context, {"book": book, "of": of, **_page(registry.gate_report(book, of), out)})


@app.command(rich_help_panel=Panel.MODELS)
def history(context: typer.Context, book: BookName) -> None:
    """What was decided about a book's models, by whom, when and why: the ledger, newest first."""
    from tollgate import registry

    _answer(context, {"book": book, "decisions": registry.decisions(book)}, readable.history)


@ledger.command("verify")
def ledger_verify(context: typer.Context, book: BookName,
                  head: Annotated[str | None, typer.Option(
                      parser=whole_digest, metavar="SHA256",
                      help="a head that was noted, which some line must have")] = None) -> None:
    """Check every line; exit 3 names the first that was forged, edited, dropped or moved, then the others."""
    from tollgate import registry

    _answer(context, registry.verify(book, head))


@ledger.command("adopt")
def ledger_adopt(context: typer.Context, book: BookName,
                 head: Annotated[str, typer.Option(parser=whole_digest, metavar="SHA256",
                                                   help="digest of the last line, as a backup has it")],
                 why: Annotated[str, typer.Option(help="what it was compared with")], by: By = None) -> None:
    """Vouch, once, for the lines of an older Tollgate, which did not sign them."""
    from tollgate import registry

    _answer(context, registry.adopt(book, head, by, why))


@app.command(rich_help_panel=Panel.MODELS)
def trace(context: typer.Context, book: BookName, loan: Loan) -> None:
    """From a loan's scores to the model, its data, code, parameters and approver."""
    from tollgate import ingest, registry
    from tollgate.books import load_book

    _answer(context, registry.trace(book, loan, ingest.quarantined_loan(load_book(book), loan)), readable.trace)


@app.command(rich_help_panel=Panel.MODELS)
def explain(context: typer.Context, book: BookName, loan: Loan,
            night: Annotated[date | None, typer.Option(
                parser=day, metavar="YYYY-MM-DD", help="as of this day; default: the newest that scored it")] = None,
            what_would_change: Annotated[bool, typer.Option(
                "--what-would-change", help="also look for the smallest change that would be approved")] = False,
            population: Population = "new", out: Page = None) -> None:
    """What moved a loan's score, and by how much; of a declined one the reasons in words; a picture with --out."""
    from tollgate import scoring
    from tollgate.books import load_book

    told = scoring.explain(load_book(book), loan, night, population, change=what_would_change)
    if out is None:
        _answer(context, told, readable.explain)
    else:
        _answer(context, {"book": book, "loan_id": loan, "night": told["night"], **_page(told["html"], out)})


@app.command(rich_help_panel=Panel.MODELS)
def reproduce(context: typer.Context, book: BookName, version: Version) -> None:
    """Make a registered model again from its recorded code, data and parameters; exit 3 lists what differs."""
    from tollgate import registry

    _answer(context, registry.reproduce(book, version))


@app.command(rich_help_panel=Panel.MODELS)
def scorecard(context: typer.Context, book: BookName, version: Version) -> None:
    """The bins and points of a scorecard: the version itself, or the one that it had to beat."""
    from tollgate import registry

    _answer(context, registry.scorecard(book, version), readable.scorecard)


@app.command(rich_help_panel=Panel.MODELS)
def card(context: typer.Context, book: BookName, version: Version, out: Page = None) -> None:
    """The model card of a version: its facts, and what was decided about it so far."""
    from tollgate import registry

    told = registry.card(book, version)
    if out is None:
        _answer(context, told, readable.card)
    else:
        _answer(context, {"book": book, "version": version, **_page(told["html"], out)})
