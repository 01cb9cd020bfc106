"""What a profile says: the values of the declared traits as of a time, and the view that decisions read."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from wayline.catalog.consent import Said
from wayline.catalog.fields import Default
from wayline.catalog.lifecycle import STAGE
from wayline.catalog.model import Catalog
from wayline.catalog.schema import WEIGHTS, Schema, build_schema, default_of
from wayline.catalog.trait_rules import TraitRules, read_by
from wayline.catalog.traits import AttributeTrait, RatioTrait, RuleTrait, TopTrait, Trait
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.affinities import AffinityFolder
from wayline_profile.core.evidence import Folder
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.properties import typed
from wayline_profile.core.remembered import RememberedRules

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class AttributeReader:
    """One attribute trait."""

    name: str
    attribute: str
    type: str
    default: Default | None


@dataclass(frozen=True, slots=True)
class EvidenceReader:
    """One trait that is made of events, but for affinities."""

    name: str
    key: str
    """Of its state."""
    folder: Folder
    judged: bool
    """Whether audiences or the stage read it."""


@dataclass(frozen=True, slots=True)
class TopReader:
    """One top trait."""

    name: str
    min_weight: float
    judged: bool


@dataclass(frozen=True, slots=True)
class AffinityReader:
    """One affinity, with the top traits of it: its weights are worked out once for all."""

    name: str
    key: str
    folder: AffinityFolder
    judged: bool
    tops: tuple[TopReader, ...]


@dataclass(frozen=True, slots=True)
class RatioReader:
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
    evidence: tuple[EvidenceReader, ...]
    affinities: tuple[AffinityReader, ...]
    ratios: tuple[RatioReader, ...]
    rules: TraitRules | None
    """None when no trait is a rule."""
    remembered: RememberedRules | None
    """The same, and what they gave lately."""
    catalog: Catalog
    audiences: tuple[str, ...]
    """The traits that are audiences."""
    gated: tuple[tuple[str, str], ...]
    """Audiences to which only who allows a purpose belongs, with that purpose."""
    staged: bool
    """Whether there is a trait for the journey stage."""
    judged_by: frozenset[str]
    """The traits that audiences and the stage are made of."""


class Evaluated(NamedTuple):
    """What a profile says as of a time: the message of the traits, with its rules filled in."""

    traits: Any
    given: Mapping[str, Any]
    """What its rules gave, but for those that gave their default."""
    until_ms: int
    """From when on a value may differ without an event; 0: never."""
    due_ms: int
    """The same of what audiences and the stage are made of."""


def reading_of(catalog: Catalog) -> Reading:
    """Prepare a catalogue."""
    definitions = definitions_of(catalog)
    traits = catalog.effective_traits()
    attributes = tuple(
        AttributeReader(name, trait.attribute or name, trait.type, default_of(trait))
        for name, trait in traits.items()
        if isinstance(trait, AttributeTrait)
    )
    judged_by = read_by(traits, [*catalog.audiences, *([STAGE] if catalog.lifecycle else [])])
    ratios = tuple(
        RatioReader(name, trait.of, trait.per) for name, trait in traits.items() if isinstance(trait, RatioTrait)
    )
    schema = build_schema(catalog)
    has_rules = any(isinstance(trait, RuleTrait) for trait in traits.values())
    rules = TraitRules(traits, schema) if has_rules else None
    return Reading(
        traits=traits,
        schema=schema,
        definitions=definitions,
        attributes=attributes,
        evidence=tuple(_evidence_readers(definitions, judged_by)),
        affinities=tuple(_affinity_readers(traits, definitions, judged_by)),
        ratios=ratios,
        rules=rules,
        remembered=RememberedRules(rules, traits) if rules else None,
        catalog=catalog,
        audiences=tuple(catalog.audiences),
        gated=tuple((name, one.purpose) for name, one in catalog.audiences.items() if one.purpose is not None),
        staged=catalog.lifecycle is not None,
        judged_by=judged_by,
    )


def _evidence_readers(definitions: Definitions, judged_by: Container[str]) -> Iterator[EvidenceReader]:
    for name, key in definitions.keys.items():
        folder = definitions.folders[key]
        if not isinstance(folder, AffinityFolder):
            yield EvidenceReader(name, key, folder, name in judged_by)


def _affinity_readers(
    traits: Mapping[str, Trait], definitions: Definitions, judged_by: Container[str]
) -> Iterator[AffinityReader]:
    for name, key in definitions.keys.items():
        folder = definitions.folders[key]
        if isinstance(folder, AffinityFolder):
            tops = tuple(
                TopReader(top, trait.min_weight, top in judged_by)
                for top, trait in traits.items()
                if isinstance(trait, TopTrait) and trait.of == name
            )
            yield AffinityReader(name, key, folder, name in judged_by, tops)


def evaluate(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> Evaluated:
    """All that a profile says, once for the view and for what is judged by it."""
    values, leanings, until_ms, due_ms = _stated(profile, reading, now_ms)
    message = reading.schema.traits(**values)
    for name, weights in leanings.items():
        held = getattr(message, name)
        for value, weight in weights.items():  # in half the time that the message itself takes for a map
            held[value] = weight
    given = reading.remembered.fill(message, values, withheld(profile, reading)) if reading.remembered else {}
    return Evaluated(message, given, until_ms, due_ms)


def said_of(profile: profile_pb2.Profile) -> Said:
    """What a customer said of privacy."""
    return Said(
        {purpose: word.granted for purpose, word in profile.consents.items()},
        profile.region.code,
        _opts_out(profile),
        profile.restricted.holds,
    )


def _opts_out(profile: profile_pb2.Profile) -> bool:
    return profile.global_privacy_control.holds or profile.do_not_sell_or_share.holds


def withheld(profile: profile_pb2.Profile, reading: Reading) -> Collection[str]:
    """The audiences to which a customer does not belong, whatever their rules say, for want of consent."""
    if not reading.gated:
        return ()
    said = said_of(profile)
    return {name for name, purpose in reading.gated if not reading.catalog.allows(purpose, said)}


def values_of(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int]:
    """The values of all traits that are not at their default for want of evidence, and the time in ms from which one
    may differ (0: never).
    """
    values, leanings, until_ms, _ = _stated(profile, reading, now_ms)
    values |= leanings
    if reading.rules:
        values |= reading.rules.fill(reading.schema.traits(**values), withheld(profile, reading))
    return values, until_ms


def _stated(
    profile: profile_pb2.Profile, reading: Reading, now_ms: int
) -> tuple[dict[str, Any], dict[str, dict[str, float]], int, int]:
    """`values_of`, without the rules and with affinities apart, and `Evaluated.due_ms`. Most of the time of an event
    goes by in here.
    """
    values: dict[str, Any] = {}
    leanings: dict[str, dict[str, float]] = {}
    until_ms = due_ms = _NEVER
    attributes, states = profile.attributes, profile.states
    if attributes:
        for one in reading.attributes:
            if one.attribute in attributes:
                value = typed(attributes[one.attribute].value, one.type, one.default)
                if value is not None:
                    values[one.name] = value
    for reader in reading.evidence:
        if reader.key in states:  # half of the time of `get`
            value, ends_ms = reader.folder.value(states[reader.key], now_ms)
            if value is not None:
                values[reader.name] = value
                if 0 < ends_ms < until_ms:
                    until_ms = ends_ms
                if reader.judged and 0 < ends_ms < due_ms:
                    due_ms = ends_ms
    for affinity in reading.affinities:
        if affinity.key in states:
            folder = affinity.folder
            leaning = folder.leaning_of(states[affinity.key], now_ms)
            leanings[affinity.name], ends_ms = folder.faded(leaning, now_ms)
            if 0 < ends_ms < until_ms:
                until_ms = ends_ms
            if affinity.judged and 0 < ends_ms < due_ms:
                due_ms = ends_ms
            for top in affinity.tops:
                values[top.name], ends_ms = folder.top(leaning, top.min_weight)
                if 0 < ends_ms < until_ms:
                    until_ms = ends_ms
                if top.judged and 0 < ends_ms < due_ms:
                    due_ms = ends_ms
    for ratio in reading.ratios:
        # Both are totals, which are 0 without evidence; and they say themselves how long they are good for.
        divisor = float(values.get(ratio.per, 0))
        quotient = values.get(ratio.of, 0) / divisor if divisor else None
        if quotient is not None and isfinite(quotient):
            values[ratio.name] = quotient
    return values, leanings, until_ms if until_ms < _NEVER else 0, due_ms if due_ms < _NEVER else 0


def with_defaults(values: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The values of all declared traits: those without evidence have their default."""
    empty = reading.schema.traits()
    return {
        name: values.get(name, {} if reading.schema.trait_types[name] == WEIGHTS else getattr(empty, name))
        for name in reading.traits
    }


