"""Everything that moved one loan's published score, and the sentences that its applicant is told."""

from __future__ import annotations

from datetime import date
from typing import Any

from tollgate import nights, registry
from tollgate.books import Book, subject_of
from tollgate.errors import BadInput, Refused
from tollgate.features import Calibration, Model, make_features
from tollgate.scoring.changes import changes
from tollgate.scoring.explain_page import page
from tollgate.scoring.loan_rows import LoanRows, rows_of_loan
from tollgate.scoring.reasons import reasons
from tollgate.scoring.shards import APPROVE, DECLINE


def explain(book: Book, loan_id: str, night: date | None = None, population: str = nights.NEW, *,
            change: bool = False) -> dict[str, Any]:
    """Score a loan again from the rows that its night pinned, and take its score apart.

    Args:
        night: the as-of of the night; the newest of the population on which the loan was scored where None.
        population: as an application (``new``), or as an open loan of the ``portfolio``.
        change: whether to look for what would have been approved instead.

    Returns:
        ``{"book", "loan_id", "night", "run_id", "model_version", "decision", "score", "threshold", "base_log_odds",
        "log_odds", "threshold_log_odds", "contributions": [{"feature", "what", "value", "contribution"}], "reasons":
        [{"code", "sentence", "contribution"}], "published": the codes that were published, "html": a page of it}``.
        Contributions are signed, in log-odds, the largest first, ties by name; with the base they add up to
        ``log_odds``, which are those of the score, or where the model is calibrated by steps those before them:
        ``threshold_log_odds`` is null then. Only a declined loan has reasons. With ``change`` there are
        ``changes`` too, as the function of that name answers; none of an approved loan.

    Raises:
        BadInput: the loan was not scored on that night, or could not be; or what its night pinned is kept no longer.
        Refused: the model's artefact changed, or gives another score than was published.
        PassingFault: the lake, the store or MLflow did not answer.
    """
    loan = rows_of_loan(book, loan_id, night, population)
    published = loan.published
    if published["score"] is None:
        raise BadInput(f"The loan {loan_id} was refused on the night of {published['day']}, not scored",
                       value=published["refusal"],
                       remedy="Correct its application; the next night scores it.")
    model = Model.load(registry.fetch_to_score(book.name, published["model_version"]))
    told = decompose(model, book, loan)
    if told["score"] != published["score"]:
        raise Refused(f"Version {published['model_version']} gives the loan {loan_id} another score today than the "
                      f"{published['score']!r} that was published, so that nothing here would explain it",
                      value=told["score"],
                      remedy=f"tollgate trace {book.name} {loan_id} names the run, the code and the rows to look at.")
    if change:
        told["changes"] = (changes(model, book, loan.rows, loan.histories) if told["decision"] == DECLINE else [])
    return {**told, "html": page(book.title, told)}


def decompose(model: Model, book: Book, loan: LoanRows) -> dict[str, Any]:
    """``explain`` without its page, once the model and the rows are at hand."""
    features = make_features(book, loan.rows, loan.histories)
    score, odds = float(model.predict_features(features)[0]), float(model.log_odds(features)[0])
    added = model.contributions(features)[0]
    declined = score >= model.threshold
    made = {feature.name: feature for feature in book.made}
    parts = [{"feature": name, "what": subject_of(made[name]), "value": features[name][0].as_py(),
              "contribution": float(part)} for name, part in zip(model.features, added, strict=True)]
    given = reasons(model, features, loan.most)[0] if declined else []
    return {
        "book": book.name, "loan_id": loan.published["loan_id"], "night": loan.published["day"],
        "run_id": loan.published["run_id"], "model_version": loan.published["model_version"],
        "decision": DECLINE if declined else APPROVE, "score": score, "threshold": model.threshold,
        "base_log_odds": odds - float(added.sum()), "log_odds": odds,
        "threshold_log_odds": _line(model.calibration, model.threshold),
        "contributions": sorted(parts, key=lambda part: (-part["contribution"], part["feature"])),
        "reasons": [vars(one) for one in given], "published": loan.published["reasons"],
    }


def _line(calibration: Calibration, threshold: float) -> float | None:
    """Where the threshold lies among log-odds."""
    from scipy.special import logit

    return None if calibration.kind == "isotonic" or not 0 < threshold < 1 else float(logit(threshold))
