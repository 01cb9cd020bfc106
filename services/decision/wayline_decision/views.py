"""What is known of customers: a cache of views that the profile service's feed keeps current."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import grpc

from wayline import logging
from wayline.catalog.consent import Said
from wayline.v1 import events_pb2, profile_pb2, profile_pb2_grpc
from wayline_decision.core.contact import Met
from wayline_decision.core.known import Known
from wayline_decision.core.plan import Plan
from wayline_decision.deadline import WORTH_ASKING_SECONDS

log = logging.get("views")

MAX_KEYS = 2_000
MAX_FEEDS = 1_000
_NEWER_THAN_ALL = 1 << 63
_REPORT_EVERY_MS = 1_000
_SECONDS_PER_KEY = 0.001
"""A batch may take longer than one customer: ten times what the profile service needs for a view."""


class Entry:
    """A view, and what one plan made of it. The view never changes: a newer one comes in a new entry."""

    __slots__ = ("_encoded", "_memo", "lot", "profile_id", "valid_until_ms", "view")

    def __init__(self, view: profile_pb2.CustomerView) -> None:
        """Hold a view."""
        self.view = view
        self.lot = view.lot
        self.profile_id = view.profile_id
        self.valid_until_ms = view.valid_until_ms
        self._memo: tuple[Plan, Known] | None = None
        self._encoded = b""

    @property
    def encoded(self) -> bytes:
        """The view as bytes, for the records of its decisions."""
        if not self._encoded:
            self._encoded = self.view.SerializeToString()
        return self._encoded

    def known(self, plan: Plan) -> Known:
        """The view as a plan reads it. Requests of another plan meanwhile do not mix: the memo is swapped whole."""
        memo = self._memo
        if memo is None or memo[0] is not plan:
            self._memo = memo = (plan, known_of(self.view, plan))
        return memo[1]


def _apart(view: profile_pb2.CustomerView) -> profile_pb2.CustomerView:
    """A copy: a view inside a larger message keeps all of that in memory, some 200 KB for each view of the feed."""
    copy = profile_pb2.CustomerView()
    copy.CopyFrom(view)
    return copy


def known_of(view: profile_pb2.CustomerView, plan: Plan) -> Known:
    """A view as a plan reads it. Under restriction nothing is read but that, and the lot by which it is repeatable."""
    said = Said(dict(view.consents), view.region, view.opted_out, view.restricted)
    if view.restricted:
        return Known(plan.schema.traits(), plan.facts(), said, lot=view.lot)
    traits, facts = plan.schema.traits.FromString(view.traits), plan.facts.FromString(view.traits)
    facts.DiscardUnknownFields()
    contacts = () if plan.contact.empty else tuple(met_of(one) for one in view.contacts)
    return Known(traits, facts, said, contacts=contacts, timezone=view.timezone, lot=view.lot)


def met_of(contact: profile_pb2.Contact) -> Met:
    """The core's form of a contact."""
    return Met(contact.outcome, contact.action, contact.channel, contact.timestamp_ms, contact.decision_id)


class Looked:
    """What was found, by identity key. `reachable` False: the profile service did not answer in time."""

    __slots__ = ("entries", "reachable")

    def __init__(self, entries: dict[bytes, Entry], reachable: bool) -> None:
        """Put together."""
        self.entries: Final = entries
        self.reachable: Final = reachable


