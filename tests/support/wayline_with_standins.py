"""The `wayline` command, whose clusters run stand-ins instead of the services."""

from __future__ import annotations

from functools import partial

from tests.support.standins import COMMANDS

import wayline.cluster
from wayline.cli import main

if __name__ == "__main__":
    wayline.cluster.Cluster = partial(wayline.cluster.Cluster, commands=COMMANDS)  # type: ignore[assignment, misc]
    main()
