"""Where the rows lie that a published score was made of; nothing else knows it of one loan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import LOAN, Book
from tollgate.errors import BadInput
from tollgate.features import Histories, histories_of
from tollgate.scoring.pin import history_path, read_pin, read_rows, rows_path, shard_of


@dataclass(frozen=True)
class LoanRows:
    """What one night pinned of a loan, and published of it.

    Attributes:
        published: the champion's row of the scores. rows: the application, one row. histories: its own.
        most: reasons that a declined loan of that night is given.
    """

    published: dict[str, Any]
    rows: pa.Table
    histories: Histories
    most: int


def rows_of_loan(book: Book, loan_id: str, night: date | None = None) -> LoanRows:
    """The champion's published score of a loan, and the rows that it was made of.

    Args:
        night: the as-of of the night; the newest on which the loan was scored where None.

    Raises:
        BadInput: the loan was not scored, or not on that night, or the rows of its run are gone.
        PassingFault: the lake or the store did not answer.
    """
    filters = [(LOAN, "=", loan_id), ("role", "=", "champion")]
    found = lake.read(lake.scores(book.name), filters=filters).to_pylist()
    if not found:
        raise BadInput(f"No scores of this loan were published in {book.name}", value=loan_id,
                       remedy="Check the loan's number, and that its month was scored.")
    nights = sorted(row["day"] for row in found)
    wanted = night.isoformat() if night else nights[-1]
    if wanted not in nights:
        raise BadInput(f"The loan {loan_id} was not scored on this night", value=wanted,
                       remedy=f"It was on {', '.join(nights)}.")
    published = next(row for row in found if row["day"] == wanted)
    run = published["run_id"]
    pinned = read_pin(run)
    shard = shard_of(loan_id, pinned["shards"])
    rows = read_rows(rows_path(run, shard))
    mine = rows.filter(pc.equal(rows[LOAN], loan_id))
    past = {table.name: read_rows(history_path(run, shard, table.name)) for table in book.histories}
    return LoanRows(published, mine, histories_of(book, mine, past), pinned["reasons"])
