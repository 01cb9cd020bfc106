"""Visitors of the example shoe shop: ordinary events of some 250 bytes, as a web shop sends them."""

from __future__ import annotations

import random
import time

from wayline.catalog.audiences import Audience
from wayline.catalog.examples import example_path
from wayline.catalog.load import load
from wayline.catalog.model import Action, Catalog, ContextField, Issue, Placement, Rule, Treatment
from wayline.catalog.traits import AttributeTrait, MomentTrait
from wayline.v1 import events_pb2, ingestion_pb2

MARK = "mark"
MARKED = "marked"
MARK_PLACEMENT = "bench.mark"
AUDIENCES = {
    "window_shoppers": Audience(rule="profile.product_views_7d >= 3 && profile.orders == 0"),
    "cart_abandoners": Audience(rule="profile.carts_24h > 0 && profile.orders_24h == 0"),
    "big_spenders": Audience(rule="profile.spend_365d > 500.0"),
    "red_lovers": Audience(rule="profile.favourite_colour == 'red'"),
    "lapsed": Audience(rule="profile.orders > 0 && profile.orders_90d == 0"),
}
_LEFT_OUT = ("carts", "cart_views_24h", "last_price")
"""Computed traits that neither the audiences nor anything else reads: twenty are left."""
_COLOURS = ("red", "blue", "white", "black", "green")
_CATEGORIES = ("running", "sneakers", "boots", "hiking", "sandals")
_BRANDS = ("Stride", "Fell & Sons", "Cobbler", "Nordvik", "Passo")
_SPREAD_SECONDS = 3_600


def catalog() -> Catalog:
    """The example's catalogue."""
    return load(example_path("shoe-shop"))


def segmented_catalog() -> Catalog:
    """The same with twenty computed traits and five audiences, whatever the example itself declares, and without the
    journey, which would add six traits: each event is judged by all audiences.
    """
    shop = catalog()
    traits = {name: trait for name, trait in shop.traits.items() if name not in _LEFT_OUT}
    return shop.model_copy(update={"traits": traits, "audiences": AUDIENCES, "lifecycle": None})


def computed_traits(catalog: Catalog) -> int:
    """How many traits are made of events, or of other traits; attributes are only read."""
    return sum(not isinstance(trait, AttributeTrait) for trait in catalog.traits.values())


def marked_catalog() -> Catalog:
    """The same, with one action more, which is chosen when the profile's mark is the request's mark.

    So a decision shows whether it has seen a certain event.
    """
    shop = catalog()
    action = Action(
        id=MARKED,
        eligibility=(Rule(rule=f"profile.{MARK} == context.{MARK}"),),
        treatments=(Treatment(id="mark", placements=(MARK_PLACEMENT,)),),
    )
    mark = MomentTrait(kind="last", event=("Marked",), property=MARK, type="integer", default=0)
    return shop.model_copy(
        update={
            "traits": {**shop.traits, MARK: mark},
            "context": {**shop.context, MARK: ContextField(type="integer", default=-1)},
            "placements": {**shop.placements, MARK_PLACEMENT: Placement(channel="web")},
            "issues": (*shop.issues, Issue.model_validate({"id": MARK, "groups": [{"id": MARK, "actions": [action]}]})),
        }
    )


class Visitors:
    """An endless stream of events of a fixed number of visitors. The same seed gives the same stream."""

    def __init__(self, *, visitors: int, seed: int, run: str) -> None:
        """`run` sets the message ids and visitors of this stream apart from those of any other."""
        self._visitors = visitors
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._run = run
        self._number = 0
        self._began = int(time.time()) - _SPREAD_SECONDS

    def visitor(self, number: int) -> str:
        """The anonymous id of a visitor, from 0."""
        return f"browser-{self._run}-{number:06d}"

    def call(self, size: int) -> bytes:
        """A `CollectRequest` with the next `size` events, encoded."""
        return ingestion_pb2.CollectRequest(events=[self.event() for _ in range(size)]).SerializeToString()

    def event(self) -> events_pb2.Event:
        """The next event: two in three look at a product, the others put it into the cart, list, or order."""
        chance, self._number = self._chance, self._number + 1
        event = events_pb2.Event(
            message_id=f"{self._run}-{self._number:08d}-4f1c9a7e2b",
            type=events_pb2.EVENT_TYPE_TRACK,
            anonymous_id=self.visitor(chance.randrange(self._visitors)),
            source="shop-web",
        )
        # In order, within the last hour.
        event.timestamp.seconds = self._began + min(_SPREAD_SECONDS, self._number // 50)
        event.timestamp.nanos = self._number % 50 * 20_000_000
        event.context.locale = "en-GB"
        event.context.channel = "web"
        if self._number <= self._visitors // 4:
            event.context.consent.category_preferences["personalisation"] = True
        draw = chance.random()
        fields = event.properties.fields
        if draw < 0.05:
            event.name = "Order Completed"
            fields["order_id"].string_value = f"order-{self._number}"
            fields["total"].number_value = round(chance.uniform(40, 300), 2)
            return event
        event.name = "Product Viewed" if draw < 0.7 else "Product Added" if draw < 0.85 else "Product List Viewed"
        fields["product_id"].string_value = f"shoe-{chance.randrange(400):04d}"
        fields["color"].string_value = chance.choice(_COLOURS)
        fields["category"].string_value = chance.choice(_CATEGORIES)
        fields["brand"].string_value = chance.choice(_BRANDS)
        fields["price"].number_value = float(chance.randrange(40, 250))
        return event


def mark_event(visitor: str, mark: int, message_id: str, *, allowed: bool = True) -> events_pb2.Event:
    """The event that a decision is asked about afterwards. It also allows personalisation, or withdraws that."""
    event = events_pb2.Event(
        message_id=message_id,
        type=events_pb2.EVENT_TYPE_TRACK,
        anonymous_id=visitor,
        name="Marked",
        source="bench",
    )
    event.timestamp.GetCurrentTime()
    event.properties.fields[MARK].number_value = mark
    event.context.consent.category_preferences["personalisation"] = allowed
    return event
