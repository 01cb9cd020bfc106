"""Strands: what the events filed under one identifier say. A profile is the exact merge of its strands.

A profile of one strand is that strand, and nothing is kept twice. A profile of several is kept beside them, so that
readers need not merge; the strands are records of their own. Taking a merge back, filling a new trait in, and erasing
are then questions of strands only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from wayline.v1 import profile_pb2
from wayline_profile.core.fold import Definitions, merge

Profile = profile_pb2.Profile


class Source(Protocol):
    """What is read of a store; see `ProfileStore`."""

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Identity keys to profile ids."""

    def get_many(self, profile_ids: Collection[str]) -> dict[str, Profile]:
        """Profiles by id."""

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """Message ids that were folded before."""

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """What is kept beside profiles."""


def strands_of(profile: Profile) -> list[bytes]:
    """The identity keys of a profile's strands, sorted."""
    return list(profile.strands) or [bytes.fromhex(profile.profile_id)]


def holds(profile: Profile, key: bytes) -> bool:
    """Whether an identity key is that of one of a profile's strands."""
    return key in profile.strands if profile.strands else profile.profile_id == key.hex()


def as_strand(profile: Profile) -> Profile:
    """A copy of what a profile of one strand says, without the names of the customer."""
    strand = Profile()
    strand.CopyFrom(profile)
    for field in ("profile_id", "identifiers", "strands"):
        strand.ClearField(field)
    return strand


def merged(parts: Iterable[Profile], definitions: Definitions) -> Profile:
    """The merge of strands and of what was merged before, nameless. The order does not matter."""
    whole = Profile()
    for part in parts:
        whole = merge(whole, part, definitions)
    return whole
