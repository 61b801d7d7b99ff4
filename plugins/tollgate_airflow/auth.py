"""Who may do what in the grown-up topology: Flask-AppBuilder's roles, with approving apart from running."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager


class TollgateAuthManager(FabAuthManager):
    """FAB's manager, for which whoever answers a question need not be allowed to edit the DAG that asks.

    FAB lets nobody write below a DAG without *can edit* on DAGs, and that alone pauses and unpauses: an approver would
    start every schedule that an operator has stopped.
    """

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: DagAccessEntity | None = None,
                          details: Any = None) -> bool:
        """Whether ``user`` may; an answer needs *can edit* on HITL Detail and the sight of the DAG."""
        if (method, access_entity) != ("PUT", DagAccessEntity.HITL_DETAIL):
            return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
        return (self.is_authorized_custom_view(method="PUT", resource_name="HITL Detail", user=user)
                and super().is_authorized_dag(method="GET", user=user, details=details))
