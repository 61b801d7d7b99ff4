"""Labels: what became of each loan, when that may be trusted, whether outcomes still arrive, and reject inference."""

from tollgate.labels.evidence import feed_evidence
from tollgate.labels.feed import Finding, findings
from tollgate.labels.rejects import METHODS, PROBABILITY, SUPPOSING, Method, augment
from tollgate.labels.report import grouped, labels_report, page, readable
from tollgate.labels.targets import (
    BAD,
    GOOD,
    IMMATURE,
    INDETERMINATE,
    LABELS,
    UNBOOKED,
    label,
    label_of,
    mature_before,
    needed,
    open_loans,
    read_labels,
)
from tollgate.labels.vintage import vintages

__all__ = [
    "BAD",
    "GOOD",
    "IMMATURE",
    "INDETERMINATE",
    "LABELS",
    "METHODS",
    "PROBABILITY",
    "SUPPOSING",
    "UNBOOKED",
    "Finding",
    "Method",
    "augment",
    "feed_evidence",
    "findings",
    "grouped",
    "label",
    "label_of",
    "labels_report",
    "mature_before",
    "needed",
    "open_loans",
    "page",
    "read_labels",
    "readable",
    "vintages",
]
