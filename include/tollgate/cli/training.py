"""The verbs of training: a stage in this folder, or the stages of a run in its own workspace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tollgate.cli.arguments import AsOf, Page, Panel, RunId
from tollgate.cli.same_code import note_format, same_code
from tollgate.errors import TollgateError
from tollgate.terminal.answers import answer as _answer
from tollgate.terminal.answers import page as _page

app = typer.Typer()
run = typer.Typer(no_args_is_help=True, help="One training run in its own workspace.", callback=same_code,
                  result_callback=note_format)
app.add_typer(run, name="run", rich_help_panel=Panel.STEPS)


@app.command(rich_help_panel=Panel.STEPS)
def stage(context: typer.Context,
          name: Annotated[str, typer.Argument(metavar="STAGE", help="as dvc.yaml calls it: describe to register")],
          ) -> None:
    """Run one stage in this folder; dvc.yaml calls it, people call `dvc repro`."""
    from tollgate import stages
    from tollgate.config import load_params
    from tollgate.versioning import failure_of, write_failure

    run = Path("run")
    failure_of(run).unlink(missing_ok=True)
    try:
        if name not in stages.STAGES:
            stages.answer(name, run)
        stages.STAGES[name](run, load_params() if name == "describe" else stages.read_described(run))
    except TollgateError as err:
        write_failure(run, err)
        raise
    _answer(context, stages.answer(name, run))


@run.command("open")
def run_open(context: typer.Context, run: RunId, book: Annotated[str, typer.Option(help="its name")],
             as_of: AsOf,
             trials: Annotated[int | None, typer.Option(min=1, help="points; default: params.yaml")] = None) -> None:
    """Lay out a run's workspace and pin what it stands on."""
    from tollgate.stages import open_run
    from tollgate.versioning import open_workspace

    overrides = {"sweep": {"trials": trials}} if trials else {}
    params = open_workspace(run, book=book, as_of=as_of, overrides=overrides, pin=open_run)
    _answer(context, {"run": run, "book": book, "as_of": str(params.as_of),
                      "workers": [{"worker": k, "name": f"worker {k}"} for k in range(params.sweep.workers)]})


@run.command("stage")
def run_stage(context: typer.Context, run: RunId,
              name: Annotated[str, typer.Argument(metavar="STAGE", help="snapshot to register")],
              trained_by: Annotated[str | None, typer.Option(
                  help="who asked for the run, which a registration keeps; default: your login")] = None,
              trained_in: Annotated[str | None, typer.Option(
                  metavar="DAG/RUN", help="the run of Airflow that this is, which a registration keeps")] = None
              ) -> None:
    """Run one DVC stage in the run's workspace and push what it made."""
    from tollgate import stages
    from tollgate.versioning import run_stage as reproduce

    told = {"TOLLGATE_TRAINED_BY": trained_by, "TOLLGATE_TRAINED_IN": trained_in}
    os.environ |= {name: value for name, value in told.items() if value}  # DVC starts the stage as a program of its own
    _answer(context, {"run": run, **stages.answer(name, reproduce(run, name) / "run")})


@run.command("work")
def run_work(context: typer.Context, run: RunId,
             worker: Annotated[int, typer.Argument(metavar="WORKER", help="its number, from 0")]) -> None:
    """One sweep worker's share of the trials."""
    from tollgate.stages import read_described, sweep_work
    from tollgate.versioning import restore

    folder = restore(run, ("run/features.parquet", "run/selection.json", "run/split.parquet")) / "run"
    _answer(context, {"worker": worker, **sweep_work(folder, read_described(folder))})


@run.command("gate")
def run_gate(context: typer.Context, run: RunId,
             gate: Annotated[str, typer.Argument(metavar="GATE", help="its name, as in the report")]) -> None:
    """One gate's verdict; exit 3 when it refused."""
    from tollgate.stages import verdict
    from tollgate.versioning import restore

    _answer(context, verdict(restore(run, ("run/gates.json",)) / "run", gate))


@run.command("report")
def run_report(context: typer.Context, run: RunId, out: Page = None) -> None:
    """The gate report of a run as HTML, also of a model that was refused."""
    from tollgate.versioning import restore

    page = (restore(run, ("run/gates.html",)) / "run" / "gates.html").read_text(encoding="utf-8")
    _answer(context, {"run": run, **_page(page, out)})
