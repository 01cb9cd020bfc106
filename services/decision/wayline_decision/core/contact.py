"""Contact policy: which rows may not go out to a customer now, on which channel, until when, and why.

A declaration that stands at several levels, or for many actions, is one rule here. Judging goes through the customer's
contacts, mostly fewer than twenty, and the rules that count each of them; never through the actions.

Time only ever frees a row: each outcome that counts stops counting at a time that is known when it happens. So a
verdict holds until the first of those times, unless there is a new contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wayline.catalog.model import Catalog
from wayline_decision.core.contact_rules import CHANNEL, Draft, Place, Rows, Rule
from wayline_decision.core.timetable import milliseconds, zone_named

PROMISED = ("decision", "impression")
"""What a choice counts as until the profile tells: it was made, and it will be seen."""


class Met(NamedTuple):
    """What the customer was met with, or did with it: the pure form of the contract's `Contact`."""

    outcome: str
    action: str
    channel: str
    """Empty: not known."""
    timestamp_ms: int
    decision_id: str
    """Empty: not known."""


def promised(choice: Met) -> tuple[Met, ...]:
    """A choice as the contacts that it counts as, whatever its own outcome."""
    return tuple(choice._replace(outcome=outcome) for outcome in PROMISED)


class Refusal(NamedTuple):
    """Why a row may not go out, and what would have to change, in words."""

    reason: str
    change: str


class _Block(NamedTuple):
    """A rule that refuses rows now."""

    rule: Rule
    rows: int
    channels: frozenset[str]
    """None: all."""
    free_ms: int
    """0: never."""


class Verdict(NamedTuple):
    """What may not go out to one customer now."""

    until_ms: int
    """From this time on it may differ though there was no new contact; milliseconds since 1970 UTC. 0: never."""
    everywhere: int
    """Rows that no channel may carry, as a bit set."""
    elsewhere: Mapping[str, int]
    """By channel: those, and the rows that only this channel may not carry."""
    blocks: Sequence[_Block]
    zone: ZoneInfo

    def blocked(self, channel: str) -> int:
        """The rows that may not go out on a channel now, as a bit set."""
        return self.elsewhere.get(channel, self.everywhere)

    def why(self, row: int, channel: str) -> Refusal | None:
        """Of all rules that refuse a row, the one that does so for longest. None: it may go out."""
        against = [
            (block.free_ms or float("inf"), block.rule.reason(channel), block.free_ms)
            for block in self.blocks
            if block.rows >> row & 1 and (not block.channels or channel in block.channels)
        ]
        if not against:
            return None
        _, reason, free_ms = max(against)
        return Refusal(reason, _freed(free_ms, self.zone))


