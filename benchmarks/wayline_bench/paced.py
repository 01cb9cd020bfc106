"""A steady load of events: `python -m wayline_bench.paced HOST:PORT RATE SECONDS VISITORS`, with its JSON at the end.

An open loop: a batch leaves every 10 ms whether or not the former ones were answered, as visitors do not wait for each
other. Prints one line when it starts and one document when it ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import grpc

from wayline_bench.collect import PATH, count_accepted
from wayline_bench.report import percentile
from wayline_bench.shop import Visitors

INTERVAL_SECONDS = 0.01
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Paced:
    """What was sent. `late_p99_ms`: how much later than planned the batches left."""

    accepted: int
    accepted_per_s: float
    answer_p50_ms: float
    answer_p99_ms: float
    late_p99_ms: float


async def send(address: str, rate: int, seconds: float, visitors: int) -> Paced:
    """Send `rate` events a second."""
    stream = Visitors(visitors=visitors, seed=2, run="steady")
    batch = max(1, round(rate * INTERVAL_SECONDS))
    calls = [stream.call(batch) for _ in range(round(seconds / INTERVAL_SECONDS))]
    took: list[float] = []
    late: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        collect: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PATH)
        await channel.channel_ready()

        async def one(call: bytes) -> bytes:
            started = time.perf_counter()
            answer = await collect(call, timeout=_TIMEOUT_SECONDS)
            took.append(time.perf_counter() - started)
            return answer

        print("started", flush=True)
        tasks = []
        began = time.perf_counter()
        for number, call in enumerate(calls):
            planned = began + number * INTERVAL_SECONDS
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            late.append(time.perf_counter() - planned)
            tasks.append(asyncio.create_task(one(call)))
        answers = await asyncio.gather(*tasks)
        ended = time.perf_counter()
    accepted = count_accepted(answers)
    return Paced(
        accepted=accepted,
        accepted_per_s=round(accepted / (ended - began), 1),
        answer_p50_ms=round(percentile(took, 0.5) * 1_000, 3),
        answer_p99_ms=round(percentile(took, 0.99) * 1_000, 3),
        late_p99_ms=round(percentile(late, 0.99) * 1_000, 3),
    )


def main() -> None:
    """Send, and print what came of it."""
    address, rate, seconds, visitors = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(send(address, int(rate), float(seconds), int(visitors))))))


if __name__ == "__main__":
    main()
