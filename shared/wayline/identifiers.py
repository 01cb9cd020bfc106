"""Which identifiers an event names, under the rules of the catalogue: where they are read, and what is blocked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf import struct_pb2

from wayline.catalog.contact import DECISION_EVENT
from wayline.identity import MAX_VALUE_CHARACTERS, normalise, rank_of
from wayline.v1 import events_pb2

MAX_PROFILE_IDENTIFIERS = 100
Pair = tuple[str, str]
"""Kind and normalised value."""

BLOCKED = frozenset(
    {
        *("anon", "anonymous", "deleted", "dummy", "email", "false", "guest", "id", "invalid", "n/a", "na", "nan"),
        *("nil", "no", "nobody", "none", "null", "redacted", "test", "tester", "true", "undefined", "unknown", "user"),
        *("user_id", "userid", "username", "xxx", "not available", "not set", "(not set)", "(none)", "[object object]"),
        *("example@example.com", "name@example.com", "noreply@example.com", "null@null.com", "test@example.com"),
        *("test@test.com", "user@domain.com", "user@example.com", "-1", "12345678", "123456789", "1234567890"),
    }
)
"""In lower case. What integrations send when they know nobody: it identifies nobody, whatever the kind. The same goes
for values of zeros and punctuation only."""
_NOTHING = frozenset("0-+_.:#*?/ ")
_LINKING = (events_pb2.EVENT_TYPE_IDENTIFY, events_pb2.EVENT_TYPE_ALIAS)
_WHOLE_NUMBER = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRules:
    """The rules of one kind of identifier."""

    paths: tuple[tuple[str, ...], ...] = ()
    """Where events name it besides, for instance ('traits', 'loyaltyCard')."""
    priority: int = 300
    """Links between identifiers of higher priority are honoured first."""
    most: int = 5
    """Of this kind in one profile."""
    owners: int = 5
    """With how many identifiers of one higher kind it may be linked before it is shared, and joins nobody."""
    blocked: frozenset[str] = frozenset()
    """Values in lower case that identify nobody, besides `BLOCKED`."""


DEFAULTS: Mapping[str, KindRules] = {
    "user_id": KindRules(priority=700, most=1),
    "email": KindRules(priority=600, most=5),
    "phone": KindRules(priority=500, most=5),
    "loyalty_card": KindRules(priority=400, most=5),
    "device_id": KindRules(priority=200, most=20),
    "anonymous_id": KindRules(priority=100, most=50),
}


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """All kinds that are known."""

    kinds: Mapping[str, KindRules] = field(default_factory=lambda: DEFAULTS)
    paths: tuple[tuple[str, tuple[str, ...]], ...] = field(init=False)
    """Kind and path, of every kind."""

    def __post_init__(self) -> None:
        """Collect the paths."""
        paths = tuple((kind, path) for kind, rules in self.kinds.items() for path in rules.paths)
        object.__setattr__(self, "paths", paths)

    def of(self, kind: str) -> KindRules:
        """The rules of a kind; those of a declared one for a kind that is declared no more."""
        return self.kinds.get(kind) or KindRules()


def usable_identifiers(event: events_pb2.Event, rules: IdentityRules) -> list[Pair]:
    """The identifiers that an event names, normalised, each once, foremost first; of one kind in the event's order.

    Without what is blocked, too long, or of a kind that is not known: an event of which nothing is left belongs to
    nobody, and should be refused at collection. A device is named by identify and alias events only: what was seen on
    it belongs to the visitor, and the device joins visitors.
    """
    pairs: list[Pair] = []
    for kind, value in _named(event, rules):
        pair = (kind, normalise(kind, value))
        if is_usable(pair, rules) and pair not in pairs:
            pairs.append(pair)
    if len(pairs) > 1:
        pairs.sort(key=_rank_of_pair)
    return pairs


def is_usable(pair: Pair, rules: IdentityRules) -> bool:
    """Whether a normalised identifier identifies anybody."""
    kind, value = pair
    if not 0 < len(value) <= MAX_VALUE_CHARACTERS or kind not in rules.kinds:
        return False
    lower = value.lower()
    return (
        lower not in BLOCKED
        and lower not in rules.kinds[kind].blocked
        and not (value[0] in _NOTHING and _NOTHING.issuperset(value))
    )


def _rank_of_pair(pair: Pair) -> tuple[int, str]:
    return rank_of(pair[0])


def links(event: events_pb2.Event) -> bool:
    """Whether the event says that the identifiers which it names belong together."""
    return event.type in _LINKING


def _named(event: events_pb2.Event, rules: IdentityRules) -> list[Pair]:
    if event.name == DECISION_EVENT and "customer" in event.properties.fields:
        # Whom the decision service decided for: by any kind of identifier, as the request named it.
        customer = event.properties.fields["customer"].struct_value.fields
        return [(customer["kind"].string_value, customer["value"].string_value)]
    named: list[Pair] = []
    kind_of_event = event.type
    if user_id := event.user_id:
        named.append(("user_id", user_id))
    if kind_of_event == events_pb2.EVENT_TYPE_IDENTIFY:
        named += [(kind, _text_at(event.traits, (kind,))) for kind in ("email", "phone")]
    if identifiers := event.identifiers:
        named += [(one.kind, one.value) for one in identifiers]
    if rules.paths:
        named += [(kind, _text_of(event, path)) for kind, path in rules.paths]
    if kind_of_event in _LINKING and event.context.HasField("other"):
        named.append(("device_id", _text_at(event.context.other, ("device", "id"))))
    if anonymous_id := event.anonymous_id:
        named.append(("anonymous_id", anonymous_id))
    if kind_of_event == events_pb2.EVENT_TYPE_ALIAS and event.previous_id:
        # The Segment spec does not say which kind the former id was, so both lead to the customer.
        named += [("user_id", event.previous_id), ("anonymous_id", event.previous_id)]
    return named


def _text_of(event: events_pb2.Event, path: tuple[str, ...]) -> str:
    match path[0]:
        case "traits":
            # A group's traits are the company's.
            return _text_at(event.traits, path[1:]) if event.type == events_pb2.EVENT_TYPE_IDENTIFY else ""
        case "properties":
            return _text_at(event.properties, path[1:])
        case _:
            return _text_at(event.context.other, path[1:])


def _text_at(struct: struct_pb2.Struct, path: tuple[str, ...]) -> str:
    """Text or a whole number at a path of names, else ''."""
    for name in path[:-1]:
        if name not in struct.fields:
            return ""
        struct = struct.fields[name].struct_value
    if path[-1] not in struct.fields:
        return ""
    value = struct.fields[path[-1]]
    if value.HasField("number_value"):
        number = value.number_value
        return str(int(number)) if number.is_integer() and abs(number) < _WHOLE_NUMBER else ""
    return value.string_value
