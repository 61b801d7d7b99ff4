"""The schedule of a replayed world, whose days are not those of the machine's clock."""

from __future__ import annotations

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable


class ReplayedCron(CronTriggerTimetable):
    """A cron whose nights a backfill may ask for, and of which none begins by itself.

    The scheduler asks for the next run without an end, which would be one of today's date.
    """

    def next_dagrun_info(self, *, last_automated_data_interval: DataInterval | None,
                         restriction: TimeRestriction) -> DagRunInfo | None:
        """The next run up to the end that a backfill names; None where nobody names one."""
        if restriction.latest is None:
            return None
        return super().next_dagrun_info(last_automated_data_interval=last_automated_data_interval,
                                        restriction=restriction)
