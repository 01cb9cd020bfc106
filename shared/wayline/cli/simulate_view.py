"""How the result of a simulation is shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_SHOWN_ACTIONS = 25
_SHOWN_SEGMENTS = 12
_ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "doubly_robust": "doubly robust"}


def render(result: dict[str, Any]) -> Iterator[RenderableType]:
    """Tables and sentences, in the order in which they are read."""
    changes, value = result["changes"], result["value"]
    yield Text(_headline(result), style="bold")
    if not changes["decisions"]["decisions"]:
        return
    yield _actions(changes["actions"])
    yield _channels(changes["channels"])
    for name, segments in changes["segments"].items():
        yield _segments(name, segments)
    if value["new"]:
        yield _value(value)
    later = [one for one in value["later_slots"] if one["new"]]
    if later:
        yield _later(value["reward"], later)
    for note in _notes(result):
        yield Text(f"- {note}", style="dim")


def _headline(result: dict[str, Any]) -> str:
    shift, catalog = result["changes"]["decisions"], result["catalog"]
    which = f"catalogue '{catalog['name']}'" if catalog["revision"] is None else f"revision {catalog['revision']}"
    models = "".join(f", {name} version {version}" for name, version in result["models"].items())
    return (
        f"{shift['decisions']:,} decisions since {result['since'][:19]}: with {which}{models}, "
        f"{shift['changed']:,} of them would change ({shift['share']:.1%})."
    )


def _actions(actions: dict[str, Any]) -> Table:
    table = Table("action", title="By action", title_justify="left")
    for column in ("was chosen", "would be", "gained", "lost"):
        table.add_column(column, justify="right")
    for name, one in list(actions.items())[:_SHOWN_ACTIONS]:
        table.add_row(escape(name), *(f"{one[key]:,}" for key in ("before", "after", "gained", "lost")))
    if len(actions) > _SHOWN_ACTIONS:
        table.caption = f"{len(actions) - _SHOWN_ACTIONS} more; see --json"
    return table


def _channels(channels: dict[str, Any]) -> Table:
    table = Table("channel", title="By channel", title_justify="left")
    for column in ("placements asked", "changed", "share", "slots filled", "would be"):
        table.add_column(column, justify="right")
    for name, one in channels.items():
        table.add_row(escape(name), *_shift(one), f"{one['before']:,}", f"{one['after']:,}")
    return table


def _segments(name: str, segments: dict[str, Any]) -> Table:
    table = Table(escape(name), title=f"By {escape(name)}", title_justify="left")
    for column in ("decisions", "changed", "share"):
        table.add_column(column, justify="right")
    for value, one in list(segments.items())[:_SHOWN_SEGMENTS]:
        table.add_row(escape(value) or "(empty)", *_shift(one))
    if len(segments) > _SHOWN_SEGMENTS:
        table.caption = f"{len(segments) - _SHOWN_SEGMENTS} more; see --json"
    return table


def _shift(one: dict[str, Any]) -> tuple[str, str, str]:
    return f"{one['decisions']:,}", f"{one['changed']:,}", f"{one['share']:.1%}"


def _value(value: dict[str, Any]) -> Table:
    table = Table("policy", "estimate", title=f"{value['reward'].capitalize()}s per first slot", title_justify="left")
    for column in ("value", "95 % interval", "effective sample"):
        table.add_column(column, justify="right")
    table.add_row("as recorded", "mean", *_estimate(value["recorded"]))
    for name, label in _ESTIMATORS.items():
        table.add_row("simulated", label, *_estimate(value["new"][name]), style="bold" if name == "snips" else "")
    return table


def _later(reward: str, slots: list[dict[str, Any]]) -> Table:
    table = Table("slot", title=f"{reward.capitalize()}s per later slot, given those before it", title_justify="left")
    for column in ("slots", "as recorded", "simulated", "95 % interval", "effective sample"):
        table.add_column(column, justify="right")
    for one in slots:
        recorded, *_ = _estimate(one["recorded"])
        table.add_row(f"{one['slot']}", f"{one['slots']:,}", recorded, *_estimate(one["new"]["snips"]))
    table.caption = "by SNIPS; see --json for the others"
    return table


def _estimate(one: dict[str, Any]) -> tuple[str, str, str]:
    shown = "unknown" if one["value"] is None else f"{one['value']:.4f}"
    return shown, f"{one['low']:.4f} to {one['high']:.4f}", f"{one['effective_sample_size']:,.0f}"


def _notes(result: dict[str, Any]) -> Iterator[str]:
    value = result["value"]
    slots = value["slots"]
    if value["unsupported"]:
        yield (
            f"{value['unsupported']:,} of {slots:,} first slots were filled without exploration, and would be filled "
            "otherwise. Of what that is worth the records say nothing: IPS counts it as nothing, SNIPS leaves it out, "
            "and doubly robust goes by the action's mean. Let placements explore."
        )
    if value["without_probability"]:
        yield (
            f"{value['without_probability']:,} first slots are left out of the estimates, since their records do not "
            "say with what chance they were filled so."
        )
    if left_out := sum(one["without_probability"] for one in value["later_slots"]):
        yield f"{left_out:,} later slots are left out, too: their chances, or those of a slot before, are not known."
    if slots and not value["rewards"]:
        yield f"No {value['reward']} came of these decisions: the estimates have nothing to go by."
    if result["fell_back"]:
        yield f"{result['fell_back']:,} requests are left out: there was no time to decide them."
    for name, count in result["placements_gone"].items():
        yield f"The placement '{name}' was asked for {count:,} times and is not in this catalogue."
    for field, count in result["skipped"].items():
        yield f"{count:,} decisions are left out: {field} does not fit this catalogue."
