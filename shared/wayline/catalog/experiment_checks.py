"""What is wrong with experiments as a whole: what they name exists, and shares fit into their layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wayline.catalog.findings import Finding
from wayline.catalog.model import Catalog
from wayline.catalog.source import Path
from wayline.catalog.spelling import did_you_mean
from wayline.catalog.variants import variants_of
from wayline.errors import InvalidField

RESERVED = "holdout"
"""Responses and records name the universal holdout so."""
_ROUNDING = 1e-6


def problems(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    """Where something is wrong, and what, in words; nothing when the experiments can run."""
    yield from _ids(catalog)
    yield from _layers(catalog)
    yield from _salts(catalog)
    yield from _names(catalog)
    try:
        variants_of(catalog.experiments)
    except InvalidField as error:
        yield ("experiments",), error.expected


def refused_arms(catalog: Catalog, refused: Mapping[int, str]) -> Iterator[Finding]:
    """The arms that would be decided by a revision which cannot decide.

    Args:
        catalog: that was checked otherwise.
        refused: such revisions, and why in words.
    """
    for at, experiment in enumerate(catalog.experiments):
        for name, arm in experiment.arms.items():
            if arm.catalog is not None and arm.catalog in refused:
                yield Finding(("experiments", at, "arms", name, "catalog"), refused[arm.catalog])


def _ids(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for at, experiment in enumerate(catalog.experiments):
        if experiment.id == RESERVED:
            yield ("experiments", at, "id"), f"'{RESERVED}' is what the universal holdout is called; choose another id"
        if experiment.id in seen:
            yield ("experiments", at, "id"), f"the experiment '{experiment.id}' is there twice"
        seen.add(experiment.id)


def _layers(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    taken: dict[str, float] = {}
    for at, experiment in enumerate(catalog.experiments):
        before = taken.get(experiment.layer, 0.0)
        taken[experiment.layer] = before + experiment.share
        if before + experiment.share > 1 + _ROUNDING:
            message = f"{max(0.0, 1 - before):g} of the layer '{experiment.layer}' is left, got {experiment.share:g}"
            yield ("experiments", at, "share"), f"{message}: experiments of one layer exclude each other"


def _salts(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    """In one layer a salt may come again (they exclude each other); across layers the arms would go together."""
    first: dict[str, tuple[str, str]] = {}
    for at, experiment in enumerate(catalog.experiments):
        salt = experiment.salt or experiment.id
        layer, name = first.setdefault(salt, (experiment.layer, experiment.id))
        if layer != experiment.layer and name != experiment.id:
            message = f"draws the same lots as '{name}' of another layer, so neither could be told from the other"
            yield ("experiments", at, "id" if experiment.salt is None else "salt"), f"{message}; choose another"


def _names(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    models = {action.propensity.model for _, _, action in catalog.actions() if action.propensity.model}
    for at, experiment in enumerate(catalog.experiments):
        for position, placement in enumerate(experiment.placements):
            if placement not in catalog.placements:
                yield ("experiments", at, "placements", position), _no("placement", placement, catalog.placements)
        for name, arm in experiment.arms.items():
            # Another revision may have other models.
            for model in arm.models if arm.catalog is None else ():
                if model not in models:
                    yield ("experiments", at, "arms", name, "models", model), _no("model in use", model, models)
    for position, placement in enumerate(catalog.personalise_only or ()):
        if placement not in catalog.placements:
            yield ("personalise_only", position), _no("placement", placement, catalog.placements)


def _no(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return f"there is no {what} '{name}'" + (
        did_you_mean(name, names) or f" (there are: {', '.join(names[:20]) or 'none'})"
    )
