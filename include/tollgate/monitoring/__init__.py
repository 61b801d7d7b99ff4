"""Monitoring: drift, performance, alerts, the verdict and the report."""

from typing import TYPE_CHECKING

from tollgate.lazily import found_in
from tollgate.monitoring.board import board_page
from tollgate.monitoring.events import acknowledge, alerts, life

if TYPE_CHECKING:
    from tollgate.monitoring.feeds import feed_step
    from tollgate.monitoring.guard import guard_step
    from tollgate.monitoring.metrics import write_metrics
    from tollgate.monitoring.paired import GUARD
    from tollgate.monitoring.report import night_page, report_step
    from tollgate.monitoring.steps import drift_step, performance_step
    from tollgate.monitoring.telling import note_told, untold
    from tollgate.monitoring.verdict import verdict_step, verdicts

# Whoever opens the Board waits for nothing that measures.
__getattr__ = found_in(__name__, "telling", "steps", "feeds", "verdict", "guard", "report", "metrics",
                       "paired")

__all__ = [
    "GUARD", "acknowledge", "alerts", "board_page", "drift_step", "feed_step", "guard_step", "life", "night_page",
    "note_told", "performance_step", "report_step", "untold", "verdict_step", "verdicts", "write_metrics",
]
