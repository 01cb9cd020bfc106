"""What is known of a customer, and what was worked out from that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.consent import NOTHING_SAID, Said
from wayline.catalog.consent import Standing as ConsentStanding
from wayline_decision.core.contact import Met, Verdict

Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """How conditions of one kind turned out, by their numbers in the plan; and weights, where they belong to them."""

    passed: int
    """The rows that meet all of these conditions, as a bit set."""
    met: list[bool]
    errors: Mapping[int, str]
    """By place among them: why a condition could not be evaluated. It counts as not met."""
    weights: list[float]


class Race(NamedTuple):
    """Candidates that compete for slots, at most one row of each action; [K] each."""

    rows: list[int]
    actions: list[int]
    priority: Floats
    logit: Floats
    """Of the propensity."""
    spread: Floats
    """The standard deviation of the logit, by the evidence."""
    unit: NDArray[np.float32]
    """The priority at propensity 1, for the product formula; as exact as the draws that it is multiplied with."""
    duel: Duel | None = None
    """How those that can win are compared; None: draw by draw."""


class Duel(NamedTuple):
    """1 / priority = inverse + exp(spread z - shifted) for a normal z: who has the least wins. [K] each.

    Native floats, since those that can win are few: five on the average of a hundred actions that rest on a thousand
    responses each, and then eight calls of NumPy take twice as long as a loop.
    """

    spread: list[float]
    shifted: list[float]
    """logit + log(unit)."""
    inverse: list[float]
    """1 / unit."""


@dataclass(slots=True)
class Arithmetic:
    """The arithmetic of a row's score for one customer."""

    propensity: float
    context: float
    value: float
    lever: float
    priority: float
    source: str
    unsmoothed: float | None = None
    """The propensity before smoothing; None: nothing is smoothed."""
    encoded: tuple[bytes, bytes] | None = field(default=None, compare=False, repr=False)
    """As answers and as records hold it, once it was written."""


class Standing:
    """How all rows stand with one customer, before conditions: the arithmetic and the ranking."""

    __slots__ = (
        "above",
        "arithmetic",
        "evidence",
        "failures",
        "models",
        "order",
        "propensity",
        "races",
        "raw",
        "recorded",
        "row_priority",
        "sources",
        "usual",
        "weights",
    )

    def __init__(
        self,
        *,
        propensity: Floats,
        raw: Floats,
        evidence: Floats,
        weights: Floats,
        row_priority: Floats,
        sources: Mapping[int, str],
        failures: tuple[str, ...],
    ) -> None:
        """Put together.

        Args:
            propensity: [A], smoothed.
            raw: [A], as the models and the catalogue gave it.
            evidence: [A] responses that it rests on.
            weights: [A] context weights.
            row_priority: [T].
            sources: action to where its propensity is from; those that are not here are from the catalogue.
            failures: of models, in words.
        """
        self.propensity = propensity
        self.raw = raw
        self.evidence = evidence
        self.weights = weights
        self.row_priority = row_priority
        self.sources = sources
        self.failures = failures
        self.models: Any = None
        """The models by which they stand so, while that is kept; None: only for this request."""
        self.usual: Standing | None = None
        """How they stand for everybody, where this is for an experiment's control arm."""
        self.order: list[int] | None = None
        """All rows, the highest priority of the highest tier first; None: not ranked yet."""
        self.above: dict[float, int] = {}
        """Threshold to the rows whose priority reaches it, as bit sets."""
        self.arithmetic: dict[int, Arithmetic] = {}
        """By row, of those that were chosen before."""
        self.races: dict[tuple[int, int], Race] = {}
        """The latest bit sets of candidates, with what is drawn from."""
        self.recorded: tuple[int, bytes] | None = None
        """The latest bit set of candidates, with their propensities as records keep them."""


class Known:
    """One view of one customer under one plan: it never changes, so what follows from it alone is worked out once.

    A customer usually looks at several places of a page, and at several pages, between two events: conditions on the
    profile alone and the scores of models that read the profile alone stay the same meanwhile.
    """

    __slots__ = (
        "contacts",
        "facts",
        "judged",
        "lot",
        "said",
        "scores",
        "standing",
        "stands",
        "timezone",
        "traits",
        "unreached",
        "verdict",
    )

    def __init__(
        self,
        traits: Any,
        facts: Any,
        said: Said = NOTHING_SAID,
        *,
        contacts: Sequence[Met] = (),
        timezone: str = "",
        lot: bytes = b"",
    ) -> None:
        """Begin with nothing worked out.

        Args:
            traits: for models: all declared traits.
            facts: for rules: the traits that rules read (see `Plan.facts`).
            said: of consent, by the customer.
            contacts: outcomes that name an action.
            timezone: IANA name; empty: not known.
            lot: what experiments draw by; 16 bytes.
        """
        self.traits = traits
        self.facts = facts
        self.said = said
        self.stands: dict[str | None, ConsentStanding] = {}
        """By purpose: see `wayline_decision.core.consent`."""
        self.contacts = contacts
        self.timezone = timezone
        self.lot = lot
        self.judged: Judged | None = None
        self.scores: dict[str, tuple[int, Floats]] = {}
        """Model to its version and the propensities, [actions of the model]."""
        self.standing: Standing | None = None
        self.verdict: Verdict | None = None
        """Of the contact policy, without reservations."""
        self.unreached: tuple[Any, int] | None = None
        """The models, and the rows of new actions that do not reach this customer yet, as a bit set."""


class Clock:
    """How the conditions on the time alone turned out in the latest second: rules know the time in whole seconds."""

    __slots__ = ("judged",)

    def __init__(self) -> None:
        """Begin with nothing worked out."""
        self.judged: tuple[datetime, Judged] | None = None


class Situation:
    """The context of a request, and how the conditions on the context alone turned out.

    Visitors share situations (a device, a country, a kind of page), so one is kept for the requests to come.
    """

    __slots__ = ("bare", "context", "judged", "warnings")

    def __init__(self, context: Any, warnings: Sequence[str] = ()) -> None:
        """Begin with nothing worked out.

        Args:
            context: the message of the declared fields.
            warnings: of reading it.
        """
        self.context = context
        self.warnings = warnings
        self.judged: Judged | None = None
        """How the conditions on the context alone turned out."""
        self.bare: Situation | None = None
        """The same without the fields that have labels: see `wayline_decision.core.consent`."""
