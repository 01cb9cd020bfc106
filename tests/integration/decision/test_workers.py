"""Several workers on one port, as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.ports import free_port
from tests.support.profile import make_event_stream
from tests.support.standins import alive, eventually
from tests.support.workers import Running, running_workers

from wayline.catalog.store import open_store
from wayline.health import probe
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2
from wayline_decision.workers import Workers, reserved

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that share a port need Linux")
SERVICE = "wayline.v1.DecisionService"
REQUEST = decision_pb2.DecideRequest(
    customer=events_pb2.Identifier(kind="user_id", value="ada"),
    placements=[decision_pb2.PlacementRequest(placement="hero")],
)


@pytest.fixture
async def running(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """Two workers that decide."""
    await make_event_stream(js)
    await (await open_store(js, max_bytes=64 << 20)).apply(a_catalog([an_action("plain")]))
    async with running_workers(nats_url, tmp_path / "log") as running:
        await eventually(lambda: len(running.listening()) == 2, "both listen")
        yield running


class Callers:
    """Clients with a connection each, that ask one thing after the other until they are told to stop."""

    def __init__(self, address: str, count: int) -> None:
        self._address = address
        self._stop = asyncio.Event()
        self.answered = 0
        self.failed = [0] * count
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(count)]

    async def _call(self, number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            stub = decision_pb2_grpc.DecisionServiceStub(channel)
            while not self._stop.is_set():
                try:
                    answer = await stub.Decide(REQUEST, timeout=10, wait_for_ready=True)
                    assert answer.placements[0].selections[0].action == "plain"
                    self.answered += 1
                except grpc.aio.AioRpcError:
                    self.failed[number] += 1

    async def more(self, count: int = 100) -> None:
        """Until so many more were answered."""
        wanted = self.answered + count
        await eventually(lambda: self.answered >= wanted, "the others go on serving")

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)


async def test_both_workers_serve_on_the_one_port(running: Running):
    callers = Callers(running.address, 16)  # the chance that all of them come to the same worker: one in 32,768
    await callers.more()
    served = running.with_port(psutil.CONN_ESTABLISHED)
    await callers.stop()
    assert len(served) == 2
    assert sum(callers.failed) == 0


async def replaced(running: Running, callers: Callers, before: list[int]) -> None:
    """The first worker has another in its place, the second went on, and only what was in flight has failed."""
    await eventually(
        lambda: len(running.listening()) == 2 and before[0] not in running.workers, "another one in its place"
    )
    await callers.more()
    await callers.stop()
    assert max(callers.failed) <= 2, "each caller had one call in flight, and may have met it again while it ended"
    assert before[1] in running.workers


async def test_a_killed_worker_comes_back_and_only_what_was_in_flight_fails(running: Running):
    callers = Callers(running.address, 8)
    await callers.more()
    before = running.workers
    os.kill(before[0], signal.SIGKILL)
    await callers.more()
    await replaced(running, callers, before)
    (died,) = running.lines("worker_died")
    assert (died["worker"], died["ended"]) == (1, "by signal SIGKILL")


async def test_a_worker_that_hangs_is_replaced_and_the_other_one_goes_on(running: Running):
    callers = Callers(running.address, 8)
    await callers.more()
    before = running.workers
    os.kill(before[0], signal.SIGSTOP)
    await replaced(running, callers, before)
    (hung,) = running.lines("worker_hangs")
    assert (hung["worker"], hung["pid"], hung["silent_seconds"]) == (1, before[0], 3.0)
    (died,) = running.lines("worker_died")
    assert (died["worker"], died["ended"]) == (1, "by signal SIGKILL")


async def test_a_worker_that_stops_for_a_moment_stays(running: Running):
    callers = Callers(running.address, 8)
    before = running.workers
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGCONT)
        await callers.more()
    await callers.stop()
    assert running.workers == before
    assert running.lines("worker_hangs") == []


async def test_a_worker_that_hangs_does_not_keep_the_others_from_ending(running: Running):
    os.kill(running.workers[0], signal.SIGSTOP)
    running.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running.process.wait(), 30) == 0
    assert [line["worker"] for line in running.lines("worker_hangs")] == [1]
    assert [line["worker"] for line in running.lines("stopped")] == [2]


async def test_a_worker_that_nobody_stopped_may_take_its_time_to_end(running: Running):
    os.kill(running.workers[0], signal.SIGTERM)
    await eventually(lambda: running.lines("worker_died"), "it ends")
    (died,) = running.lines("worker_died")
    assert (died["worker"], died["ended"]) == (1, "with exit code 0")
    assert running.lines("worker_hangs") == []


async def test_a_worker_that_comes_back_listens_only_when_it_can_decide(running: Running):
    victim = running.workers[0]
    os.kill(victim, signal.SIGKILL)
    await eventually(lambda: victim not in running.workers, "it is gone")
    states: list[str] = []
    async with asyncio.timeout(30):
        while len(running.lines("worker_serves")) < 3:
            states.append((await probe(running.address, SERVICE)).detail)
    states += [(await probe(running.address, SERVICE)).detail for _ in range(50)]
    assert set(states) == {"serving"}


async def test_sigterm_ends_all_and_lets_calls_finish(running: Running):
    callers = Callers(running.address, 4)
    await callers.more(20)
    await callers.stop()
    workers = running.workers
    running.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running.process.wait(), 30) == 0
    assert alive(workers) == []
    assert sorted(line["worker"] for line in running.lines("stopped")) == [1, 2]
    assert running.lines("worker_died") == []


async def test_no_worker_survives_its_supervisor(running: Running):
    workers = running.workers
    running.process.kill()
    await running.process.wait()
    await eventually(lambda: not alive(workers), "they end with it")


async def test_lines_of_the_log_carry_the_number_of_the_worker(running: Running):
    await eventually(lambda: len(running.lines("worker_serves")) == 2, "both serve")
    assert sorted(line["worker"] for line in running.lines("catalog_in_use")) == [1, 2]
    assert {line["service"] for line in running.lines("started")} == {"decision"}


async def test_before_the_first_catalogue_they_live_and_are_not_ready(
    js: JetStreamContext, nats_url: str, tmp_path: Path
):
    await make_event_stream(js)
    async with running_workers(nats_url, tmp_path / "log") as running:
        await eventually(lambda: len(running.listening()) == 2, "both listen")
        assert (await probe(running.address)).healthy
        assert not (await probe(running.address, SERVICE)).healthy


async def test_a_taken_port_is_refused_in_one_line(nats_url: str, tmp_path: Path):
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with running_workers(nats_url, log, WAYLINE_DECISION_PORT=str(port)) as running:
            assert await asyncio.wait_for(running.process.wait(), 30) == 1
    assert log.read_text() == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(("code", "attempts"), [(1, 3), (2, 1)])
async def test_a_worker_that_never_serves_ends_the_supervisor(tmp_path: Path, code: int, attempts: int):
    log = tmp_path / "attempts"
    program = f"open({str(log)!r}, 'a').write('.'); raise SystemExit({code})"
    workers = Workers(1, (sys.executable, "-c", program), silence_seconds=10.0)
    await asyncio.wait_for(workers.run(), 60)
    assert workers.failed
    assert log.read_text() == "." * attempts, "bad settings (2) do not get better by trying again"


SERVES_AND_DIES = """
import socket, time
supervisor = socket.socket(fileno=0)
supervisor.sendall(b".")
supervisor.recv(1)
supervisor.sendall(b".")
open(%r, "a").write(".")
time.sleep(0.3)
raise SystemExit(1)
"""


async def test_a_worker_that_served_is_started_again_however_often_it_dies(tmp_path: Path):
    log = tmp_path / "lives"
    workers = Workers(1, (sys.executable, "-c", SERVES_AND_DIES % str(log)), silence_seconds=10.0)
    task = asyncio.create_task(workers.run())
    await eventually(lambda: log.exists() and len(log.read_text()) >= 4, "a fourth life")
    workers.stop()
    await asyncio.wait_for(task, 30)
    assert not workers.failed


SERVES_AND_FALLS_SILENT = """
import signal, socket
supervisor = socket.socket(fileno=0)
supervisor.sendall(b".")
supervisor.recv(1)
supervisor.sendall(b".")
if %r:
    supervisor.shutdown(socket.SHUT_WR)
