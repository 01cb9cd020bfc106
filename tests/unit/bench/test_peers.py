"""The peers of `wayline bench peers` are given the world's own rules, and a wrong answer is no benchmark."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from wayline_bench import peers_in_turns
from wayline_bench.peers import report
from wayline_bench.peers_contender import Case, WrongAnswer
from wayline_bench.peers_in_turns import enter, take_turn
from wayline_bench.peers_rules import met, read_rule
from wayline_bench.world import WorldSize

SIZE = WorldSize(customers=40)
RULES = ["zen-engine", "yggdrasil-engine"]


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(SIZE)


def result(key: str, us: list[float]) -> dict[str, object]:
    return {"key": key, "package": "p", "version": "1", "how": "h", "does": ["conditions"], "us": us}


def found(*results: dict[str, object], missing: tuple[str, ...] = ()) -> dict[str, object]:
    return {"results": results, "missing": missing, "first_us": 100.0, "record_us": 5.0}


def test_a_condition_is_met_when_one_of_its_comparisons_is():
    rule = read_rule('context.page == "home" || context.basket > 10.0')
    columns = {"page": np.array(["home", "search", "search"]), "basket": np.array([0.0, 10.0, 11.0])}
    assert met([rule], columns)[:, 0].tolist() == [True, False, True]


def test_a_condition_of_another_kind_is_refused_rather_than_left_out():
    with pytest.raises(ValueError, match="expected a comparison"):
        read_rule("profile.f01 > profile.f02")


@pytest.mark.parametrize("package", RULES)
def test_a_peer_that_finds_other_actions_is_not_timed(case, package, monkeypatch):
    pytest.importorskip({"zen-engine": "zen", "yggdrasil-engine": "yggdrasil_engine"}[package])
    monkeypatch.setattr(peers_in_turns, "PEERS", {package: peers_in_turns.PEERS[package]})
    wrong = case.eligible.copy()
    wrong[7, 3] ^= True
    contenders = [one for one, _ in enter(case)[0]]
    for contender in contenders:
        contender.prepare(range(8))
        contender.check(7)
    monkeypatch.setattr(case, "eligible", wrong)
    for contender in contenders:
        with pytest.raises(WrongAnswer, match="for customer 7"):
            take_turn(contender, range(8), 0.001)


def test_what_is_not_installed_is_named_with_the_way_to_install_it(case, monkeypatch):
    monkeypatch.setattr(peers_in_turns, "PEERS", {"no-such-package": "peers_gorules"})
    assert enter(case) == ([], ["no-such-package"])
    shown = report(found(result("wayline", [20.0]), missing=("no-such-package",)))
    assert shown.as_dict()["no-such-package"] == "not installed"
    assert "pip install no-such-package" in str([list(column.cells) for column in shown.as_table().columns])


def test_the_ratio_is_taken_round_by_round_and_says_plainly_who_is_faster():
    ours, theirs = result("wayline", [10.0, 20.0, 30.0]), result("unleash", [5.0, 10.0, 60.0])
    shown = report(found(ours, theirs, result("numpy_thompson", [40.0, 80.0, 120.0]))).as_dict()
    assert (shown["unleash_ratio"], shown["unleash_us"], shown["unleash_ratio_to_first"]) == (0.5, 10.0, 0.1)
    assert (
        "Unleash's engine, feature flags: faster than Wayline's whole path (0.50 of its time), "
        "faster than its first decision for a customer (0.10); for conditions alone"
    ) in shown["notes"]
    assert any("Thompson sampling: slower than Wayline's whole path (4.00 of" in note for note in shown["notes"])


def test_slots_are_drawn_one_after_the_other_from_the_chances_that_are_left():
    draw = pytest.importorskip("wayline_bench.peers_vowpal_wabbit", exc_type=ImportError).draw
    chances, lots, times = [0.5, 0.1, 0.25, 0.05, 0.1], random.Random(1), 50_000
    counted = Counter(tuple(draw(chances, lots)) for _ in range(times))
    for one, two, three in permutations(range(len(chances)), 3):
        left = 1 - chances[one]
        expected = chances[one] * chances[two] / left * chances[three] / (left - chances[two])
        assert counted[one, two, three] / times == pytest.approx(expected, abs=0.008)
