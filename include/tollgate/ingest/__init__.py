"""Ingest: lenders' files land, good rows are published, bad rows are quarantined with reasons.

Nothing heavy is imported here: a trigger polls ``new_files``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollgate.ingest.landing import land, look, new_files
from tollgate.lazily import found_in

if TYPE_CHECKING:
    from tollgate.ingest.contract import (
        contract_rules,
        contract_table,
        quarantined,
        quarantined_loan,
        quarantined_rows,
        schema_of,
    )
    from tollgate.ingest.erasing import emptied, erase_from_landing, quarantined_theirs, theirs_by
    from tollgate.ingest.expectations import noted
    from tollgate.ingest.publishing import audit, bring_history, check_file, ingest_file, migrate, release, take_in

# A trigger polls landing, and nothing else of this room.
__getattr__ = found_in(__name__, "contract", "erasing", "expectations", "publishing")

__all__ = ["audit", "bring_history", "check_file", "contract_rules", "contract_table", "emptied",
           "erase_from_landing", "ingest_file", "land", "look", "migrate", "new_files", "noted", "quarantined",
           "quarantined_loan", "quarantined_rows", "quarantined_theirs", "release", "schema_of", "take_in", "theirs_by"]
