"""Whether what is kept can be written where the settings say, and whether an object store keeps its promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tollgate import lake, registry
from tollgate.config import Settings
from tollgate.doctor import clocks
from tollgate.doctor.findings import Finding, error, fault, ok, warning
from tollgate.doctor.places import bucket_of, is_local, locations, nearest
from tollgate.errors import BadInput, PassingFault, TollgateError

PROBE = ".tollgate-doctor"
REACH_SECONDS = 5
TABLES = ("TOLLGATE_LAKE", "TOLLGATE_LEDGER")  # where each commit stands on a put-if-absent
DECIDED = ("TOLLGATE_LEDGER", "TOLLGATE_LEDGER_ANCHOR")  # what the deciding side alone writes


def check_locations(here: Settings) -> Iterator[Finding]:
    """Write a probe into every folder that is there, and take it away; one that is not there must be makeable."""
    well = []
    for name, place in (("TOLLGATE_DATA", str(here.data)), *locations(here)):
        if not is_local(place):
            continue
        folder = Path(place).absolute()
        above = nearest(folder)
        if not above.is_dir():
            yield error(f"{name} leads through a file (got: {above})", "Name a folder, or move that file away.")
        elif folder.exists():
            try:
                _probe(place)
                well.append(name)
            except TollgateError as err:
                yield error(f"{name} cannot be written to: {err.cause} (got: {place})",
                            "Give this user the right to write there, or name another folder.")
        elif not os.access(above, os.W_OK | os.X_OK):
            yield error(f"{name} is not there and cannot be made in {above} (got: {place})",
                        "Make the folder and give it to this user, or name another.")
        else:
            well.append(f"{name} (made when it is first needed)")
    if well:
        yield ok(f"can be written to: {', '.join(well)}")


def check_object_store(here: Settings) -> Iterator[Finding]:
    """Reach every bucket, compare clocks, write a probe to every location, and prove put-if-absent of the lake's."""
    places = [(name, place) for name, place in locations(here) if not is_local(place) and bucket_of(place)]
    if not places:
        yield ok("no location is on one")
    for bucket in sorted({bucket_of(place) for _, place in places}):
        try:
            yield from _reach(bucket)
        except TollgateError as err:
            yield fault(err)
            continue
        inside = [(name, place) for name, place in places if bucket_of(place) == bucket]
        bad = []
        if read_only := [place for name, place in inside if name in DECIDED and not _decides()]:
            inside = [(name, place) for name, place in inside if place not in read_only]
            yield from map(_others_ledger, read_only)
        for name, place in inside:
            try:
                _probe(place)
            except TollgateError as err:
                bad.append(error(f"{name} cannot be written to: {err.cause} (got: {place})",
                                 "Let the key of AWS_ACCESS_KEY_ID write and delete there."))
        yield from bad
        if not bad and inside:
            yield ok(f"the bucket {bucket} is there, and {', '.join(name for name, _ in inside)} can be written to")
        for name, place in inside if not bad else []:
            if name not in TABLES:
                continue
            try:
                lake.prove_put_if_absent(place)
                yield ok("of several who put one key at once, one wins")
            except TollgateError as err:
                yield fault(err)


def _decides() -> bool:
    """Whether decisions are or may yet be taken here; a key that is wrong is another check's finding."""
    try:
        signs, read_by = registry.check_keys()
    except TollgateError:
        return False
    return signs or not read_by


def _others_ledger(place: str) -> Finding:
    """Whoever does not decide need not write where the ledger is."""
    try:
        _probe(place)
    except TollgateError:
        return ok(f"the ledger at {place} is for those who decide to write")
    return warning(f"No decision is taken here, and the ledger can be written to all the same (got: {place})",
                   "Give this service a key of the object store that may read there alone.")


