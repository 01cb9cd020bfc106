"""A method that is answered on the thread that receives it, as clients of a real server see it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf
from typing import Any

import grpc
import pytest

from wayline.direct import MOST_READ, DirectMethod, Handler
from wayline.errors import InvalidField, Retryable

PATH = "/wayline.test.Shop/Ask"
KiB = 1 << 10
Ask = Callable[..., bytes]


@contextmanager
def serving(
    handler: Handler, *, most_calls: int = 100, most_threads: int = 64, read_seconds: float = 30.0
) -> Iterator[tuple[grpc.Server, int, DirectMethod]]:
    """A server with one direct method, and one of grpcio's own beside it; and its port."""
    pool = ThreadPoolExecutor(2)
    direct = DirectMethod(
        PATH, handler, pool, most_calls=most_calls, most_threads=most_threads, read_seconds=read_seconds
    )
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", 64 * KiB)])
    usual = grpc.unary_unary_rpc_method_handler(lambda data, _context: b"usual " + data)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("wayline.test.Shop", {"Usual": usual})])
    direct.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    direct.start()
    try:
        yield server, port, direct
    finally:
        server.stop(5).wait()
        pool.shutdown()
        direct.stop(5)


@contextmanager
def served(handler: Handler, **options: Any) -> Iterator[tuple[grpc.Channel, DirectMethod]]:
    """The same, with a channel to it."""
    with serving(handler, **options) as (_, port, direct), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, direct


@contextmanager
def asked(handler: Handler, **options: Any) -> Iterator[Ask]:
    with served(handler, **options) as (channel, _):
        yield channel.unary_unary(PATH)


