"""What came of the trial, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from hillstrom.evaluate import Estimate
from hillstrom.trial import Outcome


def as_dict(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """For JSON. `seconds` is the time of the whole run."""
    evaluation = outcome.evaluation
    estimates = {"policy": evaluation.policy, "random": evaluation.random, **evaluation.static_arms}
    return {
        "events_accepted": outcome.events_accepted,
        "profiles": outcome.profiles,
        "decided": outcome.decided,
        "visits_per_customer": evaluation.policy.visits_per_customer,
        "interval": list(evaluation.policy.interval),
        "static_arms": {arm: one.visits_per_customer for arm, one in evaluation.static_arms.items()},
        "random": evaluation.random.visits_per_customer,
        "intervals": {name: list(one.interval) for name, one in estimates.items()},
        "customers": {name: one.customers for name, one in estimates.items()},
        "chosen": evaluation.chosen,
        "model": {"kind": outcome.response.kind, **outcome.response.measures},
        "store": {
            "profiles": outcome.statistics.profiles,
            "events_folded": outcome.statistics.events_folded,
            "duplicates": outcome.statistics.duplicates,
            "poison": outcome.statistics.poison,
        },
        "seconds": {**{name: round(one, 2) for name, one in outcome.seconds.items()}, "in all": round(seconds, 2)},
    }


def print_report(outcome: Outcome, console: Console) -> None:
    """For people."""
    evaluation, store = outcome.evaluation, outcome.statistics
    console.print(
        f"{outcome.events_accepted:,} events accepted; the profile store holds {outcome.profiles:,} customers of the "
        f"trial ({store.events_folded:,} events folded, {store.duplicates:,} duplicates left out). "
        f"{outcome.decided:,} customers decided.",
        highlight=False,
    )
    table = Table("policy", "visits per customer", "95 % interval", "n", "chosen")
    table.add_row("Wayline", *_cells(evaluation.policy), f"{outcome.decided:,}", style="bold")
    for arm, one in evaluation.static_arms.items():
        table.add_row(f"{arm} to all", *_cells(one), f"{evaluation.chosen[arm]:,}")
    table.add_row("by lot", *_cells(evaluation.random), "")
    console.print(table)
    measures = ", ".join(f"{name} {value:,.5g}" for name, value in outcome.response.measures.items())
    console.print(f"Model: a logistic regression per arm, {outcome.response.kind}; {measures}.", highlight=False)


def _cells(one: Estimate) -> tuple[str, str, str]:
    low, high = one.interval
    return f"{one.visits_per_customer:.4f}", f"{low:.3f} to {high:.3f}", f"{one.customers:,}"
