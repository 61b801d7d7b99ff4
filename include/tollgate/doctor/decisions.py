"""Whether decisions can be taken and believed here, and whether tables and code are of one version."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tollgate import deployment, lake, registry
from tollgate.books import Book, load_book
from tollgate.config import Settings, known_books
from tollgate.doctor.findings import Finding, error, fault, ok, warning
from tollgate.errors import BadInput, Refused, TollgateError

OF_A_BOOK: tuple[Callable[[str], lake.Table], ...] = (
    lake.deliveries, lake.received, lake.quarantine, lake.checks, lake.nights, lake.scores, lake.superseded,
    lake.shadow_scores, lake.shadows, lake.measures, lake.shadow_performance, lake.feeds, lake.events,
    lake.incidents, lake.acknowledgements, lake.told, lake.alerts, lake.verdicts, lake.requests, lake.ledger)
OTHERS = 0o077  # the rights of group and others


def check_deployment(here: Settings) -> Iterator[Finding]:
    """Whether the shared store is this deployment's, and of this code."""
    if not here.store.startswith("s3://"):
        yield ok("the store is a folder of this machine")
        return
    if not deployment.check_owner():
        yield warning(f"Nobody has prepared this deployment yet (got: {here.store})", "Run `tollgate prepare` once.")
        return
    deployment.check_code()
    if registry.code_commit() == "none":
        yield warning("This image does not know its commit, and models are recorded without one",
                      "Build it with TOLLGATE_COMMIT=$(git rev-parse HEAD).")
    yield ok("the store was prepared by this deployment, with this code")


def check_keys(here: Settings) -> Iterator[Finding]:
    """The key that signs decisions and those by which they are read; and who may read the secrets."""
    signs, read_by = registry.check_keys()
    keys = f"{len(read_by)} public key{'s' if len(read_by) != 1 else ''}"
    yield ok(f"decides here, and reads the ledger by {keys}" if signs else
             f"reads the ledger by {keys}; decisions are taken elsewhere" if read_by else
             "the key that signs is made with the first decision")
    secrets = here.project / ".env"
    if secrets.is_file() and (rights := secrets.stat().st_mode & OTHERS):
        yield error(f"The secrets may be read by others than their owner (got: {secrets}, rights {rights:03o} of group "
                    "and others)", f"chmod go= {secrets}; if somebody may have read it, rotate them: docs/doors.md.")


def check_migrations(_: Settings) -> Iterator[Finding]:
    """Whether another Tollgate wrote a table, or the records of the store, that this one does not read."""
    seen, bad = 0, 0
    try:
        deployment.check_format()
    except BadInput as err:
        bad += 1
        yield fault(err)
    for book in _books():
        old = []
        for table in (*(lake.published(book, of.name) for of in book.tables), *(of(book.name) for of in OF_A_BOOK)):
            try:
                seen += lake.version(table) >= 0
            except BadInput as err:
                old.append(err)
        bad += len(old)
        if len(old) > 1:
            yield error(f"{len(old)} tables of {book.name} cannot be read, the first of them: {old[0].cause} "
                        f"(got: {old[0].value})", old[0].remedy)
        elif old:
            yield fault(old[0])
    if not bad:
        yield ok(f"{seen} tables are of this version")


def check_ledger(_: Settings) -> Iterator[Finding]:
    """Whether the ledger of every book holds."""
    held = []
    for book in _books():
        try:
            if lake.version(lake.ledger(book.name)) >= 0:
                held.append(f"{book.name} ({registry.verify(book.name)['entries']})")
        except (BadInput, Refused) as err:
            yield fault(err)
    yield ok(f"the decisions of {', '.join(held)} hold" if held else "nothing was decided yet")


def _books() -> Iterator[Book]:
    """The books that load; the check of the books tells of the others."""
    for name in known_books():
        try:
            yield load_book(name)
        except TollgateError:
            continue
