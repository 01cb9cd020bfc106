"""The whole trial, step by step, each with a progress bar."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.progress import Progress

from hillstrom.collect import send, wait_until_folded
from hillstrom.decide import decide_all, wait_for_model
from hillstrom.evaluate import Evaluation, evaluate
from hillstrom.events import batches, events_of, identify
from hillstrom.export import NAME, export, register
from hillstrom.reader import Customer, read_trial
from hillstrom.setup import use_catalog
from hillstrom.train import Examples, Response, candidates, examples_of, train
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


@dataclass(frozen=True, slots=True)
class _Steps:
    """The bars, and how long each step took."""

    bars: Progress
    seconds: dict[str, float]

    def begin(self, name: str, total: int) -> _Step:
        return _Step(self, name, self.bars.add_task(name, total=total), time.perf_counter())


@dataclass(frozen=True, slots=True)
class _Step:
    steps: _Steps
    name: str
    task: int
    started: float
