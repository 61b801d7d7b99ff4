"""Which rows of a file are good, which rule each of the others breaks, and whether the file is fit as a whole."""

from tollgate.ingest.contract.cells import MASKED, masked
from tollgate.ingest.contract.judgement import PUBLISHED, REFUSED, Judgement, judge, judge_records, rows_by_rule
from tollgate.ingest.contract.quarantine import begins_with, quarantined, quarantined_loan, quarantined_rows
from tollgate.ingest.contract.rules import DUPLICATE, contract_rules, contract_table, schema_of

__all__ = ["DUPLICATE", "MASKED", "PUBLISHED", "REFUSED", "Judgement", "begins_with", "contract_rules",
           "contract_table", "judge", "judge_records", "masked", "quarantined", "quarantined_loan", "quarantined_rows",
           "rows_by_rule", "schema_of"]
