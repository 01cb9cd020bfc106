"""The rules of `events.proto`, as one pure function. It says which field is wrong and what was expected.

It reads the protobuf message itself: a translation into own types would cost more than all the checks, and this is
the hot path of collection (6 µs for an event with eight properties).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from wayline.catalog.contact import DECISION_EVENT
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import Rejection
from wayline_ingestion.core.context_rules import MAX_SHORT_CHARACTERS, check_context
from wayline_ingestion.core.refusal import Refused, refuse, refuse_long
from wayline_ingestion.core.value_rules import MAX_STRING_CHARACTERS, check_struct

MAX_EVENT_BYTES = 64 << 10
MAX_ID_CHARACTERS = 256
MAX_NAME_CHARACTERS = 128
MAX_KEYS = 200
MAX_IDENTIFIERS = 20
EARLIEST_SECONDS = 946_684_800  # 2000-01-01T00:00:00Z
AHEAD_SECONDS = 86_400
_YEAR_1_SECONDS, _YEAR_9999_SECONDS = -62_135_596_800, 253_402_300_799

_MAX_SHOWN_PATH = 256
_MESSAGE_ID = re.compile(r"[!-~]{1,128}")  # it travels in a header of NATS, which trims blanks
_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTROL = {
    events_pb2.EVENT_TYPE_RULING: "ruling",
    events_pb2.EVENT_TYPE_ERASURE: "erasure",
    events_pb2.EVENT_TYPE_RESTRICTION: "restriction",
}
"""What the profile service alone writes, and the field that goes with it."""
_TYPES = frozenset(events_pb2.EventType.values()) - {events_pb2.EVENT_TYPE_UNSPECIFIED} - set(_CONTROL)


def validate(
    event: Event, field: str, now: float, *, encoded_bytes: int, max_bytes: int = MAX_EVENT_BYTES
) -> Rejection | None:
    """Whether an event may enter the stream.

    Args:
        event: as it came.
        field: how the caller finds it, for instance `events[3]`.
        now: seconds since 1970.
        encoded_bytes: the length of the event as it came.
        max_bytes: the limit for it.

    Returns:
        None for a good event, else the first rule that it breaks.
    """
    try:
        if encoded_bytes > max_bytes:
            refuse("too_large", "", f"expected at most {max_bytes} bytes, got {encoded_bytes}")
        _check_names(event)
        _check_times(event, now)
        small = encoded_bytes <= MAX_STRING_CHARACTERS
        if event.HasField("properties"):
            check_struct(event.properties, "properties", MAX_KEYS, small=small)
        if event.HasField("traits"):
            check_struct(event.traits, "traits", MAX_KEYS, small=small)
        if event.HasField("context"):
            check_context(event.context)
    except Refused as refused:
        reason, path, expected = refused.rejection
        where = f"{field}.{path}" if path else field
        return Rejection(reason=reason, field=where[:_MAX_SHOWN_PATH], expected=expected)
    return None


def _check_names(event: Event) -> None:
    message_id, kind, name = event.message_id, event.type, event.name
    if not message_id:
        refuse("missing", "message_id", "expected your own id for this event, 1 to 128 printable ASCII characters")
    if not _MESSAGE_ID.fullmatch(message_id):
        if len(message_id) > MAX_NAME_CHARACTERS:
            refuse_long("message_id", MAX_NAME_CHARACTERS)
        refuse("bad_characters", "message_id", "expected printable ASCII characters, and no blank")
    if kind not in _TYPES:
        if kind in _CONTROL:
            refuse("reserved", "type", "expected an event of a customer; staff's orders go to the profile service")
        unset = kind == events_pb2.EVENT_TYPE_UNSPECIFIED
        known = "expected one of identify, track, page, screen, group, alias"
        refuse("missing" if unset else "unknown_type", "type", known if unset else f"{known}; got {kind}")
    user_id, anonymous_id = event.user_id, event.anonymous_id
    if not user_id and not anonymous_id:
        refuse("missing", "user_id", "expected a user_id or an anonymous_id")
    if user_id:
        _check_id(user_id, "user_id")
    if anonymous_id:
        _check_id(anonymous_id, "anonymous_id")
    if event.previous_id:
        _check_id(event.previous_id, "previous_id")
    if event.group_id:
        _check_id(event.group_id, "group_id")
    if len(name) > MAX_NAME_CHARACTERS:
        refuse_long("name", MAX_NAME_CHARACTERS)
    if name == DECISION_EVENT:  # of any type: whom it is about is read from its properties
        refuse("reserved", "name", f"expected another name; '{DECISION_EVENT}' is the decision service's own")
    if kind == events_pb2.EVENT_TYPE_TRACK and not name:
        refuse("missing", "name", "expected the name of what the customer did; a track event needs one")
    if kind == events_pb2.EVENT_TYPE_ALIAS and not event.previous_id:
        refuse("missing", "previous_id", "expected the id that was used before; an alias event needs one")
    if kind == events_pb2.EVENT_TYPE_GROUP and not event.group_id:
        refuse("missing", "group_id", "expected the id of the group; a group event needs one")
    if len(event.source) > MAX_SHORT_CHARACTERS:
        refuse_long("source", MAX_SHORT_CHARACTERS)
    for field in _CONTROL.values():
        if event.HasField(field):
            refuse("reserved", field, "expected nothing; staff's orders go to the profile service")
    if event.identifiers:
        _check_identifiers(event.identifiers)


def _check_identifiers(identifiers: Sequence[events_pb2.Identifier]) -> None:
    if len(identifiers) > MAX_IDENTIFIERS:
        refuse("too_many", "identifiers", f"expected at most {MAX_IDENTIFIERS}, got {len(identifiers)}")
    for index, identifier in enumerate(identifiers):
        path = f"identifiers[{index}]"
        if not identifier.kind:
            refuse("missing", f"{path}.kind", "expected a kind, such as 'email'")
        if not _KIND.fullmatch(identifier.kind):
            expected = "expected at most 64 lower-case letters, digits and _, starting with a letter"
            refuse("bad_characters", f"{path}.kind", expected)
        if not identifier.value:
            refuse("missing", f"{path}.value", "expected the identifier itself")
        _check_id(identifier.value, f"{path}.value")


def _check_id(value: str, path: str) -> None:
    if len(value) > MAX_ID_CHARACTERS:
        refuse_long(path, MAX_ID_CHARACTERS)
    if value.isspace():
        refuse("missing", path, "expected an id, got blanks only")


def _check_times(event: Event, now: float) -> None:
    if not event.HasField("sent_at"):
        if event.HasField("timestamp"):
            _check_moment(event.timestamp, "timestamp", EARLIEST_SECONDS, now + AHEAD_SECONDS)
        return
    _check_moment(event.sent_at, "sent_at", _YEAR_1_SECONDS, _YEAR_9999_SECONDS)
    if event.HasField("timestamp"):
        # By the client's clock, which may be years out. What counts is the distance: see `clock`.
        _check_moment(event.timestamp, "timestamp", _YEAR_1_SECONDS, _YEAR_9999_SECONDS)
        ago = event.sent_at.seconds - event.timestamp.seconds
        if now - ago < EARLIEST_SECONDS:
            expected = f"expected a time from the year 2000; it was sent {ago:,} s later, by the same clock"
            refuse("out_of_range", "timestamp", expected)


def _check_moment(moment: Timestamp, path: str, earliest: float, latest: float) -> None:
    if not earliest <= moment.seconds <= latest:
        said = "in the years 1 to 9999" if earliest == _YEAR_1_SECONDS else "from the year 2000 to one day from now"
        refuse("out_of_range", path, f"expected a time {said}")
    if not 0 <= moment.nanos < 1_000_000_000:
        refuse("out_of_range", f"{path}.nanos", "expected 0 to 999,999,999")
