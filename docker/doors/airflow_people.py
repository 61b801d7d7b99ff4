"""Airflow's roles, and its first three people; run by init.sh with Airflow's own python, after `airflow db migrate`.

The roles are exactly those of roles.json, whatever somebody changed by hand. The first people's names, roles and
passwords are those of .env: who rotates a password changes it there and runs init again. Passwords come from the
environment, so that they are on no command line, and are kept as hashes. Everybody else is the administrator's to add,
under Security in Airflow's menu, and is left alone here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from werkzeug.security import check_password_hash

ROLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("roles.json").read_text(encoding="utf-8"))
FIRST = {"ADMIN": "Admin", "OPERATOR": "Operator", "APPROVER": "Approver"}


def permissions(role: str) -> set[tuple[str, str]]:
    """(action, resource) of everything that a role may do, with those of the role it is like."""
    told = ROLES[role]
    own = {(action, resource) for action, resources in told["may"].items() for resource in resources}
    return own | (permissions(told["like"]) if "like" in told else set())


def from_environment(name: str) -> str:
    """A variable's value. Ends the program when there is none, or it still is the one of .env.example."""
    value = os.environ.get(name, "")
    if value in ("", "replace-me"):
        sys.exit(f"Airflow's first people need {name}, and it is {value or 'not set'!r}: set it in .env.")
    return value


def main() -> None:
    """Make roles and people what they should be; running it again changes nothing."""
    people = {role: (from_environment(f"AIRFLOW_{who}_NAME"), from_environment(f"AIRFLOW_{who}_PASSWORD"))
              for who, role in FIRST.items()}
    if len({name for name, _ in people.values()}) < len(people):
        sys.exit("AIRFLOW_ADMIN_NAME, AIRFLOW_OPERATOR_NAME and AIRFLOW_APPROVER_NAME must name three people: "
                 "a decision must not be by whoever asked for it. Set them in .env.")
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()  # Airflow's own, so that every permission is there to be given
        for role in ROLES:
            kept = manager.add_role(role)
            kept.permissions = [manager.create_permission(*pair) for pair in sorted(permissions(role))]
            manager.update_role(kept.id, role)
        for role, (name, password) in people.items():
            user = manager.find_user(username=name)
            if user is None:
                manager.add_user(name, name, role, f"{name}@tollgate.invalid", manager.find_role(role), password)
                continue
            user.roles, user.active = [manager.find_role(role)], True
            manager.update_user(user)
            if not check_password_hash(user.password, password):
                manager.reset_password(user.id, password)  # ends the sessions that the old one opened
    print(f"Airflow knows the roles {', '.join(ROLES)} and who holds which of them first.")


if __name__ == "__main__":
    main()
