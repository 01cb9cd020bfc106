"""The words of rules and formulas: what CEL knows, what people write in its place, and how they call its types."""

from __future__ import annotations

VARIABLES = ("propensity", "context", "value", "lever")
"""What a formula knows."""
FUNCTIONS = [
    "all",
    "charAt",
    "contains",
    "double",
    "duration",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfWeek",
    "getFullYear",
    "getHours",
    "getMinutes",
    "getMonth",
    "has",
    "hasValue",
    "indexOf",
    "int",
    "join",
    "lowerAscii",
    "map",
    "matches",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.least",
    "math.round",
    "orValue",
    "replace",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "timestamp",
    "trim",
    "upperAscii",
]
"""What a rule can call."""
INSTEAD = {
    "and": "write && for 'and'",
    "or": "write || for 'or'",
    "not": "write ! for 'not', as in !profile.newsletter",
    "is": "compare with ==",
    "=": "compare with ==",
    "<>": "write != for 'is not equal'",
    "^": "there are no powers; multiply as often as needed",
    "&": "write && for 'and'",
    "|": "write || for 'or'",
    "contains": 'write .contains("...") after the text',
    "like": 'write .contains("...") or .startsWith("...") after the text',
    "if": "write condition ? one : other",
    "‘": 'use straight quotes: "..."',
    "’": 'use straight quotes: "..."',
    "“": 'use straight quotes: "..."',
    "”": 'use straight quotes: "..."',
}
"""By what people write: what to write in its place."""
OTHER_NAMES = {
    "min": "math.least",
    "max": "math.greatest",
    "abs": "math.abs",
    "sqrt": "math.sqrt",
    "floor": "math.floor",
    "ceil": "math.ceil",
    "round": "math.round",
    "math.min": "math.least",
    "math.max": "math.greatest",
    "math.pow": "x * x",
}
"""By functions of other languages: CEL's."""
_TYPES = {
    "string": "text",
    "int": "a whole number",
    "uint": "an unsigned whole number",
    "double": "a number with decimals",
    "bool": "true or false",
    "null_type": "null",
    "null": "null",
    "google.protobuf.timestamp": "a time",
    "timestamp": "a time",
    "google.protobuf.duration": "a duration",
    "duration": "a duration",
    "map(string, double)": "an affinity",
    "map<string, double>": "an affinity",
    "wayline.catalog.traits": "the whole profile",
    "wayline.catalog.context": "the whole context",
    "dyn": "a value of unknown type",
}


def in_words(type_name: str) -> str:
    """A CEL type as people call it: 'double' is 'a number with decimals'."""
    return _TYPES.get(type_name.lower(), type_name)
