"""Unleash's engine for feature flags, the one inside its client libraries: which actions a customer is eligible for.

A flag for each action, whose strategies are the ways to meet its conditions. A client asks about one flag at a time.
Contexts are text, and go to the engine as JSON with each question; conditions are constraints, which strategies share
as segments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from yggdrasil_engine.engine import UnleashEngine

from wayline_bench.peers_contender import CONDITIONS, Case, Contender, WrongAnswer
from wayline_bench.peers_rules import Term

PACKAGE = "yggdrasil-engine"
_OPERATORS: Mapping[str, str] = {">": "NUM_GT", "<": "NUM_LT", ">=": "NUM_GTE", "in": "IN", "==": "IN", "!=": "NOT_IN"}


def contenders(case: Case) -> list[Contender]:
    """One."""
    engine = UnleashEngine()
    engine.take_state(json.dumps(_state(case)))
    contexts: dict[int, Any] = {}

    def prepare(customers: range) -> None:
        contexts.clear()
        for one in customers:
            contexts[one] = {"properties": {name: str(value) for name, value in case.fields(one).items()}}

    def ask(customer: int) -> list[str]:
        context = contexts[customer]
        return [action for action in case.actions if engine.check_enabled(action, context).is_enabled]

    def check(customer: int) -> None:
        expected = [case.actions[at] for at in np.flatnonzero(case.eligible[customer]).tolist()]
        if (found := ask(customer)) != expected:
            raise WrongAnswer(f"Unleash finds the actions {found} for customer {customer}, and not {expected}")

    how = "UnleashEngine.check_enabled, once for each action"
    return [Contender(key="unleash", how=how, does=(CONDITIONS,), ask=ask, check=check, prepare=prepare)]


def _state(case: Case) -> dict[str, Any]:
    """A segment for each term of a condition; a strategy for each choice of one term of each condition."""
    numbers = {(rule, term): 0 for rule, terms in enumerate(case.rules) for term in range(len(terms))}
    numbers = {place: number for number, place in enumerate(numbers, 1)}
    segments = [
        {"id": number, "constraints": [_constraint(case.rules[rule][term])]} for (rule, term), number in numbers.items()
    ]
    features = [
        {
            "name": action,
            "enabled": True,
            "strategies": [
                {"name": "default", "segments": [numbers[place] for place in zip(needs, terms, strict=True)]}
                for terms in product(*(range(len(case.rules[one])) for one in needs))
            ],
        }
        for action, needs in zip(case.actions, case.needs, strict=True)
    ]
    return {"version": 1, "features": features, "segments": segments}


def _constraint(term: Term) -> dict[str, Any]:
    kind = _OPERATORS[term.operator]
    if kind.startswith("NUM"):
        return {"contextName": term.name, "operator": kind, "value": str(term.literal)}
    values = term.literal if isinstance(term.literal, list) else [term.literal]
    return {"contextName": term.name, "operator": kind, "values": values}
