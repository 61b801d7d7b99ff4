"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket

FIRST = 20_000
HANDED_OUT = 32_768  # and above, by Linux, to any client


def free_port(*offsets: int) -> int:
    """A port that is free, as are its neighbours at these offsets, below those that the system hands out.

    The system gives its own to any client: to another test's before the server has it, or to one that asks whether
    the server is up, which is then connected with itself.
    """
    candidates = range(FIRST, HANDED_OUT - max(offsets, default=0))
    for port in random.SystemRandom().sample(candidates, 200):  # not the same after the same seed
        try:
            for offset in (0, *offsets):
                socket.create_server(("127.0.0.1", port + offset)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free port was found")
