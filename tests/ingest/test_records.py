"""The quarantine's record of a row says what the row said, whatever types its cells came in."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from tollgate.books import Column
from tollgate.ingest.reading.parsing import parse, spell

Draw = Callable[[random.Random], object]
CELLS = 300
RECODE = {"0": "none", "1": "one", "1.5": "2"}
EDGES = [0, 1, -1, 2**53, 2**53 + 1, 10**16, 10**18 - 1, 10**18]


def text(draw: random.Random) -> str:
    return draw.choice(["", " 7 ", "7.", "NaN", "nan", "inf", "-inf", "1e999", "$1,000.00 ", "1-Mar-06", "2006-03-01",
                        "30-Feb-06", "x", "ü", "123456789012345678", "1234567890123456789", "0", "1.5", "20060301"])


def whole(kind: pa.DataType) -> Draw:
    """Any number of digits as likely as any other."""
    signed = str(kind).startswith("int")
    least, most = (-2**(kind.bit_width - 1), 2**(kind.bit_width - 1) - 1) if signed else (0, 2**kind.bit_width - 1)
    edges = [edge for edge in (*EDGES, least, most) if least <= edge <= most]
    return lambda draw: draw.choice([draw.choice(edges), draw.randint(least, most) >> draw.randrange(kind.bit_width)])


def floating(kind: type[np.floating]) -> Draw:
    """Whole or not, of any size, or none at all."""
    def make(draw: random.Random) -> np.floating:
        number = draw.choice([draw.choice([*EDGES, 1.5, 84.0, -0.0, 0.1, 9.1e15, float("nan"), float("inf"),
                                           float("-inf")]), draw.uniform(-1, 1) * 10.0**draw.randint(-20, 20)])
        with np.errstate(over="ignore"):
            return kind(number)

    return make


def decimal(digits: int) -> Draw:
    return lambda draw: Decimal(f"{draw.randrange(-10**draw.randint(1, digits), 10**draw.randint(1, digits))}."
                                f"{draw.choice(['00', '50', '07'])}")


def moment(draw: random.Random) -> datetime:
    """Of the years that two digits tell."""
    return datetime(1969, 1, 2) + timedelta(seconds=draw.randrange(99 * 365 * 86_400))


def day(draw: random.Random) -> date:
    return moment(draw).date()


TEXT = dict.fromkeys((pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())), text)
INTEGERS = {kind: whole(kind) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(),
                                           pa.uint32(), pa.uint64())}
FLOATS = {pa.float16(): floating(np.float16), pa.float32(): floating(np.float32), pa.float64(): floating(np.float64),
          pa.dictionary(pa.int32(), pa.float64()): floating(np.float64)}
ANY: dict[pa.DataType, Draw] = {**TEXT, **INTEGERS, **FLOATS, pa.null(): lambda _: None}
DECIMALS = {pa.decimal128(9, 2): decimal(7), pa.decimal128(38, 2): decimal(36), pa.decimal256(60, 2): decimal(58)}
TIMES = {pa.date32(): day, pa.date64(): day, **{pa.timestamp(unit): moment for unit in ("s", "ms", "us", "ns")},
         pa.timestamp("us", "America/New_York"): lambda draw: moment(draw).replace(tzinfo=UTC)}
CASES = [
    *((Column(name="c", source="C", kind=kind, doc="", recode=recode), kinds)
      for kind in ("text", "integer", "number", "money")
      for recode, kinds in ((RECODE, ANY), (None, ANY if kind == "text" else {**ANY, **DECIMALS}))),
    *((Column(name="c", source="C", kind="date", doc="", format=form), {**ANY, **TIMES})
      for form in ("%d-%b-%y", "%Y-%m-%d", "%Y%m%d")),
]


@pytest.mark.parametrize(("column", "kind", "make"), [
    pytest.param(column, kind, make, id=f"{column.kind}{' recoded' * bool(column.recode)} {column.format} of {kind}")
    for column, kinds in CASES for kind, make in kinds.items()])
def test_a_record_is_read_as_the_row_was(column: Column, kind: pa.DataType, make: Draw) -> None:
    draw = random.Random(0)
    raw = pa.table({"C": pa.array([None, *(make(draw) for _ in range(CELLS))], kind)})
    record = spell([column], raw)
    assert record.schema.field("C").type == pa.string()
    (rows, broken), (again, broken_again) = parse([column], raw), parse([column], record)
    assert again.to_pylist() == rows.to_pylist()
    assert broken_again.to_pylist() == broken.to_pylist()


@pytest.mark.parametrize(("kind", "typed"), [(pa.timestamp("us"), datetime(1962, 3, 1)),
                                             (pa.date32(), date(2070, 3, 1))])
def test_a_day_that_two_digits_cannot_tell_is_spelled_in_full_and_never_read_as_another(
        kind: pa.DataType, typed: date) -> None:
    column = Column(name="c", source="C", kind="date", doc="", format="%d-%b-%y")
    record = spell([column], pa.table({"C": pa.array([typed], kind)}))
    assert record["C"].to_pylist() == [f"{typed:%Y-%m-%d}"]
    assert parse([column], record)[1]["rule"].to_pylist() == ["not_a_date"]
