"""The lake's promises, each on a local folder and on a real S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake.racing import parquet
from s3fs import S3FileSystem

from tollgate import lake
from tollgate.books import load_book
from tollgate.errors import BadInput, PassingFault
from tollgate.lake import delta

WRITERS, ROUNDS, ROWS = 4, 4, 50


def race() -> None:
    """Four processes of racing.py, let go at once."""
    writers = [subprocess.Popen([sys.executable, str(Path(__file__).with_name("racing.py")), str(writer)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for writer in range(1, WRITERS + 1)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * WRITERS


def lines(*cells: tuple[str, str, float]) -> pa.Table:
    return pa.Table.from_pylist([{"day": day, "as_of": date.fromisoformat(day), "subject": feature, "value": value}
                                 for day, feature, value in cells], schema=lake.measures("sba").schema)


def test_a_table_that_was_never_written_reads_as_empty(anywhere: str) -> None:
    table = lake.measures("sba")
    assert lake.version(table) == -1
    assert lake.partitions(table) == []
    assert lake.read(table).equals(table.schema.empty_table())


def test_replacing_a_partition_leaves_the_others_alone(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "a", 1), ("2007-01-01", "b", 2), ("2007-02-01", "a", 3)),
                            ["2007-01-01", "2007-02-01"])
    lake.replace_partitions(table, lines(("2007-01-01", "c", 4)), ["2007-01-01"])
    assert lake.read(table)["value"].to_pylist() == [3, 4]
    assert lake.partitions(table) == ["2007-01-01", "2007-02-01"]
    lake.replace_partitions(table, lines(), ["2007-01-01"])
    assert lake.partitions(table) == ["2007-02-01"]


def test_a_partition_replaced_by_rows_on_disk_leaves_the_others_alone(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "a", 1), ("2007-02-01", "a", 3)), ["2007-01-01", "2007-02-01"])
    with lake.scratch() as disk:
        rows = lake.PartitionedRows(disk, table.schema, "day")
        rows.add(lines(("2007-01-01", "c", 4)))
        rows.add(lines(("2007-01-01", "b", 5)))
        lake.replace_partition(table, "2007-01-01", rows)
    assert lake.read(table)["value"].to_pylist() == [3, 5, 4]


def test_rows_come_back_in_the_tables_order_whatever_order_they_were_given_in(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "b", 2), ("2007-01-01", "a", 1)), ["2007-01-01"])
    assert lake.read(table)["subject"].to_pylist() == ["a", "b"]


def test_rows_that_tie_across_partitions_come_back_in_one_order(anywhere: str) -> None:
    table = lake.measures("sba")
    for days in (("2007-01-01", "2007-02-01"), ("2007-02-01", "2007-01-01")):
        for day in days:
            lake.replace_partitions(table, lines(), [day])
        for day in days:
            lake.replace_partitions(table, lines((day, "a", 1), (day, "b", 1)), [day])
        assert lake.read(table)["day"].to_pylist() == ["2007-01-01", "2007-02-01"] * 2


def test_writing_the_same_rows_again_makes_no_new_version(anywhere: str) -> None:
    table = lake.measures("sba")
    rows = lines(("2007-01-01", "a", 1), ("2007-01-01", "b", 2))
    first = lake.replace_partitions(table, rows, ["2007-01-01"])
    assert lake.replace_partitions(table, rows.take([1, 0]), ["2007-01-01"]) == first == lake.version(table)
    assert lake.replace_partitions(table, lines(("2007-01-01", "a", 9)), ["2007-01-01"]) > first


def test_rows_outside_the_named_partitions_are_refused_and_nothing_changes(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "a", 1)), ["2007-01-01"])
    with pytest.raises(ValueError, match="2007-03-01"):
        lake.replace_partitions(table, lines(("2007-03-01", "a", 2)), ["2007-01-01"])
    assert lake.read(table)["value"].to_pylist() == [1]


def test_rows_on_disk_give_each_partition_back_in_the_order_it_was_laid_down(home: Path) -> None:
    first, second = lines(("2007-01-01", "b", 1), ("2007-02-01", "a", 2)), lines(("2007-01-01", "a", 3))
    with lake.scratch() as disk:
        rows = lake.PartitionedRows(disk, first.schema, "day")
        rows.add(first)
        rows.add(second)
        assert list(rows) == ["2007-01-01", "2007-02-01"]
        assert rows["2007-01-01"]["value"].to_pylist() == [1, 3]
        assert [path for path in home.rglob("*") if path.is_file()] == []


def test_a_change_that_fails_leaves_the_table_as_it_was(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "a", 1)), ["2007-01-01"])
    before = lake.version(table)

    def fails(rows: pa.Table) -> pa.Table:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        lake.change_partitions(table, ["2007-01-01"], fails)
    assert lake.version(table) == before
    assert lake.read(table)["value"].to_pylist() == [1]


def test_a_reader_as_of_a_day_sees_only_what_was_known_before_it(anywhere: str) -> None:
    table = lake.measures("sba")
    lake.replace_partitions(table, lines(("2007-01-01", "a", 1), ("2007-02-01", "a", 2)),
                            ["2007-01-01", "2007-02-01"])
    assert lake.read(table, as_of=date(2007, 2, 1))["value"].to_pylist() == [1]
    assert lake.read(table, as_of=date(2007, 2, 2), columns=["value"]).to_pydict() == {"value": [1, 2]}
    assert lake.read(table, as_of=date(2007, 2, 2), filters=[("value", ">", 1)]).num_rows == 1
    with pytest.raises(ValueError, match="no date"):
        lake.read(lake.ledger("sba"), as_of=date(2007, 2, 1))


def test_racing_processes_leave_whole_partitions_and_lose_and_repeat_nothing(anywhere: str) -> None:
    race()
    found = lake.read(lake.measures("sba"), filters=[("day", "=", "2007-01-01")])
    assert found.num_rows == ROWS
    assert len(set(found["n"].to_pylist())) == 1
    counter = lake.read(lake.measures("sba"), filters=[("day", "=", "counter")])
    assert counter["n"].to_pylist() == [WRITERS * ROUNDS]
    versions = lake.read(lake.outcomes(load_book("card")))
    assert versions["version"].to_pylist() == list(range(1, versions.num_rows + 1))
    order = versions["delivery"].to_pylist()
    assert (order, order[-1]) == (sorted(set(order)), WRITERS * ROUNDS)
    entries = lake.read(lake.ledger("sba"))
    assert entries["seq"].to_pylist() == list(range(WRITERS * ROUNDS))
    assert set(Counter(entries["payload"].to_pylist()).values()) == {ROUNDS}
    published = lake.read(lake.shadows("sba"))
    assert (published.num_rows, set(published["rows"].to_pylist())) == (ROWS, {WRITERS}), "the latest turn, whole"


def test_a_turn_is_published_once_and_an_earlier_one_is_told_of_it(anywhere: str) -> None:
    table, told = lake.shadows("sba"), []

    def publish(key: str, turn: int, *versions: str) -> None:
        rows = pa.Table.from_pylist([{"day": key, "model_version": version} for version in versions], table.schema)
        lake.publish_turn(table, key, turn, lambda: [parquet(table, rows)], part=key, where=f"day = '{key}'",
                          check=lambda before, version: told.append((key, before)))

    publish("2007-01-01", 1, "a", "b")
    publish("2007-01-02", 1)
    publish("2007-01-01", 1, "x")
    publish("2007-01-01", 3, "c")
    publish("2007-01-02", 2, "d")
    assert told == [("2007-01-01", None), ("2007-01-02", None), ("2007-01-01", 1), ("2007-01-02", 1)]
    assert [(row["day"], row["model_version"]) for row in lake.read(table).to_pylist()] == [
        ("2007-01-01", "c"), ("2007-01-02", "d")]


def test_appending_nothing_leaves_the_table_alone(anywhere: str) -> None:
    table = lake.ledger("sba")
    assert lake.append_next(table, lambda rows: None) is None
    assert lake.read(table).num_rows == 0


def test_equal_rows_have_one_digest_however_they_are_chunked(anywhere: str) -> None:
    table = lake.measures("sba")
    rows = lines(("2007-01-01", "a", 1), ("2007-01-01", "b", 2))
    lake.replace_partitions(table, rows, ["2007-01-01"])
    assert lake.digest(lake.read(table)) == lake.digest(lake.read(table)) == lake.digest(rows)
    assert lake.digest(pa.concat_tables([rows.slice(0, 1), rows.slice(1)])) == lake.digest(rows)
    assert lake.digest(lines(("2007-01-01", "a", 1), ("2007-01-01", "b", 3))) != lake.digest(rows)


def test_rows_that_come_in_pieces_have_the_digest_of_the_whole(tmp_path: Path) -> None:
    rows = pa.table({"number": np.arange(150_000) / 7, "text": [f"row {k}" if k % 3 else None for k in range(150_000)]})
    starts = [0, 0, 1, 65_000, 140_000, 150_000]
    assert lake.digest(rows.slice(start, end - start) for start, end in pairwise(starts)) == lake.digest(rows)
    assert lake.digest([rows.slice(0, 0)]) == lake.digest(rows.slice(0, 0)) != lake.digest(rows)
    assert lake.digest([rows.slice(1), rows.slice(0, 1)]) != lake.digest(rows)


def test_a_digest_outlives_a_file_and_tells_a_null_from_every_value(tmp_path: Path) -> None:
    columns: dict[str, list] = {
        "whole": [1, None, 0], "part": [0.5, None, 0.0], "text": ["a", None, ""], "day": [date(2007, 1, 1), None, None],
        "flag": [True, None, False], "list": [["a"], None, []]}
    rows = pa.table(columns)
    under_the_null = pa.array([1, 7, 0], mask=np.array([False, True, False]))
    hidden = rows.set_column(0, "whole", under_the_null)
    pq.write_table(rows, tmp_path / "rows.parquet")
    digests = {lake.digest(same) for same in (rows, hidden, pq.read_table(tmp_path / "rows.parquet"),
                                              rows.set_column(2, "text", rows["text"].dictionary_encode()))}
    assert len(digests) == 1
    others = [rows.set_column(place, name, pa.chunked_array([[cells[0], cells[2], cells[2]]], rows[name].type))
              for place, (name, cells) in enumerate(columns.items()) if name != "day"]
    assert len({lake.digest(rows), *map(lake.digest, others)}) == len(others) + 1


@pytest.fixture
def own_connections() -> Iterator[None]:
    """None from other tests and none for them: s3fs keeps connections whatever the environment says by then."""
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def test_an_s3_server_that_is_away_is_a_passing_fault(home: object, own_connections: None,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a",
                        "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
                        "TOLLGATE_LAKE": "s3://tollgate/lake"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PassingFault, match=r"sba/measures.*Connection refused.*s3://tollgate/lake"):
        lake.read(lake.measures("sba"))
    with pytest.raises(PassingFault, match="Connection refused"):
        lake.replace_partitions(lake.measures("sba"), lines(), ["2007-01-01"])
    with pytest.raises(PassingFault, match="Could not connect"):
        lake.Store("s3://tollgate/landing").list("sba")


@pytest.mark.parametrize("anywhere", ["s3"], indirect=True)
def test_wrong_credentials_are_bad_input_that_says_so(anywhere: str, own_connections: None,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(BadInput, match=r"refused access to sba/measures.*credentials"):
        lake.read(lake.measures("sba"))
    with pytest.raises(BadInput, match=r"refused access.*credentials"):
        lake.Store("s3://tollgate/wrong").write("x", b"y")


def test_a_version_is_readable_years_later_though_newer_checkpoints_came(home: Path) -> None:
    from deltalake import DeltaTable

    table, folder = lake.measures("sba"), home / "lake" / "sba" / "measures"
    pinned = lake.replace_partitions(table, lines(("2007-01-01", "a", 1)), ["2007-01-01"])
    lake.replace_partitions(table, lines(("2007-01-01", "a", 2)), ["2007-01-01"])
    DeltaTable(folder).create_checkpoint()
    for file in (folder / "_delta_log").iterdir():
        os.utime(file, (0, 0))
    lake.replace_partitions(table, lines(("2007-01-01", "a", 3)), ["2007-01-01"])
    DeltaTable(folder).create_checkpoint()
    assert lake.read(table, at=pinned)["value"].to_pylist() == [1]


def test_a_version_that_the_log_no_longer_reaches_is_told(home: Path) -> None:
    from deltalake import DeltaTable

    table, folder = lake.measures("sba"), home / "lake" / "sba" / "measures"
    pinned = lake.replace_partitions(table, lines(("2007-01-01", "a", 1)), ["2007-01-01"])
    lake.replace_partitions(table, lines(("2007-01-01", "a", 2)), ["2007-01-01"])
    DeltaTable(folder).create_checkpoint()
    for file in (folder / "_delta_log").glob("*[01].json"):
        file.unlink()
    assert lake.read(table)["value"].to_pylist() == [2]
    with pytest.raises(BadInput, match=f"Version {pinned} of the table sba/measures is no longer in the lake"):
        lake.read(table, at=pinned)


def test_a_table_of_another_format_is_refused_and_left_as_it_is(home: Path) -> None:
    table = lake.requests("consumer")
    opened = delta.open_or_create(table)
    assert opened.metadata().configuration["tollgate.format"] == "1"
    opened.alter.set_table_properties({"tollgate.format": "2"}, raise_if_not_exists=False)
    for use in (lake.read, delta.open_or_create):
        with pytest.raises(BadInput, match="consumer/requests is of format 2, which another Tollgate wrote"):
            use(table)
