"""A PostgreSQL database in one file, and back, by PostgreSQL's own programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tollgate.errors import PassingFault
from tollgate.services.postgres import binary


def dump_database(url: str, file: Path) -> None:
    """Write a database as it is at one instant, in ``pg_dump``'s own format. Raises ``PassingFault`` where it fails."""
    _run(url, "pg_dump", "--format=custom", "--no-owner", f"--file={file}", f"--dbname={_libpq(url)}")


def restore_database(url: str, file: Path) -> None:
    """Make a database what a dump says, wholly or not at all. Raises ``PassingFault`` where it fails."""
    _run(url, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction",
         f"--dbname={_libpq(url)}", str(file))


def _libpq(url: str) -> str:
    """The address as PostgreSQL's clients write it; SQLAlchemy's names the driver too."""
    kind, _, rest = url.partition("://")
    return f"{kind.partition('+')[0]}://{rest}"


def _run(url: str, program: str, *arguments: str) -> None:
    done = subprocess.run([binary(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PassingFault(f"{program} failed: {done.stderr.strip().splitlines()[-1:]}", value=url.rpartition("@")[2],
                           remedy="Check that the database answers, and PGPASSWORD or its pgpass file.")
