"""What CEL's compiler says, in words that help whoever wrote the rule."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Declared = Mapping[str, Mapping[str, str]]
"""Section of the catalogue ('traits', 'context') to the names declared there; a formula's 'variables' to theirs."""
ErrorOf = Callable[[str], "str | None"]
"""The compiler's error for an expression; None when it compiles."""

VARIABLES = ("propensity", "context", "value", "lever")
"""What a formula knows."""

_ERROR = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDEFINED = re.compile(r"undefined field '([^']+)' not found in struct '[^']*\.(Traits|Context)'")
_OVERLOAD = re.compile(r"no matching overload for '([^']+)' applied to '\((.*)\)'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_TOKEN = re.compile(r"(?:input|error at:) '(.*?)'(?: expecting|$)")
_OPERATOR = re.compile(r"^@?_?([^\w@]+|in)_?$")
_OPERAND = r"-?[A-Za-z_][\w.]*(?:\[[^\[\]]*\])?(?:\.\w+)?(?:\([^()]*\))?"
_CORRECTIONS = 12
_LONGEST = 64
_FUNCTIONS = [
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
_INSTEAD = {
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
_OTHER_NAMES = {
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


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, in words, and where in the rule. Line and column count from 1."""

    message: str
    line: int = 1
    column: int | None = None


def in_words(type_name: str) -> str:
    """A CEL type as people call it: 'double' is 'a number with decimals'."""
    return _TYPES.get(type_name.lower(), type_name)


def did_you_mean(wrong: str, known: list[str]) -> str:
    """'; did you mean ...?' when something known looks like `wrong`, else nothing."""
    close = difflib.get_close_matches(wrong[:_LONGEST], known, 1, 0.66)
    return f"; did you mean '{close[0]}'?" if close else ""


def advise(expression: str, error: str, declared: Declared, error_of: ErrorOf) -> Advice:
    """Put the compiler's `error` about `expression` into words, with a correction where one is known."""
    found = _ERROR.search(error)
    if not found:
        nested = "recursion" in error
        return Advice("nested too deeply; cut it into several rules" if nested else error.splitlines()[0])
    line, column, text = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    if line < 1:
        return Advice("nested too deeply; cut it into several rules" if "recursion" in text else text)
    written = expression.split("\n")[line - 1] if line <= expression.count("\n") + 1 else ""
    return Advice(_message(expression, written, text, line, column, declared, error_of), line, column)


def _message(
    expression: str, written: str, text: str, line: int, column: int, declared: Declared, error_of: ErrorOf
) -> str:
    if undefined := _UNDEFINED.search(text):
        return _undefined(undefined[1], "traits" if undefined[2] == "Traits" else "context", declared)
    if overload := _OVERLOAD.search(text):
        given = _arguments(overload[2])
        if {"int", "double"} <= set(given) or given == ["optional_type(double)", "int"]:
            corrected = _correct(expression, line, column, given, error_of)
            mixed = "a number with decimals and a whole number cannot be mixed"
            if corrected:
                return f"{mixed}; try: {corrected}"
            return f"{mixed}; write 100.0 for 100" + ("" if "variables" in declared else ", or double(x) for x")
        return _overload(overload[1], given)
    if "argument must be a field selection" in text:
        return "has() asks for profile.NAME or context.NAME; an action's facts have to be there"
    if "variables" in declared and "select operation" in text:
        return "a formula knows numbers only, and they have no parts; facts of the request belong in context_weight"
    if undeclared := _UNDECLARED.search(text):
        return _undeclared(undeclared[1], written, column, declared)
    return _syntax(expression, written, text, column)


def _undefined(name: str, section: str, declared: Declared) -> str:
    known = sorted(declared[section])
    hint = did_you_mean(name, known) or f" (declared: {', '.join(known[:20]) or 'none'})"
    return f"'{name}' is not declared under {section}{hint}"


def _undeclared(name: str, written: str, column: int, declared: Declared) -> str:
    root, _, rest = name.partition(".")
    function = name if written[column - 1 : column] == "(" else _called(written, column)
    if function:
        return f"there is no function '{function}'" + (
            f"; write {_OTHER_NAMES[function]}" if function in _OTHER_NAMES else did_you_mean(function, _FUNCTIONS)
        )
    if "variables" in declared:
        known = "; it knows propensity, context, value and lever; other facts belong in context_weight"
        return f"a formula does not know '{name[:_LONGEST]}'{did_you_mean(name, [*VARIABLES]) or known}"
    if root == "action":
        return "write action.NAME with a dot: an action is known by its id, issue, group, value, lever and attributes"
    if name.lower() in ("true", "false"):
        return f"write {name.lower()} in small letters"
    for section, variable in (("traits", "profile"), ("context", "context")):
        if name in declared[section]:
            return f"'{name}' is not known here; did you mean '{variable}.{name}'?"
        if root != variable and rest.split(".")[0] in declared[section]:
            return f"'{root}' is not known here; did you mean '{variable}.{rest}'?"
    if rest:
        return f"'{root}' is not known here" + (
            did_you_mean(root, ["profile", "context"]) or "; rules know profile, context and now"
        )
    return f"'{name[:_LONGEST]}' is not known here; text needs quotes: \"{name[:_LONGEST]}\""


def _called(written: str, column: int) -> str:
    """The function of an unknown namespace: CEL complains about the 'math' of math.pow(...) alone."""
    found = re.match(r"math\.\w+(?=\s*\()", written[column - 1 :])
    return found[0] if found else ""


def _overload(function: str, given: list[str]) -> str:
    operator = _OPERATOR.match(function)
    what = f"'{operator[1] if operator else function}'"
    if "null_type" in given:
        return f'{what} does not work with null; what is missing is its default, so compare with "", 0 or false'
    if any(kind.startswith("optional_type") for kind in given):
        return f"{what} needs a value that is there; add .orValue(0.0) after [?...]"
    if function == "_[_]" and given and given[0].startswith("wayline.catalog."):
        return "write profile.name or context.name with a dot, not with brackets"
    if function == "_?_:_" and given[0] != "bool":
        return f"what stands before '?' has to be true or false, and is {in_words(given[0])}; compare it with something"
    hint = ""
    if "map(string, double)" in given:
        hint = '; ask an affinity for one value: profile.some_affinity[?"red"].orValue(0.0)'
    elif any("Timestamp" in kind for kind in given) and "string" in given:
        hint = '; write a time as timestamp("2026-01-31T00:00:00Z")'
    elif function in ("@in", "_in_") and given[-1] == "string":
        hint = '; write a list, as in x in ["gold", "silver"], or use .contains("...")'
    elif function == "!_":
        hint = "; '!' turns true into false, so it needs something that is true or false"
    return f"{what} does not work with {' and '.join(in_words(kind) for kind in given)}{hint}"


def _syntax(expression: str, written: str, text: str, column: int) -> str:
    if not expression.strip():
        return "the rule is empty"
    token = _TOKEN.search(text)
    wrong = token[1].strip() if token else ""
    before = re.search(r"(\w+|<)\s*$", written[: column - 1])
    if before and before[1] == "not":
        return _INSTEAD["not"]
    if before and before[1] == "<" and wrong.startswith(">"):
        return _INSTEAD["<>"]
    if wrong in _INSTEAD:
        return _INSTEAD[wrong]
    if text.startswith("reserved identifier") and "if" in text.split():
        return _INSTEAD["if"]
    if wrong[:1] in ('"', "'"):
        return (
            "a quote that is opened here is not closed"
            if wrong.count(wrong[0]) % 2
            else f"{wrong} is not expected here"
        )
    if wrong == "<EOF>":
        return "the rule ends too early; something is missing at its end"
    if wrong == ",":
        return "a comma is not expected here; numbers are written without one: 1000.0"
    if wrong:
        return f"'{wrong}' is not expected here"
    return text.removeprefix("Syntax error: ")


def _arguments(text: str) -> list[str]:
    """'bool, map(string, double)' to its parts: commas within brackets do not separate."""
    return [part.strip() for part in re.split(r",(?![^(<]*[)>])", text)]


def _correct(expression: str, line: int, column: int, given: list[str], error_of: ErrorOf) -> str | None:
    """The rule with its numbers made to fit, if that makes it compile."""
    for _ in range(_CORRECTIONS):
        candidate = _fit(expression, line, column, given)
        if candidate is None or candidate == expression:
            return None
        expression, error = candidate, error_of(candidate)
        if error is None:
            return expression
        found, overload = _ERROR.search(error), _OVERLOAD.search(error)
        if not found or not overload:
            return None
        line, column, given = int(found[1]), int(found[2]), _arguments(overload[2])
    return None


def _fit(expression: str, line: int, column: int, given: list[str]) -> str | None:
    """One step: make the whole number beside the operator at `column` one with decimals, or cut a '.0' off."""
    lines = expression.split("\n")
    before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    operator = re.match(r"[^\w\s.\"']+\s*", after)
    start = operator.end() if operator else 0
    left, symbol, right = before, after[:start], after[start:]
    if given[-1] == "int" or (len(given) > 2 and given[-2] == "int"):
        right = _widen(r"^", right, "")
    elif re.match(r"-?\d+\.0+(?![\w.])", right):
        right = re.sub(r"^(-?\d+)\.0+", r"\1", right)
    else:
        left = _widen("", left, r"(\s*)$")
    lines[line - 1] = left + symbol + right
    return "\n".join(lines)


def _widen(start: str, text: str, end: str) -> str:
    """A literal becomes 1.0, anything else double(...), at the start or the end of `text`."""
    widened, count = re.subn(rf"{start}(?<![\w.])(-?\d+)(?![\w.]){end}", _with_tail(r"\1.0", end), text, count=1)
    if count:
        return widened
    return re.sub(rf"{start}(?<![\w.\]])({_OPERAND}){end}", _with_tail(r"double(\1)", end), text, count=1)


def _with_tail(replacement: str, end: str) -> str:
    return replacement + (r"\2" if end else "")
