"""What is asked, what other decisions have left, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from wayline_decision.core.consent import Denied
from wayline_decision.core.contact import Met, Verdict
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.core.known import Arithmetic, Known, Situation, Standing
from wayline_decision.core.plan import PlacementPlan, Stage
from wayline_decision.core.schedule import ScheduleVerdict
from wayline_decision.core.score import Models
from wayline_decision.core.screen import Screened
from wayline_decision.core.slots import Choice, Contest
from wayline_decision.core.standing import Subject

Content = Mapping[str, Any]


class Personalisation(IntEnum):
    """How personal a decision is. The names are those of the contract."""

    FULL = 1
    UNKNOWN_CUSTOMER = 2
    NO_CONSENT = 3
    UNAVAILABLE = 4


class Question(NamedTuple):
    """One request. `known` None: the customer is not known, or could not be read (`reachable` False)."""

    placements: Sequence[tuple[PlacementPlan, int]]
    """With the number of slots to fill."""
    situation: Situation
    known: Known | None
    reachable: bool = True
    lot: bytes = b""
    """What experiments draw by; 16 bytes."""
    assignment: Assignment = AS_EVERYBODY
    seed: int = 0
    """Of all that is random, up to 64 bits."""
    recorded: bytes | None = None
    """The propensities of a record that is decided anew: see `Decision.recorded`."""


class Limits(NamedTuple):
    """What other decisions have left: asked for when a decision is made, since the one before may have taken it."""

    exhausted: int = 0
    """The rows whose budget is used up, as a bit set."""
    reserved: Sequence[Met] = ()
    """Contacts that were promised to the customer and that the profile does not show yet."""


UNLIMITED = Limits()


class Chosen(NamedTuple):
    """A row in a slot."""

    row: int
    arithmetic: Arithmetic
    """Of its score."""
    selection_probability: float | None = 1.0
    """As in `Choice`."""
    drawn: float | None = None
    content: Content | None = None
    """Rendered for this customer; None: it is the row's."""


class Filled(NamedTuple):
    """One placement: what was chosen, and all that an explanation needs."""

    placement: PlacementPlan
    chosen: tuple[Chosen, ...]
    denied: Denied | None
    subject: Subject
    """Whom its rules and models saw."""
    screened: Screened
    standing: Standing
    barred: tuple[tuple[Stage, int], ...] = ()
    """By stage, the rows that it dropped, as bit sets; a row may be in several."""
    contest: Contest | None = None
    """For its slots; None: nothing could have stood in them."""
    choices: Sequence[Choice] = ()
    """Who won the slots."""
    quiet: bool = False
    """Nothing goes out on the channel now, not even a fallback."""
    unrendered: int = 0
    """The rows whose content could not be rendered for this customer, as a bit set."""


class Decision(NamedTuple):
    """Everything that came out, and what an explanation needs beside it."""

    personalisation: Personalisation
    placements: tuple[Filled, ...]
    failures: tuple[str, ...]
    now: datetime
    question: Question
    models: Models
    limits: Limits
    assignment: Assignment = AS_EVERYBODY
    contact: Verdict | None = None
    schedule: ScheduleVerdict | None = None
    recorded: bytes = b""
    """The propensities, before smoothing, of the actions that were candidates in some placement: little-endian float32,
    by action id. Empty: no model scored.
    """


class Prepared(NamedTuple):
    """A question with what is worked out for many at once."""

    question: Question
    mode: Personalisation
    subject: Subject
    standing: Standing
