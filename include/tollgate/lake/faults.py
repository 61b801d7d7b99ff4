"""Where a table lies, and what goes wrong there: the storage layer's errors turned into ours."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.lake.schemas import LEDGER, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

INCOMPLETE = ("Expected contiguous commit files", "No table metadata or protocol found")  # deltalake of a Delta log


def location(table: Table) -> str:
    """The folder of a table."""
    return f"{root(table).rstrip('/')}/{table.book}/{table.name}"


def root(table: Table) -> str:
    """The lake, or where the ledger lies."""
    return settings().ledger if table.name == LEDGER else settings().lake


def storage_options() -> dict[str, str]:
    """Object-store options that deltalake does not take from the environment by itself.

    A server that is away is given up on in seconds (its own default is three minutes): the caller's retry knows more.
    """
    if "://" not in settings().lake + settings().ledger:
        return {}
    patience = {"connect_timeout": "5s", "max_retries": "4", "retry_timeout": "20s"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    http = {"aws_endpoint": endpoint, "aws_allow_http": "true"} if endpoint.startswith("http://") else {}
    return {**patience, **http}


@contextmanager
def faults_named(table: Table, at: int | None = None) -> Iterator[None]:
    """Turn the storage layer's errors into ours: a lake that does not answer is a passing fault.

    A file that is not there is no passing fault: it was removed, or vacuumed where a version is asked for by number.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (FileNotFoundError, DeltaError) as err:
        if "Json error" in str(err):
            raise unreadable_file(table, err) from err
        if at is not None:
            raise BadInput(f"Version {at} of the table {table.book}/{table.name} is no longer in the lake: "
                           f"{_first_line(err)}", value=location(table),
                           remedy="Restore its files; Delta's vacuum removes those of older versions.") from err
        if isinstance(err, FileNotFoundError) or any(said in str(err) for said in INCOMPLETE):
            raise unreadable_file(table, err, "missing") from err
        raise PassingFault(f"The table {table.book}/{table.name} could not be read or written: {_first_line(err)}",
                           value=location(table), remedy="Check that the folder is a Delta table.") from err
    except OSError as err:
        if "The operation lacked" in str(err):  # object_store's words for 401 and 403
            raise BadInput(f"The lake refused access to {table.book}/{table.name}: {_first_line(err)}",
                           value=location(table), remedy="Check the credentials of the lake.") from err
        raise PassingFault(f"The lake did not answer for {table.book}/{table.name}: {_first_line(err)}",
                           value=location(table), remedy="Check TOLLGATE_LAKE, the disk and the network.") from err


def unreadable_file(table: Table, err: Exception, how: str = "torn") -> BadInput:
    """A file of a table that cannot be read: what to say of it."""
    return BadInput(f"A file of the table {table.book}/{table.name} is {how}: {_first_line(err)[:300]}",
                    value=location(table), remedy="Restore that file from a backup.")


def _first_line(err: BaseException) -> str:
    """The fault in one line: what deltalake says first, and the root cause that it draws as the last arrow."""
    plain = re.sub(r"\x1b\[\d*m", "", str(err))
    said = [part.strip().splitlines()[0] for part in plain.split("\u21b3") if part.strip()]
    causes = [part for part in dict.fromkeys(said[:1] + said[-1:]) if not part.startswith("<")]
    return ": ".join(causes).removeprefix("Kernel error -> ") or type(err).__name__
