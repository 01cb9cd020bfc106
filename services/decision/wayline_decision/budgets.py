"""Budgets across replicas: what this process takes goes to JetStream, and what the others take comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count

import nats.errors
from nats.aio.client import Client

from wayline import logging
from wayline.errors import Retryable
from wayline_decision.budget_streams import DAYS, TOTALS, BudgetStreams, place_of
from wayline_decision.budget_tally import BudgetTally, Increment
from wayline_decision.core.budget import BudgetPlan, Exhausted, given_back

_SEND_SECONDS = 0.1
_SENDS_PER_READ = 10
_AT_ONCE = 256
"""How many counters are sent or read at once; JetStream reads at most 1,024."""
log = logging.get("budgets")


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
        self._streams = BudgetStreams(client)
        self._clock = clock
        self._tally = BudgetTally()
        # One at a time: a total that is read while an increment is answered would count the increment twice.
        self._talking = asyncio.Lock()
        # Up to which sequence of its stream each counter was read.
        self._read_to: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many choices JetStream has not confirmed yet."""
        return self._tally.waiting

    async def prepare(self, *plans: BudgetPlan) -> bool:
        """Learn what is used of the budgets of plans that are about to be used. False: JetStream did not answer."""
        return await self._read(plans)

    def use(self, *plans: BudgetPlan) -> None:
        """Count for these plans from now on: a catalogue, and its variants in experiments. The counts go on."""
        self._tally.use(plans)

    def take(self, actions: Sequence[str], now: datetime) -> None:
        """Count actions that were chosen at `now`, each time that they stand there. From any thread."""
        self._tally.take(actions, now)

    def exhausted(self, plan: BudgetPlan, now: datetime) -> Exhausted:
        """Whose budget is used up at `now`, in the rows of `plan`. From any thread."""
        return self._tally.exhausted(plan, now)

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
            due = self._tally.due()
            for start in range(0, len(due), _AT_ONCE):
                chunk = due[start : start + _AT_ONCE]
                if not all(await asyncio.gather(*(self._delivered(*one) for one in chunk))):
                    return False
        return True

    async def read(self) -> bool:
        """Learn what the other replicas took. False: JetStream did not answer."""
        return await self._read(self._tally.plans)

    async def flush(self, timeout_seconds: float) -> None:
        """Send what was taken, at the end of the service. What cannot be sent in time is counted in the log."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.waiting:
                    if not await self.send():
                        await asyncio.sleep(_SEND_SECONDS)
        except TimeoutError:
            log.error("budget_counts_lost", choices=self.waiting)

    async def _delivered(self, counter: str, increment: Increment) -> bool:
        """Whether JetStream has counted an increment; what it said is known then."""
        try:
            total = await self._streams.add(counter, increment.number, increment.message_id)
            added = increment.number
            if total is None:
                # An earlier attempt was stored, and its answer was lost: the total has it. Adding nothing tells it.
                total, added = await self._streams.add(counter, 0, None) or 0, 0
        except (nats.errors.Error, OSError, Retryable) as error:
            log.debug("budget_not_sent", counter=counter, error=str(error) or repr(error))
            return False
        self._tally.delivered(counter, total, added)
        return True

    async def _read(self, plans: Sequence[BudgetPlan]) -> bool:
        now = self._clock()
        for counter in self._tally.forget_before(now - timedelta(days=3)):
            self._read_to.pop(counter, None)
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
        first = min(self._read_to.get(counter, 0) for counter in counters.values()) + 1
        values, read_to = await self._streams.last_values(stream, list(counters), first)
        totals: dict[str, int] = {}
        back: dict[str, int] = {}
        for subject, value in values.items():
            counter = counters[subject]
            (totals if subject == place_of(counter)[1] else back)[counter] = value
        self._tally.read(totals, back)
        for counter in counters.values():
            self._read_to[counter] = max(read_to, self._read_to.get(counter, 0))


def _chunks(counters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    items = list(counters.items())
    for start in range(0, len(items), _AT_ONCE):
        yield dict(items[start : start + _AT_ONCE])
