"""The scorecard of a registered version, as a table that a person can add up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tollgate.errors import BadInput
from tollgate.estimators import Scorecard
from tollgate.features import BASELINE, Model, gated_fit
from tollgate.registry.registering import fetch_model
from tollgate.registry.tracking import faults_named


@faults_named()
def scorecard(book: str, version: str) -> dict[str, Any]:
    """The bins and points of a version that is a scorecard, or of the one that another version had to beat.

    Returns ``{"book", "version", "is_model", "base_points", "bins": [{"feature", "bin", "loans", "default_rate",
    "points"}]}``: a loan has the base points and those of one bin of each feature; more points are less risk.

    Raises:
        BadInput: there is no such version, or it keeps no scorecard.
        Refused: its artefact changed.
        PassingFault: MLflow or its artefact store did not answer.
    """
    folder = fetch_model(book, version)
    is_model = Model.load(folder).about["estimator"] == BASELINE
    model = Model.load_baseline(folder if is_model else gated_fit(folder))
    card = model.fitted
    if not isinstance(card, Scorecard):
        raise BadInput("This version keeps no scorecard", value=version, remedy="Name another version.")
    levels = tuple(known.vocabulary if known.kind == "category" else None for known in model.encoder.inputs)
    # What a default counted for in the fit is taken back from the intercept, as it is from every score.
    corrected = replace(card, intercept=card.intercept - math.log(model.default_weight))
    return {"book": book, "version": version, "is_model": is_model,
            "base_points": round(corrected.base_points), "bins": list(card.table(tuple(model.features), levels))}
