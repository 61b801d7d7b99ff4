"""What a case of ``bad_files`` is, and the short ways to say the usual ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute
from lender import as_csv, as_parquet, consumer_loans, sba_loans, written

pc: Any = pyarrow.compute

PERSON = {"Name": "JANE Q PUBLIC", "City": "SPRINGFIELDTOWN", "Zip": "9998887776"}
TWO = sba_loans(PERSON, {**PERSON, "NoEmp": "7"})
Reason = tuple[int, str, str | None, str | None]  # row, rule, column, value


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file, and what must become of it.

    Attributes:
        item: what it is an example of. sent: the example, in words.
        content: its bytes; ``before`` are files that were ingested before it, by name.
        manifest: the sender's manifest beside it. open: whether its sender still has it open for writing.
        published: how many of its rows reach the lake; ``held``: how many the lake holds afterwards, if that is more.
        reasons: what stands in the quarantine of it; row 0 is the file as a whole.
        says: the message of a file that is refused whole, left alone or not waited for; numbers that vary are N.
        warns: the sentences told of a file that is published all the same.
        taken: whether landing shows it as a new file. again: whether its content was published before.
        note: what a reader should know besides.
    """

    item: str
    sent: str
    content: bytes
    name: str = "applications.csv"
    book: str = "sba"
    before: tuple[tuple[str, bytes], ...] = ()
    manifest: bytes | None = None
    open: bool = False
    limit: float = 1.0
    published: int = 0
    held: int | None = None
    reasons: tuple[Reason, ...] = ()
    says: str = ""
    warns: tuple[str, ...] = ()
    taken: bool = True
    again: bool = False
    note: str = ""

    @property
    def outcome(self) -> str:
        """What happens, in a word or two."""
        bad = len({row for row, *_ in self.reasons if row})
        if not self.taken:
            return "left alone"
        if self.again:
            return "taken once"
        if self.says:
            return "refused whole"
        if self.warns:
            return "published with a warning"
        return f"{bad} of {bad + self.published} rows quarantined" if bad else "published"


def normal(said: str) -> str:
    """A message without what differs from one machine or version of a library to the next."""
    said = re.sub(r"\d[\d,]* bytes", "N bytes", said)
    return re.sub(r"[0-9a-f]{64}", "N", said)


def manifest(content: bytes, **changes: object) -> bytes:
    """A sender's manifest of a file of two rows."""
    return json.dumps({"rows": 2, "sha256": hashlib.sha256(content).hexdigest(), **changes}).encode()


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def bomb_of_one_row() -> bytes:
    few = pa.Table.from_pylist(TWO[:1])
    repeated = pa.table({name: pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), 2**21),
                                                              few[name].combine_chunks()) for name in few.column_names})
    return written(repeated)


def without(column: str) -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != column} for row in TWO]


def renamed(old: str, new: str) -> bytes:
    return as_csv(TWO).replace(old.encode(), new.encode(), 1)


def read(item: str, sent: str, content: bytes, note: str = "") -> Case:
    """A file of two rows that is read as it was meant."""
    return Case(item=item, sent=sent, content=content, published=2, note=note)


def unreadable(item: str, sent: str, content: bytes, why: str, ending: str = "csv") -> Case:
    name = f"applications.{ending}"
    return Case(item=item, sent=sent, content=content, name=name, reasons=((0, "unreadable", None, None),),
                says=f"{name} cannot be read: {why} (got: N bytes). "
                     "Ask the lender to send it again, whole and in UTF-8.")


def span(first: int, last: int) -> tuple[Reason, ...]:
    """The rows of a record that runs over several lines."""
    return tuple((row, "malformed_row", None, f"lines {first + 1} to {last + 1}") for row in range(first, last + 1))


def stray(banks: dict[int, bytes]) -> bytes:
    """Eight rows without quotes but for the banks of some rows, by their number."""
    rows = as_csv(sba_loans(*[{**PERSON, "GrAppv": "60000", "SBA_Appv": "1000"}] * 8)).split(b"\r\n")
    return b"\r\n".join(line.replace(b"FIFTH", banks.get(row, b"FIFTH")) for row, line in enumerate(rows))


