"""What is supposed of the unbooked is what the method says, and nothing where it is to suppose nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tollgate.errors import BadInput
from tollgate.labels import METHODS, augment
from tollgate.labels.rejects import BANDS, PRUDENCE, parcel


def people(risk: list[float], **others: list[float | int | None]) -> pa.Table:
    return pa.table({"risk": risk, **others})


def as_told(rows: pa.Table) -> np.ndarray:
    """A model of the booked alone whose score is the one feature."""
    return np.asarray(rows["risk"].to_numpy())


def never(rows: pa.Table) -> np.ndarray:
    raise AssertionError("this method needs no score")


BOOKED = people([0.1, 0.2, 0.3], label=[0, 0, 1], approval_probability=[1.0, None, 0.25])
UNBOOKED = people([0.6, 0.9])


def test_training_on_the_booked_supposes_nothing_of_anybody() -> None:
    rows = augment("booked", BOOKED, UNBOOKED, never, 1)
    assert rows.drop_columns(["weight"]).equals(BOOKED)
    assert rows["weight"].to_pylist() == [1, 1, 1]


def test_fuzzy_takes_every_unbooked_applicant_twice_by_the_odds_of_both_ends() -> None:
    rows = augment("fuzzy", BOOKED, UNBOOKED, as_told, 1)
    assert rows.slice(0, 3).drop_columns(["weight"]).equals(BOOKED)
    supposed = rows.slice(3)
    assert supposed["risk"].to_pylist() == [0.6, 0.9, 0.6, 0.9]
    assert supposed["label"].to_pylist() == [1, 1, 0, 0]
    assert supposed["weight"].to_numpy() == pytest.approx([0.6, 0.9, 0.4, 0.1])


def test_weighted_lets_a_loan_approved_by_chance_speak_for_those_who_were_not() -> None:
    rows = augment("weighted", BOOKED, UNBOOKED, never, 1)
    assert rows.drop_columns(["weight"]).equals(BOOKED)
    assert rows["weight"].to_pylist() == [1, 1, 4]


def test_parcelling_keeps_the_booked_and_draws_the_others_by_the_seed() -> None:
    risk = list(np.linspace(0.01, 0.99, 400))
    booked = people(risk, label=np.random.default_rng(2).binomial(1, risk).tolist())
    first, again, other = (augment("parcelling", booked, people(risk), as_told, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert first.slice(0, 400).drop_columns(["weight"]).equals(booked)
    assert set(first["weight"].to_pylist()) == {1.0}
    assert not first["label"].equals(other["label"])


def test_parcelled_labels_come_with_the_rate_of_their_band_times_the_prudence() -> None:
    rng = np.random.default_rng(3)
    score = rng.random(40_000)
    label = (rng.random(40_000) < score / 2).astype(np.int8)  # the score is twice too high: the bands know better
    unbooked = rng.random(40_000)
    drawn = parcel(label, score, unbooked, np.random.default_rng(1))
    for low in np.arange(BANDS) / BANDS:
        band = (unbooked >= low) & (unbooked < low + 1 / BANDS)
        assert drawn[band].mean() == pytest.approx(PRUDENCE * (low + 0.5 / BANDS) / 2, abs=0.045)
    plain = parcel(label, score, unbooked, np.random.default_rng(1), prudence=1.0)
    assert plain.mean() == pytest.approx(0.25, abs=0.01)
    assert drawn.mean() == pytest.approx(0.25 * PRUDENCE, abs=0.01)


def test_a_band_that_holds_no_booked_loan_takes_its_rate_from_the_score() -> None:
    booked, unbooked = np.full(200, 0.1), np.full(20_000, 0.6)
    drawn = parcel(np.zeros(200, np.int8), booked, unbooked, np.random.default_rng(1), prudence=1.0)
    assert drawn.mean() == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_sum_to_the_applicants_that_the_rows_speak_for(method: str) -> None:
    rng = np.random.default_rng(4)
    risk, luck = rng.random(6_000), rng.random(6_000)
    approved = (risk < 0.6) | (luck < 0.2)
    told = np.where(risk < 0.6, 1.0, 0.2)
    booked = people(risk[approved].tolist(), label=(rng.random(approved.sum()) < risk[approved]).astype(int).tolist(),
                    approval_probability=told[approved].tolist())
    rows = augment(method, booked, people(risk[~approved].tolist()), as_told, 1)  # type: ignore[arg-type]
    meant = approved.sum() if method == "booked" else 6_000
    assert rows["weight"].to_numpy().sum() == pytest.approx(meant, rel=0.05)
    bad = np.average(rows["label"].to_numpy(), weights=rows["weight"].to_numpy())
    if method != "booked":
        assert bad == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("told", "value"), [([1.0, 0.0, 0.5], "0.0"), ([1.5, 1.0, 0.5], "1.5"),
                                             ([1.0, float("nan"), 0.5], "nan")])
def test_an_impossible_probability_of_approval_is_refused(told: list[float], value: str) -> None:
    with pytest.raises(BadInput, match=rf"above 0 and at most 1; 1 were not.*{value}"):
        augment("weighted", people([0.1] * 3, label=[0, 1, 0], approval_probability=told), UNBOOKED, never, 1)


def test_weights_without_probabilities_are_refused_with_what_to_send() -> None:
    with pytest.raises(BadInput, match="weighted needs the probability.*Send approval_probability"):
        augment("weighted", BOOKED.drop_columns(["approval_probability"]), UNBOOKED, never, 1)
