"""`wayline bench decide`: one decision at a time, beside gRPC servers that do nothing."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import grpc

from wayline.cluster import free_ports
from wayline.v1 import decision_pb2, decision_pb2_grpc
from wayline_bench import world
from wayline_bench.batch import warm
from wayline_bench.echo import PATH as ECHO_PATH
from wayline_bench.http2 import write_bodies
from wayline_bench.load import CONCURRENCY, CONNECTIONS, Rate, Target, by_h2load, by_ourselves, h2load_installed
from wayline_bench.machine import (
    Budget,
    Cores,
    choose_cores,
    cpu_seconds,
    others_at_work,
    python,
    run,
    run_json,
    running,
)
from wayline_bench.report import Figure, Limit, Report, percentiles
from wayline_bench.system import channel, started_world
from wayline_bench.world import WorldSize
from wayline_decision.settings import DecisionSettings

DECIDE_PATH = "/wayline.v1.DecisionService/Decide"
_PREFIX_BYTES = 5
_WARM_SECONDS = 0.5
_RESERVE_SECONDS = 13.0  # to start and stop what is measured, and for the first pass of the path in process


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideSize:
    """How much is measured."""

    world: WorldSize = field(default_factory=WorldSize)
    rounds: int = 4
    seconds: float = 18.0
    """Of measuring, all parts together."""

    def part_seconds(self, seconds: float) -> float:
        """The load takes three parts a round and two more; latency and the path in process take two each."""
        return seconds / (3 * self.rounds + 6)


@dataclass(frozen=True, slots=True)
class _Server:
    """Where it listens, and the process whose processor time its calls use."""

    target: Target
    pid: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What a server managed in one part of the measuring, and what each call cost it."""

    calls_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class _Round:
    """One part of each server, one right after the other."""

    echo: _Part
    direct: _Part
    decide: _Part


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all parts need."""

    cores: Cores
    directory: Path
    bodies: Sequence[bytes]
    part_seconds: float

    @property
    def file(self) -> Path:
        """All bodies, for our own generator."""
        return self.directory / "bodies"

    def server(self, address: str, path: str, pid: int) -> _Server:
        """Called from the load's processor."""
        return _Server(Target(address=address, path=path, cpus=self.cores.load), pid)

    async def load(self, server: _Server, at: int) -> _Part:
        """One part of load; `at` chooses the customers where only a few are asked about."""
        used = cpu_seconds(server.pid)
        if h2load_installed():
            chosen = [self.bodies[(at * CONNECTIONS + one) * 997 % len(self.bodies)] for one in range(CONNECTIONS)]
            rate = await by_h2load(server.target, chosen, self.part_seconds, self.directory)
        else:
            rate = await by_ourselves(server.target, self.file, self.part_seconds)
        cpu = (cpu_seconds(server.pid) - used) / (rate.calls_per_s * self.part_seconds)
        return _Part(rate.calls_per_s, cpu * 1_000_000)


async def bench(size: DecideSize) -> Report:
    """Measure.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run.
    """
    cores, budget, busy = choose_cores(), Budget(), await others_at_work()
    async with started_world(size.world, cores) as system:
        requests = world.requests(size.world)
        address = system.cluster.addresses.decision
        await asyncio.to_thread(warm, address, size.world)
        seconds = budget.for_measuring(size.seconds, reserve_seconds=_RESERVE_SECONDS)
        one = _Bench(cores, system.directory, world.encoded(requests), size.part_seconds(seconds))
        write_bodies(one.file, one.bodies)
        decide = one.server(address, DECIDE_PATH, system.cluster.pid("decision"))
        everyone = await by_ourselves(decide.target, one.file, 2 * one.part_seconds)
        response_bytes = round(everyone.response_bytes) - _PREFIX_BYTES
        async with (
            _echo_server(one, "usual", response_bytes) as echo,
            _echo_server(one, "direct", response_bytes) as bare,
        ):
            rounds = [
                _Round(await one.load(echo, at), await one.load(bare, at), await one.load(decide, at))
                for at in range(size.rounds)
            ]
            decide_ms = await asyncio.to_thread(decide_latency, address, requests, one.part_seconds)
            echo_ms = await asyncio.to_thread(_echo_latency, echo.target.address, one.bodies, one.part_seconds)
    alone = await _in_process(size.world.customers, 2 * one.part_seconds, cores)
    return _report(rounds, everyone, decide_ms, echo_ms, alone, [cores.describe(), *busy])


async def profile(size: DecideSize) -> str:
    """Where the time of the path in process goes."""
    arguments = ("wayline_bench.in_process", str(size.seconds / 3), "--customers", str(size.world.customers))
    return await run(python(*arguments, "--profile"), choose_cores().server)


