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


@contextmanager
def own_home() -> Iterator[Path]:
    """A scratch folder in which Tollgate's data lie meanwhile, the sources that were fetched before among them.

    The database of sweeps runs: no clock is to count its start.
    """
    sources, before = settings().data / "sources", os.environ.get(DATA)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        if sources.is_dir():
            (data / "sources").symlink_to(sources)
        os.environ[DATA] = str(data)
        try:
            services.database("optuna")
            yield Path(scratch)
        finally:
            services.stop_embedded()
            del os.environ[DATA]
            if before is not None:
                os.environ[DATA] = before
