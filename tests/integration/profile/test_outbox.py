"""Changes of audiences reach the stream, each once, whenever the process ends."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from nats.js import JetStreamContext
from tests.support.audiences import Customers, stored_changes
from tests.support.events import NOON_MS, track

from wayline.bus import CHANGES, connect
from wayline.errors import Retryable
from wayline.publish import AckedPublisher
from wayline.v1 import audiences_pb2
from wayline_profile.outbox import Outbox, make_stream, subject_of
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.writes import Writer

T = TypeVar("T")


class Dies(Exception):
    """The process ends here."""


class DyingWriter(Writer):
    """Reads once more, and dies at what comes then."""

    def __init__(self, customers: Customers) -> None:
        """Live for one read."""
        super().__init__(customers.store, None, chance=random.Random(0))
        self._left = 1

    async def run(self, work: Callable[[], T]) -> T:
        """Die at the second call."""
        self._left -= 1
        if self._left < 0:
            raise Dies
        return await super().run(work)


@pytest.fixture
async def publisher(nats_url: str) -> AsyncIterator[AckedPublisher]:
    """A publisher with a connection of its own."""
    one = AckedPublisher(2.0)
    async with connect(nats_url, "test") as client:
        await one.attach(client)
        yield one


async def three_buyers(path: Path) -> Customers:
    """A shop in which three changes wait to be told."""
    shop = Customers(lambda: RocksProfileStore(path), NOON_MS)
    await shop.fold(*(track("Order Completed", user=name) for name in ("ada", "bob", "cleo")))
    return shop


async def test_a_change_that_was_stored_before_a_crash_is_told_after_it(
    js: JetStreamContext, publisher: AckedPublisher, tmp_path: Path
) -> None:
    shop = await three_buyers(tmp_path)
    await make_stream(js, max_bytes=1 << 24, max_age_days=1, replicas=1)
    shop.reopen()
    outbox = Outbox(shop.store, shop.writer, publisher)
    assert await outbox.tell() == 3
    assert await outbox.tell() == 0
    assert [subject for subject, _ in await stored_changes(js)] == ["changes.audience.buyers.entered"] * 3
    assert shop.untold() == []


async def test_a_change_that_was_told_when_the_process_died_is_told_once(
    js: JetStreamContext, publisher: AckedPublisher, tmp_path: Path
) -> None:
    shop = await three_buyers(tmp_path)
    await make_stream(js, max_bytes=1 << 24, max_age_days=1, replicas=1)
    with pytest.raises(Dies):
        await Outbox(shop.store, DyingWriter(shop), publisher).tell()
    assert len(shop.untold()) == 3
    shop.reopen()
    assert await Outbox(shop.store, shop.writer, publisher).tell() == 3
    changes = [change for _, change in await stored_changes(js)]
    assert len({change.change_id for change in changes}) == len(changes) == 3


async def test_a_change_waits_while_there_is_no_stream(
    js: JetStreamContext, publisher: AckedPublisher, tmp_path: Path
) -> None:
    shop = await three_buyers(tmp_path)
    outbox = Outbox(shop.store, shop.writer, publisher)
    with pytest.raises(Retryable):
        await outbox.tell()
    assert len(shop.untold()) == 3
    await make_stream(js, max_bytes=1 << 24, max_age_days=1, replicas=1)
    assert await outbox.tell() == 3
    assert (await js.stream_info(CHANGES)).state.messages == 3


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (audiences_pb2.CHANGE_KIND_ENTERED, "changes.audience.lapsed.entered"),
        (audiences_pb2.CHANGE_KIND_EXITED, "changes.audience.lapsed.exited"),
        (audiences_pb2.CHANGE_KIND_STAGE, "changes.stage"),
    ],
)
def test_a_change_is_told_where_its_audience_is_listened_for(kind: audiences_pb2.ChangeKind, subject: str) -> None:
    assert subject_of(audiences_pb2.Change(kind=kind, audience="lapsed")) == subject
