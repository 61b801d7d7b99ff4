"""Monitoring: drift, performance, alerts, the verdict and the report."""

from tollgate.monitoring.events import acknowledge, alerts, life
from tollgate.monitoring.report import report_step
from tollgate.monitoring.steps import drift_step, performance_step
from tollgate.monitoring.verdict import verdict_step, verdicts

__all__ = ["acknowledge", "alerts", "drift_step", "life", "performance_step", "report_step", "verdict_step", "verdicts"]
