"""The replay: history, a first champion, then month after month through the real DAGs, until drift asks for more.

Every run id is derived from what the run is about, every step leaves what is done as it is. Running the demo again
therefore resumes it, wherever it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tollgate import ingest, lake, registry, requests
from tollgate.books import Book, load_book
from tollgate.clock import months_before
from tollgate.config import load_params, scheduled_books, settings
from tollgate.demo import cleaning, stack
from tollgate.demo.airflow import OVER, POLL_SECONDS, RUN_SECONDS_AT_MOST, Airflow, dag_id, dags_of
from tollgate.demo.view import View
from tollgate.errors import BadInput, PassingFault, Refused
from tollgate.terminal import readable

Answer = dict[str, Any]
ANSWER_AFTER_SECONDS = 2
APPROVER_COMMENT = "approved by the demo on the user's behalf"


@dataclass(frozen=True)
class Plan:
    """What to replay.

    Attributes:
        book: which book. months: how many months after the first model. scenario: world of a simulated book.
        approve: answer approvals on the user's behalf; otherwise wait for the user to answer them in Airflow.
    """

    book: str
    months: int
    scenario: str = "stationary"
    approve: bool = True


def run(plan: Plan) -> Answer:
    """Replay the plan and leave everything running. Returns the story: months, alerts, requests, models.

    Raises:
        BadInput: Airflow has no DAGs of the book.
        Refused: the first model did not pass its gates or was rejected, so that there is nothing to score with.
        PassingFault: a DAG run failed or did not end; the message names it and its page.
    """
    params = load_params(book=plan.book)
    book = load_book(plan.book)
    if plan.book not in scheduled_books():
        raise BadInput("Airflow has no DAGs of this book", value=plan.book,
                       remedy=f"Write `{plan.book}: {{}}` below `schedules:` in params.yaml.")
    cleaning.begin(plan.book)
    with View(plan.approve) as view:
        return _Replay(plan, book, params.as_of, params.seed, view).run()


@dataclass
class _Replay:
    plan: Plan
    book: Book
    begin: date
    seed: int
    view: View
    asked: dict[str, float] = field(default_factory=dict)
    landed: int = 0

    def run(self) -> Answer:
        sender = self.book.require_sender()
        with self.view.step("source data") as progress:
            sender.fetch(settings().data / "sources" / self.book.name, progress, self.seed, self.plan.scenario)
        with self.view.step("PostgreSQL, Airflow and MLflow"):
            airflow, self.mlflow = stack.airflow(), stack.mlflow()
            stack.start(airflow)
            registry.prepare()
            stack.start(self.mlflow)
            for service in (airflow, self.mlflow):
                stack.wait_until_up(service)
            self.airflow = Airflow(airflow.url)
            self._until(lambda: self.airflow.ready(self.book.name), "Airflow to read the DAG files",
                        problem=self._import_error)
            for dag in dags_of(self.book.name):
                self.airflow.pause(dag, False)
        with self.view.step(f"history of {self.book.name} to {_month(self.begin, -1)}"):
            ingest.land(self.book, _month(self.begin, -1), sender.first_month)
            self._ingested()
        with self.view.step(f"first model, as of {self.begin}"):
            self._first_model()
        self._land(0)
        for k in range(self.plan.months):
            self._month(k)
        with self.view.step("last reports"):
            self._until(lambda: self._idle("monitor_drift"), "monitor_drift to finish")
        with self.view.step("rollback drill"):
            self._drill()
        return self._story()

    def _first_model(self) -> None:
        run_id = f"demo__{self.begin}"
        self._trigger("train_weekly", run_id, {"as_of": str(self.begin), "reason": "first model of the demo"})
        self._over("train_weekly", run_id)
        if registry.champion(self.book.name) is None:
            raise Refused("The first model was refused or rejected, and without a champion nothing can be scored",
                          value=run_id, remedy=f"Look at the red squares of {self._page('train_weekly', run_id)}.")

    def _month(self, k: int) -> None:
        month, as_of = _month(self.begin, k), _day(self.begin, k + 1)
        with self.view.month(month) as row:
            row.update(landed=self.landed)
            self._ingested()
            run_id = f"demo__{as_of}"
            self._trigger("score_nightly", run_id, {"as_of": str(as_of)})
            self._succeeded("score_nightly", run_id)
            # The next month's files arrive while this month is judged: as-of reads keep them apart.
            if k + 1 < self.plan.months:
                self._land(k + 1)
            self._until(lambda: self._verdict(as_of) is not None, f"the verdict as of {as_of}",
                        problem=lambda: _failed(self._runs("monitor_drift")))
            verdict = self._verdict(as_of) or {}
            alerts = lake.read(lake.alerts(self.book.name), filters=[("day", "=", str(as_of))])
            row.update(scored=verdict["rows"], level=verdict["level"], alerts=alerts.num_rows,
                       model=verdict["model_version"], sentence=verdict["sentence"])
            if any(request["book"] == self.book.name for request in requests.open_requests(self.book.name)):
                row.update(request="retraining")
                self._until(lambda: not requests.open_requests(self.book.name), "retrain_on_drift to answer")
            row.update(request=self._result(as_of))

    def _ingested(self) -> None:
        self._until(lambda: self._idle("ingest_validate") and not ingest.new_files(self.book.name),
                    "ingest_validate to take in the landed files")

    def _land(self, k: int) -> None:
        self.landed = sum(ingest.land(self.book, _month(self.begin, k))["rows"].values())

    def _idle(self, kind: str) -> bool:
        runs = self._runs(kind)
        if found := _failed(runs):
            raise PassingFault(f"In the replay of {kind} {found}", value=self.airflow.url, remedy="Read its log there.")
        return all(run["state"] in OVER for run in runs)

    def _verdict(self, as_of: date) -> Answer | None:
        found = lake.read(lake.verdicts(self.book.name), filters=[("day", "=", str(as_of))]).to_pylist()
        return found[0] if found else None

    def _drill(self) -> None:
        """Roll back to the champion before, and forward again, if there was one before."""
        now = registry.champion(self.book.name)
        assert now is not None
        before = next((model["version"] for model in registry.models(self.book.name)
                       if model["state"] == "former champion"), None)
        as_of = _day(self.begin, self.plan.months)
        for target in [before, now.version] if before is not None else []:
            run_id = f"demo__drill__{as_of}__{target}"
            self._trigger("rollback_model", run_id, {"version": target, "reason": "drill of the demo"})
            self._succeeded("rollback_model", run_id)

    def _result(self, as_of: date) -> str:
        events = lake.read(lake.requests(self.book.name)).to_pylist()
        opened = [e["key"] for e in events if e["kind"] == "opened" and e["as_of"] == as_of]
        result = next((e["result"] for e in events if e["kind"] == "closed" and e["key"] in opened), "")
        return str(result).split(" by ")[0]

    def _story(self) -> Answer:
        name = self.book.name
        return self.view.story(
            {**readable.models({"book": name, "models": registry.models(name)}),
             "months": self.view.rows, "requests": _requests(name), "airflow": self.airflow.url,
             "mlflow": self.mlflow.url,
             "board": f"{self.airflow.url}/tollgate/{name}", "reports": f"{settings().store}/reports/{name}"})

    # The book's DAGs ----------------------------------------------------------------------------------------

    def _trigger(self, kind: str, run_id: str, conf: Answer) -> None:
        self.airflow.trigger(dag_id(kind, self.book.name), run_id, conf)

    def _runs(self, kind: str) -> list[Answer]:
        return self.airflow.runs(dag_id(kind, self.book.name))

    def _state(self, kind: str, run_id: str) -> str | None:
        return self.airflow.state(dag_id(kind, self.book.name), run_id)

    def _page(self, kind: str, run_id: str) -> str:
        return f"{self.airflow.url}/dags/{dag_id(kind, self.book.name)}/runs/{run_id}"

    # Waiting -------------------------------------------------------------------------------------------------

    def _until(self, done: Callable[[], bool], what: str, problem: Callable[[], str | None] = lambda: None) -> None:
        """Poll until ``done``, answering approvals meanwhile if the plan says so."""
        end = time.monotonic() + RUN_SECONDS_AT_MOST
        while not done():
            if found := problem():
                raise PassingFault(f"Waited for {what}, but: {found}", value=self.airflow.url,
                                   remedy="Read the task's log there, then run the demo again: it resumes.")
            if time.monotonic() > end:
                raise PassingFault(f"Waited {RUN_SECONDS_AT_MOST} seconds for {what}", value=self.airflow.url,
                                   remedy="Look at what is running there.")
            self._attend()
            time.sleep(POLL_SECONDS)

    def _over(self, kind: str, run_id: str) -> None:
        self._until(lambda: self._state(kind, run_id) in OVER, f"{kind} ({run_id})")

    def _succeeded(self, kind: str, run_id: str) -> None:
        self._over(kind, run_id)
        if self._state(kind, run_id) == "failed":
            raise PassingFault(f"A run of {kind} failed", value=run_id,
                               remedy=f"Read its log: {self._page(kind, run_id)}. The demo resumes when run again.")

    def _attend(self) -> None:
        for question in self.airflow.questions(dag_id("train_weekly", self.book.name)):
            since = self.asked.setdefault(question["task_instance"]["id"], time.monotonic())
            self.view.asked(question["subject"], f"{self.airflow.url}/required_actions")
            # An answer within the same breath meets a scheduler that has not yet seen the task wait, and is lost.
            if self.plan.approve and time.monotonic() - since > ANSWER_AFTER_SECONDS:
                # Somebody may have answered in the page between our two calls.
                with suppress(PassingFault):
                    self.airflow.respond(question, "Approve", APPROVER_COMMENT)

    def _import_error(self) -> str | None:
        return next(iter(self.airflow.import_errors()), None)


def _failed(runs: list[Answer]) -> str | None:
    """What to say when the newest of a DAG's runs failed."""
    return f"the run {runs[0]['dag_run_id']} failed" if runs and runs[0]["state"] == "failed" else None


def _requests(book: str) -> list[Answer]:
    events = lake.read(lake.requests(book)).to_pylist()
    closed = {e["key"]: e["result"] for e in events if e["kind"] == "closed"}
    return [{"request": e["key"], "as of": e["as_of"], "reason": e["reason"], "result": closed.get(e["key"], "open")}
            for e in events if e["kind"] == "opened"]


def _day(begin: date, months: int) -> date:
    return months_before(begin, -months)


def _month(begin: date, months: int) -> str:
    return f"{_day(begin, months):%Y-%m}"
