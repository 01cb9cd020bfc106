"""GoRules' zen-engine, a rules engine in Rust: which actions a customer is eligible for.

In two ways. As GoRules means it: a decision graph in which a node works out the conditions and a table has a row for
each action. And the quickest that its Python package has: all conditions in one compiled expression, whose answers are
put together in Python; a graph has a fixed cost of a tenth of a millisecond. Both take a customer as JSON, which is
quicker than a dict, and has only what the conditions read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import zen

from wayline_bench.peers_contender import CONDITIONS, Case, Contender, WrongAnswer
from wayline_bench.peers_rules import Rule, Term

PACKAGE = "zen-engine"
Find = Callable[[bytes], list[int]]
"""A customer's fields to the actions, by position."""


def contenders(case: Case) -> list[Contender]:
    """Both ways."""
    return [
        _contender(case, "gorules_table", _by_table(case), "ZenDecision.evaluate, a table of the actions"),
        _contender(case, "gorules_expression", _by_expression(case), "Expression.evaluate, put together in Python"),
    ]


def _contender(case: Case, key: str, find: Find, how: str) -> Contender:
    encoded: dict[int, bytes] = {}

    def prepare(customers: range) -> None:
        encoded.clear()
        encoded.update({one: json.dumps(case.fields(one)).encode() for one in customers})

    def ask(customer: int) -> list[int]:
        return find(encoded[customer])

    def check(customer: int) -> None:
        expected = np.flatnonzero(case.eligible[customer]).tolist()
        if (found := ask(customer)) != expected:
            raise WrongAnswer(f"{key} finds the actions {found} for customer {customer}, and not {expected}")

    return Contender(key=key, how=f"{how}; JSON", does=(CONDITIONS,), ask=ask, check=check, prepare=prepare)


def _by_table(case: Case) -> Find:
    conditions = [{"id": f"c{at}", "key": f"c{at}", "value": _text(rule)} for at, rule in enumerate(case.rules)]
    rows = [
        {"_id": f"r{at}", "needs": " and ".join(f"c{one}" for one in needs), "gives": str(at)}
        for at, needs in enumerate(case.needs)
    ]
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": "needs", "name": "needs"}],
        "outputs": [{"id": "gives", "name": "gives", "field": "action"}],
        "rules": rows,
    }
    nodes = [
        _node("customer", "inputNode", {}),
        _node("conditions", "expressionNode", {"expressions": conditions}),
        _node("actions", "decisionTableNode", table),
        _node("eligible", "outputNode", {}),
    ]
    edges = [
        {"id": f"e{at}", "type": "edge", "sourceId": nodes[at]["id"], "targetId": nodes[at + 1]["id"]}
        for at in range(len(nodes) - 1)
    ]
    decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(json.dumps({"nodes": nodes, "edges": edges})))

    def find(customer: bytes) -> list[int]:
        rows: Any = decision.evaluate(customer)["result"]
        return [row["action"] for row in rows]

    return find


def _node(name: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "name": name, "type": kind, "content": content}


def _by_expression(case: Case) -> Find:
    compiled = zen.compile_expression(f"[{', '.join(map(_text, case.rules))}]")
    return partial(_put_together, compiled, [(at, *needs) for at, needs in enumerate(case.needs)])


def _put_together(compiled: zen.Expression, needs: list[Any], customer: bytes) -> list[int]:
    met = compiled.evaluate(customer)
    return [at for at, one, two, three in needs if met[one] and met[two] and met[three]]


def _text(rule: Rule) -> str:
    return f"({' or '.join(map(_term, rule))})"


def _term(term: Term) -> str:
    return f"{term.name} {term.operator} {json.dumps(term.literal)}"
