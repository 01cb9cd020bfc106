"""Suppressed identifiers, as ingestion follows them."""

from __future__ import annotations

import asyncio

from nats.js import JetStreamContext
from tests.support.standins import eventually

from wayline.identity import identity_key
from wayline.suppression import Suppressed, held, lift, open_suppressions, suppress, suppressed_since

ADA, BOB = identity_key("user_id", "ada"), identity_key("email", "bob@example.org")


async def test_what_was_suppressed_before_the_start_is_held(js: JetStreamContext):
    await suppress(await open_suppressions(js), [ADA])
    suppressed = Suppressed(await open_suppressions(js))
    assert not suppressed.holds([ADA])
    await suppressed.load()
    assert suppressed.holds([BOB, ADA])
    assert not suppressed.holds([BOB])
    assert not suppressed.holds([])


async def test_what_is_suppressed_or_lifted_later_is_followed(js: JetStreamContext):
    bucket = await open_suppressions(js)
    await suppress(bucket, [ADA])
    suppressed = Suppressed(bucket)
    await suppressed.load()
    following = asyncio.create_task(suppressed.run())
    await suppress(bucket, [BOB, ADA])
    await eventually(lambda: suppressed.holds([BOB]), "the new one is held")
    await lift(bucket, [ADA])
    await eventually(lambda: not suppressed.holds([ADA]), "the lifted one is let go")
    assert suppressed.holds([BOB])
    following.cancel()


async def test_the_bucket_says_since_when_and_reads_what_an_earlier_release_wrote(js: JetStreamContext):
    bucket = await open_suppressions(js)
    await suppress(bucket, [ADA], since_ms=1_790_000_000_123)
    await bucket.put(BOB.hex(), b"+")
    assert await suppressed_since(bucket) == {ADA: 1_790_000_000_123, BOB: 1}
    assert await held(bucket, [ADA, BOB]) == {ADA, BOB}
    await lift(bucket, [ADA])
    assert await suppressed_since(bucket) == {BOB: 1}
    assert await held(bucket, [ADA, BOB]) == {BOB}
    suppressed = Suppressed(bucket)
    await suppressed.load()
    assert (suppressed.holds([ADA]), suppressed.holds([BOB])) == (False, True)
