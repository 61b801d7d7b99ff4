"""The buttons on a task instance's page, from which a person goes on to what was made there."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink

from tollgate_airflow import forms


class GateReport(BaseOperatorLink):
    """The gate report of the task's own run, also where the model was refused and MLflow has no version of it."""

    name = "Gate report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Where the Model Board serves it."""
        run = operator.render_template(forms.RUN, {"ti": ti_key, "run_id": ti_key.run_id})
        return f"/tollgate/runs/{run}/gates"


class ModelCard(BaseOperatorLink):
    """The card of the version that a task asks about."""

    name = "Model card"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Where the Model Board serves it."""
        return f"/tollgate/{operator.book}/card/{operator.version}"
