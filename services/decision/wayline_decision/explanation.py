"""The answer of Explain: the decision made anew, its funnel, its arithmetic, its chances in hindsight, and what spoke
for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from wayline.scoring import InputEncoder
from wayline.v1 import decision_pb2, prediction_pb2
from wayline_decision.anew import Anew, decide_anew, differences
from wayline_decision.core.features import effects
from wayline_decision.core.funnel import funnel
from wayline_decision.core.odds import selection_probabilities
from wayline_decision.core.plan import Stage
from wayline_decision.core.score import ModelInUse
from wayline_decision.models import Loaded
from wayline_decision.past import Past
from wayline_decision.workings import priority_rule, smoothing

_STAGE = {getattr(decision_pb2, f"STAGE_{one.name}"): one for one in Stage}
_NUMBER = {one: number for number, one in _STAGE.items()}


def explanation(record: decision_pb2.DecisionRecord, past: Past) -> decision_pb2.ExplainResponse:
    """Why a decision came out as it did.

    Args:
        record: of the decision.
        past: what it was made with.

    Raises:
        InvalidField: that is not what it was made with.
    """
    anew = decide_anew(record, past.state)
    decision = anew.response(record)
    decision.warnings.extend(
        f"model:{name} is no longer in the registry: its propensities are those of the record" for name in past.gone
    )
    _add_chances(decision, anew)
    return decision_pb2.ExplainResponse(
        record=record,
        decision=decision,
        reproduced=not differences(record, anew),
        funnel=_funnel(decision, anew),
        features=_features(anew, past),
        priority_rule=priority_rule(anew),
        smoothing=smoothing(anew),
    )


def _add_chances(decision: decision_pb2.DecideResponse, anew: Anew) -> None:
    """Those that the method of exploration gives in hindsight only."""
    chances = selection_probabilities(anew.plan, anew.decision)
    for answer, filled, known in zip(decision.placements, anew.decision.placements, chances, strict=True):
        for selection, chosen in zip(answer.selections, filled.chosen, strict=True):
            if not selection.HasField("selection_probability") and chosen.row in known:
                selection.selection_probability = known[chosen.row]


def _funnel(decision: decision_pb2.DecideResponse, anew: Anew) -> Iterator[decision_pb2.FunnelStep]:
    if anew.fell_back is not None:
        return  # nothing was judged
    for answer, filled in zip(decision.placements, anew.decision.placements, strict=True):
        stages = [_STAGE[one.stage] for one in answer.dropped]
        for step in funnel(filled.placement.rows.bit_count(), stages):
            yield decision_pb2.FunnelStep(
                placement=answer.placement, stage=_NUMBER[step.stage], entered=step.entered, dropped=step.dropped
            )


def _features(anew: Anew, past: Past) -> Iterator[decision_pb2.FeatureEffect]:
    """Of the selected actions, in the order of the response; nothing of models that are gone."""
    plan = anew.plan
    chosen = [
        (plan.rows[one.row].action, one.arithmetic.source, filled.subject)
        for filled in anew.decision.placements
        for one in filled.chosen
    ]
    for model in anew.case.state.models.in_use:
        source = f"model:{model.name}@{model.version}"
        scored = [(action, subject) for action, by, subject in chosen if by == source]
        if scored and model.name in past.models:
            # Whoever is scored by a model is the customer; where the profile may not be used, none is asked.
            yield from _effects(anew, model, past.models[model.name], [action for action, _ in scored])


def _effects(anew: Anew, model: ModelInUse, loaded: Loaded, actions: list[int]) -> Iterator[decision_pb2.FeatureEffect]:
    plan, question, now = anew.plan, anew.decision.question, anew.decision.now
    assert question.known is not None
    traits, context = question.known.traits, question.situation.context
    nobody, nothing = plan.schema.traits(), plan.schema.context()
    encoder = InputEncoder(loaded.manifest, plan.schema, plan.compiler)
    row = encoder.encode(traits, context, plan.compiler.activation(traits, context, now))
    default = encoder.encode(nobody, nothing, plan.compiler.activation(nobody, nothing, now))
    for one in effects(plan, model, row, default, actions):
        yield decision_pb2.FeatureEffect(
            action=plan.actions[one.action].id,
            feature=_named(loaded.manifest.inputs[one.input]),
            value=one.value,
            effect=one.effect,
        )


def _named(column: prediction_pb2.ModelInput) -> str:
    match column.WhichOneof("source"):
        case "trait":
            return f"profile.{column.trait}"
        case "context":
            return f"context.{column.context}"
        case _:
            return column.cel
