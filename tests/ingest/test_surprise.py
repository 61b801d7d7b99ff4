"""Files that come after some months of a book: refused or told of by what the lake holds, the same on every run."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lender import bad_share

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.books.shipped.consumer import extract, simulate
from tollgate.errors import Refused
from tollgate.ingest import check_file, ingest_file, noted, quarantined_rows

Drop = Callable[..., str]
Send = Callable[..., str]
LIMITS = bad_share(0.02)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stationary world of 300 loans a month, and one whose incomes come in thousands from 2007 on."""
    folders = {}
    for scenario in ("stationary", "broken_feed"):
        folders[scenario] = tmp_path_factory.mktemp(scenario)
        pq.write_table(simulate(seed=1, scenario=scenario, rows_a_month=300, first_month="2006-08",
                                last_month="2007-02"), folders[scenario] / "source.parquet")
    return folders


@pytest.fixture
def book(home: Path) -> Book:
    return load_book("consumer")


@pytest.fixture
def send(sources: dict[str, Path], drop: Drop) -> Send:
    """Land some months; ``change`` is done to the rows."""

    def put(first: str, last: str, scenario: str = "stationary",
            change: Callable[[pa.Table], pa.Table] = lambda rows: rows) -> str:
        sink = io.BytesIO()
        pq.write_table(change(extract(sources[scenario], "applications", first, last)), sink)
        return drop(sink.getvalue(), f"applications_{first}_{last}.parquet", "consumer")

    return put


def tenfold(rows: pa.Table) -> pa.Table:
    """The rows ten times, under new loan numbers."""
    numbers = pa.array([f"T{i}" for i in range(10 * rows.num_rows)])
    return pa.concat_tables([rows] * 10).set_column(0, "loan_id", numbers)


def empty(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column,
                                        pa.nulls(rows.num_rows, rows.schema.field(column).type))


def test_the_first_history_is_not_held_against_itself_and_honest_months_pass_in_silence(book: Book,
                                                                                        send: Send) -> None:
    answers = [ingest_file(book, send(first, last), LIMITS)
               for first, last in (("2006-08", "2006-12"), ("2007-01", "2007-01"))]
    assert [(answer["published"], answer["warnings"]) for answer in answers] == [(1500, []), (300, [])]
    assert noted("consumer") == []


@pytest.mark.parametrize(("change", "rule", "column", "says"), [
    (tenfold, "row_count", None, "2007-01 has 3,000 rows, 10.0 times the largest of the 5 months before"),
    (empty("annual_income"), "null_share", "annual_income", "annual_income is empty in 100.0% of the rows, 0.0% in"),
])
def test_what_no_honest_month_explains_is_refused_whole_and_touches_nothing(
        change: Callable[[pa.Table], pa.Table], rule: str, column: str | None, says: str, book: Book,
        send: Send) -> None:
    ingest_file(book, send("2006-08", "2006-12"), LIMITS)
    before = lake.read(lake.applications(book))
    name = send("2007-01", "2007-01", change=change)
    with pytest.raises(Refused, match="None of it is published.*raise the limit in params.yaml") as caught:
        ingest_file(book, name, LIMITS)
    assert says in str(caught.value)
    assert lake.read(lake.applications(book)) == before
    (line,) = noted("consumer")
    assert (line["file"], line["check"], line["column"], line["level"]) == (name, rule, column, "refused")
    (row,) = quarantined_rows("consumer", line["fingerprint"])["rows"]
    assert (row["row"], row["rule"], row["column"]) == (0, rule, column)
    raised = LIMITS.model_copy(update={"rows_ratio_max": 20.0, "null_rise_max": 1.0})
    assert ingest_file(book, name, raised)["published"] >= 300
    assert [line["level"] for line in noted("consumer")] in ([], ["warning"])


def test_a_broken_feed_is_published_and_told_of_in_answer_log_and_list(book: Book, send: Send,
                                                                       caplog: pytest.LogCaptureFixture) -> None:
    ingest_file(book, send("2006-08", "2006-12"), LIMITS)
    name = send("2007-01", "2007-01", "broken_feed")
    answer = ingest_file(book, name, LIMITS)
    (sentence,) = answer["warnings"]
    assert "The median of annual_income is" in sentence
    assert answer["published"] == 300
    assert f"{name}: {sentence}" in caplog.text
    (line,) = noted("consumer")
    assert (line["check"], line["column"], line["level"], line["sentence"]) == ("unit", "annual_income", "warning",
                                                                                sentence)
    assert ingest_file(book, name, LIMITS) == {**answer, "new": False}


def test_a_check_beforehand_tells_the_same_and_writes_nothing(book: Book, send: Send, home: Path) -> None:
    ingest_file(book, send("2006-08", "2006-12"), LIMITS)
    landing, version = home / "landing" / "consumer", lake.version(lake.applications(book))
    name = send("2007-01", "2007-01", "broken_feed")
    told = check_file(book, landing / name, LIMITS).answer()
    assert lake.version(lake.applications(book)) == version
    assert noted("consumer") == []
    assert told["warnings"] == ingest_file(book, name, LIMITS)["warnings"] != []
    refused = check_file(book, landing / send("2007-02", "2007-02", change=tenfold), LIMITS).answer()
    assert (refused["verdict"], refused["reasons"]) == ("refused", [{"rule": "row_count", "column": None, "rows": 0}])


def test_a_month_is_held_against_those_before_it_and_never_against_itself_or_later_ones(book: Book, send: Send,
                                                                                        home: Path) -> None:
    ingest_file(book, send("2006-08", "2006-12"), LIMITS)
    path = home / "landing" / "consumer" / send("2007-01", "2007-01", "broken_feed")
    alone = check_file(book, path, LIMITS).warnings
    ingest_file(book, path.name, LIMITS)
    ingest_file(book, send("2007-02", "2007-02"), LIMITS)
    assert check_file(book, path, LIMITS).warnings == alone != []


def test_a_stale_file_is_told(book: Book, send: Send) -> None:
    ingest_file(book, send("2006-09", "2006-12"), LIMITS)
    answer = ingest_file(book, send("2006-08", "2006-08"), LIMITS)
    (sentence,) = answer["warnings"]
    assert "days before 2006-12, which the lake already holds (limit 45)" in sentence


def test_flipped_labels_of_one_state_are_told(book: Book, send: Send, drop: Drop) -> None:
    ingest_file(book, send("2006-08", "2006-12"), LIMITS)
    loans = lake.read(lake.applications(book), columns=["loan_id", "state"])

    def report(month: str, numbers: pa.ChunkedArray) -> list[str]:
        lines = "".join(f"{number},{month}-15,{month}-01\n" for number in numbers.to_pylist())
        content = f"loan_id,reported_date,default_date\n{lines}".encode()
        return ingest_file(book, drop(content, f"outcomes_{month}.csv", "consumer"), LIMITS)["warnings"]

    for i, month in enumerate(("2007-01", "2007-02", "2007-03", "2007-04")):
        assert report(month, loans["loan_id"].slice(i * 150, 150)) == []
    rest = loans.slice(600)
    of_ohio = rest.filter(pc.equal(rest["state"], "OH"))["loan_id"]
    others = rest.filter(pc.not_equal(rest["state"], "OH"))["loan_id"]
    (sentence,) = report("2007-05", pa.chunked_array([*of_ohio.slice(0, 60).chunks, *others.slice(0, 90).chunks]))
    assert "defaults are of state OH" in sentence
