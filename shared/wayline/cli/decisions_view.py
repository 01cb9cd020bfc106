"""How decisions, and the reasons against what was not chosen, are shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wayline.cli.score_view import worked_out
from wayline.v1 import decision_pb2

_VALUE_CHARACTERS = 60


def render(explained: decision_pb2.ExplainResponse, most_dropped: int) -> Iterator[RenderableType]:
    """What `wayline decisions show` prints, part by part."""
    record, decision = explained.record, explained.decision
    yield from _head(explained)
    smoothing = {one.action: one for one in explained.smoothing}
    for placement in decision.placements:
        yield _placement(placement)
        for selection in placement.selections:
            yield worked_out(selection, explained.priority_rule, smoothing.get(selection.action))
        features = [one for one in explained.features if one.action in {each.action for each in placement.selections}]
        if features:
            yield _features(features)
        steps = [one for one in explained.funnel if one.placement == placement.placement]
        if steps:
            yield _funnel(steps)
        if placement.dropped and most_dropped:
            yield _dropped(placement, most_dropped)
    for warning in decision.warnings:
        yield Text(f"- {warning}", style="dim")
    for note in record.notes:
        yield Text(f"- {note}", style="dim")


def why_not_of(explained: decision_pb2.ExplainResponse, action: str) -> list[dict[str, Any]]:
    """By placement: the slot that an action has, or why each of its treatments has none. Empty: there is no such."""
    found: list[dict[str, Any]] = []
    for placement in explained.decision.placements:
        ranks = {one.treatment: one.rank for one in placement.selections if one.action == action}
        drops = [_plain(one) for one in placement.dropped if one.action == action]
        if ranks or drops:
            found.append({"placement": placement.placement, "chosen": ranks, "dropped": drops})
    return found


def render_why_not(action: str, found: list[dict[str, Any]]) -> Iterator[RenderableType]:
    """What `wayline decisions why-not` prints."""
    for one in found:
        if one["chosen"]:
            treatment, rank = next(iter(one["chosen"].items()))
            yield Text.assemble(
                (action, "bold cyan"), f" was chosen for {one['placement']}, with '{treatment}' in slot {rank}."
            )
            continue
        for drop in one["dropped"]:
            yield Text.assemble(
                (action, "bold cyan"),
                f" ({drop['treatment']}) was dropped from {one['placement']} at the stage ",
                (drop["stage"], "bold"),
                f": {drop['reason']}",
            )
            if drop["rule"]:
                yield Text.assemble(("  rule    ", "dim"), " ".join(drop["rule"].split()))
            if drop["change"]:
                yield Text.assemble(("  change  ", "dim"), drop["change"])


def render_replay(result: dict[str, Any]) -> Iterator[RenderableType]:
    """What `wayline decisions replay` prints."""
    same = result["decisions"] == result["identical"]
    yield Text(
        f"{result['decisions']:,} decisions made anew: {result['identical']:,} identical", "green" if same else "red"
    )
    for one in result["differences"]:
        yield Text.assemble((one["decision_id"], "bold"), " differs")
        for difference in one["differences"]:
            yield Text(f"  {difference}")
    if result["different"] > len(result["differences"]):
        yield Text(f"… and {result['different'] - len(result['differences']):,} more")
    for reason, count in result["not_replayed"].items():
        yield Text(f"- {count:,} could not be made anew: {reason}", "yellow")
    for model in result["models_gone"]:
        yield Text(f"- {model} is no longer in the registry: the propensities of the records were used", "yellow")


def _head(explained: decision_pb2.ExplainResponse) -> Iterator[RenderableType]:
    record = explained.record
    models = ", ".join(f"{name} version {version}" for name, version in sorted(record.model_versions.items()))
    facts = {
        "decided": f"{record.decided_at.ToDatetime():%Y-%m-%d %H:%M:%S.%f} UTC",
        "customer": f"{record.request.customer.kind} {record.request.customer.value}",
        "personalisation": _name(decision_pb2.Personalisation.Name(record.personalisation)),
        "context": _shortened(MessageToDict(record.request.context)) if record.request.context.fields else "",
        "catalogue": f"revision {record.catalog_revision}",
        "models": models,
        "experiments": ", ".join(f"{name}: {arm}" for name, arm in sorted(record.experiments.items())),
        "replay": "identical, bit for bit" if explained.reproduced else "DIFFERS from the record; please report it",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in facts.items():
        if said:
            style = "bold red" if name == "replay" and not explained.reproduced else ""
            table.add_row(Text(name, "dim"), Text(said, style))
    yield Text(f"Decision {record.decision_id}", style="bold")
    yield table


def _placement(placement: decision_pb2.PlacementDecision) -> Text:
    text = Text.assemble("\n", (placement.placement, "bold magenta"))
    if not placement.selections:
        text.append("  silence" + (", with the fallback" if placement.HasField("fallback") else ""))
    for reason in placement.reasons:
        text.append(f"\n  {reason}", "italic")
    return text


def _features(features: list[decision_pb2.FeatureEffect]) -> Table:
    table = Table(title="For (+) and against (-) the model's propensity", title_justify="left")
    for name in ("action", "input"):
        table.add_column(name, overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("effect", justify="right")
    for one in features:
        style = "green" if one.effect > 0 else "red"
        table.add_row(escape(one.action), escape(one.feature), f"{one.value:.6g}", Text(f"{one.effect:+.4g}", style))
    return table


def _funnel(steps: list[decision_pb2.FunnelStep]) -> Table:
    table = Table("stage", title="Treatments", title_justify="left")
    for name in ("came", "dropped", "left"):
        table.add_column(name, justify="right")
    for one in steps:
        style = "" if one.dropped else "dim"
        table.add_row(
            _stage(one.stage), f"{one.entered:,}", f"{one.dropped:,}", f"{one.entered - one.dropped:,}", style=style
        )
    return table


def _dropped(placement: decision_pb2.PlacementDecision, most: int) -> Table:
    table = Table(
        "action", "treatment", "stage", "why", "what would have to change", title="Dropped", title_justify="left"
    )
    for column in table.columns:
        column.overflow = "fold"  # which value of the profile was it? Never cut that
    for one in placement.dropped[:most]:
        table.add_row(
            *(escape(text) for text in (one.action, one.treatment, _stage(one.stage), one.reason, one.change))
        )
    if len(placement.dropped) > most:
        table.caption = f"{len(placement.dropped) - most:,} more; see --dropped, --json, or why-not"
    return table


def _plain(drop: decision_pb2.Drop) -> dict[str, str]:
    return {
        "treatment": drop.treatment,
        "stage": _stage(drop.stage),
        "rule": drop.rule,
        "reason": drop.reason,
        "change": drop.change,
    }


def _stage(stage: decision_pb2.Stage) -> str:
    return _name(decision_pb2.Stage.Name(stage))


def _name(constant: str) -> str:
    """'STAGE_CONTACT' is 'contact'."""
    return constant.partition("_")[2].lower().replace("_", " ")


def _shortened(value: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {_cut(str(one))}" for name, one in sorted(value.items()))


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"
