from __future__ import annotations

import numpy as np
import pytest

from wayline_decision.core.changes import MAX_SEGMENTS, OTHER, Changes, Place
from wayline_decision.core.evidence import SILENCE, Evidence, RewardModel


def test_an_action_without_rewards_of_its_own_is_expected_to_do_as_the_others_do():
    model = RewardModel()
    assert model.predict("hero", "red") == 0
    for number in range(100):
        model.learn("hero", "red", float(number % 2))
    assert model.predict("hero", "blue") == pytest.approx(0.5)
    assert model.predict("hero", SILENCE) == 0
    model.learn("hero", "blue", 0)
    assert 0.4 < model.predict("hero", "blue") < 0.5


def test_the_model_of_rewards_narrows_the_doubly_robust_estimate_on_a_world_with_a_known_truth():
    """Two actions, drawn by lot; the other policy shows the better one nine times out of ten."""
    takes, target = {"red": 0.6, "blue": 0.8}, {"red": 0.1, "blue": 0.9}
    truth = sum(takes[one] * target[one] for one in takes)
    covered, widths = {"ips": 0, "doubly_robust": 0}, {"ips": 0.0, "doubly_robust": 0.0}
    for seed in range(100):
        chance = np.random.default_rng(seed)
        evidence = Evidence()
        for _ in range(300):
            action = "blue" if chance.random() < 0.5 else "red"
            evidence.add("hero", action, 0.5, target.get(action, 0.0), float(chance.random() < takes[action]), target)
        found = evidence.as_dict()["new"]
        for name in covered:
            covered[name] += found[name]["low"] <= truth <= found[name]["high"]
            widths[name] += found[name]["high"] - found[name]["low"]
    assert min(covered.values()) >= 93
    assert widths["doubly_robust"] < 0.75 * widths["ips"]


def test_a_trait_with_very_many_values_does_not_fill_the_memory():
    changes = Changes()
    for number in range(3 * MAX_SEGMENTS):
        changes.add([Place("hero", "web", [("red", "main")], [])], {"city": f"city-{number}"})
    cities = changes.as_dict()["segments"]["city"]
    assert len(cities) == MAX_SEGMENTS + 1
    assert cities[OTHER]["decisions"] == 2 * MAX_SEGMENTS


def test_another_treatment_of_the_same_action_is_a_change_but_no_gain_or_loss():
    changes = Changes()
    changes.add([Place("hero", "web", [("red", "large")], [("red", "small")])], {})
    found = changes.as_dict()
    assert found["decisions"]["changed"] == 1
    assert found["actions"]["red"] == {"before": 1, "after": 1, "gained": 0, "lost": 0}
