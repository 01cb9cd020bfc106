"""What goes into a decision's record beside the decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wayline_decision.core.contact import Met


class Particulars:
    """What a record says of one decision beside what came out."""

    __slots__ = ("decision_id", "exhausted", "now", "request", "reserved", "seed", "stale", "view")

    def __init__(
        self,
        decision_id: str,
        request: bytes,
        view: bytes,
        seed: int,
        now: datetime,
        stale: bool,
        exhausted: Sequence[str],
        reserved: Sequence[Met],
    ) -> None:
        """Put together.

        Args:
            decision_id: as the answer has it.
            request: as it came, encoded.
            view: the customer's, encoded; empty when there was none.
            seed: of all that was random.
            now: the time by which rules were judged.
            stale: the events that it was to wait for did not arrive.
            exhausted: actions whose budget was used up.
            reserved: contacts that were promised, and that the view does not show.
        """
        self.decision_id: Final = decision_id
        self.request: Final = request
        self.view: Final = view
        self.seed: Final = seed
        self.now: Final = now
        self.stale: Final = stale
        self.exhausted: Final = exhausted
        self.reserved: Final = reserved
