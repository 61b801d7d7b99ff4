"""Reading and atomically changing Delta tables, on a local folder or on S3 alike.

Every write is one optimistic commit: whoever loses a race reads again and recomputes, so that the table holds
one whole result however many writers raced.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.lake.disk import Pile, scratch
from tollgate.lake.schemas import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.fs import SubTreeFileSystem

RACES_LOST_AT_MOST = 50
SEQUENCE = "tollgate.sequence"
KEPT = {"delta.enableExpiredLogCleanup": "false"}  # else the versions that runs have pinned are forgotten in 30 days
INCOMPLETE = ("Expected contiguous commit files", "No table metadata or protocol found")  # deltalake of a Delta log
T = TypeVar("T")


def _location(table: Table) -> str:
    return f"{settings().lake.rstrip('/')}/{table.book}/{table.name}"


def _options() -> dict[str, str]:
    """Object-store options that deltalake does not take from the environment by itself.

    A server that is away is given up on in seconds (its own default is three minutes): the caller's retry knows more.
    """
    if "://" not in settings().lake:
        return {}
    patience = {"connect_timeout": "5s", "max_retries": "4", "retry_timeout": "20s"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    http = {"aws_endpoint": endpoint, "aws_allow_http": "true"} if endpoint.startswith("http://") else {}
    return {**patience, **http}


@contextmanager
def _faults_named(table: Table, at: int | None = None) -> Iterator[None]:
    """Turn the storage layer's errors into ours: a lake that does not answer is a passing fault.

    A file that is not there is no passing fault: it was removed, or vacuumed where a version is asked for by number.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (FileNotFoundError, DeltaError) as err:
        if "Json error" in str(err):
            raise _torn(table, err) from err
        if at is not None:
            raise BadInput(f"Version {at} of the table {table.book}/{table.name} is no longer in the lake: "
                           f"{_first_line(err)}", value=_location(table),
                           remedy="Restore its files; Delta's vacuum removes those of older versions.") from err
        if isinstance(err, FileNotFoundError) or any(said in str(err) for said in INCOMPLETE):
            raise _torn(table, err, "missing") from err
        raise PassingFault(f"The table {table.book}/{table.name} could not be read or written: {_first_line(err)}",
                           value=_location(table), remedy="Check that the folder is a Delta table.") from err
    except OSError as err:
        if "The operation lacked" in str(err):  # object_store's words for 401 and 403
            raise BadInput(f"The lake refused access to {table.book}/{table.name}: {_first_line(err)}",
                           value=_location(table), remedy="Check the credentials of the lake.") from err
        raise PassingFault(f"The lake did not answer for {table.book}/{table.name}: {_first_line(err)}",
                           value=_location(table), remedy="Check TOLLGATE_LAKE, the disk and the network.") from err


def _torn(table: Table, err: Exception, how: str = "torn") -> BadInput:
    return BadInput(f"A file of the table {table.book}/{table.name} is {how}: {_first_line(err)[:300]}",
                    value=_location(table), remedy="Restore that file from a backup.")


def _first_line(err: BaseException) -> str:
    """The fault in one line: what deltalake says first, and the root cause that it draws as the last arrow."""
    plain = re.sub(r"\x1b\[\d*m", "", str(err))
    said = [part.strip().splitlines()[0] for part in plain.split("\u21b3") if part.strip()]
    causes = [part for part in dict.fromkeys(said[:1] + said[-1:]) if not part.startswith("<")]
    return ": ".join(causes).removeprefix("Kernel error -> ") or type(err).__name__


def _open(table: Table, at: int | None = None) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    with _faults_named(table, at):
        try:
            return DeltaTable(_location(table), version=at, storage_options=_options())
        except TableNotFoundError as err:
            if at is None or _open(table) is None:
                return None
            raise DeltaError(str(err)) from err  # also said of a log that no longer reaches back so far


