"""Ingest: lenders' files land, good rows are published, bad rows are quarantined with reasons.

Nothing heavy is imported here: a trigger polls ``new_files``.
"""

from __future__ import annotations

from tollgate.ingest.contract import (
           contract,
           contract_rules,
           contract_table,
           quarantined,
           quarantined_loan,
           quarantined_rows,
)
from tollgate.ingest.erasing import emptied, erase_from_landing, quarantined_theirs, theirs_by
from tollgate.ingest.expectations import noted
from tollgate.ingest.landing import land, look, new_files
from tollgate.ingest.publishing import audit, bring_history, check_file, ingest_file, migrate, release, take_in

__all__ = ["audit", "bring_history", "check_file", "contract", "contract_rules", "contract_table", "emptied",
           "erase_from_landing", "ingest_file", "land", "look", "migrate", "new_files", "noted", "quarantined",
           "quarantined_loan", "quarantined_rows", "quarantined_theirs", "release", "take_in", "theirs_by"]
