"""Where a customer stands: audiences and journey stage, since when, and what changed. Pure.

Per profile id, the changes in their order are the standing: each audience is entered and left in turn, and each stage
starts where the one before ended. A profile id that goes leaves everything; the id that goes on enters it, and has
belonged to it since the earliest of those from which it took over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wayline.catalog.lifecycle import STAGE, UNKNOWN
from wayline.v1 import audiences_pb2, profile_pb2
from wayline_profile.core.values import Evaluated, Reading, identity_keys_of

MIN_DELAY_MS = 60_000
"""Time alone judges a customer at most once in so long: an audience is right within a minute."""

Standing = audiences_pb2.Standing
Change = audiences_pb2.Change
Cause = audiences_pb2.ChangeCause


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer belongs as of a time."""

    audiences: frozenset[str]
    stage: str
    """Empty: there are no stages."""
    due_ms: int
    """From when on it may differ without an event; 0: never."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A standing, and what led to it from the one before. None: nothing need be written."""

    standing: Standing | None
    changes: tuple[Change, ...] = ()


UNCHANGED = Judged(None)


def place_of(profile: profile_pb2.Profile, evaluated: Evaluated, reading: Reading) -> Place:
    """Where a profile belongs. Whoever's processing is restricted belongs nowhere, and is 'unknown'."""
    if profile.restricted.holds:
        return Place(frozenset(), UNKNOWN if reading.staged else "", 0)
    given = evaluated.given
    members = frozenset([name for name in reading.audiences if given.get(name)])
    return Place(members, getattr(evaluated.traits, STAGE) if reading.staged else "", evaluated.due_ms)


def judge(
    profile: profile_pb2.Profile,
    place: Place,
    former: Standing | None,
    inherited: Sequence[Standing],
    *,
    cause: Cause,
    now_ms: int,
    renew: bool = False,
) -> Judged:
    """What a place means for a customer with a former standing.

    Args:
        profile: the customer.
        place: where it belongs now.
        former: what is stored under its id.
        inherited: what was stored under the ids that it takes over.
        cause: of changes that are not inherited.
        now_ms: the time of the changes.
        renew: the customer's time to be judged has come. Otherwise a later time than the stored one is not written: a
            customer is looked at too early rather than written for each event.
    """
    due_ms = max(place.due_ms, now_ms + MIN_DELAY_MS) if place.due_ms else 0
    if former is not None and not inherited and _is_at(former, place):
        earlier = due_ms and (not former.due_ms or due_ms < former.due_ms)
        if not earlier and (not renew or due_ms == former.due_ms):
            return UNCHANGED
        standing = Standing()
        standing.CopyFrom(former)
        standing.due_ms = due_ms
        return Judged(standing)
    if former is None and not inherited and not (place.audiences or place.stage or due_ms):
        return UNCHANGED
    known = [*([former] if former else []), *inherited]
    standing = Standing(stage=place.stage, due_ms=due_ms, told_us=former.told_us if former else 0)
    for name in place.audiences:
        standing.audiences[name] = min((one.audiences[name] for one in known if name in one.audiences), default=now_ms)
    standing.stage_since_ms = min((one.stage_since_ms for one in known if one.stage == place.stage), default=now_ms)
    cause = Cause.CHANGE_CAUSE_IDENTITY if inherited else cause
    return Judged(standing, _named(profile, cause, _changes(former or Standing(), standing, now_ms)))


def gone(profile_id: str, former: Standing, successor_id: str, now_ms: int) -> tuple[Change, ...]:
    """The changes of an id that is no more: it leaves everything."""
    changes = tuple(_changes(former, Standing(), now_ms))
    for one in changes:
        one.profile_id, one.successor_id, one.cause = profile_id, successor_id, Cause.CHANGE_CAUSE_IDENTITY
    return changes


def is_empty(standing: Standing) -> bool:
    """Whether there is nothing in it that would have to be kept."""
    return not (standing.audiences or standing.stage or standing.due_ms)


def _is_at(standing: Standing, place: Place) -> bool:
    # As a set: the keys of a protobuf map compare in Python, one by one.
    return standing.stage == place.stage and set(standing.audiences) == place.audiences


def _changes(former: Standing, standing: Standing, now_ms: int) -> Iterator[Change]:
    """Exits by name, then entries by name, then the stage."""
    for name in sorted(former.audiences.keys() - standing.audiences.keys()):
        since_ms = former.audiences[name]
        kind = audiences_pb2.CHANGE_KIND_EXITED
        yield _at(now_ms, Change(kind=kind, audience=name, seconds=_seconds(since_ms, now_ms)))
    for name in sorted(standing.audiences.keys() - former.audiences.keys()):
        change = _at(now_ms, Change(kind=audiences_pb2.CHANGE_KIND_ENTERED, audience=name))
        change.since.FromMilliseconds(standing.audiences[name])
        yield change
    if former.stage != standing.stage:
        change = _at(now_ms, Change(kind=audiences_pb2.CHANGE_KIND_STAGE, from_stage=former.stage))
        change.to_stage = standing.stage
        if former.stage:
            change.seconds = _seconds(former.stage_since_ms, now_ms)
        if standing.stage:
            change.since.FromMilliseconds(standing.stage_since_ms)
        yield change


def _at(now_ms: int, change: Change) -> Change:
    change.at.FromMilliseconds(now_ms)
    return change


def _named(profile: profile_pb2.Profile, cause: Cause, changes: Iterator[Change]) -> tuple[Change, ...]:
    keys = identity_keys_of(profile)
    told = tuple(changes)
    for one in told:
        one.profile_id, one.cause = profile.profile_id, cause
        one.identity_keys.extend(keys)
    return told


def _seconds(since_ms: int, now_ms: int) -> int:
    return max(0, now_ms - since_ms) // 1_000
