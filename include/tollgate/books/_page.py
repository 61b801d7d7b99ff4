"""The docs page of a book, rendered from the book itself, so that a column is described once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tollgate.books.base import Book, Column, Feature

DIRECTION = {1: "up", -1: "down", 0: ""}


def render(book: Book) -> str:
    """The Markdown of ``docs/books/NAME.md``."""
    sent = "CSV" if book.file_format == "csv" else "Parquet"
    scenarios = f" Scenarios: {', '.join(f'`{name}`' for name in book.scenarios)}." if book.scenarios else ""
    return "\n".join([
        f"# {book.name}: {book.title}",
        "",
        "<!-- Rendered from the book's module by `make docs`. -->",
        "",
        book.about.rstrip(),
        "",
        f"Months: {book.first_month} to {book.last_month}. The lender sends {sent} files."
        f"{'' if book.dated else ' The rows carry no dates of their own.'}{scenarios}",
        "",
        "## Use and limits",
        "",
        book.use,
        "",
        *(f"- {limit}" for limit in book.limits),
        "",
        "## Applications",
        "",
        *_columns(book.applications),
        "",
        *_between(book, "applications"),
        "",
        "## Outcomes",
        "",
        *_columns(book.outcomes),
        "",
        *_between(book, "outcomes"),
        "",
        "## Features",
        "",
        "Everything the model sees. A direction binds it: *up* means that a larger value may only raise the default"
        " probability,",
        "*down* that it may only lower it. The PSI of a critical feature alone may request a retrain.",
        "",
        *_features(book),
        "",
        *_retired(book),
    ])


def _columns(columns: Sequence[Column]) -> list[str]:
    rows = ((f"`{c.name}`", f"`{c.source}`", c.kind, _allowed(c), c.doc, _standing(c)) for c in columns)
    return _table(("column", "the lender's name", "kind", "allowed", "what it is", "standing"), rows)


def _between(book: Book, table: str) -> list[str]:
    """What is held against whole rows, a line a rule."""
    rows = ((f"`{name}`", ", ".join(f"`{c}`" for c in uses), doc) for name, uses, doc in book.row_rules(table))
    return _table(("a row is refused as", "for its", "because"), rows)


def _allowed(column: Column) -> str:
    """The contract of a column in a few words."""
    said = []
    if column.isin:
        said.append(", ".join(column.isin))
    if column.ge is not None or column.le is not None:
        low = "" if column.ge is None else f"{column.ge}"
        high = "" if column.le is None else f"{column.le}"
        said.append(f"{low} … {high}".strip())
    if not column.nullable:
        said.append("never empty")
    return "; ".join(said)


def _standing(column: Column) -> str:
    """What may be done with a column, and why."""
    if column.personal:
        return f"personal ({column.why}): dropped at ingestion"
    if column.protected:
        return f"protected ({column.why}): for fairness only"
    if column.known == "later":
        return f"known later ({column.why}): never a feature"
    return "known at the application"


def _features(book: Book) -> list[str]:
    known = {column.name: column.known for column in book.applications}

    def when(feature: Feature) -> str:
        return "at the application" if all(known[name] == "application" for name in feature.uses) else "later"

    rows = ((f"`{f.name}`", f.kind, f.doc or "the column as it is", ", ".join(f"`{name}`" for name in f.uses),
             when(f), DIRECTION[f.monotone], "yes" if f.name in book.critical else "") for f in book.features)
    return _table(("feature", "kind", "how it is made", "from", "known", "direction", "critical"), rows)


def _retired(book: Book) -> list[str]:
    if not book.retired:
        return []
    return [f"Retired, and made for models in service alone: {', '.join(f'`{f.name}`' for f in book.retired)}.", ""]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
