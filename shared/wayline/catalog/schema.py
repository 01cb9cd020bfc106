"""The message types that a catalogue declares: `Traits` (what rules call profile) and `Context`.

They are generated at run time in proto2 syntax, since that has declared defaults: a missing value is its default, in
CEL as in Python, without a line of code. A field's number is a hash of its name and type. So two revisions of a
catalogue read each other's bytes: what one does not declare is skipped, and what changed its type is another field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from wayline.catalog.fields import Default
from wayline.catalog.model import Catalog, ContextField
from wayline.catalog.traits import (
    AffinityTrait,
    AttributeTrait,
    AverageTrait,
    CountTrait,
    DistinctTrait,
    ExtremeTrait,
    MomentTrait,
    RatioTrait,
    RecencyTrait,
    RuleTrait,
    SumTrait,
    TopTrait,
    Trait,
)

PACKAGE = "wayline.catalog"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _Field.TYPE_STRING,
    "number": _Field.TYPE_DOUBLE,
    "integer": _Field.TYPE_INT64,
    "boolean": _Field.TYPE_BOOL,
}
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
}
# Field numbers run from 1 to 2^29 - 1; 19000 to 19999 belong to protobuf itself.
_FIRST_NUMBER, _NUMBERS = 20_000, (1 << 29) - 20_000
WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class Schema:
    """The generated types of one catalogue."""

    pool: descriptor_pool.DescriptorPool
    traits: type[Message]
    context: type[Message]
    trait_types: Mapping[str, str]
    context_types: Mapping[str, str]


class SchemaError(ValueError):
    """A declaration cannot become a field. `path` leads to it in the catalogue."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        """Say what is wrong with the declaration at `path`."""
        super().__init__(message)
        self.path = path


def trait_type(trait: Trait) -> str:
    """The type of a trait's value: string, number, integer, boolean, or weights (a map of string to double)."""
    match trait:
        case AttributeTrait() | MomentTrait() | RuleTrait():
            return trait.type
        case CountTrait() | DistinctTrait() | RecencyTrait():
            return "integer"
        case SumTrait() | AverageTrait() | ExtremeTrait() | RatioTrait():
            return "number"
        case AffinityTrait():
            return WEIGHTS
        case _:
            return "string"


def default_of(trait: Trait | ContextField) -> Default | None:
    """The declared default, if the declaration can have one; a recency always has one."""
    if isinstance(trait, RecencyTrait):
        return trait.never
    return (
        None if isinstance(trait, CountTrait | SumTrait | DistinctTrait | AffinityTrait | TopTrait) else trait.default
    )


def build_schema(catalog: Catalog) -> Schema:
    """Generate the types.

    Raises:
        SchemaError: a default does not fit its type, or two names share a field number (rename one).
    """
    file = descriptor_pb2.FileDescriptorProto(name="wayline/catalog.proto", package=PACKAGE, syntax="proto2")
    declared = catalog.effective_traits()
    trait_types = {name: trait_type(trait) for name, trait in declared.items()}
    context_types: dict[str, str] = {name: field.type for name, field in catalog.context.items()}
    traits = file.message_type.add(name="Traits")
    for name, trait in declared.items():
        _add_field(traits, ("traits", name), trait_types[name], default_of(trait))
    context = file.message_type.add(name="Context")
    for name, field in catalog.context.items():
        _add_field(context, ("context", name), field.type, field.default)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return Schema(
        pool=pool,
        traits=message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Traits")),
        context=message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Context")),
        trait_types=trait_types,
        context_types=context_types,
    )


def fits(value: Any, type_name: str) -> bool:
    """Whether a Python value is of a declared type. A boolean is not a number."""
    return isinstance(value, _PYTHON_TYPES[type_name]) and (type_name == "boolean" or not isinstance(value, bool))


def _add_field(
    message: descriptor_pb2.DescriptorProto, path: tuple[str, str], type_name: str, default: Default | None
) -> None:
    name = path[1]
    number = _FIRST_NUMBER + crc32(f"{name}\0{type_name}".encode()) % _NUMBERS
    if any(other.number == number for other in message.field):
        raise SchemaError(path, f"'{name}' collides with another declaration; please choose another name")
    if type_name == WEIGHTS:
        entry = message.nested_type.add(name=_entry_name(name))
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=_Field.TYPE_DOUBLE, label=_Field.LABEL_OPTIONAL)
        message.field.add(
            name=name,
            number=number,
            type=_Field.TYPE_MESSAGE,
            label=_Field.LABEL_REPEATED,
            type_name=f".{PACKAGE}.{message.name}.{entry.name}",
        )
        return
    field = message.field.add(name=name, number=number, type=_TYPES[type_name], label=_Field.LABEL_OPTIONAL)
    if default is not None:
        if not fits(default, type_name):
            raise SchemaError((*path, "default"), f"expected a {type_name}, got {default!r}")
        field.default_value = str(default).lower() if isinstance(default, bool) else str(default)


def _entry_name(name: str) -> str:
    """The name that protobuf demands of a map's entry: CamelCase of the field's, and 'Entry'."""
    return "".join(part.capitalize() for part in name.split("_")) + "Entry"
