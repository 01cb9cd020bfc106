"""`python cluster_run.py DATA`: a supervisor with stand-ins in a process of its own, to be killed by a test."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.support.standins import COMMANDS

from wayline.cluster import NATS, Cluster

SERVICES = ("ingestion", "profile")


async def main() -> None:
    """Start, print the process ids, and stay."""
    async with Cluster(Path(sys.argv[1]), services=SERVICES, commands=COMMANDS) as cluster:
        print(json.dumps([cluster.pid(name) for name in (NATS, *SERVICES)]), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
