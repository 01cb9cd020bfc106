"""Workers of one port hold a cap together: as processes, since the kernel's locks keep only processes apart."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided
from tests.support.sibling import now_ms, sibling

from wayline.v1 import events_pb2
from wayline_decision import port_memory
from wayline_decision.app import _siblings as siblings_by
from wayline_decision.core.contact import Met
from wayline_decision.ledger import Counted, Customer, Ledger
from wayline_decision.port_memory import PortMemory
from wayline_decision.reservations import Reservations
from wayline_decision.settings import DecisionSettings
from wayline_decision.siblings import Siblings

ADA = (b"ada",)


class Clock:
    """Of waiting: it goes on by what is waited."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses = 0

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1


@pytest.fixture
def memory() -> Iterator[int]:
    """Of a port with three workers."""
    descriptor = port_memory.create(3)
    yield descriptor
    os.close(descriptor)


def here(descriptor: int, worker: int = 1, clock: Clock | None = None) -> tuple[Siblings, Reservations]:
    """A worker in this process."""
    reservations, clock = Reservations(), clock or Clock()
    opened = PortMemory(descriptor)
    siblings = Siblings(opened, worker, reservations, pause=clock.pause, monotonic=lambda: clock.now)
    return siblings, reservations


def a_contact(decision: str = "d1") -> Met:
    return Met("impression", "boots", "web", now_ms(), decision)


def held(reservations: Reservations, key: str | bytes = b"ada") -> set[str]:
    return {one.decision_id for one in reservations.held(key, (), now_ms())}


def test_what_one_worker_promised_the_other_knows_before_it_decides_for_this_customer(memory: int) -> None:
    (one, _), (other, known) = here(memory, 1), here(memory, 2)
    one.tell((b"ada", "profile of ada"), [a_contact()])
    assert not known.holds_any(b"ada")
    with other.alone(ADA):
        assert held(known) == held(known, "profile of ada") == {"d1"}


def test_a_worker_does_not_hear_itself(memory: int) -> None:
    siblings, known = here(memory)
    siblings.tell(ADA, [a_contact()])
    siblings.drain()
    assert not known.holds_any(b"ada")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("limit", [1, 3])
def test_a_cap_is_used_to_the_last_contact_and_no_further_by_workers_that_are_asked_at_once(
    memory: int, limit: int
) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(sibling(memory, number)) for number in (1, 2, 3)]
        customers = [f"customer-{number}" for number in range(100)]
        for worker in workers:
            worker.tell("meet", limit, *(one for one in customers for _ in range(4)))
        met = Counter(one for worker in workers for one in worker.answer())
    assert met == dict.fromkeys(customers, limit)


@pytest.mark.timeout(120)
def test_workers_that_are_asked_in_any_order_do_not_wait_for_each_other_for_ever(memory: int) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(sibling(memory, number)) for number in (1, 2, 3)]
        customers = [f"customer-{number}" for number in range(5)] * 40
        for worker in workers:
            random.shuffle(customers)
            worker.tell("meet", 100, *customers)
        met = Counter(one for worker in workers for one in worker.answer())
    assert met == dict.fromkeys(customers, 100)


@pytest.mark.timeout(60)
def test_who_is_killed_in_the_middle_of_a_decision_holds_nobody_up_and_his_promises_hold(memory: int) -> None:
    clock = Clock()
    survivor, known = here(memory, 1, clock)
    with sibling(memory, 2) as victim:
        assert victim.asked("meet", 1, "ada", "bob") == ["ada", "bob"]
        assert victim.asked("hold", "ada") == ["holds"]
        victim.process.kill()
        victim.process.wait()
    with survivor.alone(ADA):
        assert len(held(known)) == 1
    assert clock.pauses == 0
    with sibling(memory, 2) as successor:
        assert successor.asked("meet", 1, "ada", "bob", "cyd") == ["cyd"]


