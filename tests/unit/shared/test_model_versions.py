from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline.errors import LimitExceeded, NotFound, Precondition
from wayline.model_versions import (
    MAX_FORMER_CHAMPIONS,
    next_version,
    promoted,
    rolled_back,
    thinned,
    version_of,
)
from wayline.v1 import prediction_pb2


def model(versions: int, champion: int = 0, former: list[int] | None = None) -> prediction_pb2.Model:
    result = prediction_pb2.Model(name="m", champion=champion, former_champions=former or [])
    for number in range(1, versions + 1):
        result.versions.add(version=number)
    return result


def test_versions_count_from_one() -> None:
    assert next_version(model(0)) == 1
    assert next_version(model(3)) == 4


def test_a_number_is_not_used_twice_after_versions_were_dropped() -> None:
    assert next_version(thinned(model(5), 3)) == 6


def test_promotion_remembers_the_champion_before() -> None:
    after = promoted(model(3, champion=1), 3)
    assert (after.champion, list(after.former_champions)) == (3, [1])


def test_the_first_promotion_has_nothing_to_remember() -> None:
    assert list(promoted(model(1), 1).former_champions) == []


def test_promoting_the_champion_again_changes_nothing() -> None:
    before = model(3, champion=2, former=[1])
    assert promoted(before, 2) == before


def test_version_nought_is_the_newest() -> None:
    assert promoted(model(3), 0).champion == 3


def test_an_unknown_version_is_not_promoted() -> None:
    for number in (4, -1):
        with pytest.raises(NotFound, match=rf"no version {number} \(versions: 1 to 3\)"):
            promoted(model(3), number)
    with pytest.raises(NotFound, match="versions: none"):
        version_of(model(0), 1)


def test_only_the_latest_former_champions_are_remembered() -> None:
    champions = model(250)
    for number in range(1, 251):
        champions = promoted(champions, number)
    assert list(champions.former_champions) == list(range(250 - MAX_FORMER_CHAMPIONS, 250))


def test_nothing_to_roll_back_to() -> None:
    with pytest.raises(Precondition, match="'m' has no former champion"):
        rolled_back(model(2, champion=1))


def test_versions_that_never_served_make_room_first_then_former_champions() -> None:
    full = model(6, champion=3, former=[1, 4])
    assert [one.version for one in thinned(full, 2).versions] == [1, 3, 4, 6]
    after = thinned(full, 3)
    assert [one.version for one in after.versions] == [3, 4, 6]
    assert list(after.former_champions) == [4]
    assert [one.version for one in thinned(full, 99).versions] == [3, 6]


def test_the_champion_and_the_newest_never_make_room() -> None:
    with pytest.raises(LimitExceeded, match="make it smaller"):
        thinned(model(1), 1)


@given(st.lists(st.sampled_from(["register", "promote", "rollback", "thin"]), max_size=60), st.randoms())
def test_whatever_happens_the_champions_are_versions_that_exist(steps: list[str], chance: object) -> None:
    now = model(1)
    for step in steps:
        match step:
            case "register":
                now.versions.add(version=next_version(now))
            case "promote":
                now = promoted(now, chance.choice(now.versions).version)  # type: ignore[attr-defined]
            case "rollback" if now.former_champions:
                now = rolled_back(now)
            case "thin" if len(now.versions) > 2:
                now = thinned(now, 1)
        known = {one.version for one in now.versions}
        assert {now.champion, *now.former_champions} <= known | {0}
        assert [one.version for one in now.versions] == sorted(known)
