from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.support.trial import write_trial

from hillstrom.evaluate import estimate, evaluate
from hillstrom.reader import ACTIONS, Customer


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> list[Customer]:
    return write_trial(tmp_path_factory.mktemp("trial") / "trial.csv", 6_000)


def test_a_policy_that_is_a_static_arm_is_worth_what_the_arm_is(customers: list[Customer]):
    found = evaluate(customers, ["mens-email"] * len(customers))
    assert found.policy == found.static_arms["mens-email"]
    assert found.chosen == {"mens-email": len(customers), "no-email": 0, "womens-email": 0}


def test_a_policy_by_lot_is_worth_the_mean_of_all(customers: list[Customer]):
    chance = Random(7)
    found = evaluate(customers, [chance.choice(sorted(ACTIONS.values())) for _ in customers])
    low, high = found.policy.interval
    assert low < found.random.visits_per_customer < high
    assert found.random.customers == len(customers)


def test_the_best_policy_is_worth_more_than_any_static_arm(customers: list[Customer]):
    found = evaluate(customers, ["womens-email" if one.womens else "mens-email" for one in customers])
    assert found.policy.visits_per_customer > max(one.visits_per_customer for one in found.static_arms.values())


def test_the_interval_is_that_of_a_mean(customers: list[Customer]):
    hundred = [replace(customers[0], visit=number < 20) for number in range(100)]
    found = estimate(hundred)
    assert (found.visits_per_customer, found.customers) == (0.2, 100)
    assert found.interval == pytest.approx((0.2 - 1.96 * 0.04, 0.2 + 1.96 * 0.04), abs=1e-5)


def test_nobody_is_no_estimate():
    assert estimate([]).visits_per_customer != estimate([]).visits_per_customer
