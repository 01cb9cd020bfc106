"""A busy day at a shop: the catalogue that counts it, and its events."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.support.events import NOON_MS, Event, alias, identify, track

from wayline.catalog.model import Catalog

CATALOG = Catalog.model_validate(
    {
        "traits": {
            "views": {"kind": "count", "event": "Viewed"},
            "spend": {"kind": "sum", "event": "Bought", "property": "total"},
            "colours": {"kind": "affinity", "event": "Viewed", "property": "color", "half_life": "7d"},
            "city": {"kind": "attribute", "default": "unknown"},
        }
    }
)


def a_busy_day(chance: random.Random, *, events: int, people: int) -> Iterator[Event]:
    """Visitors who look and buy, who sign in on several browsers, whose accounts are united, and who send again."""
    sent: list[Event] = []
    for number in range(events):
        if sent and chance.random() < 0.12:
            yield chance.choice(sent[-500:])
            continue
        person = chance.randrange(people)
        user, browser = f"user-{person}", f"browser-{person}-{chance.randrange(3)}"
        at_ms, kind = NOON_MS + number - chance.randrange(5_000), chance.random()
        if kind < 0.5:
            event = track("Viewed", {"color": chance.choice(["red", "blue", "green"])}, browser=browser, at_ms=at_ms)
        elif kind < 0.72:
            event = track("Bought", {"total": round(chance.uniform(5, 90), 2)}, user=user, at_ms=at_ms)
        elif kind < 0.97:
            event = identify({"city": chance.choice(["Rome", "Lima"])}, user=user, browser=browser, at_ms=at_ms)
        else:
            event = alias(user, f"user-{chance.randrange(people)}", at_ms=at_ms)
        event.message_id = f"message-{number}"
        event.received_at.GetCurrentTime()  # else its id would soon be forgotten
        sent.append(event)
        yield event
