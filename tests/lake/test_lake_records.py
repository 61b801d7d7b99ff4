"""Small tables as plain values are those of the lake's ordinary reader, without what that one loads."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from tollgate import lake
from tollgate.errors import BadInput

MARCH, APRIL = date(2007, 3, 1), date(2007, 4, 1)
LOOK = """import sys
from tollgate import lake
assert len(lake.records(lake.verdicts("sba"))) == 3
print(*sorted({"pandas", "pyarrow.dataset"} & {*sys.modules}))"""


def write(table: lake.Table) -> None:
    """Rows of every kind of column, in two partitions, out of order, with what is not known."""
    rows = [{"day": "2007-04-01", "as_of": APRIL, "features": ["a", "b's"], "rows": 2, "asked": True, "sentence": "é"},
            {"day": "2007-03-01", "as_of": APRIL, "features": [], "rows": None, "asked": None, "sentence": None},
            {"day": "2007-03-01", "as_of": MARCH, "features": None, "rows": 1, "asked": False, "sentence": ""}]
    lake.replace_partitions(table, pa.Table.from_pylist(rows, table.schema), ["2007-03-01", "2007-04-01"])


def test_records_are_the_rows_of_the_table_in_its_order(anywhere: str) -> None:
    table = lake.verdicts("sba")
    assert lake.records(table) == []
    write(table)
    found = lake.records(table)
    assert [row["rows"] for row in found] == [1, None, 2]
    assert sorted(found, key=str) == sorted(lake.read(table).to_pylist(), key=str)
    assert isinstance(found[0]["as_of"], date) and list(found[0]) == table.schema.names


def test_rows_whose_place_is_not_told_come_last(home: Path) -> None:
    table = lake.requests("sba")
    rows = [{"kind": "opened", "seq": None, "key": "b"}, {"kind": "opened", "seq": 3, "key": "a"}]
    lake.replace_partitions(table, pa.Table.from_pylist(rows, table.schema), ["opened"])
    assert [row["key"] for row in lake.records(table)] == ["a", "b"]


@pytest.mark.parametrize(("content", "how"), [(None, "missing"), (b"PAR1 torn", "torn")])
def test_a_file_that_cannot_be_read_is_named_as_by_the_ordinary_reader(home: Path, content: bytes | None,
                                                                      how: str) -> None:
    table = lake.verdicts("sba")
    write(table)
    file = next((home / "lake" / "sba" / "verdicts").rglob("*.parquet"))
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match=f"A file of the table sba/verdicts is {how}") as told:
        lake.records(table)
    with pytest.raises(BadInput) as ordinary:
        lake.read(table)
    assert str(told.value) == str(ordinary.value)


def test_reading_them_does_not_load_what_takes_most_of_a_second(home: Path) -> None:
    write(lake.verdicts("sba"))
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
