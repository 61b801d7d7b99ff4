"""What several machines share, made ready and marked: whose it is, and which code writes to it.

A deployment is known by its PostgreSQL server, which no two have in common. The record lies in the store, beside what
it speaks of.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tollgate import services
from tollgate.config import EMBEDDED, PROJECT, settings
from tollgate.errors import BadInput, PassingFault

if TYPE_CHECKING:
    from tollgate.lake import Store

RECORD = "deployment.json"
FORMAT_RECORD, FORMAT = "format.json", 1  # of what the store holds; tables, and the ledger as one, tell their own
PROBE = ".tollgate-probe"


def prepare(take_over: bool = False) -> dict[str, Any]:
    """Make ready what the settings name, prove that it can be trusted, and mark it as this deployment's.

    Buckets are made where there are none, every location is written to once, and put-if-absent of the lake's object
    store is proven. Doing it again changes nothing but the code that is noted as the deployment's own.

    Args:
        take_over: whether a store that another deployment marked becomes ours.

    Returns ``{"database", "code", "locations", "buckets_made"}``.

    Raises:
        BadInput: a location is not ours to write to, belongs to another deployment or is of another format, or its
            store breaks its word.
        PassingFault: something did not answer.
    """
    from tollgate import lake, registry

    here = settings()
    places = list(here.locations().values())
    made = [bucket for bucket in sorted({urlsplit(place).netloc for place in places if place.startswith("s3://")})
            if _make_bucket(bucket)]
    for place in places:
        _write_once(place)
    for tables in sorted({here.lake, here.ledger}):
        if tables.startswith("s3://"):
            lake.prove_put_if_absent(tables)
    database, code = _database(here.optuna), registry.code_digest(PROJECT)
    note_format()
    _mark(lake.Store(here.store), database, code, take_over)
    return {"database": database, "code": code, "locations": places, "buckets_made": made}


def check_code() -> None:
    """Raise ``PassingFault`` where other code runs here than the deployment was prepared with.

    A task that failed so is tried again, perhaps by a worker that runs the right one. Where the store is a folder of
    this machine, there is nobody to differ from.
    """
    here = settings()
    if not here.store.startswith("s3://"):
        return
    from tollgate import lake, registry

    store = lake.Store(here.store)
    known = store.read_json(RECORD) if store.exists(RECORD) else None
    if known is not None and known["code"] != (code := registry.code_digest(PROJECT)):
        raise PassingFault("This machine runs other code than the deployment was prepared with",
                           value=f"{code[:12]}, not {known['code'][:12]}",
                           remedy="Give every service the same image, and run tollgate prepare with it.")


def note_format() -> None:
    """Note the format of the store's records where nobody has; raises as ``check_format``."""
    from tollgate.lake import Store

    store = Store(settings().store)
    if store.exists(FORMAT_RECORD) or not store.create(
            FORMAT_RECORD, (json.dumps({"format": FORMAT}) + "\n").encode()):
        _check_format(store)


def check_format() -> None:
    """Raise ``BadInput`` where another Tollgate wrote the records of the store, which this one does not read."""
    from tollgate.lake import Store

    store = Store(settings().store)
    if store.exists(FORMAT_RECORD):
        _check_format(store)


def _check_format(store: Store) -> None:
    if (told := store.read_json(FORMAT_RECORD).get("format")) != FORMAT:
        raise BadInput(f"The records of the store are of format {told}, which another Tollgate wrote",
                       value=f"{store.root}, read as format {FORMAT}",
                       remedy="Install the version of Tollgate that wrote them, or a later one.")


def check_owner() -> bool:
    """Whether machines share the store and it was prepared for this deployment.

    Raises:
        BadInput: it is another deployment's.
        PassingFault: something did not answer.
    """
    here = settings()
    if not here.store.startswith("s3://"):
        return True
    from tollgate.lake import Store

    store = Store(here.store)
    if not store.exists(RECORD):
        return False
    _check_owner(store, store.read_json(RECORD), _database(here.optuna))
    return True


def _make_bucket(name: str) -> bool:
    """Whether the bucket had to be made."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("s3", config=Config(connect_timeout=5, read_timeout=30,
                                                  retries={"total_max_attempts": 3}))
        client.head_bucket(Bucket=name)
        return False
    except BotoCoreError as err:
        raise PassingFault(f"The object store did not answer: {err}", value=name,
                           remedy="Check AWS_ENDPOINT_URL and the network.") from err
    except ClientError as err:
        if err.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise BadInput(f"The bucket {name} is not ours to use: {err}", value=name,
                           remedy="Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and whose bucket it is.") from err
    try:
        client.create_bucket(Bucket=name)
    except ClientError as err:
        raise BadInput(f"There is no bucket {name}, and it cannot be made: {err}", value=name,
                       remedy="Make it, or let the key of AWS_ACCESS_KEY_ID make it.") from err
    return True


def _write_once(place: str) -> None:
    from tollgate.lake import Store

    store = Store(place)
    try:
        store.write(PROBE, b"")
        store.delete(PROBE)
    except BadInput as err:
        raise BadInput(f"{place} cannot be written to: {err.cause}", value=place,
                       remedy="Let the key of AWS_ACCESS_KEY_ID, or this user, write and delete there.") from err


def _database(url: str) -> str:
    """The identifier that PostgreSQL gave itself when it was made."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    if url == EMBEDDED:
        url = services.database("optuna")
    try:
        with create_engine(url, connect_args={"connect_timeout": 10}).connect() as connection:
            return str(connection.execute(text("SELECT system_identifier FROM pg_control_system()")).scalar_one())
    except SQLAlchemyError as err:
        said = str(err).splitlines()[0]
        kind = BadInput if services.locked_out(err) else PassingFault
        raise kind(f"The database refused: {said}", value=url,
                   remedy="Check TOLLGATE_OPTUNA and PGPASSWORD; a volume keeps the password that it was filled "
                          "with.") from err


def _mark(store: Store, database: str, code: str, take_over: bool) -> None:
    """Note the deployment and its code in the store; whoever comes first to an unmarked one has it."""
    ours = {"database": database, "code": code}
    if store.create(RECORD, (json.dumps(ours, sort_keys=True) + "\n").encode()):
        return
    known = store.read_json(RECORD)
    if not take_over:
        _check_owner(store, known, database)
    if known != ours:
        store.write_json(RECORD, ours)


def _check_owner(store: Store, known: dict[str, str], database: str) -> None:
    if known["database"] != database:
        raise BadInput("Another deployment works on this store and lake", value=f"{store.root} of {known['database']}",
                       remedy="Give this one buckets of its own. If the other is gone, or its database was restored "
                              "from a backup: tollgate prepare --take-over.")
