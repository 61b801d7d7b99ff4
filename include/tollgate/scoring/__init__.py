"""Scoring: pin a night once, score it in shards, publish it whole; shadows beside it."""

from tollgate.scoring.pin import pin
from tollgate.scoring.publish import publish
from tollgate.scoring.shadow import compare_shadows, score_shadows
from tollgate.scoring.shards import score_shard

__all__ = ["compare_shadows", "pin", "publish", "score_shadows", "score_shard"]
