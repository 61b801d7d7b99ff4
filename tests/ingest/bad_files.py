"""Every bad file that a lender's systems were seen or feared to send, and what becomes of it.

The list is data: ``test_bad_files`` brings each file and holds what happens against what stands here, and
``docs/make.py`` renders ``docs/bad-files.md`` from it.
"""

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
from lender import as_csv, as_json_lines, as_parquet, consumer_loans, sba_loans, written

from tollgate.books.consumer import APPLICATIONS, simulate

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
    said = re.sub(r"[0-9a-f]{64}", "N", said)
    return re.sub(r"must be LoanNr_ChkDgt, .*; CSV", "must be ...; CSV", said)


def manifest(content: bytes, **changes: object) -> bytes:
    """A sender's manifest of a file of two rows."""
    return json.dumps({"rows": 2, "sha256": hashlib.sha256(content).hexdigest(), **changes}).encode()


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _bomb_of_one_row() -> bytes:
    few = pa.Table.from_pylist(TWO[:1])
    repeated = pa.table({name: pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), 2**21),
                                                              few[name].combine_chunks()) for name in few.column_names})
    return written(repeated)


def _without(column: str) -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != column} for row in TWO]


def _renamed(old: str, new: str) -> bytes:
    return as_csv(TWO).replace(old.encode(), new.encode(), 1)


def _read(item: str, sent: str, content: bytes, note: str = "") -> Case:
    """A file of two rows that is read as it was meant."""
    return Case(item=item, sent=sent, content=content, published=2, note=note)


def _unreadable(item: str, sent: str, content: bytes, why: str, ending: str = "csv") -> Case:
    name = f"applications.{ending}"
    return Case(item=item, sent=sent, content=content, name=name, reasons=((0, "unreadable", None, None),),
                says=f"{name} cannot be read: {why} (got: N bytes). "
                     "Ask the lender to send it again, whole and in UTF-8.")


def _misfit(item: str, sent: str, content: bytes, rule: str, columns: str, name: str = "applications.csv") -> Case:
    cause = {"missing_column": "lacks a column of the contract", "duplicate_column": "has a column twice",
             "unknown_column": "has a column that the contract does not know"}[rule]
    return Case(item=item, sent=sent, content=content, name=name, reasons=((0, rule, columns, None),),
                says=f"{name} {cause} (got: {columns}). Its columns must be ...; CSV cells are separated by commas.")


def _share(item: str, bad: int, good: int, says: str = "") -> Case:
    """A file of some rows of no state, under a limit of 2 %."""
    rows = sba_loans(*[{"State": "ZZ"}] * bad, good=good)
    whole = ((0, "bad_share", None, f"{bad} of {bad + good}"),) if says else ()
    return Case(item=item, sent=f"{bad} of {bad + good} rows of no state, limit 2 %", content=as_csv(rows), limit=0.02,
                published=0 if says else good, says=says,
                reasons=(*whole, *((row, "not_in_vocabulary", "state", "ZZ") for row in range(1, bad + 1))))


def _unlike(item: str, sent: str, announced: bytes, rule: str, says: str) -> Case:
    """A file of two rows beside a manifest that is not its own."""
    return Case(item=item, sent=sent, content=CSV, manifest=announced, reasons=((0, rule, None, None),), says=says)


def _no_file(item: str, name: str) -> Case:
    """A name that is not one of a whole file in landing."""
    return Case(item=item, sent=f"`{name}`", content=CSV, name=name, taken=False,
                says=f"That is not the name of a complete file in landing (got: {name}). "
                     "tollgate ingest list --book sba shows the files that are.")


def _sba(item: str, sent: str, change: dict[str, str], *reason: str, note: str = "") -> Case:
    """Two applications of the sba book, the second with a cell changed: quarantined for ``reason``, or published.

    The reason is a rule, a column and, where it is not the cell itself, the value.
    """
    return _changed(item, sent, sba_loans({}, change), reason, next(iter(change.values())), note, "sba")


def _consumer(item: str, sent: str, change: dict[str, str], *reason: str) -> Case:
    """The same of the consumer book."""
    return _changed(item, sent, consumer_loans({}, change), reason, next(iter(change.values())), "", "consumer")


def _changed(item: str, sent: str, rows: list[dict[str, str]], reason: tuple[str, ...], cell: str, note: str,
             book: str) -> Case:
    reasons = ((2, reason[0], reason[1], (*reason, cell)[2]),) if reason else ()
    return Case(item=item, sent=sent, content=as_csv(rows), book=book, published=2 - len(reasons), reasons=reasons,
                note=note)


