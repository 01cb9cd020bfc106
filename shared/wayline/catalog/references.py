"""Names in a catalogue lead somewhere, ids are unique, and what is to stand side by side can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from wayline.catalog.arbitration import Bundle, Exclusion
from wayline.catalog.contact import ContactPolicy
from wayline.catalog.findings import Finding, Seen, unknown
from wayline.catalog.model import Catalog
from wayline.catalog.source import Path
from wayline.catalog.traits import AffinityTrait, RatioTrait, TopTrait, TotalTrait

MAX_TREATMENTS = 50_000


def dangling(catalog: Catalog) -> Iterator[Finding]:
    """Every name that leads nowhere, every id that is there twice, every bundle that can never go out."""
    yield from _traits(catalog)
    yield from _places(catalog)
    yield from _hierarchy(catalog)
    yield from _caps(catalog)
    yield from _side_by_side(catalog)


def _traits(catalog: Catalog) -> Iterator[Finding]:
    for name, trait in catalog.traits.items():
        if isinstance(trait, TopTrait) and not isinstance(catalog.traits.get(trait.of), AffinityTrait):
            affinities = [other for other, kind in catalog.traits.items() if isinstance(kind, AffinityTrait)]
            yield Finding(("traits", name, "of"), unknown("affinity", trait.of, affinities))
        if isinstance(trait, RatioTrait):
            for field, total in (("of", trait.of), ("per", trait.per)):
                if not isinstance(catalog.traits.get(total), TotalTrait):
                    totals = [other for other, kind in catalog.traits.items() if isinstance(kind, TotalTrait)]
                    yield Finding(("traits", name, field), unknown("count, sum or distinct", total, totals))
        if isinstance(trait, AffinityTrait):
            for event in trait.weights.keys() - set(trait.event):
                message = unknown("event of this trait", event, trait.event)
                yield Finding(("traits", name, "weights", event), message, at_key=True)


def _places(catalog: Catalog) -> Iterator[Finding]:
    for name, channel in catalog.channels.items():
        if channel.purpose is not None and channel.purpose not in catalog.purposes:
            yield Finding(("channels", name, "purpose"), unknown("purpose", channel.purpose, catalog.purposes))
    if catalog.personalisation is not None and catalog.personalisation not in catalog.purposes:
        yield Finding(("personalisation",), unknown("purpose", catalog.personalisation, catalog.purposes))
    for name, placement in catalog.placements.items():
        if placement.channel not in catalog.channels:
            yield Finding(("placements", name, "channel"), unknown("channel", placement.channel, catalog.channels))


def _hierarchy(catalog: Catalog) -> Iterator[Finding]:
    issues, actions, treatments = Seen("the issue"), Seen("the action"), 0
    for i, issue in enumerate(catalog.issues):
        yield from issues.add(issue.id, ("issues", i))
        groups = Seen("the group")
        for g, group in enumerate(issue.groups):
            yield from groups.add(group.id, ("issues", i, "groups", g))
            for a, action in enumerate(group.actions):
                at: Path = ("issues", i, "groups", g, "actions", a)
                yield from actions.add(action.id, at)
                own = Seen("the treatment")
                treatments += len(action.treatments)
                for t, treatment in enumerate(action.treatments):
                    place = (*at, "treatments", t)
                    yield from own.add(treatment.id, place)
                    for p, placement in enumerate(treatment.placements):
                        if placement not in catalog.placements:
                            message = unknown("placement", placement, catalog.placements)
                            yield Finding((*place, "placements", p), message)
    if treatments > MAX_TREATMENTS:
        yield Finding(("issues",), f"expected at most {MAX_TREATMENTS:,} treatments, got {treatments:,}")


def _caps(catalog: Catalog) -> Iterator[Finding]:
    for path, policy in _contact_policies(catalog):
        for c, cap in enumerate(policy.caps):
            for position, channel in enumerate(cap.channels):
                if channel not in catalog.channels:
                    message = unknown("channel", channel, catalog.channels)
                    yield Finding((*path, "contact", "caps", c, "channels", position), message)


def _contact_policies(catalog: Catalog) -> Iterator[tuple[Path, ContactPolicy]]:
    yield (), catalog.contact
    for i, issue in enumerate(catalog.issues):
        yield ("issues", i), issue.contact
        for g, group in enumerate(issue.groups):
            yield ("issues", i, "groups", g), group.contact
            for a, action in enumerate(group.actions):
                yield ("issues", i, "groups", g, "actions", a), action.contact


def _side_by_side(catalog: Catalog) -> Iterator[Finding]:
    """Bundles and exclusions: their actions exist, and every bundle can go out whole."""
    known = {action.id for _, _, action in catalog.actions()}
    arbitration = catalog.arbitration
    declared: tuple[tuple[str, Sequence[Bundle | Exclusion]], ...] = (
        ("bundle", arbitration.bundles),
        ("exclusion", arbitration.exclusions),
    )
    for kind, sets in declared:
        ids = Seen(f"the {kind}")
        for position, one in enumerate(sets):
            at: Path = ("arbitration", f"{kind}s", position)
            yield from ids.add(one.id, at)
            members = Seen("the action")
            for a, action in enumerate(one.actions):
                yield from members.add(action, (*at, "actions", a), key="")
                if action not in known:
                    yield Finding((*at, "actions", a), unknown("action", action, known))
    bundle_of: dict[str, str] = {}
    for position, bundle in enumerate(arbitration.bundles):
        path: Path = ("arbitration", "bundles", position, "actions")
        yield from _never_whole(catalog, bundle, path)
        for a, action in enumerate(bundle.actions):
            other = bundle_of.setdefault(action, bundle.id)
            if other != bundle.id:
                message = (
                    f"'{action}' is in the bundle '{other}' already; make one bundle of both, or take it out of one"
                )
                yield Finding((*path, a), message)


def _never_whole(catalog: Catalog, bundle: Bundle, path: Path) -> Iterator[Finding]:
    members = set(bundle.actions)
    placements = [
        {placement for treatment in action.treatments for placement in treatment.placements}
        for _, _, action in catalog.actions()
        if action.id in members
    ]
    if placements and not set.intersection(*placements):
        yield Finding(
            path, "this bundle can never go out: there is no placement for which all of its actions have a treatment"
        )
    for exclusion in catalog.arbitration.exclusions:
        both = sorted(members & set(exclusion.actions))
        if len(both) > 1:
            yield Finding(
                path,
                f"this bundle can never go out: '{both[0]}' and '{both[1]}' exclude each other by the exclusion "
                f"'{exclusion.id}'",
            )
    counts = Counter(
        (issue.id, group.id, group.most)
        for issue, group, action in catalog.actions()
        if group.most is not None and action.id in members
    )
    for (_, group_id, most), count in counts.items():
        if most is not None and count > most:
            yield Finding(
                path,
                f"this bundle can never go out: {count} of its actions are of the group '{group_id}', of which a "
                f"response holds at most {most} ('most')",
            )
