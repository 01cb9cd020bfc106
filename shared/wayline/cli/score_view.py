"""How the arithmetic of a score is shown to people: each can be worked out by hand from what is printed."""

from __future__ import annotations

from rich.text import Text

from wayline.v1 import decision_pb2

_FACTORS = ("propensity", "context", "value", "lever")


def worked_out(
    one: decision_pb2.Selection,
    rule: decision_pb2.PriorityRule,
    smoothing: decision_pb2.PropensitySmoothing | None,
) -> Text:
    """A selection with the arithmetic of its score, to six digits.

    Args:
        one: the selection.
        rule: by which its factors come to the priority.
        smoothing: of its propensity; None: nothing was smoothed.
    """
    score = one.score
    text = Text.assemble(f"  {one.rank}. ", (one.action, "bold cyan"), f" ({one.treatment})")
    if one.reasons:
        text.append(f"  {'; '.join(one.reasons)}", "italic green")
    text.append(f"\n     {_priority(score, rule)}")
    said = [_source(score, smoothing)]
    if score.HasField("drawn_propensity"):
        said.append(f"drawn propensity {score.drawn_propensity:.6g}")
    if one.HasField("selection_probability"):
        said.append(f"chance to be chosen {one.selection_probability:.4g}")
    if rule.control:
        said.append(f"control arm {rule.control}")
    return text.append(f"\n     {', '.join(said)}", "dim")


def _priority(score: decision_pb2.Score, rule: decision_pb2.PriorityRule) -> str:
    factors = {name: f"{getattr(score, name):.6g}" for name in _FACTORS}
    if rule.control == "no_levers" and rule.formula:
        factors["lever"] = "1"
    given = ", ".join(f"{name} {value}" for name, value in factors.items())
    if rule.WhichOneof("rule") == "formula":
        # Line by line: a comment ends with its line.
        formula = "\n     ".join(line.strip() for line in rule.formula.strip().splitlines())
        return f"{formula}\n     = priority {score.priority:.6g}, with {given}"
    if rule.WhichOneof("rule") is None:  # a service that does not say it
        return f"{given} come to priority {score.priority:.6g}"
    powers = {name: getattr(rule.exponents, name) for name in _FACTORS}
    product = " x ".join(f"{name} {factors[name]}{_power(powers[name])}" for name in _FACTORS)
    return f"{product} = priority {score.priority:.6g}"


def _power(exponent: float) -> str:
    return "" if exponent == 1 else f"^{exponent:.6g}"


def _source(score: decision_pb2.Score, smoothing: decision_pb2.PropensitySmoothing | None) -> str:
    text = f"propensity from {score.propensity_source}"
    if smoothing is None or not score.HasField("unsmoothed_propensity"):
        return text
    n, k = f"{smoothing.evidence:.6g}", f"{smoothing.prior_evidence:.6g}"
    mean = f"({n} x {score.unsmoothed_propensity:.6g} + {k} x {smoothing.base:.6g}) / ({n} + {k})"
    return f"{text}, smoothed: {mean}"
