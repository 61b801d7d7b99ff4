"""Which reasons a declined loan is given, and that each is true of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit
from small_model import keep_model

from tollgate.books import Book, Reason, load_book, number
from tollgate.books.shipped import consumer
from tollgate.errors import BadInput
from tollgate.features import Calibration, Model
from tollgate.scoring.explain import decompose
from tollgate.scoring.explain_page import picture
from tollgate.scoring.loan_rows import LoanRows
from tollgate.scoring.reasons import principal, reason_codes, reasons, sides_of

NAMES = ("b", "c", "a", "d")


def told_by_name(i: int, k: int) -> tuple[str, str]:
    return NAMES[k], f"{NAMES[k]} is high"


def chosen(names: tuple[str, ...], contributions: np.ndarray, tell: Callable[[int, int], tuple[str, str]],
           most: int) -> list[list[tuple[str, float]]]:
    """The reasons of each row and what they add, where a row's feature is told so."""
    texts: dict[str, int] = {}
    said = [[[texts.setdefault(text, len(texts)) for text in tell(i, k)] for k in range(len(names))]
            for i in range(len(contributions))]
    told = np.array(said).reshape(len(contributions), len(names), 2)
    found = principal(names, contributions, told[0, :, 0], told[:, :, 1], most)
    return [[(names[k], contributions[i, k]) for k in row if k >= 0] for i, row in enumerate(found)]


def codes(contributions: list[list[float]], most: int = 4) -> list[list[str]]:
    return [[code for code, _ in row] for row in chosen(NAMES, np.array(contributions), told_by_name, most)]


def test_the_largest_contributions_are_given_and_ties_go_by_name() -> None:
    assert codes([[0.5, 0.5, 0.5, -1.0], [0.0, 0.1, 0.2, 0.3]], 2) == [["a", "b"], ["d", "a"]]


def test_nothing_that_lowered_the_risk_or_left_it_is_a_reason() -> None:
    assert codes([[-0.5, 0.0, 0.2, -1.0], [-1.0, -1.0, -1.0, -1.0]]) == [["a"], []]


def test_what_only_the_rounding_of_sums_tells_apart_is_a_tie_and_what_only_it_makes_is_no_reason() -> None:
    assert codes([[0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.7], [3e-7, 0.1, 0.1, -1e-9]]) == [["d", "a", "b", "c"], ["a", "c"]]


def test_the_order_does_not_depend_on_the_other_rows_or_on_the_order_of_the_features() -> None:
    drawn = np.random.default_rng(1).integers(-3, 4, (200, 4)) / 10
    whole = chosen(NAMES, drawn, told_by_name, 3)
    assert [chosen(NAMES, row[None], told_by_name, 3)[0] for row in drawn] == whole
    turned = chosen(NAMES[::-1], drawn[:, ::-1], lambda i, k: told_by_name(i, 3 - k), 3)
    assert turned == whole


def test_features_that_are_told_alike_give_one_reason_and_the_next_moves_up() -> None:
    subjects = ("Late payments", "Late payments", "Income", "Debt")

    def tell(i: int, k: int) -> tuple[str, str]:
        return subjects[k], f"{subjects[k]} {'are high' if k else 'are low'}"

    (row,) = chosen(NAMES, np.array([[0.4, 0.3, 0.2, 0.1]]), tell, 3)
    assert row == [("b", 0.4), ("a", 0.2), ("d", 0.1)]


def test_two_subjects_of_one_sentence_give_one_reason_too() -> None:
    (row,) = chosen(NAMES, np.array([[0.4, 0.3, 0.2, 0.1]]), lambda i, k: (NAMES[k], "Income is not known"), 4)
    assert row == [("b", 0.4)]


@pytest.mark.parametrize(("reference", "values", "sides"), [
    ([1, 2, 3, 4, 5], [0, 2, 3, 4, 9, None], [-1, -1, 0, 1, 1, 0]),
    ([0] * 8 + [1, 7], [0, 0.5, 7], [-1, 1, 1]),         # nobody is lower than most
    ([1] * 8 + [0], [0, 1, 2], [-1, 1, 1]),              # nobody is higher
    ([5, 5, 5], [4, 5, 6], [-1, 0, 1]),                  # all are alike
    ([-1, 0, 0, 0, 2], [-1, 0, 1], [-1, 0, 1]),          # as most are
    ([None, None], [1, None], [0, 0]),
    ([None, 1, 2, 3, None], [1, 2, 3], [-1, 0, 1]),
])
def test_the_side_of_a_value_is_told_by_the_median_of_the_reference_rows(
        reference: list[float | None], values: list[float | None], sides: list[int]) -> None:
    (found,) = sides_of(pa.table({"x": pa.array(reference, pa.float64())}),
                        pa.table({"x": pa.array(values, pa.float64())}))
    assert found.tolist() == sides


