"""What differs between two catalogues: entry by entry, and within an entry field by field.

An entry is what people have a name for: an action, a trait, a placement, an experiment. What is left out in one
catalogue and given with the value of its default in the other does not differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from wayline.catalog.model import Catalog

Change = Literal["added", "removed", "changed"]
Json = Any
"""What `json.loads` may return."""
_SECTIONS = {
    "traits": "trait",
    "audiences": "audience",
    "identifiers": "identifier",
    "context": "context field",
    "properties": "property",
    "purposes": "purpose",
    "channels": "channel",
    "placements": "placement",
}
_WITHIN_ARBITRATION = {"bundles": "bundle", "exclusions": "exclusion"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise in the new catalogue.

    `field` leads from the entry to the place, and is empty where the entry as a whole was added or removed; `path`
    leads there from the top of the catalogue. A value is None where there is none. Those of a whole entry hold what is
    written in the catalogue, without the defaults; where only the order of items differs, their ids may stand for them.
    """

    change: Change
    kind: str
    name: str
    field: str
    path: str
    old: Json = None
    new: Json = None


class _Entry(NamedTuple):
    path: str
    value: Json


_Key = tuple[str, str]
"""The kind of an entry, and its name."""


def differences(old: Catalog, new: Catalog) -> Iterator[Difference]:
    """All of them, by kind and in the order of the catalogue; nothing when the two say the same.

    An action that belongs to another group is the same action, with another `group`. The order of experiments decides
    who takes part in which, so that it is told; that of other entries only where nothing but the order differs.
    """
    before, after = _dumped(old, whole=True), _dumped(new, whole=True)
    was, now = _entries(before), _entries(after)
    written_before, written_after = _entries(_dumped(old)), _entries(_dumped(new))
    found = False
    for key in _in_order(was, now):
        for one in _of_entry(key, was.get(key), now.get(key)):
            found = True
            yield one if one.field or one.change == "changed" else _as_written(one, written_before, written_after)
    for _, _, former, present in _reordered(_ids(before), _ids(after), ""):
        found = True
        yield Difference("changed", "order", "experiments", "", "experiments", former, present)
    if not found and _text(before) != _text(after):
        yield Difference("changed", "order", "entries", "", "")


def _as_written(one: Difference, before: Mapping[_Key, _Entry], after: Mapping[_Key, _Entry]) -> Difference:
    key = one.kind, one.name
    if one.change == "added":
        return replace(one, new=after[key].value)
    return replace(one, old=before[key].value)


def _ids(dumped: Mapping[str, Json]) -> dict[str, Json]:
    """The experiments: who comes first has the first customers of the layer."""
    return {one["id"]: one for one in dumped["experiments"]}


def _dumped(catalog: Catalog, *, whole: bool = False) -> dict[str, Json]:
    """As JSON; `whole`: with all defaults."""
    dumped: dict[str, Json] = catalog.model_dump(mode="json", by_alias=True, exclude_unset=not whole)
    return dumped


def _entries(dumped: Mapping[str, Json]) -> dict[_Key, _Entry]:
    found: dict[_Key, _Entry] = {}
    rest = dict(dumped)
    for issue in rest.pop("issues", ()):
        _add_issue(found, issue)
    for section, kind in _SECTIONS.items():
        for name, value in rest.pop(section, {}).items():
            found[kind, name] = _Entry(_below(section, name), value)
    for one in rest.pop("experiments", ()):
        found["experiment", one["id"]] = _Entry(f"experiments[{one['id']}]", one)
    arbitration = dict(rest.get("arbitration", {}))
    for section, kind in _WITHIN_ARBITRATION.items():
        for one in arbitration.pop(section, ()):
            found[kind, one["id"]] = _Entry(f"arbitration.{section}[{one['id']}]", one)
    rest["arbitration"] = arbitration
    for name, value in rest.items():
        found["contact policy" if name == "contact" else "setting", name] = _Entry(name, value)
    return found


