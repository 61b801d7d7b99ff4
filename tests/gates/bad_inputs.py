"""Every bad input to training that was thought of, and who says no to it in which words.

The list is data: ``test_bad_inputs`` takes each through the stages and holds what is said against what stands here,
and ``docs/make.py`` renders ``docs/bad-inputs.md`` from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

Loans = Callable[[pa.Table], pa.Table]
AS_OF = date(2007, 1, 31)                   # a default may be reported 30 days after it: the loans of 2004 are mature
TEST_FROM = np.datetime64("2004-07-01")     # the newest six months that had matured by then
OF_EVIDENCE = ("auc", "ks", "false_negatives", "approval_rate", "cost", "calibration", "expected_defaults", "slices",
               "baseline", "fairness", "leakage")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input, and what becomes of it.

    Attributes:
        item: what it is an example of. done: the example, in words.
        says: by stage or gate, the words of it; … stands for what is left out.
        loans: what it makes of the loans that the lender sends, as ``consumer.simulate`` gives them.
        spoil: what is done to an honest run folder between its evaluate stage and its gate stage.
        passes: whether the model may go on to its approval all the same.
    """

    item: str
    done: str
    says: dict[str, str]
    loans: Loans | None = None
    spoil: Callable[[Path], None] | None = None
    passes: bool = False


def always(value: object, *names: str) -> Loans:
    """The same value in every row of these columns; none where it is None."""

    def change(loans: pa.Table) -> pa.Table:
        for name in names:
            loans = _with(loans, name, pa.array([value] * loans.num_rows, loans[name].type))
        return loans

    return change


def in_test(loans: pa.Table) -> np.ndarray:
    """Whether a loan is one of those that judge."""
    applied: np.ndarray = loans["application_date"].to_numpy() >= TEST_FROM
    return applied


def outcome(decide: Callable[[pa.Table, np.ndarray], np.ndarray]) -> Loans:
    """Defaults where ``decide(loans, defaulted)`` says so; a new one comes a year after its application."""

    def change(loans: pa.Table) -> pa.Table:
        defaulted = loans["default_after"].is_valid().to_numpy()
        days = np.where(defaulted, loans["default_after"].fill_null(0).to_numpy(), 365)
        return _with(loans, "default_after", pa.array(days, mask=~decide(loans, defaulted)))

    return change


def turned(column: str, value: str, *, test_only: bool = False) -> Loans:
    """Defaults of one segment told as paid loans, and paid loans as defaults."""

    def decide(loans: pa.Table, defaulted: np.ndarray) -> np.ndarray:
        segment = loans[column].to_numpy(zero_copy_only=False) == value
        decided: np.ndarray = defaulted ^ (segment & (in_test(loans) | (not test_only)))
        return decided

    return outcome(decide)


def one_in(many: int, *, test_only: bool = False) -> Loans:
    """Only every so-manieth loan."""
    return lambda loans: loans.filter(pa.array(
        (np.arange(loans.num_rows) % many == 0) | (~in_test(loans) & test_only)))


def cut_short(run: Path) -> None:
    """Leave the last 1,000 bytes of the evidence away."""
    path = run / "evidence.parquet"
    path.write_bytes(path.read_bytes()[:-1_000])


def another_model(run: Path) -> None:
    """Change the model after its evidence was made: its threshold."""
    path = run / "model" / "model.json"
    path.write_text(path.read_text().replace('"threshold": 0.', '"threshold": 0.5'))


