"""The verbs of monitoring, and of the requests that come of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from tollgate.cli.arguments import Alert, AsOf, BookName, By, MaybeBook, Page, Panel, RequestKey
from tollgate.cli.same_code import note_format, same_code
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer
from tollgate.terminal.answers import page as _page

Severity = Literal["info", "warning", "page"]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="mail, slack, webhook, or a name of your own")]
app = typer.Typer()
monitor = typer.Typer(no_args_is_help=True, help="Compare what was scored with what was trained on.",
                      callback=same_code, result_callback=note_format)
alerts = typer.Typer(no_args_is_help=True, help="What is going on, and who has seen it.")
requests = typer.Typer(no_args_is_help=True, help="Requests for a retrain.")
app.add_typer(monitor, name="monitor", rich_help_panel=Panel.STEPS)
app.add_typer(alerts, name="alerts", rich_help_panel=Panel.STEPS)
app.add_typer(requests, name="requests", rich_help_panel=Panel.STEPS)


def _monitor(context: typer.Context, step: str, book: str, as_of: date) -> None:
    from tollgate import monitoring
    from tollgate.books import load_book
    from tollgate.config import load_params

    _answer(context, getattr(monitoring, f"{step}_step")(load_book(book), as_of, load_params(book=book)))


@monitor.command("drift")
def monitor_drift(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Compare the night's applications and scores with the champion's frozen profile."""
    _monitor(context, "drift", book, as_of)


