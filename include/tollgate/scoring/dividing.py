"""Dividing a population into shards: no more of it is in memory than the shard that is being written.

A loan belongs to the shard that its own name says. So whether it stands twice, whether another night has it, and what
order its rows have can be told shard by shard.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights
from tollgate.books import LOAN
from tollgate.errors import Refused
from tollgate.features import arrived, histories_of, with_histories
from tollgate.nights import Attempt
from tollgate.scoring.population import Population, rises

SHARD = "shard"
HELD = 2**27  # bytes of the applications that stay in memory before they are laid on scratch


def divide(population: Population, attempt: Attempt, shards: int) -> tuple[int, dict[str, str]]:
    """Keep the applications of an attempt, and the histories of their loans, in so many shards, each in its own order.

    Returns how many applications they are, and the digests of the files by name.

    Raises:
        Refused: a loan stands twice among them.
        PassingFault: the lake or the store did not answer, or the disk is full.
    """
    book = population.book
    sent = pa.schema([*book.table("applications").schema()])
    names = pa.array([str(k) for k in range(shards)])
    named_in = nights.shards_of(pa.chunked_array([population.loans]), shards)
    with lake.scratch() as disk:
        by_shard = lake.PartitionedRows(disk, sent.append(pa.field(SHARD, pa.string())), SHARD, HELD)
        for rows in population.candidates():
            by_shard.add(rows.append_column(SHARD, names.take(pa.array(nights.shards_of(rows[LOAN], shards)))))

        def mine(k: int) -> pa.Table:
            rows = by_shard[str(k)].drop_columns(SHARD) if str(k) in by_shard else pa.Table.from_batches([], sent)
            named = population.loans.filter(pa.array(named_in == k))
            if len(named) or population.among:
                belongs = pc.is_in(rows[LOAN], value_set=named)
                rows = rows.filter(belongs if population.among else pc.invert(belongs))
            return _in_order(rows)

        known, histories = pa.table({}), dict[str, pa.Table]()
        if book.aggregates:
            keys = list(dict.fromkeys([LOAN, *(str(table.entity) for table in book.histories)]))
            known, histories = with_histories(
                book, pa.concat_tables([mine(k).select(keys) for k in range(shards)]), population.day)

        many, files = 0, dict[str, str]()
        for k in range(shards):
            rows = arrived(mine(k), known) if book.aggregates else mine(k)
            many += rows.num_rows
            files |= nights.write_population(attempt, k, rows, histories_of(book, rows, histories))
    return many, files


def _in_order(rows: pa.Table) -> pa.Table:
    """The rows by their loans. Raises ``Refused`` where a loan stands twice."""
    ordered = rows if rises(rows[LOAN]) else rows.sort_by(LOAN)
    if not rises(ordered[LOAN]):
        counts = ordered[LOAN].value_counts().to_pylist()
        doubled = sorted(count["values"] for count in counts if count["counts"] > 1)
        raise Refused(f"{len(doubled)} loan(s) or more stand twice among the applications to score",
                      value=", ".join(doubled[:5]), remedy="Correct the applications in the lake first.")
    return ordered
