"""Locks of a PostgreSQL that many machines share: one whose holder was killed is free again at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Claim(Protocol):
    """Asks for a lock."""

    def __call__(self, what: str, *, wait: bool = False) -> AbstractContextManager[bool]:
        """Whether it was had: at once, or with ``wait`` as soon as its holder lets it go or dies."""


@contextmanager
def alone(url: str, what: str) -> Iterator[None]:
    """Hold a lock of the database at ``url`` that is known by ``what``; a killed holder's is free at once.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    from sqlalchemy import text

    with _session(url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:what))"), {"what": what})
        yield


@contextmanager
def claims(url: str) -> Iterator[Claim]:
    """A way to ask for such locks, one at a time: ``with claim(what) as had``.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    from sqlalchemy import text

    with _session(url) as connection:
        # The lock of a machine that lost its power is free within a minute, and not with the system's two hours.
        connection.execute(text("SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; "
                                "SET tcp_keepalives_count = 3"))

        @contextmanager
        def claim(what: str, *, wait: bool = False) -> Iterator[bool]:
            if wait:
                connection.execute(text("SELECT pg_advisory_lock(hashtext(:what))"), {"what": what})
            had = wait or bool(connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:what))"), {"what": what}))
            try:
                yield had
            finally:
                if had:
                    connection.execute(text("SELECT pg_advisory_unlock(hashtext(:what))"), {"what": what})

        yield claim


@contextmanager
def _session(url: str) -> Iterator[Connection]:
    """A connection of its own, whose locks end with it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


def locked_out(err: Exception) -> bool:
    """Whether a database's error says that it did not accept the user or the password."""
    return any(sign in str(err) for sign in ("authentication failed", "no password supplied"))
