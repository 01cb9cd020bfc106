"""Budgets across replicas: JetStream's counters, and what this process has added that they do not hold yet."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import uuid4

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from wayline import logging
from wayline.bus import DUPLICATE_WINDOW_SECONDS
from wayline.errors import Retryable
from wayline_decision.core.budget import TOTAL, BudgetPlan, Exhausted, given_back
from wayline_decision.core.timetable import milliseconds

TOTALS = "BUDGETS"
TOTAL_SUBJECTS = "budgets.total.*"
DAYS = "BUDGET_DAYS"
DAY_SUBJECTS = "budgets.day.*.*"
DAYS_MAX_AGE_SECONDS = 3 * 86_400.0
"""A day is over everywhere after two."""
KEPT_PER_COUNTER = 64
"""The last message of a counter holds its total. Those before it let a server that comes back know repetitions."""

_SEND_SECONDS = 0.1
_SENDS_PER_READ = 10
_ANSWER_SECONDS = 2.0
_AT_ONCE = 256
"""How many counters are sent or read at once; JetStream reads at most 1,024."""
_SAME_NAME_OTHER_CONFIG = 10058
_END, _NONE = "204", "404"
log = logging.get("budgets")


class _Increment(NamedTuple):
    """What is under way to JetStream. It stays so, under the same id, until an answer says that it is stored."""

    number: int
    message_id: str


class _Held(NamedTuple):
    since_ms: int
    until_ms: int
    """0: nothing ends by itself."""
    exhausted: Exhausted


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


class Budgets:
    """How much of each budget is used, over all replicas.

    What this process takes counts here at once. The engine decides, and takes, under one lock; so one replica alone
    never exceeds a budget. What it took goes to JetStream every 100 ms, and the answer brings the total over all
    replicas; counters that it did not add to are read every second. So several replicas together exceed a budget by at
    most what the others choose of that action until this one hears of it: 100 ms while it chooses the action itself,
    one second otherwise.

    While JetStream is away, budgets go on with the totals last known and what was taken here, and what was taken is
    sent when it is back. An increment whose outcome is not known is sent again under the same id, which counts once
    within the stream's window for duplicates (two minutes); after a longer absence it may count twice, which keeps the
    budget. A process that is killed loses what it took since it last sent: those choices are not counted.

    Threads: those that decide call `take` and `exhausted`; everything else runs on the loop.
    """

    def __init__(self, client: Client, *, clock: Callable[[], datetime]) -> None:
        """Count on `client`; `clock` says which days' counters are read."""
        self._client = client
        self._js = client.jetstream(timeout=_ANSWER_SECONDS)
        self._clock = clock
        # One at a time: a total that is read while an increment is answered would count the increment twice.
        self._talking = asyncio.Lock()
        self._own = uuid4().hex
        self._numbers = count()
        self._lock = threading.Lock()
        # By counter, guarded by the lock. What is used is known - given back + unsent + under way.
        self._known: dict[str, int] = {}
        self._given_back: dict[str, int] = {}
        self._unsent: defaultdict[str, int] = defaultdict(int)
        self._under_way: dict[str, _Increment] = {}
        self._used: dict[str, int] = {}
        # By plan in use: the counters that are at their limit, and whom that exhausts.
        self._full: dict[BudgetPlan, set[str]] = {}
        self._held: dict[BudgetPlan, _Held] = {}
        # Up to which sequence of its stream each counter was read. Only the loop knows it.
        self._read_to: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many choices JetStream has not confirmed yet."""
        with self._lock:
            return sum(self._unsent.values()) + sum(one.number for one in self._under_way.values())

    async def prepare(self, *plans: BudgetPlan) -> bool:
        """Learn what is used of the budgets of plans that are about to be used. False: JetStream did not answer."""
        return await self._read(plans)

    def use(self, *plans: BudgetPlan) -> None:
        """Count for these plans from now on: a catalogue, and its variants in experiments. The counts go on."""
        with self._lock:
            self._full = {
                plan: {counter for counter, used in self._used.items() if _is_full(plan, counter, used)}
                for plan in plans
            }
            self._held = {}

    def take(self, actions: Sequence[str], now: datetime) -> None:
        """Count actions that were chosen at `now`, each time that they stand there. From any thread.

        Whichever plan chose them: the budget of an action is one, also where a variant gives it another size.
        """
        with self._lock:
            for action in actions:
                for counter in {name for plan in self._full for name in plan.counters(action, now)}:
                    self._unsent[counter] += 1
                    self._recount(counter)

    def exhausted(self, plan: BudgetPlan, now: datetime) -> Exhausted:
        """Whose budget is used up at `now`, in the rows of `plan`. From any thread.

        A decision that began before another plan came into use asks for the rows of its own.
        """
        held, now_ms = self._held.get(plan), milliseconds(now)
        if held is not None and held.since_ms <= now_ms and (now_ms < held.until_ms or not held.until_ms):
            return held.exhausted
        with self._lock:
            full = self._full.get(plan)
            if full is None:
                return plan.exhausted(self._used, now)
            exhausted = plan.exhausted({counter: self._used[counter] for counter in full}, now)
            self._held[plan] = _Held(now_ms, plan.next_day_ms(now), exhausted)
        return exhausted

    async def run(self) -> None:
        """Send and read for ever."""
        answered = True
        for number in count(1):
            await asyncio.sleep(_SEND_SECONDS)
            answers = await self.send()
            if answers and number % _SENDS_PER_READ == 0:
                answers = await self.read()
            if answered and not answers:
                log.warning("budgets_wait", choices=self.waiting)
            elif answers and not answered:
                log.info("budgets_counted")
            answered = answers

    async def send(self) -> bool:
        """Send what was taken, one message for each counter. False: JetStream did not answer for all of it."""
        async with self._talking:
            due = self._due()
            for start in range(0, len(due), _AT_ONCE):
                chunk = due[start : start + _AT_ONCE]
                if not all(await asyncio.gather(*(self._delivered(*one) for one in chunk))):
                    return False
        return True

    async def read(self) -> bool:
        """Learn what the other replicas took. False: JetStream did not answer."""
        return await self._read(tuple(self._full))

    async def flush(self, timeout_seconds: float) -> None:
        """Send what was taken, at the end of the service. What cannot be sent in time is counted in the log."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.waiting:
                    if not await self.send():
                        await asyncio.sleep(_SEND_SECONDS)
        except TimeoutError:
            log.error("budget_counts_lost", choices=self.waiting)

    def _due(self) -> list[tuple[str, _Increment]]:
        """What is under way, with what was taken since of other counters."""
        with self._lock:
            for counter in [one for one in self._unsent if one not in self._under_way]:
                self._under_way[counter] = _Increment(self._unsent.pop(counter), f"{self._own}-{next(self._numbers)}")
            return list(self._under_way.items())

    async def _delivered(self, counter: str, increment: _Increment) -> bool:
        """Whether JetStream has counted an increment; what it said is known then."""
        try:
            total = await self._add(counter, increment.number, increment.message_id)
            added = increment.number
            if total is None:
                # An earlier attempt was stored, and its answer was lost: the total has it. Adding nothing tells it.
                total, added = await self._add(counter, 0, None) or 0, 0
        except (nats.errors.Error, OSError, Retryable) as error:
            log.debug("budget_not_sent", counter=counter, error=str(error) or repr(error))
            return False
        with self._lock:
            del self._under_way[counter]
            # Never less than before, and what we added: not even when the stream was lost and begins anew.
            self._known[counter] = max(total, self._known.get(counter, 0) + added)
            self._recount(counter)
        return True

    async def _add(self, counter: str, number: int, message_id: str | None) -> int | None:
        """Count on, and return the total; None for a repetition, which was not counted."""
        if not self._client.is_connected:
            raise Retryable("NATS cannot be reached")
        _, subject = place_of(counter)
        headers = {"Nats-Incr": str(number)} | ({"Nats-Msg-Id": message_id} if message_id else {})
        # Without the name of the stream that is expected: a counter takes no such header.
        ack = await self._js.publish(subject, headers=headers)
        return None if ack.val is None else int(ack.val)

    async def _read(self, plans: Sequence[BudgetPlan]) -> bool:
        now = self._clock()
        self._forget_before(now - timedelta(days=3))
        places: dict[str, dict[str, str]] = {TOTALS: {}, DAYS: {}}
        for counter in dict.fromkeys(name for plan in plans for name in plan.all_counters(now)):
            for name in (counter, given_back(counter)):  # side by side, so that they are read at once
                stream, subject = place_of(name)
                places[stream][subject] = counter
        try:
            async with self._talking:
                for stream, counters in places.items():
                    for chunk in _chunks(counters):
                        await self._read_some(stream, chunk)
        except (nats.errors.Error, OSError, Retryable) as error:
            log.debug("budgets_not_read", error=str(error) or repr(error))
            self._read_to = {}  # whatever happened to the stream: begin at its first message
            return False
        return True

    async def _read_some(self, stream: str, counters: Mapping[str, str]) -> None:
        """Read those of the counters, by subject, that have changed."""
        if not self._client.is_connected:
            raise Retryable("NATS cannot be reached")
        first = min(self._read_to.get(counter, 0) for counter in counters.values()) + 1
        totals, read_to = await self._last_values(stream, list(counters), first)
        with self._lock:
            for subject, total in totals.items():
                counter = counters[subject]
                held = self._known if subject == place_of(counter)[1] else self._given_back
                # A follower may answer, with less than the leader told us.
                held[counter] = max(total, held.get(counter, 0))
                self._recount(counter)
        for counter in counters.values():
            self._read_to[counter] = max(read_to, self._read_to.get(counter, 0))

    async def _last_values(self, stream: str, subjects: Sequence[str], first: int) -> tuple[dict[str, int], int]:
        """The totals by subject that were stored from a sequence on, and up to which sequence that is true."""
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox)
        try:
            request = {"multi_last": list(subjects), "seq": first}
            await self._client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), inbox)
            return await _received(subscription)
        finally:
            await subscription.unsubscribe()

    def _forget_before(self, day: datetime) -> None:
        """Let go of the counters of days that are over everywhere."""
        oldest = day.date().isoformat()
        with self._lock:
            over = [one for one in self._used if one.rpartition(".")[2] < oldest]  # 'total' is after all digits
            for counter in over:
                if counter not in self._unsent and counter not in self._under_way:
                    self._known.pop(counter, None)
                    self._given_back.pop(counter, None)
                    self._used.pop(counter)
                    for full in self._full.values():
                        full.discard(counter)
                    self._read_to.pop(counter, None)

    def _recount(self, counter: str) -> None:
        """After a change, under the lock. What is held goes on unless the change crosses the limit."""
        under_way = self._under_way.get(counter)
        counted = max(0, self._known.get(counter, 0) - self._given_back.get(counter, 0))
        used = counted + self._unsent.get(counter, 0) + (under_way.number if under_way else 0)
        self._used[counter] = used
        for plan, full in self._full.items():
            if _is_full(plan, counter, used) != (counter in full):
                full ^= {counter}
                self._held.pop(plan, None)


def _is_full(plan: BudgetPlan, counter: str, used: int) -> bool:
    limit = plan.limit(counter)
    return limit is not None and used >= limit


def place_of(counter: str) -> tuple[str, str]:
    """The stream and subject of a counter. '~' stands for the dots of an action's id, which has none of its own."""
    action, _, span = counter.rpartition(".")
    token = action.replace(".", "~")
    return (TOTALS, f"budgets.total.{token}") if span == TOTAL else (DAYS, f"budgets.day.{span}.{token}")


def _chunks(counters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    items = list(counters.items())
    for start in range(0, len(items), _AT_ONCE):
        yield dict(items[start : start + _AT_ONCE])


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
