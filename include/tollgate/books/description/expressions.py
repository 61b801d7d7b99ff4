"""What the SQL of an aggregate sees: the columns that it may name, and their types."""

from __future__ import annotations

from collections.abc import Sequence

from tollgate.books.description.tables import BookTable, Column

# Exact types, of which a sum is the same in whatever order its rows come; a float's is not.
TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DECIMAL(28, 9)", "money": "DECIMAL(18, 4)",
         "percent": "DECIMAL(18, 9)", "date": "DATE"}
LOAN_ASKED_FOR = "application"  # what an expression calls the loan's own row


def exact(columns: Sequence[Column], of: str) -> str:
    """SQL that selects columns of ``of`` under their names in the types that expressions see."""
    return ", ".join(f'TRY_CAST({of}."{c.name}" AS {TYPES[c.kind]}) AS "{c.name}"' for c in columns)


def seen_columns(table: BookTable) -> list[Column]:
    """The columns that an expression may name."""
    return [column for column in table.columns if not column.personal]
