"""Experiments: who is held out, who is in which arm, and from whom an action is withheld.

All of it follows from the customer's lot and the catalogue by salted hashes: nothing is stored, every replica and every
batch agree, and a replay finds the same. Numbers are drawn under names that cannot meet (`holdout:`, `layer:`,
`arm:`, `control:`; an id has no colon), so that each draw is independent of all others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, groupby

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.experiments import Arm, Control, Experiment
from wayline.catalog.model import Catalog
from wayline_decision.core.maturity import Salts, action_salts, reached

HOLDOUT = "holdout"
HELD_OUT = "held_out"
_WORD_BYTES = 8
_KEY_BYTES = 32
_UNIT = 2.0**-53
_MOST_KEPT = 50_000
"""As many customers as the cache of views holds."""
_KEPT_BYTES = 32 << 20
_ASSIGNMENT_BYTES = 600
"""Of one assignment and its key, without the bit set of withheld rows."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What experiments mean for one customer and request. Without arguments: as for everybody."""

    held_out: bool = False
    """In the universal holdout: gets nothing but fallbacks, and takes part in nothing."""
    arms: tuple[tuple[str, str], ...] = ()
    """Experiment and arm of each experiment in which the customer takes part, in the order of the catalogue."""
    control: Control | None = None
    formula: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """A model to the registered model that takes its place."""
    catalog: int | None = None
    """The revision of the catalogue that decides. Its own holdout and experiments do not count then."""
    withheld: int = 0
    """The rows of this catalogue whose action has the customer in its control group, as a bit set."""

    @property
    def recorded(self) -> dict[str, str]:
        """Experiment to arm, as responses and records name it."""
        return {HOLDOUT: HELD_OUT} if self.held_out else dict(self.arms)

    def because(self, row: int) -> str:
        """Why a row is withheld, in words; empty when it is not."""
        if self.held_out:
            return "in the holdout, which gets nothing but fallbacks"
        return "in the control group of this action" if self.withheld >> row & 1 else ""


AS_EVERYBODY = Assignment()


class _Lottery:
    """Numbers in [0, 1), one for each lot: BLAKE2b with the salt's hash as its key."""

    __slots__ = ("_keyed",)

    def __init__(self, salt: str) -> None:
        key = blake2b(salt.encode(), digest_size=_KEY_BYTES).digest()
        self._keyed = blake2b(key=key, digest_size=_WORD_BYTES)

    def number(self, lot: bytes) -> float:
        drawing = self._keyed.copy()
        drawing.update(lot)
        return (int.from_bytes(drawing.digest(), "big") >> 11) * _UNIT


def lot_number(salt: str, lot: bytes) -> float:
    """A customer's number under a salt, evenly spread over [0, 1) and the same for ever: a multiple of 2^-53.

    Args:
        salt: any text; numbers of different salts are independent.
        lot: what the customer's lots are drawn by, 16 bytes: the identity key of the customer's first event, or of the
            request's identifier when the customer is not known.
    """
    return _Lottery(salt).number(lot)


@dataclass(frozen=True, slots=True)
class _Trial:
    """An experiment, ready for drawing."""

    order: int
    """Its place in the catalogue; bit `order` of the experiments that a request opens."""
    lottery: _Lottery
    ends: tuple[float, ...]
    """By arm: where its part of [0, 1) ends."""
    names: tuple[tuple[str, str], ...]
    arms: tuple[Arm, ...]

    def arm(self, lot: bytes) -> int:
        return bisect_right(self.ends, self.lottery.number(lot))


@dataclass(frozen=True, slots=True)
class _Layer:
    """Experiments that exclude each other: each has a part of the layer's [0, 1), in the order of their ids."""

    lottery: _Lottery
    ends: tuple[float, ...]
    trials: tuple[_Trial, ...]

    def trial(self, lot: bytes) -> _Trial | None:
        found = bisect_right(self.ends, self.lottery.number(lot))
        return self.trials[found] if found < len(self.trials) else None


@dataclass(frozen=True, slots=True)
class _ControlGroups:
    """The actions that have one."""

    salts: Salts
    shares: NDArray[np.float64]
    rows: NDArray[np.intp]
    """The rows of those actions."""
    action_of: NDArray[np.intp]
    """For each of those rows, its action's place in `salts`."""
    width: int
    """The number of all rows."""

    def withheld(self, lot: bytes) -> int:
        drawn = np.zeros(self.width, np.bool_)
        drawn[self.rows] = reached(lot, self.salts, self.shares)[self.action_of]
        return int.from_bytes(np.packbits(drawn, bitorder="little").tobytes(), "little")


class ExperimentPlan:
    """A catalogue's experiments, ready for drawing. Never changes, but for what it remembers."""

    __slots__ = ("_always", "_assigned", "_at_placement", "empty")

    def __init__(
        self,
        draw: Callable[[bytes, int], Assignment],
        always: int,
        at_placement: Mapping[str, int],
        *,
        empty: bool,
        kept: int,
    ) -> None:
        """Remember what `draw` gave, for the `kept` customers that came last.

        Args:
            draw: the assignment of a lot among some experiments, a bit set of their places in the catalogue.
            always: the experiments that are open to every request.
            at_placement: the experiments that a placement opens.
            empty: nothing is declared that could change a decision.
            kept: how many assignments to remember.
        """
        self.empty = empty
        self._always = always
        self._at_placement = at_placement
        self._assigned = lru_cache(maxsize=kept)(draw)

    def assign(self, lot: bytes, placements: Collection[str]) -> Assignment:
        """What experiments mean for a customer and a request.

        Args:
            lot: as in `lot_number`.
            placements: the ids of those that the request asks for.
        """
        opened = self._always
        if self._at_placement:
            for placement in placements:
                opened |= self._at_placement.get(placement, 0)
        return self._assigned(lot, opened)


