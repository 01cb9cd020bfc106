"""The suppression gate: nothing of whoever was erased is stored again, and nobody else is kept out for that.

A device may be used by several people. So an event of somebody else is stored, without the device of the one who was
erased; an event that is filed under an erased identifier, or names one that is a person's own, is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from google.protobuf import struct_pb2

from wayline.identifiers import IdentityRules, Pair, usable_identifiers
from wayline.identity import identity_key
from wayline.v1.events_pb2 import Event

DEVICES = ("device_id", "anonymous_id")
"""Kinds of identifier that several people may share. All others, declared ones too, are a person's own."""
_DEVICE_PATH = ("context", "device", "id")


class Suppressed(Protocol):
    """The identity keys of those whose events are refused."""

    def __len__(self) -> int:
        """How many there are."""

    def holds(self, keys: Collection[bytes]) -> bool:
        """Whether one of `keys` is among them."""


def names_suppressed(event: Event, rules: IdentityRules, suppressed: Suppressed) -> bool:
    """Whether an event names any suppressed identifier: it is not kept as a dead letter then."""
    return suppressed.holds([identity_key(*pair) for pair in _pairs(event, rules)])


def bars(event: Event, rules: IdentityRules, suppressed: Suppressed) -> bool:
    """Whether an event is refused, under the catalogue's `rules`."""
    pairs = usable_identifiers(event, rules)
    decisive = [pair for place, pair in enumerate(pairs) if place == 0 or pair[0] not in DEVICES]
    if event.previous_id:  # without it, nothing of an alias is left
        decisive.append(("anonymous_id", event.previous_id))
    return suppressed.holds([identity_key(*pair) for pair in decisive])


def without_devices(event: Event, rules: IdentityRules, suppressed: Suppressed) -> bool:
    """Take suppressed devices out of an event that passes, in place. Whether there were any."""

    def is_out(kind: str, value: str) -> bool:
        return bool(value) and suppressed.holds([identity_key(kind, value)])

    changed = is_out("anonymous_id", event.anonymous_id)
    if changed:
        event.ClearField("anonymous_id")
    kept = [one for one in event.identifiers if one.kind not in DEVICES or not is_out(one.kind, one.value)]
    if len(kept) < len(event.identifiers):
        del event.identifiers[:]
        event.identifiers.extend(kept)
        changed = True
    for kind, holder, name in _devices(event, rules):
        if is_out(kind, _text(holder.fields[name])):
            del holder.fields[name]
            changed = True
    return changed


def _pairs(event: Event, rules: IdentityRules) -> list[Pair]:
    """All that an event names, and what it holds of devices besides."""
    held = [(kind, _text(holder.fields[name])) for kind, holder, name in _devices(event, rules)]
    return usable_identifiers(event, rules) + held


def _devices(event: Event, rules: IdentityRules) -> Iterator[tuple[str, struct_pb2.Struct, str]]:
    """What an event of any type holds of devices: the kind, what holds it, and its name there."""
    for kind, path in (("device_id", _DEVICE_PATH), *rules.paths):
        if kind in DEVICES and (holder := _found(event, path)) is not None:
            yield kind, holder, path[-1]


def _found(event: Event, path: tuple[str, ...]) -> struct_pb2.Struct | None:
    """What holds the last name of a path; None: the event has no such place."""
    match path[0]:
        case "traits":
            if not event.HasField("traits"):
                return None
            struct = event.traits
        case "properties":
            if not event.HasField("properties"):
                return None
            struct = event.properties
        case _:
            if not event.HasField("context") or not event.context.HasField("other"):
                return None
            struct = event.context.other
    for name in path[1:-1]:
        if name not in struct.fields or not struct.fields[name].HasField("struct_value"):
            return None
        struct = struct.fields[name].struct_value
    return struct if path[-1] in struct.fields else None


def _text(value: struct_pb2.Value) -> str:
    """As identifiers are read: text, or a whole number."""
    if value.HasField("number_value") and value.number_value.is_integer():
        return str(int(value.number_value))
    return value.string_value
