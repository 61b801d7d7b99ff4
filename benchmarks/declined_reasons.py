"""The reasons of ten declined loans as a person reads them, beside what they were made of: docs/reasons.md.

Trains `consumer` and `sba` as of one day, at one fixed point of the sweep, scores the month before it as a night would,
and tells of five declined loans each what `tollgate explain` does: one of every fifth of the declined, by loan number.
What a person found when checking them stands in ``CHECKED``. It takes four minutes:

    python -m benchmarks.declined_reasons docs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.declined_reasons_checked import CHECKED, INTRODUCTION
from benchmarks.home import own_home

from tollgate import lake, stages
from tollgate.books import LOAN, Book, load_book, subject_of
from tollgate.clock import months_before
from tollgate.config import load_params
from tollgate.features import Model, histories_of, make_features, with_histories
from tollgate.scoring.changes import changes
from tollgate.scoring.explain import decompose
from tollgate.scoring.explain_page import in_words, picture
from tollgate.scoring.loan_rows import LoanRows
from tollgate.scoring.reasons import reasons
from tollgate.scoring.shards import DECLINE, judge

AS_OF, MOST, SHOWN, PICTURE = date(2007, 1, 1), 4, 5, "images/reasons.svg"
POINT = {"max_depth": 4, "learning_rate": 0.1, "min_child_weight": 30, "subsample": 0.9, "colsample_bytree": 0.8,
         "reg_lambda": 3}
STAGES = ("fetch", "history", "snapshot", "features", "split")


def trained(book: str, run: Path) -> Model:
    """A model of the book, as of the day."""
    params = load_params(book=book, as_of=AS_OF)
    stages.describe(run, params)
    for stage in STAGES:
        stages.STAGES[stage](run, params)
    (run / "sweep.json").write_text(json.dumps({"best": {"params": POINT}}))
    stages.STAGES["train"](run, params)
    return Model.load(run / "model")


def told(book: Book, model: Model, folder: Path) -> Iterator[str]:
    """The lines of one book; the picture of the first loan of `consumer` is written into the folder."""
    rows, past = with_histories(book, lake.view(lake.applications(book), as_of=AS_OF, filters=[
        ("applied_on", ">=", months_before(AS_OF, 1))]), AS_OF)
    features = make_features(book, rows, past)
    scored = judge(model, rows, features, reasons=MOST)
    declined = pc.equal(scored["decision"], DECLINE)
    given = reasons(model, features.filter(declined), MOST)
    yield f"### {book.title}\n"
    yield (f"{sum(map(bool, given)):,} of the {rows.num_rows:,} applications of the month were declined, each score "
           f"being at least {model.threshold:.4f}. {neutral(book, given)}\n")
    loans = sorted(scored[LOAN].filter(declined).to_pylist())
    for loan in loans[len(loans) // (2 * SHOWN)::len(loans) // SHOWN][:SHOWN]:
        mine = rows.filter(pc.equal(rows[LOAN], loan))
        published = {**scored.filter(pc.equal(scored[LOAN], loan)).to_pylist()[0], "day": AS_OF.isoformat(),
                     "run_id": "", "model_version": ""}
        found = decompose(model, book, LoanRows(published, mine, histories_of(book, mine, past), MOST))
        yield from of_loan(model, found)
        if any(column.actionable for column in book.applications):
            would = [f"{in_words(one)} ({one['score']:.3f})" for one in
                     changes(model, book, mine, histories_of(book, mine, past))]
            yield f"*What would have been approved:* {'; or '.join(would) or 'nothing that the applicant chooses'}.\n"
        if loan == loans[len(loans) // (2 * SHOWN)] and book.name == "consumer":
            (folder / PICTURE).write_text(picture(found), encoding="utf-8")
            yield f"![The picture of this loan, as `tollgate explain --out` draws it]({PICTURE})\n"


def neutral(book: Book, given: list[list[Any]]) -> str:
    """How often a feature with a direction was a reason on the better side of the middle."""
    directed = {feature.name for feature in book.features if feature.monotone}
    of = [one for row in given for one in row if one.code in directed]
    subjects = {feature.name: subject_of(feature) for feature in book.features}
    plain = sum(one.sentence == subjects[one.code] for one in of)
    return (f"Of the {sum(map(len, given)):,} reasons they were given {len(of):,} are of a feature with a direction; "
            f"{plain:,} of those values lie on the better side of the middle, and are only named." if of else
            f"They were given {sum(map(len, given)):,} reasons. No feature of the book has a direction.")


def of_loan(model: Model, found: dict[str, Any]) -> Iterator[str]:
    """The lines of one loan: its reasons, then the values that raised the risk, then what was found by hand."""
    reference = model.reference()
    codes = [one["code"] for one in found["reasons"]]
    yield f"#### Loan {found['loan_id']}: {found['score']:.3f}, declined\n"
    yield "\n".join(f"{n}. {one['sentence']}." for n, one in enumerate(found["reasons"], start=1)) + "\n"
    yield "| feature | value | middle of the training rows | log-odds | reason |\n|---|---|---|---|---|"
    for part in found["contributions"]:
        reason = f"{codes.index(part['feature']) + 1}" if part["feature"] in codes else ""
        yield (f"| `{part['feature']}` | {shown(part['value'])} | {middle(reference[part['feature']])} "
               f"| {part['contribution']:+.3f} | {reason} |")
    yield f"\n*Checked:* {CHECKED.get(found['loan_id'], 'not yet.')}\n"


def middle(column: pa.ChunkedArray) -> str:
    """The median of a number; of a category nothing."""
    if pa.types.is_string(column.type):
        return ""
    return shown(float(np.quantile(column.drop_null().to_numpy(), 0.5, method="inverted_cdf")))


def shown(value: float | str | None) -> str:
    """A value for people."""
    return "missing" if value is None else f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else (
        f"{value:,.0f}" if isinstance(value, float) else str(value))


def main() -> None:
    """Train both books, and write the page and the picture."""
    folder, lines = Path(sys.argv[1]), [INTRODUCTION]
    with own_home() as home:
        for name in ("consumer", "sba"):
            lines += told(load_book(name), trained(name, home / name), folder)
    (folder / "reasons.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
