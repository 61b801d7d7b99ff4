"""Scoring: pin a night once, score it in shards, publish it whole; shadows beside it; explain a loan's score."""

from tollgate.scoring.explain import explain
from tollgate.scoring.pin import pin
from tollgate.scoring.publish import publish
from tollgate.scoring.shadow import compare_shadows, score_shadows
from tollgate.scoring.shards import score_shard

__all__ = ["compare_shadows", "explain", "pin", "publish", "score_shadows", "score_shard"]
