"""Every bad file that a lender's systems were seen or feared to send, and what becomes of it.

The list is data: ``test_bad_files`` brings each file and holds what happens against what stands here, and
``docs/make.py`` renders ``docs/bad-files.md`` from it.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute
from lender import as_csv, as_json_lines, as_parquet, consumer_loans, sba_loans, written
from tests.ingest.bad_file import (
    ASK,
    CONTRACT,
    CSV,
    FIRST,
    GAP,
    LINES,
    NO_PARQUET,
    OF_STATE,
    PARQUET,
    STILL,
    TWO,
    Case,
    bomb_of_one_row,
    consumer,
    layout,
    manifest,
    misfit,
    no_file,
    outcomes,
    packed,
    read,
    renamed,
    sba,
    share,
    span,
    stray,
    unlike,
    unreadable,
    without,
)

from tollgate.books.shipped.consumer import APPLICATIONS, simulate

pc: Any = pyarrow.compute
NEEDLESS = "Its source in the book may name columns that nobody needs (ignored)."

WHOLE_FILES = (
    unreadable("empty file", "no byte", b"", "it is empty"),
    unreadable("empty file", "gzip of two blank lines", packed(b"\r\n\r\n"), "it is empty", "csv.gz"),
    Case(item="header only", sent="the names of the columns and nothing else", content=LINES[0],
         note="No rows are received, published and quarantined."),
    share("zero valid rows", 2, 0, "applications.csv is refused whole: 2 of its 2 rows are bad, more than 2.0%: "
           "2 not_in_vocabulary in state (got: 100.0%). " + OF_STATE),
    unreadable("empty file", "a byte order mark alone", b"\xef\xbb\xbf", "it is empty"),
    unreadable("empty file", "a byte order mark and blank lines", b"\xef\xbb\xbf\r\n \r\n", "it is empty"),
    unreadable("truncated Parquet", "the first half of the file", PARQUET[:len(PARQUET) // 2], NO_PARQUET, "parquet"),
    unreadable("torn footer", "Parquet without its last 6 bytes", PARQUET[:-6], NO_PARQUET, "parquet"),
    unreadable("torn footer", "Parquet that claims a footer of 2 GiB", PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1",
                "Parquet file size is N bytes, smaller than the size reported by footer's (2147483647bytes)",
                "parquet"),
    unreadable("truncated gzip", "gzip without its last 12 bytes", packed(CSV)[:-12], "its gzip stream breaks off",
                "csv.gz"),
    unreadable("truncated gzip", "gzip with another checksum", packed(CSV)[:-8] + bytes(8),
                "it is not gzip, or was damaged on its way", "csv.gz"),
    unreadable("zip bomb", "80 MiB of commas in 80 kB of gzip", packed(CSV + (b"," * 2**20 + b"\n") * 80),
                "it unpacks to more than 64 MiB", "csv.gz"),
    unreadable("zip bomb", "Parquet of one row, two million times", bomb_of_one_row(),
                "it unpacks to more than 64 MiB", "parquet"),
    *(layout("wrong delimiter", word, CSV.replace(b",", letter),
              f"The cells of applications.csv are separated by {word}, not by commas. Save it with commas between the "
              f"cells, or say delimiter={letter.decode()!r} in the reader of its source in the book.")
      for word, letter in (("semicolons (;)", b";"), ("tabs", b"\t"), ("bars (|)", b"|"))),
    layout("a title above the names", "`Loans of February` and a blank line first",
            b"Loans of February\r\n\r\n" + CSV, "applications.csv does not begin with the names of its columns: line 1 "
            "is a title. The names stand in line 3: delete the lines above it, or say skip_top=2 in the reader of its "
            "source in the book."),
    misfit("no names", "the rows alone", b"\r\n".join(LINES[1:]), "missing_column", CONTRACT,
            "Line 1 must hold the names of the columns, separated by commas; where the lender sends none, the reader "
            "of its source in the book gives them (names).", shown=FIRST),
    misfit("names in another case", "`loannr_chkdgt` and `No Emp`",
            renamed("LoanNr_ChkDgt", "loannr_chkdgt").replace(b"NoEmp", b"No Emp"), "missing_column",
            "LoanNr_ChkDgt, NoEmp", "Differs only in case, blanks or unseen characters: `loannr_chkdgt` must be "
            "`LoanNr_ChkDgt`, `No Emp` must be `NoEmp`."),
    misfit("trailing comma", "a comma at the end of every line", CSV.replace(b"\r\n", b",\r\n"), "unknown_column",
            "(no name)",
            'Line 1 ends with a comma too many: ignored=("",) in its source in the book leaves it unread.'),
    read("BOM", "UTF-8 with a byte order mark", b"\xef\xbb\xbf" + CSV),
    unreadable("UTF-16", "UTF-16 with a byte order mark", CSV.decode().encode("utf-16"),
                "it is UTF-16 or no text, not UTF-8"),
    unreadable("mixed encodings", "one bank spelled in Latin-1", CSV.replace(b"FIFTH", b"CAF\xc9", 1),
                "line 2 is not UTF-8 in the column Bank"),
    read("mixed encodings", "one name spelled in Latin-1", CSV.replace(b"JANE", b"REN\xc9", 1),
          "A personal column is not read."),
    read("CRLF", "lines ended by CRLF", CSV),
    read("CRLF", "lines ended by LF", CSV.replace(b"\r\n", b"\n")),
    read("embedded quotes", 'a bank called `FIRST, "THIRD" BANK`, quoted', as_csv(sba_loans(
        {"Bank": 'FIRST, "THIRD" BANK'}, {}))),
    read("embedded quotes", 'a bank called `5" PIPE BANK`, not quoted',
          CSV.replace(b"FIFTH THIRD", b'5" PIPE', 1)),
    Case(item="embedded newlines", sent="a bank called `FIRST` and, on a line of its own, `BANK`, quoted",
         content=as_csv(sba_loans({"Bank": "FIRST\r\nBANK"}, {})), published=1, reasons=span(1, 2),
         note="Nobody can tell it from two rows that a forgotten quote made one of."),
    Case(item="stray quotes", sent="a quote that the row does not close, before one that is",
         content=CSV.replace(b"FIFTH THIRD", b'"FIFTH', 1), published=1, reasons=((1, "malformed_row", None, None),)),
    *(Case(item="stray quotes", sent=f"one before the bank of row 2, one {where} of row 5, {sent}",
           content=pack(stray({2: b'"FIFTH', 5: last})), name=f"applications.{ending}", published=4,
           reasons=span(2, 5), note=note)
      for where, last, sent, ending, pack, note in (
          ("before the bank", b'"FIFTH', "in CSV", "csv", bytes, "All lines from the first to the last; no cell of "
           "them is kept, which may be anybody's."),
          ("after it", b'FIFTH"', "packed with gzip", "csv.gz", packed, ""))),
    Case(item="stray quotes", sent="one in row 3 and one in row 4, with as many commas between them as a row has",
         content=stray({3: b'"FIFTH', 4: b'FIFTH"'}), published=6, reasons=span(3, 4)),
    Case(item="stray quotes", sent="one in row 3 of 8 that nobody closes, limit 2 %", content=stray({3: b'"FIFTH'}),
         limit=0.02, reasons=((0, "bad_share", None, "6 of 8"), *span(3, 8)),
         says="applications.csv is refused whole: 6 of its 8 rows are bad, more than 2.0%: 6 malformed_row (got: "
              "75.0%). A quote opened in line 4 is not closed there and takes lines 4 to 9 with it. None of it is "
              "published. Mend these rows and land the file anew."),
    unreadable("stray quotes", "one among the names of the columns", CSV.replace(b"NoEmp", b'"NoEmp', 1).replace(
        b'"$', b"$").replace(b'00 "', b"00"),
        "a quote in line 1, among the names of the columns, is open until line 3"),
    Case(item="blank lines", sent="one before the names, one between the rows, the state `ZZ` in the last",
         content=b"\r\n" + CSV.replace(b"\r\n1000", b"\r\n\r\n1000").replace(
             LINES[2], b"\r\n" + LINES[2].replace(b",IN,", b",ZZ,")), published=1,
         reasons=((3, "not_in_vocabulary", "state", "ZZ"),),
         note="A row is known by its line below the names, blank ones counted."),
    Case(item="torn row", sent="a row of one cell too many", content=CSV.rstrip() + b",7\r\n", published=1,
         reasons=((2, "malformed_row", None, None),)),
    misfit("duplicate columns", "`NoEmp` in the place of `CreateJob`", renamed("CreateJob", "NoEmp"),
            "missing_column", "CreateJob"),
    misfit("duplicate columns",
            "`NoEmp` once more", b"\r\n".join([LINES[0] + b",NoEmp", *(x + b",4" for x in LINES[1:])]),
            "duplicate_column", "NoEmp"),
    misfit("missing column", "no `GrAppv`", as_csv(without("GrAppv")), "missing_column", "GrAppv"),
    misfit("missing column", "no `Name`, which is not even read", as_csv(without("Name")), "missing_column", "Name"),
    misfit("extra column", "one more, `Rating`", as_csv([{**row, "Rating": "A"} for row in TWO]), "unknown_column",
            "Rating", NEEDLESS),
    read("reordered columns", "the last column first", as_csv([dict(reversed(row.items())) for row in TWO])),
    misfit("renamed column", "`Employees` for `NoEmp`", renamed("NoEmp", "Employees"), "missing_column", "NoEmp",
            "It has Employees instead, which the contract does not know."),
    misfit("newer schema version", "JSON lines with `schema_version` and a new field",
            as_json_lines([{**row, "schema_version": 2, "Lender": "X"} for row in TWO]), "unknown_column",
            "schema_version, Lender", NEEDLESS, name="applications.jsonl"),
    misfit("label among the applications", "`MIS_Status` beside the others",
            as_csv([{**row, "MIS_Status": "P I F"} for row in TWO]), "unknown_column", "MIS_Status",
            NEEDLESS),
    share("bad share exactly at the limit", 2, 98),
    share("bad share above the limit", 3, 97, "applications.csv is refused whole: 3 of its 100 rows are bad, more "
           "than 2.0%: 3 not_in_vocabulary in state (got: 3.0%). " + OF_STATE),
)

ARRIVALS = (
    no_file("`.part` file", "applications.csv.part"),
    no_file("half-uploaded file", "applications.csv.tmp"),
    no_file("half-uploaded file", ".applications.csv"),
    Case(item="half-uploaded file", sent="a file that its sender still has open", content=CSV, open=True, taken=False,
         says="The file is still being written (got: applications.csv). Run it again once it is whole."),
    no_file("path with `..`", "../applications.csv"),
    Case(item="name of no table", sent="`loans.csv`", content=CSV, name="loans.csv",
         reasons=((0, "file_name", None, None),),
         says="A landed file of sba is called applications..., outcomes..., and ends with .csv, .csv.gz, .txt, "
              ".txt.gz, .jsonl, .jsonl.gz, .parquet, .xlsx, .zip (got: loans.csv). Rename it."),
    unlike("hash unlike the manifest", "the manifest of another file", manifest(b"another"), "manifest_hash",
            f"applications.csv is not the file that its manifest describes (got: SHA-256 N, announced N). {ASK}"),
    unlike("manifest that announces more rows", "2 rows, 3 announced", manifest(CSV, rows=3), "manifest_rows",
            f"applications.csv does not hold as many rows as its manifest says (got: 2 rows, announced 3). {ASK}"),
    unlike("manifest that is none", "no JSON", b"JANE Q PUBLIC", "manifest", "applications.csv.manifest.json is no "
            'manifest (got: N bytes). It must be {"rows": 1200, "sha256": "the file\'s SHA-256 in hex"}.'),
    Case(item="manifest that arrives after its file", sent="a manifest of 3 rows, once the file's 2 are published",
         content=CSV, before=(("applications.csv", CSV),), manifest=manifest(CSV, rows=3), again=True, held=2,
         note="The manifest goes first; one that comes later changes nothing that is published."),
    Case(item="yesterday's file renamed", sent="the same bytes under another name", content=CSV,
         name="applications_today.csv", before=(("applications_yesterday.csv", CSV),), published=2,
         note="Another name is another delivery: it changes nothing here, and takes back what came between the two."),
    Case(item="correction taken back", sent="the first file again, under a third name, after one that changed a row",
         content=CSV, name="applications_c.csv", published=2,
         before=(("applications_a.csv", CSV), ("applications_b.csv", CSV.replace(b",4,", b",9,", 1))),
         warns=(f"It restates 1 of the 2 rows that were published of its months (50.0%): employees in 1. {STILL}",),
         note="The later delivery wins."),
    Case(item="late file", sent="a loan of February when March is published",
         content=as_csv(sba_loans({}, start=9)), name="applications_late.csv", published=1, held=2,
         before=(("applications_2006-03.csv", as_csv(sba_loans({"ApprovalDate": "1-Mar-06"}))),)),
    Case(item="duplicate ids inside a partition", sent="one loan number in two rows of a file", published=1,
         content=as_csv(sba_loans({}, {"LoanNr_ChkDgt": "0000000001"})),
         reasons=((2, "duplicate", "loan_id", "0000000001"),)),
    Case(item="duplicate ids across partitions", sent="a loan of February, again in March",
         content=as_csv(sba_loans({"ApprovalDate": "1-Mar-06"})), name="applications_2006-03.csv", published=1, held=1,
         before=(("applications_2006-02.csv", as_csv(sba_loans({}))),),
         warns=(f"It restates 1 of the 1 rows that were published of its months (100.0%): applied_on in 1. {STILL}",),
         note="The later file wins; a read as of an earlier day still shows the row of February."),
    Case(item="bureau scores of today for loans of last year", sent="a published loan with another cell",
         content=as_csv(sba_loans({"NoEmp": "9"})), name="applications_all.csv", published=1,
         before=(("applications.csv", as_csv(sba_loans({}))),),
         warns=(f"It restates 1 of the 1 rows that were published of its months (100.0%): employees in 1. {STILL}",),
         note="Of 100 rows and more, and beyond `ingest.restated_share_max`, the file is refused whole."),
    Case(item="outcome whose id lost its zeros", sent="`1` for `0000000001`, beside one that kept them",
         content=outcomes(("1", "2-Mar-07"), ("0000000002", "2-Mar-07")), name="outcomes.csv", published=2, held=2,
         before=(("applications.csv", CSV),),
         warns=("1 of 2 rows are about loans that no application names (50.0%): 1 of them would match without leading "
                "zeros, blanks, dashes and case, such as '1' for '0000000001'.",),
         note="Beyond `ingest.orphan_share_max` the file is refused whole."),
    Case(item="default before the application", sent="a charge-off of January of a loan of February", published=1,
         content=outcomes(("0000000001", "2-Jan-06"), ("0000000002", "2-Mar-07")), name="outcomes.csv", held=2,
         before=(("applications.csv", CSV),),
         reasons=((1, "before_application", "defaulted_on", "2-Jan-06"),)),
)

CELLS = (
    Case(item="int as float as text", sent='`4.0` and `"4"` employees in JSON', name="applications.jsonl",
         content=as_json_lines([{**row, "NoEmp": cell} for row, cell in zip(TWO, (4.0, "4"), strict=True)]),
         published=2),
    sba("int as float as text", "`4.5` employees", {"NoEmp": "4.5"}, "not_an_integer", "employees"),
    sba("leading-zero ids", "`0000000002` in CSV", {"LoanNr_ChkDgt": "0000000002"},
         note="Kept as text, zeros and all."),
    *(sba("keys that went through a float", f"`{cell}` for a loan number", {"LoanNr_ChkDgt": cell}, "float_key",
           "loan_id", note=note)
      for cell, note in (("1.23E+11", "Its last digits are lost."),
                         ("1234567890.0", "Nobody can tell which digits it had, and how many noughts before them."))),
    Case(item="keys that went through a float", sent="`1234567890.0` in JSON", name="applications.jsonl", published=1,
         content=as_json_lines([TWO[0], {**TWO[1], "LoanNr_ChkDgt": 1234567890.0}]),
         reasons=((2, "float_key", "loan_id", "1234567890.0"),)),
    Case(item="keys that went through a float", sent="2^60 and 7 as doubles in Parquet", name="applications.parquet",
         content=as_parquet([{**row, "LoanNr_ChkDgt": key} for row, key in zip(TWO, (2.0**60, 7.0), strict=True)]),
         reasons=((1, "float_key", "loan_id", "1.152921504606847e+18"), (2, "float_key", "loan_id", "7.0"))),
    *(sba("invisible character in a key", f"{name} in mid-number", {"LoanNr_ChkDgt": f"00000{letter}00002"},
           "invisible_character", "loan_id", "00000" + letter.encode("unicode_escape").decode() + "00002")
      for name, letter in (("a zero-width space", "\u200b"), ("U+FEFF", "\ufeff"), ("a soft hyphen", "\u00ad"),
                           ("a no-break space", "\u00a0"), ("a zero byte", "\0"), ("a tab", "\t"))),
    read("invisible character in a key", "U+200B and U+FEFF at the ends of a number", as_csv(sba_loans(
        {}, {"LoanNr_ChkDgt": "\ufeff0000000002\u200b"})), "They are trimmed as blanks are."),
    sba("codes as floats", "`1.0` for a franchise code", {"FranchiseCode": "1.0"},
         note="Read as `1`."),
    consumer("negative income", "`-1.00`", {"annual_income": "-1.00"}, "below_minimum", "annual_income"),
    consumer("0", "an income of `0`", {"annual_income": "0"}, "below_minimum", "annual_income"),
    *(sba("spellings of nothing", f"`{cell}` for an amount", {"GrAppv": cell}, "required", "approved", note=note)
      for cell, note in (("NaN", "Where a cell may be missing, it is published as missing, in text too."),
                         ("NULL", ""), ("N/A", ""), ("#N/A", ""), ("none", ""), ("<NA>", ""), ("\\N", ""))),
    sba("spellings of nothing", "`NULL` for a loan number", {"LoanNr_ChkDgt": "NULL"}, "required", "loan_id"),
    Case(item="spellings of nothing", sent="NaN for an amount in Parquet", name="applications.parquet",
         content=as_parquet([{**row, "GrAppv": cell} for row, cell in zip(TWO, (60000.0, math.nan), strict=True)]),
         published=1, reasons=((2, "required", "approved", "nan"),)),
    Case(item="spellings of nothing", sent="JSON lines without `NoEmp`, which may be empty", name="applications.jsonl",
         content=as_json_lines(without("NoEmp")), published=2, note="Many a tool leaves out what is null."),
    misfit("missing column", "JSON lines without `GrAppv`", as_json_lines(without("GrAppv")), "missing_column",
            "GrAppv", name="applications.jsonl"),
    sba("infinity", "`inf` for an amount", {"GrAppv": "inf"}, "not_finite", "approved"),
    sba("infinity", "`1e999` for an amount", {"GrAppv": "1e999"}, "not_finite", "approved"),
    sba("1e308", "`1e308` for an amount", {"GrAppv": "1e308"}, "above_maximum", "approved"),
    consumer("sentinel 365243", "`365243` years employed", {"employment_years": "365243"}, "above_maximum",
              "employment_years"),
    sba("sentinel 999999", "`999999` employees", {"NoEmp": "999999"}, "above_maximum", "employees",
         note="Where 999999 lies within the bounds, the book's `recode` says that it means missing."),
    consumer("rate as 0-1", "a debt-to-income ratio of `0.35`", {"debt_to_income_ratio": "0.35"}),
    consumer("rate as 0-100", "a debt-to-income ratio of `35`", {"debt_to_income_ratio": "35"}, "above_maximum",
              "debt_to_income_ratio"),
    sba("decimal comma", "`60000,00`", {"GrAppv": "60000,00"}, "not_a_number", "approved"),
    sba("decimal comma", "`60.000,00`", {"GrAppv": "60.000,00"}, "not_a_number", "approved"),
    sba("thousands separators", "`$60,000.00 `", {"GrAppv": "$60,000.00 "}),
    sba("thousands separators", "`60,00,000`", {"GrAppv": "60,00,000"}, "not_a_number", "approved"),
    *(Case(item=item, sent=sent, content=as_csv(sba_loans({}, {"ApprovalDate": day})), published=1,
           reasons=tuple((2, rule, "applied_on", day) for rule in ("above_maximum", "from_the_future")))
      for item, sent, day in (("future date", "an approval in 2060", "28-Feb-60"),
                              ("two-digit year", "`28-Feb-67`, which is read as 2067", "28-Feb-67"))),
    sba("two-digit year", "`28-Feb-69`, which is read as 1969", {"ApprovalDate": "28-Feb-69"}, "below_minimum",
         "applied_on"),
    sba("leap day", "29 February 2004", {"ApprovalDate": "29-Feb-04"}),
    sba("leap day", "29 February 2006", {"ApprovalDate": "29-Feb-06"}, "not_a_date", "applied_on"),
    Case(item="daylight-saving gap", sent="02:30 on 2 April 2006, which no clock in New York showed, in Parquet",
         content=as_parquet([{**row, "application_date": GAP} for row in consumer_loans({}, {})]),
         name="applications.parquet", book="consumer", published=2, note="The day counts, and there is such a day."),
    sba("unseen category", "the state `ZZ`", {"State": "ZZ"}, "not_in_vocabulary", "state"),
    sba("spreadsheet formula in a text cell", "a bank called `=HYPERLINK(\"http://x\")`",
         {"Bank": '=HYPERLINK("http://x")'}, "formula", "bank"),
    sba("spreadsheet formula in a text cell", "a bank called `-2+3+cmd|' /C calc'!A0`",
         {"Bank": "-2+3+cmd|' /C calc'!A0"}, "formula", "bank"),
    sba("spreadsheet formula in a text cell", "a bank called `-`", {"Bank": "-"},
         note="A dash alone, or a signed number, is no formula."),
    sba("personal data in free text", "an e-mail address for a bank", {"Bank": "ask jane@example.com"},
         "personal_data", "bank", "(masked: an e-mail address)"),
    sba("personal data in free text", "a social security number for a bank", {"Bank": "SSN 078-05-1120"},
         "personal_data", "bank", "(masked: a social security number)"),
    sba("personal data in free text", "a telephone number for a bank", {"Bank": "call (555) 010-0199"},
         "personal_data", "bank", "(masked: a phone number)"),
    sba("personal data in free text", "a card number for a bank", {"Bank": "4111 1111 1111 1111"}, "personal_data",
         "bank", "(masked: a card number)"),
    sba("numbers like a card's", "`15.000000033279001` for a bank", {"Bank": "15.000000033279001"},
         note="The digits stand beside a decimal point."),
    sba("numbers like a card's", "`REF 9999999999999995` for a bank", {"Bank": "REF 9999999999999995"},
         note="Luhn's check digit is right, but no issuer's cards begin so."),
    sba("personal data in free text", "an e-mail address for a number of employees", {"NoEmp": "jane@example.com"},
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
OF_INCOME = ("annual_income holds "
             + ", ".join(f'"{cell}" in row {row}' for row, _, _, cell in TOO_HIGH[:2])
             + f' and "{TOO_HIGH[2][3]}" in row {TOO_HIGH[2][0]}; the most is 5000000.')

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
                f"annual_income (got: {len(TOO_HIGH) / 200:.1%}). {OF_INCOME} None of it is published. Mend these rows "
                "and land the file anew."),
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