@asynccontextmanager
async def watched(direct: DirectMethod) -> AsyncIterator[None]:
    watching = asyncio.create_task(direct.watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def status(ask: Ask, request: bytes = b"", **options: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        ask(request, **options)
    return refused.value.code(), refused.value.details()


def echo(data: bytes, _remaining: float) -> bytes:
    return b"you said " + data


# Answers


def test_a_request_is_answered_by_its_own_bytes() -> None:
    with asked(echo) as ask:
        assert ask(b"hello") == b"you said hello"
        assert ask(b"") == b"you said "


def test_many_callers_at_once_each_get_their_own_answer() -> None:
    with asked(echo) as ask, ThreadPoolExecutor(16) as callers:
        asked_for = [b"%d" % number for number in range(2_000)]
        assert list(callers.map(ask, asked_for)) == [b"you said " + one for one in asked_for]


def test_requests_beyond_those_that_are_read_at_once_have_their_turn_too() -> None:
    begun, gate = threading.Event(), threading.Event()

    def handler(data: bytes, _remaining: float) -> bytes:
        begun.set()
        gate.wait(30)
        return data

    with served(handler, most_calls=1_000) as (channel, _):
        ask = channel.unary_unary(PATH)
        calls = [ask.future(bytes(KiB)) for _ in range(3 * MOST_READ)]
        assert begun.wait(20)
        gate.set()
        assert all(call.result(20) == bytes(KiB) for call in calls)


def test_methods_beside_it_on_the_same_port_go_grpcios_own_way() -> None:
    with served(echo) as (channel, _):
        assert channel.unary_unary("/wayline.test.Shop/Usual")(b"hello") == b"usual hello"
        assert status(channel.unary_unary("/wayline.test.Shop/Unknown"))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_a_compressed_request_is_read() -> None:
    with asked(echo) as ask:
        text = b"hello " * 1_000
        assert ask(text, compression=grpc.Compression.Gzip) == b"you said " + text


def test_the_handler_is_told_how_long_its_caller_waits() -> None:
    told: list[float] = []

    def handler(_data: bytes, remaining: float) -> bytes:
        told.append(remaining)
        return b""

    with asked(handler) as ask:
        ask(b"", timeout=20)
        ask(b"")
    assert 0 < told[0] < 21  # the core rounds
    assert told[1] == inf or told[1] > 1e9


# What has to wait


def test_what_has_to_wait_holds_up_nobody() -> None:
    gate = threading.Event()

    def handler(data: bytes, _remaining: float) -> bytes | Callable[[], bytes]:
        return data if data == b"quick" else lambda: data if gate.wait(30) else b""

    with served(handler) as (channel, _):
        ask = channel.unary_unary(PATH)
        slow = ask.future(b"slow")
        assert ask(b"quick", timeout=20) == b"quick"
        assert not slow.done()
        gate.set()
        assert slow.result(20) == b"slow"


def test_when_too_many_wait_more_are_refused_and_later_welcome_again() -> None:
    gate, refusals = threading.Event(), threading.Semaphore(0)

    def handler(_data: bytes, _remaining: float) -> Callable[[], bytes]:
        return lambda: b"at last" if gate.wait(30) else b""

    with served(handler, most_calls=2) as (channel, _):
        ask = channel.unary_unary(PATH)
        calls = [ask.future(b"", timeout=30) for _ in range(10)]
        for call in calls:
            call.add_done_callback(lambda _: refusals.release())
        assert all(refusals.acquire(timeout=20) for _ in range(8))
        refused = [call for call in calls if call.done()]
        assert {(call.code(), call.details()) for call in refused} == {
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "2 calls are under way already; try again later")
        }
        gate.set()
        assert [call.result(20) for call in calls if call not in refused] == [b"at last"] * 2
        assert _eventually(lambda: ask(b"", timeout=20)) == b"at last"


def _eventually(ask: Callable[[], bytes]) -> bytes:
    until = time.monotonic() + 20
    while True:
        try:
            return ask()
        except grpc.RpcError:
            assert time.monotonic() < until


def test_callers_who_are_refused_and_come_again_at_once_keep_nobody_from_an_answer() -> None:
    with asked(echo, most_calls=2) as ask, ThreadPoolExecutor(16) as callers:
        asked_for = [b"%d" % number for number in range(200)]
        answers = callers.map(lambda data: _eventually(lambda: ask(data, timeout=20)), asked_for)
        assert list(answers) == [b"you said " + one for one in asked_for]


def _within(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not true() and time.monotonic() < until:
        time.sleep(0.001)
    return true()


def test_who_gives_up_while_waiting_harms_nobody() -> None:
    gate = threading.Event()

    def handler(data: bytes, _remaining: float) -> bytes | Callable[[], bytes]:
        return data if data == b"quick" else lambda: data if gate.wait(30) else b""

    with served(handler) as (channel, _):
        ask = channel.unary_unary(PATH)
        assert status(ask, b"slow", timeout=0.1)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        call = ask.future(b"slow")
        call.cancel()
        gate.set()
        assert ask(b"quick", timeout=20) == b"quick"


def test_nothing_is_done_for_who_has_given_up_before_it_was_their_turn() -> None:
    begun, gate = threading.Event(), threading.Event()
    handled: list[bytes] = []

    def handler(data: bytes, _remaining: float) -> bytes:
        handled.append(data)
        if data == b"slow":
            begun.set()
            gate.wait(30)
        return data

    with served(handler) as (channel, _):
        ask = channel.unary_unary(PATH)
        slow = ask.future(b"slow")
        assert begun.wait(20)
        assert status(ask, b"late", timeout=0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        time.sleep(0.3)  # the core's deadlines are rounded
        gate.set()
        assert slow.result(20) == b"slow"
        assert ask(b"in time", timeout=20) == b"in time"
    assert handled == [b"slow", b"in time"]


def test_what_has_waited_until_its_caller_gave_up_is_not_done_any_more() -> None:
    gate = threading.Event()
    done: list[bytes] = []

    def handler(data: bytes, _remaining: float) -> Callable[[], bytes]:
        def later() -> bytes:
            done.append(data)
            gate.wait(30)
            return data

        return later

    with served(handler) as (channel, _):
        ask = channel.unary_unary(PATH)
        first = [ask.future(b"first") for _ in range(2)]  # as many as the pool has threads
        assert _within(lambda: len(done) == 2)
        assert status(ask, b"late", timeout=0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        time.sleep(0.3)  # the core's deadlines are rounded
        gate.set()
        assert [one.result(20) for one in first] == [b"first"] * 2
        assert ask(b"in time", timeout=20) == b"in time"
    assert done == [b"first", b"first", b"in time"]


async def test_calls_whose_request_never_comes_keep_nobody_from_an_answer() -> None:
    never = threading.Event()

    def nothing_yet() -> Iterator[bytes]:
        never.wait(60)
        yield from ()

    with served(echo, read_seconds=0.2) as (channel, direct):
        async with watched(direct):
            silent = [channel.stream_unary(PATH).future(nothing_yet()) for _ in range(MOST_READ)]
            assert await asyncio.to_thread(channel.unary_unary(PATH), b"hello", timeout=20) == b"you said hello"
            for call in silent:
                error = await asyncio.to_thread(call.exception, 20)
                assert (error.code(), error.details()) == (
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    "the request did not come within 0.2 s",
                )
            never.set()


# Errors


def test_an_error_of_ours_becomes_the_status_that_belongs_to_it() -> None:
    def handler(data: bytes, _remaining: float) -> bytes | Callable[[], bytes]:
        if data == b"at once":
            raise InvalidField("customer", "expected an identifier")
        return later

    def later() -> bytes:
        raise Retryable("no catalogue yet")

    with asked(handler) as ask:
        assert status(ask, b"at once") == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "customer: expected an identifier",
        )
        assert status(ask, b"later") == (grpc.StatusCode.UNAVAILABLE, "no catalogue yet")


def test_a_defect_is_told_without_its_text_and_the_next_call_is_answered() -> None:
    def handler(data: bytes, _remaining: float) -> bytes | Callable[[], bytes]:
        if data == b"well":
            return data
        if data == b"later":
            return lambda: _fail("ada@example.org")
        return _fail("ada@example.org")

    with asked(handler) as ask:
        for request in (b"now", b"later"):
            assert status(ask, request) == (grpc.StatusCode.INTERNAL, "a defect of the service; its log says more")
        assert ask(b"well") == b"well"


def _fail(text: str) -> bytes:
    raise RuntimeError(text)


def test_a_request_that_is_too_large_is_refused() -> None:
    with asked(echo) as ask:
        assert status(ask, bytes(65 * KiB))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ask(b"small") == b"you said small"


def test_a_call_without_a_request_is_refused() -> None:
    with served(echo) as (channel, _):
        with pytest.raises(grpc.RpcError) as refused:
            channel.stream_unary(PATH)(iter(()), timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert refused.value.details() == "the method takes exactly one request message"


# A thread that stands still


async def test_where_a_call_keeps_the_thread_another_takes_the_next_ones() -> None:
    gate = threading.Event()

    def handler(data: bytes, _remaining: float) -> bytes:
        if data == b"stuck":
            gate.wait(30)
        return data

    with served(handler) as (channel, direct):
        ask = channel.unary_unary(PATH)
        async with watched(direct):
            stuck = [ask.future(b"stuck") for _ in range(3)]
            assert await asyncio.to_thread(ask, b"quick", timeout=20) == b"quick"
            assert not any(one.done() for one in stuck)
            gate.set()
            assert await asyncio.to_thread(lambda: [one.result(20) for one in stuck]) == [b"stuck"] * 3
            assert await asyncio.to_thread(ask, b"quick", timeout=20) == b"quick"


async def test_it_hangs_when_every_thread_that_there_may_be_stands_still() -> None:
    gate = threading.Event()

    def handler(_data: bytes, _remaining: float) -> bytes:
        gate.wait(60)
        return b""

    with served(handler, most_threads=3) as (channel, direct):
        ask = channel.unary_unary(PATH)
        async with watched(direct):
            assert not direct.hangs
            stuck = [ask.future(b"") for _ in range(4)]
            async with asyncio.timeout(30):
                while not direct.hangs:
                    await asyncio.sleep(0.01)
            gate.set()
            await asyncio.to_thread(lambda: [one.result(20) for one in stuck])
            async with asyncio.timeout(30):
                while direct.hangs:
                    await asyncio.sleep(0.01)


async def test_a_thread_that_died_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(echo) as (channel, direct):
        assert channel.unary_unary(PATH)(b"before", timeout=20) == b"you said before"
        poll = direct._queue.poll
        failures = [MemoryError()]

        class Failing:
            def poll(self, deadline: float | None) -> Any:
                if failures:
                    raise failures.pop()
                return poll(deadline)

        assert direct._poller is not None
        direct._poller._queue = Failing()
        with suppress(grpc.RpcError):  # the thread fails when it has taken this
            await asyncio.to_thread(channel.unary_unary(PATH), b"", timeout=0.5)
        async with watched(direct):
            assert await asyncio.to_thread(channel.unary_unary(PATH), b"after", timeout=20) == b"you said after"
        assert not failures


# The end


def test_calls_under_way_whose_client_is_gone_do_no_harm_at_the_end() -> None:
    def handler(data: bytes, _remaining: float) -> bytes:
        time.sleep(0.005)
        return data

    with serving(handler) as (server, port, direct):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary(PATH)
            calls = [ask.future(b"") for _ in range(60)]
            assert calls[0].result(20) == b""
        server.stop(0).wait()
        direct.stop(20)
        assert not direct._calls


def test_calls_under_way_are_finished_before_the_server_ends_and_no_new_ones_begin() -> None:
    begun, gate = threading.Event(), threading.Event()

    def handler(_data: bytes, _remaining: float) -> Callable[[], bytes]:
        def later() -> bytes:
            begun.set()
            gate.wait(30)
            return b"finished"

        return later

    with serving(handler) as (server, port, _), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(PATH)
        call = ask.future(b"", timeout=30)
        assert begun.wait(20)
        stopped = server.stop(30)
        assert status(ask, timeout=5)[0] is grpc.StatusCode.UNAVAILABLE
        gate.set()
        assert call.result() == b"finished"
        assert stopped.wait(20)
