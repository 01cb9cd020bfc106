"""Traits as tests ask for them: declare, fold, read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.events import NOON_MS

from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.fold import fold
from wayline_profile.core.values import Reading, reading_of, values_of, with_defaults


def a_reading(**traits: Mapping[str, Any]) -> Reading:
    """How profiles are read under these traits."""
    return reading_of(Catalog.model_validate({"traits": traits}))


def folded(events: Iterable[events_pb2.Event], reading: Reading) -> profile_pb2.Profile:
    """The profile after some events."""
    profile = profile_pb2.Profile()
    for event in events:
        profile = fold(profile, event, reading.definitions)
    return profile


def values_after(
    events: Iterable[events_pb2.Event], now_ms: int = NOON_MS, **traits: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of all traits, with defaults, after some events."""
    reading = a_reading(**traits)
    return with_defaults(values_of(folded(events, reading), reading, now_ms)[0], reading)


def value_after(trait: Mapping[str, Any], events: Iterable[events_pb2.Event], now_ms: int = NOON_MS) -> Any:
    """The value of one trait after some events."""
    return values_after(events, now_ms, it=trait)["it"]


def expiry_after(trait: Mapping[str, Any], events: Iterable[events_pb2.Event], now_ms: int = NOON_MS) -> int:
    """From when on the trait's value may differ without an event; 0: never."""
    reading = a_reading(it=trait)
    return values_of(folded(events, reading), reading, now_ms)[1]


def state_of(profile: profile_pb2.Profile, reading: Reading, trait: str = "it") -> profile_pb2.TraitState:
    """What a profile keeps of a trait."""
    return profile.states[reading.definitions.keys[trait]]