def _open_or_create(table: Table) -> DeltaTable:
    from deltalake import DeltaTable

    opened = _open(table)
    if opened is None:
        with _faults_named(table):
            opened = DeltaTable.create(_location(table), schema=table.schema, partition_by=[table.partition],
                                       mode="ignore", storage_options=_options(), configuration=KEPT)
    return opened


def partitions(table: Table) -> list[str]:
    """The values of the partition column that have rows, sorted; told by the log alone, no data is read."""
    opened = _open(table)
    return [] if opened is None else sorted(str(part[table.partition]) for part in opened.partitions())


def version(table: Table) -> int:
    """The Delta version of the table now; -1 when it was never written."""
    opened = _open(table)
    return -1 if opened is None else opened.version()


def read(table: Table, *, as_of: date | None = None, columns: Sequence[str] | None = None,
         filters: Sequence[tuple[str, str, Any]] = (), at: int | None = None) -> pa.Table:
    """Rows of a table in its order, as they were known before ``as_of``.

    Args:
        as_of: keep rows whose ``table.known`` date lies before it; all rows when None.
        columns: which columns; all when None.
        filters: ``(column, operator, value)`` triples, all of which must hold (``pyarrow`` filter syntax).
        at: the Delta version to read; the newest when None. ``BadInput`` when its files are gone.

    Returns an empty table with the right schema when the table was never written.
    """
    opened = _open(table, at)
    keep = [*filters]
    if as_of is not None:
        if table.known is None:
            raise ValueError(f"{table.name} rows carry no date on which they became known")
        keep.append((table.known, "<", as_of))
    wanted = list(columns) if columns is not None else table.schema.names
    if opened is None:
        import pyarrow as pa

        return pa.Table.from_batches([], table.schema).select(wanted)  # schema.empty_table() would load pandas
    return _rows(opened, table, keep, wanted, at)


def copy(table: Table, root: str, *, as_of: date, at: int | None) -> None:
    """Write what ``read(table, as_of=as_of, at=at)`` gives as the same table of a new lake at ``root``."""
    from deltalake import write_deltalake

    write_deltalake(f"{root}/{table.book}/{table.name}", read(table, as_of=as_of, at=at),
                    partition_by=[table.partition])


