"""A catalogue for the terminal: a tree of its actions, what holds for all of them, tables of placements and traits."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from wayline.catalog.arbitration import Floors
from wayline.catalog.contact import ContactPolicy, Schedule
from wayline.catalog.model import POLICIES, Action, Catalog, Group, Issue, Policies
from wayline.catalog.schema import default_of, trait_type
from wayline.catalog.traits import AffinityTrait, EventTrait, RatioTrait, RuleTrait, TopTrait, Trait
from wayline.cli import catalog_words as words
from wayline.cli import consent_view
from wayline.cli.audiences_view import declared


def render(catalog: Catalog, revision: int) -> Iterator[RenderableType]:
    """What `wayline catalog show` prints, part by part."""
    yield _tree(catalog, revision)
    whole = _whole(catalog)
    if whole.children:
        yield whole
    yield _placements(catalog)
    yield _traits(catalog)
    yield from declared(catalog)
    if catalog.context:
        yield _context(catalog)
    yield from consent_view.render(catalog)


def _tree(catalog: Catalog, revision: int) -> Tree:
    root = Tree(Text.assemble((catalog.name, "bold"), f", revision {revision}"))
    for issue in catalog.issues:
        issue_node = root.add(_labelled(issue.id, "bold magenta", _lever(issue.lever)))
        _add_weight(issue_node, issue)
        _add_rules(issue_node, issue)
        _add_contact(issue_node, issue.schedule, issue.contact)
        for group in issue.groups:
            most = f"at most {group.most} in a response" if group.most else ""
            group_node = issue_node.add(_labelled(group.id, "magenta", _lever(group.lever), most))
            _add_weight(group_node, group)
            _add_rules(group_node, group)
            _add_contact(group_node, group.schedule, group.contact)
            for action in group.actions:
                _add_action(group_node, action)
    return root


def _add_action(parent: Tree, action: Action) -> None:
    propensity = f"propensity {action.propensity.base:g}"
    if action.propensity.model:
        propensity = f"propensity from {action.propensity.model}, else {action.propensity.base:g}"
    facts = [action.title, f"value {action.value:g}", propensity, _lever(action.lever)]
    facts.append(f"priority {action.priority}" if action.priority else "")
    facts.append(f"control group {words.share(action.control)}" if action.control else "")
    facts.append("forced" if action.force is True else "")
    node = parent.add(_labelled(action.id, "bold cyan", *facts))
    if action.attributes:
        _add(node, "facts", ", ".join(f"{name} {value}" for name, value in action.attributes.items()))
    _add_weight(node, action)
    if isinstance(action.force, str):
        _add(node, "forced when", action.force)
    if action.floors != Floors():
        _add(node, "floors", words.floors(action.floors))
    if action.budget:
        _add(node, "budget", words.budget(action.budget))
    _add_contact(node, action.schedule, action.contact)
    _add_rules(node, action)
    for treatment in action.treatments:
        locales = f"also in {', '.join(treatment.variants)}" if treatment.variants else ""
        leaf = node.add(_labelled(treatment.id, "cyan", "in " + ", ".join(treatment.placements), locales))
        _add_rules(leaf, treatment)


def _whole(catalog: Catalog) -> Tree:
    """What holds for all actions."""
    node = Tree("For all actions")
    if catalog.timezone != "UTC":
        _add(node, "time zone", catalog.timezone)
    for kind, said in words.arbitration(catalog.arbitration):
        _add(node, kind, said)
    _add_contact(node, None, catalog.contact)
    if catalog.personalise_only is not None:
        _add(node, "personalised only", ", ".join(catalog.personalise_only) or "nowhere")
    if catalog.holdout:
        _add(node, "holdout", f"{words.share(catalog.holdout.share)} of all customers")
    for experiment in catalog.experiments:
        _add(node, "experiment", words.experiment(experiment))
    return node


def _add_rules(node: Tree, policies: Policies) -> None:
    for kind in POLICIES:
        for rule in getattr(policies, kind):
            _add(node, kind, rule.rule, rule.because)


def _add_contact(node: Tree, schedule: Schedule | None, policy: ContactPolicy) -> None:
    if schedule:
        _add(node, "schedule", words.schedule(schedule))
    for kind, said, because in words.contact(policy):
        _add(node, kind, said, because)


def _add(node: Tree, kind: str, said: str, because: str = "") -> None:
    text = Text.assemble((f"{kind} ", "dim"), " ".join(said.split()))
    if because:
        text.append(f"  ({because})", "italic green")
    node.add(text)


def _placements(catalog: Catalog) -> Table:
    """Columns in which nothing would stand are left out."""
    rows: list[dict[str, str]] = []
    for name, placement in catalog.placements.items():
        channel = catalog.channels[placement.channel]
        rows.append(
            {
                "placement": name,
                "channel": placement.channel + (" (outbound)" if channel.direction == "outbound" else ""),
                "slots": str(placement.slots),
                "needs consent for": channel.purpose or "",
                "fallback": "yes" if placement.fallback else "",
                "exploration": words.exploration(placement.exploration),
                "silence below": f"{placement.silence:g}" if placement.silence else "",
                "diversity": words.share(placement.diversity) if placement.diversity else "",
                "quiet hours": words.quiet_hours(channel.quiet_hours),
            }
        )
    always = ("placement", "channel", "slots", "needs consent for", "fallback")
    columns = [
        *always,
        *(name for name in (rows[0] if rows else ()) if name not in always and any(r[name] for r in rows)),
    ]
    table = Table(*columns, title="Placements", title_justify="left")
    for row in rows:
        table.add_row(*(row[column] for column in columns))
    return table


def _traits(catalog: Catalog) -> Table:
    longest = max(map(len, catalog.traits), default=0)
    table = Table(
        Column("trait", no_wrap=True, min_width=longest),
        "kind",
        "type",
        "made of",
        "window",
        "default",
        title="Traits",
        title_justify="left",
    )
    for name, trait in catalog.traits.items():
        window = getattr(trait, "window", None)
        if isinstance(trait, AffinityTrait):
            span = f"half in {words.duration(trait.half_life)}"
        else:
            span = words.duration(window) if window else ""
        default = default_of(trait)
        shown = "" if default is None else str(default)
        table.add_row(name, trait.kind, trait_type(trait), escape(_made_of(name, trait)), span, escape(shown))
    return table


def _context(catalog: Catalog) -> Table:
    table = Table("context field", "type", "default", title="Context", title_justify="left")
    for name, context_field in catalog.context.items():
        default = default_of(context_field)
        table.add_row(name, context_field.type, "" if default is None else escape(str(default)))
    return table


def _made_of(name: str, trait: Trait) -> str:
    if isinstance(trait, TopTrait):
        return f"the greatest of {trait.of}"
    if isinstance(trait, RatioTrait):
        return f"{trait.of} for each of {trait.per}"
    if isinstance(trait, RuleTrait):
        return " ".join(trait.rule.split())
    if not isinstance(trait, EventTrait):
        return f"what identify says of '{trait.attribute or name}'"
    of_property = getattr(trait, "property", None)
    where = ", ".join(f"{key} = {value}" for key, value in trait.where.items())
    parts = [", ".join(trait.event), f"by {of_property}" if of_property else "", f"where {where}" if where else ""]
    return " ".join(part for part in parts if part)


def _labelled(name: str, style: str, *facts: str) -> Text:
    shown = [fact for fact in facts if fact]
    return Text.assemble((name, style), *([("  " + " · ".join(shown), "")] if shown else []))


def _add_weight(node: Tree, level: Issue | Group | Action) -> None:
    if level.context_weight != 1.0:
        _add(node, "context weight", str(level.context_weight))


def _lever(lever: float) -> str:
    return "" if lever == 1 else f"lever {lever:g}"
