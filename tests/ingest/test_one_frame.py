"""One pandas frame is one table, whatever format it was written in, and whatever pandas did to its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lender import written

from tollgate.books import Column
from tollgate.books.shipped.sba import BOOK
from tollgate.ingest.reading.files import batches
from tollgate.ingest.reading.landed import opened
from tollgate.ingest.reading.parsing import parse, spell

WRITERS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: frame.to_csv(index=False).encode(),
    "jsonl": lambda frame: frame.to_json(orient="records", lines=True, date_format="iso").encode(),
    "parquet": lambda frame: written(pa.Table.from_pandas(frame, preserve_index=False)),
}


def text(name: str, **more: Any) -> Column:
    return Column(name=name, source=name.upper(), kind="text", doc="", **more)


def of(kind: Any, name: str, **more: Any) -> Column:
    return Column(name=name, source=name.upper(), kind=kind, doc="", **more)


# A column, its cells as pandas holds them, and what they are.
COLUMNS: list[tuple[Column, Any, list[Any]]] = [
    (text("loan_id"), ["L1", "L2", "L3", "L4"], ["L1", "L2", "L3", "L4"]),
    (text("code_with_gaps"), [1.0, np.nan, 722110.0, -3.0], ["1", None, "722110", "-3"]),
    (text("code"), [0, 1, 2, 3], ["0", "1", "2", "3"]),
    (text("share"), [0.5, np.nan, 1.25, 1.0], ["0.5", None, "1.25", "1"]),
    (text("recoded", recode={"0": "", "1": "one"}), [1.0, 0.0, np.nan, 2.0], ["one", None, None, "2"]),
    (text("vocabulary", isin=("0", "1")), [1.0, 0.0, np.nan, 1.0], ["1", "0", None, "1"]),
    (text("flag"), [True, False, True, False], ["true", "false", "true", "false"]),
    (text("flag_with_gaps"), pd.array([True, None, False, True], "boolean"), ["true", None, "false", "true"]),
    (text("flag_recoded", recode={"True": "Y", "False": "N"}), pd.array([True, None, False, True], "boolean"),
     ["Y", None, "N", "Y"]),
    (text("words"), ["a", None, "NULL", "N/A"], ["a", None, None, None]),
    (text("none_is_a_home", isin=("NONE", "OWN")), ["NONE", "OWN", None, "none"], ["NONE", "OWN", None, None]),
    (text("na_is_namibia", recode={"NA": "Namibia"}), ["NA", "DE", None, "na"], ["Namibia", "DE", None, None]),
    (of("integer", "count"), pd.array([1, None, 3, -4], "Int64"), [1, None, 3, -4]),
    (of("integer", "count_as_float"), [1.0, np.nan, 3.0, -4.0], [1, None, 3, -4]),
    (of("integer", "count_recoded", recode={"0": ""}), [1.0, np.nan, 0.0, -4.0], [1, None, None, -4]),
    (of("number", "amount"), [1.5, np.nan, 3.0, 1e-7], [1.5, None, 3.0, 1e-7]),
    (of("number", "amount32"), np.array([1.5, np.nan, 3, 4], np.float32), [1.5, None, 3.0, 4.0]),
    (of("money", "dollars"), [Decimal("60000.00"), None, Decimal("0.25"), Decimal("1.10")], [60000, None, 0.25, 1.1]),
    (of("date", "day"), pd.to_datetime(["2006-03-01", None, "2006-12-31", "1969-01-01"]),
     [date(2006, 3, 1), None, date(2006, 12, 31), date(1969, 1, 1)]),
    (of("date", "moment"), pd.to_datetime(["2006-03-01 23:59:59.5", None, "2006-12-31 00:00:00",
                                           "2006-01-01 12:00:00"], format="ISO8601"),
     [date(2006, 3, 1), None, date(2006, 12, 31), date(2006, 1, 1)]),
    (of("date", "moment_utc"), pd.to_datetime(["2006-03-01 23:59", None, "2006-12-31 00:00", "2006-01-01 12:00"],
                                              utc=True),
     [date(2006, 3, 1), None, date(2006, 12, 31), date(2006, 1, 1)]),
    (of("date", "packed_day", format="%Y%m%d"), [20060301.0, np.nan, 20061231.0, 19690101.0],
     [date(2006, 3, 1), None, date(2006, 12, 31), date(1969, 1, 1)]),
    *((of(kind, f"empty_{kind}"), [None] * 4, [None] * 4) for kind in ("text", "integer", "number", "money", "date")),
]


def read(frame: pd.DataFrame, ending: str, columns: Sequence[Column], folder: Path) -> pa.Table:
    """The frame's rows as they come out of a file that pandas wrote."""
    path = folder / f"applications.{ending}"
    path.write_bytes(WRITERS[ending](frame))
    with opened(path) as file:
        (raw,) = batches(BOOK.with_columns("applications", tuple(columns)), file)
    assert raw.received == len(frame)
    return raw.rows


