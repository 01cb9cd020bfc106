"""Whatever comes in between, a trait that is filled in is as if it had been declared before the first event."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.backfills import TRAITS, backfill_of, catalogue
from tests.support.events import Event
from tests.support.histories import history
from tests.support.strand_world import StrandWorld

from wayline_profile.backfill import Backfill
from wayline_profile.core.fold import Definitions

OUTCOMES: tuple[dict[str, Any], ...] = ({}, {"impression": "Offer Shown"}, {"click": ["Click", "Product Added"]})


def a_catalogue(rng: random.Random) -> Definitions:
    return catalogue(*rng.sample(sorted(TRAITS), rng.randrange(len(TRAITS) + 1)), outcomes=rng.choice(OUTCOMES))


def step(store: StrandWorld, backfill: Backfill) -> None:
    store.commit(backfill.step(store))


def from_scratch(definitions: Definitions, events: list[Event]) -> dict[str, object]:
    store = StrandWorld()
    store.take(definitions, events)
    return store.world.state()


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 1_000_000), st.randoms(use_true_random=False))
def test_no_interleaving_of_steps_events_merges_restarts_and_catalogues_leaves_a_trace(
    seed: int, rng: random.Random
) -> None:
    events = history(seed, rng.randrange(5, 120), customers=rng.randrange(1, 10), rulings=True)
    catalogues = [a_catalogue(rng) for _ in range(3)]
    limits = {"max_events": rng.choice((2, 7, 500)), "max_strands": rng.choice((1, 4, 100))}
    store, definitions, rest = StrandWorld(), catalogues[0], list(events)
    backfill = backfill_of(store, definitions, **limits)
    while rest:
        taken = rng.randrange(1, 30)
        store.take(definitions, rest[:taken])
        rest = rest[taken:]
        if rng.random() < 0.2:
            backfill = backfill_of(store, definitions, **limits)
        if rng.random() < 0.3:
            definitions = rng.choice(catalogues)
            backfill.use(definitions)
        for _ in range(rng.randrange(6)):
            step(store, backfill)
    while backfill.running:
        step(store, backfill)
    assert store.world.state() == from_scratch(definitions, events)
