"""Reading and atomically changing Delta tables, on a local folder or on S3 alike.

Every write is one optimistic commit: whoever loses a race reads again and recomputes, so that the table holds
one whole result however many writers raced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from tollgate.errors import BadInput, PassingFault
from tollgate.lake.contention import prove_put_if_absent
from tollgate.lake.disk import PartitionedRows
from tollgate.lake.faults import faults_named, location, root, storage_options, unreadable_file
from tollgate.lake.schemas import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.fs import SubTreeFileSystem

RACES_LOST_AT_MOST = 50
SEQUENCE = "tollgate.sequence"
FORMAT = "tollgate.format"  # of a table that does not tell it is the first
KEPT = {"delta.enableExpiredLogCleanup": "false",  # else the versions that runs have pinned are forgotten in 30 days
        FORMAT: "1"}
T = TypeVar("T")


def open_table(table: Table, at: int | None = None) -> DeltaTable | None:
    """The Delta table, or None when it was never written; ``BadInput`` for one that lacks columns of ours."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    with faults_named(table, at):
        try:
            opened = DeltaTable(location(table), version=at, storage_options=storage_options())
            _check_format(table, opened, at)
            return opened
        except TableNotFoundError as err:
            if at is None or open_table(table) is None:
                return None
            raise DeltaError(str(err)) from err  # also said of a log that no longer reaches back so far


def _check_format(table: Table, opened: DeltaTable, at: int | None) -> None:
    """Raise ``BadInput`` for a table whose columns are not what is read of it: half of it would be, or another."""
    _check_number(table, opened, at)
    held = {field.name: _kind(field.type) for field in opened.schema().fields}
    which = _which(at)
    lacking = [name for name in table.names if name not in held]
    if lacking:
        raise BadInput(f"{which} {table.book}/{table.name} lacks the columns {', '.join(lacking)}: an older Tollgate "
                       "wrote it", value=location(table),
                       remedy=f"tollgate ingest migrate {table.book} brings the table up to date; a run that pinned an "
                              "older version of it must be opened anew. If another program changed the table, restore "
                              "the version before.")
    other = [f"{name} is {held[name]}, not {kind}" for name, of in table.columns
             if (kind := _KINDS.get(of)) and held[name] != kind]
    if other:
        raise BadInput(f"The columns of {which[0].lower()}{which[1:]} {table.book}/{table.name} have another type than "
                       f"the book gives them: {', '.join(other)}", value=location(table),
                       remedy="If the book changed, give the column of another type a new name. If another program "
                              "wrote the table, restore the version before.")


def _check_number(table: Table, opened: DeltaTable, at: int | None = None) -> None:
    """Raise ``BadInput`` for a table that tells of another format than ours: another Tollgate knows what it holds."""
    if (form := opened.metadata().configuration.get(FORMAT, KEPT[FORMAT])) != KEPT[FORMAT]:
        raise BadInput(f"{_which(at)} {table.book}/{table.name} is of format {form}, which another Tollgate wrote",
                       value=f"{location(table)}, read as format {KEPT[FORMAT]}",
                       remedy="Install the version of Tollgate that wrote it, or a later one.")


def _which(at: int | None) -> str:
    return "The table" if at is None else f"Version {at} of the table"


_KINDS = {"string": "string", "int64": "long", "double": "double", "date32[day]": "date", "bool": "boolean"}


def _kind(of: Any) -> str:
    """A type as Delta names it; ``list`` and its like by their class."""
    return str(getattr(of, "type", type(of).__name__))


def open_or_create(table: Table) -> DeltaTable:
    """The Delta table, made empty where there was none."""
    from deltalake import DeltaTable

    opened = open_table(table)
    if opened is None:
        prove_put_if_absent(root(table))
        with faults_named(table):
            opened = DeltaTable.create(location(table), schema=table.schema, partition_by=[table.partition],
                                       mode="ignore", storage_options=storage_options(), configuration=KEPT,
                                       raise_if_key_not_exists=False)
    return opened


