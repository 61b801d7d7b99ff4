"""The one door: parse, call, print the answer. Every verb is documented by ``tollgate VERB --help``.

Rooms are imported inside the verbs, so that ``--help`` and the queries that sensors poll stay quick.
"""

from __future__ import annotations

import logging
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tollgate import readable
from tollgate.answers import answer as _answer
from tollgate.answers import page as _page
from tollgate.arguments import (
    AnsweredAt,
    AsOf,
    BookName,
    By,
    Digest,
    MaybeBook,
    MaybeFrom,
    Page,
    Panel,
    RequestKey,
    RunId,
    Version,
)
from tollgate.cli_data import app as data_app
from tollgate.cli_machines import app as machines_app
from tollgate.errors import TollgateError

app = typer.Typer(name="tollgate", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="The whole life of a loan-default model: ingest, train, gate, promote, score, watch, retrain.",
                  epilog="Exit codes: 0 done, 2 bad input, 3 refused by a gate or a contract, 75 try again later.")


def _group(name: str, help: str, panel: Panel) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=help)
    app.add_typer(group, name=name, rich_help_panel=panel)
    return group


app.add_typer(data_app)
app.add_typer(machines_app)
run_app = _group("run", "One training run in its own workspace.", Panel.STEPS)
score_app = _group("score", "Score a book: pin, shards, publish.", Panel.STEPS)
monitor_app = _group("monitor", "Compare what was scored with what was trained on.", Panel.STEPS)
requests_app = _group("requests", "Requests for a retrain.", Panel.STEPS)
ledger_app = _group("ledger", "Check the record of every decision.", Panel.MODELS)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"tollgate {version('tollgate')}")
        raise typer.Exit


@run_app.callback()
@score_app.callback()
@monitor_app.callback()
def _same_code() -> None:
    """What machines hand to one another is made by one code."""
    from tollgate.deployment import check_code

    check_code()


@app.callback()
def _options(
    context: typer.Context,
    json_answer: Annotated[bool, typer.Option("--json", help="answer in JSON even at a terminal")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks and the log of every part")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version,
                                          help="print the version and end")] = False,
) -> None:
    context.obj = {"json": json_answer}
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("tollgate").setLevel(logging.DEBUG if debug else logging.INFO)


# The registry -------------------------------------------------------------------------------------------------

@app.command(rich_help_panel=Panel.MODELS)
def promote(context: typer.Context, book: BookName, version: Version, by: By, digest: Digest,
            comment: Annotated[str, typer.Option(help="why")] = "", answered_at: AnsweredAt = None) -> None:
    """Make the challenger the champion."""
    from tollgate import registry

    _answer(context, registry.promote(book, version, digest, by, comment, answered_at))


@app.command(rich_help_panel=Panel.MODELS)
def reject(context: typer.Context, book: BookName, version: Version, by: By,
           comment: Annotated[str, typer.Option(help="why")] = "", answered_at: AnsweredAt = None) -> None:
    """Record that a person said no to the challenger."""
    from tollgate import registry

    _answer(context, registry.reject(book, version, by, comment, answered_at))


@app.command(rich_help_panel=Panel.MODELS)
def rollback(context: typer.Context, book: BookName, version: Version, by: By,
             reason: Annotated[str, typer.Option(help="why")], as_of: MaybeFrom = None) -> None:
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


@ledger_app.command("verify")
def ledger_verify(context: typer.Context, book: BookName) -> None:
    """Check the hash chain; exit 3 names every line that was edited, dropped, doubled or moved."""
    from tollgate import registry

    _answer(context, registry.verify(book))


@app.command(rich_help_panel=Panel.MODELS)
def trace(context: typer.Context, book: BookName,
          loan: Annotated[str, typer.Argument(metavar="LOAN", help="the id that its application came with")]) -> None:
    """From a loan's scores to the model, its data, code, parameters and approver."""
    from tollgate import ingest, registry
    from tollgate.books import load_book

    _answer(context, registry.trace(book, loan, ingest.quarantined_loan(load_book(book), loan)), readable.trace)


@app.command(rich_help_panel=Panel.MODELS)
def reproduce(context: typer.Context, book: BookName, version: Version) -> None:
    """Make a registered model again from its recorded code, data and parameters; exit 3 lists what differs."""
    from tollgate import registry

    _answer(context, registry.reproduce(book, version))


@app.command(rich_help_panel=Panel.MODELS)
def card(context: typer.Context, book: BookName, version: Version, out: Page = None) -> None:
    """The model card of a version: its facts, and what was decided about it so far."""
    from tollgate import registry

    told = registry.card(book, version)
    if out is None:
        _answer(context, told, readable.card)
    else:
        _answer(context, {"book": book, "version": version, **_page(told["html"], out)})


# Training -----------------------------------------------------------------------------------------------------

@app.command(rich_help_panel=Panel.STEPS)
def stage(context: typer.Context,
          name: Annotated[str, typer.Argument(metavar="STAGE", help="fetch, history, snapshot, features, split, sweep, "
                                                                    "train, evaluate, gate or register")]) -> None:
    """Run one stage in this folder; dvc.yaml calls it, people call `dvc repro`."""
    from tollgate import stages
    from tollgate.config import load_params
    from tollgate.versioning import failure_of, write_failure

    run = Path("run")
    failure_of(run).unlink(missing_ok=True)
    try:
        if name not in stages.STAGES:
            stages.answer(name, run)
        stages.STAGES[name](run, load_params())
    except TollgateError as err:
        write_failure(run, err)
        raise
    _answer(context, stages.answer(name, run))


