"""Where the studies of sweeps are kept: in a PostgreSQL that every worker shares, on whatever machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage

from tollgate import services
from tollgate.config import EMBEDDED, settings
from tollgate.errors import BadInput

KINDS = ("postgresql://", "postgresql+psycopg2://")


def address() -> str:
    """The database of ``TOLLGATE_OPTUNA``, or the embedded one, which runs when this returns.

    Raises:
        BadInput: it is no PostgreSQL.
        PassingFault: the embedded database did not start.
    """
    where = settings().optuna
    if where == EMBEDDED:
        return services.database("optuna")
    if not where.startswith(KINDS):
        raise BadInput("TOLLGATE_OPTUNA must be a PostgreSQL database", value=where.rpartition("@")[2],
                       remedy="Write postgresql+psycopg2://…, or leave it unset for the embedded one.")
    return where


@contextmanager
def alone() -> Iterator[BaseStorage]:
    """The storage, with nobody else in here: Optuna's tables and the studies are made once.

    Raises:
        StorageInternalError: the database does not answer.
        BadInput: it does not let us in.
    """
    from sqlalchemy.exc import SQLAlchemyError

    url = address()
    try:
        with services.alone(url, "tollgate's sweeps"):
            # A connection that the server has closed since is found out before it is used. An answer that a crash of
            # the server takes with it is climbed for again: no worker waits for its disk.
            yield RDBStorage(url, engine_kwargs={"pool_pre_ping": True,
                                                 "connect_args": {"options": "-c synchronous_commit=off"}})
    except SQLAlchemyError as err:
        if services.locked_out(err):
            raise BadInput(f"The sweep's database did not let us in: {str(err).splitlines()[0]}",
                           value=url.rpartition("@")[2],
                           remedy="Check the user in TOLLGATE_OPTUNA and the password in its pgpass file.") from err
        raise StorageInternalError(str(err)) from err


@contextmanager
def claims() -> Iterator[services.Claim]:
    """A way to claim what nobody else is to do meanwhile; what a killed claimant had is free again."""
    with services.claims(address()) as claim:
        yield claim
