"""Where the study of a sweep is kept: in a journal of its own, or in a database that several machines share."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tollgate.config import settings


def storage(study: str) -> BaseStorage:
    """The storage of one study, by ``TOLLGATE_OPTUNA``: a database's URL, or a folder of journals.

    Raises:
        OSError: the folder cannot be written to.
        StorageInternalError: the database does not answer.
    """
    where = settings().optuna
    if "://" in where:
        return _database(where)
    journal = Path(where) / f"{study}.log"
    journal.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(journal), _Turn(journal)))


def _database(url: str) -> BaseStorage:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(url)
    except SQLAlchemyError as err:
        raise StorageInternalError(str(err)) from err


class _Turn(JournalFileOpenLock):
    """One writer at a time, by a lock of the kernel: Optuna's own outlives a killed worker, and holds up the others.

    A line that such a worker left half written is cut off, for the next line would run into it.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._lock = journal, FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        self._lock.acquire()
        with self._journal.open("r+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._lock.release()
