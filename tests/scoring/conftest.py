"""The shared small world of the registry's and the scoring room's tests, and one with a champion and a challenger."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from registry.world import copy_of, made, world
from tests.databases import Databases

__all__ = ["made", "night", "served", "world"]


@pytest.fixture(scope="module")
def served(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion and a challenger; the tests copy it."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, folder / "data")
        world = copy_of(made, folder / "data", folder)
        world.promoted("a")
        world.registered("b")
    return folder / "data"


@pytest.fixture
def night(served: Path, home: Path, settle: Callable[[Path], Path]) -> Path:
    return settle(Path(shutil.copytree(served, home)))
