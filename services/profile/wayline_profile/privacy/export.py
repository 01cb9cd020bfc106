"""All that is held of a customer, as JSON: section by section, in parts that fit into a message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import Message
from nats.aio.client import Client

from wayline import audit, streams
from wayline.bus import DEAD_LETTERS, DECISIONS
from wayline.identifiers import IdentityRules
from wayline.v1 import audiences_pb2, customers_pb2, decision_pb2, ingestion_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.fold import timestamp_ms
from wayline_profile.core.values import Reading, values_of, with_defaults
from wayline_profile.privacy import finding
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import CLUSTER, CLUSTER_OF, STANDING

_PART_BYTES = 1 << 20
_PAGE = 500
_AT_ONCE = 100
"""Messages of a stream that are read in one go: others are served in between."""
Part = privacy_pb2.ExportCustomerResponse


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
        for name, stream, pick in (
            ("decisions", DECISIONS, self._decisions),
            ("dead_letters", DEAD_LETTERS, self._dead_letters),
        ):
            async for part in self._of_stream(name, stream, lambda data, pick=pick: pick(data, keys)):  # type: ignore[misc]
                yield part
        async for part in self._audit(profile, keys):
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
        yield "events", map(_plain, timeline(self._store, keys))

    async def _of_stream(
        self, name: str, stream: str, pick: Callable[[bytes], Iterable[Message]]
    ) -> AsyncIterator[Part]:
        held = await streams.state(self._client, stream)
        last = held.last_seq if held else 0
        first = after = held.first_seq - 1 if held else 0
        yield Part(section=name, total=last - first)
        while after < last and (
            page := await streams.page(self._client, stream, after=after, at_most=_AT_ONCE, max_bytes=_PART_BYTES)
        ):
            after = page[-1].sequence
            found = (_plain(one) for message in page if message.sequence <= last for one in pick(message.data))
            for items in _packed(found):
                yield Part(section=name, items=items, done=min(after, last) - first, total=last - first)

    def _decisions(self, data: bytes, keys: set[bytes]) -> Iterator[Message]:
        if finding.in_decisions(data, self._rules()).isdisjoint(keys):
            return
        bundle = decision_pb2.DecisionRecordBundle.FromString(data)
        yield from (record for record in bundle.records if not finding.of_record(record).isdisjoint(keys))

    def _dead_letters(self, data: bytes, keys: set[bytes]) -> Iterator[Message]:
        if not finding.in_dead_letter(data, self._rules()).isdisjoint(keys):
            yield ingestion_pb2.RejectedEvent.FromString(data)

    async def _audit(self, profile: profile_pb2.Profile, keys: set[bytes]) -> AsyncIterator[Part]:
        subjects = {profile.profile_id, *(key.hex() for key in keys)}
        found = [
            {"sequence": line.sequence, **_plain(line.entry)}
            async for line in audit.entries(self._client)
            if line.entry.subject in subjects
        ]
        for items in _packed(found):
            yield Part(section="audit", items=items)


def merges(store: ProfileStore, keys: set[bytes]) -> Iterator[customers_pb2.Cluster]:
    """What has linked the identifiers of a customer; without those of others that they are linked with."""
    clusters = set(store.records(CLUSTER_OF, sorted(keys)).values())
    for data in store.records(CLUSTER, sorted(clusters)).values():
        cluster = customers_pb2.Cluster.FromString(data)
        yield customers_pb2.Cluster(
            nodes=[node for node in cluster.nodes if node.key in keys],
            edges=[edge for edge in cluster.edges if edge.one in keys and edge.other in keys],
        )


def timeline(store: ProfileStore, keys: set[bytes], *, page: int = _PAGE) -> Iterator[profile_pb2.TimelineEntry]:
    """All events of a timeline, newest first, so many at a time."""
    before: int | None = None
    limit = page
    while entries := store.timeline(keys, limit=limit, before_ms=before):
        oldest = _at_ms(entries[-1])
        if len(entries) < limit:
            yield from entries
            return
        # Of the oldest moment there may be more: it is read whole by the next page.
        whole = [one for one in entries if _at_ms(one) > oldest]
        yield from whole
        if whole:
            before, limit = oldest + 1, page
        else:
            limit *= 2


def _at_ms(entry: profile_pb2.TimelineEntry) -> int:
    return timestamp_ms(entry.event)


def _packed(values: Iterable[Any]) -> Iterator[list[str]]:
    """In parts of a mebibyte; an empty one when there is nothing."""
    items: list[str] = []
    size = 0
    sent = False
    for value in values:
        text = json.dumps(value, ensure_ascii=False)
        if items and size + len(text) > _PART_BYTES:
            yield items
            items, size, sent = [], 0, True
        items.append(text)
        size += len(text.encode())
    if items or not sent:
        yield items


def _plain(message: Message) -> Any:
    """As JSON; what JSON cannot hold (no finite number, no possible time) comes as text of protobuf."""
    try:
        return MessageToDict(message, preserving_proto_field_name=True)
    except (SerializeToJsonError, ValueError):
        return {"text": text_format.MessageToString(message)}
