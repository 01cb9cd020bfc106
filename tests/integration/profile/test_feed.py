"""The feed of views on a real NATS server."""

from __future__ import annotations

from nats.aio.subscription import Subscription

from wayline import bus
from wayline.bus import VIEW_SUBJECT
from wayline.v1 import profile_pb2
from wayline_profile.feed import ViewFeed


async def test_views_too_large_for_one_message_go_out_in_several(nats_url: str) -> None:
    # NATS takes one megabyte at most.
    views = [
        profile_pb2.CustomerView(profile_id=str(number), traits=bytes(size))
        for number, size in enumerate([500_000, 900_000, 10])
    ]
    async with bus.connect(nats_url, "profile") as nc:
        feed = await nc.subscribe(VIEW_SUBJECT)
        await ViewFeed(nc).publish(views, {0: 7})
        updates = [await next_update(feed) for _ in range(3)]
    assert [[view.profile_id for view in update.views] for update in updates] == [["0"], ["1"], ["2"]]
    assert [len(update.watermarks) for update in updates] == [0, 0, 1]
    assert [update.number for update in updates] == [1, 2, 3]


async def next_update(feed: Subscription) -> profile_pb2.ViewUpdate:
    return profile_pb2.ViewUpdate.FromString((await feed.next_msg(5)).data)
