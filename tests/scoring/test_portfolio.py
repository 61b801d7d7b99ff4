"""The open portfolio: who is in it, and with which features."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from registry.world import BOOK
from scoring.nightly import NIGHT, ROWS, pin, score, score_shards, scores
from tests.published import publish

from tollgate import nights, registry, scoring
from tollgate.books import Book, load_book
from tollgate.errors import BadInput
from tollgate.features import Model, make_features, standing_at
from tollgate.labels import open_loans


def _portfolio(run: str = "weekly", **changes: object) -> dict[str, object]:
    return score(pin(run, population=nights.PORTFOLIO, **changes))


def test_every_open_loan_is_scored_beside_the_new_applications(night: Path) -> None:
    score()
    answer = _portfolio(portfolio_months=6)
    opened = open_loans(load_book(BOOK), NIGHT, 6).to_pylist()
    assert answer["attempt"] == f"{BOOK}/portfolio/{NIGHT}/1"
    assert answer["rows"] == len(opened) > ROWS
    rows = scores(population="portfolio")
    assert sorted(rows["loan_id"].to_pylist()) == sorted(opened)
    assert scores(population="new").num_rows == ROWS, "of the same day, and left alone"
    (counts,) = nights.publications(BOOK, population=nights.PORTFOLIO)
    assert (counts.rows, len(nights.publications(BOOK))) == (len(opened), 1)


def test_a_loan_is_scored_in_every_portfolio_as_long_as_it_is_open(night: Path) -> None:
    _portfolio(portfolio_months=1)
    again = score(pin("next", as_of=date(2006, 10, 8), population=nights.PORTFOLIO, portfolio_months=1))
    assert again["rows"]
    both = scores(population="portfolio")["loan_id"]
    assert len(both) > len(both.unique())


def test_a_portfolio_that_is_published_twice_needs_a_reason_too(night: Path) -> None:
    _portfolio(portfolio_months=1)
    registry.reopen(BOOK, NIGHT, "again", "a bureau file came late", by="ann", population=nights.PORTFOLIO)
    assert _portfolio("again", portfolio_months=1)["replaces"] == 1
    assert set(scores(population="portfolio")["attempt"].to_pylist()) == {2}
    assert score()["rows"] == ROWS, "the new applications of the day were never published"


def test_an_open_loan_is_explained_with_its_features_as_of_the_night(night: Path) -> None:
    score()
    _portfolio(portfolio_months=6)
    row = next(row for row in scores(population="portfolio").to_pylist() if row["decision"] == "decline")
    told = scoring.explain(load_book(BOOK), row["loan_id"], population=nights.PORTFOLIO)
    assert (told["score"], told["published"]) == (row["score"], row["reasons"])
    only = next(loan for loan in scores(population="portfolio")["loan_id"].to_pylist()
                if loan not in scores(population="new")["loan_id"].to_pylist())
    with pytest.raises(BadInput, match="population new"):
        scoring.explain(load_book(BOOK), only)


def test_features_of_the_portfolio_are_as_of_the_night(night: Path) -> None:
    key = score_shards(pin("weekly", population=nights.PORTFOLIO, portfolio_months=3))
    scoring.publish(key)
    book, record = load_book(BOOK), nights.read_pin(nights.attempt_of(key))
    model = Model.load(registry.fetch_model(BOOK, "1"))
    for k in range(record.shards):
        rows = nights.read_population(record, k)
        then = make_features(book, standing_at(rows, NIGHT))
        assert nights.read_features(record, k).equals(then)
        assert nights.read_scored(record, k)["score"].to_pylist() == model.predict_features(then).tolist()
        assert pc.max(nights.read_scored(record, k)["applied_on"]).as_py() < NIGHT, "the day it was asked for is kept"


def _row(book: Book, table: str, **cells: object) -> dict[str, object]:
    """A row of which nothing else matters."""
    plain: dict[pa.DataType, object] = {pa.string(): "x", pa.date32(): date(2006, 1, 1)}
    others = {field.name: plain.get(field.type, 1) for field in book.table(table).schema() if not field.nullable}
    return {**others, **cells}


@pytest.fixture
def instalment(home: Path) -> Book:
    """Two loans that are booked and one that is not, as of early 2007."""
    book = load_book("instalment")
    publish(book, "applications", [_row(book, "applications", loan_id=str(k), applied_on=date(2006, 9, k))
                                   for k in (1, 2, 3)])
    publish(book, "decisions", [
        {"loan_id": "1", "decision": "approved", "decided_on": date(2006, 9, 5), "booked_on": date(2006, 9, 6)},
        {"loan_id": "2", "decision": "approved", "decided_on": date(2006, 9, 5), "booked_on": date(2006, 9, 7)},
        {"loan_id": "3", "decision": "declined", "decided_on": date(2006, 9, 5)}])
    return book


def test_open_is_what_was_booked_and_has_not_gone_bad_as_it_is_known_on_the_day(instalment: Book) -> None:
    def opened(day: date, months: int = 12) -> list[str]:
        return open_loans(instalment, day, months).to_pylist()

    assert opened(date(2006, 9, 7)) == ["1"], "booked before the day"
    assert opened(date(2006, 9, 8)) == ["1", "2"]
    publish(instalment, "payments", [_row(instalment, "payments", loan_id="2", due_on=date(2006, 12, 1),
                                          reported_on=date(2007, 3, 5), days_past_due=95)])
    assert opened(date(2007, 3, 5)) == ["1", "2"], "nobody knew yet"
    assert opened(date(2007, 3, 6)) == ["1"]
    assert opened(date(2007, 9, 6)) == ["1"]
    assert opened(date(2007, 9, 7)) == [], "a year is over"


def test_features_as_of_the_night_see_what_was_told_since_the_application() -> None:
    rows = pa.table({"applied_on": [date(2006, 9, 1)], "known_on": [date(2006, 9, 1)], "x": [1]})
    then = standing_at(rows, date(2007, 1, 1))
    assert then.to_pylist() == [{"applied_on": date(2007, 1, 1), "known_on": date(2007, 1, 1), "x": 1}]
    assert rows["applied_on"].to_pylist() == [date(2006, 9, 1)]
