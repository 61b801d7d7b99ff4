"""A command that another process started for itself ends with that process, and with all that it has started.

Else a task that was killed (out of memory, a worker shut down) leaves its command at work beside its own retry.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress

VARIABLE = "TOLLGATE_END_WITH"  # the process that supervises our parent; set by who starts us, never by a person


def end_with_parent() -> None:
    """Watch for the end of whoever started us, if that asked for it by ``VARIABLE``.

    It holds the other end of our standard input and never writes; when it dies, however that be, the system closes it.
    """
    if supervisor := os.environ.get(VARIABLE):
        threading.Thread(target=_watch, args=(int(supervisor),), name=VARIABLE, daemon=True).start()


def _watch(supervisor: int) -> None:
    watched = select.poll()
    watched.register(0, 0)  # a pipe that nobody holds at its other end is told of unasked; /dev/null never is
    try:
        # Our parent does not notice that its own supervisor was killed while it waits for us.
        watched.register(os.pidfd_open(supervisor), select.POLLIN)
    except ProcessLookupError:
        _end()
    except (OSError, AttributeError):  # not on this system, or not in this container
        pass
    watched.poll()
    _end()


def _end() -> None:
    """Kill all that we have started, in whichever group it is, then our own group, ourselves included."""
    try:
        import psutil

        for started in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                started.kill()
    finally:
        os.killpg(0, signal.SIGKILL)
