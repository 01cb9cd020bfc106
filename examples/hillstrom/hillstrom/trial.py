"""The whole trial, step by step, each with a progress bar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from hillstrom.collect import send, wait_until_folded
from hillstrom.decide import decide_all, wait_for_model
from hillstrom.evaluate import Evaluation, evaluate
from hillstrom.events import batches, events_of, identify
from hillstrom.export import NAME, export, register
from hillstrom.reader import Customer
from hillstrom.setup import use_catalog
from hillstrom.train import Response, candidates, examples_of, train
from hillstrom.views import Known, read_back
from wayline.catalog.schema import Schema, build_schema
from wayline.cluster import Addresses
from wayline.v1 import profile_pb2

CATALOG = Path(__file__).parents[1] / "catalog"
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the trial."""

    events_accepted: int
    profiles: int
    """Customers of the trial, counted in the profile store."""
    statistics: profile_pb2.GetStatisticsResponse
    """Of the profile store, after the import."""
    response: Response
    evaluation: Evaluation
    decided: int
    seconds: dict[str, float]
    """Of each step."""


class Step:
    """One bar."""

    def __init__(self, bars: Progress, name: str, total: int) -> None:
        """Show it, empty."""
        self._bars = bars
        self._total = total
        self._task = bars.add_task(name, total=total)

    def advance(self, by: int = 1) -> None:
        """So much more is done."""
        self._bars.advance(self._task, by)

    def left(self, still: int) -> None:
        """So much is still to do."""
        self._bars.update(self._task, completed=max(0, self._total - still))


class Steps:
    """The bars, and how long each step took."""

    def __init__(self, bars: Progress) -> None:
        """None yet."""
        self._bars = bars
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, total: int = 1) -> Iterator[Step]:
        """A step of so many parts; when the context ends it is done."""
        started = time.perf_counter()
        step = Step(self._bars, name, total)
        yield step
        step.left(0)
        self.seconds[name.lower()] = time.perf_counter() - started


async def run_trial(customers: Sequence[Customer], addresses: Addresses, steps: Steps) -> Outcome:
    """Import, learn from one half, decide for the other, and compare.

    Args:
        customers: all of the file.
        addresses: of a running system.
        steps: told about each.

    Raises:
        WaylineError: something went another way than it must.
        grpc.aio.AioRpcError: a service refused something, or stayed away.
    """
    with steps.step("Apply the catalogue"):
        catalog = await use_catalog(CATALOG, addresses, identify(customers[0]))
    accepted = await _import(customers, addresses, steps)
    with steps.step("Fold the events", accepted) as step:
        statistics = await wait_until_folded(addresses.profile, step.left)
    schema = build_schema(catalog)
    known = await _read_back(customers, addresses, schema, steps)
    response, onnx = await _train(known, schema, steps)
    others = [one for one in customers if not one.training]
    with steps.step("Register the model"):
        source = f"model:{NAME}@{await register(addresses.prediction, response, onnx)}"
        await wait_for_model(addresses.decision, others[0], source)
    with steps.step("Decide for the other half", len(others)) as step:
        actions = await decide_all(addresses.decision, others, source, step.advance)
    return Outcome(
        events_accepted=accepted,
        profiles=len(known),
        statistics=statistics,
        response=response,
        evaluation=evaluate(others, actions),
        decided=len(actions),
        seconds=steps.seconds,
    )


async def _import(customers: Sequence[Customer], addresses: Addresses, steps: Steps) -> int:
    total = sum(1 + one.training * (1 + one.visit + one.conversion) for one in customers)
    with steps.step("Send the events", total) as step:
        return await send(addresses.ingestion, batches(map(events_of, customers), BATCH), step.advance)


async def _read_back(customers: Sequence[Customer], addresses: Addresses, schema: Schema, steps: Steps) -> list[Known]:
    known: list[Known] = []
    with steps.step("Read the profiles back", len(customers)) as step:
        async for chunk in read_back(addresses.profile, customers, schema):
            known += chunk
            step.advance(len(chunk))
    return known


async def _train(known: Sequence[Known], schema: Schema, steps: Steps) -> tuple[Response, bytes]:
    learning = [one for one in known if one.customer.training]
    with steps.step("Train the model", len(candidates()) + 1) as step:
        examples = await asyncio.to_thread(examples_of, learning, schema)
        response = await asyncio.to_thread(train, examples, step.advance)
        return response, await asyncio.to_thread(export, response, examples.rows)
