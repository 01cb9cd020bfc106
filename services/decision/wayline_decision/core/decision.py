"""What is asked, what other decisions have left, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple

from wayline_decision.core.consent import Denied
from wayline_decision.core.contact import Met, Verdict
from wayline_decision.core.contest import Choice, Contest
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.core.known import Arithmetic, Known, Situation, Standing
from wayline_decision.core.plan import PlacementPlan, Stage
from wayline_decision.core.schedule import ScheduleVerdict
from wayline_decision.core.score import Models
from wayline_decision.core.screen import Screened
from wayline_decision.core.subject import Subject

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


class Chosen:
    """A row in a slot."""

    __slots__ = ("arithmetic", "content", "drawn", "row", "selection_probability")

    def __init__(
        self,
        row: int,
        arithmetic: Arithmetic,
        selection_probability: float | None = 1.0,
        drawn: float | None = None,
        content: Content | None = None,
    ) -> None:
        """Put together.

        Args:
            row: of the plan.
            arithmetic: of its score.
            selection_probability: as in `Choice`.
            drawn: likewise.
            content: rendered for this customer; None: it is the row's.
        """
        self.row: Final = row
        self.arithmetic: Final = arithmetic
        self.selection_probability: Final = selection_probability
        self.drawn: Final = drawn
        self.content: Final = content


class Filled:
    """One placement: what was chosen, and all that an explanation needs."""

    __slots__ = (
        "barred",
        "choices",
        "chosen",
        "contest",
        "denied",
        "placement",
        "quiet",
        "screened",
        "standing",
        "subject",
        "unrendered",
    )

    def __init__(
        self,
        placement: PlacementPlan,
        seen: Seen,
        barred: tuple[tuple[Stage, int], ...] = (),
        *,
        chosen: Sequence[Chosen] = (),
        denied: Denied | None = None,
        contest: Contest | None = None,
        choices: Sequence[Choice] = (),
        quiet: bool = False,
        unrendered: int = 0,
    ) -> None:
        """Put together.

        Args:
            placement: that was filled.
            seen: whom its rules and models saw.
            barred: by stage, the rows that it dropped, as bit sets; a row may be in several.
            chosen: who stands in it, best first.
            denied: why nothing goes out in it.
            contest: for its slots; None: nothing could have stood in them.
            choices: who won the slots.
            quiet: nothing goes out on the channel now, not even a fallback.
            unrendered: the rows whose content could not be rendered for this customer, as a bit set.
        """
        self.placement: Final = placement
        self.subject: Final = seen.subject
        self.screened: Final = seen.screened
        self.standing: Final = seen.standing
        self.barred: Final = barred
        self.chosen: Final = chosen
        self.denied: Final = denied
        self.contest: Final = contest
        self.choices: Final = choices
        self.quiet: Final = quiet
        self.unrendered: Final = unrendered


class Seen:
    """Whom a placement sees."""

    __slots__ = ("screened", "standing", "subject")

    def __init__(self, subject: Subject, screened: Screened, standing: Standing) -> None:
        """The customer, or nobody; how the conditions turned out; and how all rows stand."""
        self.subject: Final = subject
        self.screened: Final = screened
        self.standing: Final = standing


class Decision:
    """Everything that came out, and what an explanation needs beside it."""

    __slots__ = (
        "assignment",
        "contact",
        "failures",
        "limits",
        "models",
        "now",
        "personalisation",
        "placements",
        "question",
        "recorded",
        "schedule",
    )

    def __init__(
        self,
        personalisation: Personalisation,
        placements: list[Filled],
        failures: tuple[str, ...],
        now: datetime,
        question: Question,
        models: Models,
        limits: Limits,
        contact: Verdict | None,
        schedule: ScheduleVerdict | None,
        recorded: bytes,
    ) -> None:
        """Put together.

        Args:
            personalisation: how personal it is.
            placements: in the order of the request.
            failures: of models and contents, in words.
            now: the time by which rules were judged.
            question: that was asked.
            models: those in use.
            limits: what other decisions had left.
            contact: what the contact policy says; None: there is none.
            schedule: what schedules and quiet hours say; None: there are none.
            recorded: the propensities, before smoothing, of the actions that were candidates in some placement:
                little-endian float32, by action id. Empty: no model scored.
        """
        self.personalisation: Final = personalisation
        self.placements: Final = placements
        self.failures: Final = failures
        self.now: Final = now
        self.question: Final = question
        self.models: Final = models
        self.limits: Final = limits
        self.assignment: Final = question.assignment
        self.contact: Final = contact
        self.schedule: Final = schedule
        self.recorded: Final = recorded


class Prepared:
    """A question with what is worked out for many at once."""

    __slots__ = ("mode", "question", "standing", "subject")

    def __init__(self, question: Question, mode: Personalisation, subject: Subject, standing: Standing) -> None:
        """What is asked, how personal the answer may be, whom rules and models see, and how all rows stand."""
        self.question: Final = question
        self.mode: Final = mode
        self.subject: Final = subject
        self.standing: Final = standing

    def asking(self, question: Question) -> Prepared:
        """The same for another question about the same customer."""
        return Prepared(question, self.mode, self.subject, self.standing)
