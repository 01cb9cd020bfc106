"""What a person reads about an expected failure."""

from __future__ import annotations

import grpc
import pytest

from wayline.cli import support
from wayline.cli.support import _explain


class Failed(grpc.RpcError):
    """A call that ended with a status."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


def unavailable(details: str | None) -> str | None:
    return _explain(Failed(grpc.StatusCode.UNAVAILABLE, details))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Whom the command asks, and where."""
    found: dict[str, str] = {}
    monkeypatch.setattr(support, "_asked", found)
    return found


@pytest.mark.parametrize(
    "words",
    [
        "no catalogue was applied yet; apply one with: wayline catalog apply DIR",
        "decision records cannot be read: TimeoutError()",
        "the profile store at db:5432 cannot be reached: Connection refused",
    ],
)
def test_a_service_that_answers_has_its_own_words(words: str, asked: dict[str, str]) -> None:
    asked["decision"] = "127.0.0.1:7004"
    assert unavailable(words) == words


def test_another_status_is_told_with_its_name() -> None:
    assert _explain(Failed(grpc.StatusCode.NOT_FOUND, "no such decision")) == "NOT_FOUND: no such decision"


@pytest.mark.parametrize(
    ("details", "why"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:7002: Connection refused",
            "Connection refused",
        ),
        ("Socket closed", "Socket closed"),
        ("ipv4:127.0.0.1:7002: Socket closed", "Socket closed"),
        (None, "no answer"),
    ],
)
def test_a_connection_that_fails_is_told_with_service_and_address(
    details: str | None, why: str, asked: dict[str, str]
) -> None:
    asked |= {"nats": "nats://127.0.0.1:4222", "profile": "[::1]:7002"}
    said = unavailable(details)
    assert said
    assert said.startswith(f"the profile service at [::1]:7002 cannot be reached ({why}). Is Wayline running? ")


def test_of_several_services_the_one_whose_address_failed_is_named(asked: dict[str, str]) -> None:
    asked |= {"ingestion": "127.0.0.1:7001", "decision": "127.0.0.1:7004"}
    said = unavailable("failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:7004: refused")
    assert said
    assert said.startswith("the decision service at 127.0.0.1:7004 cannot be reached")
