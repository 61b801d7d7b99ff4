"""A draft as the code of a module that a person goes on to edit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from tollgate.books.drafting.plan import Draft, DraftColumn, DraftSource, DraftTable, options_of

WIDTH = 118
DOCS = {"loan_id": "Number of the loan.", "applied_on": "Day of the application."}


def write(draft: Draft) -> str:
    """The text of the book's module."""
    parts = [_head(draft), _imports(draft), _sources(draft), *(_table(table) for table in draft.tables), _target(draft),
             _book(draft)]
    return "\n\n".join(part for part in parts if part) + "\n"


def parameters(horizon_months: int, why: str) -> str:
    """The text of the file of parameters beside it."""
    return f"snapshot:\n  horizon_months: {horizon_months}  # {why}\n"


def _head(draft: Draft) -> str:
    seen = "; ".join(source.said for source in draft.sources)
    lines = [f'"""{_title(draft)}: a draft that `tollgate book new` made of {seen}.', "",
             "It is yours to edit: each line says what it was concluded from. Look at these first:", ""]
    lines += [f"- TODO: {todo}" for todo in draft.todo] + [f"- {doubt}" for doubt in draft.doubts]
    lines += ["- What is personal, protected, ignored or known later was told by names and by looks.",
              "- No feature is bound to a direction yet: number(..., monotone=1) lets a larger value only raise the "
              "risk."]
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  " if line.startswith("- ") else "") for line in lines]
    return "\n".join(wrapped) + '\n"""'


def _imports(draft: Draft) -> str:
    names = {"Book", "BookTable", "Column", "Source", "Target"}
    names |= {"Reader"} if any(list(options_of(source.reader)) for source in draft.sources) else set()
    names |= {column.feature for column in draft.features} | ({"Event"} if draft.event else set())
    ordered = sorted(names, key=lambda name: (name.islower(), name))
    return f"from tollgate.books import {', '.join(ordered)}"


def _sources(draft: Draft) -> str:
    return "\n".join(["SOURCES = (", *(line for source in draft.sources for line in _source(source)), ")"])


def _source(source: DraftSource) -> Iterable[str]:
    yield f"    Source(  # {source.said}"
    yield f"        begins={_quoted(source.begins)},  # how the names of such files begin"
    yield f"        tables={_code(source.tables)},"
    if options := list(options_of(source.reader)):
        yield "        reader=Reader("
        for name, value in options:
            yield from _comment(source.evidence[name], 12) if name in source.evidence else ()
            yield f"            {name}={_code(value)},"
        yield "        ),"
    if source.ignored:
        yield "        ignored=("
        # A name of a lender's may hold a line break, which would end the comment.
        yield from (f"            {_quoted(name)},  # {' '.join(why.split())}" for name, why in source.ignored)
        yield "        ),"
    yield "    ),"


def _table(table: DraftTable) -> str:
    columns = (line for column in table.columns for line in _column(column))
    return "\n".join([f"{table.name.upper()} = (", *columns, ")"])


def _column(column: DraftColumn) -> Iterable[str]:
    yield from _comment(column.seen, 4)
    words = column.source.replace("_", " ").strip().capitalize()
    doc = DOCS.get(column.name, f"{words}.")
    arguments = [f"name={_quoted(column.name)}", f"source={_quoted(column.source)}", f'kind="{column.kind}"',
                 f"doc={_quoted(doc)}", *(f"{name}={_requoted(code)}" for name, code in column.options)]
    yield from _call("Column", arguments, 4)


def _target(draft: Draft) -> str:
    if not draft.event:
        return "\n".join(["TARGET = Target(", *_comment("TODO: say which event is bad, such as "
                          'Event(table="outcomes", on="defaulted_on"), and describe the table that tells it.', 4),
                          "    bad=(),", ")"])
    lines = ["TARGET = Target("]
    for why in draft.why:
        lines += _comment(why, 4)
    lines += ["    bad=(", *_call("Event", [f"{name}={_requoted(code)}" for name, code in draft.event], 8), "    ),"]
    if draft.lag_days:
        lines += _comment("Lenders charge a loan off some 120 days after the last payment, which is the day that dates "
                          "it, and tell it a month later: ask yours. A label is trusted so long after its horizon.", 4)
        lines.append(f"    lag_days={draft.lag_days},")
    else:
        lines += _comment("How long after it happened it may be told: lag_days. Ask the lender.", 4)
    return "\n".join([*lines, ")"])


def _book(draft: Draft) -> str:
    tables = []
    for table in draft.tables:
        more = [f"entity={_quoted(table.entity)}"] if table.entity else []
        more += [f"filled={_code(table.filled)}"] if table.filled else []
        tables += _call("BookTable", [f"name={_quoted(table.name)}", f"columns={table.name.upper()}",
                                      f"key={_code(table.key)}", f"told={_code(table.told)}", *more], 8)
    lines = ["BOOK = Book(", f"    name={_quoted(draft.name)},", f"    title={_quoted(_title(draft))},",
             f"    about={_quoted(f'Drafted from {draft.sources[0].said}.')},  # where the data is from, and its traps",
             '    use="To decide on applications: the probability that a loan goes bad.",',
             '    limits=("It was drafted from a file and has not been reviewed.",),',
             "    tables=(", *tables, "    ),", "    sources=SOURCES,",
             *_comment("Every application in the files is taken for a loan that was paid out. If some were declined, "
                       "describe a table of decisions instead.", 4),
             "    all_booked=True,", "    target=TARGET,", "    features=("]
    for column in sorted(draft.features, key=lambda c: -c.auc):
        lines.append(f"        {column.feature}({_quoted(column.name)}),")
    lines += ["    ),", f"    critical={_code(tuple(draft.critical))},"]
    if draft.nulls:
        lines.append(f"    nulls={_code(draft.nulls)},  # seen where a number or a date ought to be, or a dash alone")
    return "\n".join([*lines, ")"])


def _title(draft: Draft) -> str:
    return draft.name.replace("_", " ").capitalize()


def _call(function: str, arguments: list[str], indent: int) -> list[str]:
    """A call over as many lines as it takes, none broken within a text."""
    pad = " " * (indent + len(function) + 1)
    lines, line = [], " " * indent + f"{function}("
    for k, argument in enumerate(arguments):
        more = argument + ("," if k < len(arguments) - 1 else "),")
        if len(line) + len(more) > WIDTH and line != " " * indent + f"{function}(":
            lines.append(line.rstrip())
            line = pad
        inner = " " * (len(line) + more.index("(") + 1) if "(" in more else pad
        for part in re.split(r'(?<=",) (?=")', more) if len(line) + len(more) > WIDTH else [more]:
            if len(line) + len(part) > WIDTH and line.strip():
                lines.append(line.rstrip())
                line = inner
            line += part + " "
    return [*lines, line.rstrip()]


def _comment(text: str, indent: int) -> list[str]:
    pad = " " * indent + "# "
    return textwrap.wrap(text, WIDTH, initial_indent=pad, subsequent_indent=pad, break_long_words=False)


def _code(value: object) -> str:
    return _requoted(repr(value))


def _quoted(text: str) -> str:
    return _requoted(repr(text))


def _requoted(code: str) -> str:
    """Python's own spelling of values, with double quotes where that is possible."""
    return code if '"' in code or "\\'" in code else code.replace("'", '"')
