"""The store of files and small records, on a local folder and on a real S3 server."""

from __future__ import annotations

import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.lake import Store


@pytest.fixture
def store(anywhere: str) -> Store:
    return Store(settings().store)


def test_what_was_written_is_read_back(store: Store) -> None:
    store.write("run/a.bin", b"one")
    store.write("run/a.bin", b"two")
    assert store.read("run/a.bin") == b"two"
    assert store.exists("run/a.bin")
    with store.open("run/a.bin") as handle:
        assert handle.read() == b"two"


def test_a_file_is_created_by_whoever_comes_first_and_nobody_after(store: Store) -> None:
    assert store.create("run/a.bin", b"one")
    assert not store.create("run/a.bin", b"two")
    assert store.read("run/a.bin") == b"one"


def test_equal_records_have_equal_bytes(store: Store) -> None:
    store.write_json("x.json", {"b": 1, "a": [2]})
    store.write_json("y.json", {"a": [2], "b": 1})
    assert store.read("x.json") == store.read("y.json")
    assert store.read_json("x.json") == {"a": [2], "b": 1}


def test_a_missing_file_is_bad_input_that_names_it(store: Store) -> None:
    assert not store.exists("run/none.json")
    with pytest.raises(BadInput, match=r"no such file.*run/none\.json"):
        store.read_json("run/none.json")


@pytest.mark.parametrize("content", [b"", b'{"format": ', b"\xff\xfe"])
def test_a_damaged_record_is_bad_input_that_names_it(store: Store, content: bytes) -> None:
    store.write("a/record.json", content)
    with pytest.raises(BadInput, match=rf"damaged or was cut short \(got: {store.root}/a/record.json\)"):
        store.read_json("a/record.json")


def test_a_listing_names_every_file_below_a_folder_and_nothing_else(store: Store) -> None:
    assert store.list("run") == []
    store.write("run/b/c.txt", b"123")
    store.write("run/a.txt", b"1")
    store.write("runner/a.txt", b"1")
    assert [(entry.path, entry.size) for entry in store.list("run")] == [("run/a.txt", 1), ("run/b/c.txt", 3)]


def test_a_file_written_anew_has_a_new_stamp(store: Store) -> None:
    store.write("run/a.txt", b"1")
    before = store.list("run")
    assert store.list("run") == before
    store.write("run/a.txt", b"2")
    assert store.list("run") != before


def test_deleting_removes_a_file_or_a_folder_and_minds_nothing(store: Store) -> None:
    store.write("run/a.txt", b"1")
    store.write("run/b/c.txt", b"1")
    store.delete("run/a.txt")
    assert [entry.path for entry in store.list("run")] == ["run/b/c.txt"]
    store.delete("run")
    store.delete("run")
    assert store.list("run") == []


def test_a_full_disk_is_a_passing_fault_and_leaves_the_old_file_whole(home: Path) -> None:
    store = Store(str(home / "store"))
    store.write("a.bin", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(PassingFault, match="disk space"):
            store.write("a.bin", bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.read("a.bin") == b"old"
    assert [path.name for path in (home / "store").iterdir()] == ["a.bin"]


def test_a_written_file_may_be_read_by_the_group_like_any_other(home: Path) -> None:
    store = Store(str(home / "store"))
    store.write("a.bin", b"x")
    (home / "plain").touch()
    assert stat.S_IMODE((home / "store" / "a.bin").stat().st_mode) == stat.S_IMODE((home / "plain").stat().st_mode)


def test_a_file_that_is_read_while_it_is_replaced_is_the_old_one_or_the_new(store: Store) -> None:
    store.write("ledger/consumer.json", b"0" * 95)
    with ThreadPoolExecutor(2) as writers, ThreadPoolExecutor(2) as readers:
        written = [writers.submit(store.write, "ledger/consumer.json", b"%d" % (k % 10) * 95) for k in range(200)]
        read = list(readers.map(lambda _: store.read("ledger/consumer.json"), range(200)))
    assert [one.result() for one in written] == [None] * 200
    assert all(len(content) == 95 and len(set(content)) == 1 for content in read)


def test_files_are_copied_to_this_machine_and_back_under_their_names(store: Store, tmp_path: Path) -> None:
    for path in ("a/one.json", "a/b/two.json", "three"):
        store.write(path, path.encode())
    store.copy_to(tmp_path / "copy", ["a/b/two.json", "three"])
    assert sorted(str(found.relative_to(tmp_path / "copy")) for found in (tmp_path / "copy").rglob("*")
                  if found.is_file()) == ["a/b/two.json", "three"]
    store.delete("")
    store.copy_from(tmp_path / "copy", ["a/b/two.json", "three"])
    assert {entry.path: store.read(entry.path) for entry in store.list("")} == {
        "a/b/two.json": b"a/b/two.json", "three": b"three"}
