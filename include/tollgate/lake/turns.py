"""Publications that follow one another: an earlier turn never replaces a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tollgate.lake.delta import SEQUENCE, open_or_create, racing
from tollgate.lake.faults import faults_named
from tollgate.lake.schemas import Table

if TYPE_CHECKING:
    import pyarrow as pa

Check = Callable[[int | None, int], None]


def publish_turn(table: Table, key: str, turn: int, rows: Callable[[], Iterable[pa.RecordBatch]], *, where: str,
                 check: Check) -> None:
    """Make ``rows`` what the table holds of ``key``, in one atomic commit that carries the turn; once, if run again.

    The turn is the version of an application transaction of the Delta protocol, whose identifier is ``key``. No other
    publication to the table slips in between ``check`` and the commit.

    Args:
        rows: makes them anew at each call, a batch in memory at a time, in the columns of the table.
        where: SQL that holds of what an earlier turn published, and of nothing else.
        check: is told the turn that is published (None before the first) and the Delta version that shows it, and may
            raise; it is asked again after a lost race.

    Raises:
        PassingFault: the lake did not answer, the disk is full, or too many races were lost.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    def attempt() -> None:
        import pyarrow as pa

        opened = open_or_create(table)
        before = opened.transaction_version(key)
        if before == turn:
            return
        check(before, opened.version())
        stream = pa.RecordBatchReader.from_batches(table.schema, rows())
        turns = CommitProperties(app_transactions=[Transaction(key, turn), Transaction(SEQUENCE, opened.version())])
        with faults_named(table):
            if before is None:
                write_deltalake(opened, stream, mode="append", commit_properties=turns)
            else:
                write_deltalake(opened, stream, mode="overwrite", predicate=where, commit_properties=turns)

    racing(table, "publish to", attempt)
