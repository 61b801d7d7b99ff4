"""Locks of a PostgreSQL that many machines share: one whose holder was killed is free again at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def alone(url: str, what: str) -> Iterator[None]:
    """Hold a lock of the database at ``url`` that is known by ``what``; a killed holder's is free at once.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    from sqlalchemy import text

    with session(url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:what))"), {"what": what})
        yield


@contextmanager
def claim(connection: Connection, what: str, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock that is known by ``what`` was had: at once, or with ``wait`` when its holder lets go or dies.

    Args:
        connection: of ``session``; the lock ends with it.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    from sqlalchemy import text

    if wait:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:what))"), {"what": what})
    had = wait or bool(connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:what))"), {"what": what}))
    try:
        yield had
    finally:
        if had:
            connection.execute(text("SELECT pg_advisory_unlock(hashtext(:what))"), {"what": what})


@contextmanager
def session(url: str) -> Iterator[Connection]:
    """A connection of its own, each statement for itself, whose locks end with it.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        # The lock of a machine that lost its power is free within a minute, and not with the system's two hours.
        connection.execute(text("SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; "
                                "SET tcp_keepalives_count = 3"))
        yield connection


def locked_out(err: Exception) -> bool:
    """Whether a database's error says that it did not accept the user or the password."""
    return any(sign in str(err) for sign in ("authentication failed", "no password supplied"))
