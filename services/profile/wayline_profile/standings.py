"""Judges the customers of a commit, and adds to it what follows: standings, when to look again, changes to be told."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from wayline.v1 import audiences_pb2, profile_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.core.standing import Cause, Change, Standing, gone, is_empty, judge, place_of
from wayline_profile.core.strands import Source
from wayline_profile.core.values import Evaluated, Reading, evaluate, said_of
from wayline_profile.store.records import CHANGE, DUE, STANDING

_TIME = struct.Struct(">Q")
_NUMBER = struct.Struct(">H")
_ID_BEGINS, _ID_ENDS = 8, 24
EVENT = audiences_pb2.CHANGE_CAUSE_EVENT

Profiles = Mapping[str, profile_pb2.Profile | None]


class Standings:
    """Call `add_to` for every commit that changes profiles, before it is written."""

    def __init__(self) -> None:
        """No change was told yet."""
        self._stamp_us = 0

    def add_to(
        self,
        commit: Commit,
        profiles: Profiles,
        reading: Reading,
        now_ms: int,
        *,
        cause: Cause = EVENT,
        renew: bool = False,
        source: Source,
    ) -> dict[str, Evaluated]:
        """Judge profiles and add what follows to the commit.

        Args:
            commit: that changes them. Its `identities` say where an id that is gone leads.
            profiles: by id; None: gone.
            reading: how profiles are read.
            now_ms: as of when.
            cause: of changes.
            renew: they are judged since it was time to; see `core.standing.judge`.
            source: where former standings are read: the unit of work that writes the commit.

        Returns:
            What each profile says as of now, for its view.
        """
        evaluated = {name: evaluate(one, reading, now_ms) for name, one in profiles.items() if one is not None}
        former = _former(source, profiles)
        if not (former or reading.judged_by):
            return evaluated
        inherited: dict[str, list[Standing]] = {}
        for name in sorted(former.keys() - evaluated.keys()):
            successor = commit.identities.get(bytes.fromhex(name)) or ""
            if successor in evaluated:
                inherited.setdefault(successor, []).append(former[name])
            self._write(commit, name, former[name], Standing(), gone(name, former[name], successor, now_ms), now_ms)
        for name in sorted(evaluated):  # so that what is told does not depend on the order in which they were read
            said, profile, held = evaluated[name], profiles[name], former.get(name)
            assert profile is not None, "only profiles that are there are evaluated"
            place = place_of(profile, said, reading)
            judged = judge(profile, place, held, inherited.get(name, ()), cause=cause, now_ms=now_ms, renew=renew)
            if judged.changes:
                allowed = _allowed(profile, reading)
                for change in judged.changes:
                    change.allowed_purposes.extend(allowed)
            if judged.standing is not None:
                self._write(commit, name, held, judged.standing, judged.changes, now_ms)
        return evaluated

    def _write(
        self,
        commit: Commit,
        name: str,
        former: Standing | None,
        standing: Standing,
        changes: Iterable[Change],
        now_ms: int,
    ) -> None:
        key, told = bytes.fromhex(name), list(changes)
        if told:
            # Strictly rising, whatever the clocks of two processes say: a customer's changes are told in their order.
            latest_us = former.told_us if former is not None else 0
            self._stamp_us = standing.told_us = max(self._stamp_us + 1, now_ms * 1_000, latest_us + 1)
        written = None if is_empty(standing) else standing.SerializeToString(deterministic=True)
        commit.records[(STANDING, key)] = written
        if former is not None and former.due_ms and former.due_ms != standing.due_ms:
            commit.records[(DUE, due_key(former.due_ms, key))] = None
        if standing.due_ms and (former is None or former.due_ms != standing.due_ms):
            commit.records[(DUE, due_key(standing.due_ms, key))] = b""
        for number, change in enumerate(told):
            at = _TIME.pack(self._stamp_us) + key + _NUMBER.pack(number)
            change.change_id = at.hex()
            commit.records[(CHANGE, at)] = change.SerializeToString(deterministic=True)


def _allowed(profile: profile_pb2.Profile, reading: Reading) -> list[str]:
    said = said_of(profile)
    return [name for name in sorted(reading.catalog.purposes) if reading.catalog.allows(name, said)]


def _former(source: Source, names: Iterable[str]) -> dict[str, Standing]:
    found = source.records(STANDING, [bytes.fromhex(name) for name in names])
    return {key.hex(): Standing.FromString(data) for key, data in found.items()}


def due_key(due_ms: int, key: bytes) -> bytes:
    """The key of a row that says when to judge a customer; rows sort by time."""
    return _TIME.pack(due_ms) + key


def due_of(row: bytes) -> tuple[int, str]:
    """The time in ms and the profile id of such a key."""
    return _TIME.unpack_from(row)[0], row[_ID_BEGINS:_ID_ENDS].hex()
