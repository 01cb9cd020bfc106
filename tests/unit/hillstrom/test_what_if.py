from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.trial import write_trial

from hillstrom.evaluate import evaluate
from hillstrom.reader import ACTIONS, Customer, read_trial
from hillstrom.what_if import Reward, what_if
from wayline_decision.core.off_policy import ips, snips

TRIAL = Path(__file__).parents[4] / "shared" / "data" / "hillstrom.csv"


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> list[Customer]:
    return write_trial(tmp_path_factory.mktemp("trial") / "trial.csv", 3_000)


@pytest.mark.parametrize("reward", ["visit", "conversion", "spend"])
def test_the_mens_email_to_all_is_worth_what_it_was_to_those_who_were_drawn_for_it(
    customers: list[Customer], reward: Reward
):
    for one in what_if(customers, reward).values():
        assert one.ips.value == pytest.approx(one.mean, rel=1e-12)
        assert one.snips.value == pytest.approx(one.mean, rel=1e-12)
        assert one.ips.low < one.mean < one.ips.high


def test_the_effective_sample_is_the_customers_of_the_arm(customers: list[Customer]):
    drawn = sum(one.arm == "mens-email" for one in customers)
    assert what_if(customers)["mens-email"].ips.effective_sample_size == pytest.approx(drawn)


def test_it_agrees_with_the_evaluation_of_the_trial(customers: list[Customer]):
    arms = evaluate(customers, ["mens-email"] * len(customers)).static_arms
    found = what_if(customers)
    for arm in ACTIONS.values():
        assert found[arm].ips.value == pytest.approx(arms[arm].visits_per_customer, rel=1e-12)
        # That interval takes the number of customers of the arm as given, as SNIPS does.
        assert (found[arm].snips.low, found[arm].snips.high) == pytest.approx(arms[arm].interval, abs=0.002)


def test_with_a_third_as_the_probability_only_snips_is_the_mean_of_the_arm(customers: list[Customer]):
    # 1,200 to 900 to 900: the lots fell unevenly.
    arms = ["mens-email"] * 1_200 + ["no-email"] * 900 + ["womens-email"] * 900
    uneven = [replace(one, arm=arm) for one, arm in zip(customers, arms, strict=True)]
    rewards = [float(one.visit) for one in uneven]
    target = [float(one.arm == "mens-email") for one in uneven]
    mean = what_if(uneven)["mens-email"].mean
    assert ips(rewards, [1 / 3] * 3_000, target).value == pytest.approx(mean * 1.2)
    assert snips(rewards, [1 / 3] * 3_000, target).value == pytest.approx(mean)


@pytest.mark.skipif(
    not (Path(__file__).parents[4] / "shared" / "data" / "hillstrom.csv").exists(),
    reason="the trial's file is not here",
)
def test_on_the_trial_itself_the_figures_are_those_that_were_published():
    found = what_if(read_trial(TRIAL))
    assert found["mens-email"].ips.value == pytest.approx(found["mens-email"].mean, rel=1e-12)
    assert round(found["mens-email"].ips.value, 4) == 0.1828
    assert round(found["womens-email"].ips.value, 4) == 0.1514
    assert round(found["no-email"].ips.value, 4) == 0.1062
