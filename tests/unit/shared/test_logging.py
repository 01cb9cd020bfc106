"""What is logged."""

from __future__ import annotations

import json

import pytest
import structlog

from wayline import logging


def test_a_failure_is_logged_with_its_place_and_without_what_was_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """Local variables hold events and profiles."""
    logging.configure("test")
    try:
        email = "@".join(["ada", "example.com"])
        try:
            raise RuntimeError("failed" if email else "")
        except RuntimeError:
            logging.get("fold").exception("fold_failed", exc_info=True)
    finally:
        structlog.reset_defaults()
    line = capsys.readouterr().err
    said = json.loads(line)
    assert (said["event"], said["service"], said["module"]) == ("fold_failed", "test", "fold")
    assert said["exception"][0]["exc_type"] == "RuntimeError"
    assert said["exception"][0]["frames"][0]["name"] == (
        "test_a_failure_is_logged_with_its_place_and_without_what_was_at_hand"
    )
    assert "ada@example.com" not in line


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("expected a number, got 'ada.l@mail.example.org'", "expected a number, got '(address)'"),
        ("model:visit@1 and a@b stay", "model:visit@1 and a@b stay"),
    ],
)
def test_an_address_that_an_error_quotes_is_not_logged(
    text: str, logged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure("test")
    try:
        logging.get("codec").warning("refused", error=text, nested={"list": [text]})
    finally:
        structlog.reset_defaults()
    said = json.loads(capsys.readouterr().err)
    assert (said["error"], said["nested"]) == (logged, {"list": [logged]})
