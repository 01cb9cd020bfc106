"""The profile store on RocksDB: one directory, one writer, one atomic write per commit."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Sequence
from heapq import merge as merge_sorted
from itertools import islice
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.projector import Commit, TimelineRow
from wayline_profile.store import Counters, PositionMoved
from wayline_profile.store.keys import entry_key, message_key

PROFILES, IDENTITIES, MESSAGES, TIMELINE, META = "profiles", "identities", "messages", "timeline", "meta"
RECORDS = "records"
_FAMILIES = (PROFILES, IDENTITIES, MESSAGES, TIMELINE, META, RECORDS)
_COUNTERS = b"counters"
_PARTITION = b"partition/"
_COUNTERS_FORMAT = struct.Struct(">qqqq")
_POSITION = struct.Struct(">q")
_TIME = struct.Struct(">Q")
_PLACE = struct.Struct(">iq")
_SIGN = 1 << 63  # so that times before 1970 sort first


class RocksProfileStore:
    """See `ProfileStore`. `sync`: each commit reaches the disk before it counts, which survives a power cut too."""

    def __init__(self, path: Path, *, sync: bool = False, cache_bytes: int = 256 << 20) -> None:
        """Open or create the store at `path`.

        Raises:
            Exception: another process has it open (RocksDB's own message names the lock file).
        """
        path.mkdir(parents=True, exist_ok=True)
        options = _options(cache_bytes)
        families = {name: _options(cache_bytes) for name in _FAMILIES}
        self._db: Any = Rdict(str(path), options, column_families=families)
        self._families: dict[str, Any] = {name: self._db.get_column_family(name) for name in _FAMILIES}
        self._handles = {name: self._db.get_column_family_handle(name) for name in _FAMILIES}
        self._write_options = WriteOptions()
        self._write_options.sync = sync
        self._positions = dict(self._read_positions())
        self._counters = Counters(**dict(zip(_COUNTER_NAMES, self._read_counters(), strict=True)))
        self._sweep_from: dict[str, bytes] = {}
        self._open = True

    def positions(self) -> dict[int, int]:
        """See the port."""
        return dict(self._positions)

    def counters(self) -> Counters:
        """See the port."""
        return self._counters

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See the port."""
        return {key: found.hex() for key, found in self._get(IDENTITIES, list(keys))}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        keys = [bytes.fromhex(one) for one in profile_ids]
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in self._get(PROFILES, keys)}

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

    def profiles(self) -> Iterator[profile_pb2.Profile]:
        """See the port."""
        for data in self._families[PROFILES].values():
            yield profile_pb2.Profile.FromString(data)

    def commit(self, commit: Commit) -> None:
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
        for key, profile_id in commit.identities.items():
            batch.put(key, bytes.fromhex(profile_id), handles[IDENTITIES])
        for message_id, received_ms in commit.message_ids.items():
            batch.put(message_key(message_id), _TIME.pack(received_ms), handles[MESSAGES])
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
        self._db.write(batch, self._write_options)
        self._counters = counters
        self._positions |= commit.positions

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """See the port."""
        old_message = _TIME.pack(max(0, message_ids_before_ms))
        forgotten = self._sweep(MESSAGES, lambda _key, value: value < old_message, at_most)
        old_entry = _TIME.pack(timeline_before_ms + _SIGN)
        return forgotten + self._sweep(TIMELINE, lambda key, _value: key[16:24] < old_entry, at_most)

    def close(self) -> None:
        """See the port."""
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
        limit = key + (b"\xff" * 16 if before_ms is None else _TIME.pack(before_ms + _SIGN))
        for found, value in self._families[TIMELINE].items(backwards=True, from_key=limit):
            if found[:16] != key:
                return
            if found < limit:
                yield found, value

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

    def _read_counters(self) -> tuple[int, ...]:
        data = self._families[META].get(_COUNTERS)
        return _COUNTERS_FORMAT.unpack(data) if data else (0, 0, 0, 0)


_COUNTER_NAMES = ("profiles", "folded", "duplicates", "poison")


def _options(cache_bytes: int) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(DBCompressionType.lz4())
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
    return row.key + _TIME.pack(row.timestamp_ms + _SIGN) + entry_key(row.message_id)


def _entry(value: bytes) -> profile_pb2.TimelineEntry:
    partition, sequence = _PLACE.unpack_from(value)
    return profile_pb2.TimelineEntry(
        event=events_pb2.Event.FromString(value[_PLACE.size :]),
        token=events_pb2.EventToken(partition=partition, sequence=sequence),
    )