def _with(loans: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return loans.set_column(loans.column_names.index(name), name, values)


FLIPPED = ("The logistic scorecard, which gives the same points in every slice, ranks {} backwards: AUC … Look whether "
           "their labels are turned round. By the model, {} ranks worst: AUC …, … behind the whole … that is past "
           "0.15. Look at the labels and the data of this slice.")
CONSTANT = ("A warning, not a refusal, …: {} for every loan in train and test, which tells no loan from another; look "
            "whether a feed broke.")

def silent_since(day: str) -> Loans:
    """No default is reported from this day on."""

    def change(loans: pa.Table) -> pa.Table:
        days = loans["default_after"].fill_null(0).to_numpy()
        told = loans["application_date"].to_numpy() + days + 30 < np.datetime64(day)
        return _with(loans, "default_after", pa.array(days, mask=~told | loans["default_after"].is_null().to_numpy()))

    return change


CASES = (
    Case(item="an outcomes feed that stopped", done="no default is reported after May 2006",
         loans=silent_since("2006-06-01"), says={"data": "Refused: …"}),
    Case(item="one class only", done="no loan ever defaulted", loans=outcome(lambda loans, bad: bad & False),
         says={"snapshot": "As of 2007-01-31 the lake holds 9,600 matured loans of consumer with 0 defaults; at least "
                           "1,000 with 100 are needed (of 9,600 applications 0 were not booked). Ingest the "
                           "applications, decisions and outcomes that are missing, …"}),
    Case(item="one class only", done="every loan defaulted", loans=outcome(lambda loans, bad: bad | True),
         says={"split": "The train part of the split has 4,000 loans, of which 4,000 defaulted; it needs loans that "
                        "were paid and loans that defaulted. Look at the outcomes of these months, …"}),
    Case(item="one class only", done="no default in the test months",
         loans=outcome(lambda loans, bad: bad & ~in_test(loans)),
         says={"split": "The test part of the split has 2,400 loans, of which 0 defaulted; it needs loans that were "
                        "paid and loans that defaulted. Look at the outcomes of these months, …"}),
    Case(item="fewer rows than the minimum", done="one loan in ten", loans=one_in(10),
         says={"snapshot": "As of 2007-01-31 the lake holds 960 matured loans of consumer with … defaults; at least "
                           "1,000 with 100 are needed …"}),
    Case(item="fewer rows than the minimum", done="one loan in four of the test months",
         loans=one_in(4, test_only=True),
         says={"data": "Refused: test has 600 loans with … defaults, and needs 1,000 with 100: ingest what is missing, "
                       "or give it more months in params.yaml."}),
    Case(item="fewer rows than the minimum", done="one loan in sixty of the test months",
         loans=one_in(60, test_only=True),
         says={"data": "Refused: test has 40 loans with … defaults, and needs 1,000 with 100: …",
               "slices": "None of the … slices has 30 defaults and 30 paid loans. Test on more months."}),
    Case(item="a constant feature", done="every loan from the same state", loans=always("OH", "state"), passes=True,
         says={"data": CONSTANT.format("state is OH")}),
    Case(item="a constant feature", done="every loan with the same credit score", loans=always(700, "credit_score"),
         says={"auc": "AUC is … on 2,400 test loans with … defaults; it must be above 0.82.",
               "data": CONSTANT.format("credit_score is 700")}),
    Case(item="an all-missing feature", done="no income, of which two features are made, and no home ownership",
         loans=always(None, "annual_income", "home_ownership"),
         says={"data": "Refused: every loan in train and test lacks annual_income, payment_to_income_ratio, "
                       "home_ownership: have the feed mended, or take it out of the book's features."}),
    Case(item="a label flipped for a whole segment", done="in one state, throughout", loans=turned("state", "OH"),
         says={"slices": FLIPPED.format("state = OH", "state = OH")}),
    Case(item="a label flipped for a whole segment", done="among home owners, in the test months alone",
         loans=turned("home_ownership", "own", test_only=True),
         says={"slices": FLIPPED.format("home_ownership = own", "home_ownership = own")}),
    Case(item="evidence missing", done="`evidence.parquet` deleted",
         spoil=lambda run: (run / "evidence.parquet").unlink(),
         says=dict.fromkeys(OF_EVIDENCE, "evidence.parquet is missing. Run the evaluate stage again.")),
    Case(item="evidence truncated", done="`evidence.parquet` without its last 1,000 bytes", spoil=cut_short,
         says=dict.fromkeys(OF_EVIDENCE, "evidence.parquet cannot be read as Parquet: it is damaged or was cut short. "
                                         "Run the evaluate stage again.")),
    Case(item="evidence of another model", done="the model's threshold changed after its evaluation",
         spoil=another_model,
         says=dict.fromkeys(OF_EVIDENCE, "evidence.parquet is stale: it was made by the model …, and the model here "
                                         "is …. Run the evaluate stage again.")),
)
