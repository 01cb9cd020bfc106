"""What was promised a moment ago: contacts that were chosen, held until the customer's view shows them.

Between a choice and the view that counts it, some milliseconds pass: without this, two requests in the same millisecond
would both use the last contact that a cap allows. The engine judges and reserves under one lock of its own, and one
that it shares with the other workers of its port (see `siblings`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Container, Sequence
from itertools import islice

from wayline_decision.core.contact import PROMISED, Met, promised

_GRACE_MS = 10_000
_Shown = tuple[str, str, str]
"""Outcome, decision id, action."""


class Reservations:
    """Promised contacts by customer, bounded in customers and per customer; the oldest go first. Thread-safe."""

    def __init__(
        self, *, ttl_seconds: float = 300.0, max_customers: int = 100_000, max_contacts_per_customer: int = 100
    ) -> None:
        """Hold what the views do not show for `ttl_seconds`: then it is taken that the customer was not met."""
        self._ttl_ms = round(ttl_seconds * 1_000)
        self._max_customers = max_customers
        self._max_held = max_contacts_per_customer * len(PROMISED)
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes | str, dict[_Shown, Met]] = OrderedDict()
        """By customer; the one to whom something was promised last is last."""
        self._seen_ms: dict[tuple[bytes | str, _Shown], int] = {}
        """When a view was first seen to show what is held: a request under way may still know an older view."""

    def reserve(self, customer: bytes | str, contacts: Sequence[Met], now_ms: int) -> None:
        """Promise contacts: each counts as a decision and as an impression. The same again changes nothing.

        Args:
            customer: the profile's id, or an identity key while there is no profile.
            contacts: what was chosen, and when; whatever its outcome.
            now_ms: milliseconds since 1970 UTC.
        """
        with self._lock:
            held = self._held.setdefault(customer, {})
            for contact in contacts:
                # A clock ahead of ours must not hold for longer.
                choice = contact._replace(timestamp_ms=min(contact.timestamp_ms, now_ms))
                if self._lasts(choice, now_ms):
                    for met in promised(choice):
                        held.setdefault((met.outcome, met.decision_id, met.action), met)
            for key in list(islice(held, max(0, len(held) - self._max_held))):
                self._forget(customer, held, key)
            self._held.move_to_end(customer)
            if not held:
                del self._held[customer]
            self._tidy(now_ms)

    def adopt(self, customer: bytes | str, contacts: Sequence[Met], now_ms: int) -> None:
        """Hold what another process promised, as if it were our own. What comes too late to matter is left out."""
        self.reserve(customer, contacts, now_ms)

    def holds_any(self, customer: bytes | str) -> bool:
        """Whether `held` is worth asking. Without the lock, since one look at a dictionary needs none."""
        return customer in self._held

    def held(self, customer: bytes | str, shown: Container[_Shown], now_ms: int) -> tuple[Met, ...]:
        """What is promised to a customer and not in the view yet. What the view shows is forgotten a while
        later, what is too old at once.

        Args:
            customer: as when it was reserved.
            shown: outcome, decision id and action of the contacts in the view.
            now_ms: milliseconds since 1970 UTC.
        """
        with self._lock:
            held = self._held.get(customer)
            if held is None:
                return ()
            left: list[Met] = []
            for key, met in list(held.items()):
                if key not in shown:
                    if self._lasts(met, now_ms):
                        left.append(met)
                        continue
                elif now_ms - self._seen_ms.setdefault((customer, key), now_ms) < _GRACE_MS:
                    continue
                self._forget(customer, held, key)
            if not held:
                del self._held[customer]
            return tuple(left)

    def __len__(self) -> int:
        """How many customers something is held for."""
        return len(self._held)

    def _forget(self, customer: bytes | str, held: dict[_Shown, Met], key: _Shown) -> None:
        del held[key]
        self._seen_ms.pop((customer, key), None)

    def _lasts(self, met: Met, now_ms: int) -> bool:
        return now_ms - met.timestamp_ms < self._ttl_ms

    def _tidy(self, now_ms: int) -> None:
        """Let the customers go that were promised something longest ago: those beyond the limit, and those who never
        came back.
        """
        while self._held:
            oldest = next(iter(self._held))
            waiting = any(self._lasts(met, now_ms) for met in self._held[oldest].values())
            if waiting and len(self._held) <= self._max_customers:
                break
            for key in list(self._held[oldest]):
                self._forget(oldest, self._held[oldest], key)
            del self._held[oldest]
