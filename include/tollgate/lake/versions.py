"""Tables that keep every version of a row: what was known when, and how a delivery adds to it.

A version is never rewritten. Versions of one key are numbered in the order of the deliveries that brought them, and a
later one is never known before an earlier one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tollgate.lake.delta import (
    SEQUENCE,
    cast_to,
    files_of,
    local_files,
    open_or_create,
    open_table,
    racing,
    read_rows,
)
from tollgate.lake.disk import PartitionedRows, scratch
from tollgate.lake.faults import faults_named, unreadable_file
from tollgate.lake.schemas import Table

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

    from tollgate.books import BookTable

Filters = Sequence[tuple[str, str, Any]]


def view(table: Table, *, as_of: date | None = None, columns: Sequence[str] | None = None, filters: Filters = (),
         at: int | None = None) -> pa.Table:
    """The lender's rows as they were known before ``as_of``, each by its newest version then, in order of the key.

    Args:
        as_of: None shows the newest version of every row.
        columns: which columns; those of the lender when None.
        filters: ``(column, operator, value)`` triples that must hold of the version shown.
        at: the Delta version to read; the newest when None.

    Raises:
        BadInput: the files of ``at`` are gone, or an older Tollgate wrote the table.
        PassingFault: the lake did not answer.
    """
    import pyarrow as pa

    wanted = list(columns) if columns is not None else _sent(table)
    needed = list(dict.fromkeys([*table.order, *wanted]))
    opened = open_table(table, at)
    if opened is None:
        return pa.Table.from_batches([], table.schema).select(wanted)
    known = [("known_on", "<", as_of)] if as_of is not None else []
    if not _is_revised(opened):
        return read_rows(opened, table, [*filters, *known], wanted, at)
    newest = _revised(opened, table, needed, filters, known, at)
    first = read_rows(opened, table, [("version", "=", 1), *filters, *known], needed, at)
    kept = _without(first, newest, table.order)
    shown = _filtered(newest, filters).select(needed)
    rows = pa.concat_tables([kept, shown.cast(kept.schema)]).sort_by([(name, "ascending") for name in table.order])
    return rows.select(wanted)


def view_batches(table: Table, *, as_of: date, filters: Filters = (), at: int) -> Iterator[pa.Table]:
    """The rows of ``view``, in no order, some at a time: only those that were revised are held together.

    Args:
        at: the Delta version to read; -1 where the table was never written.

    Raises as ``view``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = open_table(table, at) if at >= 0 else None
    if opened is None:
        return
    sent = _sent(table)
    known = [("known_on", "<", as_of)]
    newest = _revised(opened, table, sent, filters, known, at) if _is_revised(opened) else None
    keep = pq.filters_to_expression([*filters, *known, *([("version", "=", 1)] if newest is not None else [])])
    with faults_named(table, at):
        try:
            rows = opened.to_pyarrow_dataset(filesystem=local_files(table))
            for batch in rows.to_batches(columns=sent, filter=keep, batch_readahead=2, fragment_readahead=2):
                if batch.num_rows:
                    some = cast_to(table, pa.Table.from_batches([batch]), sent)
                    yield some if newest is None else _without(some, newest, table.order)
        except pa.ArrowInvalid as err:
            raise unreadable_file(table, err) from err
    if newest is not None:
        yield cast_to(table, _filtered(newest, filters), sent)


def count_keys(table: Table, *, as_of: date, filters: Filters = (), at: int) -> int:
    """How many rows ``view`` would show if none had been revised; arguments and errors are those of ``view_batches``.

    Most of it is told by the statistics of the files.
    """
    import pyarrow.parquet as pq

    opened = open_table(table, at) if at >= 0 else None
    if opened is None:
        return 0
    keep = pq.filters_to_expression([*filters, ("known_on", "<", as_of), ("version", "=", 1)])
    with faults_named(table, at):
        return int(opened.to_pyarrow_dataset(filesystem=local_files(table)).count_rows(filter=keep))


