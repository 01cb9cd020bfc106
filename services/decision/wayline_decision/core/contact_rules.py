"""The rules of contact policy: where they stand, what they count, until when they refuse, and how they are said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wayline.catalog.contact import Cap, ContactPolicy, Suppression
from wayline.catalog.model import Action, Catalog, Group, Issue

SCOPES = ("action", "group", "issue", "channel", "customer")
"""What can have a count of its own."""
CHANNEL = SCOPES.index("channel")
_OF = {"action": " of the action", "group": " of its group", "issue": " of its issue"}
_LONGEST_PERIOD_MS = {"day": 2 * 86_400_000, "week": 8 * 86_400_000, "month": 32 * 86_400_000}
"""More than any day, week or month has, also where clocks change."""

Declared = Cap | Suppression


class Rows(NamedTuple):
    """A set of rows, kept without the zeros below its first: of up to 10,000 sets, most are of one action."""

    first: int
    bits: int

    @property
    def mask(self) -> int:
        """As a bit set of all rows."""
        return self.bits << self.first


@dataclass(frozen=True, slots=True)
class Rule:
    """One declaration, wherever it stands."""

    number: int
    declared: Declared
    least: int
    """How many outcomes there must be before it can refuse anything."""
    outcomes: frozenset[str]
    scope: int
    """What has a count of its own: an index in `SCOPES`."""
    channels: frozenset[str]
    """It counts and holds on these; none: on all."""
    rows: Rows
    """For which it holds."""

    def free_ms(self, times: Sequence[int], now_ms: int, zone: ZoneInfo) -> int:
        """From when on these outcomes refuse nothing; not after `now_ms`: they refuse nothing now.

        Args:
            times: of the outcomes with the same count, at least `least`, ascending; milliseconds since 1970 UTC.
            now_ms: the time, likewise.
            zone: of the customer.
        """
        declared = self.declared
        if isinstance(declared, Suppression):
            return _paused_until_ms(times, declared, now_ms)
        # While the limit-th latest counts, so do all after it: the cap is used up exactly as long as that one counts.
        decisive = times[-declared.limit]
        if declared.window is not None:
            return decisive + declared.window * 1_000
        assert declared.period is not None
        if now_ms - decisive > _LONGEST_PERIOD_MS[declared.period]:
            return 0
        return _period_end_ms(decisive, declared.period, zone)

    def reason(self, channel: str) -> str:
        """In the marketer's words, or else what it says."""
        declared = self.declared
        if declared.because:
            return declared.because
        if isinstance(declared, Suppression):
            told = _counted(declared, declared.after) + _OF[declared.per]
            within = f" within {_spelt(declared.window)}" if declared.after > 1 else ""
            return f"paused for {_spelt(declared.pause)} after {told}{within}"
        what = _counted(declared, declared.limit) + _OF.get(declared.per, "")
        if declared.per == "channel":
            what += f" on {channel}"
        elif declared.channels:
            what += f" on {' or '.join(sorted(declared.channels))}"
        if not declared.limit:
            return what
        span = f"a calendar {declared.period}" if declared.window is None else _spelt(declared.window)
        return f"at most {what} in {span}"


class Place(NamedTuple):
    """Where an action stands: what its outcomes have in common with others, and the rules that count them."""

    keys: tuple[int, ...]
    """By scope up to the issue: which action, group, issue."""
    counting: Mapping[str, Sequence[Rule]]
    """By outcome."""


