"""What a profile says: the values of the declared traits as of a time, and the view that decisions read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wayline.catalog.model import AttributeTrait, Catalog, TopTrait, Trait
from wayline.catalog.schema import WEIGHTS, Schema, build_schema, default_of
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.folders import AffinityFolder, Folder, Valued, typed


@dataclass(frozen=True, slots=True)
class Reading:
    """How profiles are read under one catalogue."""

    traits: Mapping[str, Trait]
    schema: Schema
    definitions: Definitions


def reading_of(catalog: Catalog) -> Reading:
    """Prepare a catalogue."""
    return Reading(catalog.traits, build_schema(catalog), definitions_of(catalog))


def values_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int]:
    """The values of all traits with evidence, and the time in ms from which one may differ (0: never)."""
    values: dict[str, Any] = {}
    until_ms = 0
    for name, trait in reading.traits.items():
        valued = _value_of(profile, name, trait, reading.definitions.folders, now_ms)
        if valued is None or valued.value is None:
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
    )


def _value_of(
    profile: profile_pb2.Profile, name: str, trait: Trait, folders: Mapping[str, Folder], now_ms: int
) -> Valued | None:
    if isinstance(trait, AttributeTrait):
        attribute = trait.attribute or name
        if attribute not in profile.attributes:
            return None
        return Valued(typed(profile.attributes[attribute].value, trait.type, default_of(trait)))
    if isinstance(trait, TopTrait):
        folder = folders.get(trait.of)
        if trait.of not in profile.states or not isinstance(folder, AffinityFolder):
            return None
        return folder.top(profile.states[trait.of], now_ms, trait.min_weight)
    if name not in profile.states:
        return None
    return folders[name].value(profile.states[name], now_ms)
