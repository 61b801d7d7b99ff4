"""The lake: Delta tables with written schemas, atomic partition replace and reads as-of."""

from tollgate.lake.delta import (
    append_next,
    batches,
    change_partitions,
    copy,
    digest,
    partitions,
    read,
    replace_partition,
    replace_partitions,
    upsert,
    version,
)
from tollgate.lake.disk import Pile, Scratch, scratch
from tollgate.lake.schemas import (
    Table,
    alerts,
    applications,
    checks,
    drift,
    ledger,
    outcomes,
    performance,
    published,
    quarantine,
    received,
    requests,
    scores,
    verdicts,
)
from tollgate.lake.store import Entry, Store

__all__ = [
    "Entry", "Pile", "Scratch", "Store", "Table", "alerts", "append_next", "applications", "batches",
    "change_partitions", "checks", "copy", "digest", "drift", "ledger", "outcomes", "partitions",
    "performance", "published", "quarantine", "read", "received", "replace_partition", "replace_partitions", "requests",
    "scores", "scratch", "upsert", "verdicts", "version",
]
