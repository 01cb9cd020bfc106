"""Budgets across replicas, on real NATS: what is promised, and what happens when a server or a replica goes away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from tests.support.decisions import a_catalog, an_action
from tests.support.nats import NatsServer

from wayline import bus
from wayline_decision.budget_streams import DAYS, TOTALS, ensure_counters
from wayline_decision.budgets import Budgets
from wayline_decision.core.budget import BudgetPlan, compile_budgets

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE_SECONDS = 20


def a_plan(**declared: dict[str, Any]) -> BudgetPlan:
    """Actions with their budgets, one row each."""
    actions = [an_action(name, budget=budget) for name, budget in declared.items()]
    return compile_budgets(a_catalog(actions), list(declared))


@asynccontextmanager
async def replica(url: str, plan: BudgetPlan) -> AsyncIterator[Budgets]:
    """One replica's budgets, ready to decide; nothing runs in the background."""
    async with bus.connect(url, "replica") as client:
        yield await ready(client, plan)


async def ready(client: Client, plan: BudgetPlan) -> Budgets:
    """Budgets as the service starts them."""
    budgets = Budgets(client, clock=lambda: NOON)
    await ensure_counters(client.jetstream(), 1)
    assert await budgets.prepare(plan)
    budgets.use(plan)
    return budgets


@asynccontextmanager
async def running(budgets: Budgets) -> AsyncIterator[None]:
    """As the service runs it."""
    task = asyncio.create_task(budgets.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def chosen(budgets: Budgets, plan: BudgetPlan, action: str, times: int, now: datetime = NOON) -> int:
    """How many of so many customers get the action."""
    got = 0
    for _ in range(times):
        if action not in budgets.exhausted(plan, now).actions:
            budgets.take([action], now)
            got += 1
    return got


@asynccontextmanager
async def silent(server: NatsServer) -> AsyncIterator[None]:
    """A server that takes what it is sent and does not answer."""
    async with bus.connect(server.url, "probe") as probe:
        server.pause()
        with suppress(nats.errors.TimeoutError):
            while True:  # the signal takes effect some time after it was sent
                await probe.flush(timeout=1)
        yield
        server.resume()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
async def url(js: JetStreamContext, nats_url: str) -> str:
    """An empty JetStream."""
    return nats_url


# One replica


async def test_one_replica_never_exceeds_a_budget_however_many_threads_decide(url: str) -> None:
    plan, deciding = a_plan(a={"total": 1_000}, b={"per_day": 500}), threading.Lock()
    got = {"a": 0, "b": 0}

    def decide(budgets: Budgets) -> None:
        for _ in range(400):
            for action in got:
                with deciding:
                    got[action] += chosen(budgets, plan, action, 1)

    async with replica(url, plan) as budgets, running(budgets):
        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, decide, budgets) for _ in range(4)))
        await until(lambda: not budgets.waiting)
        assert got == {"a": 1_000, "b": 500}
        assert budgets.exhausted(plan, NOON) == (0b11, ("a", "b"))


async def test_an_action_that_stands_twice_in_a_response_counts_twice(url: str) -> None:
    plan = a_plan(a={"total": 2})
    async with replica(url, plan) as budgets:
        budgets.take(["a", "a", "without a budget"], NOON)
        assert budgets.exhausted(plan, NOON).actions == ("a",)


async def test_the_next_day_begins_with_a_whole_budget(url: str) -> None:
    plan = a_plan(a={"per_day": 3})
    async with replica(url, plan) as budgets:
        assert chosen(budgets, plan, "a", 5) == 3
        assert await budgets.send()
        assert chosen(budgets, plan, "a", 5, NOON + timedelta(days=1)) == 3
        assert chosen(budgets, plan, "a", 5) == 0


async def test_a_budget_that_is_raised_goes_on_from_its_count(url: str) -> None:
    plan, raised = a_plan(a={"total": 3}), a_plan(b={"total": 1}, a={"total": 5})
    async with replica(url, plan) as budgets:
        assert chosen(budgets, plan, "a", 9) == 3
        budgets.use(raised)
        assert chosen(budgets, raised, "a", 9) == 2
        assert budgets.exhausted(raised, NOON).mask == 0b10


async def test_a_decision_that_began_with_the_last_catalogue_asks_for_its_own_rows(url: str) -> None:
    before, after = a_plan(a={"total": 1}, b={"total": 1}), a_plan(b={"total": 1}, a={"total": 1})
    async with replica(url, before) as budgets:
        budgets.take(["b"], NOON)
        budgets.use(after)
        assert budgets.exhausted(after, NOON).mask == 0b01
        assert budgets.exhausted(before, NOON).mask == 0b10
        assert budgets.exhausted(after, NOON).mask == 0b01


