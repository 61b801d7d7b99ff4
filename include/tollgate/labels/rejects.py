"""Reject inference: what a training may suppose of applicants who have no label because they were never booked.

Nothing here is evidence. A supposed label trains, if the parameter says so, and is never validated, tested or gated on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tollgate.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

Method = Literal["booked", "parcelling", "fuzzy", "weighted"]
METHODS: tuple[Method, ...] = get_args(Method)
SUPPOSING = ("parcelling", "fuzzy")  # methods that look at the declined
Scores = Callable[["pa.Table"], np.ndarray]

BANDS = 20          # of the score, each with as many applicants
BAND_BOOKED = 30    # a band with fewer booked loans takes its rate from the score
PRUDENCE = 1.2      # an unbooked applicant is this much more often bad than a booked one of the same band
PROBABILITY, WEIGHT = "approval_probability", "weight"


def augment(method: Method, rows: pa.Table, unbooked: pa.Table, scores: Scores, seed: int) -> pa.Table:
    """The rows to train on: those of booked loans, and by some methods rows of the unbooked with supposed labels.

    Args:
        rows: raw features and ``label`` (0 or 1) of booked loans; ``weighted`` also needs ``approval_probability``.
        unbooked: raw features of applicants of the same months who were declined; only those of ``SUPPOSING`` look at
            them.
        scores: gives the probability of default of raw features, as a model of the booked alone sees it.
        seed: decides the labels that ``parcelling`` draws.

    Returns the booked rows, then any others, with ``label`` and ``weight`` (float64). Whatever the method, the weights
    sum to about the number of applicants that the rows speak for.

    Raises:
        BadInput: ``weighted`` without probabilities, or with one that is not above 0 and at most 1.
    """
    if method == "booked":
        return _weighed(rows, np.ones(rows.num_rows))
    if method == "weighted":
        return _weighed(rows, by_probability(rows))
    score = scores(unbooked)
    if method == "parcelling":
        supposed = parcel(rows["label"].to_numpy(), scores(rows), score, np.random.default_rng(seed))
        return _joined(rows, _labelled(unbooked, supposed, np.ones(len(score))))
    bad = _labelled(unbooked, np.ones(len(score)), score)
    return _joined(rows, bad, _labelled(unbooked, np.zeros(len(score)), 1 - score))


def parcel(label: np.ndarray, score: np.ndarray, unbooked: np.ndarray, rng: np.random.Generator,
           prudence: float = PRUDENCE) -> np.ndarray:
    """Draw a label (0 or 1) for each unbooked score: bad with the rate of the booked in its band, times ``prudence``.

    Args:
        label, score: of the booked, each of shape (booked,). unbooked: scores of shape (unbooked,).
    """
    edges = np.quantile(np.concatenate([score, unbooked]), np.arange(1, BANDS) / BANDS)
    of_booked, of_unbooked = (np.searchsorted(edges, s, side="right") for s in (score, unbooked))
    booked = np.bincount(of_booked, minlength=BANDS)
    rate = np.bincount(of_booked, weights=label, minlength=BANDS) / np.maximum(booked, 1)
    expected = np.where(booked[of_unbooked] >= BAND_BOOKED, rate[of_unbooked], unbooked)
    return (rng.random(len(unbooked)) < prudence * expected).astype(np.int8)


def by_probability(rows: pa.Table) -> np.ndarray:
    """The weight of each booked loan: as many applicants as it speaks for, 1 / ``approval_probability``.

    A loan of which no probability was told was approved for sure. Raises ``BadInput`` as ``augment`` does.
    """
    if PROBABILITY not in rows.column_names:
        raise BadInput("train.reject_inference: weighted needs the probability with which each loan was approved",
                       value=f"no column {PROBABILITY}",
                       remedy=f"Send {PROBABILITY} with the decisions, or choose another method in params.yaml.")
    told = rows[PROBABILITY].fill_null(1.0).to_numpy()
    wrong = told[~((told > 0) & (told <= 1))]
    if len(wrong):
        raise BadInput(f"A booked loan was approved with a probability above 0 and at most 1; {len(wrong)} were not",
                       value=float(wrong[0]), remedy=f"Correct {PROBABILITY} in the decisions, and send them again.")
    return np.asarray(1 / told)


def _labelled(rows: pa.Table, label: np.ndarray, weight: np.ndarray) -> pa.Table:
    import pyarrow as pa

    if "label" in rows.column_names:
        rows = rows.drop_columns(["label"])
    return _weighed(rows.append_column("label", pa.array(label.astype(np.int8))), weight)


def _weighed(rows: pa.Table, weight: np.ndarray) -> pa.Table:
    import pyarrow as pa

    return rows.append_column(WEIGHT, pa.array(weight.astype(np.float64)))


def _joined(rows: pa.Table, *supposed: pa.Table) -> pa.Table:
    import pyarrow as pa

    booked = _weighed(rows, np.ones(rows.num_rows))
    same = [part.select([name for name in booked.column_names if name in part.column_names]) for part in supposed]
    joined = pa.concat_tables([booked, *same], promote_options="permissive")
    return joined.set_column(joined.column_names.index("label"), "label", joined["label"].cast(booked["label"].type))