class ViewCache:
    """Views by identity key, least recently used first out.

    Feeds apply newer versions of what is held; what is not held is asked for by gRPC. There is one feed for each
    process of the profile service, and each brings the watermarks of its own partitions, after the views that go with
    them. Whatever casts doubt on one of them (a gap, a new feed, a lost connection) empties the cache. A partition that
    changes hands comes with a new feed: its former owner may have died between a commit and its views. Threads:
    requests read, the feed writes.
    """

    def __init__(
        self,
        stub: profile_pb2_grpc.ProfileServiceStub,
        *,
        size: int,
        timeout_seconds: float,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Hold at most `size` keys; wait at most `timeout_seconds` for the profile service, within `waiting`."""
        self._stub = stub
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._waiting = waiting
        self._now_ms = now_ms
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._advanced = threading.Condition(self._lock)
        self._watermarks: dict[int, int] = {}
        self._asked: dict[bytes, list[int]] = {}
        """Keys that are being asked for right now: how many ask, and the newest version the feed has shown since."""
        self._feeds: OrderedDict[str, int] = OrderedDict()
        """Each feed, least recently heard first, to the number of its latest message."""
        self._generation = 0
        self._following = False
        self._reported_ms = 0

    def follow(self, following: bool) -> None:
        """The connection to the feed was made or lost. Without it nothing is cached."""
        with self._lock:
            self._following = following
            self._empty("connected" if following else "disconnected")

    def apply(self, update: profile_pb2.ViewUpdate) -> None:
        """Take up one message of a feed."""
        with self._lock:
            number = self._feeds.pop(update.feed_id, None)
            if number is None or update.number != number + 1:
                self._empty("new feed" if number is None else "gap")
                self._watermarks.clear()
            self._feeds[update.feed_id] = update.number
            if len(self._feeds) > MAX_FEEDS:
                self._feeds.popitem(last=False)  # were it heard again, it would be new, and empty the cache
            for view in update.views:
                self._apply_view(view)
            for key in update.erased:
                self._entries.pop(key, None)
                if key in self._asked:  # what is on its way must not stay
                    self._asked[key][1] = _NEWER_THAN_ALL
            for token in update.watermarks:
                # Of a partition that changed hands two may tell, and their messages come in any order.
                self._watermarks[token.partition] = max(self._watermarks.get(token.partition, 0), token.sequence)
            if update.watermarks:
                self._advanced.notify_all()

    def wait_for(self, tokens: Sequence[events_pb2.EventToken], timeout_seconds: float) -> bool:
        """Wait until the profiles hold the events of `tokens`. False: they did not in time."""
        with self._lock:
            return self._advanced.wait_for(
                lambda: all(self._watermarks.get(one.partition, 0) >= one.sequence for one in tokens), timeout_seconds
            )

    def get(self, keys: Sequence[bytes], timeout_seconds: float | None = None) -> Looked:
        """The views of customers, from the cache, and in one call to the profile service for those it lacks.

        Args:
            keys: identity keys.
            timeout_seconds: less than the usual time, when the caller's deadline is near. When it is hardly worth
                asking, only what is held is found.
        """
        now_ms = self._now_ms()
        found: dict[bytes, Entry] = {}
        missing: list[bytes] = []
        for key in keys:
            entry = self._held(key, now_ms)
            if entry is None:
                missing.append(key)
            else:
                found[key] = entry
        reachable = True
        if missing and timeout_seconds is not None and timeout_seconds < WORTH_ASKING_SECONDS:
            return Looked(found, False)
        for start in range(0, len(missing), MAX_KEYS):
            reachable &= self._ask(missing[start : start + MAX_KEYS], found, timeout_seconds)
        return Looked(found, reachable)

    def held(self, key: bytes) -> Entry | None:
        """A customer's view, if the cache has it."""
        return self._held(key, self._now_ms())

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._entries)

    def _held(self, key: bytes, now_ms: int) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None or 0 < entry.valid_until_ms <= now_ms:
            return None
        try:
            self._entries.move_to_end(key)
        except KeyError:  # emptied by the feed's thread a moment ago; what we hold was current then
            return entry
        return entry

    def _ask(self, keys: list[bytes], found: dict[bytes, Entry], timeout_seconds: float | None) -> bool:
        with self._lock:
            generation = self._generation
            for key in keys:
                self._asked.setdefault(key, [0, 0])[0] += 1
        patience = self._timeout_seconds + _SECONDS_PER_KEY * len(keys)
        timeout = patience if timeout_seconds is None else min(patience, timeout_seconds)
        try:
            request = profile_pb2.BatchGetViewsRequest(identity_keys=keys)
            with self._waiting():
                response = self._stub.BatchGetViews(request, timeout=timeout)
        except grpc.RpcError as error:
            self._report_unreachable(error)
            response = None
        with self._lock:
            seen = {key: self._forget_asking(key) for key in keys}
            if response is None:
                return False
            keep = generation == self._generation and self._following
            wanted = set(keys)
            for view in response.views:
                entry = Entry(view if len(response.views) == 1 else _apart(view))
                for key in view.identity_keys:
                    if key in wanted:
                        found[key] = entry
                        # The feed may have shown a newer one while we asked: then this one must not stay.
                        if keep and view.version >= seen[key]:
                            self._hold(key, entry)
        return True

    def _report_unreachable(self, error: grpc.RpcError) -> None:
        """A line a second at most: while the profile service is away, every request comes by here."""
        now_ms = self._now_ms()
        if now_ms - self._reported_ms >= _REPORT_EVERY_MS:
            self._reported_ms = now_ms
            log.warning("profile_unreachable", code=str(error.code()))

    def _forget_asking(self, key: bytes) -> int:
        asking = self._asked[key]
        asking[0] -= 1
        if not asking[0]:
            del self._asked[key]
        return asking[1]

    def _apply_view(self, view: profile_pb2.CustomerView) -> None:
        entry: Entry | None = None
        for key in view.identity_keys:
            if key in self._asked:
                self._asked[key][1] = max(self._asked[key][1], view.version)
            held = self._entries.get(key)
            if held is not None and held.view.version <= view.version:
                entry = entry or Entry(_apart(view))
                self._entries[key] = entry

    def _hold(self, key: bytes, entry: Entry) -> None:
        if not self._size:
            return
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def _empty(self, reason: str) -> None:
        self._generation += 1
        if self._entries:
            log.info("views_dropped", reason=reason, views=len(self._entries))
            self._entries.clear()
