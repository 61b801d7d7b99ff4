"""The registry: models in MLflow, the ledger of every decision, promotion, rollback and lineage."""

from typing import TYPE_CHECKING

from tollgate.lazily import found_in
from tollgate.registry.keys import check as check_keys
from tollgate.registry.known import challenger, champion_on, champions_since, models
from tollgate.registry.ledger import adopt, decisions, entries, record, verify
from tollgate.registry.pages import mlflow_pages
from tollgate.registry.people import signed_by
from tollgate.registry.published import published_gates
from tollgate.registry.reigns import Reign, reign
from tollgate.registry.tracking import address, forget, prepare, runs_and_versions
from tollgate.registry.versions import Version

if TYPE_CHECKING:
    from tollgate.registry.aliases import champion
    from tollgate.registry.erased_evidence import erase_from_evidence
    from tollgate.registry.erasing import begin_erasure, comments, end_erasure, open_erasures
    from tollgate.registry.lineage import trace
    from tollgate.registry.model_card import card
    from tollgate.registry.origin import code_commit, code_digest
    from tollgate.registry.points import scorecard
    from tollgate.registry.promotion import promote, reject, rollback
    from tollgate.registry.proof import prove
    from tollgate.registry.rebuild import reproduce
    from tollgate.registry.registering import fetch_model, fetch_to_compare, fetch_to_score, register
    from tollgate.registry.reopening import reopen, reopened
    from tollgate.registry.reports import gate_report, publish_gates, registered_gates
    from tollgate.registry.rivalry import rivals

# What reads the ledger is there at once: the Board waits for nothing else of this room.
__getattr__ = found_in(__name__, "aliases", "erasing", "reopening", "lineage", "origin", "erased_evidence",
                       "registering", "model_card", "points", "proof", "promotion", "reports", "rivalry", "rebuild")

__all__ = [
    "Reign", "Version", "address", "adopt", "begin_erasure", "card", "challenger", "champion", "champion_on",
    "champions_since", "check_keys", "code_commit", "code_digest", "comments", "decisions", "end_erasure",
    "entries", "erase_from_evidence", "fetch_model", "fetch_to_compare", "fetch_to_score", "forget", "gate_report",
    "mlflow_pages", "models", "open_erasures", "prepare", "promote", "prove", "publish_gates", "published_gates",
    "record", "register", "registered_gates", "reign", "reject", "reopen", "reopened", "reproduce", "rivals",
    "rollback", "runs_and_versions", "scorecard", "signed_by", "trace", "verify",
]