@pytest.mark.parametrize("ending", WRITERS)
def test_a_frame_is_the_same_table_in_every_format(ending: str, tmp_path: Path) -> None:
    columns = [column for column, _, _ in COLUMNS]
    raw = read(pd.DataFrame({column.source: cells for column, cells, _ in COLUMNS}), ending, columns, tmp_path)
    rows, broken = parse(columns, raw)
    assert broken.num_rows == 0, broken.to_pylist()
    assert rows.to_pydict() == {column.name: values for column, _, values in COLUMNS}
    again, _ = parse(columns, spell(columns, raw))
    assert again.to_pydict() == rows.to_pydict()


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("kind", ["float64", "float32", "Float64"])
def test_a_key_that_pandas_took_for_a_float_is_refused_in_every_format(ending: str, kind: str, tmp_path: Path) -> None:
    columns = [text("loan_id"), text("other")]
    keys = pd.Series([1234567.0, 7.0, None], dtype=kind)
    raw = read(pd.DataFrame({"LOAN_ID": keys, "OTHER": ["a", "b", "c"]}), ending, columns, tmp_path)
    rows, broken = parse(columns, raw)
    assert rows["loan_id"].to_pylist() == [None] * 3
    assert broken.to_pylist() == [{"row": row, "rule": "float_key", "column": "loan_id"} for row in (0, 1)]
    # A record that is judged again, at a release, is refused again.
    assert parse(columns, spell(columns, raw))[1].to_pylist() == broken.to_pylist()


@pytest.mark.parametrize(("cells", "keys"), [
    (pa.array([2**60, 0], pa.int64()), [str(2**60), "0"]),
    (pa.array([Decimal("1234567890123456789"), Decimal(7)], pa.decimal128(20, 0)), ["1234567890123456789", "7"]),
    (pa.array([Decimal("12.00"), Decimal("100.00")], pa.decimal128(20, 2)), ["12", "100"]),
    (pa.array(["1E5", "7e123456", "2006.15", "0012", "L 1"]), ["1E5", "7e123456", "2006.15", "0012", "L 1"]),
])
def test_whole_numbers_and_codes_that_look_a_little_like_floats_are_keys(cells: pa.Array, keys: list[str]) -> None:
    rows, broken = parse([text("loan_id")], pa.table({"LOAN_ID": cells}))
    assert rows["loan_id"].to_pylist() == keys
    assert broken.num_rows == 0


@pytest.mark.parametrize("cell", ["1.23E+11", "1.23e11", "1234567890.0", "1234567890.", "1e+16", "-1.5E-3", "inf"])
def test_what_tools_write_for_a_float_is_no_key(cell: str) -> None:
    _, broken = parse([text("loan_id")], pa.table({"LOAN_ID": [cell]}))
    assert broken["rule"].to_pylist() == ["float_key"]


def test_a_decimal_with_a_fraction_is_no_key_and_stays_none_when_it_is_judged_again() -> None:
    raw = pa.table({"LOAN_ID": pa.array([Decimal("12.50")], pa.decimal128(20, 2))})
    assert parse([text("loan_id")], raw)[1]["rule"].to_pylist() == ["float_key"]
    assert parse([text("loan_id")], spell([text("loan_id")], raw))[1]["rule"].to_pylist() == ["float_key"]


@pytest.mark.parametrize("letter", ["\u200b", "\ufeff", "\u00ad", "\u00a0", "\u2060", "\u202e", "\u3000", "\u2028",
                                    "\0", "\x1f", "\x85", "\u3164", "\u2800", "\ufe0f", "\U000e0041"])
def test_a_character_that_nobody_sees_is_cut_off_at_the_ends_of_a_key_and_refused_inside(letter: str) -> None:
    cells = [f"{letter} L1{letter}", f"L{letter}1", "L 1", letter]
    rows, broken = parse([text("loan_id")], pa.table({"LOAN_ID": cells}))
    assert rows["loan_id"].to_pylist() == ["L1", None, "L 1", None]
    assert broken.to_pylist() == [{"row": 1, "rule": "invisible_character", "column": "loan_id"}]


NOTHING = ["", " ", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "None", "none", "nan", "NaN", "<NA>", "NaT", "\\N"]


@pytest.mark.parametrize("kind", ["text", "integer", "number", "money", "date"])
def test_every_spelling_of_nothing_is_missing_in_every_kind(kind: str) -> None:
    rows, broken = parse([of(kind, "c")], pa.table({"C": NOTHING}))
    assert rows["c"].null_count == len(NOTHING)
    assert broken.num_rows == 0


def test_a_book_has_spellings_of_nothing_of_its_own_which_a_column_may_give_a_meaning() -> None:
    columns = [of("integer", "a"), text("loan_id"), text("b", isin=("?", "x")), text("c", recode={"?": "unknown"}),
               of("date", "d")]
    raw = pa.table({name.upper(): ["?", "n.k."] for name in ("a", "loan_id", "b", "c", "d")})
    rows, broken = parse(columns, raw, ("?", "n.k."))
    assert broken.num_rows == 0
    assert rows.to_pydict() == {"a": [None, None], "loan_id": [None, None], "b": ["?", None], "c": ["unknown", None],
                                "d": [None, None]}


@pytest.mark.parametrize("cell", ["2006-03-01 25:00:00", "2006-02-30 00:00:00", "2006-03-01T", "1141171200000",
                                  "2006-03-01 noon"])
def test_what_is_no_day_with_a_time_is_not_read_as_one(cell: str) -> None:
    _, broken = parse([of("date", "d")], pa.table({"D": [cell]}))
    assert broken["rule"].to_pylist() == ["not_a_date"]


@pytest.mark.parametrize("cell", ["2006-03-01 23:59:59", "2006-03-01T23:59:59.123456789", "2006-03-01T23:59Z",
                                  "2006-03-01 23:59:59+02:00", "2006-03-01 23:59:59.5-0500"])
def test_a_day_with_a_time_is_the_day_that_is_written(cell: str) -> None:
    rows, broken = parse([of("date", "d")], pa.table({"D": [cell]}))
    assert (rows["d"].to_pylist(), broken.num_rows) == ([date(2006, 3, 1)], 0)
    _, broken = parse([of("date", "d", format="%d.%m.%Y")], pa.table({"D": [cell]}))
    assert broken["rule"].to_pylist() == ["not_a_date"]