open(%r, "a").write(".")
signal.pause()
"""


async def test_whoever_falls_silent_is_started_again(tmp_path: Path):
    log = tmp_path / "lives"
    program = SERVES_AND_FALLS_SILENT % (False, str(log))
    workers = Workers(1, (sys.executable, "-c", program), silence_seconds=0.3)
    task = asyncio.create_task(workers.run())
    await eventually(lambda: log.exists() and len(log.read_text()) >= 3, "a third life")
    workers.stop()
    await asyncio.wait_for(task, 30)
    assert not workers.failed


async def test_whoever_says_that_it_ends_may_be_silent(tmp_path: Path):
    log = tmp_path / "lives"
    program = SERVES_AND_FALLS_SILENT % (True, str(log))
    workers = Workers(1, (sys.executable, "-c", program), silence_seconds=0.05)
    task = asyncio.create_task(workers.run())
    await eventually(log.exists, "it serves")
    await asyncio.sleep(0.5)
    workers.stop()
    await asyncio.wait_for(task, 30)
    assert log.read_text() == "."


async def test_workers_that_were_told_to_stop_are_not_started_again():
    program = "import signal; signal.pause()"
    workers = Workers(2, (sys.executable, "-c", program), silence_seconds=10.0)
    task = asyncio.create_task(workers.run())
    await eventually(lambda: len(workers._processes) == 2, "both run")
    pids = [process.pid for process in workers._processes.values()]
    workers.stop()
    workers.stop()
    await asyncio.wait_for(task, 30)
    assert alive(pids) == []
    assert not workers.failed


def test_a_reserved_port_takes_no_connections_and_can_be_shared():
    port = free_port()
    with reserved("127.0.0.1", port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            socket.create_connection(("127.0.0.1", port)).close()
