"""Takes the decisions of erased customers out of the bundles that hold decisions of others too.

A message of a stream cannot be changed. What is left of a bundle is stored as a new message, which names the one that
it stands for, and the old one is deleted. Between the two, the process may die: before a bundle is stored again it is
looked for. Its subject says in which hour its decisions were made, by which `Explain` finds it.
"""

from __future__ import annotations

from collections.abc import Collection

import nats.js.errors
from nats.aio.client import Client

from wayline import streams
from wayline.bus import DECISIONS, REWRITTEN_HEADER, rewritten_subject
from wayline_profile.privacy.finding import without

_TIMEOUT_SECONDS = 10.0


async def rewrite(client: Client, sequence: int, keys: Collection[bytes], *, perhaps_done: bool) -> int:
    """Store what is left of a bundle without these customers, and delete it. Returns how many records were taken out.

    Args:
        client: of NATS.
        sequence: the bundle's.
        keys: identity keys.
        perhaps_done: a process that died may have stored it: look first.

    Raises:
        Retryable: NATS cannot be reached. Do it again, with `perhaps_done`.
    """
    try:
        async with streams.reaching(client, DECISIONS):
            message = await client.jetstream().get_msg(DECISIONS, sequence)
    except nats.js.errors.NotFoundError:
        return 0
    kept, removed = without(message.data or b"", keys)
    if kept.records:
        subject = rewritten_subject(kept.records[0].decided_at.seconds)
        if not perhaps_done or not await _is_stored(client, subject, sequence):
            async with streams.reaching(client, DECISIONS):
                await client.jetstream().publish(
                    subject,
                    kept.SerializeToString(),
                    timeout=_TIMEOUT_SECONDS,
                    headers={REWRITTEN_HEADER: str(sequence), "Nats-Msg-Id": f"rewritten-{sequence}"},
                )
    await streams.delete(client, DECISIONS, sequence)
    return removed


async def _is_stored(client: Client, subject: str, sequence: int) -> bool:
    after = sequence
    while found := await streams.page(client, DECISIONS, after=after, subject=subject, at_most=20):
        if any(one.headers.get(REWRITTEN_HEADER) == str(sequence) for one in found):
            return True
        after = found[-1].sequence
    return False