def _revised(opened: DeltaTable, table: Table, needed: Sequence[str], filters: Filters, known: Filters,
             at: int | None) -> pa.Table:
    """The newest version of every row that was revised, also where it lies outside the filters; these are few."""
    used = list(dict.fromkeys([*needed, "version", *(name for name, *_ in filters)]))
    return _newest(read_rows(opened, table, [("version", ">", 1), *known], used, at), table.order)


def _sent(table: Table) -> list[str]:
    from tollgate.lake.schemas import VERSIONS

    return [name for name in table.names if name != table.partition and name not in dict(VERSIONS)]


def _is_revised(opened: DeltaTable) -> bool:
    return any((file.get("max.version") or 2) > 1 for file in files_of(opened))


def _newest(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Of rows that share a key, the one of the highest version."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("versions", rows)
        return connection.sql(f"""
            SELECT * FROM versions
            QUALIFY row_number() OVER (PARTITION BY {_names(key)} ORDER BY version DESC) = 1
        """).to_arrow_table()


def _without(rows: pa.Table, others: pa.Table, key: Sequence[str]) -> pa.Table:
    import duckdb

    if not others.num_rows:
        return rows
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.register("others", others)
        return connection.sql(f"SELECT rows.* FROM rows ANTI JOIN others USING ({_names(key)})").to_arrow_table().cast(
            rows.schema)


def _filtered(rows: pa.Table, filters: Filters) -> pa.Table:
    import pyarrow.parquet as pq

    return rows.filter(pq.filters_to_expression(list(filters))) if filters else rows


def _names(names: Iterable[str], of: str = "") -> str:
    return ", ".join(f'{of}"{name}"' for name in names)


@dataclass(frozen=True)
class Delivery:
    """What stamps the versions that a file brings.

    Attributes:
        number: in the order of the book's deliveries.
        day: on which it is taken in. live_on: the day of the book's first delivery.
    """

    number: int
    day: date
    live_on: date


@dataclass(frozen=True)
class Changes:
    """What a delivery is to what was published before it.

    Attributes:
        added: rows of keys that are new. restated: rows that change a published cell; ``columns`` counts these cells.
        filled: rows that only fill what was empty by its nature. superseded: rows whose key a later delivery spoke of.
        unchanged: rows that say what was known.
        published: rows of their own months that were published before.
    """

    added: int = 0
    restated: int = 0
    filled: int = 0
    superseded: int = 0
    unchanged: int = 0
    published: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)


def append_versions(table: Table, of: BookTable, rows: PartitionedRows, delivery: Delivery,
                    check: Callable[[Changes], None] = lambda _: None) -> Changes:
    """Add what a delivery brings that was not known, in one atomic commit; doing it again changes nothing.

    Args:
        of: how the book describes the table.
        rows: by month, in the table's columns but for those of the version; no key twice.
        check: is told of the changes before they are written, and may raise.

    Raises:
        PassingFault: the lake did not answer, the disk is full, or too many races were lost.
    """
    def attempt() -> Changes:
        from deltalake import CommitProperties, Transaction, write_deltalake

        opened = open_or_create(table)
        with scratch() as disk:
            fresh = PartitionedRows(disk, table.schema, table.partition)
            changes = _compare(opened, table, of, rows, delivery, fresh)
            check(changes)
            if fresh and not _holds(opened, table, delivery.number):
                turn = CommitProperties(app_transactions=[Transaction(SEQUENCE, opened.version())])
                with faults_named(table):
                    write_deltalake(opened, _stream(fresh), mode="append", commit_properties=turn)
        return changes

    return racing(table, "append to", attempt)


def compare(table: Table, of: BookTable, rows: PartitionedRows, delivery: Delivery) -> Changes:
    """What ``append_versions`` would find, touching nothing."""
    opened = open_table(table)
    with scratch() as disk:
        return _compare(opened, table, of, rows, delivery, PartitionedRows(disk, table.schema, table.partition))


