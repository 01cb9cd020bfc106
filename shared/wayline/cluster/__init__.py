"""Wayline on one machine: a NATS server and every service, each its own process, started, watched and stopped."""

from __future__ import annotations

from wayline.cluster.addresses import Addresses, Ports, free_ports
from wayline.cluster.child import ClusterEvent
from wayline.cluster.errors import ClusterError, DataInUse, PortTaken, StartFailed
from wayline.cluster.nats_server import Sync
from wayline.cluster.supervisor import NATS, SERVICES, Cluster

__all__ = [
    "NATS",
    "SERVICES",
    "Addresses",
    "Cluster",
    "ClusterError",
    "ClusterEvent",
    "DataInUse",
    "PortTaken",
    "Ports",
    "StartFailed",
    "Sync",
    "free_ports",
]
