"""What reject inference buys: training on the booked alone, on supposed labels, on weights, and on everybody's truth.

On `consumer` the truth about the declined is known, so that every model is judged on all applicants of the year after
its training, by their true default probabilities: no number below has the noise of a test label. Each row of a table
is the mean over seeds with its 95 % interval; a seed is another world, another lender and another draw of labels.

    python -m benchmarks.reject_inference --seeds 30 --out tables.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from tollgate.books import Book
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.features import make_features
from tollgate.labels import METHODS
from tollgate.training import fit_inferred, operating_point

SHARES = (0.2, 0.4)
LOANS_A_MONTH = 1_000
MONTHS = {"train": ("2003-01", "2004-12"), "validation": ("2005-01", "2005-06"), "test": ("2005-07", "2006-06")}
POINT = {"max_depth": 3, "learning_rate": 0.1, "min_child_weight": 20, "subsample": 0.9, "colsample_bytree": 0.8,
         "reg_lambda": 3}
TRUTH = "truth of everybody"
SEEN = {"the model sees all that the policy looked at": (),
        "the policy looked at the bureau score, which the model does not see": ("credit_score",)}
HEAD = ("| declined | trained on | AUC | above booked | observed / expected | slope | approved | defaults approved |\n"
        "|---|---|---|---|---|---|---|---|")


@dataclass(frozen=True)
class Judged:
    """One model over all applicants.

    Attributes:
        auc: of the score. ratio: defaults observed over expected; above 1 the score is too low.
        slope: of the true log-odds on those of the score; below 1 the score is too extreme.
        approved: the share of applicants below the operating threshold. missed: the share of all defaults among them.
    """

    auc: float
    ratio: float
    slope: float
    approved: float
    missed: float


def without(names: Iterable[str]) -> Book:
    """The book whose models do not see some of its features."""
    book, gone = consumer.BOOK, set(names)
    return replace(book, features=tuple(f for f in book.features if f.name not in gone),
                   critical=tuple(name for name in book.critical if name not in gone),
                   required=tuple(name for name in book.required if name not in gone))


def world(book: Book, seed: int, declined: float) -> pa.Table:
    """Raw features of all applicants, with ``label`` and ``true`` (of everybody), ``booked``, and ``part``."""
    sent = consumer.simulate(seed=seed, rows_a_month=LOANS_A_MONTH, first_month=MONTHS["train"][0],
                             last_month=MONTHS["test"][1], declined=declined)
    rows = make_features(book, pa.table({c.name: sent[c.source] for c in book.applications}))
    month = pc.strftime(sent["application_date"], format="%Y-%m").to_numpy().astype(str)
    part = np.select([month <= last for _, last in MONTHS.values()], list(MONTHS), "")
    for name, values in {"label": sent["default_date"].is_valid().to_numpy().astype(np.int8),
                         "true": sent["true_probability"], "booked": sent["booking_date"].is_valid(),
                         "approval_probability": sent["approval_probability"], "part": pa.array(part)}.items():
        rows = rows.append_column(name, values if isinstance(values, pa.ChunkedArray) else pa.array(values))
    return rows


def judge(book: Book, rows: pa.Table, known: pa.ChunkedArray, params: Params) -> Judged:
    """Train on the rows whose label is ``known``, and judge on all applicants of the test months."""
    training = pc.equal(rows["part"], "train")
    labelled, unbooked = rows.filter(known), rows.filter(pc.and_(training, pc.invert(known))).drop_columns(["label"])
    found = fit_inferred(book, labelled, labelled["part"], unbooked, params, POINT)
    fitted, encoder, validation = found.fitted, found.parts.encoder, found.parts.validation
    threshold = operating_point(validation.label, fitted.predict(validation.matrix), params.train)["threshold"]
    test = rows.filter(pc.equal(rows["part"], "test"))
    true, score = test["true"].to_numpy(), fitted.predict(encoder.encode(test))
    approved = score < threshold
    return Judged(true_auc(true, score), float(true.sum() / score.sum()), slope(true, score), float(approved.mean()),
                  float(true[approved].sum() / true.sum()))


def true_auc(true: np.ndarray, score: np.ndarray) -> float:
    """P(a random default scores above a random paid loan), where each applicant is both, by its true probability."""
    both = np.repeat([1, 0], len(true))
    return float(roc_auc_score(both, np.tile(score, 2), sample_weight=np.concatenate([true, 1 - true])))


def slope(true: np.ndarray, score: np.ndarray) -> float:
    """The slope of a logistic regression of the true probability on the log-odds of the score."""
    x = np.column_stack([np.ones(len(score)), np.log(score / (1 - score))])
    beta = np.array([0.0, 1.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        beta = beta + np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]), x.T @ (true - p))
    return float(beta[1])


def seeds(hidden: tuple[str, ...], count: int) -> Iterator[dict[tuple[float, str], Judged]]:
    """By share declined and method, one seed after the other; the truth of everybody stands under share 0."""
    book, shipped = without(hidden), load_params(book="consumer")

    def chosen(method: str, seed: int) -> Params:
        return shipped.model_copy(update={
            "seed": seed, "train": shipped.train.model_copy(update={"reject_inference": method})})

    for seed in range(1, count + 1):
        found = {}
        for share in SHARES:
            rows = world(book, seed, share)
            for method in METHODS:
                found[share, method] = judge(book, rows, rows["booked"], chosen(method, seed))
        found[0.0, TRUTH] = judge(book, rows, pa.chunked_array([np.ones(rows.num_rows, bool)]), chosen("booked", seed))
        print(f"seed {seed} of {count}", file=sys.stderr, flush=True)
        yield found


def over_seeds(values: Iterable[float], digits: int = 3, sign: str = "") -> str:
    """The mean, with its 95 % interval by Student's t; of one seed the value alone."""
    drawn = np.array(list(values))
    mean = f"{drawn.mean():{sign}.{digits}f}"
    if len(drawn) == 1:
        return mean
    half = student.ppf(0.975, len(drawn) - 1) * drawn.std(ddof=1) / np.sqrt(len(drawn))
    return f"{mean} ({drawn.mean() - half:{sign}.{digits}f} to {drawn.mean() + half:{sign}.{digits}f})"


def table(found: list[dict[tuple[float, str], Judged]]) -> str:
    """A row for each share and method, the truth of everybody last in each share."""
    lines = [HEAD]
    for share in SHARES:
        for key in [*((share, method) for method in METHODS), (0.0, TRUTH)]:
            of, booked = [each[key] for each in found], [each[share, "booked"] for each in found]
            above = over_seeds((one.auc - base.auc for one, base in zip(of, booked, strict=True)), 4, "+")
            lines.append(f"| {100 * share:.0f} % | {key[1]} | {over_seeds(one.auc for one in of)} | "
                         f"{'' if key[1] == 'booked' else above} | {over_seeds((one.ratio for one in of), 2)} | "
                         f"{over_seeds((one.slope for one in of), 2)} | {over_seeds(one.approved for one in of)} | "
                         f"{over_seeds(one.missed for one in of)} |")
    return "\n".join(lines)


def main(count: int) -> str:
    """Both tables as Markdown."""
    return "\n\n".join(f"**Where {seen}**, {count} seeds:\n\n{table(list(seeds(hidden, count)))}"
                       for seen, hidden in SEEN.items()) + "\n"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", type=int, default=30, help="how many worlds; 30 take some minutes on one core")
    asked.add_argument("--out", type=Path, help="write the tables here, too")
    told = asked.parse_args()
    tables = main(told.seeds)
    print(tables)
    if told.out:
        told.out.write_text(tables, encoding="utf-8")
