"""What another catalogue or model would change: counted by action, channel and segment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_SEGMENTS = 50
"""Values of one trait that are told apart: the first that come. All others count as OTHER."""
OTHER = "(other)"
Pick = tuple[str, str]
"""Action and treatment."""


class Place(NamedTuple):
    """One placement of a decision, as it was filled and as it would be; the best first."""

    placement: str
    channel: str
    before: Sequence[Pick]
    after: Sequence[Pick]


@dataclass(slots=True)
class Shift:
    """How often something was so, and how often it would be otherwise."""

    decisions: int = 0
    changed: int = 0

    def add(self, changed: bool) -> None:
        """One more."""
        self.decisions += 1
        self.changed += changed

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the share is of the decisions."""
        share = self.changed / self.decisions if self.decisions else 0.0
        return {"decisions": self.decisions, "changed": self.changed, "share": share}


@dataclass(slots=True)
class Changes:
    """Counts, whose size depends on the catalogue and not on how many decisions there were."""

    all: Shift = field(default_factory=Shift)
    _before: Counter[str] = field(default_factory=Counter)
    _after: Counter[str] = field(default_factory=Counter)
    _kept: Counter[str] = field(default_factory=Counter)
    _channels: dict[str, Shift] = field(default_factory=dict)
    _channel_before: Counter[str] = field(default_factory=Counter)
    _channel_after: Counter[str] = field(default_factory=Counter)
    _segments: dict[str, dict[str, Shift]] = field(default_factory=dict)

    def add(self, places: Iterable[Place], segments: Mapping[str, str]) -> None:
        """Count one decision.

        Args:
            places: of the request.
            segments: segmentation to the customer's segment.
        """
        changed = False
        for place in places:
            differs = list(place.before) != list(place.after)
            changed |= differs
            self._channels.setdefault(place.channel, Shift()).add(differs)
            self._channel_before[place.channel] += len(place.before)
            self._channel_after[place.channel] += len(place.after)
            before, after = [action for action, _ in place.before], [action for action, _ in place.after]
            self._before.update(before)
            self._after.update(after)
            self._kept.update(set(before) & set(after))
        self.all.add(changed)
        for name, value in segments.items():
            told_apart = self._segments.setdefault(name, {})
            if value not in told_apart and len(told_apart) >= MAX_SEGMENTS:
                value = OTHER
            told_apart.setdefault(value, Shift()).add(changed)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what changes most comes first."""
        actions = {
            action: {
                "before": self._before[action],
                "after": self._after[action],
                "gained": self._after[action] - self._kept[action],
                "lost": self._before[action] - self._kept[action],
            }
            for action in self._before.keys() | self._after.keys()
        }
        return {
            "decisions": self.all.as_dict(),
            "actions": dict(
                sorted(actions.items(), key=lambda one: (-one[1]["gained"] - one[1]["lost"], -one[1]["after"], one[0]))
            ),
            "channels": {
                name: {
                    **shift.as_dict(),
                    "before": self._channel_before[name],
                    "after": self._channel_after[name],
                }
                for name, shift in sorted(self._channels.items())
            },
            "segments": {
                name: {
                    value: shift.as_dict()
                    for value, shift in sorted(told_apart.items(), key=lambda one: (-one[1].decisions, one[0]))
                }
                for name, told_apart in self._segments.items()
            },
        }
