"""A story: many customers who browse, sign in on each other's devices, change accounts, and say yes and no.

Each event carries its own time, and what two events of a story say never depends on which is sent first. The same seed
gives the same story.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wayline.identity import identity_key
from wayline.v1 import events_pb2

Event = events_pb2.Event

_EVENTS_PER_PERSON = 25
_SECONDS = 30 * 86_400
_COLOURS = ("red", "blue", "white", "black", "green")
_CATEGORIES = ("running", "sneakers", "boots", "hiking", "sandals")
_CITIES = ("Rome", "Lima", "Oslo", "Kyoto")
_PURPOSES = ("personalisation", "marketing_email", "analytics")
_ZONES = ("Europe/Paris", "America/Lima", "Asia/Tokyo")
_REGIONS = ("FR", "US-CA", "PE", "JP")
_KIOSKS = 3
_BLOCKED = ("anonymous", "0000", "null")


@dataclass(frozen=True, slots=True)
class Person:
    """One customer: number, and how many browsers and accounts."""

    number: int
    browsers: int
    accounts: int

    def browser(self, chance: random.Random) -> str:
        """One of the person's own."""
        return f"browser-{self.number}-{chance.randrange(self.browsers)}"

    def account(self, chance: random.Random) -> str:
        """One of the person's own, mostly the first."""
        return f"user-{self.number}-{chance.randrange(self.accounts) if chance.random() < 0.3 else 0}"

    @property
    def email(self) -> str:
        """In the mixed case that people type."""
        return f"Person.{self.number}@Example.org"


def story(events: int, seed: int, began_seconds: int) -> list[bytes]:
    """So many different events, encoded, by ascending number. They lie in the 30 days from `began_seconds` on."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    count = max(10, events // _EVENTS_PER_PERSON)
    people = [Person(number, chance.choice((1, 1, 2, 3)), chance.choice((1, 1, 1, 2))) for number in range(count)]
    return [_event(number, people, chance, began_seconds).SerializeToString() for number in range(events)]


def told(events: int, seed: int, repeated: float) -> list[int]:
    """An order in which to send a story: shuffled throughout; a share of the events comes again, some time later."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    first = [(chance.random(), number) for number in range(events)]
    again = [(chance.uniform(at, 1), number) for at, number in first if chance.random() < repeated]
    return [number for _, number in sorted(first + again)]


def _event(number: int, people: Sequence[Person], chance: random.Random, began_seconds: int) -> Event:
    # Some customers come far more often than others.
    person = people[min(int(chance.paretovariate(0.8)) - 1, len(people) - 1) if chance.random() < 0.2 else
                    chance.randrange(len(people))]  # fmt: skip
    event = Event(message_id=f"story-{number:07d}", source="shop-web")
    # Whole seconds, and at times whole days: two events of one customer often have the same time.
    seconds = began_seconds + chance.randrange(_SECONDS)
    event.timestamp.seconds = seconds - seconds % 86_400 if chance.random() < 0.05 else seconds
    scenes, weights = zip(*_SCENES, strict=True)
    chance.choices(scenes, weights)[0](event, person, people, chance)
    if event.type not in CONTROL:
        _surroundings(event, chance)
    return event


def _surroundings(event: Event, chance: random.Random) -> None:
    event.context.channel = "web"
    if chance.random() < 0.1:
        event.context.timezone = chance.choice(_ZONES)
    if chance.random() < 0.1:
        event.context.region = chance.choice(_REGIONS)
    if chance.random() < 0.1:
        consent = event.context.consent
        consent.category_preferences[chance.choice(_PURPOSES)] = chance.random() < 0.7
        consent.source, consent.text_version = chance.choice(("banner", "shop")), chance.choice(("1", "2"))
        if chance.random() < 0.2:
            consent.global_privacy_control = chance.random() < 0.5
            consent.do_not_sell_or_share = chance.random() < 0.5


def _browse(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_TRACK
    event.name = chance.choice(("Product Viewed", "Product Viewed", "Product Added", "Product List Viewed"))
    event.anonymous_id = person.browser(chance)
    fields = event.properties.fields
    fields["color"].string_value = chance.choice(_COLOURS)
    fields["category"].string_value = chance.choice(_CATEGORIES)
    fields["brand"].string_value = f"brand-{chance.randrange(30)}"
    fields["price"].number_value = round(chance.uniform(20, 250), 2)


def _order(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_TRACK
    event.name = "Order Completed"
    event.user_id = person.account(chance)
    event.properties.fields["total"].number_value = round(chance.uniform(5, 300), 2)


def _outcome(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_TRACK
    event.name = chance.choice(("Impression", "Click", "Dismissal"))
    event.user_id = person.account(chance)
    event.properties.fields["action"].string_value = f"offer-{chance.randrange(5)}"
    event.properties.fields["decision_id"].string_value = f"decision-{chance.randrange(1_000)}"


def _page(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = chance.choice((events_pb2.EVENT_TYPE_PAGE, events_pb2.EVENT_TYPE_SCREEN))
    event.anonymous_id = person.browser(chance)
    event.properties.fields["utm_campaign"].string_value = f"campaign-{chance.randrange(9)}"


def _sign_in(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:
    event.type = events_pb2.EVENT_TYPE_IDENTIFY
    event.user_id, event.anonymous_id = person.account(chance), person.browser(chance)
    draw = chance.random()
    if draw < 0.05:  # at a friend's
        event.anonymous_id = people[(person.number + 1) % len(people)].browser(chance)
    elif draw < 0.2:  # in the shop: a device that everybody uses
        event.anonymous_id = f"kiosk-{chance.randrange(_KIOSKS)}"
    fields = event.traits.fields
    fields["city"].string_value = chance.choice(_CITIES)
    fields["shoe_size"].number_value = chance.randrange(35, 48)
    if chance.random() < 0.3:
        fields["email"].string_value = person.email
    if chance.random() < 0.2:
        fields["phone"].string_value = f"+33 6 {person.number:08d}"
    if chance.random() < 0.2:
        event.identifiers.add(kind="loyalty_card", value=f"card-{person.number}")


def _account_changed(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_ALIAS
    event.user_id, event.previous_id = f"user-{person.number}-0", f"user-{person.number}-{person.accounts - 1}"


def _nobody(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_IDENTIFY
    event.user_id, event.anonymous_id = chance.choice(_BLOCKED), person.browser(chance)
    event.traits.fields["city"].string_value = chance.choice(_CITIES)


def _ruled(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    """Staff take a browser away from an account, or let events decide again."""
    event.type = events_pb2.EVENT_TYPE_RULING
    event.ruling.one = identity_key("user_id", person.account(chance))
    event.ruling.other = identity_key("anonymous_id", person.browser(chance))
    event.ruling.apart = chance.random() < 0.7


def _restricted(event: Event, person: Person, people: Sequence[Person], chance: random.Random) -> None:  # noqa: ARG001
    event.type = events_pb2.EVENT_TYPE_RESTRICTION
    event.restriction.identity_key = identity_key("user_id", person.account(chance))
    event.restriction.restricted = chance.random() < 0.5


CONTROL = (events_pb2.EVENT_TYPE_RULING, events_pb2.EVENT_TYPE_RESTRICTION)
"""Types of events that the profile service writes to the stream itself."""
_SCENES: tuple[tuple[Callable[[Event, Person, Sequence[Person], random.Random], None], float], ...] = (
    (_browse, 60),
    (_order, 10),
    (_outcome, 4),
    (_page, 8),
    (_sign_in, 14),
    (_account_changed, 2),
    (_nobody, 2),
    (_ruled, 0.5),
    (_restricted, 0.3),
)
