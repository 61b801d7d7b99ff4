"""What a file changes of what was published: counted by column, warned about, refused beyond a share."""

from __future__ import annotations

from tollgate.config import Ingest
from tollgate.ingest.expectations.expect import ROWS_MIN, Finding
from tollgate.ingest.reading import Unfit
from tollgate.lake import Changes

REMEDY = ("None of it is published. Ask the lender why; if it is meant, raise ingest.restated_share_max in params.yaml "
          "and run `tollgate ingest file` again.")
RESTATED, SUPERSEDED = "restated", "superseded"


def restated(changes: Changes, params: Ingest) -> list[Finding]:
    """What is to be told of a file that was published."""
    found = []
    if changes.restated:
        found.append(Finding(RESTATED, _columns(changes), _share(changes), params.restated_share_max, "warning",
                             f"It restates {_told(changes)}. Earlier as-ofs still see what they saw."))
    if changes.superseded:
        found.append(Finding(SUPERSEDED, None, changes.superseded, 0, "warning",
                             f"{changes.superseded:,} of its rows were left aside: a later delivery has spoken of the "
                             "same keys. Land the file under another name to make it the newest word."))
    return found


def raise_restated(name: str, changes: Changes, received: int, params: Ingest) -> None:
    """Raise ``Unfit`` when a file changes more of what was published of its months than a correction does."""
    if changes.restated >= ROWS_MIN and _share(changes) > params.restated_share_max:
        raise Unfit(RESTATED, f"{name} is refused whole: it restates {_told(changes)} (limit "
                    f"{params.restated_share_max:.0%})", column=_columns(changes), value=f"{_share(changes):.3g}",
                    received=received, remedy=REMEDY)


def _share(changes: Changes) -> float:
    return changes.restated / max(changes.published, 1)


def _columns(changes: Changes) -> str:
    return ", ".join(changes.columns)


def _told(changes: Changes) -> str:
    by = ", ".join(f"{column} in {rows:,}" for column, rows in sorted(changes.columns.items(),
                                                                      key=lambda pair: (-pair[1], pair[0])))
    return (f"{changes.restated:,} of the {changes.published:,} rows that were published of its months "
            f"({_share(changes):.1%}): {by}")
