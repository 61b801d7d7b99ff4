"""Bringing a lake that an older Tollgate wrote up to date: two times and a line on every row, numbered deliveries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake, nights
from tollgate.errors import BadInput
from tollgate.ingest.deliveries import register
from tollgate.ingest.reading import fingerprint_of

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute
RENAMED = {"reported_on": "known_on"}  # now the day on which Tollgate learned it


def migrate(book: Book) -> dict[str, Any]:
    """Rewrite what an older Tollgate wrote of a book, a table in one commit each; doing it again changes nothing.

    Every row becomes the first version of its key, known on the latest day that it carries itself, unless it has a
    version already; the line that it came from is not known any more. A loan of a book
    that has come to tell decisions is unbooked until they are landed. Files that were taken in stay so, under the
    fingerprints of today. The ledger's lines stay unsigned until somebody adopts them. Earlier Delta versions keep the
    old form: a run that pinned one is to be opened anew.

    Returns ``{"book", "migrated": {table: rows}}``.

    Raises:
        BadInput: a later Tollgate wrote a table, or the book has a new column that is never empty; that table is left
            as it is.
        PassingFault: the lake did not answer.
    """
    taken = lake.received(book.name)
    held = lake.rewrite(taken, lambda rows: rows)
    old = [] if held is None or "delivery" in held.column_names else held.to_pylist()
    names = {row["fingerprint"]: fingerprint_of(row["file"], row["fingerprint"]) for row in old}
    numbers = register(book, [(names[row["fingerprint"]], row["file"]) for row in old]) if old else {}

    def renamed(rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("fingerprint")
        return rows if not names else rows.set_column(place, "fingerprint", pa.array(
            [names.get(name, name) for name in rows["fingerprint"].to_pylist()], pa.string()))

    def received(rows: pa.Table) -> pa.Table:
        if "delivery" in rows.column_names:
            return rows
        return pa.Table.from_pylist([
            {**row, "fingerprint": names[row["fingerprint"]], "delivery": numbers[names[row["fingerprint"]]].number,
             "known_on": numbers[names[row["fingerprint"]]].day, "added": row["published"], "restated": 0,
             "superseded": 0} for row in rows.to_pylist()], schema=taken.schema)

    migrated = {}
    for of in book.tables:
        migrated[of.name] = _rewritten(lake.published(book, of.name), _versioned(book, of.name))
    quarantine = lake.quarantine(book.name)
    for table in (of(book.name) for of in (lake.verdicts, lake.requests, lake.ledger)):
        migrated[table.name] = _rewritten(table, partial(_widened, schema=table.schema))
    migrated["scores"] = _nights(book)
    migrated["measures"] = _measures(book.name) + _performance(book.name)
    for table, change in ((quarantine, lambda rows: _widened(renamed(rows), quarantine.schema)),
                          (lake.checks(book.name), renamed),
                          (taken, received)):  # that which says what is old is written last
        migrated[table.name] = _rewritten(table, change)
    return {"book": book.name, "migrated": migrated}


def _nights(book: Book) -> int:
    """Make the first attempt at a night of each day's scores; those of its challenger go to the shadows.

    Nothing is pinned of such a night: monitoring and a rollback's proof cannot read it.
    """
    table, shadows = lake.scores(book.name), lake.shadow_scores(book.name)
    held = lake.rewrite(table, lambda rows: rows)
    if held is None or "role" not in held.column_names:
        return 0 if held is None else held.num_rows
    lines = [{**row, "population": nights.NEW, "attempt": 1, "status": "scored", "refusal": None} if
             row["decision"] != "refused" else
             {**row, "population": nights.NEW, "attempt": 1, "status": "refused", "refusal": "; ".join(row["reasons"]),
              "decision": None, "reasons": []} for row in held.to_pylist()]
    others, mine = ([line for line in lines if (line["role"] == "champion") is kind] for kind in (False, True))
    lake.replace_partitions(shadows, pa.Table.from_pylist(others, shadows.schema), [row["day"] for row in others])
    for day in sorted({row["day"] for row in mine}):
        tonight = [row for row in mine if row["day"] == day]
        one, refused = tonight[0], sum(row["status"] == "refused" for row in tonight)
        nights.add_publication(nights.Publication(
            nights.Attempt(book.name, nights.NEW, one["as_of"], 1), one["run_id"], one["model_version"], None,
            one["snapshot_version"], len(tonight), len(tonight) - refused, refused,
            sum(row["decision"] == "decline" for row in tonight), None, None))
    changed = pa.Table.from_pylist(mine, table.schema)
    return _rewritten(table, lambda rows: changed if "role" in rows.column_names else rows,
                      lambda rows: [f"{nights.NEW}/{day}" for day in sorted(set(rows["day"].to_pylist()))])


def _measures(book: str) -> int:
    """Bring over what an older Tollgate kept in the table ``drift``, a line a feature; that table is left as it is."""
    table = lake.measures(book)
    held = lake.rewrite(lake.Table(book, "drift", table.columns, "day", ()), lambda rows: rows)
    there = set(lake.partitions(table))
    rows = []
    for old in [] if held is None else held.to_pylist():
        stamp = {name: old[name] for name in ("day", "as_of", "model_version")} | {
            "window_from": old.get("window_from") or old["as_of"], "window_to": old["as_of"], "subject": old["feature"],
            "kind": "prediction" if old["feature"] == "score" else "feature", "n": old["rows"], "reference": 0.0}
        if old["day"] not in there:
            rows += [{**stamp, "metric": "psi", "value": old["psi"], "null_value": old["psi_null"],
                      "level": old["level"]}, {**stamp, "metric": "js", "value": old["js"]}]
            if old["kind"] == "number":
                rows.append({**stamp, "metric": "ks", "value": old["ks"], "p_value": old["p_value"]})
    if rows:
        lake.replace_partitions(table, pa.Table.from_pylist(rows, table.schema), sorted({row["day"] for row in rows}))
    return len(rows)


def _performance(book: str) -> int:
    """Bring over what an older Tollgate kept in the table ``performance``, which is left as it is.

    What a model had promised is not known of these lines any more: no rule is about them.
    """
    table, found = lake.measures(book), 0
    held = lake.rewrite(lake.Table(book, "performance", table.columns, "day", ()), lambda rows: rows)
    lines = [] if held is None else held.to_pylist()
    for day in sorted({old["day"] for old in lines}):
        new = [row for old in lines if old["day"] == day for row in _of_performance(old)]
        there = lake.read(table, filters=[("day", "=", day)])
        if "decision" not in there["kind"].to_pylist():
            lake.replace_partitions(table, pa.concat_tables([there, pa.Table.from_pylist(new, table.schema)]), [day])
            found += len(new)
    return found


def _of_performance(old: dict[str, Any]) -> list[dict[str, Any]]:
    scored, tonight = old["scored_as_of"], old["scored_as_of"] == old["as_of"]
    stamp = {"day": old["day"], "as_of": old["as_of"], "window_from": old.get("window_from") or scored,
             "window_to": scored, "model_version": old["model_version"], "subject": "score",
             "segment": None if tonight else f"scored {scored}"}
    rows = [{**stamp, "kind": "decision", "subject": "decision", "metric": "decline_rate",
             "value": old["decline_rate"], "n": old["rows"]}]
    if tonight:
        total = old["rows"] + (old["refused"] or 0)
        return [*rows, {**rows[0], "metric": "refused_share", "n": total,
                        "value": old["refused"] / total if total and old["refused"] is not None else None}]
    of = old.get("labelled")
    return [*rows, *({**stamp, "kind": "performance", "metric": metric, "value": old.get(name), "n": of}
                     for metric, name in (("matured_auc", "auc"), ("matured_ks", "ks")))]


def _widened(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with the columns that they lack, of which nothing is known."""
    if set(schema.names) <= set(rows.column_names):
        return rows
    if filled := [field.name for field in schema if not field.nullable and field.name not in rows.column_names]:
        raise BadInput(f"The book says that {', '.join(filled)} is never empty, and nothing is known of it in the rows "
                       "that were published before", value=f"{rows.num_rows:,} rows",
                       remedy="Let the new column be empty: nullable=True.")
    return pa.table([rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
                     for field in schema], schema=schema)


def _rewritten(table: lake.Table, change: Callable[[pa.Table], pa.Table],
               turns: Callable[[pa.Table], list[str]] = lambda _: []) -> int:
    rows = lake.rewrite(table, change, turns)
    return 0 if rows is None else rows.num_rows


def _versioned(book: Book, name: str) -> Callable[[pa.Table], pa.Table]:
    of, schema = book.table(name), lake.published(book, name).schema

    def change(rows: pa.Table) -> pa.Table:
        if "version" in rows.column_names:
            return _widened(rows, schema)
        cells = {field.name: rows[RENAMED[field.name] if field.name not in rows.column_names
                                  and field.name in RENAMED else field.name]
                 if field.name in rows.column_names or field.name in RENAMED else pa.nulls(rows.num_rows, field.type)
                 for field in of.schema()}
        told = pc.max_element_wise(*(cells[day] for day in of.told))
        one = pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows)
        nowhere = pa.nulls(rows.num_rows, pa.int64())
        return pa.table({"month": rows["month"], "known_on": told, "delivery": one, "version": one, "line": nowhere,
                         **cells}, schema=schema)

    return change