def batches(table: Table, *, columns: Sequence[str], partitions: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The rows of some partitions, one partition after the other, or all rows in any order; never held together."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    opened = _open(table)
    if opened is None or partitions == []:
        return
    filters = [None] if partitions is None else [ds.field(table.partition) == value for value in partitions]
    with _faults_named(table):
        within = None if partitions is None else [(table.partition, "in", list(partitions))]
        rows = opened.to_pyarrow_dataset(filesystem=_local_files(table), file_pruning_predicate=within)
        for keep in filters:
            for batch in rows.to_batches(columns=list(columns), filter=keep, batch_readahead=2, fragment_readahead=2):
                if batch.num_rows:
                    yield _as(table, pa.Table.from_batches([batch]), columns)


def _rows(opened: DeltaTable, table: Table, keep: list[tuple[str, str, Any]], wanted: list[str],
          at: int | None = None) -> pa.Table:
    import pyarrow as pa

    order = list(dict.fromkeys([*table.order, table.partition]))  # an order may repeat across partitions
    with _faults_named(table, at):
        try:
            rows = opened.to_pyarrow_table(columns=list(dict.fromkeys([*wanted, *order])), filters=keep or None,
                                           filesystem=_local_files(table))
        except pa.ArrowInvalid as err:
            raise _torn(table, err) from err
    return _as(table, rows.sort_by([(name, "ascending") for name in order]), wanted)


def _local_files(table: Table) -> SubTreeFileSystem | None:
    """Arrow's own reader of local files; None leaves an object store to deltalake.

    deltalake's reader is called from Arrow's threads into Python; one that is still at it when the interpreter ends
    aborts the process ("terminate called without an active exception") about once in ten.
    """
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    location = _location(table)
    return None if "://" in location else SubTreeFileSystem(location, LocalFileSystem())


def _as(table: Table, rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """``rows`` with exactly the schema's types, in the order of ``names``."""
    import pyarrow as pa

    return rows.select(list(names)).cast(pa.schema([table.schema.field(name) for name in names]))


def change_partitions(table: Table, partitions: Sequence[str],
                      change: Callable[[pa.Table], pa.Table]) -> int:
    """Replace the named partitions by ``change(their rows now)``, in one atomic commit.

    ``change`` is called again with the newer rows whenever another writer got there first, so it must be pure.
    Every row it returns must belong to one of ``partitions``. Returns the new Delta version.

    Raises:
        PassingFault: the lake did not answer, or too many races were lost.
    """
    from deltalake import write_deltalake

    wanted = sorted(set(partitions))

    def attempt() -> int:
        opened = _open_or_create(table)
        rows = _rows(opened, table, [(table.partition, "in", wanted)], table.schema.names)
        new = _as(table, change(rows), table.schema.names).sort_by(
            [(name, "ascending") for name in (table.partition, *table.order)])
        strays = set(new[table.partition].unique().to_pylist()) - set(wanted)
        if strays:
            raise ValueError(f"rows of {sorted(strays)} were given for the partitions {wanted}")
        if new.equals(rows.sort_by([(name, "ascending") for name in (table.partition, *table.order)])):
            return opened.version()
        with _faults_named(table):
            write_deltalake(opened, new, mode="overwrite", predicate=_within(table, wanted))
        return opened.version()

    return _racing(table, "write", attempt)


def _within(table: Table, partitions: Sequence[str]) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in partitions)
    return f"{table.partition} IN ({quoted})"


def _racing(table: Table, what: str, attempt: Callable[[], T]) -> T:
    """Attempt it until no other writer gets there first."""
    from deltalake.exceptions import CommitFailedError
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

    try:
        return retry(retry=retry_if_exception_type(CommitFailedError), stop=stop_after_attempt(RACES_LOST_AT_MOST),
                     wait=wait_random(0, 0.2), reraise=True)(attempt)()
    except CommitFailedError as err:
        raise PassingFault(f"Lost {RACES_LOST_AT_MOST} races in a row to {what} {table.book}/{table.name}",
                           value=table.name, remedy="Run it again when fewer writers are at work.") from err


def replace_partitions(table: Table, rows: pa.Table, partitions: Sequence[str]) -> int:
    """Replace the named partitions by ``rows``, in one atomic commit. Returns the new Delta version."""
    return change_partitions(table, partitions, lambda _: rows)


def replace_partition(table: Table, name: str, rows: Pile) -> int:
    """Replace one partition by that of ``rows``, in one atomic commit, a batch in memory at a time; see ``upsert``."""
    from deltalake import write_deltalake

    def attempt() -> int:
        import pyarrow as pa

        opened = _open_or_create(table)
        stream = pa.RecordBatchReader.from_batches(table.schema, rows.batches(name))
        with _faults_named(table):
            write_deltalake(opened, stream, mode="overwrite", predicate=_within(table, [name]))
        return opened.version()

    return _racing(table, "write", attempt)


def upsert(table: Table, rows: Mapping[str, pa.Table]) -> int:
    """Put rows into the table by key (``table.order``), in one atomic commit.

    A row that the table holds under the key of a new one makes room for it, in whatever partition it stands. One
    partition after the other is in memory, so that ``rows`` may be a ``Pile``; partitions that stay as they are, are
    not written. Two upserts of one table never overlap: the later reads again what the first has left.

    Args:
        rows: by partition, in the table's columns, no key twice.

    Returns the new Delta version; the old one when nothing changes.

    Raises:
        PassingFault: the lake did not answer, the disk is full, or too many races were lost.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    key = list(table.order)

    def attempt() -> int:
        import pyarrow as pa

        opened = _open_or_create(table)
        leaving = _moved(opened, table, rows)
        changed = []
        with scratch() as disk:
            pile = Pile(disk, table.schema, table.partition)
            for name in sorted({*rows, *leaving}):
                now = _rows(opened, table, [(table.partition, "=", name)], table.schema.names)
                new = _as(table, rows[name] if name in rows else now.slice(0, 0), table.schema.names)
                gone = pa.concat_tables([new.select(key), leaving.get(name, new.select(key).slice(0, 0))])
                kept = now.join(gone, keys=key, join_type="left anti") if now.num_rows else now
                whole = pa.concat_tables([_as(table, kept, table.schema.names), new]).sort_by(
                    [(column, "ascending") for column in key])
                if not whole.equals(now):
                    changed.append(name)
                    pile.add(whole)
            if not changed:
                return opened.version()
            stream = pa.RecordBatchReader.from_batches(table.schema, (b for name in pile for b in pile.batches(name)))
            with _faults_named(table):
                write_deltalake(opened, stream, mode="overwrite", predicate=_within(table, changed),
                                commit_properties=CommitProperties(
                                    app_transactions=[Transaction(SEQUENCE, opened.version())]))
        return opened.version()

    return _racing(table, "write", attempt)


def _moved(opened: DeltaTable, table: Table, rows: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The keys of ``rows`` that the table holds in another partition than theirs, by that partition."""
    import pyarrow as pa

    if table.known in table.order or not opened.partitions():  # the day in a key tells its partition
        return {}
    import duckdb

    columns = [table.partition, *table.order]
    schema = pa.schema([table.schema.field(name) for name in columns])
    arriving = pa.RecordBatchReader.from_batches(
        schema, (batch for name in rows for batch in rows[name].select(columns).to_batches()))
    with _faults_named(table), duckdb.connect() as connection:
        connection.register("held", opened.to_pyarrow_dataset(filesystem=_local_files(table)).scanner(columns=columns))
        connection.register("arriving", arriving)
        found = connection.sql(f"""
            SELECT DISTINCT {", ".join(f"held.{name}" for name in columns)} FROM held
            JOIN arriving USING ({", ".join(table.order)}) WHERE held.{table.partition} <> arriving.{table.partition}
        """).to_arrow_table()
    names = found[table.partition].unique().to_pylist()
    return {name: found.filter(pa.compute.equal(found[table.partition], name)).select(list(table.order)).cast(
        pa.schema([table.schema.field(column) for column in table.order])) for name in names}


def append_next(table: Table, make: Callable[[pa.Table], pa.Table | None],
                filters: Sequence[tuple[str, str, Any]] = ()) -> pa.Table | None:
    """Append ``make(all rows so far)`` so that no other append and no upsert can slip in between.

    ``make`` sees every row, or those that ``filters`` (as of ``read``) let through, in order of ``table.order``, and
    returns the rows to add, or None to add nothing; it is called again after a lost race. Returns what was appended.

    Raises:
        PassingFault: the lake did not answer, or too many races were lost.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    def attempt() -> pa.Table | None:
        opened = _open_or_create(table)
        rows = make(_rows(opened, table, [*filters], table.schema.names))
        if rows is None or rows.num_rows == 0:
            return None
        rows = _as(table, rows, table.schema.names)
        # Two commits that carry the same application transaction conflict by the Delta protocol; a plain
        # append never does.
        turn = CommitProperties(app_transactions=[Transaction(SEQUENCE, opened.version())])
        with _faults_named(table):
            write_deltalake(opened, rows, mode="append", commit_properties=turn)
        return rows

    return _racing(table, "append to", attempt)


def digest(rows: pa.Table) -> str:
    """SHA-256 over the rows' Arrow stream, one chunk a column: equal rows in equal order, equal digest."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    whole = rows.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, whole.schema) as stream:
        stream.write_table(whole)
    return hashlib.sha256(sink.getvalue()).hexdigest()
