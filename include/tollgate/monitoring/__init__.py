"""Monitoring: drift, performance, alerts, the verdict, retrain requests and the report."""

from tollgate.monitoring.report import report_step
from tollgate.monitoring.requests import ask, claim, close, open_requests
from tollgate.monitoring.steps import drift_step, performance_step
from tollgate.monitoring.verdict import verdict_step, verdicts

__all__ = [
    "ask", "claim", "close", "drift_step", "open_requests", "performance_step", "report_step", "verdict_step",
    "verdicts",
]
