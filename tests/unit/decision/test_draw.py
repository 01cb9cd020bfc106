from __future__ import annotations

from wayline_decision.core.draw import Dice


def test_each_roll_of_the_dice_is_another_seed_and_the_same_dice_fall_the_same() -> None:
    dice, again = Dice(2**64 - 1), Dice(2**64 - 1)
    rolls = [dice.roll() for _ in range(1_000)]
    assert rolls == [again.roll() for _ in range(1_000)]
    assert len(set(rolls)) == 1_000
    assert all(0 <= roll < 2**64 for roll in rolls)
