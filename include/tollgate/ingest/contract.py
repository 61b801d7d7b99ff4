"""The contract of a book's table, derived from its columns: checked with Pandera, printed for the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollgate.books.base import ARROW

if TYPE_CHECKING:
    import pandera.pandas as pandera
    import pyarrow as pa

    from tollgate.books import Book, Column

REQUIRED, DUPLICATE = "required", "duplicate"
# Pandera names its two built-in rules itself; ours are named where they are made.
PANDERA_NAMES = {"not_nullable": REQUIRED, "field_uniqueness": DUPLICATE}


def contract(book: Book, table: str) -> pandera.DataFrameSchema:
    """The Pandera schema of ``applications`` or ``outcomes``, under the lake's names and Arrow types.

    Personal columns are not in it: they are never read. Of rows that share a unique value, the first keeps it and
    every later one fails, also when the first is bad for another reason.
    """
    import pandas as pd
    import pandera.pandas as pandera

    return pandera.DataFrameSchema({
        c.name: pandera.Column(pd.ArrowDtype(ARROW[c.kind]), checks=_checks(c), nullable=c.nullable, unique=c.unique,
                               report_duplicates="exclude_first", description=c.doc)
        for c in book.columns(table) if not c.personal
    }, strict=True, name=f"{book.name} {table}")


def _checks(column: Column) -> list[pandera.Check]:
    from pandera.pandas import Check

    checks = []
    if column.ge is not None:
        checks.append(Check.ge(column.ge, error="below_minimum"))
    if column.le is not None:
        checks.append(Check.le(column.le, error="above_maximum"))
    if column.isin:
        checks.append(Check.isin(list(column.isin), error="not_in_vocabulary"))
    return checks


def check(book: Book, table: str, rows: pa.Table, unread: pa.Table) -> pa.Table:
    """Every broken rule of every row.

    Args:
        rows: parsed rows, personal columns left out.
        unread: the cells that could not be parsed; they are null in ``rows``, which is not held against them twice.

    Returns ``REASONS`` (row index, rule, column), those of ``unread`` included, in order of row.
    """
    import pandas as pd
    import pyarrow as pa
    from pandera.errors import SchemaErrors

    from tollgate.ingest.parse import REASONS

    try:
        contract(book, table).validate(rows.to_pandas(types_mapper=pd.ArrowDtype), lazy=True)
        return unread.sort_by([("row", "ascending"), ("column", "ascending")])
    except SchemaErrors as err:
        cases = err.failure_cases
    if cases["index"].isna().any():
        raise ValueError(f"the parsed rows are not of the contract's types: {cases['check'].unique().tolist()}")
    broken = pd.DataFrame({"row": cases["index"].astype("int64"), "column": cases["column"],
                           "rule": cases["check"].replace(PANDERA_NAMES)})
    known = unread.select(["row", "column"]).to_pandas().assign(unread=True)
    broken = broken.merge(known, on=["row", "column"], how="left")
    broken = broken[broken["unread"].isna()]
    new = pa.Table.from_pandas(broken[REASONS.names], schema=REASONS, preserve_index=False)
    return pa.concat_tables([unread, new]).sort_by([(name, "ascending") for name in ("row", "column", "rule")])


def contract_table(book: Book, table: str) -> list[dict[str, str]]:
    """The contract for people, a line a column: ``name, source, type, doc, rule, known, why``."""
    return [{
        "name": c.name,
        "source": c.source,
        "type": c.kind if c.kind != "date" else f"date ({c.format})",
        "doc": c.doc,
        "rule": "dropped, never read" if c.personal else "; ".join(_rules(c)),
        "known": "at the application" if c.known == "application" else "later",
        "why": c.why,
    } for c in book.columns(table)]


def _rules(column: Column) -> list[str]:
    rules: list[Any] = ["may be missing" if column.nullable else REQUIRED]
    rules += [f">= {column.ge}"] if column.ge is not None else []
    rules += [f"<= {column.le}"] if column.le is not None else []
    rules += [f"one of {', '.join(column.isin)}"] if column.isin else []
    rules += ["unique in its file"] if column.unique else []
    rules += ["read as: " + ", ".join(f"{old} as {new or 'missing'}" for old, new in column.recode.items())
              ] if column.recode else []
    return rules
