"""What a profile says: the values of the declared traits as of a time, and the view that decisions read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wayline.catalog.fields import Default
from wayline.catalog.model import AttributeTrait, Catalog, TopTrait, Trait
from wayline.catalog.schema import WEIGHTS, Schema, build_schema, default_of
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.folders import AffinityFolder, Valued, typed


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


@dataclass(frozen=True, slots=True)
class Reading:
    """How profiles are read under one catalogue. Sorted by kind beforehand: a view is made for every change."""

    traits: Mapping[str, Trait]
    schema: Schema
    definitions: Definitions
    attributes: tuple[AttributeReader, ...]
    tops: tuple[TopReader, ...]


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
    return Reading(catalog.traits, build_schema(catalog), definitions, attributes, tops)


def values_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int]:
    """The values of all traits with evidence, and the time in ms from which one may differ (0: never)."""
    values: dict[str, Any] = {}
    until_ms = 0
    for name, valued in _evidence(profile, reading, now_ms):
        if valued.value is None:
            continue
        values[name] = valued.value
        if valued.until_ms and (not until_ms or valued.until_ms < until_ms):
            until_ms = valued.until_ms
    return values, until_ms


def with_defaults(values: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The values of all declared traits: those without evidence have their default."""
    empty = reading.schema.traits()
    return {
        name: values.get(name, {} if reading.schema.trait_types[name] == WEIGHTS else getattr(empty, name))
        for name in reading.traits
    }


def view_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int, version: int) -> profile_pb2.CustomerView:
    """The compact view of a customer that the decision service keeps."""
    values, until_ms = values_of(profile, reading, now_ms)
    return profile_pb2.CustomerView(
        profile_id=profile.profile_id,
        identity_keys=[identity_key(one.kind, one.value) for one in profile.identifiers],
        version=version,
        traits=reading.schema.traits(**values).SerializeToString(deterministic=True),
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
