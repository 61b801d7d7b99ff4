"""One racing process: `racing.py WRITER` says that it is ready, waits to be let go, and writes."""

from __future__ import annotations

import sys

import pyarrow as pa

from tollgate import lake

ROUNDS, ROWS = 4, 50


def replace_whole(writer: int) -> None:
    """Replace one partition by one's own rows, again and again."""
    table = lake.drift("sba")
    mine = pa.Table.from_pylist([{"day": "2007-01-01", "feature": f"f{i:03d}", "rows": writer} for i in range(ROWS)],
                                schema=table.schema)
    for _ in range(ROUNDS):
        lake.replace_partitions(table, mine, ["2007-01-01"])


def add_one(writer: int) -> None:
    """Read, add one and write back, again and again."""
    table = lake.drift("sba")

    def one_more(rows: pa.Table) -> pa.Table:
        count = rows["rows"][0].as_py() if rows.num_rows else 0
        return pa.Table.from_pylist([{"day": "counter", "feature": "counter", "rows": count + 1}],
                                    schema=table.schema)

    for _ in range(ROUNDS):
        lake.change_partitions(table, ["counter"], one_more)


def move(writer: int) -> None:
    """Upsert the same key into one's own partition, again and again."""
    table = lake.drift("card")
    day = f"2007-01-{writer:02d}"
    for turn in range(ROUNDS):
        mine = pa.Table.from_pylist([{"day": day, "feature": "moved", "rows": turn}], schema=table.schema)
        lake.upsert(table, {day: mine})


def append(writer: int) -> None:
    """Take the next sequence number, again and again."""
    table = lake.ledger("sba")

    def entry(rows: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([{"kind": "ledger", "seq": rows.num_rows, "payload": f"writer {writer}"}],
                                    schema=table.schema)

    for _ in range(ROUNDS):
        lake.append_next(table, entry)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    for race in (replace_whole, add_one, move, append):
        race(int(sys.argv[1]))
