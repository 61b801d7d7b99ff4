"""The contract of a book's table, derived from its columns and rules: checked with Pandera, printed for the docs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from tollgate.books.description.tables import ARROW, DUPLICATE, FUTURE
from tollgate.ingest.contract.cells import FORMULA, HARMLESS, PERSONAL, is_formula, is_free, personal
from tollgate.ingest.reading import is_key

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pandera.pandas as pandera
    import pyarrow as pa

    from tollgate.books import Book, Column, Rule

REQUIRED = "required"
Frame = Callable[["pd.DataFrame"], "pd.Series[bool]"]


def schema_of(book: Book, table: str, seen_on: date | None = None) -> pandera.DataFrameSchema:
    """The Pandera schema of a table of the book, under the lake's names and Arrow types.

    Personal columns are not in it: they are never read. Of rows that share a key, the first keeps it and every later
    one fails, also when the first is bad for another reason.

    Args:
        seen_on: the day on which the file was first seen; no row may be dated later. None leaves the future open.
    """
    from pandera.pandas import Check

    schema = row_contract(book, table, seen_on)
    key = list(book.table(table).key)
    schema.checks = [*schema.checks, Check(
        lambda rows: ~rows.duplicated(subset=key) | rows[key].isna().any(axis="columns"), error=DUPLICATE,
        statistics={"uses": key})]
    return schema


def row_contract(book: Book, table: str, seen_on: date | None = None) -> pandera.DataFrameSchema:
    """That part of the contract which is held against every row by itself."""
    import pandas as pd
    import pandera.pandas as pandera

    of = book.table(table)
    return pandera.DataFrameSchema({
        c.name: pandera.Column(pd.ArrowDtype(ARROW[c.kind]), nullable=c.nullable, description=c.doc,
                               checks=_checks(c, seen_on if c.name in of.told else None))
        for c in of.columns if not c.personal
    }, checks=[pandera.Check(_holds(rule), error=rule.name, statistics={"uses": rule.uses})
               for rule in of.rules], strict=True, name=f"{book.name} {table}")


def _checks(column: Column, seen_on: date | None) -> list[pandera.Check]:
    from pandera.pandas import Check

    checks = []
    if column.ge is not None:
        checks.append(Check.ge(column.ge, error="below_minimum"))
    if column.le is not None:
        checks.append(Check.le(column.le, error="above_maximum"))
    if column.isin:
        checks.append(Check.isin(list(column.isin), error="not_in_vocabulary"))
    if seen_on is not None:
        checks.append(Check.le(seen_on, error=FUTURE))
    if is_free(column):
        key = is_key(column)
        looked_at = {"key": key, "screened": not column.unscreened}
        if not column.unscreened:
            checks.append(Check(
                lambda cells: cells.map(lambda cell: personal(cell, key=key) is None, na_action="ignore").astype(bool),
                name=HARMLESS, error=PERSONAL, statistics=looked_at))
        checks.append(Check(lambda cells: ~cells.map(is_formula, na_action="ignore").astype(bool),
                            name=HARMLESS, error=FORMULA, statistics=looked_at))
    return checks


def _holds(rule: Rule) -> Frame:
    def holds(rows: pd.DataFrame) -> pd.Series[bool]:
        used = rows[list(rule.uses)]
        kept = rule.holds(*(used[name] for name in rule.uses))
        return (kept.fillna(True) | used.isna().any(axis="columns")).astype(bool)

    return holds


def check(schema: pandera.DataFrameSchema, rows: pa.Table, places: np.ndarray, unread: pa.Table) -> pa.Table:
    """What Pandera holds against each row.

    Args:
        schema: of ``row_contract``.
        rows: parsed rows, personal columns left out.
        places: int64, what each row is called in the answer.
        unread: ``REASONS`` of the cells that could not be parsed, by the same places; they are null in ``rows``, which
            is not held against them twice.

    Returns ``REASONS``, those of ``unread`` not repeated.
    """
    import pandas as pd
    import pyarrow as pa
    from pandera.errors import SchemaErrors

    from tollgate.ingest.reading import REASONS

    typed = rows.cast(pa.schema([(name, column.dtype.type.pyarrow_dtype) for name, column in schema.columns.items()]))
    try:
        schema.validate(typed.to_pandas(types_mapper=pd.ArrowDtype).set_axis(places), lazy=True)
        return REASONS.empty_table()
    except SchemaErrors as err:
        cases = err.failure_cases
    if cases["index"].isna().any():
        raise ValueError(f"the parsed rows are not of the contract's types: {cases['check'].unique().tolist()}")
    wide = {check.error: ", ".join(check.statistics["uses"]) for check in schema.checks if check.statistics}
    rule = cases["check"].replace({"not_nullable": REQUIRED})  # Pandera names its built-in rule itself
    # A rule between columns fails in every column of the frame at once.
    broken = pd.DataFrame({"row": cases["index"].astype("int64"), "rule": rule,
                           "column": rule.map(wide).fillna(cases["column"])}).drop_duplicates()
    known = unread.select(["row", "column"]).to_pandas().assign(unread=True)
    broken = broken.merge(known, on=["row", "column"], how="left")
    broken = broken[broken["unread"].isna()]
    return pa.Table.from_pandas(broken[REASONS.names], schema=REASONS, preserve_index=False)


def contract_table(book: Book, table: str) -> list[dict[str, str]]:
    """The contract for people, a line a column: ``name, source, type, doc, rule, known, why``."""
    return [{
        "name": c.name,
        "source": c.source,
        "type": c.kind if c.kind != "date" else f"date ({' or '.join(c.formats)})",
        "doc": c.doc,
        "rule": "dropped, never read" if c.personal else "; ".join(_rules(c)),
        "known": "at the application" if c.known == "application" else "later",
        "why": c.why,
    } for c in book.columns(table)]


def contract_rules(book: Book, table: str) -> list[dict[str, str]]:
    """What is held against whole rows, for people: ``name, columns, doc``."""
    return [{"name": name, "columns": ", ".join(uses), "doc": doc} for name, uses, doc in book.table(table).row_rules()]


def _rules(column: Column) -> list[str]:
    rules: list[Any] = ["may be missing" if column.nullable else REQUIRED]
    rules += [f">= {column.ge}"] if column.ge is not None else []
    rules += [f"<= {column.le}"] if column.le is not None else []
    rules += [f"one of {', '.join(column.isin)}"] if column.isin else []
    if is_free(column):
        rules.append(f"no formula; not looked into for personal data: {column.unscreened}" if column.unscreened
                     else "no personal data, no formula")
    rules += ["no float, no invisible character"] if is_key(column) else []
    rules += ["read as: " + ", ".join(f"{old} as {new or 'missing'}" for old, new in column.recode.items())
              ] if column.recode else []
    return rules
