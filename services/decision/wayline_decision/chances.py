"""With what chance the first slots of a recorded decision were filled as they were.

The record says it, unless Thompson sampling filled them: then the decision is made anew, under what it was made with,
and the chance is worked out in hindsight.
"""

from __future__ import annotations

from collections.abc import Mapping

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew
from wayline_decision.core.odds import selection_probabilities
from wayline_decision.past import Past

Record = decision_pb2.DecisionRecord
Recorded = decision_pb2.RecordedSelection


def recorded_chances(record: Record) -> dict[str, float]:
    """Placement to its chance, as far as the record says. Where nothing could be chosen, that was certain.

    Where some content could not be rendered, a slot may stay empty, and the next one be the first: then only what was
    certain has its chance.
    """
    firsts = _firsts(record)
    whole = not any(note.startswith("content:") for note in record.notes)
    found: dict[str, float] = {}
    for asked in record.request.placements:
        first = firsts.get(asked.placement)
        chance = 1.0 if first is None else _logged(first)
        if chance is not None and (whole or (first is not None and chance == 1.0)):
            found[asked.placement] = chance
    return found


def chances_in_hindsight(record: Record, past: Past) -> dict[str, float]:
    """Placement to its chance, for those of which the record does not say it.

    What cannot be told is left out: where a model is gone, and with it the evidence that its draws rested on; where the
    decision does not come out as it did; where some content could not be rendered; and in the control arm
    'random_propensity' all placements but the first, since one draw stands for all.

    Args:
        record: of the decision.
        past: what it was made with.
    """
    if past.gone:
        return {}
    try:
        anew = decide_anew(record, past.state)
    except InvalidField:
        return {}
    plan, firsts = anew.plan, _firsts(record)
    found: dict[str, float] = {}
    for filled, known in zip(anew.decision.placements, selection_probabilities(plan, anew.decision), strict=True):
        first = firsts.get(filled.placement.id)
        if first is None or filled.unrendered or not filled.chosen:
            continue
        row = filled.chosen[0].row
        if row in known and (plan.rows[row].action_id, plan.rows[row].treatment_id) == (first.action, first.treatment):
            found[filled.placement.id] = known[row]
    return found


def _logged(selection: Recorded) -> float | None:
    return selection.selection_probability if selection.HasField("selection_probability") else None


def _firsts(record: Record) -> Mapping[str, Recorded]:
    """Placement to what its first slot holds."""
    return {one.placement: one for one in reversed(record.selections)}
