"""The model registry on JetStream: ONNX files in an object store, and one key per model that says what they are.

A file is written before the key that names it. So a process that is killed in between leaves a file that nobody
refers to, and nothing half done. The key changes by compare-and-set: of two concurrent changes both survive.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256

from google.protobuf.message import DecodeError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from wayline import logging
from wayline.bus import REGISTRY_BUCKET
from wayline.errors import NotFound, Poison, Retryable
from wayline.kv import follow, open_bucket, snapshot
from wayline.model_files import ModelFiles, file_name, open_files, reachable
from wayline.model_versions import MAX_VERSIONS, next_version, promoted, rolled_back, thinned, version_of
from wayline.v1 import prediction_pb2

DEFAULT_MAX_BYTES = 1 << 30
"""All ONNX files together."""
MAX_ENTRY_BYTES = 900 << 10
"""One model's entry, compressed: it must fit one message of a NATS server as it comes (1 MiB)."""
MAX_PLAIN_BYTES = 16 << 20
"""One model's entry, uncompressed: it is read as a whole."""
ENTRIES_MAX_BYTES = 128 << 20
"""All entries together."""

_ATTEMPTS = 20
log = logging.get("registry")
Change = Callable[[prediction_pb2.Model], prediction_pb2.Model]


class Registry:
    """Models with their versions, which count from 1.

    Every method raises `Retryable` when NATS cannot be reached, and `Poison` when an entry cannot be read, for
    instance because a newer version of Wayline wrote it.
    """

    def __init__(self, entries: KeyValue, files: ModelFiles) -> None:
        """Use `open_registry` instead."""
        self._entries = entries
        self._files = files

    async def register(
        self, manifest: prediction_pb2.ModelManifest, onnx: bytes, now: datetime, promote: bool = False
    ) -> prediction_pb2.Model:
        """Store a new version, which must have been checked before; the model's last version is the new one.

        A model keeps 1,000 versions, or as many as fit its entry: the oldest that never served make room first, then
        the oldest former champions. The champion stays.

        Raises:
            LimitExceeded: all files together, or this manifest, are larger than the registry holds.
        """
        digest = await asyncio.to_thread(lambda: sha256(onnx).hexdigest())
        written = None
        for _ in range(_ATTEMPTS):
            model, revision = await self._read(manifest.name)
            version = prediction_pb2.ModelVersion(
                version=next_version(model), manifest=manifest, sha256=digest, size_bytes=len(onnx)
            )
            version.registered_at.FromDatetime(now)
            name = file_name(model.name, version)
            if written not in (None, name) and all(written != file_name(model.name, one) for one in model.versions):
                await self._files.delete(written)  # for a number that another registration took, with another file
            model.versions.append(version)
            stored, entry = await asyncio.to_thread(_fitted, promoted(model, version.version) if promote else model)
            if written != name:
                await self._files.put(name, onnx)
                written = name
            if await self._replace(stored.name, entry, revision):
                kept = {one.version for one in stored.versions}
                for one in model.versions:
                    if one.version not in kept:
                        await self._files.delete(file_name(model.name, one))
                return stored
        raise Retryable(f"model '{manifest.name}' changes faster than it can be registered")

    async def list(self) -> list[prediction_pb2.Model]:
        """All models, sorted by name."""
        with reachable():
            entries = await snapshot(self._entries)
        return [_decode(name, entries[name]) for name in sorted(entries)]

    async def get(self, name: str) -> prediction_pb2.Model:
        """One model.

        Raises:
            NotFound: it is not known.
        """
        model, revision = await self._read(name)
        if not revision:
            raise NotFound(f"model '{name}' is not known")
        return model

    async def promote(self, name: str, version: int = 0) -> prediction_pb2.Model:
        """Make `version` (0: the newest) the champion. The model after it.

        Raises:
            NotFound: the model or the version is not known.
        """
        return await self._change(name, lambda model: promoted(model, version))

    async def rollback(self, name: str) -> prediction_pb2.Model:
        """Make the former champion the champion again. The model after it.

        Raises:
            NotFound: the model is not known.
            Precondition: there is no former champion.
        """
        return await self._change(name, rolled_back)

    async def fetch(self, name: str, version: int) -> tuple[prediction_pb2.ModelVersion, bytes]:
        """One version with its ONNX file, whose SHA-256 was compared.

        Raises:
            NotFound: the model or the version is not known.
            Poison: the file is not the one that was registered.
        """
        found = version_of(await self.get(name), version)
        return found, await self._files.get(file_name(name, found), found.sha256)

    async def sweep(self, older_than: datetime) -> int:
        """Delete files older than `older_than` that no version names; returns how many there were."""
        needed = {file_name(model.name, version) for model in await self.list() for version in model.versions}
        return await self._files.sweep(needed, older_than)

    async def watch(self) -> AsyncIterator[prediction_pb2.Model]:
        """Each model now and whenever it changes, for ever, also across a restart of NATS.

        An entry that cannot be read is only logged: it harms no other model.
        """
        async for name, entry in follow(self._entries, ">"):
            try:
                model = _decode(name, entry)
            except Poison as error:
                log.error("model_unreadable", model=name, error=str(error))
                continue
            yield model

    async def _change(self, name: str, change: Change) -> prediction_pb2.Model:
        for _ in range(_ATTEMPTS):
            model, revision = await self._read(name)
            if not revision:
                raise NotFound(f"model '{name}' is not known")
            changed = change(model)
            if changed == model:
                return model
            stored, entry = await asyncio.to_thread(_fitted, changed)
            if await self._replace(name, entry, revision):
                return stored
        raise Retryable(f"model '{name}' changes faster than it can be changed")

    async def _read(self, name: str) -> tuple[prediction_pb2.Model, int]:
        """The model and the revision of its entry; a model that is not known is empty, at revision 0."""
        try:
            with reachable():
                entry = await self._entries.get(name)
        except KeyNotFoundError:
            return prediction_pb2.Model(name=name), 0
        return _decode(name, entry.value or b""), entry.revision or 0

    async def _replace(self, name: str, entry: bytes, revision: int) -> bool:
        """Store an entry; False when it is no longer at `revision`: someone else was faster."""
        try:
            with reachable():
                await self._entries.update(name, entry, last=revision)
        except KeyWrongLastSequenceError:
            return False
        return True


