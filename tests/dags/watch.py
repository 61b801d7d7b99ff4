"""Run by the tests in Airflow's own environment: the landing trigger, each of its events as one line of JSON.

Its argument is after how many seconds a file that still waits is announced again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))


async def main() -> None:
    """Say how often it looks unless told otherwise, then print what it announces, for ever."""
    from tollgate_airflow.triggers import LandingTrigger

    usual = LandingTrigger("sba")
    print(json.dumps({"every": usual.every, "again": usual.again}), flush=True)
    async for event in LandingTrigger("sba", every=0.5, again=float(sys.argv[1])).run():
        print(json.dumps(event.payload), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