CSV, PARQUET = as_csv(TWO), as_parquet(TWO)
LINES = CSV.splitlines()
CONTRACT = ("LoanNr_ChkDgt, ApprovalDate, Name, City, Zip, State, Bank, BankState, NAICS, NoEmp, NewExist, CreateJob, "
            "RetainedJob, FranchiseCode, UrbanRural, RevLineCr, LowDoc, GrAppv, SBA_Appv, Term")
GAP = datetime(2006, 4, 2, 2, 30)
NO_PARQUET = "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file."
ASK = "Ask the lender which of the two is right; once mended, `tollgate ingest file` judges the file again."

WHOLE_FILES = (
    _unreadable("empty file", "no byte", b"", "it is empty"),
    _unreadable("empty file", "gzip of two blank lines", _packed(b"\r\n\r\n"), "it is empty", "csv.gz"),
    Case(item="header only", sent="the names of the columns and nothing else", content=LINES[0],
         note="No rows are received, published and quarantined."),
    _share("zero valid rows", 2, 0, "applications.csv is refused whole: 2 of its 2 rows are bad, more than 2.0%: "
           "2 not_in_vocabulary in state (got: 100.0%). None of it is published. Mend these rows and land the file "
           "anew."),
    _unreadable("truncated Parquet", "the first half of the file", PARQUET[:len(PARQUET) // 2], NO_PARQUET, "parquet"),
    _unreadable("torn footer", "Parquet without its last 6 bytes", PARQUET[:-6], NO_PARQUET, "parquet"),
    _unreadable("torn footer", "Parquet that claims a footer of 2 GiB", PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1",
                "Parquet file size is N bytes, smaller than the size reported by footer's (2147483647bytes)",
                "parquet"),
    _unreadable("truncated gzip", "gzip without its last 12 bytes", _packed(CSV)[:-12], "its gzip stream breaks off",
                "csv.gz"),
    _unreadable("truncated gzip", "gzip with another checksum", _packed(CSV)[:-8] + bytes(8),
                "it is not gzip, or was damaged on its way", "csv.gz"),
    _unreadable("zip bomb", "80 MiB of commas in 80 kB of gzip", _packed(CSV + (b"," * 2**20 + b"\n") * 80),
                "it unpacks to more than 64 MiB", "csv.gz"),
    _unreadable("zip bomb", "Parquet of one row, two million times", _bomb_of_one_row(),
                "it unpacks to more than 64 MiB", "parquet"),
    _misfit("wrong delimiter", "semicolons", CSV.replace(b",", b";"), "missing_column", CONTRACT),
    _read("BOM", "UTF-8 with a byte order mark", b"\xef\xbb\xbf" + CSV),
    _unreadable("UTF-16", "UTF-16 with a byte order mark", CSV.decode().encode("utf-16"),
                "it is UTF-16 or no text, not UTF-8"),
    _unreadable("mixed encodings", "one bank spelled in Latin-1", CSV.replace(b"FIFTH", b"CAF\xc9", 1),
                "In CSV column #5: Row #2: CSV conversion error to string: invalid UTF8 data"),
    _read("mixed encodings", "one name spelled in Latin-1", CSV.replace(b"JANE", b"REN\xc9", 1),
          "A personal column is not read."),
    _read("CRLF", "lines ended by CRLF", CSV),
    _read("CRLF", "lines ended by LF", CSV.replace(b"\r\n", b"\n")),
    _read("embedded newlines and quotes", 'a bank called `FIRST, "THIRD"` and, on a line of its own, `BANK`',
          as_csv(sba_loans({"Bank": 'FIRST, "THIRD"\r\nBANK'}, {}))),
    Case(item="embedded newlines and quotes", sent="a quote that the row does not close",
         content=CSV.replace(b"FIFTH THIRD", b'"FIFTH', 1), published=1, reasons=((1, "malformed_row", None, None),)),
    Case(item="torn row", sent="a row of one cell too many", content=CSV.rstrip() + b",7\r\n", published=1,
         reasons=((2, "malformed_row", None, None),)),
    _misfit("duplicate columns", "`NoEmp` in the place of `CreateJob`", _renamed("CreateJob", "NoEmp"),
            "missing_column", "CreateJob"),
    _misfit("duplicate columns",
            "`NoEmp` once more", b"\r\n".join([LINES[0] + b",NoEmp", *(x + b",4" for x in LINES[1:])]),
            "duplicate_column", "NoEmp"),
    _misfit("missing column", "no `GrAppv`", as_csv(_without("GrAppv")), "missing_column", "GrAppv"),
    _misfit("missing column", "no `Name`, which is not even read", as_csv(_without("Name")), "missing_column", "Name"),
    _misfit("extra column", "one more, `Rating`", as_csv([{**row, "Rating": "A"} for row in TWO]), "unknown_column",
            "Rating"),
    _read("reordered columns", "the last column first", as_csv([dict(reversed(row.items())) for row in TWO])),
    _misfit("renamed column", "`Employees` for `NoEmp`", _renamed("NoEmp", "Employees"), "missing_column", "NoEmp"),
    _misfit("newer schema version", "JSON lines with `schema_version` and a new field",
            as_json_lines([{**row, "schema_version": 2, "Lender": "X"} for row in TWO]), "unknown_column",
            "schema_version, Lender", "applications.jsonl"),
    _misfit("label among the applications", "`MIS_Status` beside the others",
            as_csv([{**row, "MIS_Status": "P I F"} for row in TWO]), "unknown_column", "MIS_Status"),
    _share("bad share exactly at the limit", 2, 98),
    _share("bad share above the limit", 3, 97, "applications.csv is refused whole: 3 of its 100 rows are bad, more "
           "than 2.0%: 3 not_in_vocabulary in state (got: 3.0%). None of it is published. Mend these rows and land the "
           "file anew."),
)

ARRIVALS = (
    _no_file("`.part` file", "applications.csv.part"),
    _no_file("half-uploaded file", "applications.csv.tmp"),
    _no_file("half-uploaded file", ".applications.csv"),
    Case(item="half-uploaded file", sent="a file that its sender still has open", content=CSV, open=True, taken=False,
         says="The file is still being written (got: applications.csv). Run it again once it is whole."),
    _no_file("path with `..`", "../applications.csv"),
    Case(item="name of no table", sent="`loans.csv`", content=CSV, name="loans.csv",
         reasons=((0, "file_name", None, None),),
         says="A landed file is called applications... or outcomes..., and ends with .csv, .csv.gz, .jsonl, .jsonl.gz, "
              ".parquet (got: loans.csv). Rename it."),
    _unlike("hash unlike the manifest", "the manifest of another file", manifest(b"another"), "manifest_hash",
            f"applications.csv is not the file that its manifest describes (got: SHA-256 N, announced N). {ASK}"),
    _unlike("manifest that announces more rows", "2 rows, 3 announced", manifest(CSV, rows=3), "manifest_rows",
            f"applications.csv does not hold as many rows as its manifest says (got: 2 rows, announced 3). {ASK}"),
    _unlike("manifest that is none", "no JSON", b"JANE Q PUBLIC", "manifest", "applications.csv.manifest.json is no "
            'manifest (got: N bytes). It must be {"rows": 1200, "sha256": "the file\'s SHA-256 in hex"}.'),
    Case(item="manifest that arrives after its file", sent="a manifest of 3 rows, once the file's 2 are published",
         content=CSV, before=(("applications.csv", CSV),), manifest=manifest(CSV, rows=3), again=True, held=2,
         note="The manifest goes first; one that comes later changes nothing that is published."),
    Case(item="yesterday's file renamed", sent="the same bytes under another name", content=CSV,
         name="applications_today.csv", before=(("applications_yesterday.csv", CSV),), again=True, held=2),
    Case(item="late file", sent="a loan of February when March is published",
         content=as_csv(sba_loans({}, start=9)), name="applications_late.csv", published=1, held=2,
         before=(("applications_2006-03.csv", as_csv(sba_loans({"ApprovalDate": "1-Mar-06"}))),)),
    Case(item="duplicate ids inside a partition", sent="one loan number in two rows of a file", published=1,
         content=as_csv(sba_loans({}, {"LoanNr_ChkDgt": "0000000001"})),
         reasons=((2, "duplicate", "loan_id", "0000000001"),)),
    Case(item="duplicate ids across partitions", sent="a loan of February, again in March",
         content=as_csv(sba_loans({"ApprovalDate": "1-Mar-06"})), name="applications_2006-03.csv", published=1, held=1,
         before=(("applications_2006-02.csv", as_csv(sba_loans({}))),),
         note="The later file wins; the row of February goes in the same commit."),
)

CELLS = (
    Case(item="int as float as text", sent='`4.0` and `"4"` employees in JSON', name="applications.jsonl",
         content=as_json_lines([{**row, "NoEmp": cell} for row, cell in zip(TWO, (4.0, "4"), strict=True)]),
         published=2),
    _sba("int as float as text", "`4.5` employees", {"NoEmp": "4.5"}, "not_an_integer", "employees"),
    _sba("leading-zero ids", "`0000000002` in CSV", {"LoanNr_ChkDgt": "0000000002"},
         note="Kept as text, zeros and all."),
    _consumer("negative income", "`-1.00`", {"annual_income": "-1.00"}, "below_minimum", "annual_income"),
    _consumer("0", "an income of `0`", {"annual_income": "0"}, "below_minimum", "annual_income"),
    _sba("NaN", "`NaN` for an amount", {"GrAppv": "NaN"}, "required", "approved",
         note="NaN is a missing number; where one may be missing, it is published as missing."),
    _sba("infinity", "`inf` for an amount", {"GrAppv": "inf"}, "not_finite", "approved"),
    _sba("infinity", "`1e999` for an amount", {"GrAppv": "1e999"}, "not_finite", "approved"),
    _sba("1e308", "`1e308` for an amount", {"GrAppv": "1e308"}, "above_maximum", "approved"),
    _consumer("sentinel 365243", "`365243` years employed", {"employment_years": "365243"}, "above_maximum",
              "employment_years"),
    _sba("sentinel 999999", "`999999` employees", {"NoEmp": "999999"}, "above_maximum", "employees",
         note="Where 999999 lies within the bounds, the book's `recode` says that it means missing."),
    _consumer("rate as 0-1", "a debt-to-income ratio of `0.35`", {"debt_to_income_ratio": "0.35"}),
    _consumer("rate as 0-100", "a debt-to-income ratio of `35`", {"debt_to_income_ratio": "35"}, "above_maximum",
              "debt_to_income_ratio"),
    _sba("decimal comma", "`60000,00`", {"GrAppv": "60000,00"}, "not_a_number", "approved"),
    _sba("decimal comma", "`60.000,00`", {"GrAppv": "60.000,00"}, "not_a_number", "approved"),
    _sba("thousands separators", "`$60,000.00 `", {"GrAppv": "$60,000.00 "}),
    _sba("thousands separators", "`60,00,000`", {"GrAppv": "60,00,000"}, "not_a_number", "approved"),
    *(Case(item=item, sent=sent, content=as_csv(sba_loans({}, {"ApprovalDate": day})), published=1,
           reasons=tuple((2, rule, "applied_on", day) for rule in ("above_maximum", "from_the_future")))
      for item, sent, day in (("future date", "an approval in 2060", "28-Feb-60"),
                              ("two-digit year", "`28-Feb-67`, which is read as 2067", "28-Feb-67"))),
    _sba("two-digit year", "`28-Feb-69`, which is read as 1969", {"ApprovalDate": "28-Feb-69"}, "below_minimum",
         "applied_on"),
    _sba("leap day", "29 February 2004", {"ApprovalDate": "29-Feb-04"}),
    _sba("leap day", "29 February 2006", {"ApprovalDate": "29-Feb-06"}, "not_a_date", "applied_on"),
    Case(item="daylight-saving gap", sent="02:30 on 2 April 2006, which no clock in New York showed, in Parquet",
         content=as_parquet([{**row, "application_date": GAP} for row in consumer_loans({}, {})]),
         name="applications.parquet", book="consumer", published=2, note="The day counts, and there is such a day."),
    _sba("unseen category", "the state `ZZ`", {"State": "ZZ"}, "not_in_vocabulary", "state"),
    _sba("spreadsheet formula in a text cell", "a bank called `=HYPERLINK(\"http://x\")`",
         {"Bank": '=HYPERLINK("http://x")'}, "formula", "bank"),
    _sba("spreadsheet formula in a text cell", "a bank called `-2+3+cmd|' /C calc'!A0`",
         {"Bank": "-2+3+cmd|' /C calc'!A0"}, "formula", "bank"),
    _sba("spreadsheet formula in a text cell", "a bank called `-`", {"Bank": "-"},
         note="A dash alone, or a signed number, is no formula."),
    _sba("personal data in free text", "an e-mail address for a bank", {"Bank": "ask jane@example.com"},
         "personal_data", "bank", "(masked: an e-mail address)"),
    _sba("personal data in free text", "a social security number for a bank", {"Bank": "SSN 078-05-1120"},
         "personal_data", "bank", "(masked: a social security number)"),
    _sba("personal data in free text", "a telephone number for a bank", {"Bank": "call (555) 010-0199"},
         "personal_data", "bank", "(masked: a phone number)"),
    _sba("personal data in free text", "a card number for a bank", {"Bank": "4111 1111 1111 1111"}, "personal_data",
         "bank", "(masked: a card number)"),
    _sba("personal data in free text", "an e-mail address for a number of employees", {"NoEmp": "jane@example.com"},
         "not_an_integer", "employees", "(masked: an e-mail address)"),
)

# Five months of 200 loans each, and what the file of the sixth looks like when something went wrong with it.
MONTHS = simulate(seed=1, rows_a_month=200, first_month="2006-08", last_month="2007-01").select(
    [c.source for c in APPLICATIONS])
BEFORE, SIXTH = MONTHS.slice(0, 1000), MONTHS.slice(1000)
FIVE_BANKS = [loan for start, month in ((1, "Jan-06"), (201, "Feb-06"), (401, "Mar-06"), (601, "Apr-06"))
              for loan in sba_loans(*({"Bank": f"BANK {i % 5}", "ApprovalDate": f"{i % 28 + 1}-{month}"}
                                      for i in range(200)), start=start)]
MANY_BANKS = sba_loans(*({"Bank": f"NEW BANK {i}", "ApprovalDate": "3-May-06"} for i in range(200)), start=801)


def _sixth(item: str, sent: str, change: pa.Table, **becomes: Any) -> Case:
    """A month that comes after five ordinary ones, held against them."""
    return Case(item=item, sent=sent, content=written(change), name="applications_2007-01.parquet", book="consumer",
                before=(("applications_2006.parquet", written(BEFORE)),), held=1000 + becomes.get("published", 0),
                **becomes)


def _with(column: str, cells: pa.Array) -> pa.Table:
    return SIXTH.set_column(SIXTH.schema.get_field_index(column), column, cells)


NAMED = "applications_2007-01.parquet is refused whole:"
MAYBE = ("None of it is published. Ask the lender; if it is right all the same, raise the limit in params.yaml and run "
         "`tollgate ingest file` again.")
CENTS = pc.multiply(SIXTH["annual_income"], 100.0)
TOO_HIGH = tuple((row, "above_maximum", "annual_income", f"{income:.0f}")
                 for row, income in enumerate(CENTS.to_pylist(), start=1) if income > 5_000_000)

SURPRISES = (
    _sixth("ten times the rows", "2,000 loans after months of 200", pa.concat_tables([SIXTH] * 10).set_column(
        0, "loan_id", pa.array([f"T{i}" for i in range(2000)])), reasons=((0, "row_count", None, "10"),),
        says=f"{NAMED} 2007-01 has 2,000 rows, 10.0 times the largest of the 5 months before (200; limit 5 times) "
             f"(got: 10). {MAYBE}"),
    _sixth("all-null column", "no income in any row", _with("annual_income", pa.nulls(200, pa.float64())),
           reasons=((0, "null_share", "annual_income", "1"),),
           says=f"{NAMED} annual_income is empty in 100.0% of the rows, 0.0% in the months before (limit 50% more) "
                f"(got: 1). {MAYBE}"),
    _sixth("constant column", "every loan from the same state", _with("state", pa.repeat("CA", 200)), published=200,
           warns=("state is CA in every one of 200 rows, in 12.8% of the months before.",)),
    _sixth("cents for dollars", "incomes a hundred times as high, limit 2 %", _with("annual_income", CENTS), limit=0.02,
           reasons=((0, "bad_share", None, f"{len(TOO_HIGH)} of 200"), *TOO_HIGH),
           says=f"{NAMED} {len(TOO_HIGH)} of its 200 rows are bad, more than 2.0%: {len(TOO_HIGH)} above_maximum in "
                f"annual_income (got: {len(TOO_HIGH) / 200:.1%}). None of it is published. Mend these rows and land "
                "the file anew."),
    _sixth("dollars for hundreds", "incomes a hundredth, which is within the bounds", _with(
        "annual_income", pc.divide(SIXTH["annual_income"], 100.0)), published=200,
        warns=("The median of annual_income is 525.5, 0.009915 times that of the months before (53,000): another unit?",
               )),
    Case(item="category explosion", sent="a bank of its own in every row, after months of five banks",
         content=as_csv(MANY_BANKS), name="applications_2006-05.csv", published=200, held=1000,
         before=(("applications_2006-01_2006-04.csv", as_csv(FIVE_BANKS)),),
         warns=("100.0% of the rows carry one of 200 values of bank that the months before did not; 0.0% were to be "
                "expected (limit 10% more).",)),
)

CASES = (*WHOLE_FILES, *ARRIVALS, *CELLS, *SURPRISES)
