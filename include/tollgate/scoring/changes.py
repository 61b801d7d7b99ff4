"""What a declined applicant could have asked for instead: the smallest change that the model would have approved.

Only columns that the book marks as ``actionable`` are changed, only the way it says, only to values that the model's
golden rows hold, which are loans that it was trained on, and never against the contract: neither what a column may be
nor a rule between columns. All features are made again of the changed application, so that a ratio moves with what it
is made of. Every candidate is judged as a night judges it; nothing is read off its contributions, which say what moved
a score and not what would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book, Column
from tollgate.features import Histories, Model, golden_inputs, make_features
from tollgate.scoring.shards import APPROVE, judge

PAIR = 60   # values of each of two columns that are tried together; of one alone all are


def changes(model: Model, book: Book, rows: pa.Table, histories: Histories) -> list[dict[str, Any]]:
    """Of each column alone its smallest change that would approve, the smallest first; where none would, the best pair.

    Args:
        rows: the application, one row. histories: its own.

    Returns ``[{"to": {column: value}, "from": {column: value}, "passed": share, "score": P(default)}]``, empty where no
    such change approves. A change is as large as the share of the golden rows that lie between both values, those at
    the new one among them, both columns' added up; another level of a category is as large as it is frequent there. Of
    equal changes the lower score is taken.

    Raises:
        Refused: the model keeps no golden rows that could be read.
    """
    seen = golden_inputs(model.folder)
    columns = [column for column in book.applications if column.actionable and column.name in seen.column_names
               and rows[column.name][0].as_py() is not None]
    tried = {column.name: _candidates(column, rows[column.name][0].as_py(), seen[column.name]) for column in columns}
    found = [best for name in tried if (best := _best(model, book, rows, histories, {name: tried[name]}))]
    if not found:
        found = [best for pair in combinations(tried, 2)
                 if (best := _best(model, book, rows, histories, {name: _thinned(tried[name]) for name in pair}))]
        return sorted(found, key=_size)[:1]
    return sorted(found, key=_size)


def _size(change: dict[str, Any]) -> tuple[float, float, list[str]]:
    return change["passed"], change["score"], sorted(change["to"])


def _candidates(column: Column, now: Any, seen: pa.ChunkedArray) -> list[tuple[Any, float]]:
    """Values that a column may take instead, with the share of the golden rows passed over, the nearest first."""
    known = seen.drop_null().to_pylist()
    allowed = [value for value in sorted(set(known) - {now}) if _admits(column, value)]
    if column.kind == "text":
        return [(value, known.count(value) / len(known)) for value in allowed]
    ordered = np.sort(np.array(known))
    ways = {"lower": (-1,), "raise": (1,), "either": (-1, 1)}[str(column.actionable)]
    found = []
    for value in allowed:
        if (1 if value > now else -1) in ways:
            between = (ordered > min(value, now)) & (ordered < max(value, now)) | (ordered == value)
            found.append((value, float(between.mean())))
    return sorted(found, key=lambda one: one[1])


def _admits(column: Column, value: Any) -> bool:
    """Whether the column may be that by now; when the model was trained it may have had other bounds."""
    return ((column.ge is None or value >= column.ge) and (column.le is None or value <= column.le)
            and (not column.isin or value in column.isin))


def _thinned(values: Sequence[tuple[Any, float]]) -> list[tuple[Any, float]]:
    places = np.linspace(0, len(values) - 1, min(len(values), PAIR)).round().astype(int)
    return [values[k] for k in places]


def _best(model: Model, book: Book, rows: pa.Table, histories: Histories,
          tried: Mapping[str, Sequence[tuple[Any, float]]]) -> dict[str, Any] | None:
    """The smallest change of these columns together that approves, None where none does."""
    drawn = list(product(*tried.values()))
    if not drawn:
        return None
    changed = rows.take(pa.array(np.zeros(len(drawn), np.int64)))
    for place, name in enumerate(tried):
        values = pa.array([one[place][0] for one in drawn], rows[name].type)
        changed = changed.set_column(changed.column_names.index(name), name, values)
    told = judge(model, changed, make_features(book, changed, histories), reasons=0)
    score = told["score"].to_numpy()
    approved = pc.fill_null(pc.equal(told["decision"], APPROVE), False).to_numpy() & _allowed(book, changed)
    if not approved.any():
        return None
    passed = np.array([sum(share for _, share in one) for one in drawn])
    k = min(np.flatnonzero(approved), key=lambda k: (passed[k], score[k], k))
    return {"to": {name: drawn[k][place][0] for place, name in enumerate(tried)},
            "from": {name: rows[name][0].as_py() for name in tried},
            "passed": float(passed[k]), "score": float(score[k])}


def _allowed(book: Book, rows: pa.Table) -> np.ndarray:
    """Whether each application keeps the book's rules between columns, bool."""
    import pandas as pd

    kept = np.ones(rows.num_rows, bool)
    for rule in book.table("applications").rules:
        if set(rule.uses) <= set(rows.column_names):
            frame = rows.select(list(rule.uses)).to_pandas(types_mapper=pd.ArrowDtype)
            holds = rule.holds(*(frame[name] for name in rule.uses)).fillna(True)  # of what is missing nothing is said
            kept &= holds.to_numpy(bool)
    return kept
