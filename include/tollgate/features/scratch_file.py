"""Encoded rows that are too many for memory: written once to scratch, read as often as an estimator asks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile

import numpy as np


class ScratchFile:
    """Batches of a float32 matrix in a file without a name, in the scratch folder (``TMPDIR``), gone with this object.

    To read them here is far cheaper than to encode the Parquet file again, and any number of readers may at once.
    """

    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        self._file, self._shapes = TemporaryFile(prefix="tollgate-"), list[tuple[int, ...]]()  # noqa: SIM115
        for batch in batches:
            batch.tofile(self._file)
            self._shapes.append(batch.shape)
        self._file.flush()

    def __call__(self) -> Iterator[np.ndarray]:
        """The batches from the first on. Raises ``OSError`` where the file cannot be read."""
        start = 0
        for shape in self._shapes:
            batch = np.empty(shape, np.float32)
            if os.preadv(self._file.fileno(), [batch.data], start) != batch.nbytes:
                raise OSError("The scratch file of encoded rows was cut short")
            start += batch.nbytes
            yield batch
