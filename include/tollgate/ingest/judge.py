"""Judging a file: which of its rows are good, which rule each of the others breaks, and whether it is fit as a whole.

Nothing is written here, so that the same judgement serves ingesting and a check beforehand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate.config import Ingest
from tollgate.errors import Refused
from tollgate.ingest.contract import check
from tollgate.ingest.files import Raw, Unfit, read_file, table_of
from tollgate.ingest.manifest import MANIFEST, read_manifest
from tollgate.ingest.parse import parse

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute
PUBLISHED, REFUSED = "published", "refused"
MALFORMED = "malformed_row"


@dataclass(frozen=True)
class Judgement:
    """What the contract says of a file.

    Attributes:
        raw: its rows as the lender spelled them.
        good: the rows that break no rule, under the lake's names and types.
        broken: ``REASONS`` of the others, but for the malformed ones, which are in ``raw.malformed``.
        refused: why the file is refused whole all the same, or None.
    """

    raw: Raw
    good: pa.Table
    broken: pa.Table
    refused: Refused | None

    @property
    def bad(self) -> int:
        """How many rows are not good."""
        return self.raw.received - int(self.good.num_rows)


def take_in(book: Book, name: str, content: bytes, manifest: bytes | None) -> Raw:
    """The rows of a file that is what its sender's manifest says; without a manifest, whatever it holds.

    Raises:
        Unfit: it is not, or it cannot be read, or its columns are not those of the contract.
    """
    if manifest is None:
        return read_file(book, name, content)
    said = read_manifest(name, manifest)
    said.check_content(name, content)
    raw = read_file(book, name, content)
    said.check_rows(name, raw)
    return raw


def judge(book: Book, name: str, raw: Raw, params: Ingest) -> Judgement:
    """Hold a file's rows against the contract.

    Raises:
        Unfit: a column has a type that its kind cannot be read from.
    """
    rows, unread = parse(book.columns(table_of(name)), raw.rows)
    broken = check(book, table_of(name), rows, unread)
    good = rows.filter(pc.invert(pc.is_in(pa.array(range(rows.num_rows), pa.int64()), value_set=broken["row"])))
    bad, refused = raw.received - good.num_rows, None
    if bad > params.bad_share_max * raw.received:
        tally = ", ".join(f"{rows:,} {rule} in {column}" if column else f"{rows:,} {rule}"
                          for (rule, column), rows in _tally(raw, broken))
        refused = Refused(f"{name} is refused whole: {bad:,} of its {raw.received:,} rows are bad, "
                          f"more than {params.bad_share_max:.1%}: {tally}", value=f"{bad / raw.received:.1%}",
                          remedy="None of it is published. Mend these rows and land the file anew.")
    return Judgement(raw, good, broken, refused)


@dataclass(frozen=True)
class Check:
    """What ingesting a file would answer."""

    book: str
    file: str
    received: int
    good: int
    reasons: list[dict[str, Any]]
    refused: Refused | None

    def answer(self) -> dict[str, Any]:
        """``{"book", "file", "table", "received", "good", "bad", "reasons", "verdict"}``."""
        return {"book": self.book, "file": self.file, "table": table_of(self.file), "received": self.received,
                "good": self.good, "bad": self.received - self.good, "reasons": self.reasons,
                "verdict": PUBLISHED if self.refused is None else REFUSED}


def check_file(book: Book, path: Path, params: Ingest) -> Check:
    """Judge a file on this machine's disk, with the manifest beside it if there is one, touching nothing.

    What the lake holds is not looked at: content that was published before is judged like any other. The reasons are
    ``{"rule", "column", "rows"}``, the most frequent first; a file that cannot be judged row by row has one, of no
    rows.

    Raises:
        BadInput: a name that says no table.
    """
    table_of(path.name)
    beside = path.with_name(path.name + MANIFEST)
    raw: Raw | None = None
    try:
        raw = take_in(book, path.name, path.read_bytes(), beside.read_bytes() if beside.is_file() else None)
        found = judge(book, path.name, raw, params)
    except Unfit as err:
        reason = {"rule": err.rule, "column": err.column, "rows": 0}
        return Check(book.name, path.name, 0 if raw is None else raw.received, 0, [reason], err)
    reasons = [{"rule": rule, "column": column, "rows": rows} for (rule, column), rows in _tally(raw, found.broken)]
    return Check(book.name, path.name, raw.received, int(found.good.num_rows), reasons, found.refused)


def _tally(raw: Raw, broken: pa.Table) -> list[tuple[tuple[str, str | None], int]]:
    """How many rows break each rule of each column, the most frequent first."""
    counts = Counter(zip(broken["rule"].to_pylist(), broken["column"].to_pylist(), strict=True))
    counts.update([(MALFORMED, None)] * len(raw.malformed))
    return counts.most_common()
