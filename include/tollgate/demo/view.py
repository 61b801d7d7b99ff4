"""What a person sees while the demo runs: a live table at a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tollgate.terminal.answers import table

LEVELS = {"stable": "green", "minor": "yellow", "moderate": "dark_orange", "major": "red"}
COLUMNS = ("month", "landed", "scored", "model", "drift", "alerts", "retrain")


class View:
    """Collects what happened and shows it; ``rows`` are the months so far."""

    def __init__(self, approves: bool) -> None:
        self.console = Console(stderr=True)
        self.rows: list[dict[str, Any]] = []
        self._steps: list[str] = []
        self._doing = Text()
        self._notes: list[str] = []
        self._began = time.monotonic()
        self._live = Live(console=self.console, get_renderable=self._screen, refresh_per_second=4,
                          transient=True) if self.console.is_terminal else None
        self._say("[bold]Tollgate demo[/bold]: a book of loans through the whole loop.")
        self._say("Approvals are answered by the demo on your behalf; `make demo DEMO_FLAGS=--no-approve` leaves them "
                  "to you." if approves else "Approvals wait for you, under Required Actions in Airflow.")

    def __enter__(self) -> View:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """One step of the way; yields a progress callback of ``(done, total)``."""
        began = time.monotonic()

        def progress(done: int, total: int) -> None:
            self._doing = Text(f"{what}: {done / total:.0%}" if total else what)

        self._doing = Text(what)
        yield progress
        self._doing = Text()
        self._say(f"[green]done[/green] {escape(what)} [dim]{time.monotonic() - began:.0f} s[/dim]")

    @contextmanager
    def month(self, month: str) -> Iterator[dict[str, Any]]:
        """One month of the replay; what the caller puts in the row is shown as it comes."""
        row: dict[str, Any] = {"month": month}
        self.rows.append(row)
        self._doing = Text(f"replaying {month}")
        yield row
        self._doing = Text()
        if not self._live:
            self._say(" ".join(f"{name}={escape(_cell(row, name))}" for name in COLUMNS))

    def asked(self, subject: str, page: str) -> None:
        """A person is asked for a decision; said once."""
        note = f"approval: {subject} {page}"
        if note not in self._notes:
            self._notes.append(note)
            self._say(f"[magenta]{escape(note)}[/magenta]")

    def story(self, story: dict[str, Any]) -> dict[str, Any]:
        """Print the summary and return it."""
        if self._live:
            self._live.stop()
        console = Console()
        print_ = console.print
        print_(self._months())
        for title in ("requests", "models"):
            if story[title]:
                print_(table(title, story[title], console.width))
        print_("\n".join(f"{name:8} {story[name.lower()]}" for name in ("Board", "Airflow", "MLflow", "reports")),
               highlight=False)
        print_(f"{time.monotonic() - self._began:.0f} seconds in all. Everything is left running; `make stop` ends it. "
               "The cron rests, for these loans are of years long past.")
        return story

    def _months(self) -> Table:
        months = Table(*COLUMNS, title="months", title_justify="left")
        for row in self.rows:
            colour = LEVELS.get(row.get("level", ""), "")
            months.add_row(*[Text(_cell(row, name), style=colour if name == "drift" else "") for name in COLUMNS])
        return months

    def _screen(self) -> Group:
        since = time.monotonic() - self._began
        parts: list[Any] = [self._months()] if self.rows else []
        return Group(*parts, Text(f"{since:4.0f} s  ").append(self._doing))

    def _say(self, line: str) -> None:
        (self._live.console if self._live else self.console).print(line, highlight=False, soft_wrap=True)


def _cell(row: dict[str, Any], name: str) -> str:
    key = {"drift": "level", "retrain": "request"}.get(name, name)
    value = row.get(key, "")
    return f"{value:,}" if isinstance(value, int) else str(value)
