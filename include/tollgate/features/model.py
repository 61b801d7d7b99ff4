"""A model on disk: XGBoost's own format, a JSON spec, the frozen profile and a reference sample. No pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.features.aggregates import Histories
from tollgate.features.encode import Encoder
from tollgate.features.make import make_features

if TYPE_CHECKING:
    import xgboost

BOOSTER, SPEC = "model.ubj", "model.json"


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        book: name of its book.
        encoder: the frozen vocabularies.
        booster: the trees.
        threshold: scores at or above it are declined.
        about: the whole of ``model.json``.
    """

    book: str
    encoder: Encoder
    booster: xgboost.Booster
    threshold: float
    about: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model folder. Raises ``BadInput`` when a part is missing or unreadable."""
        import xgboost

        try:
            about = json.loads((folder / SPEC).read_text(encoding="utf-8"))
            booster = xgboost.Booster(model_file=folder / BOOSTER)
        except (OSError, ValueError, xgboost.core.XGBoostError) as err:
            raise BadInput(f"The model in {folder.name} cannot be read: {str(err).splitlines()[0]}", value=folder,
                           remedy="Fetch it from the registry again.") from err
        return cls(about["book"], Encoder.from_json(about["features"]), booster, float(about["threshold"]), about)

    @property
    def features(self) -> list[str]:
        """Names of the inputs."""
        return self.encoder.names

    def predict(self, applications: pa.Table, histories: Histories | None = None) -> np.ndarray:
        """Probability of default of each application, float64 of shape (rows,)."""
        return self.predict_features(make_features(load_book(self.book), applications, histories))

    def predict_features(self, features: pa.Table) -> np.ndarray:
        """The same, from raw features."""
        if features.num_rows == 0:
            return np.empty(0)
        return self.booster.predict(self._matrix(features)).astype(np.float64)

    def contributions(self, features: pa.Table) -> np.ndarray:
        """SHAP contribution of each input to the log-odds, float64 of shape (rows, inputs).

        Tree SHAP (Lundberg et al., "From local explanations to global understanding", 2020), as XGBoost computes it.
        """
        if features.num_rows == 0:
            return np.empty((0, len(self.features)))
        return self.booster.predict(self._matrix(features), pred_contribs=True)[:, :-1].astype(np.float64)

    def gains(self) -> dict[str, float]:
        """The share of all splits' gain that each input has; 0 for every one where nothing was split."""
        gain: dict[str, Any] = {**self.booster.get_score(importance_type="total_gain")}
        total = sum(gain.values()) or 1.0
        return {name: gain.get(name, 0.0) / total for name in self.features}

    def _matrix(self, features: pa.Table) -> xgboost.DMatrix:
        return matrix(self.encoder, features)


def matrix(encoder: Encoder, features: pa.Table, label: np.ndarray | None = None,
           weight: np.ndarray | None = None) -> xgboost.DMatrix:
    """XGBoost's matrix of raw features, with the encoder's names and types."""
    import xgboost

    return xgboost.DMatrix(encoder.encode(features), label=label, weight=weight, feature_names=encoder.names,
                           feature_types=encoder.types, enable_categorical=True)


def digest_of(folder: Path) -> str:
    """SHA-256 over the names and contents of every file of a model folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
