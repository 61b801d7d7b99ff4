"""Does the model know something that no one knew when the loan was asked for?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import APPLICANT, LOAN, Book, BookTable, Feature
from tollgate.errors import Refused, TollgateError
from tollgate.features import make_features, seen
from tollgate.gates.base import Verdict, judged, percent
from tollgate.gates.evidence import Case
from tollgate.stats.calibration import quantile_bins
from tollgate.stats.intervals import Interval, wilson
from tollgate.stats.ranking import area_under, auc_interval

LEVELS_MAX = 1_000      # a number of no more distinct values is also read as categories
SAMPLE = 2_000          # test rows whose features are made again
PRIOR_ROWS = 20         # a level's default rate is drawn towards the book's as if by this many more rows


def leakage(case: Case) -> Verdict:
    """No forbidden column, no single feature and no whole model that is too good to be true.

    Measured is the best AUC of any one feature alone; its interval's lower end must be at most ``feature_auc_max``.
    """
    limits = case.params.gates
    findings = forbidden(case.book) + unmatched_features(case) + unlike(case)
    validation, test = case.features_of("validation"), case.features_of("test")
    truth = test["label"].to_numpy() == 1
    made = [feature for feature in case.book.features if feature.name in test.column_names]
    if not made:
        raise Refused("features.parquet holds no feature of the book", remedy="Run the features stage again.")
    findings += [f"features.parquet lacks {f.name}" for f in case.book.features if f not in made]
    levels = {feature.name: _levels(feature, validation, test) for feature in made}
    alone = {feature.name: auc_alone(feature, levels[feature.name], validation, test, limits.confidence)
             for feature in made}
    findings += [f"{name} alone reaches AUC {area:.4f}, with {limits.confidence:.0%} confidence at least {low:.4f}, "
                 f"and above {limits.feature_auc_max:g} a feature is a leak until proved otherwise"
                 for name, (area, (low, _)) in alone.items() if not low <= limits.feature_auc_max]
    findings += [told for feature in made if not feature.monotone  # a direction's extremes may honestly be certain
                 and (told := sure(feature, levels[feature.name], validation, test, limits.level_rate_max,
                                limits.confidence))]
    try:
        area = area_under(case.label, case.score)
    except TollgateError:
        if not findings:
            raise
        findings.append("the whole model could not be judged, since its evidence is refused")
    else:
        if not area <= limits.score_auc_max:
            findings.append(f"the whole model reaches AUC {area:.4f}, and above {limits.score_auc_max:g} a model is a "
                            "leak until proved otherwise")
    best = max(alone, key=alone.__getitem__)
    measured, interval = alone[best]
    told = (f"Every feature is known at the application. The best one alone, {best}, reaches AUC {measured:.4f} on "
            f"{len(truth):,} test loans; it must not be above {limits.feature_auc_max:g}"
            + (", and that it is may be luck." if measured > limits.feature_auc_max else "."))
    return judged("leakage", not findings, measured=measured, limit=limits.feature_auc_max, interval=interval,
                  sentence=f"Refused: {'; '.join(findings)}." if findings else told)


def forbidden(book: Book) -> list[str]:
    """What is wrong with the columns that the book's features are made of, one finding a feature and column."""
    applications, aggregates = book.table("applications"), {aggregate.name for aggregate in book.aggregates}
    known = {column.name: column for table in (*book.tables, applications) for column in table.columns}
    findings = []
    for feature in book.features:
        for name in feature.uses:
            column, told = known.get(name), f"feature {feature.name} uses {name}"
            if name in aggregates:  # made of what the loan could see, whatever its table tells later
                continue
            if column is None:
                findings.append(f"{told}, which the book does not describe")
            elif column.known != "application" or column not in applications.columns:
                findings.append(f"{told}, which is not known at the application: {column.why or 'it is told later'}")
            elif column.personal:
                findings.append(f"{told}, which is personal data: {column.why}")
            elif column.protected:
                findings.append(f"{told}, which is protected: {column.why}")
            elif name in (LOAN, APPLICANT):
                findings.append(f"{told}, which only names the loan or who asks for it")
    return findings


def unmatched_features(case: Case) -> list[str]:
    """Inputs of the model that are no feature of the book, and features that are no input and were not left out."""
    inputs = {str(i.get("name")) for i in case.spec.get("features", [])}
    described = {feature.name for feature in case.book.features}
    selection = case.spec.get("selection", {}) if case.params.train.selection != "none" else {}
    left_out = {str(of.get("name")) for of in selection.get("features", []) if of.get("kept") is False}
    return ([f"the model takes {name}, which is no feature of the book" for name in sorted(inputs - described)]
            + [f"the model was trained without {name}" for name in sorted(described - inputs - left_out)])


def unlike(case: Case) -> list[str]:
    """Features whose saved values are not what the book makes of the snapshot, one finding a feature.

    The rows are a sample in another order: a feature that looks at other rows, as a default rate of a category over
    all loans does, comes out differently. Of the histories, whatever these loans could not see is changed or left out
    (``perturbed``): the future, and the rows of others. Test rows only, for those are what the model is judged by.
    """
    test = case.features_of("test")
    drawn = case.rng("leakage").permutation(test.num_rows)
    snapshot = case.loans
    place = pc.index_in(test["loan_id"].take(drawn), value_set=snapshot["loan_id"])
    alone = _of_one_each(case.book, snapshot, place)[:SAMPLE]  # what is another's future may be one's own past
    saved, asked = test.take(drawn[alone]), snapshot.take(place.take(alone))
    known = {*snapshot.column_names, *(aggregate.name for aggregate in case.book.aggregates)}
    able = [feature for feature in case.book.features if set(feature.uses) <= known]
    book = replace(case.book, features=tuple(able), retired=())
    told = {table.name: perturbed(table, asked, case.histories[table.name], case.rng(f"leakage {table.name}"))
            for table in book.histories}
    made = make_features(book, asked, told)
    return ([f"snapshot.parquet lacks what {f.name} is made of" for f in case.book.features if f not in able]
            + [f"features.parquet holds other values of {name} than the book's features make of the snapshot"
               for name in made.column_names
               if name in saved.column_names and not saved[name].cast(made[name].type).equals(made[name])])


