"""What is known of a customer, and what was worked out from that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """The conditions and weights that no request changes, by their numbers in the plan."""

    passed: int
    """The rows that meet all of these conditions, as a bit set."""
    met: list[bool]
    errors: Mapping[int, str]
    weights: list[float]


class Standing(NamedTuple):
    """How all rows stand with one customer, before conditions: the arithmetic and the ranking."""

    models: Any
    """The models by which they stand so; None: only for this request."""
    propensity: Floats
    """[A]"""
    weights: Floats
    """[A]"""
    row_priority: Floats
    """[T]"""
    order: list[int] | None
    """All rows, best first; None: not ranked yet."""
    sources: Mapping[int, str]
    failures: tuple[str, ...]


class Known:
    """One view of one customer under one plan: it never changes, so what follows from it alone is worked out once.

    A customer usually looks at several places of a page, and at several pages, between two events: conditions on the
    profile alone and the scores of models that read the profile alone stay the same meanwhile.
    """

    __slots__ = ("consents", "facts", "judged", "scores", "standing", "traits")

    def __init__(self, traits: Any, facts: Any, consents: Mapping[str, bool]) -> None:
        """Begin with nothing worked out.

        Args:
            traits: for models: all declared traits.
            facts: for rules: the traits that rules read (see `Plan.facts`).
            consents: purpose to the customer's last word.
        """
        self.traits = traits
        self.facts = facts
        self.consents = consents
        self.judged: Judged | None = None
        self.scores: dict[str, tuple[int, Floats]] = {}
        """Model to its version and the propensities, [actions of the model]."""
        self.standing: Standing | None = None


class Situation:
    """The context of a request, and how the conditions on the context alone turned out.

    Visitors share situations (a device, a country, a kind of page), so one is kept for the requests to come.
    """

    __slots__ = ("context", "judged", "warnings")

    def __init__(self, context: Any, warnings: Sequence[str] = ()) -> None:
        """Begin with nothing worked out.

        Args:
            context: the message of the declared fields.
            warnings: of reading it.
        """
        self.context = context
        self.warnings = warnings
        self.judged: tuple[list[bool], Mapping[int, str]] | None = None
        """Whether each condition on the context alone is met, and by its place among them, why it could not be told."""
