"""The one door: parse, call, print the answer. Every verb is documented by ``tollgate VERB --help``.

Rooms are imported inside the verbs, so that ``--help`` and the queries that sensors poll stay quick.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from copy import copy
from typing import Annotated

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from tollgate.cli import books, data, machines, models, monitoring, scoring, training

app = typer.Typer(name="tollgate", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="The whole life of a loan-default model: ingest, train, gate, promote, score, watch, retrain.",
                  epilog="Exit codes: 0 done, 2 bad input, 3 refused by a gate or a contract, 75 try again later.")
ROOMS = (models, training, scoring, monitoring, books, data, machines)
for room in ROOMS:
    app.add_typer(room.app)


def app_of(words: Sequence[str]) -> typer.Typer:
    """The door with no more than the verb, or the group of verbs, that the words name; all of it where none is.

    Typer makes every verb that it knows before it runs one, which costs what sensors poll a quarter of its time.
    """
    verb = next((word for word in words if not word.startswith("-")), None)
    narrow = copy(app)
    narrow.registered_groups = [group for room in ROOMS for group in room.app.registered_groups if group.name == verb]
    narrow.registered_commands = [command for room in ROOMS for command in room.app.registered_commands
                                  if _name(command) == verb]
    return narrow if narrow.registered_groups or narrow.registered_commands else app


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(getattr(command.callback, "__name__", ""))


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"tollgate {version('tollgate')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    json_answer: Annotated[bool, typer.Option("--json", help="answer in JSON even at a terminal")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks and the log of every part")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version,
                                          help="print the version and end")] = False,
) -> None:
    context.obj = {"json": json_answer}
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("tollgate").setLevel(logging.DEBUG if debug else logging.INFO)
