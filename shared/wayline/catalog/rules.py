"""Rules in CEL: compiled with the types that the catalogue declares, and evaluated all in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from wayline.catalog.advice import Advice, advise
from wayline.catalog.schema import PACKAGE, Schema
from wayline.catalog.vocabulary import in_words

# One list expression grows faster than its parts beyond this size, and CEL limits an expression's length.
_CHUNK = 100


class RuleError(ValueError):
    """A rule that does not compile. `line` and `column` count from 1; `str()` is for a marketer."""

    def __init__(self, message: str, column: int | None = None, line: int = 1) -> None:
        """Say what is wrong, and where in the expression."""
        super().__init__(message)
        self.column = column
        self.line = line


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
            advice = self._advise(expression, str(error))
            raise RuleError(advice.message, advice.column, advice.line) from None
        given = compiled.return_type().name()
        if given not in expected:
            wanted = "true or false" if "BOOL" in expected else "a number"
            raise RuleError(f"expected a rule that gives {wanted}, this one gives {in_words(given)}")
        return compiled

    def activation(self, profile: Any, context: Any, now: Any) -> Any:
        """What expressions are evaluated on. Prepared once per customer and request."""
        return self._env.Activation({"profile": profile, "context": context, "now": now})

    def _advise(self, expression: str, error: str) -> Advice:
        declared = {"traits": self._schema.trait_types, "context": self._schema.context_types}
        return advise(expression, error, declared, self._error_of)

    def _error_of(self, expression: str) -> str | None:
        try:
            self._env.compile(expression)
        except RuntimeError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The values of all expressions; `errors` has, by position, those that could not be evaluated."""

    values: list[Any]
    errors: Mapping[int, str]


class RuleSet:
    """Distinct expressions that are evaluated together.

    All are compiled into list expressions, so that the activation is walked once. One erring element makes a whole
    list an error; then, and only then, its elements are evaluated singly, and what errs is `on_error`. A list that CEL
    refuses, although it takes each element (it has limits of size and of nesting), is always evaluated singly.
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
            (start, self._compile_list(compiler, wrap, start)) for start in range(0, len(self.expressions), _CHUNK)
        ]

    def evaluate(self, activation: Any) -> Evaluated:
        """Evaluate every expression on one activation."""
        values: list[Any] = []
        errors: dict[int, str] = {}
        for start, chunk in self._chunks:
            given = chunk.eval(activation).plain_value() if chunk is not None else None
            if isinstance(given, list):
                values += given
            else:
                self._evaluate_singly(activation, start, values, errors)
        return Evaluated(values, errors)

    def _compile_list(self, compiler: RuleCompiler, wrap: str, start: int) -> Any | None:
        # Each ends with a new line, since the last thing in it may be a comment.
        items = ", ".join(wrap.format(f"({text}\n)") for text in self.expressions[start : start + _CHUNK])
        try:
            return compiler.compile(f"[{items}]", ("LIST<BOOL>", "LIST<DOUBLE>"))
        except RuleError:
            return None

    def _evaluate_singly(self, activation: Any, start: int, values: list[Any], errors: dict[int, str]) -> None:
        for position, single in enumerate(self._singles[start : start + _CHUNK], start):
            result = single.eval(activation)
            if result.type() == cel.Type.ERROR:
                errors[position] = str(result.value())
                values.append(self._on_error)
            else:
                values.append(result.value())