def _stream(rows: PartitionedRows) -> pa.RecordBatchReader:
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(rows.schema, (batch for name in rows for batch in rows.batches(name)))


def _holds(opened: DeltaTable, table: Table, delivery: int) -> bool:
    """Whether a version of this delivery is there already: it was killed after its commit."""
    near = [file for file in files_of(opened)
            if (file.get("min.delivery") or 0) <= delivery <= (file.get("max.delivery") or delivery)]
    return bool(near) and read_rows(opened, table, [("delivery", "=", delivery)], ["delivery"]).num_rows > 0


def _compare(opened: DeltaTable | None, table: Table, of: BookTable, rows: PartitionedRows, delivery: Delivery,
             fresh: PartitionedRows) -> Changes:
    """Lay the new versions down in ``fresh``, a month after the other, and count what each row is."""
    import duckdb
    import pyarrow.compute

    pc: Any = pyarrow.compute
    held, published = _held(opened, table, rows, delivery)
    kinds: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    with duckdb.connect() as connection:
        connection.register("held", held)
        for name in rows:
            connection.register("arriving", rows[name])
            found = connection.sql(_judgement(table, of, delivery)).to_arrow_table()
            connection.unregister("arriving")
            kinds.update({row["values"]: row["counts"] for row in pc.value_counts(found["what"]).to_pylist()})
            if kinds["restated"]:
                changed = found.filter(pc.equal(found["what"], "restated"))["changed"].combine_chunks().flatten()
                columns.update(changed.to_pylist())
            new = found.filter(pc.is_in(found["what"], _texts("added", "restated", "filled")))
            if new.num_rows:
                fresh.add(cast_to(table, new, table.schema.names).sort_by(
                    [(column, "ascending") for column in table.order]))
    return Changes(**{kind: kinds[kind] for kind in ("added", "restated", "filled", "superseded", "unchanged")},
                   published=published, columns=dict(sorted(columns.items())))


def _texts(*values: str) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string())


def _judgement(table: Table, of: BookTable, delivery: Delivery) -> str:
    """SQL that gives each arriving row its version columns, the names of its ``changed`` cells, and ``what`` it is."""
    told = f"greatest({_names(of.told, 'a.')})" if len(of.told) > 1 else _names(of.told, "a.")
    before = told.replace("a.", "h.")
    day, live_on = (f"DATE '{value}'" for value in (delivery.day, delivery.live_on))
    on = " AND ".join(f'a."{name}" = h."{name}"' for name in of.key)
    cells = [name for name in _sent(table) if name not in of.key]
    differ = ", ".join(f"""CASE WHEN a."{name}" IS DISTINCT FROM h."{name}" THEN '{name}' END""" for name in cells)
    said = [name for name in cells if name not in of.filled]
    restates = " OR ".join([f'a."{name}" IS DISTINCT FROM h."{name}"' for name in said]
                           + [f'(h."{name}" IS NOT NULL AND a."{name}" IS DISTINCT FROM h."{name}")'
                              for name in of.filled]) or "false"
    return f"""
        WITH compared AS (
            SELECT a.*, h.version AS held_version, h.delivery AS held_delivery, h.known_on AS held_known,
                   {told} AS told, {before} AS told_before,
                   CASE WHEN h.version IS NOT NULL THEN list_filter([{differ}], lambda x: x IS NOT NULL) END AS changed,
                   ({restates}) AS restates
            FROM arriving AS a LEFT JOIN held AS h ON {on}
        )
        SELECT * EXCLUDE (held_version, held_delivery, held_known, told, told_before, restates),
               greatest(CASE WHEN told < {live_on} AND (held_version IS NULL OR told > told_before) THEN told
                             ELSE {day} END, held_known) AS known_on,
               {delivery.number}::BIGINT AS delivery, coalesce(held_version, 0) + 1 AS version,
               CASE WHEN held_version IS NULL THEN 'added'
                    WHEN held_delivery > {delivery.number} THEN 'superseded'
                    WHEN len(changed) = 0 THEN 'unchanged'
                    WHEN restates THEN 'restated' ELSE 'filled' END AS what
        FROM compared
    """


