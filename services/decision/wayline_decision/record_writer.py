"""Records of decisions: a DecisionRecord, joined from parts that are encoded once per plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wayline import publish
from wayline.v1 import decision_pb2, profile_pb2
from wayline_decision.answers import PERSONALISATION
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Chosen, Decision, Personalisation
from wayline_decision.core.experiments import AS_EVERYBODY
from wayline_decision.core.plan import Plan
from wayline_decision.figures import figures_of
from wayline_decision.particulars import Particulars
from wayline_decision.wire import ONE_DOUBLE, field, sized, strings, tag, timestamp, varint

_ID = tag(decision_pb2.DecisionRecord, "decision_id")
_REQUEST = tag(decision_pb2.DecisionRecord, "request")
_VIEW = tag(decision_pb2.DecisionRecord, "view")
_MODE = tag(decision_pb2.DecisionRecord, "personalisation")
_TIME = tag(decision_pb2.DecisionRecord, "decided_at")
_SELECTION = tag(decision_pb2.DecisionRecord, "selections")
_STALE = tag(decision_pb2.DecisionRecord, "stale") + b"\x01"
_NOTES = tag(decision_pb2.DecisionRecord, "notes")
_SEED = tag(decision_pb2.DecisionRecord, "seed")
_PROPENSITIES = tag(decision_pb2.DecisionRecord, "propensities")
_EXPERIMENTS = tag(decision_pb2.DecisionRecord, "experiments")
_EXHAUSTED = tag(decision_pb2.DecisionRecord, "exhausted")
_RESERVED = tag(decision_pb2.DecisionRecord, "reserved")
_PROBABILITY = tag(decision_pb2.RecordedSelection, "selection_probability")
_RECORDS = tag(decision_pb2.DecisionRecordBundle, "records")


class RecordWriter:
    """Writes the records of one plan and its models."""

    def __init__(self, plan: Plan, versions: Mapping[str, int]) -> None:
        """Encode what never changes while plan and models stay."""
        self._placements = {
            name: decision_pb2.RecordedSelection(placement=name).SerializeToString() for name in plan.placements
        }
        self._chosen = [
            decision_pb2.RecordedSelection(action=row.action_id, treatment=row.treatment_id).SerializeToString()
            for row in plan.rows
        ]
        head = decision_pb2.DecisionRecord(catalog_revision=plan.revision, model_versions=versions).SerializeToString()
        self._heads = {mode: _MODE + varint(PERSONALISATION[mode]) + head + _SEED for mode in Personalisation}

    def record(self, of: Particulars, decision: Decision) -> bytes:
        """A DecisionRecord: all that went in, and what came out."""
        parts = [*field(_ID, of.decision_id.encode()), *field(_REQUEST, of.request)]
        if of.view:
            parts += field(_VIEW, of.view)
        parts += (self._heads[decision.personalisation], varint(of.seed))
        parts += field(_TIME, timestamp(of.now))
        for filled in decision.placements:
            placement = self._placements[filled.placement.id]
            for chosen in filled.chosen:
                parts += field(_SELECTION, placement + self._chosen[chosen.row] + _recorded(chosen))
        if of.stale:
            parts.append(_STALE)
        if decision.failures:
            parts += [sized(_NOTES, note.encode()) for note in decision.failures]
        if decision.recorded:
            parts += field(_PROPENSITIES, decision.recorded)
        if decision.assignment is not AS_EVERYBODY:
            parts += strings(_EXPERIMENTS, decision.assignment.recorded)
        parts += [sized(_EXHAUSTED, action.encode()) for action in of.exhausted]
        parts += [sized(_RESERVED, contact_of(one).SerializeToString()) for one in of.reserved]
        return b"".join(parts)


class Written:
    """A decision whose record is still to be encoded."""

    __slots__ = ("_decision", "_particulars", "_writer")

    def __init__(self, writer: RecordWriter, particulars: Particulars, decision: Decision) -> None:
        """What came out of a decision, and who writes it."""
        self._writer = writer
        self._particulars = particulars
        self._decision = decision

    def encoded(self) -> publish.Message:
        """The record; its subject and id are the bundle's."""
        return publish.Message("", self._writer.record(self._particulars, self._decision), "")


def bundle(records: Sequence[bytes]) -> bytes:
    """A DecisionRecordBundle of encoded records."""
    parts: list[bytes] = []
    for record in records:
        parts += field(_RECORDS, record)
    return b"".join(parts)


def contact_of(met: Met) -> profile_pb2.Contact:
    """The contract's form of a contact."""
    return profile_pb2.Contact(
        outcome=met.outcome,
        action=met.action,
        channel=met.channel,
        timestamp_ms=met.timestamp_ms,
        decision_id=met.decision_id,
    )


def _recorded(chosen: Chosen) -> bytes:
    _, figures = figures_of(chosen.arithmetic)
    if chosen.selection_probability is None:
        return figures
    return figures + _PROBABILITY + ONE_DOUBLE.pack(chosen.selection_probability)
