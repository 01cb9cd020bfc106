"""What an answer says of a placement beside its selections: why the profile was not used, why nothing stands in it."""

from __future__ import annotations

from wayline.v1 import decision_pb2
from wayline_decision.core.consent import Denied, consent_standing
from wayline_decision.core.decision import Decision, Filled, Personalisation
from wayline_decision.core.plan import Plan
from wayline_decision.wire import sized, tag

_REASONS = tag(decision_pb2.PlacementDecision, "reasons")
_NOTES = {
    Personalisation.UNKNOWN_CUSTOMER: "contextual: the customer is not known",
    Personalisation.UNAVAILABLE: "contextual: the profile could not be read in time",
}


class Reasons:
    """The reasons of placements under one plan, as fields of a PlacementDecision."""

    def __init__(self, plan: Plan) -> None:
        """Encode what is always the same."""
        self._plan = plan
        self._not_here = _reason("contextual: the profile is not used in this placement (personalise_only)")
        self._notes = {mode: _reason(note) for mode, note in _NOTES.items()}

    def of(self, filled: Filled, decision: Decision) -> list[bytes]:
        """Those of one placement of a decision."""
        if filled.denied:
            return [_reason(f"silence: {filled.denied.reason}")]
        reasons = self._contextual(filled, decision)
        reasons += [_reason(failure) for failure in decision.failures]
        if not filled.chosen:
            reasons.append(_reason(self._why_nothing(filled, decision)))
        return reasons

    def _contextual(self, filled: Filled, decision: Decision) -> list[bytes]:
        """Why the profile was not used; empty: it was."""
        if decision.personalisation is Personalisation.FULL and not filled.placement.personal:
            return [self._not_here]
        if decision.personalisation is Personalisation.NO_CONSENT:
            purpose = self._plan.catalog.personalisation
            why = consent_standing(self._plan, decision.question.known, purpose).why
            return [_reason(f"contextual: {Denied(purpose, why).reason}")]
        note = self._notes.get(decision.personalisation)
        return [] if note is None else [note]

    def _why_nothing(self, filled: Filled, decision: Decision) -> str:
        if filled.quiet:
            return f"silence: quiet hours of {filled.placement.channel}"
        if decision.assignment.held_out:
            return "silence: the customer is in the holdout"
        if filled.contest is not None and not filled.unrendered:
            return self._why_nobody_stands(filled, filled.contest.open, decision)
        if filled.barred or filled.contest is not None:
            return "no action passed all stages; Explain says where each was dropped"
        return "no action met its conditions"

    def _why_nobody_stands(self, filled: Filled, open_: int, decision: Decision) -> str:
        """Some actions passed all stages before they met the rest of the response."""
        names: list[str] = []
        for other in decision.placements:
            if other is filled:
                break
            standing = 0
            for one in other.choices:
                standing |= self._plan.company.rows_of(self._plan.rows[one.row].action)
            if open_ & standing:
                names.append(other.placement.id)
                open_ &= ~standing
        if names and not open_:
            return f"the actions that met their conditions stand elsewhere in this response: in {' and '.join(names)}"
        return (
            "what met its conditions was kept out by a bundle, an exclusion, a full group or a shared cap; "
            "Explain says by which"
        )


def _reason(text: str) -> bytes:
    return sized(_REASONS, text.encode())
