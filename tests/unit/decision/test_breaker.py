"""The breaker: opens when most decisions come too late, tries single ones after a pause, closes when one is in time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline_decision.breaker import REFUSED, Breaker, BreakerLimits, Change, Position

LIMITS = BreakerLimits(least=20, share=0.5, window_seconds=10, pause_seconds=5)


class Service:
    """A breaker with a clock that a test moves."""

    def __init__(self, limits: BreakerLimits = LIMITS) -> None:
        self.now = 1_000.0
        self.changes: list[Change] = []
        self.breaker = Breaker(limits, report=self.changes.append)

    def decide(self, *, late: bool, times: int = 1, seconds: float = 0.0) -> int:
        """Decisions one after the other, each `seconds` after the one before. How many were tried."""
        tried = 0
        for _ in range(times):
            ticket = self.breaker.admit(self.now)
            if ticket != REFUSED:
                tried += 1
                self.breaker.record(ticket, self.now, breached=late)
            self.now += seconds
        return tried

    @property
    def positions(self) -> list[str]:
        """Those that it was told of."""
        return [one.position.value for one in self.changes]


def opened() -> Service:
    service = Service()
    service.decide(late=True, times=20)
    assert service.breaker.position is Position.OPEN
    return service


def test_all_is_tried_while_decisions_are_in_time() -> None:
    service = Service()
    assert service.decide(late=False, times=1_000, seconds=0.01) == 1_000
    assert service.changes == []


def test_twenty_late_decisions_open_it_and_the_next_is_not_tried() -> None:
    service = Service()
    assert service.decide(late=True, times=30) == 20
    assert service.changes == [Change(position=Position.OPEN, decisions=20, breaches=20)]


def test_half_of_the_decisions_being_late_is_enough() -> None:
    service = Service()
    service.decide(late=False, times=10)
    service.decide(late=True, times=10)
    assert service.breaker.position is Position.OPEN


def test_less_than_half_is_not_enough() -> None:
    service = Service()
    for _ in range(500):
        service.decide(late=False, times=11, seconds=0.05)
        service.decide(late=True, times=9, seconds=0.05)
    assert service.breaker.position is Position.CLOSED


def test_a_few_late_decisions_say_nothing() -> None:
    service = Service()
    service.decide(late=True, times=19)
    assert service.breaker.position is Position.CLOSED


def test_it_opens_with_the_twentieth_decision_also_when_that_one_is_in_time() -> None:
    service = Service()
    service.decide(late=True, times=19)
    service.decide(late=False)
    assert service.breaker.position is Position.OPEN


def test_late_decisions_are_forgotten_after_the_window() -> None:
    service = Service()
    service.decide(late=True, times=19)
    service.now += 11
    service.decide(late=True, times=19)
    assert service.breaker.position is Position.CLOSED


def test_nothing_is_tried_during_the_pause_and_one_decision_after_it() -> None:
    service = opened()
    assert service.decide(late=False, times=49, seconds=0.1) == 0
    service.now += 0.2
    assert service.breaker.admit(service.now) != REFUSED
    assert service.breaker.admit(service.now) == REFUSED
    assert service.positions == ["open", "half_open"]


def test_a_trial_in_time_closes_it_and_the_past_is_forgotten() -> None:
    service = opened()
    service.now += 5
    service.decide(late=False)
    assert service.positions == ["open", "half_open", "closed"]
    assert service.decide(late=True, times=30) == 20


def test_a_late_trial_means_another_pause() -> None:
    service = opened()
    service.now += 5
    service.decide(late=True)
    assert service.decide(late=False, times=49, seconds=0.1) == 0
    service.now += 0.2
    assert service.decide(late=False) == 1
    assert service.positions == ["open", "half_open", "open", "half_open", "closed"]


def test_a_trial_that_is_never_heard_of_again_does_not_block_it_for_ever() -> None:
    service = opened()
    service.now += 5
    lost = service.breaker.admit(service.now)
    service.now += 5
    assert service.decide(late=False) == 1
    assert service.breaker.position is Position.CLOSED
    service.breaker.record(lost, service.now, breached=True)
    assert service.positions == ["open", "half_open", "closed"]


def test_what_began_before_it_opened_says_nothing_of_the_trial() -> None:
    service = Service()
    old = service.breaker.admit(service.now)
    service.decide(late=True, times=20)
    service.breaker.record(old, service.now, breached=False)
    assert service.breaker.position is Position.OPEN
    service.now += 5
    service.breaker.admit(service.now)
    service.breaker.record(old, service.now, breached=False)
    assert service.breaker.position is Position.HALF_OPEN


limits = st.builds(
    BreakerLimits,
    least=st.integers(1, 30),
    share=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    window_seconds=st.sampled_from([1.0, 10.0]),
    pause_seconds=st.sampled_from([0.5, 5.0]),
)
# In exact binary fractions, so that sums of them are exact.
steps = st.lists(st.tuples(st.sampled_from([0.0, 0.015625, 0.25, 1.0, 7.0]), st.booleans()), max_size=300)


@given(limits, steps)
def test_it_opens_exactly_when_so_many_and_so_large_a_part_of_the_window_were_late(
    limits: BreakerLimits, steps: list[tuple[float, bool]]
) -> None:
    service = Service(limits)
    seen: list[tuple[float, bool]] = []

    def too_many(window_seconds: float) -> bool:
        within = [late for at, late in seen if at > service.now - window_seconds]
        return len(within) >= limits.least and sum(within) > 0 and sum(within) >= limits.share * len(within)

    for seconds, late in steps:
        service.now += seconds
        service.decide(late=late)
        seen.append((service.now, late))
        # The window reaches back up to a tenth more than it is long: one of those lengths must agree.
        lengths = [limits.window_seconds * (1 + tenth / 100) for tenth in range(11)]
        agreeing = {too_many(one) for one in [*lengths, *_exact(seen, service.now, limits.window_seconds)]}
        assert (service.breaker.position is Position.OPEN) in agreeing
        if service.breaker.position is Position.OPEN:
            return


def _exact(seen: list[tuple[float, bool]], now: float, window_seconds: float) -> list[float]:
    """The lengths that reach back to just before each decision of the last tenth."""
    ages = [now - at for at, _ in seen]
    return [age + 2**-20 for age in ages if window_seconds <= age <= 1.1 * window_seconds]


@given(limits, steps)
def test_whatever_happens_single_trials_are_made_again_and_one_in_time_closes_it(
    limits: BreakerLimits, steps: list[tuple[float, bool]]
) -> None:
    service = Service(limits)
    for seconds, late in steps:
        service.now += seconds
        service.decide(late=late)
    service.now += limits.pause_seconds
    assert service.decide(late=False) == 1
    if service.breaker.position is Position.OPEN:  # opened by the last one: the share was reached long ago
        service.now += limits.pause_seconds
        service.decide(late=False)
    assert service.breaker.position is Position.CLOSED


@given(limits, steps, st.integers(1, 5))
def test_at_most_one_decision_a_pause_is_tried_while_all_are_late(
    limits: BreakerLimits, steps: list[tuple[float, bool]], callers: int
) -> None:
    service = Service(limits)
    service.decide(late=True, times=limits.least)
    assert service.breaker.position is Position.OPEN
    trials: list[float] = []
    for seconds, _ in steps:
        service.now += seconds
        trials += [service.now] * service.decide(late=True, times=callers)
    assert all(later - earlier >= limits.pause_seconds for earlier, later in pairwise(trials))


@given(steps)
def test_positions_change_only_as_the_contract_says(steps: list[tuple[float, bool]]) -> None:
    service = Service()
    held: list[int] = []
    for seconds, late in steps:
        service.now += seconds
        held.append(service.breaker.admit(service.now))
        if len(held) > 3:  # answers come in any order, and some never
            service.breaker.record(held.pop(0 if late else -2), service.now, breached=late)
    path = ["closed", *service.positions]
    allowed = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
    assert set(pairwise(path)) <= allowed


@pytest.mark.parametrize("late", [True, False])
def test_a_refused_decision_says_nothing(late: bool) -> None:
    service = opened()
    service.now += 5
    service.breaker.admit(service.now)
    service.breaker.record(REFUSED, service.now, breached=late)
    assert service.breaker.position is Position.HALF_OPEN
