"""Where the answers of sweeps are kept: a table of the PostgreSQL that every worker shares, on whatever machine.

A table of Optuna's takes a dozen statements for one answer, which on a small book is more work than the fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Double, Integer, MetaData, Table, Text, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import InterfaceError, OperationalError, PendingRollbackError

from tollgate import services
from tollgate.config import EMBEDDED, settings
from tollgate.errors import BadInput, PassingFault
from tollgate.training.course import Answer

KINDS = ("postgresql://", "postgresql+psycopg2://")
ANSWERS = Table("sweep_answers", MetaData(), Column("study", Text, primary_key=True),
                Column("point", Integer, primary_key=True), Column("budget", Integer, primary_key=True),
                Column("auc", Double), Column("rounds", Integer, nullable=False))


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
def session() -> Iterator[Connection]:
    """A connection of one worker to the database of sweeps.

    Raises:
        BadInput: the database does not let us in.
        PassingFault: it does not answer, or went away meanwhile.
    """
    url = address()
    try:
        with services.session(url) as connection:
            # An answer that a crash of the server takes with it is climbed for again: no worker waits for its disk.
            connection.execute(text("SET synchronous_commit = off"))
            yield connection
    except (OperationalError, InterfaceError, PendingRollbackError) as err:
        said = str(err).splitlines()[0]
        if services.locked_out(err):
            raise BadInput(f"The sweep's database did not let us in: {said}", value=url.rpartition("@")[2],
                           remedy="Check the user in TOLLGATE_OPTUNA and the password in its pgpass file.") from err
        raise PassingFault(f"The sweep's database did not answer: {said}", value=url.rpartition("@")[2],
                           remedy="Check TOLLGATE_OPTUNA and the server behind it.") from err


def prepare() -> None:
    """Make the table, if nobody has. Raises as ``session`` does."""
    with session() as connection, services.claim(connection, "tollgate's sweeps", wait=True):
        ANSWERS.create(connection, checkfirst=True)


def read(connection: Connection, study: str) -> dict[tuple[int, int], Answer]:
    """What was scored in a study so far, by point and budget."""
    rows = connection.execute(select(ANSWERS).where(ANSWERS.c.study == study))
    return {(row.point, row.budget): Answer(row.auc, row.rounds) for row in rows}


def write(connection: Connection, study: str, point: int, budget: int, answer: Answer) -> None:
    """Tell what a point scored; two that scored one point scored the same, and the first is kept."""
    connection.execute(insert(ANSWERS).on_conflict_do_nothing().values(
        study=study, point=point, budget=budget, auc=answer.auc, rounds=answer.rounds))
