"""How long whoever waits for a command waits: a person for the Model Board, a sensor for what it polls.

    python benchmarks/board.py BOOK

Of the lake in this TOLLGATE_DATA, which `make demo` fills. Medians of processor time, which is what one of the two
waits for where nothing else runs, beside an interpreter that does nothing and a verb that reads nothing; the plugin
shows one answer to all who ask within five seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

TIMES = 9
TOLLGATE = str(Path(sys.executable).with_name("tollgate"))


def seconds(*command: str) -> float:
    """Processor time of a command, the median of several runs."""
    def once() -> float:
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user - before.children_user + after.children_system - before.children_system

    return statistics.median(once() for _ in range(TIMES))


def main(book: str) -> None:
    """Print each, and how many times the bare start of a command it takes."""
    print(f"python -c pass: {seconds(sys.executable, '-c', 'pass'):.2f} s")
    verbs = (["book", "list"], ["requests", "list", f"--book={book}"], ["ingest", "list", f"--book={book}"],
             ["board", book])
    taken = {" ".join(verb): seconds(TOLLGATE, *verb) for verb in verbs}
    bare = taken["book list"]
    for verb, its in taken.items():
        print(f"tollgate {verb}: {its:.2f} s, {its / bare:.1f} times")


if __name__ == "__main__":
    main(sys.argv[1])
