"""The ordered feed of views: what changed, then how far was read."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from nats.aio.client import Client

from wayline.bus import VIEW_SUBJECT
from wayline.v1 import events_pb2, profile_pb2

_CHUNK_BYTES = 512 << 10


class ViewFeed:
    """Publishes view updates, numbered without gaps within one feed."""

    def __init__(self, nc: Client) -> None:
        """Begin a feed."""
        self._nc = nc
        self.renew()

    def renew(self) -> None:
        """Begin a new feed: whoever follows drops the views of the old one."""
        self._feed_id = uuid4().hex
        self._number = 0

    async def publish(self, views: Iterable[profile_pb2.CustomerView], positions: dict[int, int]) -> None:
        """Publish the views in parts of half a megabyte, the watermarks with the last."""
        update = profile_pb2.ViewUpdate(feed_id=self._feed_id)
        size = 0
        for view in views:
            bytes_more = view.ByteSize()
            # Before it is added, not after: a view with 500 contacts may be large, and NATS refuses over one megabyte.
            if size and size + bytes_more > _CHUNK_BYTES:
                await self._send(update)
                update = profile_pb2.ViewUpdate(feed_id=self._feed_id)
                size = 0
            update.views.append(view)
            size += bytes_more
        update.watermarks.extend(watermarks_of(positions))
        await self._send(update)

    async def _send(self, update: profile_pb2.ViewUpdate) -> None:
        self._number += 1
        update.number = self._number
        await self._nc.publish(VIEW_SUBJECT, update.SerializeToString())


def watermarks_of(positions: dict[int, int]) -> list[events_pb2.EventToken]:
    """Positions as tokens, by partition."""
    return [events_pb2.EventToken(partition=at, sequence=sequence) for at, sequence in sorted(positions.items())]
