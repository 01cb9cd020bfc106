"""Who listens where: ports that are free, and addresses for clients."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from random import SystemRandom

from wayline.cluster.errors import ClusterError, PortTaken

_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is read here, not listened on
# Below the ports that the kernel hands to outgoing connections (32768 and up), one of which could otherwise take the
# port of a service in the moment between its death and its restart.
_FREE = range(20_000, 32_000)
_ATTEMPTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where each process listens. The defaults are those of the services' own settings."""

    nats: int = 4222
    ingestion: int = 7001
    profile: int = 7002
    prediction: int = 7003
    decision: int = 7004

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """Five ports in a row, NATS first."""
        nats, ingestion, profile, prediction, decision = range(base, base + len(fields(cls)))
        return cls(nats=nats, ingestion=ingestion, profile=profile, prediction=prediction, decision=decision)

    def items(self) -> Iterator[tuple[str, int]]:
        """Names and ports."""
        return zip((field.name for field in fields(self)), astuple(self), strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where clients reach each process: NATS as a URL, the services as host:port."""

    nats: str
    ingestion: str
    profile: str
    prediction: str
    decision: str

    @classmethod
    def of(cls, host: str, ports: Ports) -> Addresses:
        """The addresses on this machine of processes that listen on `host`."""
        at = {name: join(_ANY.get(host, host), port) for name, port in ports.items()}
        at["nats"] = f"nats://{at['nats']}"
        return cls(**at)


def join(host: str, port: int) -> str:
    """`host:port`, with the brackets that IPv6 needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_ports(host: str = "127.0.0.1") -> Ports:
    """Ports on which nothing listens at the moment.

    Raises:
        ClusterError: none were found.
    """
    chance = SystemRandom()
    names = [field.name for field in fields(Ports)]
    found: list[int] = []
    for _ in range(_ATTEMPTS):
        port = chance.choice(_FREE)
        if port not in found and is_free(host, port):
            found.append(port)
        if len(found) == len(names):
            return Ports(**dict(zip(names, found, strict=True)))
    raise ClusterError(f"found no {len(names)} free ports on {host} between {_FREE.start} and {_FREE.stop}")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now.

    Raises:
        ClusterError: the host is no address of this machine.
    """
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As servers do: connections of the last run that are still fading do not count.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            trial.listen(1)
    except socket.gaierror as error:
        raise ClusterError(f"cannot listen on {host}: {error.strerror}") from None
    except OSError as error:
        if isinstance(error, PermissionError):
            raise ClusterError(
                f"port {port} needs more rights than this process has: choose ports above 1023"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise ClusterError(f"cannot listen on {host}: it is no address of this machine") from None
        return False
    return True


def check_free(host: str, ports: Ports, names: Iterable[str]) -> None:
    """Make sure that the ports of `names` can be had.

    Raises:
        PortTaken: one cannot.
    """
    wanted = dict(ports.items())
    for name in names:
        if not is_free(host, wanted[name]):
            raise PortTaken(name, host, wanted[name])
