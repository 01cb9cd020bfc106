"""A small catalogue's types, for tests of content."""

from __future__ import annotations

from datetime import UTC, datetime

from wayline.catalog.load import load_text
from wayline.catalog.schema import build_schema

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
SCHEMA = build_schema(
    load_text(
        """\
channels: {web: {}}
placements: {web.hero: {channel: web}}
traits:
  first_name: {kind: attribute}
  city: {kind: attribute, default: Vienna}
  newsletter: {kind: attribute, type: boolean}
  birthday: {kind: attribute}
  orders: {kind: count, event: Order Completed}
  spend: {kind: sum, event: Order Completed, property: total}
  colours: {kind: affinity, event: Product Viewed, property: color, half_life: 7d}
context:
  device: {default: desktop}
  cart_total: {type: number}
"""
    )
)
