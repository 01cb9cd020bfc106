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
from wayline_profile.core.evidence import Folder, Valued
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.properties import typed
from wayline_profile.core.remembered import RememberedRules


class AttributeReader(NamedTuple):
    """One attribute trait."""

    name: str
    attribute: str
    type: str
    default: Default | None


class EvidenceReader(NamedTuple):
    """One trait that is made of events, but for affinities."""

    name: str
    key: str
    """Of its state."""
    folder: Folder
    judged: bool
    """Whether audiences or the stage read it."""


class TopReader(NamedTuple):
    """One top trait."""

    name: str
    min_weight: float
    judged: bool


class AffinityReader(NamedTuple):
    """One affinity, with the top traits of it: its weights are worked out once for all."""

    name: str
    key: str
    folder: AffinityFolder
    judged: bool
    tops: tuple[TopReader, ...]


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
    values, until_ms, due_ms = _stated(profile, reading, now_ms)
    message = reading.schema.traits(**values)
    if reading.remembered:
        reading.remembered.fill(message, values, withheld(profile, reading))
    return Evaluated(message, until_ms, due_ms)


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
    values, until_ms, _ = _stated(profile, reading, now_ms)
    if reading.rules:
        values |= reading.rules.fill(reading.schema.traits(**values), withheld(profile, reading))
    return values, until_ms


def _stated(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> tuple[dict[str, Any], int, int]:
    """`values_of`, without the rules, and `Evaluated.due_ms`. Most of the time of an event goes by in here."""
    values: dict[str, Any] = {}
    ends: list[int] = []
    judged_ends: list[int] = []

    def take(name: str, valued: Valued, judged: bool) -> None:
        value, until_ms = valued
        if value is not None:
            values[name] = value
            if until_ms:
                ends.append(until_ms)
                if judged:
                    judged_ends.append(until_ms)

    attributes, states = profile.attributes, profile.states
    for one in reading.attributes:
        if (held := attributes.get(one.attribute)) is not None:
            take(one.name, (typed(held.value, one.type, one.default), 0), False)
    for name, key, folder, judged in reading.evidence:
        if key in states:  # half of the time of `get`
            state = states[key]
            # `take`, written out: it is called for twenty traits of every event, and a call costs a tenth of a value.
            value, until_ms = folder.value(state, now_ms)
            if value is not None:
                values[name] = value
                if until_ms:
                    ends.append(until_ms)
                    if judged:
                        judged_ends.append(until_ms)
    for name, key, folder, judged, tops in reading.affinities:
        if key in states:
            state = states[key]
            weights, latest_ms = folder.weights_of(state), state.decay.latest_ms
            take(name, folder.faded(weights, latest_ms, now_ms), judged)
            for top in tops:
                take(top.name, folder.top(weights, latest_ms, now_ms, top.min_weight), top.judged)
    for ratio in reading.ratios:
        # Both are totals, which are 0 without evidence; and they say themselves how long they are good for.
        divisor = float(values.get(ratio.per, 0))
        quotient = values.get(ratio.of, 0) / divisor if divisor else None
        if quotient is not None and isfinite(quotient):
            values[ratio.name] = quotient
    return values, min(ends, default=0), min(judged_ends, default=0)


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
    return profile_pb2.CustomerView(
        profile_id=profile.profile_id,
        identity_keys=identity_keys_of(profile),
        version=version,
        traits=evaluated.traits.SerializeToString(deterministic=True),
        consents={purpose: said.granted for purpose, said in profile.consents.items()} if profile.consents else None,
        valid_until_ms=evaluated.until_ms,
        contacts=[state.contact for state in profile.contacts],
        timezone=profile.timezone.name,
        lot=profile.origin.identity_key,
        restricted=profile.restricted.holds,
        opted_out=_opts_out(profile),
        region=profile.region.code,
    )
