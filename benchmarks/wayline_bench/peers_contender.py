"""What takes its turn in `wayline bench peers`, and what all of them are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from google.protobuf import struct_pb2
from numpy.typing import NDArray
from onnx import numpy_helper

from wayline.v1 import decision_pb2
from wayline_bench import world
from wayline_bench.peers_rules import HOUR, Flags, Rule, met, read_rule
from wayline_bench.world import Matrix, WorldSize

CONDITIONS = "conditions"
SCORES = "scores"
EXPLORATION = "exploration"
SLOTS = "slots"
SLOTS_FILLED = world.SLOTS
_NOON = 12

Numbers = NDArray[np.float64]


class WrongAnswer(Exception):
    """A contender does not do what it is measured for. The message says what it did."""


def _nothing(customers: range) -> None:
    """No preparation."""


def _no_rest() -> None:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to answer for a customer, or to do a part of that."""

    key: str
    """Of its figures."""
    how: str
    """What is called, for people who know the library."""
    does: Sequence[str]
    """The steps of a decision that it does."""
    ask: Callable[[int], Any]
    """What is timed: its answer for a customer."""
    check: Callable[[int], None]
    """Raises WrongAnswer when the answer for a customer is wrong."""
    prepare: Callable[[range], None] = _nothing
    """Before each turn, not timed: brings the customers into the form in which the library takes them."""
    rest: Callable[[], None] = _no_rest
    """After each hundred, not timed: what it does beside its answers."""


class Case:
    """The world, as arrays and as rules."""

    def __init__(self, size: WorldSize) -> None:
        """Work out who is eligible for what."""
        self.size = size
        self.actions = world.action_ids(size.actions)
        self.names = world.feature_names(size.features)
        self.features: Matrix = world.features(size)
        self.rules: list[Rule] = [read_rule(one) for one in world.conditions(size)]
        self.needs = [world.needs(at, len(self.rules)) for at in range(size.actions)]
        self._contexts = [_context(one) for one in world.requests(size)]
        read = {term.name for rule in self.rules for term in rule}
        self._read = [(at, name) for at, name in enumerate(self.names) if name in read]
        holds = met(self.rules, self._columns())
        self.eligible: Flags = np.all(holds[:, np.array(self.needs)], axis=2)
        """[customers, actions]"""

    def _columns(self) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {name: self.features[:, at].astype(np.float64) for at, name in self._read}
        for name in self._contexts[0]:
            columns[name] = np.array([one[name] for one in self._contexts])
        return columns

    def fields(self, customer: int) -> dict[str, Any]:
        """What the conditions read, and nothing else."""
        row = self.features[customer].tolist()
        return {**{name: row[at] for at, name in self._read}, **self._contexts[customer]}

    @cached_property
    def linear(self) -> tuple[Matrix, Matrix]:
        """The model's weights, [features, actions], and its bias, [actions]."""
        tensors = onnx.load_model_from_string(world.model(self.size)).graph.initializer
        named = {one.name: numpy_helper.to_array(one) for one in tensors}
        return named["weights"].astype(np.float32), named["bias"].astype(np.float32)

    @cached_property
    def worth(self) -> Numbers:
        """[actions] value x lever: what a priority is beside the propensity."""
        actions = [one for issue in world.catalog(self.size).issues for group in issue.groups for one in group.actions]
        return np.array([one.value * one.lever for one in actions])


def _context(request: decision_pb2.DecideRequest) -> dict[str, Any]:
    return {**{name: _plain(value) for name, value in request.context.fields.items()}, HOUR: _NOON}


def _plain(value: struct_pb2.Value) -> str | float:
    return value.string_value if value.HasField("string_value") else value.number_value
