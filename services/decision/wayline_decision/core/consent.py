"""How a customer stands on the purposes of a plan. Worked out once for a view: a newer view is another `Known`."""

from __future__ import annotations

from typing import NamedTuple

from wayline.catalog.consent import OPTED_OUT, RESTRICTED
from wayline.catalog.consent import Standing as ConsentStanding
from wayline.catalog.labels import without
from wayline_decision.core.known import Known, Situation
from wayline_decision.core.plan import PlacementPlan, Plan

UNREAD = "what the customer said could not be read"
_UNREAD = ConsentStanding(False, "unknown", UNREAD)


class Denied(NamedTuple):
    """Why nothing goes out in a placement."""

    purpose: str | None
    """None: the channel names none; then processing is restricted."""
    why: str
    """In words."""

    @property
    def reason(self) -> str:
        """In words."""
        if self.purpose is None or self.why == RESTRICTED:
            return self.why
        return f"no consent for {self.purpose}: {self.why}"

    @property
    def change(self) -> str:
        """What would have to be otherwise."""
        if self.why == RESTRICTED:
            return "the restriction would have to be lifted (wayline customers release)"
        if self.why == OPTED_OUT:
            return "the customer would have to take back the opt-out"
        if self.why == UNREAD:
            return "the profile service would have to answer"
        return f"the customer would have to allow {self.purpose}"


def consent_standing(plan: Plan, known: Known | None, purpose: str | None) -> ConsentStanding:
    """How a customer stands on a purpose; None as the customer: nothing is known."""
    seen = known or plan.nobody
    standing = seen.stands.get(purpose)
    if standing is None:
        standing = seen.stands[purpose] = plan.catalog.standing(purpose, seen.said)
    return standing


def usable_situation(plan: Plan, known: Known | None, reachable: bool, situation: Situation) -> Situation:
    """What of a request's context may be used: a field with labels only by consent for personalisation.

    Args:
        plan: of the decision.
        known: the customer; None: nothing is known.
        reachable: False: what the customer said could not be read, which counts as no consent.
        situation: the request's.
    """
    if not plan.labelled_context:
        return situation
    if reachable and consent_standing(plan, known, plan.catalog.personalisation).allowed:
        return situation
    if situation.bare is None:
        situation.bare = Situation(without(situation.context, plan.labelled_context), situation.warnings)
    return situation.bare


def denied(plan: Plan, known: Known | None, placement: PlacementPlan, *, reachable: bool = True) -> Denied | None:
    """Why nothing may go out in a placement; None: it may.

    While what the customer said cannot be read (`reachable` False), it may have been a no: no default stands for it.

    Who comes to us on a channel without a purpose is answered even under restriction, as a stranger would be. To turn
    to somebody takes an address, which is not to be used then.
    """
    standing = consent_standing(plan, known, placement.purpose) if reachable else _UNREAD
    if standing.allowed or (placement.purpose is None and not placement.outbound):
        return None
    return Denied(placement.purpose, standing.why)
