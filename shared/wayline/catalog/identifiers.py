"""The section `identifiers`: kinds of identifier, where events name them, and their limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from wayline.catalog.fields import Model, Name, listed
from wayline.catalog.findings import Finding
from wayline.identifiers import DEFAULTS, MAX_PROFILE_IDENTIFIERS, IdentityRules, KindRules

if TYPE_CHECKING:
    from wayline.catalog.model import Catalog

MAX_KINDS = 20
MAX_BLOCKED = 1_000

_PATH = re.compile(r"(traits|properties|context)(\.[A-Za-z0-9_$ -]{1,64}){1,4}")


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError("expected a path such as traits.loyaltyCard or properties.card, of at most four names")
    return value


EventPath = Annotated[str, Field(max_length=300), AfterValidator(_path)]
Blocked = Annotated[str, Field(min_length=1, max_length=256)]


class IdentifierKind(Model):
    """What is declared of one kind. What is left out keeps the default of a built-in kind, else that of `KindRules`."""

    from_: Annotated[tuple[EventPath, ...], BeforeValidator(listed)] = Field(
        (), alias="from", max_length=10, description="Where events name it: traits.loyaltyCard, properties.card."
    )
    priority: int | None = Field(
        None, ge=0, le=1_000, description="Links between identifiers of higher priority are honoured first."
    )
    most: int | None = Field(None, ge=1, le=MAX_PROFILE_IDENTIFIERS, description="Of this kind in one profile.")
    owners: int | None = Field(
        None,
        ge=1,
        le=50,
        description="With how many identifiers of one higher kind it may be linked; with more it joins nobody.",
    )
    blocked: Annotated[tuple[Blocked, ...], BeforeValidator(listed)] = Field(
        (), max_length=MAX_BLOCKED, description="Values that identify nobody, besides those that never do."
    )


Identifiers = Annotated[dict[Name, IdentifierKind], Field(max_length=MAX_KINDS)]


def rules_of(catalog: Catalog) -> IdentityRules:
    """The rules of all kinds that a catalogue knows."""
    return IdentityRules({**DEFAULTS, **{kind: _rules(kind, one) for kind, one in catalog.identifiers.items()}})


def read_twice(catalog: Catalog) -> Iterator[Finding]:
    """Paths at which two kinds are read: an identifier is of one kind."""
    first: dict[str, tuple[str, int]] = {}
    for kind, declared in catalog.identifiers.items():
        for at, path in enumerate(declared.from_):
            found, place = first.setdefault(path, (kind, at))
            if (found, place) != (kind, at):
                message = (
                    f"'{path}' is read as {found} already, and an identifier is of one kind; leave one of them out"
                )
                yield Finding(("identifiers", kind, "from", at), message)


def _rules(kind: str, declared: IdentifierKind) -> KindRules:
    usual = DEFAULTS.get(kind) or KindRules()

    def chosen(value: int | None, default: int) -> int:
        return default if value is None else value

    return KindRules(
        paths=tuple(tuple(path.split(".")) for path in declared.from_),
        priority=chosen(declared.priority, usual.priority),
        most=chosen(declared.most, usual.most),
        owners=chosen(declared.owners, usual.owners),
        blocked=frozenset(value.strip().lower() for value in declared.blocked),
    )
