"""Scoring: pin the models once, predict in shards, publish the night's partition whole; explain a loan's score."""

from tollgate.scoring.explain import explain
from tollgate.scoring.pin import pin
from tollgate.scoring.publish import publish
from tollgate.scoring.shards import score_shard

__all__ = ["explain", "pin", "publish", "score_shard"]
