"""How a batch is judged in parts, and what followers are told beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline.v1 import profile_pb2
from wayline_profile import worker
from wayline_profile.core.changes import Commit
from wayline_profile.core.values import Reading
from wayline_profile.feed import ViewFeed
from wayline_profile.worker import Worker, parts_of

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


class Followed:
    """A NATS connection, a store and its writer in one, with nothing in them; keeps what is published."""

    def __init__(self) -> None:
        self.updates: asyncio.Queue[profile_pb2.ViewUpdate] = asyncio.Queue()

    async def publish(self, _subject: str, payload: bytes) -> None:
        await self.updates.put(profile_pb2.ViewUpdate.FromString(payload))

    def positions(self) -> dict[int, int]:
        return {}

    async def run(self, step: Callable[[], dict[int, int]]) -> dict[int, int]:
        return step()


async def test_after_a_change_of_the_catalogue_followers_hear_at_once_how_far_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_HEARTBEAT_SECONDS", 3_600)
    followed, nothing = Followed(), cast(Any, None)
    one = Worker(
        cast(Any, followed),
        cast(Any, followed),
        nothing,
        nothing,
        ViewFeed(cast(Any, followed)),
        batch=1,
        standings=nothing,
        outbox=nothing,
        filling=nothing,
        now_ms=lambda: 0,
    )
    beating = asyncio.create_task(one.beat())
    feeds = []
    async with asyncio.timeout(20):
        for _ in range(3):
            one.use(cast(Reading, None))
            update = await followed.updates.get()
            feeds.append((update.feed_id, update.number))
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating
    assert len(set(feeds)) == 3
    assert {number for _, number in feeds} == {1}
