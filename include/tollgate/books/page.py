"""The docs page of a book, rendered from the book itself, so that a column is described once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from tollgate.books.description.book import Book
from tollgate.books.description.features import Feature
from tollgate.books.description.reasons import sentence_of, subject_of
from tollgate.books.description.sources import Reader, Sender, Source
from tollgate.books.description.tables import BookTable, Column
from tollgate.books.description.targets import Event

DIRECTION = {1: "up", -1: "down", 0: ""}


def render(book: Book) -> str:
    """The Markdown of ``docs/books/NAME.md``."""
    nulls = f" They spell nothing as {', '.join(f'`{cell}`' for cell in book.nulls)} too." if book.nulls else ""
    return "\n".join([
        f"# {book.name}: {book.title}",
        "",
        "<!-- Rendered from the book's module by `make docs`. -->",
        "",
        book.about.rstrip(),
        "",
        f"{_sent(book.sender)}{'' if book.dated else ' The rows carry no dates of their own.'}{nulls}"
        f"{_scenarios(book.sender)}",
        "",
        "## Use and limits",
        "",
        book.use,
        "",
        *(f"- {limit}" for limit in book.limits),
        "",
        *_files(book.sources),
        *(line for table in book.tables for line in _table_of(table)),
        "## What bad is",
        "",
        *_target(book),
        "",
        *_aggregates(book),
        "## Features",
        "",
        "Everything the model sees. A direction binds it: *up* means that a larger value may only raise the default"
        " probability,",
        "*down* that it may only lower it. The PSI of a critical feature alone may request a retrain.",
        "",
        *_features(book),
        "",
        *_retired(book),
        "## Reasons",
        "",
        "What the applicant of a declined loan is told of a feature that raised the risk. High and low are above and"
        " below the",
        "middle of the training rows; on it, or where the direction forbids, what it measures is said alone.",
        "[Reasons](../reasons.md) says which are chosen.",
        "",
        *_reasons(book.features),
        "",
    ])


def _sent(sender: Sender | None) -> str:
    if sender is None:
        return "The lender's files come into landing."
    sent = "CSV" if sender.file_format == "csv" else "Parquet"
    return f"Months: {sender.first_month} to {sender.last_month}. The lender sends {sent} files."


def _scenarios(sender: Sender | None) -> str:
    return f" Scenarios: {', '.join(f'`{name}`' for name in sender.scenarios)}." if sender and sender.scenarios else ""


def _files(sources: Sequence[Source]) -> list[str]:
    """How its files are written, where the book says so."""
    if not sources:
        return []
    rows = ((f"`{source.begins}...`", ", ".join(source.tables), _written(source.reader), _unread(source))
            for source in sources)
    return ["## Files", "", *_table(("a file called", "feeds", "is written", "and leaves unread"), rows), ""]


def _written(reader: Reader) -> str:
    """Every option of a reader that is not as usual."""
    usual = Reader()
    said = [f"{part.name} {_option(getattr(reader, part.name))}" for part in fields(reader)
            if getattr(reader, part.name) != getattr(usual, part.name)]
    return "; ".join(said) or "as usual"


def _option(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    return f"`{value!r}`" if isinstance(value, str) else f"{value}"


def _unread(source: Source) -> str:
    ignored = [f"`{name}`" if name.strip() else "what has no name" for name in source.ignored]
    return ", ".join([*ignored, *(["what the book does not know"] if source.ignore_unknown else [])])


def _table_of(table: BookTable) -> list[str]:
    whose = [f"A loan finds its rows here by `{table.entity}`.", ""] if table.entity else []
    return [f"## {table.name.capitalize()}", "", *whose, *_columns(table.columns), "", *_between(table), ""]


def _target(book: Book) -> list[str]:
    """The label in words, a line a clause."""
    said = {"bad": "makes a loan bad, within the horizon of its booking",
            "indeterminate": "ends a loan with its outcome unknown, unless it was bad before",
            "cures": "undoes what was bad before it: not bad again, the loan is neither good nor bad",
            "void": "takes the loan out of everything, whenever it comes"}
    lines = [f"- {_event(event)} {text}." for kind, text in said.items() for event in getattr(book.target, kind)]
    booked = ("The lender sends booked loans alone: each is booked on the day of its application." if book.all_booked
              else "A loan is booked on the day that its decision names; who was not booked has no label.")
    return [*lines, "- A row of such an event without a day takes back what was reported before it; a later event does "
                    "not.", f"- {booked}",
            f"- An event may be reported {book.target.lag_days} days after it happened: a label is mature that long "
            "after its horizon."]


def _event(event: Event) -> str:
    which = ("" if event.column is None else
             f" whose `{event.column}` is {', '.join(event.isin)}" if event.isin else
             f" whose `{event.column}` is {event.ge:g} or more")
    return f"A row of {event.table}{which}, dated by {', else by '.join(f'`{name}`' for name in event.dates)},"


def _columns(columns: Sequence[Column]) -> list[str]:
    rows = ((f"`{c.name}`", f"`{c.source}`", c.kind, _allowed(c), c.doc, _standing(c)) for c in columns)
    return _table(("column", "the lender's name", "kind", "allowed", "what it is", "standing"), rows)


def _between(table: BookTable) -> list[str]:
    """What is held against whole rows, a line a rule."""
    rows = ((f"`{name}`", ", ".join(f"`{c}`" for c in uses), doc) for name, uses, doc in table.row_rules())
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
    if column.kind == "date" and (len(column.formats) > 1 or column.month_end):
        said.append(" or ".join(f"`{form}`" for form in column.formats)
                    + (", a month being its last day" if column.month_end else ""))
    if column.unscreened:
        said.append(f"not looked into for personal data ({column.unscreened})")
    return "; ".join(said)


def _standing(column: Column) -> str:
    """What may be done with a column, and why."""
    if column.personal:
        return f"personal ({column.why}): dropped at ingestion"
    if column.protected:
        return f"protected ({column.why}): for fairness only"
    if column.known == "later":
        return f"known later ({column.why}): never a feature"
    asked = {"lower": "a lower one could have been asked for", "raise": "a higher one could have been asked for",
             "either": "another could have been asked for"}
    return "known at the application" + (f"; {asked[column.actionable]}" if column.actionable else "")


def _features(book: Book) -> list[str]:
    later = {column.name for column in book.applications if column.known == "later"}

    def when(feature: Feature) -> str:
        return "later" if later & set(feature.uses) else "at the application"

    rows = ((f"`{f.name}`", f.kind, f.doc or "the column as it is", ", ".join(f"`{name}`" for name in f.uses),
             when(f), DIRECTION[f.monotone], "yes" if f.name in book.critical else "") for f in book.features)
    return _table(("feature", "kind", "how it is made", "from", "known", "direction", "critical"), rows)


def _aggregates(book: Book) -> list[str]:
    """What features use of the histories, a line each; nothing for a book without any."""
    if not book.aggregates:
        return []
    rows = ((f"`{a.name}`", a.over, a.doc or "-", f"`{a.sql.replace('|', chr(92) + '|')}`" if a.sql else
             "a Python function of the book") for a in book.aggregates)
    return ["## Aggregates", "",
            "One value a loan, of the rows of its history that were told before it was applied for and had arrived "
            "with it.", "", *_table(("aggregate", "over", "what it is", "how it is made"), rows), ""]


def _reasons(features: Sequence[Feature]) -> list[str]:
    """Every sentence; of features that are told alike, one line."""
    told: dict[tuple[str, ...], list[str]] = {}
    for feature in features:
        if feature.kind == "category":
            said = (sentence_of(replace(feature, reason=replace(feature.reason, words={})), "…", 0),
                    "; ".join(f"{level}: {words}" for level, words in feature.reason.words.items()))
        else:
            sides = [(side, name) for side, name in ((1, "high"), (-1, "low")) if side != -feature.monotone]
            said = ("; ".join(f"{name}: {sentence_of(feature, 1.0, side)}" for side, name in sides), "")
        told.setdefault((subject_of(feature), *said, sentence_of(feature, None, 0)), []).append(f"`{feature.name}`")
    rows = ((", ".join(names), what, said, words, missing) for (what, said, words, missing), names in told.items())
    return _table(("feature", "what it measures", "what is said", "a level reads", "missing"), rows)


def _retired(book: Book) -> list[str]:
    if not book.retired:
        return []
    return [f"Retired, and made for models in service alone: {', '.join(f'`{f.name}`' for f in book.retired)}.", ""]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
