"""What was surprising in the files that came, written down and read again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from tollgate import lake
from tollgate.ingest.expectations.expect import Finding


def note(book: str, stamp: dict[str, str | None], found: list[Finding]) -> None:
    """Write down what was surprising in one file, in place of what was before; ``stamp`` is what its lines begin with.

    A file without a surprise, as nearly every one is, costs no write.
    """
    table, fingerprint = lake.checks(book), str(stamp["fingerprint"])
    if found or fingerprint in lake.partitions(table):
        lines = pa.Table.from_pylist([{**stamp, **asdict(finding)} for finding in found], schema=table.schema)
        lake.replace_partitions(table, lines, [fingerprint])


def noted(book: str, fingerprint: str | None = None) -> list[dict[str, Any]]:
    """Everything that was surprising, refusals among it: a line a file, check and column.

    ``{"fingerprint", "file", "table", "check", "column", "value", "limit", "level", "sentence"}``, by file; of one
    file alone when its fingerprint is given.
    """
    filters = [] if fingerprint is None else [("fingerprint", "=", fingerprint)]
    lines = lake.read(lake.checks(book), filters=filters).to_pylist()
    return sorted(lines, key=lambda line: (line["file"], line["fingerprint"]))
