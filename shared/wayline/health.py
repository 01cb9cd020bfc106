"""Is a service well? `python -m wayline.health ADDRESS [--service NAME]` ends with 0 when it is, else with 1.

The probe of the container image, of the supervisor and of `wayline status`. It needs nothing beyond gRPC.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

NATS_PORT = 4222


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer of one probe. `detail` says in words what was found."""

    healthy: bool
    detail: str


async def probe(address: str, service: str = "", timeout_seconds: float = 2.0) -> Health:
    """Ask the health service at `address` (host:port).

    Args:
        address: where the gRPC server listens.
        service: '' asks whether the process lives; a service's full name asks whether it is ready for traffic.
        timeout_seconds: silence for longer counts as unwell.
    """
    # A channel of its own: it must not share, and wait for, the back-off of one that failed before.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its published types know no method
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            return Health(healthy=False, detail=_explain(error, address, service))
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status).lower().replace("_", " ")
    return Health(healthy=answer.status == health_pb2.HealthCheckResponse.SERVING, detail=name)


async def probe_nats(url: str, timeout_seconds: float = 2.0) -> Health:
    """Connect to a NATS server and read its greeting; it is well when JetStream is on."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or NATS_PORT)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
        facts = json.loads(greeting.removeprefix(b"INFO "))
    except TimeoutError:
        return Health(healthy=False, detail=f"no answer within {timeout_seconds:g} s")
    except OSError:
        return Health(healthy=False, detail=f"nothing answers at {parts.hostname}:{parts.port or NATS_PORT}")
    except ValueError:
        return Health(healthy=False, detail="something else than NATS listens there")
    if not facts.get("jetstream"):
        return Health(healthy=False, detail="JetStream is off")
    return Health(healthy=True, detail=f"serving, version {facts.get('version', '?')}")


def _explain(error: grpc.aio.AioRpcError, address: str, service: str) -> str:
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return "no answer in time"
        case grpc.StatusCode.UNAVAILABLE:
            return f"nothing answers at {address}"
        case grpc.StatusCode.NOT_FOUND:
            return f"the server does not know the service '{service}'"
        case code:
            return f"{code.name}: {error.details()}"


def main() -> None:
    """The console probe."""
    parser = argparse.ArgumentParser(
        prog="python -m wayline.health", description="Ends with 0 when the service is well."
    )
    parser.add_argument("address", help="host:port")
    parser.add_argument("--service", default="", help="full name of a gRPC service, for readiness; '' for the process")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds")
    given = parser.parse_args()
    result = asyncio.run(probe(given.address, given.service, given.timeout))
    print(result.detail, file=sys.stdout if result.healthy else sys.stderr)
    sys.exit(0 if result.healthy else 1)


if __name__ == "__main__":
    main()
