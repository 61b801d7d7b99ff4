"""Whom a challenger is compared with: the champion, and former champions that still are what they were."""

from __future__ import annotations

from functools import cache
from typing import Any

from tollgate.features import digest_of
from tollgate.registry.aliases import repair_aliases
from tollgate.registry.former import comparable, why_unscorable
from tollgate.registry.looks import looks
from tollgate.registry.registering import fetch_to_compare
from tollgate.registry.versions import Version


def no_rivals(book: str) -> dict[str, Any]:
    """What ``rivals`` tells of a book that never had a champion."""
    return {"model": book, "version": None, "digest": None, "unproven": None, "former": [], "left_out": [], "looks": []}


def rivals(book: str) -> dict[str, Any]:
    """What a run pins of those that its challenger will be compared with: the content of ``run/champion.json``.

    Returns:
        ``model`` (the book), ``version`` of the champion and ``digest`` of the fit of it that was judged, null without
        one; ``unproven``, why today's code no longer scores as it, null where it does; ``former``, these two of former
        champions; ``left_out``, the ``version`` of others and ``why``; ``looks``, what was compared with any of them
        before.

    Raises:
        Refused: the ledger is broken.
        PassingFault: MLflow, its artefact store or the lake did not answer.
    """
    now, fetch = repair_aliases(book), cache(fetch_to_compare)  # a fetch makes golden rows again
    former, left_out = comparable(now, fetch)
    unproven = why_unscorable(now.champion, fetch) if now.champion else None

    def judged(model: Version) -> str:
        return digest_of(fetch(model.book, model.version))

    version, digest = (now.champion.version, now.champion.digest) if now.champion else (None, None)
    if now.champion and unproven is None:
        digest = judged(now.champion)
    return {"model": book, "version": version, "digest": digest, "unproven": unproven,
            "former": [{"version": model.version, "digest": judged(model)} for model in former],
            "left_out": left_out, "looks": looks(now.chain, [version, *(model.version for model in former)])}