def files_of(opened: DeltaTable) -> list[dict[str, Any]]:
    """What the log says of every data file: its rows, and the least and largest values of its columns."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = pa.table(opened.get_add_actions(flatten=True)).to_pylist()
    return rows


def partitions(table: Table) -> list[str]:
    """The values of the partition column that have rows, sorted; told by the log alone, no data is read."""
    opened = open_table(table)
    return [] if opened is None else sorted(str(part[table.partition]) for part in opened.partitions())


def version(table: Table) -> int:
    """The Delta version of the table now; -1 when it was never written."""
    opened = open_table(table)
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
    opened = open_table(table, at)
    keep = [*filters]
    if as_of is not None:
        if table.known is None:
            raise ValueError(f"{table.name} rows carry no date on which they became known")
        keep.append((table.known, "<", as_of))
    wanted = list(columns) if columns is not None else table.schema.names
    if opened is None:
        import pyarrow as pa

        return pa.Table.from_batches([], table.schema).select(wanted)  # schema.empty_table() would load pandas
    return read_rows(opened, table, keep, wanted, at)


def count(table: Table) -> int:
    """How many rows, every version counted; told by the log alone, no data is read."""
    opened = open_table(table)
    return 0 if opened is None else sum(file["num_records"] for file in files_of(opened))


def copy(table: Table, root: str, *, as_of: date, at: int | None) -> None:
    """Write what ``read(table, as_of=as_of, at=at)`` gives as the same table of a new lake at ``root``."""
    from deltalake import write_deltalake

    write_deltalake(f"{root}/{table.book}/{table.name}", read(table, as_of=as_of, at=at),
                    partition_by=[table.partition])


def batches(table: Table, *, columns: Sequence[str], partitions: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The rows of some partitions, one partition after the other, or all rows in any order; never held together.

    Of a versioned table, the first version of each row.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    opened = open_table(table)
    if opened is None or partitions == []:
        return
    first = ds.field("version") == 1 if table.versioned else ds.scalar(True)
    filters = [first] if partitions is None else [first & (ds.field(table.partition) == value) for value in partitions]
    with faults_named(table):
        within = None if partitions is None else [(table.partition, "in", list(partitions))]
        rows = opened.to_pyarrow_dataset(filesystem=local_files(table), file_pruning_predicate=within)
        for keep in filters:
            for batch in rows.to_batches(columns=list(columns), filter=keep, batch_readahead=2, fragment_readahead=2):
                if batch.num_rows:
                    yield cast_to(table, pa.Table.from_batches([batch]), columns)


def read_rows(opened: DeltaTable, table: Table, keep: Sequence[tuple[str, str, Any]], wanted: Sequence[str],
              at: int | None = None) -> pa.Table:
    """Rows that keep every filter, in the table's order, with the ``wanted`` columns."""
    import pyarrow as pa

    order = order_of(table)
    with faults_named(table, at):
        try:
            rows = opened.to_pyarrow_table(columns=list(dict.fromkeys([*wanted, *order])), filters=list(keep) or None,
                                           filesystem=local_files(table))
        except pa.ArrowInvalid as err:
            raise unreadable_file(table, err) from err
    return cast_to(table, in_order(rows, order), wanted)


def order_of(table: Table) -> list[str]:
    """The columns that rows of the whole table are sorted by."""
    # An order may repeat across partitions, and under a key in its versions.
    return list(dict.fromkeys([*table.order, *(["version"] if table.versioned else []), table.partition]))


def in_order(rows: pa.Table, order: Sequence[str]) -> pa.Table:
    """The rows sorted by these columns, ascending; left as they are where each is above the one before it."""
    import pyarrow.compute

    pc: Any = pyarrow.compute
    first = rows[order[0]]
    if not first.null_count and pc.all(pc.less(first[:-1], first[1:])).as_py() in (True, None):
        return rows
    return rows.sort_by([(name, "ascending") for name in order])


def local_files(table: Table) -> SubTreeFileSystem | None:
    """Arrow's own reader of local files; None leaves an object store to deltalake.

    deltalake's reader is called from Arrow's threads into Python; one that is still at it when the interpreter ends
    aborts the process ("terminate called without an active exception") about once in ten.
    """
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    where = location(table)
    return None if "://" in where else SubTreeFileSystem(where, LocalFileSystem())


