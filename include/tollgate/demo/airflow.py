"""The little of Airflow's REST API that the replay needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tollgate.errors import BadInput, PassingFault

KINDS = ("ingest_validate", "train_weekly", "score_nightly", "monitor_drift", "retrain_on_drift", "rollback_model")
OVER = ("success", "failed")
POLL_SECONDS = 1
RUN_SECONDS_AT_MOST = 1_800
PATIENCE_SECONDS = 60


def dag_id(kind: str, book: str) -> str:
    """What a book's DAG of a kind is called."""
    return f"{kind}__{book}"


def dags_of(book: str) -> list[str]:
    """The DAGs of a book that a replay goes through."""
    return [dag_id(kind, book) for kind in KINDS]


@dataclass
class Airflow:
    """A client of the Airflow at ``url``: a person of that name, or whoever it lets in on loopback."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    _session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, *, body: dict[str, Any] | None = None,
             accept: tuple[int, ...] = ()) -> Any:
        """One request to ``/api/v2``; its JSON. Codes in ``accept`` are answered with None.

        Raises:
            BadInput: Airflow does not know the login, or does not let it do this.
            PassingFault: Airflow did not answer for a minute, or answered with an error.
        """
        try:
            answer = self._request(method, f"{self.url}/api/v2{path}", body)
        except requests.RequestException as err:
            raise PassingFault(f"Airflow does not answer: {type(err).__name__}", value=self.url,
                               remedy="Run `make demo` again: it starts Airflow and resumes.") from err
        if answer.status_code in accept:
            return None
        if answer.status_code == HTTPStatus.FORBIDDEN and self.username:
            raise BadInput(f"Airflow does not let this login {method} {path}", value=self.username,
                           remedy="Log in as somebody of a role that may: docs/doors.md has the table.")
        if not answer.ok:
            raise PassingFault(f"Airflow refused {method} {path}: {answer.text[:300]}", value=answer.status_code,
                               remedy="Read data/demo/airflow.log.")
        return answer.json() if answer.content else None

    @retry(retry=retry_if_exception_type(requests.RequestException), wait=wait_fixed(1), reraise=True,
           stop=stop_after_delay(PATIENCE_SECONDS))
    def _request(self, method: str, address: str, body: dict[str, Any] | None) -> requests.Response:
        answer = self._session.request(method, address, json=body, timeout=PATIENCE_SECONDS)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._session.headers["Authorization"] = f"Bearer {self._token()}"
            answer = self._session.request(method, address, json=body, timeout=PATIENCE_SECONDS)
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            answer.raise_for_status()
        return answer

    def _token(self) -> str:
        address = f"{self.url}/auth/token"
        alone: Any = {"Authorization": None}  # without the token that has expired
        if self.username is None:
            answer = self._session.get(address, timeout=PATIENCE_SECONDS, headers=alone)
        else:
            answer = self._session.post(address, timeout=PATIENCE_SECONDS, headers=alone,
                                        json={"username": self.username, "password": self.password})
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            answer.raise_for_status()
        if not answer.ok:
            raise BadInput(f"Airflow at {self.url} does not know this login", value=self.username or "none",
                           remedy="Give the name and password of somebody whom Airflow's administrator has added.")
        return str(answer.json()["access_token"])

    def ready(self, book: str) -> bool:
        """Whether every DAG of the book is parsed."""
        known = {dag["dag_id"] for dag in self.call("GET", f"/dags?limit=100&tags={book}")["dags"]}
        return known.issuperset(dags_of(book))

    def import_errors(self) -> list[str]:
        """What kept DAG files from being parsed."""
        return [error["stack_trace"] for error in self.call("GET", "/importErrors")["import_errors"]]

    def pause(self, dag: str, paused: bool) -> None:
        """Pause or unpause a DAG. What it watches Airflow begins to watch when it reads the file again: at once."""
        found = self.call("PATCH", f"/dags/{dag}?update_mask=is_paused", body={"is_paused": paused})
        if not paused:
            self.call("PUT", f"/parseDagFile/{found['file_token']}", accept=(409,))  # it is asked for already

    def trigger(self, dag: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run of that id; one that was started before is left as it is, one that failed is run again."""
        made = self.call("POST", f"/dags/{dag}/dagRuns", accept=(409,),
                         body={"dag_run_id": run_id, "logical_date": None, "conf": conf})
        if made is None and self.state(dag, run_id) == "failed":
            self.call("POST", f"/dags/{dag}/clearTaskInstances",
                      body={"dag_run_id": run_id, "dry_run": False, "only_failed": True, "reset_dag_runs": True})

    def state(self, dag: str, run_id: str) -> str | None:
        """A run's state, or None when there is no such run."""
        found = self.call("GET", f"/dags/{dag}/dagRuns/{run_id}", accept=(404,))
        return None if found is None else str(found["state"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The newest hundred runs of a DAG, newest first."""
        found: list[dict[str, Any]] = self.call("GET", f"/dags/{dag}/dagRuns?order_by=-run_after&limit=100")["dag_runs"]
        return found

    def questions(self, dag: str = "~") -> list[dict[str, Any]]:
        """What waits for a person, in every DAG or in one."""
        found: list[dict[str, Any]] = self.call(
            "GET", f"/dags/{dag}/dagRuns/~/hitlDetails?response_received=false&limit=100")["hitl_details"]
        return found

    def respond(self, question: dict[str, Any], option: str, comment: str) -> None:
        """Answer a question with one of its options."""
        task = question["task_instance"]
        self.call("PATCH", f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/"
                           f"{task['map_index']}/hitlDetails",
                  body={"chosen_options": [option], "params_input": {"comment": comment}})

    def tasks(self, dag: str, run_id: str) -> Iterator[dict[str, Any]]:
        """The task instances of a run."""
        yield from self.call("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances?limit=200")["task_instances"]
