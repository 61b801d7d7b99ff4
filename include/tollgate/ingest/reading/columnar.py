"""Parquet: typed columns, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tollgate.ingest.reading.formats import CELL_BYTES, Unreadable, check_unpacked
from tollgate.ingest.reading.header import check_names
from tollgate.ingest.reading.raw import BATCH_ROWS, Raw

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.ingest.reading.landed import Landed
    from tollgate.ingest.reading.layout import Layout


def read_columns(file: Landed, layout: Layout) -> Iterator[Raw]:
    """The rows of a Parquet file. Raises ``Unfit``, ``Unreadable`` and Arrow's errors as ``files.batches`` says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted, found = layout.wanted, pq.read_schema(file.open()).names
    check_names(layout, found)
    # Older tools write moments as INT96, whose nanoseconds end with the year 2262.
    content = pq.ParquetFile(file.open(), read_dictionary=[name for name in wanted if name not in layout.keys],
                             coerce_int96_timestamp_unit="us")
    meta = content.metadata
    groups = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    # A column of one repeated value takes no room in the file.
    check_unpacked(max(groups, meta.num_rows * len(layout.columns) * CELL_BYTES), file.size)
    place = 1
    for batch in content.iter_batches(BATCH_ROWS, columns=wanted):
        rows = pa.table({name: _as_text(column, name) for name, column in
                         zip(batch.schema.names, batch.columns, strict=True)})
        yield Raw(rows, np.arange(place, place + batch.num_rows), unread=layout.unread(found))
        place += batch.num_rows


def _as_text(cells: pa.Array, name: str) -> pa.Array:
    """Text that its writer did not mark as text is bytes; any other column is as it is."""
    import pyarrow as pa
    import pyarrow.types as pt

    kind = cells.type.value_type if pt.is_dictionary(cells.type) else cells.type
    if not (pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind) or pt.is_binary_view(kind)):
        return cells
    try:
        plain = cells.dictionary_decode() if pt.is_dictionary(cells.type) else cells
        return plain.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid as err:
        raise Unreadable(f"its column {name} holds bytes that are not UTF-8") from err