def identity_keys_of(profile: profile_pb2.Profile) -> list[bytes]:
    """The keys of a customer's identifiers, in their order."""
    if len(profile.identifiers) == 1:
        return [bytes.fromhex(profile.profile_id)]  # which is this key: nothing to work out for most visitors
    return [identity_key(one.kind, one.value) for one in profile.identifiers]


def view_of(
    profile: profile_pb2.Profile, reading: Reading, now_ms: int, version: int, evaluated: Evaluated | None = None
) -> profile_pb2.CustomerView:
    """The compact view of a customer that the decision service keeps. `evaluated`: as of `now_ms`, if it is at hand."""
    evaluated = evaluated or evaluate(profile, reading, now_ms)
    view = profile_pb2.CustomerView(
        profile_id=profile.profile_id,
        identity_keys=identity_keys_of(profile),
        version=version,
        traits=evaluated.traits.SerializeToString(deterministic=True),
        valid_until_ms=evaluated.until_ms,
        lot=profile.origin.identity_key,
        restricted=profile.restricted.holds,
        opted_out=_opts_out(profile),
    )
    # The rest is empty for most, and an empty field that is set takes as long as one that is not.
    consents = profile.consents
    if consents:
        allowed = view.consents
        for purpose in consents:
            allowed[purpose] = consents[purpose].granted
    if contacts := profile.contacts:
        view.contacts.extend([state.contact for state in contacts])
    if profile.HasField("timezone"):
        view.timezone = profile.timezone.name
    if profile.HasField("region"):
        view.region = profile.region.code
    return view
