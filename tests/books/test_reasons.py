"""What a book tells an applicant who was declined: every feature in words; words that cannot be said are a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tollgate.books import Column, Feature, Reason, category, days_between, load_book, number, ratio, sentence_of
from tollgate.books.checking.book import faults_of
from tollgate.books.page import render
from tollgate.books.shipped import consumer

SHIPPED = ("sba", "consumer", "card", "instalment")
FEATURES = [pytest.param(feature, id=f"{name}.{feature.name}") for name in SHIPPED
            for feature in load_book(name).features]
LONGEST = 100   # letters: a sentence that fits on a line of a letter


def levels(name: str, feature: Feature) -> tuple[str, ...]:
    """The vocabulary of the column that a category is."""
    columns: dict[str, Column] = {column.name: column for column in load_book(name).applications}
    return columns[feature.uses[0]].isin if feature.uses == (feature.name,) else ()


def all_of(feature: Feature) -> list[str]:
    """Every sentence that a feature can be told by; a level that no book knows stands for the others."""
    if feature.kind == "category":
        return [sentence_of(feature, value, 0) for value in (*feature.reason.words, "elsewhere", None)]
    return [sentence_of(feature, value, side) for value, side in ((1.0, -1), (1.0, 0), (1.0, 1), (None, 0))]


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_of_a_shipped_book_has_words_of_its_own(feature: Feature) -> None:
    told = feature.reason
    assert told.what
    if feature.kind == "category":
        assert told.value and told.missing
    else:
        assert told.high or feature.monotone < 0
        assert told.low or feature.monotone > 0


@pytest.mark.parametrize("feature", FEATURES)
def test_a_sentence_is_short_plain_and_free_of_the_models_words(feature: Feature) -> None:
    for sentence in all_of(feature):
        assert len(sentence) <= LONGEST and sentence[0].isupper() and not sentence.endswith(".")
        assert "_" not in sentence and "{" not in sentence
        assert not {"model", "log-odds", "feature", "ratio", "variable"} & set(sentence.lower().split())


@pytest.mark.parametrize("name", SHIPPED)
def test_no_level_of_a_vocabulary_is_told_by_a_code(name: str) -> None:
    coded = [(feature.name, level) for feature in load_book(name).features if feature.kind == "category"
             for level in levels(name, feature) if level not in feature.reason.words and feature.name != "state"]
    assert not coded


@pytest.mark.parametrize("name", SHIPPED)
def test_no_two_features_of_different_meaning_are_told_alike_unless_both_are_missing(name: str) -> None:
    said: dict[str, str | None] = {}
    for feature in load_book(name).features:
        for sentence in set(all_of(feature)) - {sentence_of(feature, None, 0)}:
            assert said.setdefault(sentence, feature.reason.what) == feature.reason.what


@pytest.mark.parametrize(("monotone", "side", "says"), [
    (1, 1, "Debt is too high"), (1, 0, "Debt"), (1, -1, "Debt"), (-1, -1, "Debt is too low"), (-1, 0, "Debt"),
    (-1, 1, "Debt"), (0, 1, "Debt is high"), (0, -1, "Debt is low"), (0, 0, "Debt")])
def test_a_feature_with_a_direction_is_never_told_against_it(monotone: Any, side: int, says: str) -> None:
    assert sentence_of(number("debt", monotone=monotone), 3.0, side) == says


def test_where_a_book_says_nothing_the_name_is_told_in_plain_letters() -> None:
    assert sentence_of(number("annual_income"), 1.0, -1) == "Annual income is low"
    assert sentence_of(number("annual_income"), None, 0) == "Annual income is not known"
    assert sentence_of(category("home_ownership"), "rent", 0) == "Home ownership: rent"
    assert sentence_of(ratio("share", "loan_amount", "annual_income", monotone=1), 1.0, 1) == (
        "Loan amount in proportion to annual income is too high")
    assert sentence_of(days_between("days_employed", "employed_since"), 9.0, 1) == "Days employed is high"


def test_of_a_reason_that_is_told_in_part_the_rest_is_made_of_what_it_measures() -> None:
    told = number("employment_years", reason=Reason("Length of employment", low="Employment is short"))
    assert [sentence_of(told, 1.0, side) for side in (-1, 0, 1)] == [
        "Employment is short", "Length of employment", "Length of employment is high"]
    assert sentence_of(told, None, 0) == "Length of employment is not known"


def test_a_level_stands_in_its_sentence_in_the_words_of_the_book() -> None:
    home = category("home", reason=Reason("Home", value="The home is {value}", words={"rent": "rented"}))
    assert [sentence_of(home, level, 0) for level in ("rent", "a {value}", None)] == [
        "The home is rented", "The home is a {value}", "Home is not known"]


@pytest.mark.parametrize(("feature", "says"), [
    (number("credit_score", reason=Reason("")), "what is empty; say it, or leave it out"),
    (number("credit_score", reason=Reason("Score", missing="  ")), "missing is empty; say it, or leave it out"),
    (number("credit_score", reason=Reason(value="The score is {value}")), "value and words are of a category"),
    (number("credit_score", reason=Reason(words={"1": "one"})), "value and words are of a category"),
    (number("credit_score", monotone=-1, reason=Reason(high="The score is high")),
     "high is never told, for a larger value only lowers the risk (monotone)"),
    (number("credit_score", monotone=1, reason=Reason(low="The score is low")),
     "low is never told, for a larger value only raises the risk (monotone)"),
    (number("credit_score", reason=Reason(high="A score of {value} is high")),
     "high holds {value}, which nothing is put into"),
    (category("state", reason=Reason(low="The state is low")), "a category is not low; say value"),
    (category("state", reason=Reason(value="The state")), "value does not say where the level stands, {value}"),
    (category("state", reason=Reason(value="In {vlaue} or {value}")), "value holds {vlaue}, which nothing is put into"),
    (category("state", reason=Reason(value="")), "value is empty; say it, or leave it out"),
    (category("state", reason=Reason(value="In {value}", words={"CA": ""})), "the words of CA are empty"),
])
def test_words_that_cannot_be_said_are_a_fault_of_the_book(feature: Feature, says: str) -> None:
    book = replace(consumer.BOOK, features=tuple(feature if f.name == feature.name else f
                                                 for f in consumer.BOOK.features))
    (fault,) = faults_of(book)
    assert fault.says.startswith(f"the reason of the feature {feature.name}: {says}") and fault.word == feature.name


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_of_a_book_lists_what_an_applicant_is_told(name: str) -> None:
    page = render(load_book(name))
    for feature in load_book(name).features:
        assert all(sentence in page for sentence in all_of(feature) if "elsewhere" not in sentence
                   and not feature.reason.words)