def misfit(item: str, sent: str, content: bytes, rule: str, columns: str, *help: str, shown: str = "",
           name: str = "applications.csv") -> Case:
    """A file that lacks columns, or has others."""
    cause = {"missing_column": "lacks a column of the contract", "duplicate_column": "has a column twice",
             "unknown_column": "has a column that the contract does not know"}[rule]
    return Case(item=item, sent=sent, content=content, name=name, reasons=((0, rule, columns, None),), says=" ".join(
        [f"{name} {cause} (got: {shown or columns}).", *help,
         "`tollgate contract show sba` lists the columns that it must have."]))


def layout(item: str, sent: str, content: bytes, says: str) -> Case:
    """A file whose names are there, but not where or how they should be."""
    return Case(item=item, sent=sent, content=content, reasons=((0, "missing_column", CONTRACT, None),), says=says)


def share(item: str, bad: int, good: int, says: str = "") -> Case:
    """A file of some rows of no state, under a limit of 2 %."""
    rows = sba_loans(*[{"State": "ZZ"}] * bad, good=good)
    whole = ((0, "bad_share", None, f"{bad} of {bad + good}"),) if says else ()
    return Case(item=item, sent=f"{bad} of {bad + good} rows of no state, limit 2 %", content=as_csv(rows), limit=0.02,
                published=0 if says else good, says=says,
                reasons=(*whole, *((row, "not_in_vocabulary", "state", "ZZ") for row in range(1, bad + 1))))


def unlike(item: str, sent: str, announced: bytes, rule: str, says: str) -> Case:
    """A file of two rows beside a manifest that is not its own."""
    return Case(item=item, sent=sent, content=CSV, manifest=announced, reasons=((0, rule, None, None),), says=says)


def no_file(item: str, name: str) -> Case:
    """A name that is not one of a whole file in landing."""
    return Case(item=item, sent=f"`{name}`", content=CSV, name=name, taken=False,
                says=f"That is not the name of a complete file in landing (got: {name}). "
                     "tollgate ingest list --book sba shows the files that are.")


def sba(item: str, sent: str, change: dict[str, str], *reason: str, note: str = "") -> Case:
    """Two applications of the sba book, the second with a cell changed: quarantined for ``reason``, or published.

    The reason is a rule, a column and, where it is not the cell itself, the value.
    """
    return changed(item, sent, sba_loans({}, change), reason, next(iter(change.values())), note, "sba")


def consumer(item: str, sent: str, change: dict[str, str], *reason: str) -> Case:
    """The same of the consumer book."""
    return changed(item, sent, consumer_loans({}, change), reason, next(iter(change.values())), "", "consumer")


def changed(item: str, sent: str, rows: list[dict[str, str]], reason: tuple[str, ...], cell: str, note: str,
             book: str) -> Case:
    reasons = ((2, reason[0], reason[1], (*reason, cell)[2]),) if reason else ()
    return Case(item=item, sent=sent, content=as_csv(rows), book=book, published=2 - len(reasons), reasons=reasons,
                note=note)


CSV, PARQUET = as_csv(TWO), as_parquet(TWO)
LINES = CSV.splitlines()
CONTRACT = ("LoanNr_ChkDgt, ApprovalDate, Name, City, Zip, State, Bank, BankState, NAICS, NoEmp, NewExist, CreateJob, "
            "RetainedJob, FranchiseCode, UrbanRural, RevLineCr, LowDoc, GrAppv, SBA_Appv, Term")
FIRST = "LoanNr_ChkDgt, ApprovalDate, Name, City, Zip, State, Bank, BankState, NAICS, NoEmp, NewExist and 9 more"
GAP = datetime(2006, 4, 2, 2, 30)
NO_PARQUET = "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file."
OF_STATE = ('State (state in the lake) holds "ZZ" in line 2; expected: one of AK, AL, AR, AZ, CA, CO, CT, DC, DE, FL, '
            "GA, HI, IA, ID, IL, IN, KS, KY, LA, MA, MD, ME, MI, MN, MO and 26 more. None of it is published. Mend "
            "these rows and land the file anew.")
ASK = "Ask the lender which of the two is right; once mended, `tollgate ingest file` judges the file again."
STILL = "Earlier as-ofs still see what they saw."


def outcomes(*told: tuple[str, str]) -> bytes:
    """A file of charge-offs: each loan, and the day."""
    return as_csv([{"LoanNr_ChkDgt": loan, "ChgOffDate": "2-Mar-07", "DefaultDate": day, "ChgOffPrinGr": "$5.00 "}
                   for loan, day in told])
