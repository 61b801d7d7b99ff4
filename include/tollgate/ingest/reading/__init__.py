"""From the bytes of a landed file to rows as the lender spelled them, and to the lake's types."""

from typing import TYPE_CHECKING

from tollgate.ingest.reading.formats import Unfit
from tollgate.ingest.reading.landed import Landed, fingerprint_of, opened, sha256_of, spelled, spool
from tollgate.ingest.reading.layout import apart, source_of, together
from tollgate.ingest.reading.manifest import MANIFEST, Manifest, read_manifest
from tollgate.lazily import found_in

if TYPE_CHECKING:
    from tollgate.ingest.reading.blanking import Gone, blanked, can_blank
    from tollgate.ingest.reading.files import batches
    from tollgate.ingest.reading.header import listed
    from tollgate.ingest.reading.parsing import REASONS, holds, parse, reasons, spell
    from tollgate.ingest.reading.raw import BATCH_ROWS, Raw
    from tollgate.ingest.reading.spelling import is_key, visible

# A trigger polls what stands in landing, which reads no row.
__getattr__ = found_in(__name__, "spelling", "raw", "header", "parsing", "blanking", "files")

__all__ = ["BATCH_ROWS", "MANIFEST", "REASONS", "Gone", "Landed", "Manifest", "Raw", "Unfit", "apart", "batches",
           "blanked", "can_blank", "fingerprint_of", "holds", "is_key", "listed", "opened", "parse", "read_manifest",
           "reasons", "sha256_of", "source_of", "spell", "spelled", "spool", "together", "visible"]