def _of_one_each(book: Book, snapshot: pa.Table, place: pa.ChunkedArray) -> np.ndarray:
    """Indices into ``place``, ascending, of loans no two of which share a history."""
    kept = np.ones(len(place), bool)
    for whose in {str(table.entity) for table in book.histories}:
        codes = snapshot[whose].take(place).combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
        first = np.zeros(len(codes), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        kept &= first | (codes < 0)
    return np.flatnonzero(kept)


def perturbed(table: BookTable, asked: pa.Table, history: pa.Table, rng: np.random.Generator) -> pa.Table:
    """A history with all that these loans see of it left as it is, and of the rest half gone and half exchanged.

    Rows of the same people are of their future, or corrections that came later; of other people's rows as many are
    kept. Of a row that is exchanged everything but its key, its days and its entity is another's.
    """
    is_own = pc.is_in(history[str(table.entity)], value_set=asked[str(table.entity)].combine_chunks())
    own, others = history.filter(is_own), history.filter(pc.invert(is_own))
    others = others.take(rng.permutation(others.num_rows)[:own.num_rows])
    there, version = seen(table, asked, history).drop_columns("row"), [*table.key, "version"]
    unseen = own.join(there.select(version), version, join_type="left anti").select(history.column_names)
    rest = pa.concat_tables([unseen.cast(others.schema), others])
    rest = rest.filter(pa.array(rng.random(rest.num_rows) < 0.5))
    fixed = {*table.key, *table.told, table.entity, "known_on", "version"}
    order = pa.array(rng.permutation(rest.num_rows))
    rest = pa.table({name: rest[name] if name in fixed else rest[name].take(order) for name in rest.column_names})
    whole = pa.concat_tables([there.select(history.column_names).cast(rest.schema), rest])
    return whole.take(pa.array(rng.permutation(whole.num_rows)))


def auc_alone(feature: Feature, level: np.ndarray, validation: pa.Table, test: pa.Table, confidence: float,
              ) -> tuple[float, Interval]:
    """The best test AUC that one feature reaches by itself, and its interval.

    A number is taken as a score, upwards and downwards, missing at either end. A category, and a number of few
    values or its quantile bins, is scored by the default rate of its level among the validation rows, which also
    finds a leak that is not monotone.

    Args:
        level: of each validation row and then of each test row, whole numbers from 0 up.
    """
    truth = test["label"].to_numpy() == 1
    scores = [_by_level(level, validation)]
    if feature.kind == "number":
        values = test[feature.name].to_numpy()
        finite = values[np.isfinite(values)]
        ends = (finite.min() - 1, finite.max() + 1) if len(finite) else (0.0, 0.0)
        scores += [way * np.where(np.isfinite(values), values, end) for end in ends for way in (1, -1)]
    return auc_interval(truth, max(scores, key=lambda score: area_under(truth, score)), confidence)


def sure(feature: Feature, level: np.ndarray, validation: pa.Table, test: pa.Table, rate_max: float,
         confidence: float) -> str | None:
    """A finding where nearly all loans of one level default, as those with a collections code do, however few.

    A default is a chance event: no value of an honest feature makes it certain, but for the extremes of one that the
    book gives a direction, such as nine delinquencies in a year. The lower end of Wilson's interval decides. What such
    a value tells of only some defaults may leave the feature's AUC far below its limit (Kaufman, Rosset, Perlich and
    Stitelman, "Leakage in data mining", ACM TKDD 6(4), 2012, ask for a look at just this).

    Args:
        level: as in ``auc_alone``.
    """
    rows = np.bincount(level)
    defaults = np.bincount(level, np.concatenate([part["label"].to_numpy() for part in (validation, test)]))
    for n, bad in zip(rows, defaults, strict=True):
        if bad > rate_max * n and wilson(int(bad), int(n), confidence)[0] > rate_max:
            return (f"of {n:,} loans that share a value of {feature.name}, {int(bad):,} defaulted, and above "
                    f"{percent(rate_max)} a value is a leak until proved otherwise")
    return None


def _by_level(level: np.ndarray, validation: pa.Table) -> np.ndarray:
    """The default rate that validation showed for each test row's level, float64."""
    label = validation["label"].to_numpy()
    learned, asked = level[:len(label)], level[len(label):]
    rows = np.bincount(learned, minlength=int(level.max()) + 1)
    defaults = np.bincount(learned, label, minlength=len(rows))
    return ((defaults + PRIOR_ROWS * label.mean()) / (rows + PRIOR_ROWS))[asked]


def _levels(feature: Feature, validation: pa.Table, test: pa.Table) -> np.ndarray:
    """The level of each validation row and then of each test row: a value, or its quantile bin where many are told."""
    both = pa.chunked_array([*validation[feature.name].chunks, *test[feature.name].chunks])
    if feature.kind == "number" and pc.count_distinct(both).as_py() > LEVELS_MAX:
        numbers = both.to_numpy()
        return np.where(np.isfinite(numbers), quantile_bins(np.nan_to_num(numbers), 50), -1) + 1
    return both.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
