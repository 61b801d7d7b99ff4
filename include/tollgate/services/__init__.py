"""The servers that Tollgate runs on this machine: child processes that outlive us, and the embedded PostgreSQL."""

from tollgate.services.dumps import dump_database, restore_database
from tollgate.services.locks import alone, claim, locked_out, session
from tollgate.services.postgres import database, empty_database, running_database, stop_embedded
from tollgate.services.processes import (
    Service,
    adopt,
    environment_of,
    free_port,
    page_answers,
    running,
    start,
    stop,
    wait_until_up,
)

__all__ = ["Service", "adopt", "alone", "claim", "database", "dump_database", "empty_database", "environment_of",
           "free_port", "locked_out", "page_answers", "restore_database", "running", "running_database", "session",
           "start", "stop", "stop_embedded", "wait_until_up"]
