"""The gates of collection, in their order: readable, the contract, identifiers, suppression, consent, tracking plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from wayline.catalog.contact import DECISION_EVENT
from wayline.catalog.identifiers import rules_of
from wayline.catalog.model import Catalog
from wayline.identifiers import IdentityRules, is_usable, usable_identifiers
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import Rejection
from wayline_ingestion.core import clock, suppression_gate
from wayline_ingestion.core.consent_gate import PASSED, ConsentGate, Outcome, Verdict, stripped
from wayline_ingestion.core.judgement import Judgement, Notes, Passed, Refused
from wayline_ingestion.core.plan import CompiledPlan, Deviation
from wayline_ingestion.core.suppression_gate import Suppressed
from wayline_ingestion.core.validate import MAX_EVENT_BYTES, validate

NO_CONSENT = "no_consent"
SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one catalogue says about collection, compiled."""

    revision: int = 0
    identifiers: IdentityRules = field(default_factory=IdentityRules)
    consent: ConsentGate = field(default_factory=lambda: ConsentGate.of(Catalog()))
    plan: CompiledPlan = field(default_factory=lambda: CompiledPlan(None))

    @classmethod
    def of(cls, revision: int, catalog: Catalog) -> Rules:
        """Compile them; it may take a second.

        Raises:
            SchemaRefused: a schema of the tracking plan is none.
        """
        return cls(
            revision=revision,
            identifiers=rules_of(catalog),
            consent=ConsentGate.of(catalog),
            plan=CompiledPlan(catalog.tracking_plan),
        )


class Judge:
    """Judges events by the rules in force, which may be replaced between two events."""

    def __init__(self, suppressed: Suppressed, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """Start without a catalogue. `suppressed` may grow and shrink meanwhile."""
        self.rules = Rules()
        self._suppressed = suppressed
        self._max_event_bytes = max_event_bytes

    def judge(self, event: Event | None, field: str, received_ns: int, now_ns: int, encoded_bytes: int) -> Judgement:
        """Whether an event may be stored, and as what.

        Args:
            event: as it came; it may be changed where it passes. None: it could not be read.
            field: how the caller finds it, for instance `events[3]`.
            received_ns: when it was received first, in nanoseconds since 1970; clock skew is reckoned by it.
            now_ns: now; the same, but for an event that is tried again.
            encoded_bytes: the length of the event as it came.
        """
        if event is None:
            expected = "expected an encoded Event: text in UTF-8, nested less than 100 messages deep"
            return Refused(Event(), Rejection(reason="unreadable", field=field, expected=expected))
        rules = self.rules
        invalid = validate(event, field, now_ns / 1e9, encoded_bytes=encoded_bytes, max_bytes=self._max_event_bytes)
        if invalid is not None:
            return Refused(event, invalid, keep=self._may_be_kept(event, rules))
        if not _names_somebody(event, rules.identifiers):
            expected = "expected an identifier of somebody; values such as 'anonymous' or '0000' are nobody's"
            rejection = Rejection(reason="blocked", field=f"{field}.user_id", expected=expected)
            return Refused(event, rejection, keep=self._may_be_kept(event, rules))
        without_device = False
        if len(self._suppressed):
            if suppression_gate.bars(event, rules.identifiers, self._suppressed):
                expected = "expected no event of somebody who was erased"
                return Refused(event, Rejection(reason=SUPPRESSED, field=field, expected=expected), keep=False)
            without_device = suppression_gate.without_devices(event, rules.identifiers, self._suppressed)
        event.ClearField("violations")  # these two are ours to say
        event.ClearField("original_timestamp")
        verdict = rules.consent.judge(event)
        if verdict is not PASSED:  # by identity, as most are: to look at its outcome takes as long as the gate itself
            if verdict.outcome is Outcome.REFUSE:
                return _without_consent(event, field, verdict)
            if verdict.outcome is Outcome.STRIP:
                return _passed(stripped(event), received_ns, now_ns, None, _label(verdict), without_device)
        deviation = rules.plan.judge(event)
        if deviation is not None and deviation.refusal is not None:
            reason, path, expected = deviation.refusal
            rejection = Rejection(reason=reason, field=f"{field}.{path}"[:256], expected=expected)
            return Refused(
                event, rejection, unplanned=deviation.unplanned, unplanned_properties=deviation.unplanned_properties
            )
        return _passed(event, received_ns, now_ns, deviation, "", without_device)

    def _may_be_kept(self, event: Event, rules: Rules) -> bool:
        """Whether an event that breaks the rules may be a dead letter: whoever may not be stored is not stored so."""
        if event.name == DECISION_EVENT:  # whom it names is read from its properties alone: its ids may be anybody's
            return False
        if rules.consent.judge(event).outcome is not Outcome.PASS:
            return False
        return not len(self._suppressed) or not suppression_gate.names_suppressed(
            event, rules.identifiers, self._suppressed
        )


def _names_somebody(event: Event, rules: IdentityRules) -> bool:
    """As `usable_identifiers`, but what most events name is looked at first: that takes a fifth of the time."""
    anonymous_id = event.anonymous_id
    if anonymous_id and is_usable(("anonymous_id", anonymous_id.strip()), rules):
        return True
    user_id = event.user_id
    if user_id and is_usable(("user_id", user_id.strip()), rules):
        return True
    return bool(usable_identifiers(event, rules))


def _passed(
    event: Event,
    received_ns: int,
    now_ns: int,
    deviation: Deviation | None,
    without_consent: str,
    without_device: bool,
) -> Passed:
    happened_ns, moved_ns = clock.correct(event, received_ns)
    received_at = event.received_at
    received_at.seconds, received_at.nanos = now_ns // clock.NS, now_ns % clock.NS
    age_ns = None if happened_ns is None else now_ns - happened_ns
    if deviation is None:
        if not moved_ns and not without_consent and not without_device:
            return Passed(event, age_ns)
        return Passed(event, age_ns, Notes(moved_ns, without_consent=without_consent, without_device=without_device))
    event.violations.extend(deviation.violations)
    notes = Notes(moved_ns, deviation.unplanned, deviation.unplanned_properties, without_device=without_device)
    return Passed(event, age_ns, notes)


def _without_consent(event: Event, field: str, verdict: Verdict) -> Refused:
    region = f", in {verdict.region}" if verdict.region else ""
    said = "it is denied" if verdict.why == "denied" else "the event says nothing of it, and the default is denied"
    expected = f"expected consent for '{verdict.purpose}' in the event itself{region}: {said}"
    rejection = Rejection(reason=NO_CONSENT, field=f"{field}.context.consent", expected=expected)
    return Refused(event, rejection, keep=False, without_consent=_label(verdict))


def _label(verdict: Verdict) -> str:
    return f"{verdict.purpose}: {verdict.why}"
