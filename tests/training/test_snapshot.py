"""A snapshot sees what was known before its as-of, labels it by what had matured, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from training.conftest import AS_OF, changed

from tollgate import lake, stages
from tollgate.books import Book
from tollgate.clock import months_before
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.run_files import write_rows
from tollgate.training import pin_lake, take_snapshot

Publish = Callable[..., None]
NOW = {"applications": -1, "decisions": -1, "outcomes": -1}  # no older version to fall back on
PAST = {"a": date(2003, 5, 2), "b": date(2004, 2, 29), "c": date(2004, 12, 31)}


def taken(book: Book, params: Params) -> tuple[pa.Table, dict[str, Any]]:
    """The snapshot of what the lake shows now."""
    found = take_snapshot(book, params, pin_lake(book, params), NOW)
    return found.rows, found.record


def labelled(book: Book, params: Params) -> dict[str, int]:
    rows, _ = taken(book, params)
    return dict(zip(rows["loan_id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def test_a_loan_with_a_number_that_no_model_can_learn_from_is_named_by_the_stage_that_makes_features(
        book: Book, params: Params, publish: Publish, tmp_path: Path) -> None:
    publish(PAST, [("b", date(2006, 12, 31), date(2006, 1, 1))])
    rows, _ = taken(book, params)
    at = rows.schema.get_field_index("loan_amount")
    write_rows(tmp_path / "snapshot.parquet", rows.set_column(at, rows.schema.field(at), pa.array([1e4, 1e300, 1e4])))
    with pytest.raises(BadInput, match=rf"loan_amount .* \(got: 1e\+300, loan {rows['loan_id'][1]}\)"):
        stages.features(tmp_path, params)


def test_what_becomes_known_on_or_after_the_as_of_changes_no_byte(book: Book, params: Params, publish: Publish) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1))])
    rows, record = taken(book, params)
    publish({"d": AS_OF, "e": date(2008, 3, 1)},
            [("b", AS_OF, date(2005, 1, 1)), ("c", date(2007, 6, 1), date(2006, 1, 1)), ("a", AS_OF, None)])
    again, told = taken(book, params)
    assert lake.digest(again) == lake.digest(rows)
    assert told == record


def test_an_outcome_of_the_last_day_before_the_as_of_is_seen(book: Book, params: Params, publish: Publish) -> None:
    publish(PAST, [("b", date(2006, 12, 31), date(2006, 1, 1))])
    assert labelled(book, params) == {"a": 0, "b": 1, "c": 0}


def test_only_applications_whose_horizon_has_passed_are_taken(book: Book, params: Params, publish: Publish) -> None:
    publish({"old": date(2001, 12, 31), "first": date(2002, 1, 1), "last": date(2004, 12, 31),
             "young": date(2005, 1, 1)}, [("first", date(2002, 9, 1), date(2002, 8, 1))])
    assert labelled(book, params) == {"first": 1, "last": 0}


def test_a_default_on_the_last_day_of_the_horizon_counts_and_a_day_later_does_not(
        book: Book, params: Params, publish: Publish) -> None:
    publish({"on": date(2004, 3, 10), "after": date(2004, 3, 10), "leap": date(2004, 2, 29)},
            [("on", date(2006, 5, 1), date(2006, 3, 10)), ("after", date(2006, 5, 1), date(2006, 3, 11)),
             ("leap", date(2006, 5, 1), date(2006, 2, 28))])
    assert labelled(book, params) == {"on": 1, "after": 0, "leap": 1}


def test_a_default_that_is_reported_after_the_horizon_but_before_the_as_of_counts(
        book: Book, params: Params, publish: Publish) -> None:
    publish({"late": date(2003, 1, 15)}, [("late", date(2006, 12, 1), date(2004, 6, 1))])
    assert labelled(book, params) == {"late": 1}


def test_a_correction_takes_a_default_back_and_another_brings_it_back(
        book: Book, params: Params, publish: Publish) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1)), ("a", date(2004, 6, 1), None),
                   ("b", date(2004, 9, 1), None), ("b", date(2005, 1, 1), date(2004, 8, 1)),
                   ("c", date(2005, 3, 1), date(2005, 2, 1))])
    assert labelled(book, params) == {"a": 0, "b": 1, "c": 1}


def test_a_correction_counts_only_once_it_is_known(book: Book, params: Params, publish: Publish) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1)), ("a", AS_OF, None)])
    assert labelled(book, params)["a"] == 1


def test_a_pin_that_no_version_of_the_lake_shows_is_refused(book: Book, params: Params, publish: Publish) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1))])
    pinned = pin_lake(book, params)
    publish({"x": date(2004, 6, 1)}, [])
    with pytest.raises(BadInput, match="no longer shows what run/lake.json pinned.*dvc repro -f history"):
        take_snapshot(book, params, pinned, NOW)


def test_of_a_pin_only_what_late_rows_changed_is_read_as_it_was_then(
        book: Book, params: Params, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1))])
    pinned = pin_lake(book, params)
    versions = {table.name: lake.version(lake.published(book, table.name)) for table in book.tables}
    before = take_snapshot(book, params, pinned, versions)
    publish({}, [("b", date(2005, 1, 1), date(2004, 12, 1))])
    view, read = lake.view, []

    def noted(table: lake.Table, **named: Any) -> pa.Table:
        if "columns" not in named:  # the feed has its own
            read.append((table.name, named.get("at")))
        return view(table, **named)

    monkeypatch.setattr(lake, "view", noted)
    assert take_snapshot(book, params, pinned, versions) == before
    assert read == [("applications", None), ("decisions", None), ("outcomes", None),
                    ("outcomes", versions["outcomes"])]


@pytest.mark.parametrize(("least", "said"), [
    ({"min_rows": 4}, "holds 3 matured loans of consumer with 1 defaults; at least 4 with 1 are needed"),
    ({"min_defaults": 2}, "holds 3 matured loans of consumer with 1 defaults; at least 1 with 2 are needed")])
def test_too_little_to_train_on_is_refused_with_the_counts(book: Book, params: Params, publish: Publish,
                                                           least: dict[str, int], said: str) -> None:
    publish(PAST, [("a", date(2004, 1, 1), date(2003, 12, 1))])
    with pytest.raises(BadInput, match=said):
        labelled(book, changed(params, snapshot=least))


@pytest.mark.parametrize(("day", "months", "before"), [
    (date(2007, 3, 31), 1, date(2007, 2, 28)), (date(2008, 2, 29), 12, date(2007, 2, 28)),
    (date(2007, 1, 1), -1, date(2007, 2, 1)), (date(2007, 1, 15), 24, date(2005, 1, 15))])
def test_months_are_counted_on_the_calendar(day: date, months: int, before: date) -> None:
    assert months_before(day, months) == before
