from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollgate import lake, registry
from tollgate.config import settings
from tollgate.errors import BadInput, Refused

BOOK = "consumer"
Line = dict[str, Any]


def _tamper(change: Callable[[list[Line]], list[Line]]) -> None:
    """Write the table as someone with access to the files could."""
    from deltalake import write_deltalake

    table = lake.ledger(BOOK)
    lines = change(lake.read(table).to_pylist())
    write_deltalake(f"{settings().lake}/{BOOK}/ledger", pa.Table.from_pylist(lines, schema=table.schema),
                    mode="overwrite")


@pytest.fixture
def five(home: Path) -> Path:
    for k in range(1, 6):
        registry.record(BOOK, "note" if k % 2 else "remark", {"k": k, "who": "Ann Ó"})
    return home


def test_an_untouched_ledger_verifies(five: Path) -> None:
    entries = registry.entries(BOOK)
    assert [e["seq"] for e in entries] == [1, 2, 3, 4, 5]
    assert [e["payload"]["k"] for e in entries] == [1, 2, 3, 4, 5]
    assert registry.verify(BOOK) == {"book": BOOK, "entries": 5, "head": entries[-1]["digest"],
                                     "outside": None, "intact": True}


def test_an_empty_ledger_verifies(home: Path) -> None:
    assert registry.verify(BOOK)["entries"] == 0


@pytest.mark.parametrize("column,value", [("payload", '{"k":99}'), ("at", "2020-01-01"), ("kind", "promotion"),
                                          ("payload", "{torn"), ("payload", '{"model":"2"}'), ("previous", "0" * 64),
                                          ("digest", "f" * 64)])
def test_an_edited_line_is_named(five: Path, column: str, value: str) -> None:
    _tamper(lambda lines: [{**line, column: value} if line["seq"] == 3 else line for line in lines])
    with pytest.raises(Refused, match=r"line 3 .*was edited"):
        registry.verify(BOOK)


def test_decisions_of_a_broken_ledger_are_shown_with_a_warning(five: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert [line["seq"] for line in registry.decisions(BOOK)] == [5, 4, 3, 2, 1] and caplog.text == ""
    edited = {"at": "2020-01-01", "payload": '{"model":"2"}'}
    _tamper(lambda lines: [line | edited if line["seq"] == 3 else line for line in lines])
    assert registry.decisions(BOOK)[2]["at"] == "2020-01-01"
    assert "tampered with: line 3 (note) was edited" in caplog.text


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_a_dropped_line_is_named(five: Path, seq: int) -> None:
    _tamper(lambda lines: [line for line in lines if line["seq"] != seq])
    with pytest.raises(Refused, match=rf"line {seq} .*missing"):
        registry.verify(BOOK)


def test_dropping_every_line_is_found(five: Path) -> None:
    _tamper(lambda lines: [])
    with pytest.raises(Refused, match="line 5 was written and is missing"):
        registry.verify(BOOK)


def test_two_lines_that_changed_places_are_named(five: Path) -> None:
    swap = {2: 4, 4: 2}
    _tamper(lambda lines: [{**line, "seq": swap.get(line["seq"], line["seq"])} for line in lines])
    with pytest.raises(Refused, match=r"line 2 does not follow.*line 4 does not follow"):
        registry.verify(BOOK)


def test_a_doubled_line_is_named(five: Path) -> None:
    _tamper(lambda lines: [*lines, lines[2]])
    with pytest.raises(Refused, match="line 3 stands more than once"):
        registry.verify(BOOK)


def test_a_chain_rewritten_whole_is_found(five: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TOLLGATE_DATA", str(tmp_path / "forgery"))
        for k in range(1, 6):
            registry.record(BOOK, "note", {"k": -k})
        forged = lake.read(lake.ledger(BOOK)).to_pylist()
    _tamper(lambda lines: forged)
    with pytest.raises(Refused, match="line 5 is not the one that was written"):
        registry.verify(BOOK)


@pytest.mark.parametrize("pattern", ["_delta_log/*.json", "kind=*/*.parquet"], ids=["Delta's log", "the line's file"])
def test_a_torn_last_line_is_named_and_stops_every_decision(five: Path, pattern: str) -> None:
    newest = max((five / "lake" / BOOK / "ledger").glob(pattern), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    for touch in (lambda: registry.verify(BOOK), lambda: registry.record(BOOK, "note", {}),
                  lambda: registry.reject(BOOK, "1", by="ann")):
        with pytest.raises((Refused, BadInput), match="is torn"):
            touch()
    with pytest.raises(Refused, match="cannot be read .its last line was number 5.*Restore that file from a backup"):
        registry.verify(BOOK)


@pytest.mark.parametrize("pattern", ["_delta_log/*3.json", "_delta_log/*0.json", "kind=note/*.parquet"],
                         ids=["a commit", "the first commit", "a line's file"])
def test_a_file_that_was_removed_is_named_and_stops_every_decision(five: Path, pattern: str) -> None:
    next((five / "lake" / BOOK / "ledger").glob(pattern)).unlink()
    for touch in (lambda: registry.verify(BOOK), lambda: registry.reject(BOOK, "1", by="ann")):
        with pytest.raises(Refused, match=r"cannot be read .its last line was number 5.*is missing.*from a backup"):
            touch()


@pytest.mark.parametrize("content", ['{"seq": 5, "dig', "[]", "{}", '{"seq": "5", "digest": 5}'])
def test_a_torn_copy_of_the_last_digest_is_named(five: Path, content: str) -> None:
    (five / "store" / "ledger" / f"{BOOK}.json").write_text(content)
    with pytest.raises(Refused, match="last digest of the ledger of consumer.*cannot be read"):
        registry.verify(BOOK)


def test_a_copy_of_the_last_digest_that_was_removed_is_missed(five: Path) -> None:
    (five / "store" / "ledger" / f"{BOOK}.json").unlink()
    _tamper(lambda lines: lines[:-1])
    with pytest.raises(Refused, match=r"the digest of its last line, kept in .*consumer.json, is missing"):
        registry.verify(BOOK)


def test_lines_of_another_ledger_are_named(five: Path) -> None:
    registry.record("sba", "rejected", {"model": {"book": "sba"}})
    foreign = lake.read(lake.ledger("sba")).to_pylist()[0]
    _tamper(lambda lines: [*lines[:2], {**foreign, "seq": 3}, *lines[3:]])
    with pytest.raises(Refused, match="line 3 does not follow .*line 3 is of the book sba"):
        registry.verify(BOOK)


def test_a_name_that_is_no_text_is_bad_input(home: Path) -> None:
    with pytest.raises(BadInput, match=r"keeps text alone .got: .*udcff.*UTF-8"):
        registry.record(BOOK, "note", {"by": "ann\udcff"})
    assert registry.entries(BOOK) == []


def test_no_decision_rests_on_a_broken_ledger(five: Path) -> None:
    _tamper(lambda lines: lines[1:])
    with pytest.raises(Refused, match="tampered"):
        registry.champion_on(BOOK, date(2007, 1, 1))


def test_writers_at_once_make_one_chain(anywhere: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: registry.record(BOOK, "note", {"k": k}), range(8)))
    assert registry.verify(BOOK)["entries"] == 8
    assert sorted(e["payload"]["k"] for e in registry.entries(BOOK)) == list(range(8))
