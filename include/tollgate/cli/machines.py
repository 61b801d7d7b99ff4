"""The verbs of the machines: prepare, cluster, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tollgate.cli.arguments import Instance, MaybeBook, Panel
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer

app = typer.Typer()
cluster_app = typer.Typer(no_args_is_help=True,
                          help="The services of docker-compose.yml on this machine, without a container engine.")
demo_app = typer.Typer(no_args_is_help=True, help="The whole loop on this machine: Airflow, MLflow and a replay.")
for group, name in ((cluster_app, "cluster"), (demo_app, "demo")):
    app.add_typer(group, name=name, rich_help_panel=Panel.LOOP)


@app.command(rich_help_panel=Panel.LOOP)
def prepare(context: typer.Context,
            take_over: Annotated[bool, typer.Option("--take-over", help="what another deployment marked becomes "
                                                                         "ours")] = False) -> None:
    """Make ready and check what machines share: buckets, the object store's promises, whose they are."""
    from tollgate import deployment

    _answer(context, deployment.prepare(take_over))


@app.command(rich_help_panel=Panel.LOOP)
def doctor(context: typer.Context,
           checks: Annotated[list[str] | None, typer.Argument(metavar="[CHECK]...", show_default=False,
                                                              help="only these, as the answer names them")] = None
           ) -> None:
    """Check what a deployment gets wrong, each finding with its remedy; exit 2 for an error, 75 if it may pass."""
    from tollgate import doctor

    found = doctor.examine(checks or [])
    _answer(context, found, readable.examined)
    raise typer.Exit(doctor.exit_code(found))


@app.command(rich_help_panel=Panel.LOOP)
def backup(context: typer.Context,
           folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="that is not there yet")]) -> None:
    """Copy what cannot be made again into a folder: tables, records, models, files, keys. Nothing may run meanwhile."""
    from tollgate.backup import backup

    _answer(context, backup(folder, _say))


@app.command(rich_help_panel=Panel.LOOP)
def restore(context: typer.Context,
            folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="of a backup")]) -> None:
    """Bring a backup back into an empty deployment, and prove its ledgers and its champions' last scores."""
    from tollgate.backup import restore

    _answer(context, restore(folder, _say))


# The cluster --------------------------------------------------------------------------------------------------

@cluster_app.command("start")
def cluster_start(context: typer.Context) -> None:
    """Start every service of docker-compose.yml, and return when all are well."""
    from tollgate import cluster

    _answer(context, cluster.start(_say), readable.started)


@cluster_app.command("stop")
def cluster_stop(context: typer.Context) -> None:
    """End every process of the cluster; what it keeps stays."""
    from tollgate import cluster

    _answer(context, cluster.stop())


@cluster_app.command("status")
def cluster_status(context: typer.Context) -> None:
    """How every instance stands."""
    from tollgate import cluster

    _answer(context, {"services": [{"instance": name, **state} for name, state in cluster.status().items()]},
            readable.instances)


@cluster_app.command("down")
def cluster_down(context: typer.Context, instance: Instance) -> None:
    """Take one instance away, until `up`."""
    from tollgate import cluster

    _answer(context, cluster.switch(instance, on=False))


@cluster_app.command("up")
def cluster_up(context: typer.Context, instance: Instance) -> None:
    """Bring back an instance that was taken away."""
    from tollgate import cluster

    _answer(context, cluster.switch(instance, on=True))


@cluster_app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def cluster_exec(instance: Instance, command: Annotated[list[str], typer.Argument(
        metavar="COMMAND...", help="and its arguments, as they are")]) -> None:
    """Run a command in an instance, with its environment: tollgate cluster exec worker-1 tollgate models sba."""
    from tollgate import cluster

    raise typer.Exit(cluster.enter(instance, command))


# The demo -----------------------------------------------------------------------------------------------------

@demo_app.command("run")
def demo_run(context: typer.Context,
             book: MaybeBook = None,
             months: Annotated[int, typer.Option(min=1, help="months to replay after the first model")] = 22,
             scenario: Annotated[str, typer.Option(help="world of a simulated book")] = "stationary",
             approve: Annotated[bool, typer.Option(help="answer approvals on your behalf")] = True) -> None:
    """Start Airflow and MLflow, and replay a book through the loop; running it again resumes."""
    from tollgate import demo
    from tollgate.config import load_params

    chosen = book or load_params().book
    demo.run(demo.Plan(book=chosen, months=months, scenario=scenario, approve=approve))


@demo_app.command("airflow", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def demo_airflow(context: typer.Context) -> None:
    """Airflow's own command line at the demo's Airflow, such as `demo airflow backfill create ...`."""
    from tollgate import demo

    demo.run_airflow(context.args)


@demo_app.command("stop")
def demo_stop(context: typer.Context) -> None:
    """End every process that Tollgate started here: the demo's, and the embedded database."""
    from tollgate import demo

    _answer(context, demo.stop())


@demo_app.command("clean")
def demo_clean(context: typer.Context) -> None:
    """Stop, and remove what the demo made; fetched sources stay, and so does a book that the demo did not begin."""
    from tollgate import demo

    _answer(context, demo.clean())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
