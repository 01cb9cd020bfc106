"""The profile store on RocksDB: one directory, one writer, one atomic write per commit."""

from __future__ import annotations

import struct
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge as merge_sorted
from itertools import islice
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from wayline.errors import Retryable
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Filed, TimelineRow
from wayline_profile.store import Counters, PositionMoved
from wayline_profile.store.keys import entry_key, message_key, parts_of_place, place_of

PROFILES, IDENTITIES, MESSAGES, TIMELINE, META = "profiles", "identities", "messages", "timeline", "meta"
RECORDS = "records"
_FAMILIES = (PROFILES, IDENTITIES, MESSAGES, TIMELINE, META, RECORDS)
_MOSTLY_ABSENT = (MESSAGES, RECORDS)
"""What is asked for here is seldom there: a filter in memory answers in 0.2 µs what a search answers in 2."""
_MEMTABLE_BLOOM_RATIO = 0.02
_COUNTERS = b"counters"
_COMMITS = b"commits"
_PARTITION = b"partition/"
_COUNTERS_FORMAT = struct.Struct(">qqqq")
_POSITION = struct.Struct(">q")
_TIME = struct.Struct(">Q")
_PLACE = struct.Struct(">iq")


class RocksProfileStore:
    """See `ProfileStore`. `sync`: each commit reaches the disk before it counts, which survives a power cut too."""

    def __init__(self, path: Path, *, sync: bool = False, cache_bytes: int = 256 << 20, compress: bool = True) -> None:
        """Open or create the store at `path`. `compress`: what is written from now on, with LZ4.

        Raises:
            Exception: another process has it open (RocksDB's own message names the lock file).
        """
        path.mkdir(parents=True, exist_ok=True)
        options = _options(cache_bytes, compress)
        families = {name: _options(cache_bytes, compress) for name in _FAMILIES}
        for name in _MOSTLY_ABSENT:
            families[name].set_memtable_prefix_bloom_ratio(_MEMTABLE_BLOOM_RATIO)
            families[name].set_memtable_whole_key_filtering(True)
        self._db: Any = Rdict(str(path), options, column_families=families)
        self._families: dict[str, Any] = {name: self._db.get_column_family(name) for name in _FAMILIES}
        self._handles = {name: self._db.get_column_family_handle(name) for name in _FAMILIES}
        self._write_options = WriteOptions()
        self._write_options.sync = sync
        self._positions = dict(self._read_positions())
        self._counters = Counters(**dict(zip(_COUNTER_NAMES, self._read_counters(), strict=True)))
        self._commits = self._read_commits()
        self._sweep_from: dict[str, bytes] = {}
        self._open = True
        self._compacting = threading.Lock()

    def positions(self) -> dict[int, int]:
        """See the port."""
        return dict(self._positions)

    def counters(self) -> Counters:
        """See the port."""
        return self._counters

    def version(self) -> int:
        """See the port."""
        return self._commits

    def take_over(self, partitions: Collection[int]) -> dict[int, int]:
        """See the port."""
        return {partition: self._positions.get(partition, 0) for partition in partitions}

    @contextmanager
    def begin(self) -> Iterator[RocksProfileStore]:
        """See the port. Nobody else writes, so nothing changes between what is read and the commit."""
        yield self

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See the port."""
        return {key: found.hex() for key, found in self._get(IDENTITIES, list(keys))}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        keys = [bytes.fromhex(one) for one in profile_ids]
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in self._get(PROFILES, keys)}

    def profiles_of(self, keys: Collection[bytes]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        return self.get_many(set(self.resolve(keys).values()))

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """See the port."""
        names = {message_key(message_id): message_id for message_id in message_ids}
        return {names[key] for key, _ in self._get(MESSAGES, list(names))}

    def timeline(
        self, keys: Collection[bytes], *, limit: int, before_ms: int | None = None
    ) -> list[profile_pb2.TimelineEntry]:
        """See the port."""
        rows = merge_sorted(
            *(self._rows_backwards(key, before_ms) for key in set(keys)), key=lambda row: row[0][16:], reverse=True
        )
        return [_entry(value) for _, value in islice(rows, limit)]

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """See the port."""
        start = len(prefix := _prefix(kind))
        return {key[start:]: value for key, value in self._get(RECORDS, [prefix + key for key in keys])}

    def scan(self, kind: str, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, bytes]]:
        """See the port."""
        prefix = _prefix(kind)
        found: list[tuple[bytes, bytes]] = []
        # The least key that is greater, if there is an `after`: the same with a zero byte behind it.
        for key, value in self._families[RECORDS].items(from_key=prefix + after + b"\0" if after else prefix):
            if not key.startswith(prefix) or len(found) == at_most:
                break
            found.append((key[len(prefix) :], value))
        return found

    def identities(self, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, str]]:
        """See the port."""
        rows = self._families[IDENTITIES].items(from_key=after + b"\0" if after else None)
        return [(key, name.hex()) for key, name in islice(rows, at_most)]

    def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
        """See the port."""
        found: list[Filed] = []
        for key in sorted(set(keys)):
            if len(found) < at_most and key >= after[: len(key)]:
                found += islice(self._rows_forwards(key, max(key, after + b"\0")), at_most - len(found))
        return found

    def profiles(self, *, after: str = "") -> Iterator[profile_pb2.Profile]:
        """See the port."""
        # The least key that is greater, as in `scan`.
        for data in self._families[PROFILES].values(from_key=bytes.fromhex(after) + b"\0" if after else None):
            yield profile_pb2.Profile.FromString(data)

    def commit(self, commit: Commit) -> int:
        """See the port."""
        if any(sequence <= self._positions.get(partition, 0) for partition, sequence in commit.positions.items()):
            raise PositionMoved(f"the store has read further than this commit: {self._positions}")
        batch = WriteBatch(raw_mode=True)
        handles = self._handles
        for profile_id, profile in commit.profiles.items():
            if profile is None:
                batch.delete(bytes.fromhex(profile_id), handles[PROFILES])
            else:
                batch.put(bytes.fromhex(profile_id), profile.SerializeToString(deterministic=True), handles[PROFILES])
        for key, led in commit.identities.items():
            if led is None:
                batch.delete(key, handles[IDENTITIES])
            else:
                batch.put(key, bytes.fromhex(led), handles[IDENTITIES])
        for message_id, received_ms in commit.message_ids.items():
            batch.put(message_key(message_id), _TIME.pack(received_ms), handles[MESSAGES])
        for key in commit.erased:
            for found, _ in self._rows_backwards(key, None):
                batch.delete(found, handles[TIMELINE])
        for row in commit.unfiled:
            batch.delete(_timeline_key(row), handles[TIMELINE])
        for row in commit.timeline:
            batch.put(_timeline_key(row), _PLACE.pack(row.partition, row.sequence) + row.data, handles[TIMELINE])
        for (kind, key), value in commit.records.items():
            if value is None:
                batch.delete(_prefix(kind) + key, handles[RECORDS])
            else:
                batch.put(_prefix(kind) + key, value, handles[RECORDS])
        for partition, sequence in commit.positions.items():
            batch.put(_PARTITION + str(partition).encode(), _POSITION.pack(sequence), handles[META])
        counters = Counters(
            profiles=self._counters.profiles + commit.created,
            folded=self._counters.folded + commit.folded,
            duplicates=self._counters.duplicates + commit.duplicates,
            poison=self._counters.poison + commit.poison,
        )
        totals = _COUNTERS_FORMAT.pack(*(getattr(counters, name) for name in _COUNTER_NAMES))
        batch.put(_COUNTERS, totals, handles[META])
        batch.put(_COMMITS, _POSITION.pack(self._commits + 1), handles[META])
        self._db.write(batch, self._write_options)
        self._counters = counters
        self._positions |= commit.positions
        self._commits += 1
        return self._commits

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """See the port."""
        old_message = _TIME.pack(max(0, message_ids_before_ms))
        forgotten = self._sweep(MESSAGES, lambda _key, value: value < old_message, at_most)
        return forgotten + self._sweep(
            TIMELINE, lambda place, _value: parts_of_place(place)[1] < timeline_before_ms, at_most
        )

    def compact(self) -> list[str]:
        """See the port."""
        everything = CompactOptions()
        everything.set_bottommost_level_compaction(BottommostLevelCompaction.force())
        # It runs in a thread that outlives the task which asked for it: a store that closes under it ends the process.
        with self._compacting:
            if not self._open:
                raise Retryable("the profile store was closed before it was compacted")
            for family in self._families.values():  # all of them: until then the log of writes is kept
                family.flush(True)
            for family in self._families.values():
                family.compact_range(None, None, everything)
        return []

    def close(self) -> None:
        """See the port."""
        with self._compacting:
            if self._open:
                self._open = False
                self._handles.clear()
                for family in self._families.values():
                    family.close()
                self._db.close()

    def _get(self, family: str, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        if not keys:
            return
        for key, value in zip(keys, self._families[family].get(keys), strict=True):
            if value is not None:
                yield key, value

    def _rows_backwards(self, key: bytes, before_ms: int | None) -> Iterator[tuple[bytes, bytes]]:
        limit = key + b"\xff" * 16 if before_ms is None else place_of(key, before_ms, b"")
        for found, value in self._families[TIMELINE].items(backwards=True, from_key=limit):
            if found[:16] != key:
                return
            if found < limit:
                yield found, value

    def _rows_forwards(self, key: bytes, start: bytes) -> Iterator[Filed]:
        for place, value in self._families[TIMELINE].items(from_key=start):
            if not place.startswith(key):
                return
            partition, sequence = _PLACE.unpack_from(value)
            yield Filed(place, partition, sequence, value[_PLACE.size :])

    def _sweep(self, family: str, is_old: Any, at_most: int) -> int:
        rows = list(islice(self._families[family].items(from_key=self._sweep_from.get(family)), at_most))
        self._sweep_from[family] = rows[-1][0] + b"\0" if len(rows) == at_most else b""
        old = [key for key, value in rows if is_old(key, value)]
        if old:
            batch = WriteBatch(raw_mode=True)
            for key in old:
                batch.delete(key, self._handles[family])
            self._db.write(batch, self._write_options)
        return len(old)

    def _read_positions(self) -> Iterator[tuple[int, int]]:
        for key, value in self._families[META].items(from_key=_PARTITION):
            if key.startswith(_PARTITION):
                yield int(key[len(_PARTITION) :]), _POSITION.unpack(value)[0]

    def _read_commits(self) -> int:
        data = self._families[META].get(_COMMITS)
        return int(_POSITION.unpack(data)[0]) if data else 0

    def _read_counters(self) -> tuple[int, ...]:
        data = self._families[META].get(_COUNTERS)
        return _COUNTERS_FORMAT.unpack(data) if data else (0, 0, 0, 0)


_COUNTER_NAMES = ("profiles", "folded", "duplicates", "poison")


def _options(cache_bytes: int, compress: bool) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(DBCompressionType.lz4() if compress else DBCompressionType.none())
    options.set_write_buffer_size(32 << 20)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(5)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(Cache(cache_bytes // len(_FAMILIES)))
    options.set_block_based_table_factory(table)
    return options


def _prefix(kind: str) -> bytes:
    return kind.encode() + b"/"


def _timeline_key(row: TimelineRow) -> bytes:
    return place_of(row.key, row.timestamp_ms, entry_key(row.message_id))


def _entry(value: bytes) -> profile_pb2.TimelineEntry:
    partition, sequence = _PLACE.unpack_from(value)
    return profile_pb2.TimelineEntry(
        event=events_pb2.Event.FromString(value[_PLACE.size :]),
        token=events_pb2.EventToken(partition=partition, sequence=sequence),
    )
