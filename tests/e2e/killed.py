"""A `tollgate` for Airflow that dies in the middle of a step of a night, once, where a test wants it.

    python -m e2e.killed score STEP ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from scratch import BIN
from tests.processes import die_before

from tollgate import lake
from tollgate.cli import main, scoring
from tollgate.config import PROJECT
from tollgate.lake import Store

# The write before which each step dies, of those it makes; its answer counts as the last.
NTH = {"reopen": 2, "pin": 3, "shard": 2, "publish": 3, "shadow": 2, "compare": 2}
WRITES = ((Store, "write"), (Store, "create"), (lake, "append_next"), (lake, "publish_turn"),
          (lake, "change_partitions"), (scoring, "_answer"))


def program(folder: Path) -> Path:
    """An executable: `tollgate`, but for one call of each step that ``folder`` holds a file of."""
    folder.mkdir()
    path = folder / "tollgate"
    path.write_text(f"""#!/bin/sh
if [ "$1" = score ] && mv "{folder}/$2" "{folder}/$2.killed" 2>/dev/null; then
    PYTHONPATH="{PROJECT}:{PROJECT / "tests"}" exec "{sys.executable}" -m e2e.killed "$@"
fi
exec "{BIN / "tollgate"}" "$@"
""", encoding="utf-8")
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    die_before(WRITES, NTH[sys.argv[2]])
    main.main()
