"""Erasing loans wherever a copy of them is: landing, nights, training runs, the lake with its past.

Each place is looked through by content, not by a list of what was written where, so that running it again finds what
is left. The applications go last: by them the loans' histories are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tollgate import ingest, lake, nights, registry
from tollgate.books import LOAN, Book
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.versioning import erase_from_runs

FOUND = ("rows", "past", "landing", "nights", "evidence", "runs")
# What a fault or a person said, by table: a loan's name goes, and the line stays.
SAID = {"incidents": ["message"], "acknowledgements": ["comment"], "requests": ["reason", "result"],
        "shadows": ["fault"]}
Values = Mapping[str, set[str]]


def erase(book: Book, loans: Sequence[str], reason: str, by: str | None = None,
          dry_run: bool = False) -> dict[str, Any]:
    """Erase these loans of a book everywhere, and say in the ledger that it was done, not to whom.

    Whoever was cut off runs it again for the same loans; again, it finds nothing and writes nothing.

    Args:
        loans: ids that applications came with. by: who decided; the login when None. dry_run: tell, touch nothing.

    Returns ``{"book", "dry_run", "loans": how many, "rows": {table: rows}, "past": {table: files of earlier versions},
    "landing": {file: rows}, "nights": {attempt: rows}, "evidence": {MLflow run: rows}, "runs": [training run whose rows
    went], "files": {path: [each SHA-256 that it had]}, "still_holds": [sentence], "ledger": line or None}``;
    ``still_holds`` names every copy that was found and left, and why.

    Raises:
        BadInput: no loan or no reason is given, the reason names a loan, an erasure of others was cut off, nobody
            signs, or the key is not held here.
        Refused: the ledger was tampered with.
        PassingFault: landing, the lake or the store did not answer; what went by then is gone.
    """
    wanted = sorted({loan.strip() for loan in loans} - {""})
    if not wanted:
        raise BadInput("An erasure needs the id of a loan", value=list(loans), remedy="Name the loans after the book.")
    if not reason.strip():
        raise BadInput("An erasure needs a reason", value=repr(reason), remedy="Pass --reason.")
    if nights.named(reason, wanted):
        raise BadInput("The reason names a loan, and it would stand in the ledger for ever", value="--reason",
                       remedy="Say why, such as the number of the request, without the loan.")
    work = _Erasure(book, wanted)
    begun = work.journal()
    if not dry_run and begun["loans"] not in ([], wanted):
        raise BadInput("An erasure of other loans was cut off, and what it has begun can be finished for these alone",
                       value=", ".join(begun["loans"]),
                       remedy=f"Finish it first: tollgate erase {book.name} {' '.join(begun['loans'])} --reason ...")
    found = work.run(dry_run=True)
    open_intents = registry.open_erasures(book.name)
    if dry_run or not (any(found[name] for name in FOUND) or begun["loans"] or open_intents):
        return {"book": book.name, "dry_run": dry_run, "loans": len(wanted), **found, "ledger": None}
    counts = {name: found[name] for name in FOUND}
    if any(counts.values()):
        open_intents.append(registry.begin_erasure(book.name, {"loans": len(wanted), **counts}, reason, by))
        work.begin()
    done = work.run(dry_run=False)
    answer = {"loans": len(wanted), **{name: done[name] for name in (*counts, "files", "still_holds")}}
    line = registry.end_erasure(book.name, open_intents, answer, reason, by)
    work.forget_journal()
    return {"book": book.name, "dry_run": dry_run, **answer, "ledger": line}


class _Erasure:
    """One erasure at work, on every place."""

    def __init__(self, book: Book, loans: list[str]) -> None:
        self.book, self.loans = book, loans
        self.store, self.path = lake.Store(settings().store), f"erasing/{book.name}.json"
        entities, self.shared = _entities(book, loans)
        self.values: Values = {LOAN: set(loans), **entities}

    def journal(self) -> dict[str, Any]:
        """The ``loans`` of an erasure that has begun, and of its ``files`` each SHA-256 that one has had, by the path.

        It is kept until the ledger has it: a file without one loan looks as if it were without another.
        """
        kept: dict[str, Any] = self.store.read_json(self.path) if self.store.exists(self.path) else {}
        if "files" not in kept:  # an older Tollgate, whose erasure was cut off, noted the files alone
            return {"loans": [], "files": kept}
        return kept

    def begin(self) -> None:
        """Note whose erasure it is."""
        self._note(self.journal()["files"])

    def forget_journal(self) -> None:
        """The ledger has it."""
        self.store.delete(self.path)

    def replacing(self, path: str, before: str, after: str) -> None:
        """Note what a file was, and what it is about to be."""
        files = self.journal()["files"]
        self._note({**files, path: list(dict.fromkeys([*files.get(path, []), before, after]))})

    def _note(self, files: dict[str, list[str]]) -> None:
        self.store.write_json(self.path, {"loans": self.loans, "files": files})

    def run(self, *, dry_run: bool) -> dict[str, Any]:
        """Take the loans out of every place, or only tell what there is."""
        book, left = self.book, list(self.shared)
        landing, told = ingest.erase_from_landing(book, self.values, replacing=self.replacing, dry_run=dry_run)
        left += told
        kept = self.journal()["files"]
        pinned, told = nights.erase_from_nights(
            book.name, self.loans, {of.name: str(of.entity) for of in book.histories},
            known=lambda path: kept.get(path, []), replacing=self.replacing, dry_run=dry_run)
        left += told
        evidence, told = registry.erase_from_evidence(
            book.name, self.loans, known=lambda path: kept.get(path, []), replacing=self.replacing, dry_run=dry_run)
        left += told
        runs, told = erase_from_runs(book.name, self.loans, now=time.time(), dry_run=dry_run)
        left += told
        if not dry_run:
            nights.recount(book.name, self.loans)
        rows, past = {}, {}
        for table in self._tables():
            rows[table.name], past[table.name], told = self._table(table, dry_run)
            left += told
        left += [f"line {seq} of the ledger names one of them in a comment, and is signed: it stays" for seq, text in
                 registry.comments(book.name).items() if nights.named(text, self.loans)]
        sources = settings().data / "sources" / book.name
        if sources.is_dir():
            left.append(f"{sources} plays the lender on this machine and was not looked into: delete it, or what it "
                        "holds of them")
        return {"rows": {name: count for name, count in rows.items() if count},
                "past": {name: count for name, count in past.items() if count},
                "landing": landing, "nights": pinned, "evidence": evidence, "runs": runs,
                "files": self.journal()["files"], "still_holds": left}

    def _tables(self) -> list[lake.Table]:
        """Those that may hold a loan; the applications last."""
        book = self.book
        lenders = [lake.published(book, of.name) for of in book.tables if of.name != "applications"]
        said = [getattr(lake, name)(book.name) for name in SAID]
        return [*said, lake.quarantine(book.name), lake.superseded(book.name), lake.shadow_scores(book.name),
                lake.scores(book.name), *lenders, lake.applications(book)]

    def _table(self, table: lake.Table, dry_run: bool) -> tuple[int, int, list[str]]:
        if table.name == "quarantine":
            columns, theirs = ["record"], ingest.quarantined_theirs(self.book, self.values)
            change = ingest.emptied(theirs)
        elif table.name in SAID:
            columns = SAID[table.name]
            theirs, change = _naming(columns, self.loans)
        else:
            columns = [name for name in self.values if name in table.schema.names]
            theirs = ingest.theirs_by(self.values)

            def change(rows: pa.Table) -> pa.Table:
                import pyarrow.compute as pc

                return rows.filter(pc.invert(theirs(rows)))

        held = lake.rows_held(table, columns, theirs) if columns else {}
        for partition in held if not dry_run else ():
            lake.change_rows(table, partition, change)
        past, young = lake.purge(table, columns, theirs, time.time(), dry_run) if columns else (0, [])
        return sum(held.values()), past, [f"{path} of the lake, which no commit names and which is younger than a day, "
                                          "holds one of them: run this again tomorrow" for path in young]


def _naming(columns: Sequence[str], loans: Sequence[str]) -> tuple[Callable[[pa.Table], pa.Array],
                                                                   Callable[[pa.Table], pa.Table]]:
    """Which rows name one of the loans in these columns; and rows without these names."""
    def theirs(rows: pa.Table) -> pa.Array:
        texts = zip(*(rows[name].to_pylist() for name in columns if name in rows.column_names), strict=True)
        return pa.array([nights.named("\n".join(filter(None, each)), loans) for each in texts], pa.bool_())

    def change(rows: pa.Table) -> pa.Table:
        for name in columns:
            said = [text and nights.unnamed(text, loans) for text in rows[name].to_pylist()]
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), pa.array(said, pa.string()))
        return rows

    return theirs, change


def _entities(book: Book, loans: Sequence[str]) -> tuple[dict[str, set[str]], list[str]]:
    """By what the loans' histories are found, but for what other loans are found by too, which is told in words."""
    found: dict[str, set[str]] = {}
    told: list[str] = []
    table = lake.applications(book)
    for name in sorted({str(of.entity) for of in book.histories} - {LOAN}):
        mine = set(lake.versions_of(table, LOAN, pa.array(loans, pa.string()), columns=[name])[name].to_pylist())
        mine.discard(None)
        held = lake.versions_of(table, name, pa.array(sorted(mine), table.schema.field(name).type),
                                columns=[LOAN, name])
        others = {row[name] for row in held.to_pylist() if row[LOAN] not in loans}
        found[name] = mine - others
        if others:
            told.append(f"what is kept of {len(others)} {name}(s) whom other loans are of too: erase those loans as "
                        "well, if they are the person's")
    return found, told
