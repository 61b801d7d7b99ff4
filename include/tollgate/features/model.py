"""A model on disk: its estimator's own format, a JSON spec, the frozen profile and a reference sample. No pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.estimators import Fitted, estimator
from tollgate.features.aggregates import Histories
from tollgate.features.calibrate import TINY, Calibration, unweighted
from tollgate.features.encode import Encoder
from tollgate.features.make import make_features
from tollgate.features.table_file import TableFile

SPEC, BASELINE, GATED, REFERENCE = "model.json", "scorecard", "gated", "reference.parquet"


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        book: name of its book.
        encoder: the frozen vocabularies.
        fitted: what scores. default_weight, calibration: what makes probabilities of it, in this order.
        threshold: scores at or above it are declined.
        folder: where it was read from.
        about: the whole of ``model.json``.
    """

    book: str
    encoder: Encoder
    fitted: Fitted
    default_weight: float
    calibration: Calibration
    threshold: float
    about: dict[str, Any]
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model folder. Raises ``BadInput`` when a part is missing or unreadable."""
        return cls._load(folder, None)

    @classmethod
    def load_baseline(cls, folder: Path) -> Model:
        """The scorecard that is kept with a model, to be beaten by it. Raises ``BadInput`` as ``load`` does."""
        return cls._load(folder, BASELINE)

    @classmethod
    def _load(cls, folder: Path, kind: str | None) -> Model:
        try:
            about = json.loads((folder / SPEC).read_text(encoding="utf-8"))
            encoder = Encoder.from_json(about["features"])
            fitted = estimator(kind or about["estimator"]).load(folder, encoder.columns())
            # A baseline counts every loan as one; of a model that is a scorecard it is that scorecard itself.
            weight = float(about.get("default_weight", 1.0)) if kind in (None, about.get("estimator")) else 1.0
            calibration = Calibration() if kind else Calibration.from_json(about["calibration"])
            return cls(about["book"], encoder, fitted, weight, calibration, float(about["threshold"]), about,
                       folder)
        except (OSError, KeyError, TypeError, ValueError) as err:
            what = f"{kind} beside the model" if kind else "model"
            raise BadInput(f"The {what} in {folder.name} cannot be read: {(str(err).splitlines() or [''])[0]}",
                           value=folder, remedy="Fetch it from the registry again, or run the train stage again.",
                           ) from err

    @property
    def features(self) -> list[str]:
        """Names of the inputs."""
        return self.encoder.names

    def predict(self, applications: pa.Table, histories: Histories | None = None) -> np.ndarray:
        """Probability of default of each application, float64 of shape (rows,)."""
        return self.predict_features(make_features(load_book(self.book), applications, histories))

    def predict_features(self, features: pa.Table | TableFile) -> np.ndarray:
        """The same, from raw features."""
        score = np.concatenate([self.fitted.predict(matrix) for matrix in self.encoder.batches(features)])
        return self.calibration.apply(unweighted(score, self.default_weight))

    def contributions(self, features: pa.Table) -> np.ndarray:
        """What each input adds to the log-odds, float64 of shape (rows, inputs); of steps, to those before them.

        The weight of defaults moves all log-odds by the same, and so none of these.
        """
        return self.calibration.slope * self.fitted.contributions(self.encoder.encode(features))

    def log_odds(self, features: pa.Table) -> np.ndarray:
        """What the contributions add up to with what the model says of nobody in particular; float64 of shape (rows,).

        It is the log-odds of ``predict_features``; of a calibration by steps, those before them.
        """
        from scipy.special import logit

        score = unweighted(self.fitted.predict(self.encoder.encode(features)), self.default_weight)
        odds = logit(np.clip(score, TINY, 1 - TINY))
        return np.asarray(self.calibration.intercept + self.calibration.slope * odds)

    def reference(self) -> pa.Table:
        """The sample of raw training rows that is kept with it. Raises ``BadInput`` where it cannot be read."""
        return self._reference

    @cached_property
    def _reference(self) -> pa.Table:
        import pyarrow.parquet as pq

        try:
            return pq.read_table(self.folder / REFERENCE)
        except (OSError, pa.ArrowException) as err:
            raise BadInput(f"The reference rows of the model in {self.folder.name} cannot be read",
                           value=str(err).splitlines()[0],
                           remedy="Fetch it from the registry again, or run the train stage again.") from err

    def gains(self) -> dict[str, float]:
        """The share of the fit that each input has; 0 for one of which nothing was learned."""
        return dict(zip(self.features, self.fitted.gains().tolist(), strict=True))


def digest_of(folder: Path) -> str:
    """SHA-256 over the names and contents of every file of a model folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def gated_fit(folder: Path) -> Path:
    """The fit in a model's folder that the gates judged: the model itself, unless it was fitted again after them."""
    return folder / GATED if (folder / GATED).is_dir() else folder


def artefact_of(run: Path) -> Path:
    """What a run would register: its model, or where it was fitted again the refit, with that model in it."""
    refit = run / "refit" / "model"
    return refit if refit.is_dir() else run / "model"
