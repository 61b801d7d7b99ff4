"""Ingest: lenders' files land, good rows are published, bad rows are quarantined with reasons.

Nothing heavy is imported here: a trigger polls ``new_files``.
"""

from __future__ import annotations

from tollgate.ingest.check import check_file
from tollgate.ingest.contract import contract, contract_rules, contract_table
from tollgate.ingest.counts import audit
from tollgate.ingest.history import bring_history
from tollgate.ingest.landing import land, look, new_files
from tollgate.ingest.migration import migrate
from tollgate.ingest.publish import ingest_file, take_in
from tollgate.ingest.quarantine import quarantined, quarantined_loan, quarantined_rows
from tollgate.ingest.releases import release
from tollgate.ingest.warnings import noted

__all__ = ["audit", "bring_history", "check_file", "contract", "contract_rules", "contract_table", "ingest_file",
           "land", "look", "migrate", "new_files", "noted", "quarantined", "quarantined_loan", "quarantined_rows",
           "release", "take_in"]
