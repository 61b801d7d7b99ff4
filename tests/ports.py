"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket


def free_port(*offsets: int) -> int:
    """A port that is free, as are its neighbours at these offsets, below those that the system hands out.

    The system gives its own to any client: to another test's before the server has it, or to one that asks whether
    the server is up, which is then connected with itself.
    """
    for port in random.SystemRandom().sample(range(20_000, 30_000), 200):  # not the same after the same seed
        try:
            for offset in (0, *offsets):
                socket.create_server(("127.0.0.1", port + offset)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free port was found")