class Draft:
    """The levels of a catalogue, walked from the top. Declarations are numbered; equal ones share a number."""

    def __init__(self, action_of_row: Sequence[str]) -> None:
        self._rows: dict[str, list[int]] = {}
        for at, action_id in enumerate(action_of_row):
            self._rows.setdefault(action_id, []).append(at)
        self._numbers: dict[Declared, int] = {}
        self._covered: list[list[int]] = []
        """By number: the rows for which it holds."""
        self._scopes: list[int] = []
        self._of_all: set[int] = set()
        """Which declarations count whatever the action."""
        self._keys: dict[str, tuple[int, int, int]] = {}
        """By action: which action, group and issue."""
        self._counted: tuple[list[frozenset[int]], ...] = ([], [], [])
        """By scope up to the issue: which declarations count for each action, group, issue."""
        self.shares: tuple[list[Rows], ...] = ([], [], [])
        self._known: dict[frozenset[int], Mapping[str, Sequence[Rule]]] = {}

    def catalog(self, catalog: Catalog) -> None:
        """Walk all of it."""
        own = self._declared(catalog.contact)
        rows: list[int] = []
        for issue in catalog.issues:
            rows += self._issue(issue, own)[0]
        self._cover(own, rows)

    def rules(self) -> dict[int, Rule]:
        """By number, without those that stand where there is no action."""
        return {
            number: Rule(
                number=number,
                declared=declared,
                least=declared.limit if isinstance(declared, Cap) else declared.after,
                outcomes=frozenset(declared.outcome),
                scope=SCOPES.index(declared.per),
                channels=frozenset(declared.channels) if isinstance(declared, Cap) else frozenset(),
                rows=_rows_of(self._covered[number]),
            )
            for declared, number in self._numbers.items()
            if self._covered[number]
        }

    def places(self, rules: Mapping[int, Rule]) -> dict[str, Place]:
        """Where each action stands."""
        return {
            action_id: Place(
                keys, self.counting(rules, frozenset().union(*(self._counted[at][key] for at, key in enumerate(keys))))
            )
            for action_id, keys in self._keys.items()
        }

    def counting(self, rules: Mapping[int, Rule], numbers: frozenset[int]) -> Mapping[str, Sequence[Rule]]:
        """By outcome: the rules of these numbers, and those that count whatever the action. Most actions share one."""
        found = self._known.get(numbers)
        if found is None:
            by_outcome: dict[str, list[Rule]] = {}
            # What forbids altogether has nothing to count.
            limiting = [rules[one] for one in sorted(numbers | self._of_all) if one in rules and rules[one].least]
            for rule in limiting:
                for outcome in rule.outcomes:
                    by_outcome.setdefault(outcome, []).append(rule)
            found = self._known[numbers] = by_outcome
        return found

    def _issue(self, issue: Issue, inherited: frozenset[int]) -> tuple[list[int], frozenset[int]]:
        own = self._declared(issue.contact)
        return self._close(2, own, [self._group(group, inherited | own) for group in issue.groups])

    def _group(self, group: Group, inherited: frozenset[int]) -> tuple[list[int], frozenset[int]]:
        own = self._declared(group.contact)
        return self._close(1, own, [self._action(action, inherited | own) for action in group.actions])

    def _action(self, action: Action, inherited: frozenset[int]) -> tuple[list[int], frozenset[int]]:
        own = self._declared(action.contact)
        actions, groups, issues = self.shares
        self._keys[action.id] = (len(actions), len(groups), len(issues))
        return self._close(0, own, [(self._rows.get(action.id, []), inherited | own)])

    def _close(
        self, scope: int, own: frozenset[int], parts: Sequence[tuple[list[int], frozenset[int]]]
    ) -> tuple[list[int], frozenset[int]]:
        """End a level, of these parts: their rows, and the declarations that hold for some action in it."""
        rows = [row for part, _ in parts for row in part]
        held = frozenset().union(*(numbers for _, numbers in parts))
        self._cover(own, rows)
        self.shares[scope].append(_rows_of(rows))
        self._counted[scope].append(frozenset(number for number in held if self._scopes[number] == scope))
        return rows, held

    def _declared(self, policy: ContactPolicy) -> frozenset[int]:
        numbers: set[int] = set()
        declarations: tuple[Declared, ...] = (*policy.caps, *policy.suppressions)
        for declared in declarations:
            number = self._numbers.setdefault(declared, len(self._numbers))
            if number == len(self._covered):
                self._covered.append([])
                self._scopes.append(SCOPES.index(declared.per))
                if self._scopes[number] >= CHANNEL:
                    self._of_all.add(number)
            numbers.add(number)
        return frozenset(numbers)

    def _cover(self, numbers: Iterable[int], rows: Sequence[int]) -> None:
        for number in numbers:
            self._covered[number] += rows


def _rows_of(rows: Sequence[int]) -> Rows:
    """In bytes first: to add a bit to an integer copies the integer."""
    if not rows:
        return Rows(0, 0)
    first = min(rows)
    data = bytearray((max(rows) - first) // 8 + 1)
    for row in rows:
        data[(row - first) >> 3] |= 1 << ((row - first) & 7)
    return Rows(first, int.from_bytes(data, "little"))


def _paused_until_ms(times: Sequence[int], declared: Suppression, now_ms: int) -> int:
    """The end of the latest pause; `times` ascend. 0: it is over, or there was none."""
    for last in range(len(times) - 1, declared.after - 2, -1):
        until_ms = times[last] + declared.pause * 1_000
        if until_ms <= now_ms:
            break
        if times[last] - times[last - declared.after + 1] <= declared.window * 1_000:
            return until_ms
    return 0


def _period_end_ms(at_ms: int, period: str, zone: ZoneInfo) -> int:
    """When the calendar day, week or month of a moment ends, in milliseconds since 1970 UTC.

    Where clocks skip midnight, the moment at which they do: a time that is skipped is read by the offset before.
    """
    day = datetime.fromtimestamp(at_ms // 1_000, zone).date()
    if period == "day":
        day += timedelta(days=1)
    elif period == "week":
        day += timedelta(days=7 - day.weekday())
    else:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000


def _counted(declared: Declared, number: int) -> str:
    """'2 impressions or clicks'."""
    plural = "" if number == 1 else "s"
    return f"{number or 'no'} {' or '.join(f'{outcome}{plural}' for outcome in declared.outcome)}"


def _spelt(seconds: int) -> str:
    """'7 days'."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return f"{seconds} seconds"
