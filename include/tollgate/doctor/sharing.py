"""Whether several machines share what they should, and nothing that they should not, as far as settings tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tollgate.config import EMBEDDED, Settings
from tollgate.doctor.findings import Finding, error, ok, warning
from tollgate.doctor.places import bucket_of, is_local, locations, nearest

EXECUTOR = "AIRFLOW__CORE__EXECUTOR"
ONE_MACHINE = ("", "LocalExecutor", "SequentialExecutor")
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "glusterfs", "ceph", "lustre", "beegfs", "gpfs", "afs",
           "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.juicefs"}


def check_sharing(here: Settings) -> Iterator[Finding]:
    """Local state of several workers; a network disk under what is one machine's own; one folder for two purposes."""
    found = [*_not_shared(here), *_on_network_disk(here), *_within_each_other(here), *_anchor_beside_lake(here)]
    yield from found
    if not found:
        yield ok("several machines share every location" if _workers() or not is_local(here.lake) else
                 "one machine: nothing has to be shared")


def _workers() -> bool:
    """Whether Airflow hands tasks to workers that may be on several machines."""
    return os.environ.get(EXECUTOR, "") not in ONE_MACHINE


def _not_shared(here: Settings) -> Iterator[Finding]:
    """Errors where Airflow has workers; warnings where a lake on S3 alone suggests that another machine will come."""
    if not _workers() and is_local(here.lake):
        return
    say = error if _workers() else warning
    why = f"{EXECUTOR} is {os.environ[EXECUTOR]}" if _workers() else f"TOLLGATE_LAKE is {here.lake}"
    local = [f"{name} {place}" for name, place in locations(here) if is_local(place)]
    if local:
        yield say(f"Several machines would not share these folders: {', '.join(local)} ({why})",
                  "Set each to s3://…, which all of them reach; docs/operating.md has a topology.")
    for name, value in (("TOLLGATE_MLFLOW", here.mlflow), ("TOLLGATE_OPTUNA", here.optuna)):
        if value == EMBEDDED:
            yield say(f"{name} is embedded, and each of several machines would start a database of its own ({why})",
                      "Name one server for all.")
    if here.ledger_key == EMBEDDED and not here.ledger_public_keys:
        yield say("TOLLGATE_LEDGER_PUBLIC_KEYS is not set: each of several machines would make a key of its own, and "
                  f"none would believe another's decisions ({why})",
                  "Make one key, give it to the deciding worker alone and its public key to all: docs/ledger.md.")


def _on_network_disk(here: Settings) -> Iterator[Finding]:
    """The embedded database and the workspaces' locks are promises of one machine's kernel."""
    kind = _file_system(nearest(here.data))
    if kind in NETWORK:
        yield error(f"TOLLGATE_DATA is on a network disk, where two workers would change one workspace at once "
                    f"(got: {here.data}, {kind})",
                    "Give every worker a data folder on a disk of its own; what they share is in the other locations.")


def _file_system(path: Path) -> str:
    import psutil

    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[str(above)] for above in (path, *path.parents) if str(above) in mounts), "")


def _within_each_other(here: Settings) -> Iterator[Finding]:
    places = [(name, place.rstrip("/")) for name, place in locations(here)]
    for number, (name, place) in enumerate(places):
        for other, its in places[number + 1:]:
            if place == its:
                yield error(f"{name} and {other} are one place (got: {place})", "Give each a folder of its own.")
            elif f"{its}/".startswith(f"{place}/") or f"{place}/".startswith(f"{its}/"):
                yield error(f"{name} and {other} lie within each other (got: {place} and {its})",
                            "Give each a folder of its own, beside the other.")


def _anchor_beside_lake(here: Settings) -> Iterator[Finding]:
    anchor = here.ledger_anchor
    if anchor.startswith("s3://") and here.lake.startswith("s3://") and bucket_of(anchor) == bucket_of(here.lake):
        yield warning(f"The ledger's head is kept in the bucket of the lake itself (got: {anchor})",
                      "Put TOLLGATE_LEDGER_ANCHOR where whoever writes the lake cannot write.")

