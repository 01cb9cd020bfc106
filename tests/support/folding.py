"""Events into a profile store, as the worker does it, without NATS; and what is then in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wayline.v1 import events_pb2
from wayline_profile.backfill import Backfill
from wayline_profile.core.changes import Read
from wayline_profile.core.fold import Definitions
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import CLUSTER, STRAND
from wayline_profile.store.rocksdb import RocksProfileStore

_PAGE = 1_000
PARTITIONS = 3


@contextmanager
def rocks_store(path: Path) -> Iterator[RocksProfileStore]:
    """A store, closed at the end."""
    store = RocksProfileStore(path, cache_bytes=8 << 20)
    try:
        yield store
    finally:
        store.close()


def take(
    store: ProfileStore, definitions: Definitions, events: Sequence[events_pb2.Event], *, batch: int = 100
) -> None:
    """Fold events, in batches, behind what the store has read."""
    sequence = max(store.positions().values(), default=0)
    for start in range(0, len(events), batch):
        reads = []
        for event in events[start : start + batch]:
            sequence += 1
            reads.append(Read(sequence % PARTITIONS, sequence, event, event.SerializeToString()))
        with store.begin() as unit:
            loaded = load(unit, [read.event for read in reads], definitions)
            commit = Projector(definitions, loaded).project(reads)
            commit.positions = dict.fromkeys(range(PARTITIONS), sequence)
            unit.commit(commit)


def step(store: ProfileStore, backfill: Backfill) -> None:
    """One step of a back-fill, written."""
    with store.begin() as unit:
        unit.commit(backfill.step(unit))


def walk(store: ProfileStore, backfill: Backfill) -> int:
    """All steps of a back-fill; how many there were."""
    steps = 0
    while backfill.running:
        step(store, backfill)
        steps += 1
    return steps


def held_in(store: ProfileStore) -> dict[bytes | str, bytes]:
    """All that must be the same in two stores that have folded the same events: profiles, strands, clusters."""
    held: dict[bytes | str, bytes] = {
        one.profile_id: one.SerializeToString(deterministic=True) for one in store.profiles()
    }
    for kind in (STRAND, CLUSTER):
        after = b""
        while rows := store.scan(kind, after=after, at_most=_PAGE):
            held |= {kind.encode() + key: value for key, value in rows}
            after = rows[-1][0]
    return held
