"""Moved to tollgate.features (it must lie below registry and scoring). Import from tollgate.features."""

from tollgate.features.model import Model, digest_of, matrix

__all__ = ["Model", "digest_of", "matrix"]
