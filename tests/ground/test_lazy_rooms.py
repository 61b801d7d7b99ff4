"""Rooms that load a part of themselves when it is asked for: what sensors poll and people wait for starts quickly."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import tollgate

PACKAGE = Path(tollgate.__file__).parent
LAZY = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "found_in" in path.read_text(encoding="utf-8")]
HEAVY = ("duckdb", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "scipy", "sqlalchemy")
RUN = """import sys
from tollgate.cli.app import app_of
app_of(sys.argv[1:])(sys.argv[1:], standalone_mode=False)
print(*sorted({*%r} & {*sys.modules}), file=sys.stderr)"""


def promised(path: Path) -> Iterator[tuple[str, str]]:
    """The module and the name of each import that a room's ``__init__`` shows to type checkers alone."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If):
            for told in node.body:
                assert isinstance(told, ast.ImportFrom) and told.module
                yield from ((told.module, alias.name) for alias in told.names)


@pytest.mark.parametrize("path", LAZY, ids=lambda path: path.parent.name)
def test_whoever_asks_a_room_gets_what_type_checkers_see(path: Path) -> None:
    room = import_module(".".join(["tollgate", *path.parent.relative_to(PACKAGE).parts]))
    for module, name in promised(path):
        for _ in range(2):  # also once its module is itself an attribute of the room
            assert getattr(room, name) is getattr(import_module(module), name), f"{room.__name__}.{name}"
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        room.nonsense  # noqa: B018


@pytest.mark.parametrize("verb", [["ingest", "list", "--book=consumer"], ["requests", "list", "--book=consumer"],
                                  ["board", "card"]], ids=" ".join)
def test_what_is_polled_or_waited_for_loads_no_library_that_computes(home: Path, verb: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", RUN % (HEAVY,), *verb], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert loaded == set() or (verb[0] == "board" and loaded == {"numpy", "pyarrow"}), "no night told the book's title"
