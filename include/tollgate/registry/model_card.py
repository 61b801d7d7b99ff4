"""The model card: the facts of a model, and what has been decided about it since.

The facts are kept in MLflow with the run, their digest in the ledger. The page is rendered when it is asked for, from
those facts and the ledger as it stands, so that no card is ever out of date.
"""

from __future__ import annotations

import json
import tempfile
from typing import Any

from tollgate.registry import ledger
from tollgate.registry.card_page import page
from tollgate.registry.facts import CARD
from tollgate.registry.known import registered
from tollgate.registry.registering import registered_file
from tollgate.registry.shadowing import shadow_record
from tollgate.registry.standing import COMMITS, REJECTED, answered_at, states, version_in
from tollgate.registry.tracking import faults_named


@faults_named()
def card(book: str, version: str) -> dict[str, Any]:
    """The card of a registered version as it stands now.

    Returns ``{"book", "version", "state", "digest", "as_of", "facts", "origin", "decisions": [ledger line], "shadow":
    what ``shadow_record`` answers, "html"}``.

    Raises:
        BadInput: there is no such version.
        Refused: the facts in MLflow are gone, or not those that were registered.
        PassingFault: MLflow or the lake did not answer.
    """
    chain = ledger.trusted(book)
    entry = registered(book, chain, version)
    model = version_in(entry)
    with tempfile.TemporaryDirectory() as folder:
        content = registered_file(entry, CARD, folder).read_bytes()
    decided = [{"line": e.seq, "at": e.at, "answered_at": answered_at(e), "kind": e.kind, "by": e.payload["by"],
                "comment": e.payload["comment"]}
               for e in chain if e.kind in (*COMMITS, REJECTED) and version_in(e) == model]
    told = {**model.to_json(), "state": states(chain)[version], "facts": json.loads(content),
            "origin": entry.payload["origin"], "registered": {"line": entry.seq, "at": entry.at}, "decisions": decided,
            "shadow": shadow_record(book, version)}
    return {**told, "html": page(told)}
