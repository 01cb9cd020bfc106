"""How a batch is judged in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.worker import parts_of

NAMES = st.integers(0, 30).map(lambda number: bytes([number] * 16).hex())


@given(st.dictionaries(NAMES, st.none() | st.just(profile_pb2.Profile())), st.data(), st.integers(1, 7))
def test_each_profile_is_judged_once_and_who_is_gone_together_with_who_takes_over(
    profiles: dict[str, profile_pb2.Profile | None], data: st.DataObject, at_most: int
) -> None:
    gone = [name for name, profile in profiles.items() if profile is None]
    heirs = {name: data.draw(NAMES | st.none()) for name in gone}
    commit = Commit(profiles=profiles, identities={bytes.fromhex(name): heir for name, heir in heirs.items()})
    parts = [dict(part) for part in parts_of(commit, at_most)]
    assert sorted(name for part in parts for name in part) == sorted(profiles)
    assert all(part[name] is profiles[name] for part in parts for name in part)
    for name, heir in heirs.items():
        assert [name in part for part in parts] == [
            heir in part or name in part for part in parts
        ] or heir not in profiles
    assert all(len(part) <= at_most for part in parts if not any(profile is None for profile in part.values()))
