"""A service that only lives: `python standin.py NAME`. Health and reflection, on the port that its setting says.

For tests of what starts and watches services. With STANDIN_FAIL=NAME it ends at its start, as a broken service does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wayline.lifecycle import aio_server, main
from wayline.settings import Settings

NAME = sys.argv[1]
PORT = int(os.environ[f"WAYLINE_{NAME.upper()}_PORT"])


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[None]:
    """Serve nothing but health."""
    async with aio_server(settings, PORT, f"wayline.v1.{NAME.capitalize()}Service", lambda server: None):
        yield


if __name__ == "__main__":
    if os.environ.get("STANDIN_FAIL") == NAME:
        sys.exit("the stand-in was told to fail")
    main(NAME, Settings, build)
