"""Taking rows out of a table for good: out of what it shows, out of its earlier files, and out of what its log says.

Delta keeps what is deleted: the files of earlier versions, and in the log the least and largest values of each file,
which of a file of one row are that row. A command of Delta's own would write the rows' ids into the log once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tollgate.config import settings
from tollgate.lake.delta import SEQUENCE, local_files, open_table, racing, within
from tollgate.lake.disk import PartitionedRows, scratch
from tollgate.lake.faults import faults_named
from tollgate.lake.schemas import Table
from tollgate.lake.store import Entry, Store
from tollgate.lake.strays import LOG, YOUNG_SECONDS, actions_of, commits_among, is_data, named_files

if TYPE_CHECKING:
    import pyarrow as pa

# Of some rows, which are to go: bool, without nulls. A column that it looks at may be lacking.
Theirs = Callable[["pa.Table"], "pa.Array"]


def rows_held(table: Table, columns: Sequence[str], theirs: Theirs) -> dict[str, int]:
    """How many rows that the table shows are to go, by partition; every version of a row counts.

    Args:
        columns: those that ``theirs`` looks at.

    Raises:
        PassingFault: the lake did not answer.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    opened = open_table(table)
    found: dict[str, int] = {}
    if opened is None:
        return found
    with faults_named(table):
        rows = opened.to_pyarrow_dataset(filesystem=local_files(table))
        for batch in rows.to_batches(columns=list(dict.fromkeys([table.partition, *columns]))):
            some = pa.Table.from_batches([batch])
            gone = some[table.partition].filter(theirs(some)) if some.num_rows else some[table.partition]
            for name, count in zip(*pc.value_counts(gone).flatten(), strict=True):
                found[str(name)] = found.get(str(name), 0) + count.as_py()
    return dict(sorted(found.items()))


def change_rows(table: Table, partition: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Put ``change`` of its rows in the place of a partition, in one atomic commit, a batch in memory at a time.

    Args:
        change: of some rows in the table's columns; it may be called again after a lost race.

    Raises:
        PassingFault: the lake did not answer, or too many races were lost.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    def attempt() -> None:
        import pyarrow as pa
        import pyarrow.dataset as ds

        opened = open_table(table)
        if opened is None:
            return
        # Whoever publishes at the same time has looked at the rows as they were, and loses.
        turn = CommitProperties(app_transactions=[Transaction(SEQUENCE, opened.version())])
        with scratch() as disk, faults_named(table):
            changed = PartitionedRows(disk, table.schema, table.partition)  # deltalake cannot read while it writes
            rows = opened.to_pyarrow_dataset(filesystem=local_files(table),
                                             file_pruning_predicate=[(table.partition, "=", partition)])
            for batch in rows.to_batches(filter=ds.field(table.partition) == partition, batch_readahead=2,
                                         fragment_readahead=2):
                changed.add(change(pa.Table.from_batches([batch]).select(table.schema.names).cast(table.schema)))
            batches = changed.batches(partition) if partition in changed else ()
            write_deltalake(opened, pa.RecordBatchReader.from_batches(table.schema, batches), mode="overwrite",
                            predicate=within(table, [partition]), commit_properties=turn)

    racing(table, "write", attempt)


def purge(table: Table, columns: Sequence[str], theirs: Theirs, now: float, dry_run: bool = False
          ) -> tuple[int, list[str]]:
    """Delete the files of the table's past that hold rows which are to go, and what the log says of them.

    Versions of the table that were made of such a file cannot be read any more; all others can.

    Args:
        now: the moment, in seconds since 1970: a file that no commit names is left until it is a day old.
        dry_run: tell, and delete nothing.

    Returns how many files went, or would, and the paths in the lake of those that were left.

    Raises:
        PassingFault: the lake did not answer.
    """
    opened = open_table(table)
    if opened is None:
        return 0, []
    store, home = Store(settings().lake), f"{table.book}/{table.name}/"
    shown = {unquote(uri).rpartition(f"/{home}")[2] for uri in opened.file_uris()}
    every = store.list(home.rstrip("/"))
    commits = commits_among(every, home)
    held = [entry for entry in every if is_data(entry, home)
            and entry.path.removeprefix(home) not in shown and _holds(store, entry, columns, theirs)]
    if not held:
        return 0, []
    named = named_files(store, commits)
    young = [entry for entry in held if entry.path.removeprefix(home) not in named
             and entry.written > now - YOUNG_SECONDS]
    going = {entry.path.removeprefix(home) for entry in held} - {entry.path.removeprefix(home) for entry in young}
    if going and not dry_run:
        # The log first: as long as the file is there, whoever was cut off finds it when run again.
        for entry in commits:
            _forget(store, entry, going)
        _renew_checkpoint(table, store, every, home)
        for name in sorted(going):
            store.delete(home + name)
    return len(going), [entry.path for entry in young]


def _holds(store: Store, entry: Entry, columns: Sequence[str], theirs: Theirs) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with store.open(entry.path) as content:
        try:
            file = pq.ParquetFile(content)
        except pa.ArrowInvalid:
            return False  # of a writer that was killed: without its footer nobody can read it
        there = [name for name in columns if name in file.schema_arrow.names]  # one that came later is in no old file
        return bool(there) and any(theirs(pa.Table.from_batches([batch])).true_count
                                   for batch in file.iter_batches(columns=there))


def _forget(store: Store, entry: Entry, names: set[str]) -> None:
    """Take what a commit says of the values in these files out of it; statistics are optional in Delta's protocol."""
    actions, changed = actions_of(store, entry), False
    for action in actions:
        for kind in ("add", "remove"):
            if kind in action and unquote(str(action[kind]["path"])) in names and action[kind].get("stats"):
                del action[kind]["stats"]
                changed = True
    if changed:
        store.write(entry.path, "\n".join(json.dumps(action, separators=(",", ":")) for action in actions).encode())


def _renew_checkpoint(table: Table, store: Store, every: list[Entry], home: str) -> None:
    """Put a checkpoint of what the table shows now in the place of the earlier ones, which hold statistics too."""
    earlier = [entry for entry in every if entry.path.startswith(f"{home}{LOG}/") and ".checkpoint" in entry.path]
    opened = open_table(table)
    if not earlier or opened is None:
        return
    with faults_named(table):
        opened.create_checkpoint()
    for entry in earlier:
        if not entry.path.startswith(f"{home}{LOG}/{opened.version():020}."):
            store.delete(entry.path)
