"""Purposes, what may be stored, and labels, for the terminal: parts of `wayline catalog show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.markup import escape
from rich.table import Table

from wayline.catalog.consent import NO_PURPOSE
from wayline.catalog.labels import Field, Origins, classification, labelled
from wayline.catalog.model import Catalog


def render(catalog: Catalog) -> Iterator[Table]:
    """What there is of it, table by table."""
    if catalog.purposes:
        yield _purposes(catalog)
    if catalog.collection is not None:
        yield _collection(catalog)
    fields = labelled(catalog).fields
    if fields:
        yield _labels(catalog, fields)


def _purposes(catalog: Catalog) -> Table:
    table = Table(
        *("purpose", "legal basis", "while nothing is said", "used for", "may use", "sold or shared"),
        title="Purposes",
        title_justify="left",
    )
    for name, purpose in catalog.purposes.items():
        answers = [purpose.unasked("")[0], *(f"{region} {answer}" for region, answer in purpose.defaults.items())]
        uses = ["personalisation"] if catalog.personalisation == name else []
        uses += [channel for channel, one in catalog.channels.items() if one.purpose == name]
        table.add_row(
            name,
            purpose.legal_basis.replace("_", " "),
            ", ".join(answers),
            ", ".join(uses),
            ", ".join(purpose.may_use),
            "yes" if purpose.sale_or_sharing else "",
        )
    return table


def _collection(catalog: Catalog) -> Table:
    table = Table("event", "stored for", "legal basis", title="Collection", title_justify="left")
    collection = catalog.collection
    assert collection is not None
    rows = [(name, one.purpose, one.legal_basis) for name, one in collection.events.items()]
    for name, purpose, basis in [*rows, ("any other", collection.purpose, None)]:
        declared = catalog.purposes.get(purpose) if purpose else None
        table.add_row(
            escape(name), purpose or NO_PURPOSE, (basis or (declared.legal_basis if declared else "")).replace("_", " ")
        )
    return table


def _labels(catalog: Catalog, fields: Mapping[Field, Origins]) -> Table:
    table = Table(
        *("field", "class", "labels", "through"),
        title="Labels (identifiers and sensitive fields are never logged)",
        title_justify="left",
    )
    origins = {f"{section}.{name}": found for (section, name), found in fields.items()}
    for field, kind in classification(catalog).items():
        found = origins.get(field, {})
        if kind != "ordinary":
            through = dict.fromkeys(origin for origin in found.values() if origin)
            table.add_row(field, kind, ", ".join(found), escape(", ".join(through)))
    return table
