"""`wayline demo --once --json`, as a newcomer types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
WAYLINE = str(Path(sys.executable).with_name("wayline"))


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    """What the journey printed."""
    ran = subprocess.run([WAYLINE, "demo", "--once", "--json"], check=True, capture_output=True, timeout=100)
    found: list[dict[str, Any]] = json.loads(ran.stdout)["steps"]
    return found


def test_each_step_says_what_was_decided_where_and_why(steps: list[dict[str, Any]]):
    assert {frozenset(step) for step in steps} == {
        frozenset({"name", "placement", "actions", "content", "reasons", "ms"})
    }
    assert all(step["actions"] and step["content"] and step["reasons"] and step["ms"] > 0 for step in steps)
    assert {step["placement"] for step in steps} == {"web.hero", "web.list", "chat.suggestion", "email.offer"}


def test_the_hero_is_not_about_red_shoes_before_she_looked_at_any(steps: list[dict[str, Any]]):
    before, _, _ = heroes(steps)
    assert before["actions"] != ["red-shoes"]
    assert before["reasons"] == ["contextual: the customer is not known"]


def test_after_red_shoes_the_hero_is_about_red_shoes_and_says_why(steps: list[dict[str, Any]]):
    _, after, _ = heroes(steps)
    assert after["actions"] == ["red-shoes"]
    assert after["content"]["title"] == "Red is your colour"
    assert after["reasons"] == ["Looked at red shoes lately"]


def test_after_consent_was_withdrawn_the_hero_is_what_everybody_sees_and_says_why(steps: list[dict[str, Any]]):
    before, _, withdrawn = heroes(steps)
    assert withdrawn["actions"] == before["actions"]
    assert withdrawn["content"] == before["content"]
    assert withdrawn["reasons"] == ["contextual: no consent for personalisation: the customer said no"]


def test_after_the_sign_in_an_email_offer_is_made_with_its_conditions(steps: list[dict[str, Any]]):
    (offer,) = (step for step in steps if step["placement"] == "email.offer")
    assert len(offer["actions"]) == 1
    assert "red" in offer["content"]["subject"]


def heroes(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hero at first, after the red shoes, and after consent was withdrawn."""
    return [step for step in steps if step["placement"] == "web.hero"]
