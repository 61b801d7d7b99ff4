"""What is done with a judged file: published, quarantined, written down; released, migrated, counted again."""

from tollgate.ingest.publishing.check import check_file
from tollgate.ingest.publishing.counts import audit
from tollgate.ingest.publishing.history import bring_history
from tollgate.ingest.publishing.migration import migrate
from tollgate.ingest.publishing.publish import ingest_file, take_in
from tollgate.ingest.publishing.releases import release

__all__ = ["audit", "bring_history", "check_file", "ingest_file", "migrate", "release", "take_in"]
