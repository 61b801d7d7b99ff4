"""The honest baseline: a logistic scorecard over binned features, which a sweep must beat to be worth its time."""

from __future__ import annotations

import pyarrow as pa

from tollgate.estimators import Scorecard, indicator_scorecard
from tollgate.features import Encoder, TableFile


def learn_baseline(encoder: Encoder, features: pa.Table | TableFile) -> Scorecard:
    """Learn cuts and points from raw features with their ``label`` (0 or 1): training rows only."""
    return indicator_scorecard(encoder.columns(), encoder.by_column(features), features["label"].to_numpy())
