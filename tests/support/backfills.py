"""Traits of every kind over the events of `histories`, catalogues of some of them, and a back-fill to one."""

from __future__ import annotations

from typing import Any

from tests.support.events import NOON_MS

from wayline.catalog.model import Catalog
from wayline_profile.backfill import Backfill, Strands
from wayline_profile.core.fold import Definitions, definitions_of

TRAITS: dict[str, Any] = {
    "orders": {"kind": "count", "event": "Order Completed"},
    "views": {"kind": "count", "event": "Product Viewed", "where": {"color": "red"}},
    "visits": {"kind": "count", "event": "page", "window": "7d"},
    "spend": {"kind": "sum", "event": "Order Completed", "property": "total"},
    "basket": {"kind": "average", "event": "Order Completed", "property": "total", "window": "30d"},
    "least": {"kind": "min", "event": "Order Completed", "property": "total"},
    "dearest": {"kind": "max", "event": "Order Completed", "property": "total"},
    "brands": {"kind": "distinct", "event": "Product Viewed", "property": "brand"},
    "usual": {"kind": "most_frequent", "event": "Product Viewed", "property": "brand", "window": "90d"},
    "latest": {"kind": "last", "event": ["Product Viewed", "Product Added"], "property": "color"},
    "since": {"kind": "recency", "event": "page"},
    "colours": {
        "kind": "affinity",
        "event": ["Product Viewed", "Product Added"],
        "property": "color",
        "half_life": "7d",
    },
}


def catalogue(*names: str, outcomes: dict[str, Any] | None = None, **more: dict[str, Any]) -> Definitions:
    """With these of the traits above, and more."""
    traits = {**{name: TRAITS[name] for name in names}, **more}
    return definitions_of(Catalog.model_validate({"traits": traits, "outcomes": outcomes or {}}))


def backfill_of(store: Strands, definitions: Definitions, **limits: int) -> Backfill:
    """What brings a store to these definitions, step by step."""
    backfill = Backfill(store, now_ms=lambda: NOON_MS, **limits)
    backfill.use(definitions)
    return backfill
