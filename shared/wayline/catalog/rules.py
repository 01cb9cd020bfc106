"""Rules in CEL: compiled with the types that the catalogue declares, and evaluated all in one call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from wayline.catalog.schema import PACKAGE, Schema

# One list expression grows faster than its parts beyond this size, and CEL limits an expression's length.
_CHUNK = 100
_POSITION = re.compile(r"<input>:\d+:(\d+): (.*)")
_MIXED_NUMBERS = re.compile(r"applied to '\((double, int|int, double)\)'")
_UNDEFINED = re.compile(r"undefined field '([^']+)' not found in struct '[^']*\.(Traits|Context)'")


class RuleError(ValueError):
    """A rule that does not compile. `column` counts from 1; `str()` is for a marketer."""

    def __init__(self, message: str, column: int | None = None) -> None:
        """Say what is wrong, and where in the expression."""
        super().__init__(message)
        self.column = column


class RuleCompiler:
    """Compiles CEL over `profile` (the declared traits), `context` (the declared fields) and `now`."""

    def __init__(self, schema: Schema) -> None:
        """Prepare the environment for one catalogue's types."""
        self._schema = schema
        self._env = cel.NewEnv(
            schema.pool,
            variables={
                "profile": cel.Type(f"{PACKAGE}.Traits"),
                "context": cel.Type(f"{PACKAGE}.Context"),
                "now": cel.Type.TIMESTAMP,
            },
            extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings(), ext_math.ExtMath()],
        )

    def compile(self, expression: str, expected: Sequence[str] = ("BOOL",)) -> Any:
        """Compile one expression.

        Args:
            expression: CEL.
            expected: the result types that will do: BOOL, INT, UINT, DOUBLE.

        Raises:
            RuleError: it does not compile, or gives something else.
        """
        try:
            compiled = self._env.compile(expression)
        except RuntimeError as error:
            raise self._explain(expression, str(error)) from None
        given = compiled.return_type().name()
        if given not in expected:
            wanted = "true or false" if "BOOL" in expected else "a number"
            raise RuleError(f"expected an expression that gives {wanted}, this one gives {given.lower()}")
        return compiled

    def activation(self, profile: Any, context: Any, now: Any) -> Any:
        """What expressions are evaluated on. Prepared once per customer and request."""
        return self._env.Activation({"profile": profile, "context": context, "now": now})

    def _explain(self, expression: str, text: str) -> RuleError:
        found = _POSITION.search(text)
        column = int(found[1]) if found else None
        message = found[2] if found else text.splitlines()[0]
        undefined = _UNDEFINED.search(message)
        if undefined:
            declared = self._schema.trait_types if undefined[2] == "Traits" else self._schema.context_types
            section = "traits" if undefined[2] == "Traits" else "context"
            known = ", ".join(sorted(declared)[:20]) or "none"
            message = f"'{undefined[1]}' is not declared under {section} (declared: {known})"
        elif _MIXED_NUMBERS.search(message):
            corrected = re.sub(r"(?<![\w.\"'])(\d+)(?![\w.\"'])", r"\1.0", expression)
            message = f"a number with decimals and a whole number cannot be mixed; try: {corrected}"
        return RuleError(message, column)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The values of all expressions; `errors` has, by position, those that could not be evaluated."""

    values: list[Any]
    errors: Mapping[int, str]


class RuleSet:
    """Distinct expressions that are evaluated together.

    All are compiled into list expressions, so that the activation is walked once. One erring element makes a whole
    list an error; then, and only then, its elements are evaluated singly, and what errs is `on_error`.
    """

    def __init__(
        self, compiler: RuleCompiler, expressions: Sequence[str], expected: Sequence[str], on_error: Any
    ) -> None:
        """Compile.

        Raises:
            RuleError: one of them does not compile. Compile singly first to know which.
        """
        self.expressions = tuple(expressions)
        self._on_error = on_error
        self._singles = [compiler.compile(text, expected) for text in expressions]
        wrap = "double({})" if "DOUBLE" in expected and "BOOL" not in expected else "{}"
        self._chunks = [
            compiler.compile(
                "[" + ", ".join(wrap.format(f"({text})") for text in chunk) + "]", ("LIST<BOOL>", "LIST<DOUBLE>")
            )
            for chunk in _chunked(self.expressions)
        ]

    def evaluate(self, activation: Any) -> Evaluated:
        """Evaluate every expression on one activation."""
        values: list[Any] = []
        errors: dict[int, str] = {}
        for chunk in self._chunks:
            given = chunk.eval(activation).plain_value()
            if isinstance(given, list):
                values += given
            else:
                self._evaluate_singly(activation, values, errors)
        return Evaluated(values, errors)

    def _evaluate_singly(self, activation: Any, values: list[Any], errors: dict[int, str]) -> None:
        for position in range(len(values), min(len(values) + _CHUNK, len(self._singles))):
            result = self._singles[position].eval(activation)
            if result.type() == cel.Type.ERROR:
                errors[position] = str(result.value())
                values.append(self._on_error)
            else:
                values.append(result.value())


def _chunked(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
