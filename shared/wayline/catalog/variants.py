"""The variants of a catalogue that its experiments come to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from wayline.catalog.experiments import Arm, Experiment
from wayline.errors import InvalidField


class Variant(NamedTuple):
    """What an arm changes."""

    catalog: int | None
    formula: str | None
    models: tuple[tuple[str, str], ...]


AS_IS = Variant(None, None, ())
MAX_VARIANTS = 50
_MAX_COMBINATIONS = 10_000


def variants_of(experiments: Sequence[Experiment]) -> list[Variant]:
    """What the arms of all experiments come to, alone and together: a customer is in one of each layer at most.

    Raises:
        InvalidField: they come to more than `MAX_VARIANTS`.
    """
    layers: dict[str, list[tuple[int, Arm]]] = {}
    for order, experiment in enumerate(experiments):
        changing = [arm for arm in experiment.arms.values() if _together([arm]) != AS_IS]
        layers.setdefault(experiment.layer, []).extend((order, arm) for arm in changing)
    found: set[Variant] = set()
    for number, drawn in enumerate(product(*([None, *arms] for arms in layers.values()))):
        arms = [arm for _, arm in sorted((one for one in drawn if one is not None), key=lambda one: one[0])]
        found.add(_together(arms))
        if len(found) > MAX_VARIANTS or number >= _MAX_COMBINATIONS:
            raise InvalidField(
                "experiments",
                f"on catalogue, model or formula they come to over {MAX_VARIANTS} variants; put some into one layer",
            )
    return sorted(found - {AS_IS}, key=repr)


def revisions_of(experiments: Sequence[Experiment]) -> list[int]:
    """The other revisions of the catalogue that arms name, in order."""
    return sorted({arm.catalog for one in experiments for arm in one.arms.values() if arm.catalog is not None})


def _together(arms: Sequence[Arm]) -> Variant:
    """As `Assignment` has it: of two that change the same, the first wins."""
    models: dict[str, str] = {}
    for arm in reversed(arms):
        models |= arm.models
    return Variant(
        next((arm.catalog for arm in arms if arm.catalog is not None), None),
        next((arm.formula for arm in arms if arm.formula is not None), None),
        tuple(sorted(models.items())),
    )
