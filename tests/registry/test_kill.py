"""kill -9 of a deciding process before and after each of its writes, and what the next touch finds."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from registry.killing import decide, decide_and_die
from registry.world import BOOK, aliases, copy_of
from tests.databases import Databases
from tests.processes import PROCESSES, places

from tollgate import lake, registry
from tollgate.config import settings

WRITES = {"promote": 6, "rollback": 5, "reject": 3}  # two lines or one, the digest kept of each, two aliases or one
DECIDED = {"promote": "2", "rollback": "1", "reject": "2"}
CHAMPION = {"promote": ("1", "2"), "rollback": ("2", "1"), "reject": ("1", "1")}  # before and after


@pytest.fixture(scope="module")
def before(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home with a champion and a challenger, and one with two champions in a row; the tests copy them."""
    folder = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, folder / "promote")
        world = copy_of(made, folder / "promote", folder)
        world.promoted("a")
        second = world.registered("b")
        for decision in ("reject", "rollback"):
            shutil.copytree(folder / "promote", folder / decision)
            databases.settle(patch, folder / decision)
        registry.promote(BOOK, "2", second.digest, by="ann")
    return {name: folder / name for name in WRITES}


@pytest.mark.parametrize("decision", WRITES)
def test_a_decision_killed_around_any_write_leaves_one_champion_and_is_mended(
        before: dict[str, Path], databases: Databases, settle: Callable[[Path], Path], home: Path,
        monkeypatch: pytest.MonkeyPatch, decision: str) -> None:
    was, wanted = CHAMPION[decision]
    with monkeypatch.context() as patch:
        databases.enter(patch, before[decision])
        version = next(v for e in registry.entries(BOOK) if e["kind"] == "registered"
                       and (v := registry.Version.from_json(e["payload"]["model"])).version == DECIDED[decision])
        lines = len(registry.entries(BOOK))
    for nth in count(1):
        settle(Path(shutil.copytree(before[decision], home / str(nth))))
        child = PROCESSES.Process(target=decide_and_die, args=(places(), decision, version, nth))
        child.start()
        child.join()
        begun = len(registry.entries(BOOK)) > lines
        assert _champions() in ([was], [wanted]) and aliases()["champion"] in (was, wanted)
        assert registry.verify(BOOK)["intact"]
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        touched = registry.champion(BOOK)
        assert touched is not None and touched.version == (wanted if begun else was)
        assert (_champions(), aliases()["champion"]) == ([touched.version], touched.version)
        assert _kept_last_line() == registry.entries(BOOK)[-1]["digest"] == registry.verify(BOOK)["head"]
        assert decide(decision, version) == wanted
        assert (_champions(), aliases()) == ([wanted], {"champion": wanted})
        assert registry.verify(BOOK)["intact"]
    assert nth == WRITES[decision] + 1


def _champions() -> list[str]:
    """The versions that the ledger calls champion."""
    return [model["version"] for model in registry.models(BOOK) if model["state"] == "champion"]


def _kept_last_line() -> str:
    """The digest that is kept outside the table, so that a line cut off the end is missed."""
    return str(lake.Store(settings().store).read_json(f"ledger/{BOOK}.json")["digest"])