def _held(opened: DeltaTable | None, table: Table, rows: PartitionedRows, delivery: Delivery) -> tuple[pa.Table, int]:
    """The newest version of every key that arrives, this delivery's own left aside; and the rows of their months."""
    import duckdb
    import pyarrow as pa

    nothing = pa.Table.from_batches([], table.schema)
    if opened is None or not opened.partitions():
        return nothing, 0
    keys = pa.schema([table.schema.field(name) for name in table.order])
    arriving = pa.concat_tables([keys.empty_table(), *(pa.Table.from_batches(
        (batch.select(keys.names) for batch in rows.batches(name)), keys) for name in rows)])
    with faults_named(table), duckdb.connect() as connection:
        connection.register("arriving", arriving)
        connection.register("held", opened.to_pyarrow_dataset(filesystem=local_files(table)).scanner(
            columns=[table.partition, *table.order]))
        months = connection.sql(f"""
            SELECT DISTINCT {table.partition} AS name FROM held SEMI JOIN arriving USING ({_names(table.order)})
        """).to_arrow_table()["name"].to_pylist()
        if not months:
            return nothing, 0
        there = read_rows(opened, table, [(table.partition, "in", months), ("delivery", "!=", delivery.number)],
                          table.schema.names)
        connection.register("there", there)
        meant = connection.sql(f"SELECT there.* FROM there SEMI JOIN arriving USING ({_names(table.order)})")
        newest = _newest(meant.to_arrow_table(), table.order)
        (published,) = connection.sql("SELECT count(*) FILTER (version = 1) FROM there").fetchall()[0]
    return newest.cast(table.schema), int(published)


def lookup(table: Table, column: str, values: pa.Array, columns: Sequence[str]) -> pa.Table:
    """The newest version of every row in which ``column`` is one of ``values``, in no order."""
    opened = open_table(table)
    if opened is None or not opened.partitions():
        return _nothing(table, columns)
    found = _matching(opened, table, column, values, columns)
    return cast_to(table, _newest(found, table.order) if _is_revised(opened) else found, columns)


def versions_of(table: Table, column: str, values: pa.Array, *, as_of: date | None = None, at: int | None = None,
                columns: Sequence[str] | None = None) -> pa.Table:
    """Every version, known before ``as_of``, of the rows in which ``column`` is one of ``values``, in order of the key.

    Args:
        at: the Delta version to read; the newest when None.
        columns: which columns; ``known_on``, ``version`` and those of the lender when None.

    Raises:
        PassingFault: the lake did not answer.
    """
    opened = open_table(table, at)
    wanted = list(columns) if columns is not None else ["known_on", "version", *_sent(table)]
    if opened is None or not opened.partitions():
        return _nothing(table, wanted)
    known = [("known_on", "<", as_of)] if as_of is not None else []
    found = _filtered(_matching(opened, table, column, values, [*wanted, "known_on"], at), known)
    return cast_to(table, found.sort_by([(name, "ascending") for name in (*table.order, "version")]), wanted)


def _nothing(table: Table, columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([], table.schema).select(list(columns))


def _matching(opened: DeltaTable, table: Table, column: str, values: pa.Array, columns: Sequence[str],
              at: int | None = None) -> pa.Table:
    """Every version of the rows in which ``column`` is one of ``values``: its key, its number, and ``columns``."""
    import duckdb
    import pyarrow as pa

    needed = list(dict.fromkeys([*table.order, column, "version", *columns]))
    with faults_named(table, at), duckdb.connect() as connection:
        connection.register("held", opened.to_pyarrow_dataset(filesystem=local_files(table)).scanner(columns=needed))
        connection.register("wanted", pa.table({column: values}))
        return connection.sql(
            f"SELECT held.* FROM held SEMI JOIN wanted USING ({_names([column])})").to_arrow_table()
