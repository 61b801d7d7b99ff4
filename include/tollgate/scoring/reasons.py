"""Why a loan was declined: the features that raised its score most, and what its applicant is told of them.

**Which.** A feature's contribution is its Shapley value in the log-odds of the pinned model, against what the feature
adds on average over the training rows; see ``Model.contributions``. The largest positive ones are the reasons. Features
that the book gives the same words are one reason: the largest of them stands, and the next code moves up.

**Signed, and by the directions.** Of trees whose leaves rise with a feature (``monotone`` +1), and of a scorecard, the
contribution of that feature never falls as its value grows, the others unchanged, and is at most 0 at its lowest value
(of a scorecard, unless its missing values are less risk still):
where a feature is known, a row goes to one side of a split, where it is not, to both in fixed shares, and every leaf on
the upper side is at least as large as every leaf on the lower. So a lower value would have counted less wherever such a
feature is a reason. But it may be a reason at a value below the middle of the training rows: of a step that lifts all
but the lowest tenth, the second tenth lies above the average. Such a code is kept, for it is the model's, and to leave
it out would put a lesser reason in its place; but nobody is told that a low value is high: the sentence then names what
the feature measures, and no more. That it is too low is never said (``tollgate.books.sentence_of``).

**Which side of the middle** a number lies on is told by the median of the model's reference rows. A value that is the
median itself is on neither side, unless no reference row is lower, or none is higher, while some are the other way.

**Ties.** Contributions are compared in millionths of log-odds, which move no score by more than a millionth: below that
lie the roundings of sums, by which equal ones would differ. Equal ones are ordered by the feature's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from tollgate.books import load_book, sentence_of, subject_of
from tollgate.features import Model

DECIMALS = 6


@dataclass(frozen=True)
class Told:
    """One reason of a decline.

    Attributes:
        code: the feature. sentence: what the applicant is told, without its full stop. contribution: in log-odds.
    """

    code: str
    sentence: str
    contribution: float


def reason_codes(model: Model, features: pa.Table, most: int) -> list[list[str]]:
    """The codes of ``reasons``, of each row."""
    return [[told.code for told in row] for row in reasons(model, features, most)]


def reasons(model: Model, features: pa.Table, most: int) -> list[list[Told]]:
    """What raised each row's score most, at most so many, the largest first.

    Args:
        features: raw features of the rows, one column a feature.

    Raises:
        BadInput: an input of the model is not among the features, or the model's reference rows cannot be read.
    """
    if not features.num_rows:
        return []
    made = {feature.name: feature for feature in load_book(model.book).made}
    inputs = [made[name] for name in model.features]
    values = [features[name].to_pylist() for name in model.features]
    sides = [of.tolist() for of in sides_of(model.reference(), features.select(model.features))]

    numbers = [feature.kind == "number" for feature in inputs]

    @cache
    def words(k: int, value: str | float | None, side: int) -> tuple[str, str]:
        return subject_of(inputs[k]), sentence_of(inputs[k], value, side)

    def tell(i: int, k: int) -> tuple[str, str]:
        value = values[k][i]
        # Of a number only its side is said, so that few sentences are ever made.
        return words(k, 0.0 if numbers[k] and value is not None else value, sides[k][i])

    return principal(model.features, model.contributions(features), tell, most)


def principal(names: Sequence[str], contributions: np.ndarray, tell: Callable[[int, int], tuple[str, str]],
              most: int) -> list[list[Told]]:
    """Of each row the largest positive contributions, ties by name, no two of which are told alike.

    Args:
        names: of the features. contributions: in log-odds, float64 of shape (rows, features).
        tell: what a row's feature measures and the sentence of its value, by the places of both.
    """
    counted = np.round(contributions, DECIMALS)
    by_name = np.argsort(np.array(names), kind="stable")
    orders = by_name[np.argsort(-counted[:, by_name], axis=1, kind="stable")]
    found: list[list[Told]] = []
    for i, (order, added) in enumerate(zip(orders.tolist(), counted.tolist(), strict=True)):  # lists: they are faster
        row: list[Told] = []
        said: set[str] = set()
        for k in order:
            if len(row) == most or added[k] <= 0:
                break
            what, sentence = tell(i, k)
            if what not in said and sentence not in said:
                row.append(Told(names[k], sentence, float(contributions[i, k])))
                said.update((what, sentence))
        found.append(row)
    return found


def sides_of(reference: pa.Table, features: pa.Table) -> list[np.ndarray]:
    """On which side of the middle of the reference rows each value lies, whole numbers of shape (rows,) a feature.

    -1 below, +1 above, 0 on it; 0 also of what is missing, of a category, and of a feature that no reference row has.

    Args:
        reference: raw features of training rows. features: raw features, whose columns it holds too.
    """
    return [_sides(reference[name], features[name]) for name in features.column_names]


def _sides(reference: pa.ChunkedArray, values: pa.ChunkedArray) -> np.ndarray:
    known = reference.drop_null()
    if pa.types.is_string(values.type) or not len(known):
        return np.zeros(len(values), np.int8)
    ordered = np.sort(known.to_numpy())
    lowest, middle, highest = ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]
    # Infinite values never come here: they are refused before they are scored.
    found = np.sign(np.nan_to_num(values.to_numpy() - middle)).astype(np.int8)
    at = values.to_numpy() == middle
    found[at] = int(middle == highest) - int(middle == lowest)
    return found
