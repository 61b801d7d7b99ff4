"""One racing process: `racing.py WRITER` says that it is ready, waits to be let go, and writes."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tollgate import lake
from tollgate.errors import Refused

ROUNDS, ROWS = 4, 50


def replace_whole(writer: int) -> None:
    """Replace one partition by one's own rows, again and again."""
    table = lake.measures("sba")
    mine = pa.Table.from_pylist([{"day": "2007-01-01", "subject": f"f{i:03d}", "n": writer} for i in range(ROWS)],
                                schema=table.schema)
    for _ in range(ROUNDS):
        lake.replace_partitions(table, mine, ["2007-01-01"])


def add_one(writer: int) -> None:
    """Read, add one and write back, again and again."""
    table = lake.measures("sba")

    def one_more(rows: pa.Table) -> pa.Table:
        count = rows["n"][0].as_py() if rows.num_rows else 0
        return pa.Table.from_pylist([{"day": "counter", "subject": "counter", "n": count + 1}],
                                    schema=table.schema)

    for _ in range(ROUNDS):
        lake.change_partitions(table, ["counter"], one_more)


def restate(writer: int) -> None:
    """Bring another version of the same key, again and again, each by the next delivery."""
    from published import publish

    from tollgate.books import load_book

    book = load_book("card")

    def next_one(rows: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([{"kind": "seen", "delivery": rows.num_rows + 1, "file": f"{writer}"}],
                                    schema=lake.deliveries("card").schema)

    for _ in range(ROUNDS):
        taken = lake.append_next(lake.deliveries("card"), next_one)
        assert taken is not None
        number = taken["delivery"][0].as_py()
        publish(book, "outcomes", [{"loan_id": "a", "reported_on": date(2007, 1, 1),
                                    "defaulted_on": date(2006, 1, 1) + timedelta(days=number)}], number=number)


def append(writer: int) -> None:
    """Take the next sequence number, again and again."""
    table = lake.ledger("sba")

    def entry(rows: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([{"kind": "ledger", "seq": rows.num_rows, "payload": f"writer {writer}"}],
                                    schema=table.schema)

    for _ in range(ROUNDS):
        lake.append_next(table, entry)


def parquet(table: lake.Table, rows: pa.Table) -> bytes:
    """A file of the table."""
    out = io.BytesIO()
    pq.write_table(rows.select(table.in_files.names), out)
    return out.getvalue()


def publish(writer: int) -> None:
    """Publish a turn of one's own for the one key; whoever finds a later turn there leaves it."""
    table = lake.shadows("sba")
    mine = pa.Table.from_pylist([{"day": "2007-01-01", "model_version": f"{i:03d}", "rows": writer}
                                 for i in range(ROWS)], schema=table.schema)

    def in_turn(before: int | None, version: int) -> None:
        if (before or 0) > writer + 1:
            raise Refused("a later one was published", value=before, remedy="none")

    with suppress(Refused):
        lake.publish_turn(table, "key", writer + 1, lambda: [parquet(table, mine)], part="2007-01-01",
                          where="day = '2007-01-01'", check=in_turn)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    for race in (replace_whole, add_one, restate, append, publish):
        race(int(sys.argv[1]))
