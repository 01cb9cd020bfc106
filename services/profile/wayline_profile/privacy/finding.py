"""Whom a stored message is about: the identity keys that it names, wherever in it.

Pure. A message that cannot be read names nobody: ingestion stores nothing that it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from wayline.identifiers import IdentityRules, usable_identifiers
from wayline.identity import identity_key
from wayline.v1 import audiences_pb2, decision_pb2, events_pb2, ingestion_pb2, profile_pb2
from wayline_profile.core.changes import TimelineRow
from wayline_profile.core.fold import timestamp_ms

_MENTIONED = ("email", "device_id", "anonymous_id")
"""Kinds whose values are so rare that text which is equal to one means the customer, wherever it stands."""
_LEAST_CHARACTERS = 8
Finder = Callable[[bytes, IdentityRules], set[bytes]]


def in_event(data: bytes, rules: IdentityRules) -> set[bytes]:
    """The customer of an event, and those whom it mentions."""
    try:
        return _of_event(events_pb2.Event.FromString(data), rules)
    except DecodeError:
        return set()


def filed(data: bytes, sequence: int, rules: IdentityRules) -> TimelineRow | None:
    """The line of a timeline that an event has; without what is in it. None: it has none."""
    try:
        event = events_pb2.Event.FromString(data)
    except DecodeError:
        return None
    pairs = usable_identifiers(event, rules)
    return (
        TimelineRow(identity_key(*pairs[0]), timestamp_ms(event), event.message_id, 0, sequence, b"") if pairs else None
    )


def in_dead_letter(data: bytes, rules: IdentityRules) -> set[bytes]:
    """The same for an event that was refused."""
    try:
        return _of_event(ingestion_pb2.RejectedEvent.FromString(data).event, rules)
    except DecodeError:
        return set()


def in_decisions(data: bytes, rules: IdentityRules) -> set[bytes]:  # noqa: ARG001 - as the others
    """The customers of a bundle of decision records."""
    try:
        bundle = decision_pb2.DecisionRecordBundle.FromString(data)
    except DecodeError:
        return set()
    return {key for record in bundle.records for key in of_record(record)}


def in_change(data: bytes, rules: IdentityRules) -> set[bytes]:  # noqa: ARG001 - as the others
    """The customer of a change of audience or stage."""
    try:
        change = audiences_pb2.Change.FromString(data)
    except DecodeError:
        return set()
    return {*change.identity_keys, *_ids(change.profile_id, change.successor_id)}


def of_record(record: decision_pb2.DecisionRecord) -> set[bytes]:
    """For whom a decision was made, by the request and by the view."""
    customer = record.request.customer
    return {
        identity_key(customer.kind, customer.value),
        *record.view.identity_keys,
        *_ids(record.view.profile_id),
    }


def of_profile(profile: profile_pb2.Profile) -> set[bytes]:
    """The customer, by every identity key under which something of her may be kept."""
    named = {identity_key(one.kind, one.value) for one in profile.identifiers}
    return {*named, *profile.strands, *_ids(profile.profile_id)}


def without(data: bytes, keys: Collection[bytes]) -> tuple[decision_pb2.DecisionRecordBundle, int]:
    """What is left of a bundle without the decisions for these customers, and how many those were."""
    bundle = decision_pb2.DecisionRecordBundle.FromString(data)
    kept = [record for record in bundle.records if of_record(record).isdisjoint(keys)]
    return decision_pb2.DecisionRecordBundle(records=kept), len(bundle.records) - len(kept)


def _of_event(event: events_pb2.Event, rules: IdentityRules) -> set[bytes]:
    keys = {identity_key(*pair) for pair in usable_identifiers(event, rules)}
    structs = (event.properties, event.traits, event.context.other)
    for text in (text for struct in structs for value in struct.fields.values() for text in _texts(value)):
        if "@" in text:
            keys.add(identity_key("email", text))
        if len(text) >= _LEAST_CHARACTERS:
            keys.update(identity_key(kind, text) for kind in _MENTIONED[1:])
    return keys


def _texts(value: struct_pb2.Value) -> Iterator[str]:
    match value.WhichOneof("kind"):
        case "string_value":
            yield value.string_value
        case "struct_value":
            for inner in value.struct_value.fields.values():
                yield from _texts(inner)
        case "list_value":
            for inner in value.list_value.values:
                yield from _texts(inner)


def _ids(*profile_ids: str) -> set[bytes]:
    """A profile's id is an identity key."""
    return {bytes.fromhex(one) for one in profile_ids if one}
