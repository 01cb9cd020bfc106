"""A new action reaches few, then more, and never loses whom it has reached."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from tests.support.decisions import a_catalog, a_model, a_question, an_action, chosen, decided

from wayline.catalog.arbitration import Maturity
from wayline.catalog.model import Catalog
from wayline.catalog.variants import Variant
from wayline.identity import identity_key
from wayline_decision.core.compile import compile_plan
from wayline_decision.core.maturity import action_salts, lot_numbers, reached, share_of
from wayline_decision.core.score import models_for
from wayline_decision.states import varied

ACTIONS = [f"action-{number}" for number in range(50)]
SALTS = action_salts(ACTIONS)
CUSTOMERS = [identity_key("user_id", f"customer-{number}") for number in range(4_000)]
NUMBERS = np.array([lot_numbers(lot, SALTS) for lot in CUSTOMERS])
"""[customers, actions]"""
UNLIKELY = 1e-3
lots = st.binary(min_size=16, max_size=16)
shares = st.floats(0, 1)


def binned(numbers: np.ndarray, bins: int = 20) -> np.ndarray:
    return np.bincount((numbers.ravel() * bins).astype(int), minlength=bins)


# The share that an action may reach


def test_a_new_action_reaches_two_in_a_hundred_and_after_200_positives_everybody() -> None:
    assert share_of(np.array([0, 100, 200, 5_000]), Maturity()).tolist() == pytest.approx([0.02, 0.51, 1.0, 1.0])


def test_the_catalogue_says_where_it_starts_and_when_it_is_grown_up() -> None:
    assert share_of(np.array([0, 5, 10]), Maturity(start=0.5, positives=10)).tolist() == [0.5, 0.75, 1.0]


@given(positives=st.lists(st.integers(0, 10**9), min_size=1), start=shares, at=st.integers(1, 10**6))
def test_more_positives_never_shrink_the_share(positives: list[int], start: float, at: int) -> None:
    found = share_of(np.array(sorted(positives)), Maturity(start=start, positives=at))
    assert np.all(np.diff(found) >= 0)
    assert np.all((found >= start) & (found <= 1))


# What counts


def of_a_new_action(propensity: Any) -> Catalog:
    """As it is kept, and read again."""
    fields = {
        "channels": {"web": {"direction": "outbound"}},
        "placements": {"hero": {"channel": "web"}},
        "arbitration": {"maturity": {}},
    }
    catalog = a_catalog([an_action("new", propensity=propensity)], **fields)
    return Catalog.model_validate_json(catalog.model_dump_json(exclude_unset=True, by_alias=True))


def share_reached(propensity: Any, counted: tuple[int, int] | None = None) -> float:
    """Of 2,000 customers; `counted` are the responses and positives that a model's manifest has, if it has any."""
    plan = compile_plan(of_a_new_action(propensity), 1)
    models = [a_model(plan, {"new": 0.1}, evidence=[counted or (0, 0)])]
    lots = (number.to_bytes(16, "big") for number in range(2_000))
    return sum(bool(chosen(plan, decided(plan, a_question(plan, lot=lot), models))) for lot in lots) / 2_000


@pytest.mark.parametrize("propensity", [0.1, 0.9, {"base": 0.9}, {"base": 0.9, "model": "m"}])
def test_an_action_that_nobody_has_counted_reaches_the_share_at_the_start_whatever_its_base(propensity: Any) -> None:
    assert share_reached(propensity) == pytest.approx(0.02, abs=0.01)


def test_evidence_that_the_catalogue_states_counts() -> None:
    assert share_reached({"base": 0.1, "evidence": 1_000}) == pytest.approx(0.51, abs=0.03)


def test_the_evidence_of_a_default_counts_once_it_is_stated() -> None:
    assert share_reached({"base": 0.9, "evidence": 100}) == pytest.approx(0.02 + 0.98 * 90 / 200, abs=0.03)


def test_what_a_model_counted_takes_the_place_of_what_the_catalogue_states() -> None:
    asks = {"base": 0.1, "evidence": 2_000, "model": "m"}
    assert share_reached(asks) == 1
    assert share_reached(asks, (50, 0)) == pytest.approx(0.02, abs=0.01)
    assert share_reached({"base": 0.1, "model": "m"}, (5_000, 100)) == pytest.approx(0.51, abs=0.03)


