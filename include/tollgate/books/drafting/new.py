"""A new book of one's own, drafted from the lender's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tollgate.books.description.sources import Progress
from tollgate.books.drafting.plan import Draft, plan
from tollgate.books.drafting.roles import File, examine
from tollgate.books.drafting.sample import read_sample
from tollgate.books.drafting.writing import parameters, write
from tollgate.config import check_name, known_books, settings
from tollgate.errors import BadInput

Watch = Callable[[str], AbstractContextManager[Progress]]

MONTHS_NEEDED = 24 + 20  # a horizon of 24 months, and the months of a split after a year to learn from
SHORT_HORIZON = 12


def new_book(name: str, files: Sequence[Path], watch: Watch) -> dict[str, Any]:
    """Write the module of a book that is drafted from files, into the user's folder of books.

    Args:
        name: of the book. files: of the lender, one at least. watch: gives the progress of each, by a title.

    Returns what was found: ``{"book", "module", "files", "key", "applied_on", "outcome", "features", "personal",
    "protected", "later", "ignored", "todo", "look_at"}``; ``as_of``, the latest of which the files tell everything; and
    ``parameters`` where some were written.

    Raises:
        BadInput: the name is none or is taken; a file cannot be read, or has no rows.
    """
    module = settings().books / f"{check_name(name)}.py"
    beside = module.with_suffix(".yaml")
    taken = next((path for path in (module, beside, module.with_suffix("")) if path.exists()), None)
    if taken is not None or name in known_books():
        raise BadInput(f"There is a book called {name}", value=taken or name,
                       remedy="Choose another name; a draft overwrites nothing.")
    found = [_examined(path, watch) for path in files]
    draft = plan(name, found)
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(write(draft), encoding="utf-8")
    answer = _answer(draft, found, module)
    if (day := _stand(draft, found)) is not None:
        answer["as_of"] = day.isoformat()
    if why := _short(found):
        beside.write_text(parameters(SHORT_HORIZON, why), encoding="utf-8")
        answer["parameters"] = str(beside)
    return answer


def _examined(path: Path, watch: Watch) -> File:
    with watch(f"reading {path.name}") as progress:
        return examine(read_sample(path, progress))


def _short(found: Sequence[File]) -> str:
    """Why a shorter horizon than the default is needed; empty where it is not."""
    spans = [file.cells[file.applied].days() for file in found if file.applied is not None]
    if not spans:
        return ""
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    months = (last.year - first.year) * 12 + last.month - first.month
    return (f"the applications of the files span {months} months, too few for a horizon of 24" if months < MONTHS_NEEDED
            else "")


def _stand(draft: Draft, found: Sequence[File]) -> date | None:
    """The latest first of a month of which the files tell everything: what happened just before them is told later."""
    days = [file.cells[name].days()[1] for file in found
            for name in {file.applied, *(file.outcome.on if file.outcome else ())} if name is not None]
    return (max(days) - timedelta(days=draft.lag_days)).replace(day=1) if days and draft.event else None


def _answer(draft: Draft, found: Sequence[File], module: Path) -> dict[str, Any]:
    tables = {column.name: column for table in draft.tables[:1] for column in table.columns}

    def flagged(option: str) -> list[str]:
        return [column.name for table in draft.tables for column in table.columns if option in dict(column.options)]

    def source(name: str) -> str | None:
        told = tables[name].source
        return None if told.startswith("TODO") else told

    return {
        "book": draft.name, "module": str(module),
        "files": [{"file": file.sample.path.name, "rows": file.sample.cells.num_rows, "columns": len(file.cells)}
                  for file in found],
        "key": source("loan_id"), "applied_on": source("applied_on"), "outcome": list(draft.why),
        "features": [column.name for column in draft.features], "personal": flagged("personal"),
        "protected": flagged("protected"), "later": flagged("known"),
        "ignored": {name: why for part in draft.sources for name, why in part.ignored},
        "todo": draft.todo, "look_at": draft.doubts}
