"""Our own load generator and h2load's output."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from wayline_bench import http2
from wayline_bench.load import read_h2load
from wayline_bench.machine import BenchError

PATH = "/test.Echo/Echo"
H2LOAD = """
finished in {took}, 5047.50 req/s, 6.04MB/s
requests: 10094 total, 10110 started, 10094 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
traffic: 12.09MB (12672148) total, 29.65KB (30357) headers (space savings 96.29%), 11.60MB (12163270) data
"""


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers with the request, twice; to the request 'no' it says no."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"no":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return 2 * request

    server = grpc.server(futures.ThreadPoolExecutor(2))
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {"Echo": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()


def test_every_call_is_answered_with_its_message(echo: int) -> None:
    load = http2.generate("127.0.0.1", echo, PATH, [b"x" * 100], seconds=0.3, connections=2, streams=3)
    assert load.calls > 0
    assert load.failed == 0
    assert load.response_bytes == load.calls * (5 + 200)


def test_messages_larger_than_the_first_window_get_through(echo: int) -> None:
    load = http2.generate("127.0.0.1", echo, PATH, [b"x" * 15_000], seconds=0.5, connections=1, streams=8)
    assert load.calls > 8
    assert load.failed == 0


def test_a_call_that_fails_is_counted(echo: int) -> None:
    load = http2.generate("127.0.0.1", echo, PATH, [b"no", b"yes"], seconds=0.3, connections=1, streams=2)
    assert 0 < load.failed < load.calls


def test_bodies_survive_their_file(tmp_path: Path) -> None:
    http2.write_bodies(tmp_path / "bodies", [b"", b"one", b"two" * 1_000])
    assert http2.read_bodies(tmp_path / "bodies") == [b"", b"one", b"two" * 1_000]


@pytest.mark.parametrize("took", ["2.00s", "998.31ms"])
def test_h2load_says_how_fast_the_server_was(took: str) -> None:
    rate = read_h2load(H2LOAD.format(took=took, succeeded=10_094, failed=0))
    assert (rate.calls_per_s, round(rate.response_bytes)) == (5_047.5, 1_205)


def test_a_call_that_h2load_lost_is_no_result() -> None:
    with pytest.raises(BenchError, match="3 failed"):
        read_h2load(H2LOAD.format(took="2.00s", succeeded=10_091, failed=3))
