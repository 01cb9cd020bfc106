"""With what chance the slots of a recorded decision were filled as they were.

The record says it, unless Thompson sampling filled them: then the decision is made anew, under what it was made with,
and the chances are worked out in hindsight.
"""

from __future__ import annotations

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew
from wayline_decision.core.odds import selection_probabilities
from wayline_decision.past import Past

Record = decision_pb2.DecisionRecord


def recorded_chances(record: Record) -> dict[str, list[float | None]]:
    """By placement, the chance of each slot that was filled, given those before it; None: the record does not say.

    A placement without any had to stay empty. Where some content could not be rendered, a slot may have stayed empty by
    lot, and the next one be the first: then only what was certain has its chance.
    """
    whole = not some_unrendered(record)
    found: dict[str, list[float | None]] = {one.placement: [] for one in record.request.placements}
    for one in record.selections:
        chance = one.selection_probability if one.HasField("selection_probability") else None
        found[one.placement].append(chance if whole or chance == 1.0 else None)
    if not whole:
        found = {placement: slots or [None] for placement, slots in found.items()}
    return found


def some_unrendered(record: Record) -> bool:
    """Some content could not be rendered: an empty slot may have been won by it."""
    return any(note.startswith("content:") for note in record.notes)


def chances_in_hindsight(record: Record, past: Past) -> dict[str, list[float | None]]:
    """The same, with what the record does not say, as far as it can be told.

    It cannot where a model is gone, and with it the evidence that its draws rested on; where the decision does not come
    out as it did; where a content of the placement could not be rendered; and in the control arm 'random_propensity',
    where one draw stands for all slots, for all but the first.

    Args:
        record: of the decision.
        past: what it was made with.
    """
    found = recorded_chances(record)
    if past.gone:
        return found
    try:
        anew = decide_anew(record, past.state)
    except InvalidField:
        return found
    rows = anew.plan.rows
    for filled, known in zip(anew.decision.placements, selection_probabilities(anew.plan, anew.decision), strict=True):
        name = filled.placement.id
        then = [(one.action, one.treatment) for one in record.selections if one.placement == name]
        if then != [(rows[one.row].action_id, rows[one.row].treatment_id) for one in filled.chosen]:
            return recorded_chances(record)
        if not filled.unrendered:
            found[name] = [
                known.get(one.row) if one.selection_probability is None else one.selection_probability
                for one in filled.chosen
            ]
    return found
