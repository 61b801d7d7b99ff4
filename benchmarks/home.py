"""A home of its own for a benchmark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollgate import services
from tollgate.config import settings

DATA = "TOLLGATE_DATA"


def link_sources(data: Path) -> None:
    """Make a folder of data in which the sources lie that were fetched before: nothing is downloaded twice."""
    data.mkdir()
    fetched = settings().data / "sources"
    if fetched.is_dir():
        (data / "sources").symlink_to(fetched.resolve())


@contextmanager
def own_home() -> Iterator[Path]:
    """A scratch folder in which Tollgate's data lie meanwhile, the sources that were fetched before among them.

    The database of sweeps runs: no clock is to count its start.
    """
    before = os.environ.get(DATA)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        link_sources(data)
        os.environ[DATA] = str(data)
        try:
            services.database("optuna")
            yield Path(scratch)
        finally:
            services.stop_embedded()
            del os.environ[DATA]
            if before is not None:
                os.environ[DATA] = before
