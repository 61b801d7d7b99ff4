"""Where the rows lie that a published score was made of; nothing else knows it of one loan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights
from tollgate.books import LOAN, Book
from tollgate.errors import BadInput
from tollgate.features import Histories, histories_of
from tollgate.scoring.shards import as_scored


@dataclass(frozen=True)
class LoanRows:
    """What one night pinned of a loan, and published of it.

    Attributes:
        published: its row of the scores. rows: the application, one row, as the night stood to it. histories: its own.
        most: reasons that a declined loan of that night is given.
    """

    published: dict[str, Any]
    rows: pa.Table
    histories: Histories
    most: int


def rows_of_loan(book: Book, loan_id: str, night: date | None = None, population: str = nights.NEW) -> LoanRows:
    """The published score of a loan, and the rows that it was made of.

    Args:
        night: the as-of of the night; the newest of the population on which the loan was scored where None.

    Raises:
        BadInput: the loan was not scored, or not on that night, or what the night pinned is kept no longer.
        Refused: what the night pinned was changed.
        PassingFault: the lake or the store did not answer.
    """
    filters = [(LOAN, "=", loan_id), ("population", "=", population)]
    found = lake.read(lake.scores(book.name), filters=filters).to_pylist()
    if not found:
        raise BadInput(f"No scores of this loan were published in {book.name}, population {population}", value=loan_id,
                       remedy="Check the loan's number, and that its month was scored.")
    published = next((row for row in reversed(found) if night in (None, row["as_of"])), None)
    if published is None:
        raise BadInput(f"The loan {loan_id} was not scored on this night", value=night,
                       remedy=f"It was on {', '.join(row['day'] for row in found)}.")
    pin = nights.read_pin(nights.Attempt(book.name, population, published["as_of"], published["attempt"]))
    shard = nights.shard_of(loan_id, pin.shards)
    rows = nights.read_population(pin, shard)
    mine = rows.filter(pc.equal(rows[LOAN], loan_id))
    past = nights.read_histories(pin, shard, [table.name for table in book.histories])
    own = histories_of(book, mine, past)
    return LoanRows(published, as_scored(pin, mine), own, pin.params["scoring"]["reasons"])
