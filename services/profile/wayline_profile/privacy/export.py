"""All that is held of a customer, as JSON: section by section, in parts that fit into a message."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import DecodeError, Message
from nats.aio.client import Client

from wayline import streams
from wayline.bus import AUDIT, DEAD_LETTERS, DECISIONS
from wayline.identifiers import IdentityRules
from wayline.identity import KEY_BYTES
from wayline.v1 import audiences_pb2, customers_pb2, decision_pb2, events_pb2, ingestion_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.changes import Filed
from wayline_profile.core.values import Reading, values_of, with_defaults
from wayline_profile.privacy import finding
from wayline_profile.privacy.settling import count_filed
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import CLUSTER, CLUSTER_OF, STANDING

_PART_BYTES = 256 << 10
"""Of a message; and of what is made into JSON in one go, which takes some 30 ms of a processor."""
_FILED_AT_ONCE = 500
_AT_ONCE = 100
"""Messages of a stream that are read in one go: others are served in between."""
Part = privacy_pb2.ExportCustomerResponse
Pick = Callable[[streams.Stored], Iterable[Any]]
"""What of a message goes into the export, as JSON."""


class Exporter:
    """Reads every store in which something about a customer may be."""

    def __init__(
        self,
        store: ProfileStore,
        client: Client,
        *,
        reading: Callable[[], Reading | None],
        rules: Callable[[], IdentityRules],
        now_ms: Callable[[], int],
    ) -> None:
        """Read from `store` and the streams, under the catalogue in use."""
        self._store = store
        self._client = client
        self._reading = reading
        self._rules = rules
        self._now_ms = now_ms

    async def export(self, profile: profile_pb2.Profile) -> AsyncIterator[Part]:
        """The parts. What is read of streams is what they hold when the section begins.

        Raises:
            Retryable: a stream cannot be read.
        """
        keys = finding.of_profile(profile)
        for name, values in self._of_the_store(profile, keys):
            for items in _packed(values):
                yield Part(section=name, items=items)
        async for part in self._events(keys):
            yield part
        subjects = {profile.profile_id, *(key.hex() for key in keys)}
        picks: Sequence[tuple[str, str, Pick]] = (
            ("decisions", DECISIONS, lambda message: self._decisions(message, keys)),
            ("dead_letters", DEAD_LETTERS, lambda message: self._dead_letters(message, keys)),
            ("audit", AUDIT, lambda message: _audited(message, subjects)),
        )
        for name, stream, pick in picks:
            async for part in self._of_stream(name, stream, pick):
                yield part

    def _of_the_store(self, profile: profile_pb2.Profile, keys: set[bytes]) -> Iterator[tuple[str, Iterable[Any]]]:
        yield "profile", [_plain(profile)]
        reading = self._reading()
        if reading is not None:
            values, _ = values_of(profile, reading, self._now_ms())
            yield "traits", [with_defaults(values, reading)]
        yield "merges", map(_plain, merges(self._store, keys))
        standing = self._store.records(STANDING, [bytes.fromhex(profile.profile_id)])
        yield "audiences", [_plain(audiences_pb2.Standing.FromString(data)) for data in standing.values()]

    async def _events(self, keys: set[bytes]) -> AsyncIterator[Part]:
        total, done = await count_filed(self._store, keys), 0
        yield Part(section="events", total=total)
        rows = timeline(self._store, keys)
        while some := _some(rows):
            done += len(some)
            for items in await asyncio.to_thread(_told, map(_entry, some)):
                yield Part(section="events", items=items, done=done, total=max(done, total))

    async def _of_stream(self, name: str, stream: str, pick: Pick) -> AsyncIterator[Part]:
        held = await streams.state(self._client, stream)
        last = held.last_seq if held else 0
        first = after = held.first_seq - 1 if held else 0
        yield Part(section=name, total=last - first)
        while after < last and (
            page := await streams.page(self._client, stream, after=after, at_most=_AT_ONCE, max_bytes=_PART_BYTES)
        ):
            after = page[-1].sequence
            found = (one for message in page if message.sequence <= last for one in pick(message))
            for items in await asyncio.to_thread(_told, found):
                yield Part(section=name, items=items, done=min(after, last) - first, total=last - first)

    def _decisions(self, message: streams.Stored, keys: set[bytes]) -> Iterator[Any]:
        if finding.in_decisions(message.data, self._rules()).isdisjoint(keys):
            return
        bundle = decision_pb2.DecisionRecordBundle.FromString(message.data)
        yield from (_plain(record) for record in bundle.records if not finding.of_record(record).isdisjoint(keys))

    def _dead_letters(self, message: streams.Stored, keys: set[bytes]) -> Iterator[Any]:
        if not finding.in_dead_letter(message.data, self._rules()).isdisjoint(keys):
            yield _plain(ingestion_pb2.RejectedEvent.FromString(message.data))


def merges(store: ProfileStore, keys: set[bytes]) -> Iterator[customers_pb2.Cluster]:
    """What has linked the identifiers of a customer; without those of others that they are linked with."""
    clusters = set(store.records(CLUSTER_OF, sorted(keys)).values())
    for data in store.records(CLUSTER, sorted(clusters)).values():
        cluster = customers_pb2.Cluster.FromString(data)
        yield customers_pb2.Cluster(
            nodes=[node for node in cluster.nodes if node.key in keys],
            edges=[edge for edge in cluster.edges if edge.one in keys and edge.other in keys],
        )


def timeline(store: ProfileStore, keys: Collection[bytes], *, page: int = _FILED_AT_ONCE) -> Iterator[Filed]:
    """All events of a timeline, oldest first. About `page` of them are in memory, however many share a moment."""
    share = max(4, page // max(1, len(keys)))
    return heapq.merge(*(_filed(store, key, share) for key in keys), key=lambda row: row.place[KEY_BYTES:])


def _filed(store: ProfileStore, key: bytes, page: int) -> Iterator[Filed]:
    after = b""
    while rows := store.filed([key], after=after, at_most=page):
        yield from rows
        after = rows[-1].place


def _some(rows: Iterator[Filed]) -> list[Filed]:
    """As many as make a part; empty: there are no more."""
    some: list[Filed] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row.data)
        if size >= _PART_BYTES:
            break
    return some


def _entry(row: Filed) -> Any:
    token = events_pb2.EventToken(partition=row.partition, sequence=row.sequence)
    return _plain(profile_pb2.TimelineEntry(event=events_pb2.Event.FromString(row.data), token=token))


def _audited(message: streams.Stored, subjects: Collection[str]) -> Iterator[Any]:
    try:
        entry = privacy_pb2.AuditEntry.FromString(message.data)
    except DecodeError:
        return  # `wayline audit verify` is who tells of it
    if entry.subject in subjects:
        yield {"sequence": message.sequence, **_plain(entry)}


def _told(values: Iterable[Any]) -> list[list[str]]:
    return list(_packed(values))


def _packed(values: Iterable[Any]) -> Iterator[list[str]]:
    """In parts of `_PART_BYTES`; an empty one when there is nothing."""
    items: list[str] = []
    size = 0
    sent = False
    for value in values:
        text = json.dumps(value, ensure_ascii=False)
        weight = len(text.encode())
        if items and size + weight > _PART_BYTES:
            yield items
            items, size, sent = [], 0, True
        items.append(text)
        size += weight
    if items or not sent:
        yield items


def _plain(message: Message) -> Any:
    """As JSON; what JSON cannot hold (no finite number, no possible time) comes as text of protobuf."""
    try:
        return MessageToDict(message, preserving_proto_field_name=True)
    except (SerializeToJsonError, ValueError):
        return {"text": text_format.MessageToString(message)}