def cast_to(table: Table, rows: pa.Table, names: Sequence[str]) -> pa.Table:
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
        opened = open_or_create(table)
        rows = read_rows(opened, table, [(table.partition, "in", wanted)], table.schema.names)
        new = cast_to(table, change(rows), table.schema.names).sort_by(
            [(name, "ascending") for name in (table.partition, *table.order)])
        strays = set(new[table.partition].unique().to_pylist()) - set(wanted)
        if strays:
            raise ValueError(f"rows of {sorted(strays)} were given for the partitions {wanted}")
        if new.equals(rows.sort_by([(name, "ascending") for name in (table.partition, *table.order)])):
            return opened.version()
        with faults_named(table):
            write_deltalake(opened, new, mode="overwrite", predicate=within(table, wanted))
        return opened.version()

    return racing(table, "write", attempt)


def within(table: Table, partitions: Sequence[str]) -> str:
    """SQL that holds of these partitions' rows."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in partitions)
    return f"{table.partition} IN ({quoted})"


def racing(table: Table, what: str, attempt: Callable[[], T]) -> T:
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


def replace_partition(table: Table, name: str, rows: PartitionedRows) -> int:
    """Replace one partition by that of ``rows``, in one atomic commit, a batch in memory at a time."""
    from deltalake import write_deltalake

    def attempt() -> int:
        import pyarrow as pa

        opened = open_or_create(table)
        stream = pa.RecordBatchReader.from_batches(table.schema, rows.batches(name))
        with faults_named(table):
            write_deltalake(opened, stream, mode="overwrite", predicate=within(table, [name]))
        return opened.version()

    return racing(table, "write", attempt)


def append_next(table: Table, make: Callable[[pa.Table], pa.Table | None],
                filters: Sequence[tuple[str, str, Any]] = ()) -> pa.Table | None:
    """Append ``make(all rows so far)`` so that no other append can slip in between.

    ``make`` sees every row, or those that ``filters`` (as of ``read``) let through, in order of ``table.order``, and
    returns the rows to add, or None to add nothing; it is called again after a lost race. Returns what was appended.

    Raises:
        PassingFault: the lake did not answer, or too many races were lost.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    def attempt() -> pa.Table | None:
        opened = open_or_create(table)
        rows = make(read_rows(opened, table, [*filters], table.schema.names))
        if rows is None or rows.num_rows == 0:
            return None
        rows = cast_to(table, rows, table.schema.names)
        # Two commits that carry the same application transaction conflict by the Delta protocol; a plain
        # append never does.
        turn = CommitProperties(app_transactions=[Transaction(SEQUENCE, opened.version())])
        with faults_named(table):
            write_deltalake(opened, rows, mode="append", commit_properties=turn)
        return rows

    return racing(table, "append to", attempt)


def compact(table: Table) -> int:
    """Put the small files of each partition together, in one commit; how many files there are fewer.

    No row changes, and what earlier versions of the table are made of stays: runs have pinned them.

    Raises:
        PassingFault: the lake did not answer, or too many races were lost.
    """
    def attempt() -> int:
        opened = open_table(table)
        if opened is None:
            return 0
        with faults_named(table):
            told = opened.optimize.compact()
        return int(told["numFilesRemoved"]) - int(told["numFilesAdded"])

    return racing(table, "compact", attempt)


def rewrite(table: Table, change: Callable[[pa.Table], pa.Table],
            turns: Callable[[pa.Table], Sequence[str]] = lambda _: ()) -> pa.Table | None:
    """Replace all rows of a table, whatever columns it has, by ``change`` of them, in one atomic commit.

    Args:
        turns: the keys of which the new rows are the first turn (see ``publish_turn``).

    Returns the rows as they are now; None when the table was never written. Nothing is written when nothing changes.

    Raises:
        BadInput: it is of another format.
        PassingFault: the lake did not answer, or too many races were lost.
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
    from deltalake.exceptions import TableNotFoundError

    def attempt() -> pa.Table | None:
        with faults_named(table):
            try:
                opened = DeltaTable(location(table), storage_options=storage_options())
            except TableNotFoundError:
                return None
            _check_number(table, opened)
            rows = opened.to_pyarrow_table(filesystem=local_files(table))
            new = change(rows)
            if new is not rows and not new.equals(rows):
                write_deltalake(opened, new.sort_by([(name, "ascending") for name in (table.partition, *table.order)]),
                                mode="overwrite", schema_mode="overwrite", commit_properties=CommitProperties(
                                    app_transactions=[Transaction(key, 1) for key in turns(new)]))
        return new

    return racing(table, "write", attempt)