async def open_registry(js: JetStreamContext, *, replicas: int = 1, max_bytes: int = DEFAULT_MAX_BYTES) -> Registry:
    """Open the registry, and create what is missing of it. `max_bytes` limits all ONNX files together."""
    entries = KeyValueConfig(bucket=REGISTRY_BUCKET, history=1, max_bytes=ENTRIES_MAX_BYTES, replicas=replicas)
    return Registry(await open_bucket(js, entries), await open_files(js, replicas=replicas, max_bytes=max_bytes))


async def champions(js: JetStreamContext) -> dict[str, prediction_pb2.ModelManifest]:
    """The manifest of each model's champion, by model; empty when there is no registry yet. Changes nothing.

    Raises:
        Poison: an entry cannot be read.
        Retryable: NATS cannot be reached.
    """
    with reachable():
        try:
            entries = await snapshot(await js.key_value(REGISTRY_BUCKET))
        except BucketNotFoundError:
            return {}
    models = [_decode(name, entry) for name, entry in entries.items()]
    return {one.name: version_of(one, one.champion).manifest for one in models if one.champion}


def _fitted(model: prediction_pb2.Model) -> tuple[prediction_pb2.Model, bytes]:
    """What of `model` fits the registry, and its entry.

    Raises:
        LimitExceeded: not even the newest version and the champion do.
    """
    if len(model.versions) > MAX_VERSIONS:
        model = thinned(model, len(model.versions) - MAX_VERSIONS)
    while (data := _encode(model)) is None:
        model = thinned(model, max(1, len(model.versions) // 8))
    return model, data


def _encode(model: prediction_pb2.Model) -> bytes | None:
    """The entry: versions of one model resemble each other, so it is compressed. None when it is too large."""
    if model.ByteSize() > MAX_PLAIN_BYTES:
        return None
    data = zlib.compress(model.SerializeToString(), 6)
    return data if len(data) <= MAX_ENTRY_BYTES else None


def _decode(name: str, data: bytes) -> prediction_pb2.Model:
    try:
        return prediction_pb2.Model.FromString(zlib.decompress(data))
    except (zlib.error, DecodeError) as error:
        raise Poison(f"the registry's entry of model '{name}' cannot be read: {error}") from error
