"""A tracking plan as tests write it."""

from __future__ import annotations

from typing import Any

from tests.support.events import an_event

from wayline.catalog.model import Catalog
from wayline.catalog.tracking import TrackingPlan
from wayline.v1.events_pb2 import Event

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["total"],
    "properties": {
        "total": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"pattern": "^[A-Z]+-[0-9]+$"}}}},
        "quantity": {"type": "integer"},
    },
    "patternProperties": {"^x_": {}},
}


def a_plan(**values: Any) -> TrackingPlan:
    """The plan of 'Order Completed' and of identify; `values` replace or add."""
    events = {
        "Order Completed": {"version": 3, "schema": ORDER},
        "identify": {"schema": {"properties": {"age": {"type": "integer"}}}},
    }
    return TrackingPlan.model_validate({"events": events, **values})


def a_catalog_with_a_plan(**values: Any) -> Catalog:
    """A catalogue with that plan and nothing else."""
    return Catalog(tracking_plan=a_plan(**values))


def an_order(properties: dict[str, Any], **fields: Any) -> Event:
    """'Order Completed' with these properties."""
    event = an_event(name="Order Completed", **fields)
    event.properties.update(properties)
    return event
