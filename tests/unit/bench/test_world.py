"""The synthetic business is of the size that it claims, and passes the checks that a real one must pass."""

from __future__ import annotations

import numpy as np

from wayline.catalog.check import check
from wayline.scoring import Scorer
from wayline_bench import shop, world
from wayline_bench.shop import Visitors
from wayline_bench.world import WorldSize
from wayline_decision.core.compile import compile_plan

SIZE = WorldSize(customers=3)


def test_the_catalogue_can_be_applied() -> None:
    assert check(world.catalog(SIZE)) == []


def test_the_catalogue_has_100_actions_and_30_distinct_conditions_on_64_features() -> None:
    plan = compile_plan(world.catalog(SIZE), 1)
    assert (len(plan.actions), len(plan.conditions), len(plan.schema.trait_types)) == (100, 30, 64)


def test_the_model_fits_its_manifest_and_gives_a_propensity_per_action() -> None:
    scores = Scorer(world.manifest(SIZE), world.model(SIZE)).run(world.features(SIZE))
    assert scores.shape == (3, 100)
    assert ((scores > 0) & (scores < 1)).all()
    assert np.ptp(scores, axis=1).min() > 0.1


def test_each_customer_is_identified_once_with_all_features_and_a_consent() -> None:
    events = list(world.identify_events(SIZE))
    assert [event.user_id for event in events] == [request.customer.value for request in world.requests(SIZE)]
    assert all(len(event.traits.fields) == 64 for event in events)
    assert all(event.context.consent.category_preferences["personalisation"] for event in events)


def test_the_shop_with_a_mark_can_be_applied() -> None:
    assert check(shop.marked_catalog()) == []


def test_visitors_of_one_seed_send_the_same_events_with_ids_of_their_own() -> None:
    one, other = (Visitors(visitors=10, seed=1, run="test") for _ in range(2))
    events = [one.event() for _ in range(50)]
    assert [event.name for event in events] == [other.event().name for _ in range(50)]
    assert len({event.message_id for event in events}) == 50