@pytest.mark.parametrize(("stated", "positives"), [({}, 0), ({"evidence": 50}, 5)])
def test_another_model_in_an_arm_changes_nothing_about_what_the_catalogue_states(
    stated: dict[str, Any], positives: float
) -> None:
    catalog = of_a_new_action({"base": 0.1, "model": "m", **stated})
    variant = Variant(None, None, (("m", "other"),))
    assert models_for(compile_plan(varied(catalog, variant), 1)).positives.tolist() == [pytest.approx(positives)]


# Whom it reaches


@given(lot=lots, smaller=shares, larger=shares)
def test_a_share_that_grows_only_adds_customers(lot: bytes, smaller: float, larger: float) -> None:
    smaller, larger = sorted((smaller, larger))
    before = reached(lot, SALTS, np.full(len(SALTS), smaller))
    after = reached(lot, SALTS, np.full(len(SALTS), larger))
    assert not np.any(before & ~after)


@given(lot=lots)
def test_nobody_is_within_a_share_of_0_and_everybody_within_a_share_of_1(lot: bytes) -> None:
    assert not np.any(reached(lot, SALTS, np.zeros(len(SALTS))))
    assert np.all(reached(lot, SALTS, np.ones(len(SALTS))))


@given(lot=lots)
def test_a_share_ends_just_below_its_number(lot: bytes) -> None:
    numbers = lot_numbers(lot, SALTS)
    assert not np.any(reached(lot, SALTS, numbers))
    assert np.all(reached(lot, SALTS, np.nextafter(numbers, 1)))


def test_each_action_has_its_own_share() -> None:
    share = np.linspace(0, 1, len(SALTS))
    found = np.array([reached(lot, SALTS, share) for lot in CUSTOMERS])
    assert np.array_equal(found, share > NUMBERS)
    assert np.allclose(found.mean(axis=0), share, atol=0.03)


def test_a_customers_number_stays_the_same_for_ever() -> None:
    numbers = lot_numbers(bytes(range(16)), action_salts(["red-shoes", "new-season"]))
    assert numbers.tolist() == [0.8357617062860722, 0.8786150818576153]


@given(lot=lots, order=st.permutations(range(10)))
def test_the_order_of_the_actions_does_not_matter(lot: bytes, order: list[int]) -> None:
    in_order = lot_numbers(lot, SALTS[:10])
    assert lot_numbers(lot, action_salts([ACTIONS[at] for at in order])).tolist() == in_order[order].tolist()


def test_no_actions_need_no_lots() -> None:
    assert reached(bytes(16), action_salts([]), np.zeros(0)).shape == (0,)


# Chance


def test_numbers_are_spread_evenly() -> None:
    assert chisquare(binned(NUMBERS)).pvalue > UNLIKELY


def test_numbers_are_spread_evenly_over_the_customers_of_each_action_and_the_actions_of_each_customer() -> None:
    per_action = [chisquare(binned(NUMBERS[:, at])).pvalue for at in range(len(ACTIONS))]
    per_customer = [chisquare(binned(NUMBERS[at], bins=5)).pvalue for at in range(len(CUSTOMERS))]
    # Of chi-squared tests of what is even, a tenth gives a p-value below 0.1.
    assert min(per_action) > UNLIKELY / len(ACTIONS)
    assert np.mean(np.array(per_customer) < 0.1) == pytest.approx(0.1, abs=0.03)


def test_who_is_reached_by_one_action_says_nothing_about_another() -> None:
    quarters = (NUMBERS * 4).astype(int)
    tests = [
        chi2_contingency(np.bincount(4 * quarters[:, one] + quarters[:, other], minlength=16).reshape(4, 4)).pvalue
        for one in range(12)
        for other in range(one)
    ]
    assert min(tests) > UNLIKELY / len(tests)


def test_customers_whose_lots_differ_in_one_bit_have_unrelated_numbers() -> None:
    neighbours = np.array([lot_numbers(number.to_bytes(16, "big"), SALTS) for number in range(4_000)])
    assert chisquare(binned(neighbours)).pvalue > UNLIKELY
    halves = (neighbours[:, 0] < 0.5).astype(int)
    pairs = np.bincount(2 * halves[:-1:2] + halves[1::2], minlength=4).reshape(2, 2)
    assert chi2_contingency(pairs).pvalue > UNLIKELY
