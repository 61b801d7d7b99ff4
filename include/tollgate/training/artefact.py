"""A model folder as training leaves it: the fit, its spec, the frozen profile, a reference sample and golden rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.estimators import Fitted
from tollgate.features import SPEC, Histories, Model, TableFile, write_golden
from tollgate.run_files import write_json, write_rows
from tollgate.training.profile import freeze, reference_sample


def write_artefact(folder: Path, book: Book, fitted: Fitted, about: dict[str, Any],
                   applications: pa.Table | TableFile, features: pa.Table | TableFile, scores: np.ndarray | None,
                   seen: np.ndarray, histories: Histories) -> None:
    """Write all of a model folder but the scorecard that it has to beat.

    Args:
        book: with the features that the model takes. about: the content of ``model.json``.
        applications: as the lake holds them; features: what was made of them, row by row.
        scores: P(default) of each row by fits that did not see it, float64; None for the scores of this one.
        seen: bool, the rows that ``scores`` are too sure of.
        histories: of these loans or of more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fitted.save(folder)
    write_json(folder / SPEC, about)
    rows = features.select([feature.name for feature in book.features])
    scores = np.where(seen, np.nan, Model.load(folder).predict_features(rows) if scores is None else scores)
    write_json(folder / "profile.json", freeze(rows, scores, book))
    write_rows(folder / "reference.parquet", reference_sample(rows, scores, about["seed"]))
    write_golden(folder, applications, features, histories, about["seed"])