@dataclass(frozen=True, slots=True)
class ContactPlan:
    """The contact policies of a catalogue, compiled."""

    empty: bool
    """Nothing is limited: there is no need to judge."""
    counted_on: frozenset[str] | None
    """The channels on which some rule counts the outcome 'decision'; None: on all. Empty: no rule does."""
    pooled: bool
    """Some rule counts decisions or impressions of several actions as one: what is chosen for one slot may use up what
    the next slot would take, so it has to be judged again with what was `promised`.
    """
    places: Mapping[str, Place]
    nowhere: Place
    """Where an action stands that the catalogue no longer has."""
    shares: Sequence[Sequence[Rows]]
    """By scope up to the issue: the rows of each action, group, issue."""
    zone: ZoneInfo
    """For customers of whom none is known."""
    always: Verdict
    """On a customer who was never met: what is forbidden altogether."""

    def judge(self, contacts: Sequence[Met], timezone: str, now: datetime) -> Verdict:
        """Judge all rows for one customer. Contacts that are said to lie ahead of `now` count like any others.

        Args:
            contacts: in any order.
            timezone: the customer's, an IANA name; empty or not known to this machine: the catalogue's.
            now: with a time zone.
        """
        tallies = self._tallies(contacts)
        if not tallies:
            return self.always
        now_ms = milliseconds(now)
        zone = zone_named(timezone) or self.zone
        blocks: list[_Block] = []
        for (_, key), (rule, times) in tallies.items():
            if len(times) >= rule.least:
                times.sort()
                free_ms = rule.free_ms(times, now_ms, zone)
                if free_ms > now_ms:
                    blocks.append(self._block(rule, key, free_ms))
        return _verdict([*self.always.blocks, *blocks], zone) if blocks else self.always

    def _tallies(self, contacts: Sequence[Met]) -> dict[tuple[int, int | str], tuple[Rule, list[int]]]:
        """When which outcomes happened, by rule and by whatever has a count of its own."""
        tallies: dict[tuple[int, int | str], tuple[Rule, list[int]]] = {}
        places, nowhere = self.places, self.nowhere
        for outcome, action, channel, timestamp_ms, _ in contacts:
            keys, counting = places.get(action, nowhere)
            for rule in counting.get(outcome, ()):
                if rule.channels and channel not in rule.channels:
                    continue
                scope = rule.scope
                key: tuple[int, int | str]
                if scope < CHANNEL:
                    key = (rule.number, keys[scope])
                elif scope > CHANNEL:
                    key = (rule.number, 0)
                elif channel:
                    key = (rule.number, channel)
                else:
                    continue
                tally = tallies.get(key)
                if tally is None:
                    tallies[key] = (rule, [timestamp_ms])
                else:
                    tally[1].append(timestamp_ms)
        return tallies

    def _block(self, rule: Rule, key: int | str, free_ms: int) -> _Block:
        if isinstance(key, str):
            return _Block(rule, rule.rows.mask, frozenset((key,)), free_ms)
        rows = rule.rows.mask
        if rule.scope < CHANNEL:
            rows &= self.shares[rule.scope][key].mask
        return _Block(rule, rows, rule.channels, free_ms)


def compile_contact(catalog: Catalog, action_of_row: Sequence[str]) -> ContactPlan:
    """Compile the contact policies of all levels.

    Args:
        catalog: one that has passed `wayline.catalog.check`.
        action_of_row: by row: the action's id.
    """
    draft = Draft(action_of_row)
    draft.catalog(catalog)
    rules = draft.rules()
    zone = ZoneInfo(catalog.timezone)
    forbidden = [_Block(rule, rule.rows.mask, rule.channels, 0) for rule in rules.values() if not rule.least]
    return ContactPlan(
        empty=not rules,
        counted_on=_counted_on(rules.values()),
        pooled=any(rule.scope and not rule.outcomes.isdisjoint(PROMISED) for rule in rules.values()),
        places=draft.places(rules),
        nowhere=Place((), draft.counting(rules, frozenset())),
        shares=draft.shares,
        zone=zone,
        always=_verdict(forbidden, zone),
    )


def _counted_on(rules: Iterable[Rule]) -> frozenset[str] | None:
    counting = [rule.channels for rule in rules if "decision" in rule.outcomes]
    return None if not all(counting) else frozenset().union(*counting)


def _verdict(blocks: Sequence[_Block], zone: ZoneInfo) -> Verdict:
    everywhere = 0
    elsewhere: dict[str, int] = {}
    for block in blocks:
        if not block.channels:
            everywhere |= block.rows
        for channel in block.channels:
            elsewhere[channel] = elsewhere.get(channel, 0) | block.rows
    if everywhere:
        for channel in elsewhere:
            elsewhere[channel] |= everywhere
    return Verdict(min((one.free_ms for one in blocks if one.free_ms), default=0), everywhere, elsewhere, blocks, zone)


def _freed(free_ms: int, zone: ZoneInfo) -> str:
    """The minute is rounded up: at the time that is named, it is free."""
    if not free_ms:
        return "only another contact policy would allow it"
    at = datetime.fromtimestamp(-(-free_ms // 60_000) * 60, zone)
    return f"free again on {at:%Y-%m-%d %H:%M} {'UTC' if zone.key == 'UTC' else f'by {zone.key}'}"
