"""Deleting what nights have kept for long enough; what was published of them, and whose runs they were, stays."""

from __future__ import annotations

from collections import defaultdict

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.lake import Entry
from tollgate.nights.attempts import CLAIM, POPULATIONS, Attempt, attempt_of
from tollgate.nights.publications import publications

DAY_SECONDS = 86_400


def tidy_nights(book: str, now: float, night_days: int, attempt_days: int, dry_run: bool = False) -> list[str]:
    """Delete the files of old attempts, but for the claim of their number; the keys of those that had some.

    Their age is that of the newest file, so that one that is being worked on is young.

    Args:
        now: the moment, in seconds since 1970. night_days: of attempts that count. attempt_days: of all others.
        dry_run: tell, and delete nothing.

    Raises:
        PassingFault: the lake or the store did not answer.
    """
    store = lake.Store(settings().store)
    counting = {one.attempt for population in POPULATIONS for one in publications(book, population=population)}
    kept: dict[Attempt, list[Entry]] = defaultdict(list)
    for entry in store.list(f"nights/{book}"):
        try:
            kept[attempt_of(entry.path.removeprefix("nights/").rpartition("/")[0])].append(entry)
        except BadInput:
            continue  # of no attempt: not ours to delete
    old = []
    for attempt, entries in sorted(kept.items()):
        files = [entry for entry in entries if not entry.path.endswith(f"/{CLAIM}")]
        days = night_days if attempt in counting else attempt_days
        if files and max(entry.written for entry in entries) < now - days * DAY_SECONDS:
            old.append(str(attempt))
            # The pin goes first: what has one has all of it.
            for entry in sorted(files, key=lambda entry: not entry.path.endswith("/pin.json")) if not dry_run else []:
                store.delete(entry.path)
    return old
