"""The books that have DAGs, and when and where those of each run: the `schedules` of params.yaml."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow.sdk import AsyncCallback, CronTriggerTimetable, DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowTimetableInvalid
from croniter import CroniterBadDateError, croniter
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tollgate_airflow import forms
from tollgate_airflow.incidents import end_incidents, failed, late
from tollgate_airflow.replay import ReplayedCron


class ScheduledBook(BaseModel):
    """One book and what `schedules` says of it.

    Attributes:
        train_weekly, score_nightly, score_portfolio, monitor_operations: crons; a DAG without one is started by hand
            alone.
        late_hours: after which people hear that a night is late, a year at most; None for never.
        timezone: what they go by, and the days that a run stands at.
        queue, pool: of every task, but for those that decide, whose queue is their own; None for Airflow's default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=forms.BOOK_NAME)]
    train_weekly: str | None = None
    score_nightly: str | None = None
    score_portfolio: str | None = None
    monitor_operations: str | None = None
    late_hours: Annotated[float, Field(gt=0, le=24 * 365)] | None = 6
    timezone: str = "UTC"
    queue: str | None = None
    pool: str | None = None

    @field_validator("train_weekly", "score_nightly", "score_portfolio", "monitor_operations")
    @classmethod
    def _a_cron(cls, cron: str | None) -> str | None:
        if cron is not None:
            try:
                CronTriggerTimetable(cron, timezone="UTC").validate()
                croniter(cron, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
            except AirflowTimetableInvalid as error:
                raise ValueError(str(error)) from None
            except CroniterBadDateError:
                raise ValueError(f"[{cron}] names a day that never comes") from None
        return cron

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, OSError):  # of a continent, which is a folder of zones
            raise ValueError("no time zone is called so; one is Europe/Berlin") from None
        return zone

    def dag_id(self, kind: str) -> str:
        """What the book's DAG of that kind is called."""
        return f"{kind}__{self.name}"

    def dag(self, kind: str, *tags: str, limit: timedelta = forms.STEP) -> dict[str, Any]:
        """What every DAG of the book says alike, and who hears of its tasks; ``limit`` as of ``forms.within``."""
        where = {key: value for key, value in (("queue", self.queue), ("pool", self.pool)) if value}
        return {"dag_id": self.dag_id(kind), "catchup": False, "tags": ["tollgate", self.name, *tags],
                **dict.fromkeys(("on_success_callback", "on_failure_callback"), partial(end_incidents, self.name)),
                "default_args": {**forms.within(limit), "on_failure_callback": partial(failed, self.name), **where},
                "user_defined_macros": {"book_zone": ZoneInfo(self.timezone)}}

    def late(self) -> DeadlineAlert | None:
        """When people hear that a run is late, counted from when it was queued: a backfilled night is not."""
        return None if self.late_hours is None else DeadlineAlert(
            DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=self.late_hours),
            AsyncCallback(late, {"book": self.name, "hours": self.late_hours, "zone": self.timezone}), name="late")

    def cron(self, kind: str) -> CronTriggerTimetable | ReplayedCron | None:
        """When the DAG runs by itself. It states its timetable, since Airflow's settings decide what a bare cron is.

        In a replay nothing runs by itself.
        """
        cron = getattr(self, kind)
        if cron is None:
            return None
        timetable = ReplayedCron if os.environ.get("TOLLGATE_TODAY") else CronTriggerTimetable
        return timetable(cron, timezone=self.timezone)


def scheduled() -> list[ScheduledBook]:
    """The books that have DAGs, without those of which the entry is wrong."""
    return [book for book in _read().values() if isinstance(book, ScheduledBook)]


def check() -> None:
    """Raise ``ValueError`` for the wrong entries of `schedules`, which no DAG is made of."""
    if wrong := [f"params.yaml: schedules.{name}: {fault}" for name, fault in _read().items()
                 if not isinstance(fault, ScheduledBook)]:
        raise ValueError(f"{'. '.join(wrong)}. Mend it, docs/params.md lists the keys; other books have their DAGs.")


def _read() -> dict[str, ScheduledBook | str]:
    """What becomes of each entry: a book, or why there is none."""
    found: dict[str, ScheduledBook | str] = {}
    entries = forms.read_params().get("schedules") or {}
    if not isinstance(entries, dict):
        raise ValueError(f"params.yaml: `schedules` must hold one entry a book (got: {entries}). Write `sba: {{}}` "
                         "below it, for example.")
    for name, entry in entries.items():
        try:
            found[name] = ScheduledBook(name=name, **entry)
        except ValidationError as wrong:
            first = wrong.errors()[0]
            found[name] = f"{'.'.join(map(str, first['loc']))}: {first['msg']} (got: {first['input']})"
        except TypeError as wrong:
            found[name] = str(wrong)
    return found
