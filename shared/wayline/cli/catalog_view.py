"""A catalogue for the terminal: a tree of its actions, and tables of placements and traits."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from wayline.catalog.model import Action, AffinityTrait, Catalog, Policies, TopTrait, Trait
from wayline.catalog.schema import default_of, trait_type

_POLICIES = ("eligibility", "applicability", "suitability")
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def render(catalog: Catalog, revision: int) -> Iterator[RenderableType]:
    """What `wayline catalog show` prints, part by part."""
    yield _tree(catalog, revision)
    yield _placements(catalog)
    yield _traits(catalog)
    if catalog.context:
        yield _context(catalog)


def _tree(catalog: Catalog, revision: int) -> Tree:
    root = Tree(Text.assemble((catalog.name, "bold"), f", revision {revision}"))
    for issue in catalog.issues:
        issue_node = root.add(_labelled(issue.id, "bold magenta", _lever(issue.lever)))
        _add_rules(issue_node, issue)
        for group in issue.groups:
            group_node = issue_node.add(_labelled(group.id, "magenta", _lever(group.lever)))
            _add_rules(group_node, group)
            for action in group.actions:
                _add_action(group_node, action)
    return root


def _add_action(parent: Tree, action: Action) -> None:
    propensity = f"propensity {action.propensity.base:g}"
    if action.propensity.model:
        propensity = f"propensity from {action.propensity.model}, else {action.propensity.base:g}"
    facts = [action.title, f"value {action.value:g}", propensity, _lever(action.lever)]
    node = parent.add(_labelled(action.id, "bold cyan", *facts))
    if action.context_weight != 1.0:
        node.add(Text.assemble(("context weight ", "dim"), " ".join(str(action.context_weight).split())))
    _add_rules(node, action)
    for treatment in action.treatments:
        leaf = node.add(_labelled(treatment.id, "cyan", "in " + ", ".join(treatment.placements)))
        _add_rules(leaf, treatment)


def _add_rules(node: Tree, policies: Policies) -> None:
    for kind in _POLICIES:
        for rule in getattr(policies, kind):
            text = Text.assemble((f"{kind} ", "dim"), " ".join(rule.rule.split()))
            if rule.because:
                text.append(f"  ({rule.because})", "italic green")
            node.add(text)


def _placements(catalog: Catalog) -> Table:
    table = Table(
        "placement", "channel", "slots", "needs consent for", "fallback", title="Placements", title_justify="left"
    )
    for name, placement in catalog.placements.items():
        channel = catalog.channels.get(placement.channel)
        purpose = (channel.purpose if channel else None) or ""
        table.add_row(name, placement.channel, str(placement.slots), purpose, "yes" if placement.fallback else "")
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
            span = f"half in {_duration(trait.half_life)}"
        else:
            span = _duration(window) if window else ""
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
    if trait.kind == "attribute":
        return f"what identify says of '{trait.attribute or name}'"
    of_property = getattr(trait, "property", None)
    where = ", ".join(f"{key} = {value}" for key, value in trait.where.items())
    parts = [", ".join(trait.event), f"by {of_property}" if of_property else "", f"where {where}" if where else ""]
    return " ".join(part for part in parts if part)


def _labelled(name: str, style: str, *facts: str) -> Text:
    shown = [fact for fact in facts if fact]
    return Text.assemble((name, style), *([("  " + " · ".join(shown), "")] if shown else []))


def _lever(lever: float) -> str:
    return "" if lever == 1 else f"lever {lever:g}"


def _duration(seconds: int) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
