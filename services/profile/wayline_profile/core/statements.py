"""What events state of a customer: attributes, consent, privacy signals, time zone, region, and who came first.

Of two statements the later counts, whatever the order in which they are read; where a number is limited, the smallest
names stay. So what is folded apart and merged is what would have been folded at once.
"""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from wayline.identifiers import IdentityRules, usable_identifiers
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.limits import keep_smallest

MAX_ATTRIBUTES = 200
MAX_CONSENTS = 50

Event = events_pb2.Event
Profile = profile_pb2.Profile
_Dated = profile_pb2.Attribute | profile_pb2.TimeZoneState | profile_pb2.RegionState | profile_pb2.Origin
_SIGNALS = ("global_privacy_control", "do_not_sell_or_share")
_STATEMENTS = (*_SIGNALS, "restricted")


def fold_statements(profile: Profile, event: Event, at_ms: int, rules: IdentityRules) -> None:
    """Take up what an event of a customer states, in place."""
    _fold_origin(profile, event, at_ms, rules)
    context = event.context
    if context.HasField("consent"):
        _fold_consent(profile, event, at_ms)
    if context.timezone and context.timezone in _zones():
        zone = profile_pb2.TimeZoneState(name=context.timezone, timestamp_ms=at_ms, message_id=event.message_id)
        _keep_later_one(profile, "timezone", zone)
    if context.region:
        region = profile_pb2.RegionState(code=context.region, timestamp_ms=at_ms, message_id=event.message_id)
        _keep_later_one(profile, "region", region)
    if event.type == events_pb2.EVENT_TYPE_IDENTIFY:
        for name, value in event.traits.fields.items():
            stated = profile_pb2.Attribute(value=value, timestamp_ms=at_ms, message_id=event.message_id)
            _keep_later(profile, name, stated)


def fold_restriction(profile: Profile, event: Event, at_ms: int) -> None:
    """Take up whether the customer's data may be used. It is staff's word, and no sign of life of the customer."""
    _keep_statement(profile, "restricted", event.restriction.restricted, at_ms, event.message_id)


def merge_statements(profile: Profile, other: Profile) -> None:
    """Take up what was stated elsewhere, in place."""
    for name, theirs in other.attributes.items():
        _keep_later(profile, name, theirs)
    for purpose, said in other.consents.items():
        _keep_last_word(profile, purpose, said)
    for name in _STATEMENTS:
        if other.HasField(name):
            stated: profile_pb2.Statement = getattr(other, name)
            _keep_statement(profile, name, stated.holds, stated.timestamp_ms, stated.message_id)
    for name in ("timezone", "region"):
        if other.HasField(name):
            _keep_later_one(profile, name, getattr(other, name))
    if other.HasField("origin"):
        _keep_earlier_origin(profile, other.origin)


def _fold_origin(profile: Profile, event: Event, at_ms: int, rules: IdentityRules) -> None:
    # Nearly every event is later than the first, and costs this comparison only.
    if profile.HasField("origin"):
        held = profile.origin
        if at_ms > held.timestamp_ms or (at_ms == held.timestamp_ms and event.message_id >= held.message_id):
            return
    pairs = usable_identifiers(event, rules)
    if pairs:
        key = identity_key(*pairs[0])
        origin = profile_pb2.Origin(timestamp_ms=at_ms, message_id=event.message_id, identity_key=key)
        _keep_earlier_origin(profile, origin)


def _keep_earlier_origin(profile: Profile, origin: profile_pb2.Origin) -> None:
    if not profile.HasField("origin") or _is_later(profile.origin, origin):
        profile.origin.CopyFrom(origin)


@cache
def _zones() -> frozenset[str]:
    """The IANA names. 'localtime' would be another place on each machine, and 'Factory' is none."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _fold_consent(profile: Profile, event: Event, at_ms: int) -> None:
    consent = event.context.consent
    for purpose, granted in consent.category_preferences.items():
        said = profile_pb2.ConsentState(
            granted=granted,
            timestamp_ms=at_ms,
            message_id=event.message_id,
            source=consent.source,
            text_version=consent.text_version,
            legal_basis=consent.legal_bases.get(purpose, ""),
        )
        _keep_last_word(profile, purpose, said)
    for name in _SIGNALS:
        if consent.HasField(name):
            _keep_statement(profile, name, getattr(consent, name), at_ms, event.message_id)


def _keep_last_word(profile: Profile, purpose: str, said: profile_pb2.ConsentState) -> None:
    if purpose not in profile.consents:
        profile.consents[purpose].CopyFrom(said)
        keep_smallest(profile.consents, MAX_CONSENTS)
        return
    held = profile.consents[purpose]
    # Of two words of the same time the stricter wins: 'no' sorts after 'yes'.
    if (said.timestamp_ms, not said.granted, said.message_id) > (held.timestamp_ms, not held.granted, held.message_id):
        held.CopyFrom(said)


def _keep_statement(profile: Profile, name: str, holds: bool, at_ms: int, message_id: str) -> None:
    if profile.HasField(name):
        held: profile_pb2.Statement = getattr(profile, name)
        # Of two words of the same time the stricter wins: 'it holds' sorts after 'it does not'.
        if (at_ms, holds, message_id) <= (held.timestamp_ms, held.holds, held.message_id):
            return
    getattr(profile, name).CopyFrom(profile_pb2.Statement(holds=holds, timestamp_ms=at_ms, message_id=message_id))


def _keep_later(profile: Profile, name: str, stated: profile_pb2.Attribute) -> None:
    if name not in profile.attributes:
        profile.attributes[name].CopyFrom(stated)
        keep_smallest(profile.attributes, MAX_ATTRIBUTES)
    elif _is_later(stated, profile.attributes[name]):
        profile.attributes[name].CopyFrom(stated)


def _keep_later_one(profile: Profile, name: str, stated: profile_pb2.TimeZoneState | profile_pb2.RegionState) -> None:
    if not profile.HasField(name) or _is_later(stated, getattr(profile, name)):
        getattr(profile, name).CopyFrom(stated)


def _is_later(one: _Dated, other: _Dated) -> bool:
    return (one.timestamp_ms, one.message_id) > (other.timestamp_ms, other.message_id)