@run_app.command("open")
def run_open(context: typer.Context, run: RunId, book: Annotated[str, typer.Option(help="sba, consumer or card")],
             as_of: AsOf,
             trials: Annotated[int | None, typer.Option(min=1, help="points; default: params.yaml")] = None) -> None:
    """Lay out a run's workspace and pin what it stands on."""
    from tollgate.config import load_params
    from tollgate.stages import pin
    from tollgate.versioning import open_workspace

    overrides = {"sweep": {"trials": trials}} if trials else {}
    folder = open_workspace(run, book=book, as_of=as_of, overrides=overrides, pin=pin)
    params = load_params(folder / "params.yaml")
    _answer(context, {"run": run, "book": book, "as_of": str(params.as_of),
                      "workers": [{"worker": k, "name": f"worker {k}"} for k in range(params.sweep.workers)]})


@run_app.command("stage")
def run_stage(context: typer.Context, run: RunId,
              name: Annotated[str, typer.Argument(metavar="STAGE", help="snapshot to register")]) -> None:
    """Run one DVC stage in the run's workspace and push what it made."""
    from tollgate import stages
    from tollgate.versioning import run_stage as reproduce

    _answer(context, {"run": run, **stages.answer(name, reproduce(run, name) / "run")})


@run_app.command("work")
def run_work(context: typer.Context, run: RunId,
             worker: Annotated[int, typer.Argument(metavar="WORKER", help="its number, from 0")]) -> None:
    """One sweep worker's share of the trials."""
    from tollgate.config import load_params
    from tollgate.stages import sweep_work
    from tollgate.versioning import restore

    folder = restore(run, ("run/features.parquet", "run/split.parquet"))
    _answer(context, {"worker": worker, **sweep_work(folder / "run", load_params(folder / "params.yaml"))})


@run_app.command("gate")
def run_gate(context: typer.Context, run: RunId,
             gate: Annotated[str, typer.Argument(metavar="GATE", help="its name, as in the report")]) -> None:
    """One gate's verdict; exit 3 when it refused."""
    from tollgate.stages import verdict
    from tollgate.versioning import restore

    _answer(context, verdict(restore(run, ("run/gates.json",)) / "run", gate))


@run_app.command("report")
def run_report(context: typer.Context, run: RunId, out: Page = None) -> None:
    """The gate report of a run as HTML, also of a model that was refused."""
    from tollgate.versioning import restore

    page = (restore(run, ("run/gates.html",)) / "run" / "gates.html").read_text(encoding="utf-8")
    _answer(context, {"run": run, **_page(page, out)})


# Scoring and monitoring ---------------------------------------------------------------------------------------

@score_app.command("pin")
def score_pin(context: typer.Context, book: BookName, as_of: AsOf,
              run_id: Annotated[str, typer.Option(help="the run's id")]) -> None:
    """Fix the models and the rows of one night."""
    from tollgate import scoring
    from tollgate.books import load_book
    from tollgate.config import load_params

    _answer(context, scoring.pin(load_book(book), as_of, run_id, load_params(book=book)))


@score_app.command("shard")
def score_shard(context: typer.Context, run: RunId,
                shard: Annotated[int, typer.Argument(metavar="SHARD", help="its number, from 0")]) -> None:
    """Score one shard with the pinned models."""
    from tollgate import scoring

    _answer(context, scoring.score_shard(run, shard))


@score_app.command("publish")
def score_publish(context: typer.Context, run: RunId) -> None:
    """Audit the counts and publish the night's partition whole."""
    from tollgate import scoring

    _answer(context, scoring.publish(run))


def _monitor(context: typer.Context, step: str, book: str, as_of: date) -> None:
    from tollgate import monitoring
    from tollgate.books import load_book
    from tollgate.config import load_params

    _answer(context, getattr(monitoring, f"{step}_step")(load_book(book), as_of, load_params(book=book)))


@monitor_app.command("drift")
def monitor_drift(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Compare the night's applications and scores with the champion's frozen profile."""
    _monitor(context, "drift", book, as_of)


@monitor_app.command("performance")
def monitor_performance(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Judge earlier scores whose labels have matured."""
    _monitor(context, "performance", book, as_of)


@monitor_app.command("verdict")
def monitor_verdict(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Alerts, the verdict, and perhaps a request for a retrain."""
    _monitor(context, "verdict", book, as_of)


@monitor_app.command("report")
def monitor_report(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """The page a person reads."""
    _monitor(context, "report", book, as_of)


@monitor_app.command("list")
def monitor_list(context: typer.Context, book: BookName) -> None:
    """Every verdict, newest first."""
    from tollgate.monitoring import verdicts

    _answer(context, {"book": book, "verdicts": verdicts(book)})


@requests_app.command("list")
def requests_list(context: typer.Context, book: MaybeBook = None) -> None:
    """Requests that are not closed yet."""
    from tollgate.monitoring import open_requests

    _answer(context, {"requests": open_requests(book)})


@requests_app.command("claim")
def requests_claim(context: typer.Context, book: BookName, key: RequestKey,
                   run_id: Annotated[str, typer.Option(help="the run that will answer the request")],
                   ended: Annotated[str | None, typer.Option(
                       help="a run that has ended or was deleted, whose claim is taken over")] = None) -> None:
    """Take a request, so that no other run does; or take it over from a run that has ended."""
    from tollgate.monitoring import claim

    _answer(context, claim(book, key, run_id, ended))


@requests_app.command("close")
def requests_close(context: typer.Context, book: BookName, key: RequestKey,
                   result: Annotated[str, typer.Option(help="what came of it")]) -> None:
    """Close a request with its result."""
    from tollgate.monitoring import close

    _answer(context, close(book, key, result))
