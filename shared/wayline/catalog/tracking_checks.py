"""What is wrong with the tracking plan: every schema is one, and within its limits."""

from __future__ import annotations

from collections.abc import Iterator

from wayline.catalog.findings import Finding
from wayline.catalog.json_schemas import SchemaRefused, compiled
from wayline.catalog.model import Catalog


def unusable_schemas(catalog: Catalog) -> Iterator[Finding]:
    """A finding for each schema that cannot be used."""
    for name, planned in (catalog.tracking_plan.events if catalog.tracking_plan else {}).items():
        path = ("tracking_plan", "events", name, "schema")
        if planned.rules.get("type", "object") != "object":
            yield Finding((*path, "type"), "properties and traits are objects: expected 'type: object', or no type")
            continue
        try:
            compiled(planned.rules)
        except SchemaRefused as error:
            yield Finding((*path, *error.path), str(error), at_key=error.at_key)
