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

import numpy as np
import pyarrow as pa

from tollgate.books import Feature, load_book, sentence_of, subject_of
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


def reason_codes(model: Model, features: pa.Table, most: int) -> pa.ListArray:
    """The codes of ``reasons``, of each row: lists of text."""
    found = _chosen(model, features, most)[0]
    many = (found >= 0).sum(axis=1)
    names = pa.array(model.features, pa.string()).take(pa.array(found[found >= 0]))
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(many)]), pa.int32()), names)


def reasons(model: Model, features: pa.Table, most: int) -> list[list[Told]]:
    """What raised each row's score most, at most so many, the largest first.

    Args:
        features: raw features of the rows, one column a feature.

    Raises:
        BadInput: an input of the model is not among the features, or the model's reference rows cannot be read.
    """
    found, contributions, sentences, texts = _chosen(model, features, most)
    return [[Told(model.features[k], texts[sentences[i, k]], float(contributions[i, k])) for k in row if k >= 0]
            for i, row in enumerate(found)]


def _chosen(model: Model, features: pa.Table, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """What ``principal`` answers, the contributions, the sentences as places of ``texts``, and these."""
    made = {feature.name: feature for feature in load_book(model.book).made}
    inputs = [made[name] for name in model.features]
    texts: dict[str, int] = {}

    def place(text: str) -> int:
        return texts.setdefault(text, len(texts))

    subjects = np.array([place(subject_of(feature)) for feature in inputs])
    sides = sides_of(model.reference(), features.select(model.features))
    sentences = np.stack([_sentences(feature, features[feature.name], side, place)
                          for feature, side in zip(inputs, sides, strict=True)], axis=1)
    contributions = model.contributions(features) if features.num_rows else np.empty((0, len(inputs)))
    return (principal(model.features, contributions, subjects, sentences, most), contributions, sentences,
            list(texts))


def _sentences(feature: Feature, values: pa.ChunkedArray, sides: np.ndarray, place: Callable[[str], int]) -> np.ndarray:
    """The place of each row's sentence, int64 of shape (rows,); few sentences are ever made."""
    missing = np.asarray(values.is_null())
    if feature.kind == "number":
        which, of = sides.astype(np.int64) + 1, [place(sentence_of(feature, 0.0, side)) for side in (-1, 0, 1)]
    else:
        coded = values.combine_chunks().dictionary_encode()
        of = [place(sentence_of(feature, level, 0)) for level in coded.dictionary.to_pylist()]
        which = coded.indices.fill_null(0).to_numpy().astype(np.int64)
    unknown = place(sentence_of(feature, None, 0))
    return np.where(missing, unknown, np.array([*of, unknown])[which])


def principal(names: Sequence[str], contributions: np.ndarray, subjects: np.ndarray, sentences: np.ndarray,
              most: int) -> np.ndarray:
    """Of each row the features of the largest positive contributions, ties by name, no two of which are told alike.

    Args:
        names: of the features. contributions: in log-odds, float64 of shape (rows, features).
        subjects, sentences: what a feature measures, of shape (features,), and what is said of each row's value, of the
            contributions' shape; equal whole numbers are equal texts, of both.

    Returns the places of the features, int64 of shape (rows, most), -1 where there is no further reason.
    """
    rows = len(contributions)
    counted = np.round(contributions, DECIMALS)
    by_name = np.argsort(np.array(names), kind="stable")
    order = by_name[np.argsort(-counted[:, by_name], axis=1, kind="stable")]
    found, given = np.full((rows, most), -1), np.zeros(rows, np.int64)
    said = np.full((2, most, rows), -1)
    left = np.arange(rows)  # the rows that may have a further reason
    for rank in range(order.shape[1]):
        left = left[(counted[left, order[left, rank]] > 0) & (given[left] < most)]
        if not len(left):
            break
        k = order[left, rank]
        words = subjects[k], sentences[left, k]
        alike = np.zeros(len(left), bool)
        for before in said[:, :rank].reshape(-1, rows):
            for word in words:
                alike |= before[left] == word
        new = left[~alike]
        found[new, given[new]] = k[~alike]
        for told, word in zip(said, words, strict=True):
            told[given[new], new] = word[~alike]
        given[new] += 1
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
    those, half = known.to_numpy(), (len(known) - 1) // 2
    lowest, middle, highest = those.min(), np.partition(those, half)[half], those.max()
    told = values.to_numpy()  # NaN, which is missing, is neither above nor below
    found = (told > middle).astype(np.int8) - (told < middle)
    on_it = int(middle == highest) - int(middle == lowest)
    return np.where(told == middle, np.int8(on_it), found) if on_it else found
