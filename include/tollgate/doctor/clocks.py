"""Whether this machine's clock goes with a server's: decisions are dated by both, and S3 refuses what is far off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tollgate.doctor.findings import Finding, error, warning

NOTICED = timedelta(seconds=5)  # an answer given on the other machine lies in the future here (ledger.timestamp)
REFUSED = timedelta(minutes=5)  # S3 turns away what is signed a quarter of an hour off; logins end sooner
REMEDY = "Let both machines keep time by NTP (timedatectl set-ntp true)."


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def compare(server: str, theirs: datetime | str | None, before: datetime, after: datetime) -> Iterator[Finding]:
    """A finding where the clocks differ.

    Args:
        theirs: the server's clock, or its HTTP ``Date`` (RFC 9110, whole seconds); None where it did not tell.
        before, after: this machine's clock when the server was asked, and when it had answered.
    """
    if isinstance(theirs, str):
        try:
            theirs = parsedate_to_datetime(theirs)
        except ValueError:
            return
    if theirs is None:
        return
    ahead = max(theirs - after, timedelta())
    behind = max(before - timedelta(seconds=1) - theirs, timedelta())  # an HTTP date is cut to the second
    gap = max(ahead, behind)
    if gap < NOTICED:
        return
    said = (f"The clock of {server} is {_told(gap)} {'ahead of' if ahead else 'behind'} this machine's "
            f"(got: {theirs:%Y-%m-%d %H:%M:%S %Z}, here {after:%Y-%m-%d %H:%M:%S} UTC)")
    yield error(said, REMEDY) if gap >= REFUSED else warning(said, REMEDY)


def _told(gap: timedelta) -> str:
    seconds = gap.total_seconds()
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
