"""What a profile says: the values of the declared traits as of a time, and the view that decisions read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from google.protobuf.message import Message

from wayline.catalog.fields import Default
from wayline.catalog.model import Catalog
from wayline.catalog.schema import WEIGHTS, Schema, build_schema, default_of
from wayline.catalog.trait_rules import TraitRules
from wayline.catalog.traits import AttributeTrait, RatioTrait, RuleTrait, TopTrait, Trait
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.affinities import AffinityFolder
from wayline_profile.core.evidence import Valued
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.properties import typed


class AttributeReader(NamedTuple):
    """One attribute trait."""

    name: str
    attribute: str
    type: str
    default: Default | None


class TopReader(NamedTuple):
    """One top trait."""

    name: str
    of: str
    folder: AffinityFolder
    min_weight: float


class RatioReader(NamedTuple):
    """One ratio trait."""

    name: str
    of: str
    per: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How profiles are read under one catalogue. Sorted by kind beforehand: a view is made for every change."""

    traits: Mapping[str, Trait]
    schema: Schema
    definitions: Definitions
    attributes: tuple[AttributeReader, ...]
    tops: tuple[TopReader, ...]
    ratios: tuple[RatioReader, ...]
    rules: TraitRules | None
    """None when no trait is a rule."""


def reading_of(catalog: Catalog) -> Reading:
    """Prepare a catalogue."""
    definitions = definitions_of(catalog)
    attributes = tuple(
        AttributeReader(name, trait.attribute or name, trait.type, default_of(trait))
        for name, trait in catalog.traits.items()
        if isinstance(trait, AttributeTrait)
    )
    tops = tuple(
        TopReader(name, trait.of, folder, trait.min_weight)
        for name, trait in catalog.traits.items()
        if isinstance(trait, TopTrait) and isinstance(folder := definitions.folders.get(trait.of), AffinityFolder)
    )
    ratios = tuple(
        RatioReader(name, trait.of, trait.per)
        for name, trait in catalog.traits.items()
        if isinstance(trait, RatioTrait)
    )
    schema = build_schema(catalog)
    has_rules = any(isinstance(trait, RuleTrait) for trait in catalog.traits.values())
    rules = TraitRules(catalog.traits, schema) if has_rules else None
    return Reading(catalog.traits, schema, definitions, attributes, tops, ratios, rules)


def values_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int]:
    """The values of all traits that are not at their default for want of evidence, and the time in ms from which one
    may differ (0: never).
    """
    values, until_ms = _stated(profile, reading, now_ms)
    if reading.rules:
        values |= reading.rules.fill(reading.schema.traits(**values))
    return values, until_ms


def _stated(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int]:
    """`values_of`, without the rules."""
    values: dict[str, Any] = {}
    until_ms = 0
    for name, valued in _evidence(profile, reading, now_ms):
        if valued.value is None:
            continue
        values[name] = valued.value
        if valued.until_ms and (not until_ms or valued.until_ms < until_ms):
            until_ms = valued.until_ms
    for ratio in reading.ratios:
        # Both are totals, which are 0 without evidence; and they say themselves how long they are good for.
        divisor = float(values.get(ratio.per, 0))
        quotient = values.get(ratio.of, 0) / divisor if divisor else None
        if quotient is not None and isfinite(quotient):
            values[ratio.name] = quotient
    return values, until_ms


def _message_of(values: Mapping[str, Any], reading: Reading) -> Message:
    message = reading.schema.traits(**values)
    if reading.rules:
        reading.rules.fill(message)
    return message


def with_defaults(values: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The values of all declared traits: those without evidence have their default."""
    empty = reading.schema.traits()
    return {
        name: values.get(name, {} if reading.schema.trait_types[name] == WEIGHTS else getattr(empty, name))
        for name in reading.traits
    }


def view_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int, version: int) -> profile_pb2.CustomerView:
    """The compact view of a customer that the decision service keeps."""
    values, until_ms = _stated(profile, reading, now_ms)
    return profile_pb2.CustomerView(
        profile_id=profile.profile_id,
        identity_keys=[identity_key(one.kind, one.value) for one in profile.identifiers],
        version=version,
        traits=_message_of(values, reading).SerializeToString(deterministic=True),
        consents={purpose: said.granted for purpose, said in profile.consents.items()},
        valid_until_ms=until_ms,
        contacts=[state.contact for state in profile.contacts],
        timezone=profile.timezone.name,
        lot=profile.origin.identity_key,
    )


def _evidence(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> Iterator[tuple[str, Valued]]:
    attributes, states = profile.attributes, profile.states
    for one in reading.attributes:
        if one.attribute in attributes:
            yield one.name, Valued(typed(attributes[one.attribute].value, one.type, one.default))
    for name, folder in reading.definitions.folders.items():
        if name in states:
            yield name, folder.value(states[name], now_ms)
    for top in reading.tops:
        if top.of in states:
            yield top.name, top.folder.top(states[top.of], now_ms, top.min_weight)