@pytest.mark.timeout(60)
def test_who_is_stopped_in_the_middle_of_a_decision_is_not_waited_for_long_and_not_again_and_again(
    memory: int,
) -> None:
    clock = Clock()
    siblings, _ = here(memory, 1, clock)
    with sibling(memory, 2) as stopped, capture_logs() as lines:
        assert stopped.asked("hold", "ada") == ["holds"]
        os.kill(stopped.process.pid, signal.SIGSTOP)
        with siblings.alone((b"bob",)):
            assert clock.pauses == 0, "other customers are none of his business"
        with siblings.alone(ADA):
            assert 0.01 < clock.now < 0.1
        before = clock.pauses
        with siblings.alone(ADA):
            assert clock.pauses == before
        assert [line["event"] for line in lines] == ["sibling_holds_customer"]
        clock.now += 1.0
        with siblings.alone(ADA):
            assert clock.pauses == 2 * before
        os.kill(stopped.process.pid, signal.SIGCONT)
        assert stopped.asked("leave") == ["left"]
        with siblings.alone(ADA):
            assert clock.pauses == 2 * before
        assert stopped.asked("hold", "ada") == ["holds"]
        with siblings.alone(ADA):
            assert clock.pauses == 3 * before, "since he went on meanwhile, he is waited for again"


@pytest.mark.timeout(60)
def test_all_keys_of_a_customer_keep_others_away_and_in_ascending_order_only(memory: int) -> None:
    clock = Clock()
    siblings, _ = here(memory, 1, clock)
    with sibling(memory, 2) as other:
        assert other.asked("hold", "ada") == ["holds"]
        for keys in ((b"ada", "profile"), ("profile", b"ada"), (b"mail", b"ada")):
            before, clock.now = clock.pauses, clock.now + 1.0
            with siblings.alone(keys):
                assert clock.pauses > before, keys
    taken: list[int] = []

    class Watched(PortMemory):
        def lock(self, number: int) -> bool:
            taken.append(number)
            return super().lock(number)

    watched = Siblings(Watched(memory), 3, Reservations())
    keys = tuple(f"key {number}" for number in range(20))
    for order in (keys, keys[::-1]):
        with watched.alone(order):
            assert len(set(taken)) == 20
            assert taken == sorted(taken)
        taken.clear()


@pytest.mark.timeout(60)
def test_a_decision_that_fails_lets_the_others_go_on(memory: int) -> None:
    siblings, _ = here(memory)
    with suppress(ZeroDivisionError), siblings.alone(ADA):
        raise ZeroDivisionError
    with sibling(memory, 2) as other:
        assert other.asked("hold", "ada") == ["holds"]
        siblings.leave()  # what is not its own it does not give back
        clock = Clock()
        third, _ = here(memory, 3, clock)
        with third.alone(ADA):
            assert clock.pauses > 0


@pytest.mark.timeout(60)
def test_who_decides_nothing_for_a_long_time_misses_nothing_that_it_took_up_meanwhile(memory: int) -> None:
    (busy, _), (idle, known) = here(memory, 1), here(memory, 2)
    count = 20_000  # more than a ring holds
    for number in range(count):
        busy.tell((f"customer-{number}",), [a_contact()])
        if number % 1_000 == 0:
            idle.drain()
    idle.drain()
    assert len(known) == count


def test_who_was_held_up_for_too_long_says_that_promises_were_missed_and_goes_on(memory: int) -> None:
    (busy, _), (idle, known) = here(memory, 1), here(memory, 2)
    for number in range(20_000):
        busy.tell((f"customer-{number}",), [a_contact()])
    with capture_logs() as lines:
        idle.drain()
    assert [line["event"] for line in lines] == ["promises_missed"]
    assert known.holds_any("customer-19999")
    assert not known.holds_any("customer-0")


