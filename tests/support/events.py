"""Events for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event

_NUMBERS = count(1)


def an_event(**fields: Any) -> Event:
    """A good event: an anonymous visitor looked at a product. `fields` replace or add; each has an id of its own."""
    values: dict[str, Any] = {
        "message_id": f"event-{next(_NUMBERS)}",
        "type": events_pb2.EVENT_TYPE_TRACK,
        "anonymous_id": "visitor-1",
        "name": "Product Viewed",
    }
    return Event(**{**values, **fields})
