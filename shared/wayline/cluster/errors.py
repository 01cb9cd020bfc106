"""Why a cluster does not start. Each message says what to do next."""

from __future__ import annotations

from pathlib import Path

from wayline.errors import WaylineError


class ClusterError(WaylineError):
    """The root of what the supervisor refuses."""


class DataInUse(ClusterError):
    """Another supervisor works on the data directory."""

    def __init__(self, data: Path, owner: str) -> None:
        """Name the directory, and the `owner` as its lock file describes it."""
        who = f" by {owner}" if owner else ""
        super().__init__(f"{data} is in use{who}: stop it, or choose another directory with --data")


class PortTaken(ClusterError):
    """Something else listens on a port that is needed."""

    def __init__(self, name: str, host: str, port: int) -> None:
        """Say who (`name`) wanted to listen where."""
        super().__init__(
            f"port {port} on {host}, wanted for {name}, is taken: "
            "stop what listens there, or choose other ports with --port-base N (N to N+4)"
        )
        self.port = port


class StartFailed(ClusterError):
    """A process ended, or did not become healthy, while the cluster was starting."""

    def __init__(self, name: str, what: str, log: Path, tail: str) -> None:
        """Say `what` happened to whom, and show the end of its log."""
        end = f"\n{tail}" if tail else ""
        super().__init__(f"{name} {what}; its log is {log}{end}")
