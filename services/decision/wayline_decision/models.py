"""The models in use: loaded from the registry, made to fit the plan, and swapped while requests run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from wayline import logging
from wayline.catalog.uses import refused_inputs
from wayline.errors import WaylineError
from wayline.registry import Registry
from wayline.scoring import InputEncoder, Scorer
from wayline.v1 import prediction_pb2
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import ModelInUse, Models, model_in_use, models_for

log = logging.get("models")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model version, ready to run under any plan."""

    manifest: prediction_pb2.ModelManifest
    version: int
    scorer: Scorer


@dataclass(slots=True)
class ModelShelf:
    """Loaded champions by model name."""

    registry: Registry
    champions: dict[str, Loaded] = field(default_factory=dict)

    async def update(self, model: prediction_pb2.Model) -> bool:
        """Bring one model up to date. A version that does not load leaves the former one in place.

        Returns:
            Whether anything changed.
        """
        held = self.champions.get(model.name)
        if not model.champion:
            return self.champions.pop(model.name, None) is not None
        if held and held.version == model.champion:
            return False
        try:
            self.champions[model.name] = await load(self.registry, model.name, model.champion)
        except WaylineError as error:
            log.error("model_unusable", model=model.name, version=model.champion, error=str(error))
            return False
        log.info("model_loaded", model=model.name, version=model.champion)
        return True


async def load(registry: Registry, name: str, version: int) -> Loaded:
    """Fetch and load one version, off the event loop.

    Raises:
        WaylineError: it is not there, or does not load.
    """
    entry, onnx = await registry.fetch(name, version)
    scorer = await asyncio.to_thread(Scorer, entry.manifest, onnx)
    return Loaded(entry.manifest, version, scorer)


def fit(plan: Plan, champions: Mapping[str, Loaded]) -> Models:
    """The models that the plan's actions ask for.

    One that does not fit, or reads what its purposes may not use, is logged; its actions use the base rate.
    """
    fitted: list[ModelInUse] = []
    for name in sorted(plan.models):
        loaded = champions.get(name)
        if loaded is None:
            log.warning("model_missing", model=name)
            continue
        if refused := refused_inputs(plan.catalog, name, loaded.manifest):
            log.error("model_may_not_be_used", model=name, version=loaded.version, error="; ".join(refused[:_SHOWN]))
            continue
        try:
            encoder = InputEncoder(loaded.manifest, plan.schema, plan.compiler)
        except WaylineError as error:
            log.error("model_does_not_fit", model=name, version=loaded.version, error=str(error))
            continue
        fitted.append(
            model_in_use(
                plan,
                [output.action for output in loaded.manifest.outputs],
                name=name,
                version=loaded.version,
                run=loaded.scorer.run,
                encode=encoder.encode,
                needs_context=encoder.needs_context,
                needs_activation=encoder.needs_activation,
                evidence=[(output.responses, output.positives) for output in loaded.manifest.outputs],
            )
        )
    return models_for(plan, fitted)
