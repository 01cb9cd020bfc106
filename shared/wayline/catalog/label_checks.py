"""Purposes and labels hold together: what reads a field with a label serves purposes that may use that label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wayline.catalog.consent import NO_PURPOSE
from wayline.catalog.findings import Finding, unknown
from wayline.catalog.labels import Field, Labelled, labelled
from wayline.catalog.model import Action, Catalog, Treatment
from wayline.catalog.rule_checks import expressions, levels
from wayline.catalog.source import Path
from wayline.catalog.template_check import fields_read
from wayline.catalog.uses import Purposes, refusals, refused_inputs, served_by
from wayline.v1 import prediction_pb2


def unlawful(catalog: Catalog) -> Iterator[Finding]:
    """Purposes that are not there, and whatever reads a field that one of its purposes may not use."""
    yield from _purposes(catalog)
    fields = labelled(catalog)
    if not fields.fields:
        return
    for name, audience in catalog.audiences.items():
        if audience.purpose is not None:
            for message in refusals(catalog, fields, fields.read_by(audience.rule), (audience.purpose,)):
                yield Finding(("audiences", name, "rule"), message)
    served = {path: served_by(catalog, one) for path, one in levels(catalog)}
    for path, text, _ in expressions(catalog):
        level = next(path[:end] for end in range(len(path), 0, -1) if path[:end] in served)
        for message in refusals(catalog, fields, fields.read_by(text), served[level]):
            yield Finding(path, message)
    for path, treatment in levels(catalog):
        if isinstance(treatment, Treatment):
            yield from _contents(catalog, fields, path, treatment, served[path])


def refused_models(catalog: Catalog, champions: Mapping[str, prediction_pb2.ModelManifest]) -> Iterator[Finding]:
    """The champions that may not score the actions which ask for them, where the first of these says so, or where an
    arm of an experiment puts them in another's place.

    Args:
        catalog: that was checked otherwise.
        champions: the manifest of each model's champion, by model.
    """
    asking: dict[tuple[str, str], Path] = {}
    for path, action in levels(catalog):
        if isinstance(action, Action) and (model := action.propensity.model) is not None:
            asking.setdefault((model, model), (*path, "propensity", "model"))
    for position, experiment in enumerate(catalog.experiments):
        for arm, declared in experiment.arms.items():
            for model, other in declared.models.items():
                asking.setdefault((model, other), ("experiments", position, "arms", arm, "models", model))
    for (asked, name), path in asking.items():
        for message in refused_inputs(catalog, asked, champions[name]) if name in champions else ():
            yield Finding(path, f"the champion of the model '{name}' may not be used: {message}")


def _purposes(catalog: Catalog) -> Iterator[Finding]:
    if NO_PURPOSE in catalog.purposes:
        message = f"'{NO_PURPOSE}' says that there is no purpose; choose another name"
        yield Finding(("purposes", NO_PURPOSE), message, at_key=True)
    named: list[tuple[Path, str | None]] = [
        (("audiences", name, "purpose"), one.purpose) for name, one in catalog.audiences.items()
    ]
    if catalog.collection is not None:
        named.append((("collection", "purpose"), catalog.collection.purpose))
        named += [(("collection", "events", event), one.purpose) for event, one in catalog.collection.events.items()]
    for path, purpose in named:
        if purpose is not None and purpose not in catalog.purposes:
            yield Finding(path, unknown("purpose", purpose, catalog.purposes))


def _contents(
    catalog: Catalog, fields: Labelled, path: Path, treatment: Treatment, purposes: Purposes
) -> Iterator[Finding]:
    for place, read in fields_read(treatment.content, treatment.variants):
        for message in refusals(catalog, fields, [one for one in read if one in fields.fields], purposes):
            yield Finding((*path, *place), message)
    if treatment.variants:
        # The variant is chosen by the request's locale, else by the customer's.
        locale: Field = ("context", "locale") if "locale" in catalog.context else ("profile", "locale")
        for message in refusals(catalog, fields, [locale], purposes):
            yield Finding((*path, "variants"), message)