async def test_a_catalogue_and_its_variant_share_one_count_and_keep_each_its_own_limit(url: str) -> None:
    plan, variant = a_plan(a={"total": 5}), a_plan(b={"total": 9}, a={"total": 3})
    async with replica(url, plan) as budgets:
        assert await budgets.prepare(plan, variant)
        budgets.use(plan, variant)
        assert chosen(budgets, plan, "a", 2) == 2
        assert chosen(budgets, variant, "a", 9) == 1
        assert budgets.exhausted(variant, NOON).mask == 0b10
        assert chosen(budgets, plan, "a", 9) == 2


async def test_what_only_a_variant_limits_is_counted_too(url: str) -> None:
    plan, variant = a_plan(a={"total": 5}), a_plan(b={"total": 2}, a={"total": 5})
    async with replica(url, plan) as budgets:
        budgets.use(plan, variant)
        assert chosen(budgets, plan, "b", 4) == 4  # the catalogue itself does not limit it
        assert chosen(budgets, variant, "b", 4) == 0


# Several replicas


async def test_replicas_that_hear_of_each_other_in_time_keep_a_budget_exactly(url: str) -> None:
    plan = a_plan(a={"total": 30})
    async with replica(url, plan) as one, replica(url, plan) as other:
        got = 0
        for _ in range(20):
            for budgets in (one, other):
                assert await budgets.read()
                got += chosen(budgets, plan, "a", 4)
                assert await budgets.send()
        assert got == 30


async def test_replicas_exceed_a_budget_by_no_more_than_the_others_choose_between_two_answers(url: str) -> None:
    plan, at_once = a_plan(a={"total": 100, "per_day": 90}), 7
    async with replica(url, plan) as one, replica(url, plan) as other:
        got = 0
        for _ in range(20):
            got += chosen(one, plan, "a", at_once) + chosen(other, plan, "a", at_once)
            assert all(await asyncio.gather(one.send(), other.send()))
            assert all(await asyncio.gather(one.read(), other.read()))
        assert 90 <= got <= 90 + at_once
        for budgets in (one, other):
            assert budgets.exhausted(plan, NOON).actions == ("a",)


async def test_what_another_replica_used_up_is_seen_without_choosing_it(url: str) -> None:
    plan = a_plan(a={"total": 5}, b={"per_day": 5})
    async with replica(url, plan) as one, replica(url, plan) as other, running(one), running(other):
        chosen(one, plan, "a", 5)
        chosen(one, plan, "b", 5)
        await until(lambda: other.exhausted(plan, NOON).actions == ("a", "b"))


async def test_more_budgets_than_jetstream_reads_at_once_are_seen_too(url: str) -> None:
    plan = a_plan(**{f"a.{number}": {"total": 1, "per_day": 1} for number in range(700)})
    async with replica(url, plan) as one, replica(url, plan) as other:
        one.take(list(plan.limits), NOON)
        assert await one.send()
        assert await other.read()
        assert len(other.exhausted(plan, NOON).actions) == 700


async def test_actions_whose_ids_differ_by_their_marks_only_are_counted_apart(url: str) -> None:
    plan = a_plan(**{name: {"total": 2} for name in ("a.b", "a-b", "a_b", "a.b.total")})
    async with replica(url, plan) as one, replica(url, plan) as other:
        one.take(["a.b", "a.b", "a-b"], NOON)
        assert await one.send()
        assert await other.read()
        assert other.exhausted(plan, NOON).actions == ("a.b",)


# Going away and coming back


async def test_counts_survive_the_restart_of_a_replica(url: str) -> None:
    plan = a_plan(a={"total": 10, "per_day": 8})
    async with replica(url, plan) as budgets:
        assert chosen(budgets, plan, "a", 6) == 6
        await budgets.flush(PATIENCE_SECONDS)
        assert budgets.waiting == 0
    async with replica(url, plan) as budgets:
        assert chosen(budgets, plan, "a", 6) == 2


