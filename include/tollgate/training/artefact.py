"""A model folder as training leaves it: the fit, its spec, the frozen profile, a reference sample and golden rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.estimators import Fitted
from tollgate.features import SPEC, Histories, TableFile, write_golden
from tollgate.run_files import write_json, write_rows
from tollgate.training.profile import freeze, reference_sample


def write_fit(folder: Path, fitted: Fitted, about: dict[str, Any]) -> None:
    """Write what scores: the fit, and ``about``, the content of ``model.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    fitted.save(folder)
    write_json(folder / SPEC, about)


def write_references(folder: Path, book: Book, applications: pa.Table | TableFile, features: pa.Table | TableFile,
                     scores: np.ndarray, histories: Histories, seed: int) -> None:
    """Write what later rows and later code are held against, beside the fit that ``write_fit`` wrote.

    Args:
        book: with the features that the model takes.
        applications: as the lake holds them; features: what was made of them, row by row.
        scores: P(default) of each row by a fit that did not see it, float64; not a number where there is none.
        histories: of these loans or of more.
    """
    rows = features.select([feature.name for feature in book.features])
    write_json(folder / "profile.json", freeze(rows, scores, book))
    write_rows(folder / "reference.parquet", reference_sample(rows, scores, seed))
    write_golden(folder, applications, features, histories, seed)
