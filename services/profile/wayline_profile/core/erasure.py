"""What an erasure changes in the store, and which events are left out after it.

Erasures are control events in the stream of events. They name identity keys, never identifiers. An event is barred when
it names a barred key and was received up to the time that bars it; for a customer who must not be stored again that is
the end of time, until she is readmitted. So what is left out depends on the events alone, not on the order in which
they are read: a readmission names the erasure that it lifts, and of several the first counts.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from wayline.v1 import events_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read
from wayline_profile.core.records import DISCARDED, ERASURE, STRAND, SUPPRESSED

FOR_EVER = (1 << 63) - 1
_NEVER = -1
_BAR = struct.Struct(">qqq")
_SEQUENCE = struct.Struct(">Q")


class Bar(NamedTuple):
    """What keeps events of one identity key out; all in milliseconds since 1970."""

    until_ms: int = _NEVER
    """By erasures of a customer who may return: events received up to it are barred."""
    suppressed_ms: int = _NEVER
    """When the last erasure was received that bars for ever."""
    readmitted_ms: int = FOR_EVER
    """When that one was lifted first."""

    def bars(self, received_ms: int) -> bool:
        """Whether an event that was received then is left out."""
        lifted = self.suppressed_ms == _NEVER or received_ms > self.readmitted_ms
        return received_ms <= self.until_ms or not lifted

    @property
    def suppresses(self) -> bool:
        """Whether all later events are barred."""
        return self.suppressed_ms != _NEVER and self.readmitted_ms == FOR_EVER

    def merged(self, other: Bar) -> Bar:
        """Both, in whatever order and however often they come."""
        last = max(self.suppressed_ms, other.suppressed_ms)
        readmitted = min(one.readmitted_ms for one in (self, other) if one.suppressed_ms == last)
        return Bar(max(self.until_ms, other.until_ms), last, readmitted)

    def encoded(self) -> bytes:
        """The value of a record (SUPPRESSED, key)."""
        return _BAR.pack(*self)

    @classmethod
    def decoded(cls, data: bytes) -> Bar:
        """See `encoded`."""
        return cls(*_BAR.unpack(data))


class Bars:
    """The identity keys that are barred among those of one batch.

    For the projector: made from the records (SUPPRESSED, key) of every identity key that the batch names, the keys of
    its erasures among them.
    """

    def __init__(self, held: Mapping[bytes, bytes]) -> None:
        """Start from what the store holds: identity key to the record's value."""
        self._held = {key: Bar.decoded(value) for key, value in held.items()}

    def bars(self, keys: Iterable[bytes], event: events_pb2.Event) -> bool:
        """Whether an event that names these identity keys is left out."""
        if not self._held:  # nearly always
            return False
        received_ms = event.received_at.ToMilliseconds()
        return any(self._held[key].bars(received_ms) for key in keys if key in self._held)

    def add(self, event: events_pb2.Event, commit: Commit) -> None:
        """Bar what an erasure names, here and in the store, or bar it no more. An end for age bars nothing."""
        erasure, received_ms = event.erasure, event.received_at.ToMilliseconds()
        if erasure.readmits_since_ms:
            bar = Bar(suppressed_ms=erasure.readmits_since_ms, readmitted_ms=received_ms)
        elif not erasure.erasure_id:
            return
        elif erasure.received_until_ms:
            bar = Bar(until_ms=erasure.received_until_ms)
        else:
            bar = Bar(suppressed_ms=received_ms)
        for key in erasure.identity_keys:
            self._held[key] = bar.merged(self._held.get(key, Bar()))
            commit.records[SUPPRESSED, key] = self._held[key].encoded()


def discard(read: Read, commit: Commit) -> None:
    """Leave out a barred event, and have it deleted from the stream."""
    commit.records[DISCARDED, _SEQUENCE.pack(read.sequence)] = b""


def discarded_sequence(key: bytes) -> int:
    """The sequence that a record of kind DISCARDED names by its key."""
    sequence: int = _SEQUENCE.unpack(key)[0]
    return sequence


def outlives(profile: profile_pb2.Profile, erasure: events_pb2.Erasure) -> bool:
    """Whether a customer stays who was to go for age: somebody saw her after the decision."""
    return not erasure.erasure_id and profile.last_seen_ms > erasure.received_until_ms


def erase(read: Read, profile_ids: Collection[str], commit: Commit) -> None:
    """Write into the commit of the batch that these profiles, and all that is filed under the keys of an erasure, go.

    What is left to the projector: profiles of which only a part is erased (merge the other strands anew), clusters, and
    `Commit.created`.

    Args:
        read: the erasure.
        profile_ids: to which its keys lead now.
        commit: of the batch.
    """
    erasure = read.event.erasure
    keys = set(erasure.identity_keys)
    for profile_id in profile_ids:
        commit.profiles[profile_id] = None
    for key in keys:
        commit.identities[key] = None
        commit.records[STRAND, key] = None
    commit.erased |= keys
    commit.timeline[:] = [row for row in commit.timeline if row.key not in keys]
    if erasure.erasure_id:
        pending = privacy_pb2.PendingErasure(
            erasure_id=erasure.erasure_id,
            identity_keys=sorted(keys),
            profile_ids=sorted(profile_ids),
            folded_sequence=read.sequence,
            state=privacy_pb2.ERASURE_STATE_REMOVING,
        )
        commit.records[ERASURE, erasure.erasure_id.encode()] = pending.SerializeToString(deterministic=True)
