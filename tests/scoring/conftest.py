"""The shared small world of the registry's and the scoring room's tests, and one with a champion and a challenger."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from registry.world import copied_to, made, world
from tests.databases import Databases

__all__ = ["made", "night", "served", "world"]


@pytest.fixture(scope="module")
def served(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion and a challenger; the tests copy it."""
    home = tmp_path_factory.mktemp("served") / "data"
    with copied_to(home, made, databases) as world:
        world.promoted("a")
        world.registered("b")
    return home


@pytest.fixture
def night(served: Path, home: Path, settle: Callable[[Path], Path]) -> Path:
    return settle(Path(shutil.copytree(served, home)))
