"""Streams that are read by sequence, and deleted from."""

from __future__ import annotations

import nats
import pytest
from nats.js import JetStreamContext

from wayline import streams
from wayline.bus import DEAD_LETTER_SUBJECTS, DEAD_LETTERS, StreamSpec, ensure_stream
from wayline.errors import Retryable


async def test_what_is_gone_already_is_told_and_no_error(js: JetStreamContext, nats_url: str):
    spec = StreamSpec(name=DEAD_LETTERS, subject=DEAD_LETTER_SUBJECTS, max_bytes=1 << 20, max_age_seconds=3_600)
    await ensure_stream(js, spec, 1)
    first = await js.publish("rejected.missing", b"one")
    await js.publish("rejected.missing", b"two")
    client = await nats.connect(nats_url)
    assert await streams.delete(client, DEAD_LETTERS, first.seq)
    assert not await streams.delete(client, DEAD_LETTERS, first.seq)
    assert not await streams.delete(client, DEAD_LETTERS, 4_711)
    assert [one.data for one in await streams.page(client, DEAD_LETTERS)] == [b"two"]
    await client.close()


async def test_a_stream_that_does_not_answer_does_not_pass_for_an_empty_one(js: JetStreamContext, nats_url: str):
    client = await nats.connect(nats_url)
    with pytest.raises(Retryable, match="MISSING"):
        await streams.page(client, "MISSING")
    await client.close()