@monitor.command("performance")
def monitor_performance(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Judge earlier scores whose labels have matured."""
    _monitor(context, "performance", book, as_of)


@monitor.command("guard")
def monitor_guard(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Hold a promoted champion against the one before, and roll back where it is surely worse."""
    _monitor(context, "guard", book, as_of)


@monitor.command("verdict")
def monitor_verdict(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Alerts, the verdict, and perhaps a request for a retrain."""
    _monitor(context, "verdict", book, as_of)


@monitor.command("report")
def monitor_report(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """The page a person reads."""
    _monitor(context, "report", book, as_of)


@monitor.command("page")
def monitor_page(context: typer.Context, book: BookName, as_of: AsOf,
                 distributions: Annotated[bool, typer.Option("--distributions", help="then and now, instead")] = False,
                 out: Page = None) -> None:
    """The page of a night that was reported on."""
    from tollgate.monitoring import night_page

    html = night_page(book, as_of, distributions=distributions)
    _answer(context, {"book": book, "as_of": as_of.isoformat(), **_page(html, out)})


@monitor.command("feed")
def monitor_feed(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Whether outcomes still arrive, on a day that may have no night."""
    _monitor(context, "feed", book, as_of)


@monitor.command("list")
def monitor_list(context: typer.Context, book: BookName) -> None:
    """Every verdict, newest first."""
    from tollgate.monitoring import verdicts

    _answer(context, {"book": book, "verdicts": verdicts(book)})


@app.command(rich_help_panel=Panel.MODELS)
def board(context: typer.Context, book: BookName, out: Page = None) -> None:
    """The Model Board: is the model all right, and if not, since when and why."""
    from tollgate.monitoring import board_page

    _answer(context, {"book": book, **_page(board_page(book), out)})


@app.command(rich_help_panel=Panel.STEPS)
def metrics(context: typer.Context,
            file: Annotated[Path, typer.Argument(metavar="FILE", help="such as /var/lib/node_exporter/tollgate.prom")],
            book: MaybeBook = None) -> None:
    """Write the newest numbers of every book for Prometheus' textfile collector."""
    from tollgate.monitoring import write_metrics

    _answer(context, write_metrics(file, None if book is None else [book]))


@alerts.command("list")
def alerts_list(context: typer.Context, book: BookName,
                ended: Annotated[bool, typer.Option("--ended", help="also those that are over")] = False) -> None:
    """What is going on, the gravest first."""
    from tollgate.monitoring import alerts

    _answer(context, {"book": book, "alerts": alerts(book, ended=ended)}, readable.alerts)


@alerts.command("show")
def alerts_show(context: typer.Context, book: BookName, alert: Alert) -> None:
    """One alert, night by night, with the limits of each."""
    from tollgate.monitoring import life

    _answer(context, life(book, alert), readable.alert)


@alerts.command("ack")
def alerts_ack(context: typer.Context, book: BookName, alert: Alert, by: By = None,
               comment: Annotated[str, typer.Option(help="what you make of it")] = "") -> None:
    """Say that you have seen an alert that is under way."""
    from tollgate.monitoring import acknowledge

    _answer(context, acknowledge(book, alert, comment, by))


@alerts.command("begin")
def alerts_begin(context: typer.Context, book: BookName,
                 alert: Annotated[str, typer.Argument(metavar="ALERT", help="such as failed:score_nightly__sba.pin")],
                 as_of: AsOf, message: Annotated[str, typer.Option(help="what goes wrong, in a sentence")],
                 severity: Annotated[Severity, typer.Option(help="how grave it is")] = "warning",
                 run_id: Annotated[str, typer.Option(help="the run that it happened in")] = "",
                 told: Annotated[str, typer.Option(help="channels by which people know already, with commas")] = ""
                 ) -> None:
    """Note that something goes wrong, or still does."""
    from tollgate.incidents import begin
    from tollgate.monitoring import note_told

    begun = begin(book, alert, as_of, message, severity=severity, run_id=run_id)
    for channel in filter(None, told.split(",")):
        note_told(book, channel, [begun["id"]])
    _answer(context, begun)


@alerts.command("end")
def alerts_end(context: typer.Context, book: BookName, as_of: AsOf,
               alerts: Annotated[list[str] | None, typer.Argument(metavar="ALERT...", help="their names")] = None,
               run_id: Annotated[str, typer.Option(help="a run that has ended: what waited in it is over too")] = ""
               ) -> None:
    """Note that what went wrong is over; what was not under way is left as it is."""
    from tollgate.incidents import end

    _answer(context, end(book, alerts or [], as_of, run_id=run_id))


@alerts.command("untold")
def alerts_untold(context: typer.Context, book: BookName, channel: Channel) -> None:
    """The alerts that people were not told of yet by a channel."""
    from tollgate.monitoring import untold

    _answer(context, {"book": book, "channel": channel, "alerts": untold(book, channel)})


@alerts.command("told")
def alerts_told(context: typer.Context, book: BookName, channel: Channel,
                ids: Annotated[list[str], typer.Argument(metavar="ID...", help="as `untold` answers them")]) -> None:
    """Note that people were told of alerts."""
    from tollgate.monitoring import note_told

    _answer(context, note_told(book, channel, ids))


@requests.command("list")
def requests_list(context: typer.Context, book: MaybeBook = None) -> None:
    """Requests that are not closed yet."""
    from tollgate.requests import open_requests

    _answer(context, {"requests": open_requests(book)})


@requests.command("open")
def requests_open(context: typer.Context, book: BookName, as_of: AsOf,
                  reason: Annotated[str, typer.Option(help="why; it is shown to the approver")]) -> None:
    """Ask for a retrain by hand; retrain_on_drift answers it."""
    from tollgate.config import load_params
    from tollgate.requests import ask

    _answer(context, ask(book, as_of, reason, expiry_days=load_params(book=book).monitoring.request_days))


@requests.command("claim")
def requests_claim(context: typer.Context, book: BookName, key: RequestKey,
                   run_id: Annotated[str, typer.Option(help="the run that will answer the request")],
                   ended: Annotated[str | None, typer.Option(
                       help="a run that has ended or was deleted, whose claim is taken over")] = None) -> None:
    """Take a request, so that no other run does; or take it over from a run that has ended."""
    from tollgate.requests import claim

    _answer(context, claim(book, key, run_id, ended))


@requests.command("close")
def requests_close(context: typer.Context, book: BookName, key: RequestKey,
                   result: Annotated[str, typer.Option(help="what came of it, in words")],
                   outcome: Annotated[Literal["promoted", "rejected", "refused", "dismissed", "failed"], typer.Option(
                       help="in a word; only after failed may drift ask again at once")] = "dismissed") -> None:
    """Close a request with its result."""
    from tollgate.requests import close

    _answer(context, close(book, key, result, outcome))
