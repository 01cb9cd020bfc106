"""Made-up histories of customers who browse, buy, sign in on several devices, and are told apart again by staff."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.support.events import DAY_MS, NOON_MS, Event, alias, identify, page, ruling, track

_COLOURS = ("red", "green", "blue", "black")
_BRANDS = ("Fell", "Passo", "Ode")
_NAMES = ("Product Viewed", "Product Viewed", "Product Added", "Order Completed", "Offer Shown", "Click")


def history(seed: int, events: int, *, customers: int, days: int = 60, rulings: bool = False) -> list[Event]:
    """Events in the order of their arrival, which is not that of their times."""
    rng = random.Random(seed)
    return [_event(rng, f"s{seed}-m{number}", customers, days, rulings) for number in range(events)]


def _event(rng: random.Random, message_id: str, customers: int, days: int, rulings: bool) -> Event:
    at_ms = NOON_MS - rng.randrange(days * DAY_MS)
    number = rng.randrange(customers)
    user, browser = f"user-{number}", f"browser-{number}-{rng.randrange(3)}"
    chance = rng.random()
    if chance < 0.08:
        return identify({"email": f"{user}@shop.test"}, user=user, browser=browser, at_ms=at_ms, message_id=message_id)
    if chance < 0.10:
        event = alias(user, f"user-{rng.randrange(customers)}", at_ms=at_ms)
        event.message_id = message_id
        return event
    if rulings and chance < 0.13:
        return ruling(
            ("user_id", user),
            ("anonymous_id", browser),
            apart=rng.random() < 0.7,
            at_ms=at_ms,
            message_id=message_id,
        )
    if chance < 0.2:
        event = page("Home", user=user, at_ms=at_ms)
        event.message_id = message_id
        return event
    return _track(rng, user, browser, at_ms, message_id)


def _track(rng: random.Random, user: str, browser: str, at_ms: int, message_id: str) -> Event:
    properties = dict(_properties(rng))
    if rng.random() < 0.5:
        return track(rng.choice(_NAMES), properties, user=user, at_ms=at_ms, message_id=message_id)
    return track(rng.choice(_NAMES), properties, browser=browser, at_ms=at_ms, message_id=message_id)


def _properties(rng: random.Random) -> Iterator[tuple[str, object]]:
    yield "color", rng.choice(_COLOURS)
    if rng.random() < 0.8:
        yield "brand", rng.choice(_BRANDS)
        yield "total", rng.choice((0.1, 0.2, 19.99, 1e16, -5.0, rng.random() * 100))
    yield "action", rng.choice(("red-shoes", "boots"))
