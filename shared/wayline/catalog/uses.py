"""For which purposes what is declared is used, and which fields with labels these may not use.

What is decided for a customer serves the catalogue's purpose of personalisation, and on a channel that has a purpose,
that one too. Each of them has to name the label in `may_use`. A field without labels may be used for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from wayline.catalog.labels import Field, Labelled, labelled
from wayline.catalog.model import Action, Catalog, Group, Issue, Policies, Treatment
from wayline.v1 import prediction_pb2

Purposes = tuple[str | None, ...]
"""Sorted; None stands for personalisation where the catalogue names no purpose for it."""


def served_by(catalog: Catalog, policies: Policies) -> Purposes:
    """The purposes for which what is declared at a level is used."""
    if not isinstance(policies, Treatment):
        below: Mapping[type, str] = {Issue: "groups", Group: "actions", Action: "treatments"}
        parts = getattr(policies, below[type(policies)])
        return _merged([(catalog.personalisation,), *(served_by(catalog, part) for part in parts)])
    purposes: set[str | None] = {catalog.personalisation}
    for name in policies.placements:
        placement = catalog.placements.get(name)
        channel = catalog.channels.get(placement.channel) if placement else None
        if channel is not None and channel.purpose is not None:
            purposes.add(channel.purpose)
    return _sorted(purposes)


def refused_inputs(catalog: Catalog, name: str, manifest: prediction_pb2.ModelManifest) -> list[str]:
    """Why a model may not score the actions that ask for it, by the inputs of its manifest; empty: it may."""
    fields = labelled(catalog)
    if not fields.fields:
        return []
    users = [served_by(catalog, action) for _, _, action in catalog.actions() if action.propensity.model == name]
    purposes = _merged([(catalog.personalisation,), *users])
    found = []
    for position, column in enumerate(manifest.inputs):
        match column.WhichOneof("source"):
            case "trait":
                read: list[Field] = [("profile", column.trait)]
            case "context":
                read = [("context", column.context)]
            case _:
                read = fields.read_by(column.cel)
        found += [f"inputs[{position}]: {message}" for message in refusals(catalog, fields, read, purposes)]
    return found


def refusals(catalog: Catalog, fields: Labelled, read: Collection[Field], purposes: Purposes) -> Iterator[str]:
    """Why fields may not be used for some purposes, in words; nothing when they may."""
    for section, name in read:
        for purpose in purposes:
            declared = catalog.purposes.get(purpose) if purpose else None
            for label, origin in fields.fields.get((section, name), {}).items():
                if purpose is None:
                    whose = "the catalogue names no purpose for personalisation"
                    yield f"{_said(section, name, label, origin)}, and {whose}; set personalisation: PURPOSE"
                elif declared is None or label not in declared.may_use:
                    yield (
                        f"{_said(section, name, label, origin)}, and the purpose '{purpose}' may not use '{label}'; "
                        f"leave {section}.{name} out, or add '{label}' to purposes.{purpose}.may_use"
                    )


def _said(section: str, name: str, label: str, origin: str) -> str:
    return f"{section}.{name} is labelled '{label}'" + (f" (as {origin} is)" if origin else "")


def _merged(parts: Iterable[Purposes]) -> Purposes:
    return _sorted({purpose for part in parts for purpose in part})


def _sorted(purposes: set[str | None]) -> Purposes:
    return tuple(sorted(purposes, key=lambda purpose: purpose or ""))