def _add_issue(found: dict[_Key, _Entry], issue: dict[str, Json]) -> None:
    """An issue, its groups and their actions, each without what has an entry of its own."""
    path = f"issues[{issue['id']}]"
    found["issue", issue["id"]] = _Entry(path, _without(issue, "groups"))
    for group in issue.get("groups", ()):
        name, place = f"{issue['id']}/{group['id']}", f"{path}.groups[{group['id']}]"
        found["group", name] = _Entry(place, _without(group, "actions"))
        for action in group.get("actions", ()):
            found["action", action["id"]] = _Entry(f"{place}.actions[{action['id']}]", {"group": name, **action})


def _without(value: Mapping[str, Json], name: str) -> dict[str, Json]:
    return {key: one for key, one in value.items() if key != name}


def _of_entry(key: _Key, old: _Entry | None, new: _Entry | None) -> Iterator[Difference]:
    if old is None or new is None:
        there = old or new
        assert there is not None
        yield Difference("added" if old is None else "removed", *key, "", there.path)
        return
    for change, field, was, now in _walk(old.value, new.value, ""):
        path = (old if change == "removed" else new).path
        is_place = key[0] == "action" and field == "group"  # not written there, but where the action stands
        joined = "" if is_place or not field else field if field.startswith("[") else f".{field}"
        yield Difference(change, *key, field, f"{path}{joined}", was, now)


def _walk(old: Json, new: Json, field: str) -> Iterator[tuple[Change, str, Json, Json]]:
    """Where two values differ: the kind of change, the field, and both."""
    if _text(old) == _text(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in _in_order(old, new):
            yield from _walk(old.get(name), new.get(name), _below(field, name))
    elif _is_listed(old) and _is_listed(new):
        yield from _walk_items(old, new, field)
    else:
        yield "added" if old is None else "removed" if new is None else "changed", field, old, new


def _walk_items(old: list[Json], new: list[Json], field: str) -> Iterator[tuple[Change, str, Json, Json]]:
    """Items with an id belong together by it; of the others, those that are in one list only, one after the other."""
    if _have_ids(old) and _have_ids(new):
        was, now = ({one["id"]: one for one in those} for those in (old, new))
        for name in _in_order(was, now):
            yield from _walk(was.get(name), now.get(name), f"{field}[{name}]")
        yield from _reordered(was, now, field)
        return
    left, come = _left_over(old, new), _left_over(new, old)
    if not left and not come:
        yield "changed", field, old, new  # their order
    for at, one in left[len(come) :]:
        yield "removed", f"{field}[{at}]", one, None
    for (_, one), (at, other) in zip(left, come, strict=False):
        yield from _walk(one, other, f"{field}[{at}]")
    for at, one in come[len(left) :]:
        yield "added", f"{field}[{at}]", None, one


def _reordered(
    old: Mapping[str, Json], new: Mapping[str, Json], field: str
) -> Iterator[tuple[Change, str, Json, Json]]:
    """The names that both have, where they come in another order."""
    was, now = [one for one in old if one in new], [one for one in new if one in old]
    if was != now:
        yield "changed", field, was, now


def _is_listed(value: Json) -> bool:
    """Whether it is a list of things with fields; names and numbers in a list are one value."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _have_ids(those: Sequence[Mapping[str, Json]]) -> bool:
    """Content may be any JSON, so what is called id there need not be one."""
    ids = [one.get("id") for one in those]
    return all(isinstance(one, str) for one in ids) and len(set(ids)) == len(ids)


def _left_over(those: Sequence[Json], others: Sequence[Json]) -> list[tuple[int, Json]]:
    """The items that the other list does not have, as often as they are missing there, and where they stand."""
    there = Counter(map(_text, others))
    left = []
    for at, one in enumerate(those):
        text = _text(one)
        if there[text]:
            there[text] -= 1
        else:
            left.append((at, one))
    return left


def _in_order(old: Mapping[Any, Json], new: Mapping[Any, Json]) -> list[Any]:
    """The names of both: as the new one has them, then what it lacks."""
    return [*new, *(name for name in old if name not in new)]


def _below(path: str, name: str) -> str:
    if not name.replace("_", "").isalnum():
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _text(value: Json) -> str:
    """Tells 4, 4.0 and true apart, which rules do as well."""
    return json.dumps(value, sort_keys=True)