def _reach(bucket: str) -> Iterator[Finding]:
    """A finding where the clocks differ. Raises ``BadInput`` or ``PassingFault`` where the bucket is not had."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    before = clocks.now()
    try:
        client = boto3.session.Session().client(
            "s3", endpoint_url=endpoint, region_name=os.environ.get("AWS_REGION"),
            config=Config(connect_timeout=REACH_SECONDS, read_timeout=REACH_SECONDS, retries={"total_max_attempts": 1},
                          s3={"addressing_style": "path" if endpoint else "auto"}))
        told = client.head_bucket(Bucket=bucket)["ResponseMetadata"]
    except NoCredentialsError:
        raise BadInput("There are no credentials for the object store", value=f"the bucket {bucket}",
                       remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from None
    except BotoCoreError as err:
        raise PassingFault(f"The object store did not answer: {err}", value=f"the bucket {bucket}",
                           remedy="Check AWS_ENDPOINT_URL, the server and the network.") from err
    except ClientError as err:
        told = err.response["ResponseMetadata"]
        # A clock that is off is one reason for being refused.
        yield from clocks.compare("the object store", told["HTTPHeaders"].get("date"), before, clocks.now())
        raise _refusal(bucket, int(told["HTTPStatusCode"]), endpoint) from err
    yield from clocks.compare("the object store", told["HTTPHeaders"].get("date"), before, clocks.now())


def _refusal(bucket: str, status: int, endpoint: str | None) -> TollgateError:
    if status == 404:
        return BadInput(f"There is no bucket {bucket}", value=endpoint or "AWS",
                        remedy="Make it, or let `tollgate prepare` make it; check AWS_ENDPOINT_URL.")
    if status >= 500:
        return PassingFault("The object store is not well", value=f"status {status} for the bucket {bucket}",
                            remedy="Read its log.")
    return BadInput(f"The bucket {bucket} is not ours to use", value=f"status {status}",
                    remedy="Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, whose bucket it is, and this machine's "
                           "clock.")


def _probe(place: str) -> None:
    store = lake.Store(place)
    try:
        store.write(PROBE, b"")
    finally:
        store.delete(PROBE)


def check_dvc_remote(here: Settings) -> Iterator[Finding]:
    """Whether what runs have pushed is where their records say, and whether the project's own DVC has a remote."""
    runs = {entry.path.split("/")[1] for entry in lake.Store(here.store).list("workspaces")
            if entry.path.endswith("/dvc.lock")}
    there = lake.Store(here.dvc_remote).exists("files")
    if runs and not there:
        yield error(f"The DVC remote is empty or gone, and the records of {len(runs)} training runs name what was "
                    f"pushed to it (got: {here.dvc_remote})",
                    "Correct TOLLGATE_DVC_REMOTE, or bring the remote back from a backup: no run can be taken up or "
                    "made again without it.")
    else:
        yield ok(f"{here.dvc_remote} holds what {len(runs)} runs have pushed" if runs else
                 f"no run has pushed to {here.dvc_remote} yet")
    yield from _own_remote(here.project / ".dvc")


def _own_remote(folder: Path) -> Iterator[Finding]:
    """The remote that ``dvc push`` and ``dvc pull`` take in the project itself."""
    from dvc.config import Config, ConfigError

    if not (folder / "config").is_file():
        yield error(f"The project has no .dvc/config: `dvc repro` does not run (got: {folder})",
                    "Bring it back from the repository, or run `dvc init` and name a remote.")
        return
    try:
        told = Config(str(folder))
    except ConfigError as err:
        yield error(f"DVC cannot read its settings: {err} (got: {folder / 'config'})", "Mend that file.")
        return
    name = told["core"].get("remote")
    if name is None or name not in told["remote"]:
        yield error(f"The project's DVC has no default remote (got: {name or 'none'})",
                    "dvc remote add --default store FOLDER-OR-URL, then dvc remote modify store verify true.")
    elif not told["remote"][name].get("verify"):
        yield warning(f"DVC does not verify what it takes from its remote (got: {name})",
                      f"dvc remote modify {name} verify true: a push that was killed can leave a torn object.")
