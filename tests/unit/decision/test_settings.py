"""Settings that would not work are refused when they are read."""

from __future__ import annotations

import sys

import pytest

from wayline.settings import read
from wayline_decision.breaker import BreakerLimits
from wayline_decision.settings import DecisionSettings


def test_several_workers_are_refused_where_a_port_cannot_be_shared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("WAYLINE_DECISION_WORKERS", "2")
    with pytest.raises(SystemExit):
        read(DecisionSettings)
    assert "several workers on one port need Linux" in capsys.readouterr().err
    monkeypatch.setenv("WAYLINE_DECISION_WORKERS", "1")
    assert read(DecisionSettings).decision_workers == 1


def test_the_breakers_limits_are_those_of_the_documentation() -> None:
    assert DecisionSettings().breaker == BreakerLimits(least=20, share=0.5, window_seconds=10, pause_seconds=5)


def test_the_breakers_limits_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAST": "7", "SHARE": "0.9", "WINDOW_SECONDS": "2", "PAUSE_SECONDS": "1"}.items():
        monkeypatch.setenv(f"WAYLINE_BREAKER_{name}", value)
    assert read(DecisionSettings).breaker == BreakerLimits(least=7, share=0.9, window_seconds=2, pause_seconds=1)
