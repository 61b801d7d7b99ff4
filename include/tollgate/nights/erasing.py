"""Taking loans out of what nights have pinned and scored, so that what is left still is what its pin names."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.nights.attempts import CLAIM, Attempt, attempt_of
from tollgate.nights.files import FEATURES, SCORES, read_shard
from tollgate.nights.pins import Pin, read_pin, write_pin

LOAN = "loan_id"
ERASED = "(erased)"
Known = Callable[[str], Sequence[str]]           # of a file of the store: the digests it had in an erasure cut short
Replacing = Callable[[str, str, str], None]      # is told of a file, its digest and its next one, before it is written


def erase_from_nights(book: str, loans: Sequence[str], entities: Mapping[str, str], *, known: Known,
                      replacing: Replacing, dry_run: bool = False) -> tuple[dict[str, int], list[str]]:
    """Take these loans out of every file of every attempt of a book, and make pin and shards name what is left.

    Of a shard the record is written first and the applications last: whoever is killed between finds the loan there
    when it is run again, for the same loans.

    Args:
        entities: of each history, the column by which a loan finds its rows. What another loan finds too stays.

    Returns how many applications went, or would, by the attempt's key; and a sentence for all that was left as it is.

    Raises:
        PassingFault: the store did not answer.
    """
    store, gone, left = lake.Store(settings().store), {}, []
    attempts: dict[Attempt, list[str]] = {}
    for entry in store.list(f"nights/{book}"):
        folder, _, name = entry.path.removeprefix("nights/").rpartition("/")
        try:
            attempts.setdefault(attempt_of(folder), []).append(name)
        except BadInput:
            continue  # of no attempt
    for attempt, names in attempts.items():
        if "pin.json" in names:
            work = _Attempt(read_pin(attempt), loans, entities, known, replacing)
        else:  # killed before its pin, or tidied: nothing reads them
            work = _Attempt(None, loans, entities, known, replacing)
            stray = [name for name in names if name.endswith(".parquet")]
            count = sum(_count(attempt, name, loans) for name in stray if name.startswith("rows-"))
            if count:
                gone[str(attempt)] = count
                for name in stray if not dry_run else []:
                    store.delete(attempt.path(name))
        if work.pin is not None:
            count = work.erase(dry_run)
            if count:
                gone[str(attempt)] = count
            left += work.left
        for name in names:
            if name.endswith(".json") and name not in (CLAIM, "pin.json") and not name.startswith("shard-"):
                _forget(store, attempt.path(name), loans, dry_run)
    return gone, left


class _Attempt:
    """One attempt at work."""

    def __init__(self, pin: Pin | None, loans: Sequence[str], entities: Mapping[str, str], known: Known,
                 replacing: Replacing) -> None:
        self.pin, self.entities, self.known, self.replacing = pin, entities, known, replacing
        self.loans = pa.array(list(loans), pa.string())
        self.left: list[str] = []
        self.store = lake.Store(settings().store)

    def erase(self, dry_run: bool) -> int:
        """Take the loans out of every shard that holds some; how many there were."""
        assert self.pin is not None
        counts = {k: _count(self.pin.attempt, f"rows-{k}.parquet", self.loans.to_pylist())
                  for k in range(self.pin.shards) if f"rows-{k}.parquet" in self.pin.files}
        for k, count in counts.items():
            if count and not dry_run:
                self._shard(k)
        return sum(counts.values())

    def _shard(self, k: int) -> None:
        assert self.pin is not None
        pin, attempt, record = self.pin, self.pin.attempt, read_shard(self.pin.attempt, k)
        pinned = {name: pin.files[name] for name in
                  (*(f"history-{of}-{k}.parquet" for of in self.entities), f"rows-{k}.parquet") if name in pin.files}
        made = dict(record.files) if record else {}
        contents = {name: self.store.read(attempt.path(name)) for name in (*made, *pinned)}
        for name, digest in (made | pinned).items():
            found = hashlib.sha256(contents[name]).hexdigest()
            if found not in (digest, *self.known(attempt.path(name))):
                self.left.append(f"{name} of the night {attempt} is not what was pinned, and was left with all its "
                                 "shard: restore it from a backup and run this again, or delete the attempt's folder")
                return
        rows = {name: pq.read_table(io.BytesIO(content)) for name, content in contents.items()}
        loans = rows[f"rows-{k}.parquet"]
        stays = pc.invert(pc.is_in(loans[LOAN], value_set=self.loans))
        kept = loans.filter(stays)
        new = {}
        for name, table in rows.items():
            if name.startswith((f"{FEATURES}-", f"{SCORES}-")):
                if table.num_rows not in (loans.num_rows, kept.num_rows):
                    self.left.append(f"{name} of the night {attempt} has another number of rows than its applications: "
                                     "run this again for the same loans as the time that it was cut short")
                    return
                # What was cut off after this file has it without them already.
                new[name] = table.filter(stays) if table.num_rows == loans.num_rows else table
            elif name in pinned and name != f"rows-{k}.parquet":
                whose = self.entities[name.removeprefix("history-").removesuffix(f"-{k}.parquet")]
                new[name] = table.filter(pc.is_in(table[whose], value_set=kept[whose].combine_chunks()))
        new[f"rows-{k}.parquet"] = kept
        encoded = {name: _encoded(table) for name, table in new.items()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in encoded.items()}
        for name in encoded:
            self.replacing(attempt.path(name), hashlib.sha256(contents[name]).hexdigest(), digests[name])
        if record:
            self.store.write_json(attempt.path(f"shard-{k}.json"), {
                **asdict(record), "rows": kept.num_rows, "files": {name: digests[name] for name in made}})
        remaining = kept.num_rows + sum(
            _rows(attempt, f"rows-{other}.parquet") for other in range(pin.shards) if other != k)
        self.pin = replace(pin, rows=remaining, erased=pin.rows + pin.erased - remaining,
                           files={**pin.files, **{name: digests[name] for name in pinned}})
        write_pin(self.pin)
        for name, content in encoded.items():
            self.store.write(attempt.path(name), content)


def _encoded(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()


def _rows(attempt: Attempt, name: str) -> int:
    with lake.Store(settings().store).open(attempt.path(name)) as content:
        return int(pq.read_metadata(content).num_rows)


def _count(attempt: Attempt, name: str, loans: Sequence[str]) -> int:
    with lake.Store(settings().store).open(attempt.path(name)) as content:
        ids = pq.read_table(content, columns=[LOAN])[LOAN]
    return int(pc.sum(pc.is_in(ids, value_set=pa.array(list(loans), pa.string()))).as_py() or 0)


def named(text: str, loans: Sequence[str]) -> bool:
    """Whether one of the loans stands in a text, not as a part of a longer word or number."""
    return any(re.search(_word(loan), text) for loan in loans)


def unnamed(text: str, loans: Sequence[str]) -> str:
    """The text without the names of these loans; where ``named`` tells of none, the same."""
    for loan in loans:
        text = re.sub(_word(loan), ERASED, text)
    return text


def _word(loan: str) -> str:
    return rf"(?<![\w-]){re.escape(loan)}(?![\w-])"


def _forget(store: lake.Store, path: str, loans: Sequence[str], dry_run: bool) -> None:
    """Why an attempt was given up, or a shadow could not score, may name some loans."""
    record: Any = store.read_json(path)
    text = json.dumps(record, ensure_ascii=False)
    if named(text, loans) and not dry_run:
        store.write_json(path, json.loads(unnamed(text, loans)))


def recount(book: str, loans: Sequence[str]) -> None:
    """Let every publication that some of the loans stand in count what it is without them; again, it changes nothing.

    It comes before the loans go from the scores: whoever is killed between finds them there when it is run again.

    Raises:
        PassingFault: the lake did not answer.
    """
    wanted = pa.array(list(loans), pa.string())
    for table in (lake.scores(book), lake.superseded(book)):
        held = lake.read(table, columns=["day"], filters=[(LOAN, "in", list(loans))])["day"]
        for day in sorted(set(held.to_pylist())):
            rows = lake.read(table, columns=["population", "attempt", LOAN, "status", "decision"],
                             filters=[("day", "=", day)])
            gone = pc.is_in(rows[LOAN], value_set=wanted)
            theirs = rows.filter(gone)
            nights = set(zip(theirs["population"].to_pylist(), theirs["attempt"].to_pylist(), strict=True))
            left = rows.filter(pc.invert(gone)).group_by(
                ["population", "attempt", LOAN, "status", "decision"]).aggregate([])  # copied twice, counted once
            lake.change_partitions(lake.nights(book), [day], partial(_recounted, nights=nights, left=left))


def _recounted(published: pa.Table, nights: set[tuple[str, int]], left: pa.Table) -> pa.Table:
    lines = published.to_pylist()
    for line in lines:
        if (line["population"], line["attempt"]) in nights:
            mine = left.filter(pc.and_(pc.equal(left["population"], line["population"]),
                                       pc.equal(left["attempt"], line["attempt"])))
            refused = _equal(mine, "status", "refused")
            line |= {"rows": mine.num_rows, "refused": refused, "scored": mine.num_rows - refused,
                     "declined": _equal(mine, "decision", "decline")}
    return pa.Table.from_pylist(lines, schema=published.schema)


def _equal(rows: pa.Table, column: str, value: str) -> int:
    return int(pc.sum(pc.equal(rows[column], value)).as_py() or 0)
