"""All checks, one after the other; none ends the examination, whatever happens in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tollgate.config import Settings, settings
from tollgate.doctor import configuration, decisions, disk, locations, servers, sharing, versions
from tollgate.doctor.findings import Check, Finding, error, fault, warning
from tollgate.errors import BadInput, PassingFault, TollgateError

log = logging.getLogger(__name__)

# In the order in which a person would mend what they find; docs/doctor.md has a line of each.
CHECKS: Mapping[str, Check] = {
    "settings": configuration.check_settings,
    "params": configuration.check_params,
    "books": configuration.check_books,
    "versions": versions.check_versions,
    "sharing": sharing.check_sharing,
    "disk": disk.check_disk,
    "locations": locations.check_locations,
    "object store": locations.check_object_store,
    "database": servers.check_database,
    "mlflow": servers.check_mlflow,
    "airflow": servers.check_airflow,
    "deployment": decisions.check_deployment,
    "keys": decisions.check_keys,
    "migrations": decisions.check_migrations,
    "ledger": decisions.check_ledger,
    "dvc remote": locations.check_dvc_remote,
}

# What a check reads may be away, of which another check has told already; each would wait for it anew.
AFTER: Mapping[str, tuple[str, ...]] = {
    "deployment": ("object store",), "migrations": ("object store",), "ledger": ("object store",),
    "dvc remote": ("object store",)}


def examine(only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the checks, all of them or those named.

    Nothing is changed but for a probe that is written to each location and taken away again.

    Returns ``{"well", "errors", "warnings", "passing", "findings": [{"check", "level", "found", "remedy",
    "passing"}]}``; ``passing`` says that every error may be gone by itself.

    Raises:
        BadInput: there is no check of such a name.
    """
    if strange := [name for name in only if name not in CHECKS]:
        raise BadInput("There is no such check", value=strange[0], remedy=f"They are: {', '.join(CHECKS)}.")
    here = settings()
    found: list[tuple[str, Finding]] = []
    for name, check in CHECKS.items():
        if only and name not in only:
            continue
        ill = [before for before in AFTER.get(name, ()) if any(of == before and finding.level == "error"
                                                               for of, finding in found)]
        found += [(name, finding) for finding in (_findings(name, check, here) if not ill else [warning(
            f"not looked at: the {ill[0]} is not well", f"Mend what is said of the {ill[0]}, then run this again.")])]
    errors = [finding for _, finding in found if finding.level == "error"]
    return {"well": not errors, "errors": len(errors),
            "warnings": sum(finding.level == "warning" for _, finding in found),
            "passing": bool(errors) and all(finding.passing for finding in errors),
            "findings": [{"check": name, "level": finding.level, "found": finding.found, "remedy": finding.remedy,
                          "passing": finding.passing} for name, finding in found]}


def exit_code(answer: Mapping[str, Any]) -> int:
    """0 when there is no error, 75 when every error may pass, else 2."""
    return 0 if answer["well"] else PassingFault.exit_code if answer["passing"] else BadInput.exit_code


def _findings(name: str, check: Check, here: Settings) -> list[Finding]:
    """What a check found before it ended, however it ended."""
    found: list[Finding] = []
    try:
        for finding in check(here):
            found.append(finding)
    except TollgateError as err:
        found.append(fault(err))
    except Exception as err:
        log.debug("the check %s", name, exc_info=True)
        found.append(error(f"The check itself failed: {type(err).__name__}: {err}".splitlines()[0],
                           "`tollgate --debug doctor` shows where; report it if it is a fault of Tollgate's."))
    return found
