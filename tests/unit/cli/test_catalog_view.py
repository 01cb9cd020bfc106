"""What `wayline catalog show` says of traits."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from wayline.catalog.load import load_text
from wayline.cli.catalog_view import render

CATALOG = """
traits:
  orders: {kind: count, event: Order Completed}
  basket: {kind: average, event: Order Completed, property: total, window: 30d}
  idle: {kind: recency, event: [page, screen], unit: hours}
  visits: {kind: count, event: page}
  per_visit: {kind: ratio, of: orders, per: visits, default: -1}
  loyal: {kind: rule, rule: profile.orders > 9}
"""


def shown() -> str:
    """What a person reads, without the lines of the tables."""
    console = Console(file=StringIO(), width=200)
    for part in render(load_text(CATALOG), revision=1):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_each_trait_says_what_it_is_made_of() -> None:
    text = shown()
    assert "basket average number Order Completed by total 30d" in text
    assert "idle recency integer page, screen 876000" in text
    assert "per_visit ratio number orders for each of visits -1" in text
    assert "loyal rule boolean profile.orders > 9" in text
