"""Does the model behave as a scoring function must, whatever its metrics say?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Feature
from tollgate.errors import Refused
from tollgate.features import Model, golden_differences, histories_of
from tollgate.gates.applications import ROUNDING, alike, multiplied, replaced
from tollgate.gates.base import Verdict, judged, percent
from tollgate.gates.evidence import Case

SAMPLE = 2_000
BATCH = 333
SINGLES = 50
UNSEEN = "a level that no training row had"
EXTREME = 1e30


def behaviour(case: Case) -> Verdict:
    """Scores are probabilities, the same however rows are batched, and move only the way the book allows.

    Measured is the number of broken promises; none is allowed.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model, test = Model.load(case.folder / "model"), case.features_of("test")
    book = case.book.taking(model.features)  # what the model does not take cannot move it
    drawn = case.rng("behaviour").choice(test.num_rows, min(SAMPLE, test.num_rows), replace=False)
    rows = test.take(np.sort(drawn))
    score = model.predict_features(rows)
    directed = [feature for feature in book.features if feature.monotone]
    findings = [*golden_differences(case.folder / "model"), *_protected(case, model)]
    sent = _applications(case, rows)
    with threadpool_limits(1):  # many small batches: more threads only wait for one another
        findings += [*_probabilities(model, rows, score),
                     *_invariances(model, rows, score, case.rng("behaviour order"))]
        for feature in directed:
            findings += _direction(model, rows, score, feature)
        past = histories_of(case.book, sent, case.histories)  # of few loans, for their features are made many times
        findings += alike(book, model, sent, past, score)
        faults, multiples = multiplied(book, model, sent, past, score)
    findings += faults
    told = ("The golden rows give what they gave. "
            f"Re-scored on {rows.num_rows:,} test loans: the same bit for bit in any order, batch size, repetition and "
            "spelling of numbers and from the application itself, and a probability also for unseen, missing and "
            "extreme values. "
            + (f"Other {', '.join(case.book.protected())}: the same scores. " if case.book.protected() else "")
            + (f"Only the right way: {', '.join(f.name for f in directed)}, and ten times {', '.join(multiples)}."
               if directed else "The book sets no direction for any feature that it takes."))
    return judged("behaviour", not findings, measured=float(len(findings)), limit=0.0,
                  sentence=f"Refused: {'; '.join(findings)}." if findings else told)


def _applications(case: Case, rows: pa.Table) -> pa.Table:
    """The lake's rows of the sampled test loans, in their order."""
    where = pc.index_in(rows["loan_id"], value_set=case.loans["loan_id"])
    if where.null_count:
        raise Refused(f"snapshot.parquet lacks {where.null_count:,} of the sampled test loans",
                      remedy="Run the features stage again.")
    return case.loans.take(where)


def _protected(case: Case, model: Model) -> Iterator[str]:
    for name in sorted(set(model.features) & set(case.book.protected())):
        yield f"the protected attribute {name} is an input"


def _probabilities(model: Model, rows: pa.Table, score: np.ndarray) -> Iterator[str]:
    """Whether scores stay finite and in [0, 1], also where training never was."""
    trials = {"the values that they have": score}
    for told, text, number in (("unseen categories and huge numbers", UNSEEN, EXTREME),
                               ("unseen categories and huge negative numbers", UNSEEN, -EXTREME),
                               ("nothing filled in", None, None)):
        changed = rows
        for known in model.encoder.inputs:
            value = text if known.kind == "category" else number
            changed = replaced(changed, known.name, pa.array([value] * rows.num_rows, rows[known.name].type))
        trials[told] = model.predict_features(changed)
    for told, found in trials.items():
        bad = int((~((found >= 0) & (found <= 1))).sum())
        if bad:
            yield f"{bad:,} scores are not in [0, 1] on rows with {told}"


def _invariances(model: Model, rows: pa.Table, score: np.ndarray, rng: np.random.Generator) -> Iterator[str]:
    """Whether a row's score depends on that row alone, bit for bit."""
    order = rng.permutation(rows.num_rows)
    batches = [model.predict_features(rows.slice(start, BATCH)) for start in range(0, rows.num_rows, BATCH)]
    singles = [model.predict_features(rows.slice(row, 1)) for row in range(min(SINGLES, rows.num_rows))]
    twice = model.predict_features(pa.concat_tables([rows, rows]))
    kept = {
        "another order of the rows": np.array_equal(model.predict_features(rows.take(order)), score[order]),
        "another batch size": (np.array_equal(np.concatenate(batches), score)
                               and np.array_equal(np.concatenate(singles), score[:len(singles)])),
        "repeating the rows": np.array_equal(twice, np.concatenate([score, score])),
    }
    for told, same in kept.items():
        if not same:
            yield f"{told} changes the scores"


def _direction(model: Model, rows: pa.Table, score: np.ndarray, feature: Feature) -> Iterator[str]:
    """Whether one interquartile range more, and one less, ever moves a score against ``feature.monotone``."""
    values = rows[feature.name].to_numpy()
    low, high = np.nanquantile(values, [0.25, 0.75]) if np.isfinite(values).any() else (0.0, 0.0)
    step = float(high - low) or 1.0
    for way, told in ((1, "raised"), (-1, "lowered")):
        moved = replaced(rows, feature.name, pa.array(values + way * step, mask=~np.isfinite(values)))
        gained = (model.predict_features(moved) - score) * way * feature.monotone
        wrong = float((~(gained >= -ROUNDING)).mean())
        if wrong:
            should = "raise" if feature.monotone > 0 else "lower"
            yield (f"{feature.name} {told} by {step:g} moves {percent(wrong)} of the scores the wrong way: more of it "
                   f"may only {should} them")