def test_a_category_lies_on_no_side() -> None:
    (found,) = sides_of(pa.table({"x": ["a", "b"]}), pa.table({"x": ["b", None]}))
    assert found.tolist() == [0, 0]


@pytest.fixture
def stepped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Book, Model]:
    """A model that may only rise with the amount asked for, and of which all but the lowest tenth is worse."""
    feature = number("loan_amount", monotone=1, reason=Reason("Amount", high="Amount is too high"))
    book = replace(consumer.BOOK, features=(feature,), required=(), critical=())
    monkeypatch.setattr(consumer, "BOOK", book)
    amount = np.arange(1_000) % 100 + 1.0
    rng = np.random.default_rng(1)
    features = pa.table({"loan_amount": amount})
    keep_model(tmp_path, book, features, rng.random(1_000) < np.where(amount > 10, 0.5, 0.02), rounds=40)
    return book, Model.load(tmp_path)


def test_a_low_value_that_raised_the_risk_is_named_and_not_said_to_be_high(stepped: tuple[Book, Model]) -> None:
    _, model = stepped
    lowest, low, high = reasons(model, pa.table({"loan_amount": [1.0, 20.0, 90.0]}), 4)
    assert not lowest
    assert [(told.code, told.sentence) for told in low] == [("loan_amount", "Amount")]
    assert [told.sentence for told in high] == ["Amount is too high"]
    assert low[0].contribution > 0.05


def test_a_missing_value_is_told_as_missing(stepped: tuple[Book, Model]) -> None:
    _, model = stepped
    (row,) = reasons(model, pa.table({"loan_amount": pa.array([None], pa.float64())}), 4)
    assert {told.sentence for told in row} <= {"Amount is not known"}


def test_no_row_has_no_reasons_and_codes_are_those_of_the_reasons(stepped: tuple[Book, Model]) -> None:
    _, model = stepped
    assert reasons(model, pa.table({"loan_amount": pa.array([], pa.float64())}), 4) == []
    assert reason_codes(model, pa.table({"loan_amount": [1.0, 90.0]}), 4).to_pylist() == [[], ["loan_amount"]]


def test_a_model_whose_reference_rows_are_gone_is_named_with_the_remedy(stepped: tuple[Book, Model]) -> None:
    _, model = stepped
    (model.folder / "reference.parquet").unlink()
    with pytest.raises(BadInput, match="The reference rows of the model in .* cannot be read.*Fetch it"):
        reasons(model, pa.table({"loan_amount": [90.0]}), 4)


@pytest.mark.parametrize(("calibration", "line", "draws"), [
    (Calibration(), logit(0.3), True), (Calibration("platt", 0.4, 1.3), logit(0.3), True),
    (Calibration("isotonic", score=(0.0, 1.0), probability=(0.1, 0.9)), None, False)])
def test_log_odds_are_those_of_the_score_or_of_what_comes_before_the_steps(
        stepped: tuple[Book, Model], calibration: Calibration, line: float | None, draws: bool) -> None:
    book, plain = stepped
    model, rows = replace(plain, calibration=calibration), pa.table({"loan_id": ["L"], "loan_amount": [90.0]})
    published = {"loan_id": "L", "day": "2006-10-01", "run_id": "r", "model_version": "1", "reasons": ["loan_amount"]}
    told = decompose(model, book, LoanRows(published, rows, {}, 4))
    before = told["score"] if draws else plain.predict_features(rows)[0]
    assert told["log_odds"] == pytest.approx(logit(before)) and told["threshold_log_odds"] == line
    assert ("threshold" in picture(told)) == draws


def test_the_words_of_a_book_change_no_artefact_and_no_feature(tmp_path: Path) -> None:
    from tollgate.features import digest_of

    made = []
    book = load_book("consumer")
    for k, reason in enumerate((Reason("Amount"), Reason("What was asked for"))):
        taken = replace(book, features=(number("loan_amount", monotone=1, reason=reason),))
        amount = np.arange(200.0)
        (tmp_path / str(k)).mkdir()
        keep_model(tmp_path / str(k), taken, pa.table({"loan_amount": amount}), amount > 100)
        made.append(digest_of(tmp_path / str(k)))
    assert made[0] == made[1]