def test_a_promise_that_cannot_be_written_or_read_is_said_and_harms_no_other(memory: int) -> None:
    (one, _), (other, known) = here(memory, 1), here(memory, 2)
    with capture_logs() as lines:
        one.tell((b"ada",), [a_contact("d" * port_memory.RING_BYTES)])
        PortMemory(memory).ring(3).append(b"[{}]")
        one.tell((b"ada",), [a_contact("d2")])
        other.drain()
    assert [line["event"] for line in lines] == ["promise_too_long", "promise_unreadable"]
    assert held(known) == {"d2"}


async def test_who_decides_nothing_takes_up_what_the_others_promise_all_the_same(memory: int) -> None:
    (one, _), (idle, known) = here(memory, 1), here(memory, 2)
    running = asyncio.create_task(idle.run())
    one.tell(ADA, [a_contact()])
    async with asyncio.timeout(20):
        while not known.holds_any(b"ada"):
            await asyncio.sleep(0.001)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_without_a_supervisor_there_are_no_siblings_and_a_wrong_descriptor_ends_with_what_to_do(memory: int) -> None:
    for alone in ({}, {"decision_worker": 1}, {"decision_siblings": memory}):
        assert siblings_by(DecisionSettings(**alone), Reservations()) is None
    found = siblings_by(DecisionSettings(decision_worker=1, decision_siblings=memory), Reservations())
    assert found is not None
    assert found.port == PortMemory(memory).port
    for worker, descriptor in ((1, 9_999), (4, memory)):
        with pytest.raises(SystemExit, match="leave it to the supervisor: set WAYLINE_DECISION_WORKERS alone"):
            siblings_by(DecisionSettings(decision_worker=worker, decision_siblings=descriptor), Reservations())


def test_a_descriptor_of_something_else_is_refused(memory: int, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"wayline1")
    with (tmp_path / "other").open("rb") as other, pytest.raises(ValueError, match="no memory of a port"):
        PortMemory(other.fileno())
    with pytest.raises(ValueError, match="no memory of a port"):
        PortMemory(9_999)
    for worker in (0, 4):
        with pytest.raises(ValueError, match=f"worker {worker} is none of 3"):
            PortMemory(memory).ring(worker)


def test_where_there_is_no_memory_without_a_file_a_file_without_a_name_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "memfd_create")
    descriptor = port_memory.create(2)
    (one, _), (other, known) = here(descriptor, 1), here(descriptor, 2)
    one.tell(ADA, [a_contact()])
    with other.alone(ADA):
        assert held(known) == {"d1"}
    os.close(descriptor)


def test_every_port_has_an_id_of_its_own(memory: int) -> None:
    other = port_memory.create(1)
    try:
        assert PortMemory(memory).port == PortMemory(memory).port != PortMemory(other).port
    finally:
        os.close(other)


def test_the_ledgers_of_two_workers_hold_a_cap_together(memory: int) -> None:
    """Whatever they know the customer by."""
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})])
    counted = Counted(contacts=True, decisions_on=None)
    identifier = events_pb2.Identifier(kind="user_id", value="ada")
    stranger, known = Customer((b"ada",), identifier), Customer((b"ada", "profile of ada"), identifier)
    by_mail = Customer((b"mail of ada", "profile of ada"), identifier)
    ledgers = []
    for worker in (1, 2):
        reservations = Reservations(ttl_seconds=10.0**9)
        siblings = Siblings(PortMemory(memory), worker, reservations)
        ledgers.append(Ledger(reservations=reservations, siblings=siblings))
    one, other = ledgers
    with one.alone(plan, stranger):
        one.take(plan, counted, stranger, decided(plan, a_question(plan)), "d1", NOW)
    with other.alone(plan, known):
        limits, _ = other.limits(plan, known, None, NOW)
        assert {met.decision_id for met in limits.reserved} == {"d1"}
        other.take(plan, counted, known, decided(plan, a_question(plan)), "d2", NOW)
    with one.alone(plan, by_mail):
        limits, _ = one.limits(plan, by_mail, None, NOW)
        assert {met.decision_id for met in limits.reserved} == {"d2"}
