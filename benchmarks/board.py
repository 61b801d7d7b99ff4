"""How long whoever opens the Model Board waits: `tollgate board BOOK` beside the bare start of a command.

    python benchmarks/board.py BOOK

Of the nights in this TOLLGATE_DATA, which `make demo` fills. Medians of processor time, which is what one of the two
waits for where nothing else runs; the plugin shows one answer to all who ask within five seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

TIMES = 7
TOLLGATE = Path(sys.executable).with_name("tollgate")


def seconds(*arguments: str) -> float:
    """Processor time of a command, the median of several runs."""
    def once() -> float:
        before = os.times()
        subprocess.run([TOLLGATE, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user - before.children_user + after.children_system - before.children_system

    return statistics.median(once() for _ in range(TIMES))


def main(book: str) -> None:
    """Print both, and the ratio."""
    bare, board = seconds("book", "list"), seconds("board", book)
    print(f"tollgate book list {bare:.2f} s, tollgate board {book} {board:.2f} s: {board / bare:.1f} times")


if __name__ == "__main__":
    main(sys.argv[1])
