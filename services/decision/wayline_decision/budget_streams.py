"""The counters of budgets in JetStream: where each of them is, adding to it, and reading it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from wayline.bus import DUPLICATE_WINDOW_SECONDS
from wayline.errors import Retryable
from wayline_decision.core.budget import TOTAL

TOTALS = "BUDGETS"
TOTAL_SUBJECTS = "budgets.total.*"
DAYS = "BUDGET_DAYS"
DAY_SUBJECTS = "budgets.day.*.*"
DAYS_MAX_AGE_SECONDS = 3 * 86_400.0
"""A day is over everywhere after two."""
KEPT_PER_COUNTER = 64
"""The last message of a counter holds its total. Those before it let a server that comes back know repetitions."""

_ANSWER_SECONDS = 2.0
_SAME_NAME_OTHER_CONFIG = 10058
_END, _NONE = "204", "404"


async def ensure_counters(js: JetStreamContext, replicas: int) -> None:
    """Create the streams that count, or bring their limits up to date. Totals are kept for ever."""
    for name, subject, max_age_seconds in ((TOTALS, TOTAL_SUBJECTS, 0.0), (DAYS, DAY_SUBJECTS, DAYS_MAX_AGE_SECONDS)):
        config = StreamConfig(
            name=name,
            subjects=[subject],
            max_age=max_age_seconds,
            max_msgs_per_subject=KEPT_PER_COUNTER,
            discard=DiscardPolicy.OLD,  # by counter: without a limit in bytes, no counter's last message can go
            storage=StorageType.FILE,
            num_replicas=replicas,
            duplicate_window=DUPLICATE_WINDOW_SECONDS,
            allow_direct=True,
            allow_msg_counter=True,
        )
        try:
            await js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _SAME_NAME_OTHER_CONFIG:
                raise
            await js.update_stream(config)


def place_of(counter: str) -> tuple[str, str]:
    """The stream and subject of a counter. '~' stands for the dots of an action's id, which has none of its own."""
    action, _, span = counter.rpartition(".")
    token = action.replace(".", "~")
    return (TOTALS, f"budgets.total.{token}") if span == TOTAL else (DAYS, f"budgets.day.{span}.{token}")


class BudgetStreams:
    """Talks to them.

    Raises:
        nats.errors.Error, OSError, Retryable: JetStream did not answer, or not with what was asked for.
    """

    def __init__(self, client: Client) -> None:
        """Talk over `client`."""
        self._client = client
        self._js = client.jetstream(timeout=_ANSWER_SECONDS)

    async def add(self, counter: str, number: int, message_id: str | None) -> int | None:
        """Count on, and return the total; None for a repetition, which was not counted."""
        self._check_connected()
        _, subject = place_of(counter)
        headers = {"Nats-Incr": str(number)} | ({"Nats-Msg-Id": message_id} if message_id else {})
        # Without the name of the stream that is expected: a counter takes no such header.
        ack = await self._js.publish(subject, headers=headers)
        return None if ack.val is None else int(ack.val)

    async def last_values(self, stream: str, subjects: Sequence[str], first: int) -> tuple[dict[str, int], int]:
        """The totals by subject that were stored from a sequence on, and up to which sequence that is true."""
        self._check_connected()
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox)
        try:
            request = {"multi_last": list(subjects), "seq": first}
            await self._client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), inbox)
            return await _received(subscription)
        finally:
            await subscription.unsubscribe()

    def _check_connected(self) -> None:
        if not self._client.is_connected:
            raise Retryable("NATS cannot be reached")


async def _received(subscription: Subscription) -> tuple[dict[str, int], int]:
    totals: dict[str, int] = {}
    while True:
        message = await subscription.next_msg(_ANSWER_SECONDS)
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            totals[headers["Nats-Subject"]] = int(json.loads(message.data)["val"])
        elif status in (_END, _NONE):
            return totals, int(headers.get("Nats-UpTo-Sequence", 0))
        else:
            raise Retryable(f"JetStream could not read: {status}")
