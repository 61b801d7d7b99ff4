"""The lake: Delta tables with written schemas, atomic partition replace and reads as-of."""

from tollgate.lake.contention import prove_put_if_absent
from tollgate.lake.delta import (
    append_next,
    batches,
    change_partitions,
    compact,
    copy,
    count,
    partitions,
    read,
    replace_partition,
    replace_partitions,
    rewrite,
    version,
)
from tollgate.lake.digests import digest
from tollgate.lake.disk import PartitionedRows, Scratch, scratch
from tollgate.lake.erasing import change_rows, purge, rows_held
from tollgate.lake.records import records
from tollgate.lake.schemas import (
    Table,
    acknowledgements,
    alerts,
    applications,
    checks,
    decisions,
    deliveries,
    events,
    feeds,
    incidents,
    ledger,
    measures,
    nights,
    outcomes,
    published,
    quarantine,
    received,
    requests,
    scores,
    shadow_performance,
    shadow_scores,
    shadows,
    superseded,
    told,
    verdicts,
)
from tollgate.lake.store import Entry, Store
from tollgate.lake.strays import delete_strays
from tollgate.lake.turns import publish_turn
from tollgate.lake.versions import (
    Changes,
    Delivery,
    append_versions,
    compare,
    count_keys,
    lookup,
    versions_of,
    view,
    view_batches,
)

__all__ = [
    "Changes", "Delivery", "Entry", "PartitionedRows", "Scratch", "Store", "Table", "acknowledgements", "alerts",
    "append_next", "append_versions", "applications", "batches", "change_partitions", "change_rows", "checks",
    "compact", "compare", "copy", "count", "count_keys", "decisions", "delete_strays", "deliveries", "digest",
    "events", "feeds", "incidents", "ledger", "lookup", "measures", "nights", "outcomes", "partitions",
    "prove_put_if_absent", "publish_turn", "published", "purge", "quarantine", "read", "received", "records",
    "replace_partition", "replace_partitions", "requests", "rewrite", "rows_held", "scores", "scratch",
    "shadow_performance", "shadow_scores", "shadows", "superseded", "told", "verdicts", "version", "versions_of",
    "view", "view_batches",
]
