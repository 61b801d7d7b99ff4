"""Scoring: pin the models once, predict in shards, publish the night's partition whole."""

from tollgate.features import Model, digest_of
from tollgate.scoring.pin import pin
from tollgate.scoring.publish import publish
from tollgate.scoring.shards import score_shard

__all__ = ["Model", "digest_of", "pin", "publish", "score_shard"]