@asynccontextmanager
async def _echo_server(one: _Bench, way: str, response_bytes: int) -> AsyncIterator[_Server]:
    """A warm one; see `echo` for the ways."""
    port = free_ports().decision
    threads = DecisionSettings.model_fields["decision_active"].default
    command = python("wayline_bench.echo", str(port), str(threads), str(response_bytes), way)
    async with running(command, one.cores.server) as pid:
        address = f"127.0.0.1:{port}"
        with channel(address) as connection:
            await asyncio.to_thread(grpc.channel_ready_future(connection).result, 10)
        server = one.server(address, ECHO_PATH, pid)
        await by_ourselves(server.target, one.file, _WARM_SECONDS)
        yield server


def decide_latency(address: str, requests: Sequence[decision_pb2.DecideRequest], seconds: float) -> list[float]:
    """Milliseconds of each decision for one caller who waits for each answer."""
    with channel(address) as connection:
        stub = decision_pb2_grpc.DecisionServiceStub(connection)
        return list(_timed(stub.Decide, requests, seconds))


def _echo_latency(address: str, bodies: Sequence[bytes], seconds: float) -> list[float]:
    with channel(address) as connection:
        return list(_timed(connection.unary_unary(ECHO_PATH), bodies, seconds))


def _timed(call: Callable[..., object], questions: Sequence[object], seconds: float) -> Iterator[float]:
    """Milliseconds of each call of one caller who waits for each answer."""
    deadline = time.perf_counter() + seconds
    for question in cycle(questions):
        started = time.perf_counter()
        call(question, timeout=5.0)
        ended = time.perf_counter()
        yield (ended - started) * 1_000
        if ended > deadline:
            return


async def _in_process(customers: int, seconds: float, cores: Cores) -> dict[str, float]:
    command = python("wayline_bench.in_process", str(seconds), "--customers", str(customers))
    found: dict[str, float] = await run_json(command, cores.server)
    return found


def _report(
    rounds: Sequence[_Round],
    everyone: Rate,
    decide_ms: Sequence[float],
    echo_ms: Sequence[float],
    alone: dict[str, float],
    notes: list[str],
) -> Report:
    generator = "h2load" if h2load_installed() else "own"
    ratios = [one.decide.calls_per_s / one.echo.calls_per_s for one in rounds]
    to_direct = statistics.median(one.decide.calls_per_s / one.direct.calls_per_s for one in rounds)
    latency, floor = percentiles(decide_ms), percentiles(echo_ms)
    figures = [
        Figure("echo_per_s", _rate(one.echo for one in rounds), f"a bare grpcio server, {CONCURRENCY} calls at once"),
        Figure("direct_per_s", _rate(one.direct for one in rounds), "a bare server whose calls go the way of Decide"),
        Figure("decide_per_s", _rate(one.decide for one in rounds), "the same load on Decide"),
        Figure("ratio", round(statistics.median(ratios), 3), "of decide to echo, round by round", Limit(least=0.6)),
        Figure("ratio_to_direct", round(to_direct, 3), "of decide to direct, the same way"),
        Figure("echo_cpu_us", _cpu(one.echo for one in rounds), "processor time of the bare server for each call"),
        Figure("direct_cpu_us", _cpu(one.direct for one in rounds), "of the other bare server"),
        Figure("decide_cpu_us", _cpu(one.decide for one in rounds), "of the decision service, records included"),
        Figure("decide_everyone_per_s", round(everyone.calls_per_s), "our own load, through all customers in turn"),
        Figure("p50_ms", latency["p50"], "Decide, one caller, through all customers in turn"),
        Figure("p99_ms", latency["p99"], "the same"),
        Figure("echo_p50_ms", floor["p50"], "the bare server, one caller"),
        Figure("echo_p99_ms", floor["p99"], "the same"),
        Figure("in_process_us", alone["in_process_us"], "bytes to bytes in one process, median", Limit(most=60.0)),
        Figure("in_process_mean_us", alone["in_process_mean_us"], "the same, mean"),
        Figure("in_process_p99_us", alone["in_process_p99_us"], "the same, 99th percentile"),
        Figure("in_process_first_us", alone["in_process_first_us"], "the first decision for a customer, median"),
        Figure("response_bytes", round(everyone.response_bytes) - _PREFIX_BYTES, "of all servers, mean"),
        Figure("load", generator, f"{CONNECTIONS} connections, {CONCURRENCY // CONNECTIONS} calls at once on each"),
        Figure("concurrency", CONCURRENCY, "calls at once"),
    ]
    if generator == "h2load":
        asked = len(rounds) * CONNECTIONS
        notes.append(f"h2load sends one request per connection: decide_per_s is over {asked} different customers")
    notes.append(f"ratio by round: {', '.join(f'{one:.2f}' for one in ratios)}")
    return Report("decide", figures, notes)


def _rate(parts: Iterable[_Part]) -> int:
    return round(statistics.median(part.calls_per_s for part in parts))


def _cpu(parts: Iterable[_Part]) -> float:
    return round(statistics.median(part.cpu_us for part in parts), 1)
