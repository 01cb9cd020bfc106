"""Every rule and every formula of a catalogue compiles, for every action for which it holds.

Each distinct expression is compiled once, and evaluated once for a customer of whom nothing is known: a rule that
cannot be answered then would silently count as not met for every newcomer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from wayline.catalog.facts import facts_of, for_action, literal, mentioned, mentions_action
from wayline.catalog.fields import Default
from wayline.catalog.findings import Finding
from wayline.catalog.formula import compile_formula
from wayline.catalog.model import POLICIES, Action, Catalog, Group, Issue, Policies, Rule
from wayline.catalog.rules import RuleCompiler, RuleError
from wayline.catalog.schema import Schema
from wayline.catalog.source import Path

MAX_DISTINCT_RULES = 2_000
CONDITION = ("BOOL",)
NUMBER = ("DOUBLE", "INT")
_SOME_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)


def expressions(catalog: Catalog) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Every rule and context weight as it is written: where it is, the CEL, and the types that it may give."""
    for path, policies in levels(catalog):
        for kind in POLICIES:
            rules: Sequence[Rule] = getattr(policies, kind)
            for position, rule in enumerate(rules):
                yield (*path, kind, position, "rule"), rule.rule, CONDITION
        if isinstance(policies, Issue | Group | Action) and isinstance(policies.context_weight, str):
            yield (*path, "context_weight"), policies.context_weight, NUMBER
        if isinstance(policies, Action) and isinstance(policies.force, str):
            yield (*path, "force"), policies.force, CONDITION


def levels(catalog: Catalog) -> Iterator[tuple[Path, Policies]]:
    """Whatever can have rules, and where it is: issues, groups, actions, treatments."""
    for i, issue in enumerate(catalog.issues):
        yield ("issues", i), issue
        for g, group in enumerate(issue.groups):
            yield ("issues", i, "groups", g), group
            for a, action in enumerate(group.actions):
                at: Path = ("issues", i, "groups", g, "actions", a)
                yield at, action
                for t, treatment in enumerate(action.treatments):
                    yield (*at, "treatments", t), treatment


def uncompilable_formulas(catalog: Catalog) -> Iterator[Finding]:
    """Every formula that cannot be used: the catalogue's, and those of experiments."""
    places: list[tuple[Path, str | None]] = [(("arbitration", "formula"), catalog.arbitration.formula)]
    for position, experiment in enumerate(catalog.experiments):
        places += [
            (("experiments", position, "arms", name, "formula"), arm.formula) for name, arm in experiment.arms.items()
        ]
    for path, formula in places:
        if formula is not None:
            try:
                compile_formula(formula)
            except RuleError as error:
                yield in_rule(path, formula, error)


def uncompilable_rules(catalog: Catalog, schema: Schema) -> Iterator[Finding]:
    """Every rule, context weight and condition to force an action that cannot be used."""
    checker = _RuleChecker(schema)
    for path, text, expected in expressions(catalog):
        try:
            if mentions_action(text):
                yield from _of_actions(checker, path, text, expected, catalog)
            elif wrong := checker.verdict(text, expected):
                yield in_rule(path, text, wrong)
        except _TooMany as error:
            each = "; a rule on facts about actions is a different one for each of their values"
            yield Finding(path, f"{error}{each if mentions_action(text) else ''}")
            return


def _of_actions(
    checker: _RuleChecker, path: Path, text: str, expected: tuple[str, ...], catalog: Catalog
) -> Iterator[Finding]:
    """What is wrong with a rule that reads facts, by the first action for which it is; the others are counted."""
    failing: list[tuple[Mapping[str, Default], Action, RuleError]] = []
    for issue, group, action in _below(catalog, path):
        try:
            wrong = checker.verdict(for_action(text, issue, group, action), expected)
        except RuleError as error:
            wrong = error
        if wrong is not None:
            failing.append((facts_of(issue, group, action), action, wrong))
    if not failing:
        return
    facts, action, wrong = failing[0]
    others = f" and {len(failing) - 1:,} more" if len(failing) > 1 else ""
    whose = "" if "actions" in path else f"for the action '{action.id}'{others}: "
    known = [f"action.{name} is {literal(facts[name])}" for name in mentioned(text) if name in facts]
    where = f", where {' and '.join(known)}" if known else ""
    # A correction would be one of the rule with its facts filled in, and columns would be those of that rule.
    said, correction, _ = str(wrong).partition("; try: ")
    if correction:
        said += "; write 3.0 for 3, or double(x) for x"
    yield Finding(path, f"{whose}{said} (in '{_on_one_line(text)}'{where})")


def _below(catalog: Catalog, path: Path) -> Iterator[tuple[Issue, Group, Action]]:
    """The actions for which a rule at `path` holds."""
    issue = catalog.issues[int(path[1])]
    groups = [issue.groups[int(path[3])]] if path[2] == "groups" else issue.groups
    for group in groups:
        yield from (
            (issue, group, one) for one in ([group.actions[int(path[5])]] if "actions" in path else group.actions)
        )


def in_rule(path: Path, text: str, wrong: RuleError) -> Finding:
    """What is wrong with a rule, with the rule itself and the place in it."""
    place = f" at column {wrong.column}" if wrong.column is not None and wrong.line == 1 else ""
    return Finding(
        path,
        f"{wrong} (in '{_on_one_line(text)}'{place})",
        within=(wrong.line, wrong.column) if wrong.column is not None else None,
    )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


class _TooMany(Exception):
    """There are more different rules than can be held."""


class _RuleChecker:
    """Compiles and tries each distinct expression once."""

    def __init__(self, schema: Schema) -> None:
        self._compiler = RuleCompiler(schema)
        self._unknown_customer = self._compiler.activation(schema.traits(), schema.context(), _SOME_TIME)
        self._verdicts: dict[tuple[str, tuple[str, ...]], RuleError | None] = {}

    def verdict(self, text: str, expected: tuple[str, ...]) -> RuleError | None:
        """Why the rule cannot be used; None when it can.

        Raises:
            _TooMany: it is one more than there can be.
        """
        distinct = (text.strip(), expected)
        if distinct not in self._verdicts:
            if len(self._verdicts) == MAX_DISTINCT_RULES:
                raise _TooMany(
                    f"this is the {MAX_DISTINCT_RULES + 1:,}th different rule; at most {MAX_DISTINCT_RULES:,}"
                )
            self._verdicts[distinct] = self._tried(text, expected)
        return self._verdicts[distinct]

    def _tried(self, text: str, expected: Sequence[str]) -> RuleError | None:
        try:
            compiled = self._compiler.compile(text, expected)
        except RuleError as error:
            return error
        result = compiled.eval(self._unknown_customer)
        if result.type().name() == "ERROR":
            return RuleError(
                f"fails for a customer and a request of which nothing is known: {_why(str(result.value()))}"
            )
        return None


def _why(error: str) -> str:
    if "Key not found" in error:
        return 'there is no such value yet; write [?"red"].orValue(0.0) for ["red"]'
    if "by zero" in error:
        return "division by zero; ask first whether the divisor is greater than 0"
    return error.partition(": ")[2] or error
