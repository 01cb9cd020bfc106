"""Content that is rendered for one customer, and whose cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from wayline.catalog.templates import RenderError
from wayline_decision.core.contest import Choice
from wayline_decision.core.decision import Content
from wayline_decision.core.plan import Plan
from wayline_decision.core.subject import Subject
from wayline_decision.core.timetable import zone_named


class Contents:
    """Of one placement, as its slots are filled."""

    __slots__ = ("_now", "_plan", "_subject", "by_row", "failures")

    def __init__(self, plan: Plan, subject: Subject, now: datetime) -> None:
        """Begin with none, for whom the placement sees."""
        self._plan = plan
        self._subject = subject
        self._now = now
        self.by_row: Final[dict[int, Content]] = {}
        """{}: it is the same for everybody."""
        self.failures: Final[list[str]] = []
        """In words, in the order in which they came up."""

    def broken(self, choices: Sequence[Choice]) -> int:
        """The rows whose content cannot be rendered, and the rest of their bundles, as a bit set; `by_row` grows by
        those of all others.
        """
        failed: list[int] = []
        for row in (one.row for one in choices if one.row not in self.by_row):
            content = self._content(row)
            if content is None:
                failed.append(row)
            else:
                self.by_row[row] = content
        actions = {self._plan.rows[row].action for row in failed}
        actions.update(*(self._plan.company.bundles.get(action, ()) for action in tuple(actions)))
        broken = 0
        for one in choices if failed else ():
            if self._plan.rows[one.row].action in actions:
                broken |= 1 << one.row
        return broken

    def _content(self, at: int) -> Content | None:
        """Rendered for this customer; {} when it is the same for everybody; None: it cannot be."""
        row, subject = self._plan.rows[at], self._subject
        if row.template is None:
            return {}
        traits, context = subject.known.traits, subject.situation.context
        try:
            return row.template.render(traits, context, self._local(), self._locale())
        except RenderError as error:
            self.failures.append(f"content:{row.action_id}/{row.treatment_id} failed: {error}")
            return None

    def _local(self) -> datetime:
        """The time where the customer is; where that may not be used, by the catalogue's zone."""
        timezone = self._subject.known.timezone
        zone = zone_named(timezone) if timezone else None
        return self._now.astimezone(zone or ZoneInfo(self._plan.catalog.timezone))

    def _locale(self) -> str:
        """The request's, if it says one, else the customer's: the declared context field or trait 'locale'."""
        schema, subject = self._plan.schema, self._subject
        if schema.context_types.get("locale") == "string" and subject.situation.context.locale:
            return str(subject.situation.context.locale)
        if schema.trait_types.get("locale") == "string":
            return str(subject.known.traits.locale)
        return ""
