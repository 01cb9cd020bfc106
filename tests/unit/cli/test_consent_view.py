"""What `wayline catalog show` says of purposes, collection and labels."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from wayline.catalog.load import load_text
from wayline.cli.consent_view import render

CATALOG = """
channels: {web: {}, email: {purpose: mailing}}
purposes:
  personalisation: {defaults: {US: granted, EEA: denied}, may_use: location}
  mailing: {legal_basis: legitimate_interests, sale_or_sharing: true}
personalisation: personalisation
collection:
  purpose: mailing
  events: {Order Completed: {purpose: none, legal_basis: contract}}
properties: {illness: {labels: health}}
traits: {ill: {kind: last, event: Test Booked, property: illness}, visits: {kind: count, event: page}}
context: {city: {labels: location}}
"""


def shown(text: str) -> str:
    """What a person reads, without the lines of the tables."""
    console = Console(file=StringIO(), width=200)
    for part in render(load_text(text)):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_each_purpose_says_what_holds_while_nothing_is_said_and_what_it_is_used_for() -> None:
    text = shown(CATALOG)
    assert "personalisation consent denied, US granted, EEA denied personalisation location" in text
    assert "mailing legitimate interests granted email yes" in text


def test_each_event_says_for_what_it_is_stored() -> None:
    text = shown(CATALOG)
    assert "Order Completed none contract" in text
    assert "any other mailing legitimate interests" in text


def test_each_field_with_labels_says_where_they_come_from() -> None:
    text = shown(CATALOG)
    assert "profile.ill sensitive health the property 'illness'" in text
    assert "context.city sensitive location" in text
    assert "profile.visits" not in text


def test_a_catalogue_without_any_of_it_says_nothing() -> None:
    assert shown("traits: {visits: {kind: count, event: page}}") == ""
