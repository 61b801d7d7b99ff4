"""What the tests of drafts share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.books.drafted import Make, unwatched

from tollgate.books.drafting import new_book
from tollgate.config import finding


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Drafts a book from files in a user's folder of books of its own."""
    monkeypatch.setenv("TOLLGATE_BOOKS", str(tmp_path / "books"))
    yield lambda *files, name="loans": new_book(name, files, unwatched)
    for module in [module for module in sys.modules if module.startswith(finding.OWN)]:
        del sys.modules[module]
