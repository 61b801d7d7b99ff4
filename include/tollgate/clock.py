"""Days and months of the calendar, and the one clock by which Tollgate learns things."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tollgate.config import AS_OF, settings
from tollgate.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def add_months(days: np.ndarray, months: int) -> np.ndarray:
    """The same day ``months`` later (or earlier), clipped to the month's end; ``datetime64[D]`` in and out."""
    import numpy as np

    month = days.astype("datetime64[M]")
    into = (days - month.astype("datetime64[D]")).astype(int)
    target = month + months
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(int)
    return target.astype("datetime64[D]") + np.minimum(into, length - 1)


def months_before(day: date, months: int) -> date:
    """The date ``months`` before ``day``."""
    import numpy as np

    moved: date = add_months(np.array([day], dtype="datetime64[D]"), -months)[0].item()
    return moved


def today(time_zone: str, as_of: date | None = None) -> date:
    """The day on which Tollgate learns what comes now: the machine's, or that of ``TOLLGATE_TODAY`` in a replay.

    No computation may ask for it: it dates deliveries, which decide what an as-of read sees, and decisions.

    Args:
        as_of: the day that the caller's work stands at, which is today where ``TOLLGATE_TODAY`` is ``as-of``; None for
            deliveries, which stand at no day and then come by the machine's clock.

    Raises:
        BadInput: ``TOLLGATE_TODAY`` is no day.
    """
    replayed = settings().today
    if replayed == AS_OF and as_of is not None:
        return as_of
    if replayed in ("", AS_OF):
        return datetime.now(UTC).astimezone(ZoneInfo(time_zone)).date()
    try:
        return date.fromisoformat(replayed)
    except ValueError:
        raise BadInput("TOLLGATE_TODAY is written YYYY-MM-DD or as-of", value=replayed,
                       remedy="Correct it, or unset it to go by the machine's clock.") from None
