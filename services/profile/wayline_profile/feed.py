"""The ordered feed of views: what changed, then how far was read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
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
        """Begin a new feed: whoever follows drops all views. What is being published goes on in the old one."""
        self._current = _Numbered(uuid4().hex)

    async def publish(
        self,
        views: Iterable[profile_pb2.CustomerView],
        positions: Mapping[int, int],
        *,
        erased: Collection[bytes] = (),
    ) -> None:
        """Publish the views in parts of half a megabyte, the watermarks, and who was erased, with the last."""
        feed = self._current
        update = profile_pb2.ViewUpdate()
        size = 0
        for view in views:
            bytes_more = view.ByteSize()
            # Before it is added, not after: a view with 500 contacts may be large, and NATS refuses over one megabyte.
            if size and size + bytes_more > _CHUNK_BYTES:
                await self._send(feed, update)
                update = profile_pb2.ViewUpdate()
                size = 0
            update.views.append(view)
            size += bytes_more
        update.watermarks.extend(watermarks_of(positions))
        update.erased.extend(sorted(erased))
        await self._send(feed, update)

    async def _send(self, feed: _Numbered, update: profile_pb2.ViewUpdate) -> None:
        feed.number += 1
        update.feed_id, update.number = feed.feed_id, feed.number
        await self._nc.publish(VIEW_SUBJECT, update.SerializeToString())


@dataclass(slots=True)
class _Numbered:
    feed_id: str
    number: int = 0


def watermarks_of(positions: Mapping[int, int]) -> list[events_pb2.EventToken]:
    """Positions as tokens, by partition."""
    return [events_pb2.EventToken(partition=at, sequence=sequence) for at, sequence in sorted(positions.items())]
