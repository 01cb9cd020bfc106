"""Buckets on a real server."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig

from wayline.kv import open_bucket, snapshot


async def test_a_snapshot_holds_every_key_that_is_there_and_none_that_was_deleted(js: JetStreamContext) -> None:
    bucket = await open_bucket(js, KeyValueConfig(bucket="many"))
    assert await snapshot(bucket) == {}
    for number in range(1_200):
        await bucket.put(f"key.{number}", str(number).encode())
    await bucket.put("key.7", b"anew")
    await bucket.delete("key.8")
    await bucket.purge("key.9")
    expected = {f"key.{number}": str(number).encode() for number in range(1_200)} | {"key.7": b"anew"}
    del expected["key.8"], expected["key.9"]
    assert await snapshot(bucket) == expected
