"""What CEL's compiler says, in words that help whoever wrote the rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wayline.catalog.complaints import Complaint, complaint_of, overload_of
from wayline.catalog.mixed_numbers import ErrorOf, corrected
from wayline.catalog.spelling import did_you_mean
from wayline.catalog.vocabulary import FUNCTIONS, INSTEAD, OTHER_NAMES, VARIABLES, in_words

Declared = Mapping[str, Mapping[str, str]]
"""Section of the catalogue ('traits', 'context') to the names declared there; a formula's 'variables' to theirs."""

_UNDEFINED = re.compile(r"undefined field '([^']+)' not found in struct '[^']*\.(Traits|Context)'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_TOKEN = re.compile(r"(?:input|error at:) '(.*?)'(?: expecting|$)")
_OPERATOR = re.compile(r"^@?_?([^\w@]+|in)_?$")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, in words, and where in the rule. Line and column count from 1."""

    message: str
    line: int = 1
    column: int | None = None


def advise(expression: str, error: str, declared: Declared, error_of: ErrorOf) -> Advice:
    """Put the compiler's `error` about `expression` into words, with a correction where one is known."""
    complaint = complaint_of(error)
    if not complaint:
        nested = "recursion" in error
        return Advice("nested too deeply; cut it into several rules" if nested else error.splitlines()[0])
    line, column, text = complaint
    if line < 1:
        return Advice("nested too deeply; cut it into several rules" if "recursion" in text else text)
    written = expression.split("\n")[line - 1] if line <= expression.count("\n") + 1 else ""
    return Advice(_message(expression, written, complaint, declared, error_of), line, column)


def _message(expression: str, written: str, complaint: Complaint, declared: Declared, error_of: ErrorOf) -> str:
    line, column, text = complaint
    if undefined := _UNDEFINED.search(text):
        return _undefined(undefined[1], "traits" if undefined[2] == "Traits" else "context", declared)
    if overload := overload_of(text):
        given = overload.given
        if {"int", "double"} <= set(given) or given == ["optional_type(double)", "int"]:
            fitting = corrected(expression, line, column, given, error_of)
            mixed = "a number with decimals and a whole number cannot be mixed"
            if fitting:
                return f"{mixed}; try: {fitting}"
            return f"{mixed}; write 100.0 for 100" + ("" if "variables" in declared else ", or double(x) for x")
        return _overload(overload.function, given)
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
            f"; write {OTHER_NAMES[function]}" if function in OTHER_NAMES else did_you_mean(function, FUNCTIONS)
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
        return INSTEAD["not"]
    if before and before[1] == "<" and wrong.startswith(">"):
        return INSTEAD["<>"]
    if wrong in INSTEAD:
        return INSTEAD[wrong]
    if text.startswith("reserved identifier") and "if" in text.split():
        return INSTEAD["if"]
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