def compile_experiments(catalog: Catalog, action_of_row: Sequence[str]) -> ExperimentPlan:
    """Prepare the holdout, the experiments and the control groups of a catalogue.

    Args:
        catalog: one that has passed `wayline.catalog.check`.
        action_of_row: [T] the id of each row's action.
    """
    holdout = catalog.holdout
    held_out = holdout.share if holdout else 0.0
    holdout_lottery = _Lottery(f"holdout:{holdout.salt if holdout else HOLDOUT}")
    layers = _layers(catalog.experiments)
    controls = _control_groups(catalog, action_of_row)

    def draw(lot: bytes, opened: int) -> Assignment:
        # Another catalogue may decide for this one's customers: its control groups hold whatever its holdout says.
        withheld = controls.withheld(lot) if controls else 0
        if held_out and holdout_lottery.number(lot) < held_out:
            return Assignment(held_out=True, withheld=withheld)
        joined = [trial for layer in layers if (trial := layer.trial(lot)) and opened >> trial.order & 1]
        if not joined and not withheld:
            return AS_EVERYBODY
        return _assignment(sorted(joined, key=lambda trial: trial.order), lot, withheld)

    always, at_placement = _opened(catalog.experiments)
    per_assignment = _ASSIGNMENT_BYTES + (len(action_of_row) // 8 if controls else 0)
    return ExperimentPlan(
        draw,
        always,
        at_placement,
        empty=not held_out and not layers and controls is None,
        kept=min(_MOST_KEPT, _KEPT_BYTES // per_assignment),
    )


def _assignment(joined: Sequence[_Trial], lot: bytes, withheld: int) -> Assignment:
    """Put arms together. Of two that set the same thing, the first in the catalogue has its way."""
    drawn = [(trial, trial.arm(lot)) for trial in joined]
    arms = [trial.arms[at] for trial, at in drawn]
    return Assignment(
        arms=tuple(trial.names[at] for trial, at in drawn),
        control=next((arm.control for arm in arms if arm.control is not None), None),
        formula=next((arm.formula for arm in arms if arm.formula is not None), None),
        models={name: other for arm in reversed(arms) for name, other in arm.models.items()},
        catalog=next((arm.catalog for arm in arms if arm.catalog is not None), None),
        withheld=withheld,
    )


def _layers(experiments: Sequence[Experiment]) -> tuple[_Layer, ...]:
    # An experiment without a share has no part of its layer: it is not worth a lot.
    placed = [(order, one) for order, one in enumerate(experiments) if one.share]
    placed.sort(key=lambda pair: (pair[1].layer, pair[1].id))
    found = []
    for layer, members in groupby(placed, key=lambda pair: pair[1].layer):
        parts = list(members)
        found.append(
            _Layer(
                lottery=_Lottery(f"layer:{layer}"),
                ends=tuple(accumulate(one.share for _, one in parts)),
                trials=tuple(_trial(order, one) for order, one in parts),
            )
        )
    return tuple(found)


def _trial(order: int, experiment: Experiment) -> _Trial:
    # In the order of their ids, so that sorting the file moves nobody.
    arms = sorted(experiment.arms.items())
    ends = list(accumulate(arm.share for _, arm in arms))
    return _Trial(
        order=order,
        lottery=_Lottery(f"arm:{experiment.salt or experiment.id}"),
        # They add up to 1 but for rounding; the last one has to end at 1, since every customer has an arm.
        ends=tuple(end / ends[-1] for end in ends),
        names=tuple((experiment.id, name) for name, _ in arms),
        arms=tuple(arm for _, arm in arms),
    )


def _opened(experiments: Iterable[Experiment]) -> tuple[int, dict[str, int]]:
    """The experiments that are open to every request, and those that a placement opens."""
    always, at_placement = 0, dict[str, int]()
    for order, experiment in enumerate(experiments):
        if not experiment.placements:
            always |= 1 << order
        for placement in experiment.placements:
            at_placement[placement] = at_placement.get(placement, 0) | 1 << order
    return always, at_placement


def _control_groups(catalog: Catalog, action_of_row: Sequence[str]) -> _ControlGroups | None:
    shares = {action.id: action.control for _, _, action in catalog.actions() if action.control}
    if not shares:
        return None
    place = {action: at for at, action in enumerate(shares)}
    rows = [row for row, action in enumerate(action_of_row) if action in place]
    return _ControlGroups(
        salts=action_salts([f"control:{action}" for action in shares]),
        shares=np.array(list(shares.values()), np.float64),
        rows=np.array(rows, np.intp),
        action_of=np.array([place[action_of_row[row]] for row in rows], np.intp),
        width=len(action_of_row),
    )
