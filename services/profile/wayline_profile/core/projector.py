"""A batch of events becomes one commit: which profiles change, which identifiers lead where, how far was read.

Pure: what the batch needs from the store is loaded before, what it changes is returned. The batch is taken as a set:
first what it says of who is who, then what it says of each.
"""

from __future__ import annotations

from collections.abc import Sequence

from wayline.identifiers import Pair
from wayline.identity import foremost, identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read, TimelineRow
from wayline_profile.core.clusters import Link, Ruling, ends_of
from wayline_profile.core.erasure import Bars, discard, erase, outlives
from wayline_profile.core.fold import Definitions, fold_into, milliseconds_of, timestamp_ms
from wayline_profile.core.graph import Graph
from wayline_profile.core.loading import Filing, Loaded
from wayline_profile.core.partition import Partition
from wayline_profile.core.resolution import resolve

Profile = profile_pb2.Profile
_RULING, _RESTRICTION = events_pb2.EVENT_TYPE_RULING, events_pb2.EVENT_TYPE_RESTRICTION
_ERASURE = events_pb2.EVENT_TYPE_ERASURE


class Projector:
    """Projects one batch."""

    def __init__(self, definitions: Definitions, loaded: Loaded) -> None:
        """Start from what the store holds. What was loaded is taken over."""
        self._definitions = definitions
        self._loaded = loaded
        self._graph = Graph(loaded.clusters, loaded.cluster_of, definitions.identity)
        self._bars = Bars(loaded.suppressed)
        self._erased: set[bytes] = set()
        self._linked: set[tuple[bytes, bytes]] = set()
        self.commit = Commit()
        self._partition = Partition(loaded, definitions, self.commit)

    def project(self, batch: Sequence[Read]) -> Commit:
        """Fold the batch, whose events were loaded. The caller says in the commit how far was read."""
        fresh = self._fresh(batch)
        for read, filing in fresh:
            if filing.type == _ERASURE:
                self._bars.add(read.event, self.commit)
        taken = [(read, filing) for read, filing in fresh if self._is_let_in(read, filing)]
        # What was erased, is; who comes again is somebody new.
        for read, filing in taken:
            if filing.type == _ERASURE:
                self._erase(read)
        for read, filing in taken:
            if filing.link and not self._erased.isdisjoint(filing.keys):
                filing.settled = False  # what was linked before is not any more
            self._relate(read.event, filing)
        self._arrange()
        for read, filing in taken:
            self._fold(read, filing)
        self._partition.write_strands()
        return self.commit

    def _fresh(self, batch: Sequence[Read]) -> list[tuple[Read, Filing]]:
        fresh, seen = [], self._loaded.seen
        for read, filing in zip(batch, self._loaded.filings, strict=True):
            message_id = read.event.message_id
            if message_id in seen:
                self.commit.duplicates += 1
            elif not filing.keys:
                self.commit.poison += 1
            else:
                seen.add(message_id)
                fresh.append((read, filing))
        return fresh

    def _is_let_in(self, read: Read, filing: Filing) -> bool:
        if filing.type == _ERASURE or not self._bars.bars(filing.keys, read.event):
            return True
        discard(read, self.commit)
        return False

    def _erase(self, read: Read) -> None:
        if read.event.erasure.readmits_since_ms:
            return
        keys = read.event.erasure.identity_keys
        profiles = self._partition.profiles_of(keys)
        if any(outlives(profile, read.event.erasure) for profile in profiles):
            return
        erase(read, [profile.profile_id for profile in profiles], self.commit)
        for key in set(keys):
            self._graph.open(key, None, strand=False)
            self._graph.remove(key)
        self._partition.forget(keys)
        self._erased.update(keys)

    def _relate(self, event: events_pb2.Event, filing: Filing) -> None:
        """What an event says of who is who."""
        if filing.type == _ERASURE:
            return
        if filing.type == _RULING:
            self._rule(event)
            return
        first = filing.keys[0]
        pair = filing.pairs[0] if filing.pairs else None
        is_new = self._partition.begin(first, pair)
        if filing.settled or filing.link is None:
            if is_new and self._graph.knows(first):
                self._graph.open(first, pair, strand=True)
            return
        for key, named in zip(filing.keys, filing.pairs, strict=True):
            self._open(key, named)
        for other in filing.keys[1:]:
            self._linked.add(ends_of(first, other))
            if not self._graph.link(first, other, filing.link):
                self.commit.refuse("the cluster is full")

    def _rule(self, event: events_pb2.Event) -> None:
        one, other = event.ruling.one, event.ruling.other
        for key in (one, other):
            self._open(key, self._partition.pair_of(key))
        ruling = Ruling(timestamp_ms(event), event.message_id, event.ruling.apart)
        if one == other or not self._graph.rule(one, other, ruling):
            self.commit.refuse("the cluster is full")

    def _open(self, key: bytes, pair: Pair | None) -> None:
        self._graph.open(key, pair, strand=self._partition.has_strand(key))
        unlinked = self._partition.unlinked(key)
        if not unlinked:  # always, but for what an earlier version merged: its links are made up for
            return
        for one in unlinked:
            self._graph.open(identity_key(*one), one, strand=self._partition.has_strand(identity_key(*one)))
        first = identity_key(*foremost(unlinked))
        for one in unlinked:
            if identity_key(*one) != first:
                self._graph.link(first, identity_key(*one), Link(0, "", alias=True))

    def _arrange(self) -> None:
        """Who is who after the batch."""
        clusters = list(self._graph.arranged())
        self.commit.records |= self._graph.records(clusters)
        groups = []
        for cluster in clusters:
            resolution = resolve(cluster, self._definitions.identity)
            groups += [{key: cluster.nodes[key] for key in group} for group in resolution.groups]
            for ends in self._linked & resolution.statuses.keys():
                status = resolution.statuses[ends]
                if status.outcome != "joined":
                    self.commit.refuse(status.reason or status.outcome)
        self._partition.divide(groups)

    def _fold(self, read: Read, filing: Filing) -> None:
        event, key, kind = read.event, filing.keys[0], filing.type
        message_id = event.message_id
        self.commit.message_ids[message_id] = milliseconds_of(event.received_at)
        self.commit.folded += 1
        if kind in (_RULING, _ERASURE):
            return
        at_ms = timestamp_ms(event)
        for profile in self._partition.holders(key):
            fold_into(profile, event, at_ms, self._definitions)
        if kind != _RESTRICTION:
            row = TimelineRow(key, at_ms, message_id, read.partition, read.sequence, read.data)
            self.commit.timeline.append(row)