async def test_a_replica_that_is_killed_before_it_hears_the_answer_has_counted_once(tmp_path: Path) -> None:
    plan = a_plan(a={"total": 10})
    with NatsServer(tmp_path) as server:
        async with bus.connect(server.url, "killed") as client:
            killed = await ready(client, plan)
            chosen(killed, plan, "a", 4)
            async with silent(server):
                sent = client.stats["out_msgs"]
                sending = asyncio.create_task(killed.send())
                await until(lambda: client.stats["out_msgs"] > sent and not client.pending_data_size)
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
                assert killed.waiting == 4
        async with replica(server.url, plan) as next_one:
            assert chosen(next_one, plan, "a", 10) == 6


async def test_an_increment_whose_answer_was_lost_is_sent_again_and_counts_once(tmp_path: Path) -> None:
    plan = a_plan(a={"total": 10})
    with NatsServer(tmp_path) as server:
        async with replica(server.url, plan) as one, replica(server.url, plan) as other:
            chosen(one, plan, "a", 4)
            async with silent(server):
                assert not await one.send()
                assert chosen(one, plan, "a", 2) == 2  # it goes on meanwhile
            await one.flush(PATIENCE_SECONDS)
            assert await other.read()
            assert chosen(other, plan, "a", 10) == 4
            assert chosen(one, plan, "a", 10) == 4  # it has not heard of the other's


async def test_while_jetstream_is_away_a_budget_holds_and_afterwards_nothing_is_lost(tmp_path: Path) -> None:
    plan = a_plan(a={"total": 10})
    with NatsServer(tmp_path) as server:
        async with replica(server.url, plan) as one, replica(server.url, plan) as other, running(one):
            assert chosen(one, plan, "a", 2) == 2
            await until(lambda: not one.waiting)
            server.kill()
            assert chosen(one, plan, "a", 20) == 8
            assert not await one.send()
            server.start()
            await until(lambda: not one.waiting)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await other.read():
                    await asyncio.sleep(0.05)
            assert chosen(other, plan, "a", 20) == 0


async def test_an_increment_stored_just_before_the_server_was_killed_counts_once(tmp_path: Path) -> None:
    plan = a_plan(a={"total": 10})
    with NatsServer(tmp_path) as server:
        async with replica(server.url, plan) as one, replica(server.url, plan) as other:
            chosen(one, plan, "a", 4)
            async with silent(server):
                assert not await one.send()
            await until_stored(other, plan, 4)
            server.kill()
            server.start()
            await one.flush(PATIENCE_SECONDS)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await other.read():
                    await asyncio.sleep(0.05)
            assert chosen(other, plan, "a", 10) == 6


async def until_stored(budgets: Budgets, plan: BudgetPlan, number: int) -> None:
    """Until another replica sees so many of 'a'."""
    seen = a_plan(a={"total": number})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "a" not in budgets.exhausted(seen, NOON).actions:
            await budgets.read()
            await asyncio.sleep(0.05)


async def test_a_budget_holds_even_when_the_counters_are_lost(url: str, js: JetStreamContext) -> None:
    plan = a_plan(a={"total": 10})
    async with replica(url, plan) as budgets:
        assert chosen(budgets, plan, "a", 6) == 6
        assert await budgets.send()
        await js.delete_stream(TOTALS)
        await ensure_counters(js, 1)
        got = 0
        for _ in range(5):
            got += chosen(budgets, plan, "a", 2)
            assert await budgets.send()
            assert await budgets.read()
        assert got == 4


async def test_counts_that_cannot_be_sent_in_time_end_the_service_nevertheless(tmp_path: Path) -> None:
    plan = a_plan(a={"total": 10})
    with NatsServer(tmp_path) as server:
        async with replica(server.url, plan) as budgets:
            chosen(budgets, plan, "a", 4)
            server.kill()
            await budgets.flush(0.3)
            assert budgets.waiting == 4


# The streams


async def test_totals_are_kept_for_ever_and_days_for_as_long_as_they_last(js: JetStreamContext) -> None:
    await ensure_counters(js, 1)
    assert (await js.stream_info(TOTALS)).config.max_age == 0
    assert (await js.stream_info(DAYS)).config.max_age == 3 * 86_400


async def test_counters_of_an_earlier_version_get_the_limits_of_this_one(js: JetStreamContext) -> None:
    older = StreamConfig(name=TOTALS, subjects=["budgets.total.*"], allow_msg_counter=True, max_msgs_per_subject=5)
    await js.add_stream(older)
    await js.publish("budgets.total.a", headers={"Nats-Incr": "7"})
    await ensure_counters(js, 1)
    info = await js.stream_info(TOTALS)
    assert info.config.max_msgs_per_subject == 64
    assert info.state.messages == 1
