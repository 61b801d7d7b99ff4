"""Publications that follow one another: an earlier turn never replaces a later one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from tollgate.config import settings
from tollgate.lake.delta import SEQUENCE, open_or_create, racing
from tollgate.lake.faults import faults_named
from tollgate.lake.schemas import Table
from tollgate.lake.store import Store

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake.transaction import AddAction

Check = Callable[[int | None, int], None]
Files = Callable[[], Iterable[bytes]]


def publish_turn(table: Table, key: str, turn: int, files: Files, *, part: str, where: str, check: Check) -> None:
    """Make the rows of ``files`` what the table holds of ``key``, in one atomic commit that carries the turn; once.

    The turn is the version of an application transaction of the Delta protocol, whose identifier is ``key``. No other
    publication to the table slips in between ``check`` and the commit. The files of a first turn become files of the
    table as they are; what was laid there without a commit is no part of it (see ``delete_strays``).

    Args:
        files: makes them anew at each call, one in memory at a time: Parquet, in the columns of ``table.in_files``.
        part: the partition that all their rows belong to.
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
        turns = CommitProperties(app_transactions=[Transaction(key, turn), Transaction(SEQUENCE, opened.version())])
        with faults_named(table):
            if before is None:
                laid = list(_lay(table, part, files()))
                opened.create_write_transaction([*laid], "append", opened.schema(), [table.partition],
                                                commit_properties=turns)
            else:
                stream = pa.RecordBatchReader.from_batches(table.schema, _rows(table, part, files()))
                write_deltalake(opened, stream, mode="overwrite", predicate=where, commit_properties=turns)

    racing(table, "publish to", attempt)


def _lay(table: Table, part: str, files: Iterable[bytes]) -> Iterator[AddAction]:
    """Write the files into the table's folder, under names of their own; what a commit says of each."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake.transaction import AddAction

    store, folder = Store(settings().lake), f"{table.partition}={quote(part, safe='')}"
    for content in files:
        about = pq.read_metadata(pa.BufferReader(content))
        if about.num_rows:
            name = f"{folder}/part-{uuid4().hex}.parquet"
            store.write(f"{table.book}/{table.name}/{name}", content)
            yield AddAction(path=quote(name, safe="/="), size=len(content), partition_values={table.partition: part},
                            modification_time=int(time.time() * 1000), data_change=True,
                            stats=json.dumps(_statistics(about)))


def _rows(table: Table, part: str, files: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
    """The rows of the files, in the columns of the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for content in files:
        rows = pq.read_table(pa.BufferReader(content))
        rows = rows.append_column(table.partition, pa.repeat(part, rows.num_rows))
        yield from rows.select(table.schema.names).cast(table.schema).to_batches()


def _statistics(about: pq.FileMetaData) -> dict[str, Any]:
    """What Delta's log keeps of a file: its rows, and of each flat column the nulls, the least and the largest value.

    By the statistics in the file's own footer; of a column that has none there, none.
    """
    found: dict[str, Any] = {"numRecords": about.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    groups = [about.row_group(k) for k in range(about.num_row_groups)]
    for place in range(about.num_columns):
        name, told = about.schema.column(place).path, [group.column(place).statistics for group in groups]
        if "." in name or not all(one is not None and one.has_null_count for one in told):
            continue
        found["nullCount"][name] = sum(one.null_count for one in told)
        valued = [one for one in told if one.num_values]
        if valued and all(one.has_min_max and _is_json(one.min) and _is_json(one.max) for one in valued):
            found["minValues"][name] = _json(min(one.min for one in valued))
            found["maxValues"][name] = _json(max(one.max for one in valued))
    return found


def _is_json(value: object) -> bool:
    return isinstance(value, str | int | date) or (isinstance(value, float) and math.isfinite(value))


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
