"""Which folder each kind of declared trait has."""

from __future__ import annotations

from typing import Any

from wayline.catalog.traits import (
    UNIT_SECONDS,
    AffinityTrait,
    AverageTrait,
    CountTrait,
    DistinctTrait,
    EventTrait,
    ExtremeTrait,
    FrequentTrait,
    MomentTrait,
    RecencyTrait,
    SumTrait,
)
from wayline_profile.core.affinities import AffinityFolder
from wayline_profile.core.evidence import Folder
from wayline_profile.core.moments import MomentFolder, RecencyFolder
from wayline_profile.core.spans import EverFolder, WindowFolder
from wayline_profile.core.tallies import Average, Count, Distinct, Extreme, Frequent, Sum, Tally


def folder_of(trait: EventTrait) -> Folder:
    """The folder of a declaration."""
    match trait:
        case MomentTrait():
            return MomentFolder(trait.property, trait.kind == "first", trait.type, trait.default)
        case AffinityTrait():
            return AffinityFolder(trait.property, trait.half_life * 1_000, trait.weights)
        case RecencyTrait():
            return RecencyFolder(UNIT_SECONDS[trait.unit] * 1_000)
    tally, cell = _tally_of(trait)
    window_seconds: int | None = getattr(trait, "window", None)
    return EverFolder(tally, cell) if window_seconds is None else WindowFolder(tally, window_seconds * 1_000)


def _tally_of(trait: Any) -> tuple[Tally, str]:
    """The tally, and the name of its cell in a state without a window."""
    match trait:
        case CountTrait():
            return Count(), "total"
        case SumTrait():
            return Sum(trait.property), "total"
        case AverageTrait():
            return Average(trait.property), "total"
        case ExtremeTrait():
            return Extreme(trait.property, trait.kind == "max"), "extreme"
        case DistinctTrait():
            return Distinct(trait.property), "values"
        case FrequentTrait():
            return Frequent(trait.property), "counts"
    raise TypeError(f"there is no folder for {trait!r}")
