"""The ONNX files of the registry, in a JetStream object store, with those that nothing refers to swept up."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import ObjectStoreConfig
from nats.js.errors import (
    APIError,
    DigestMismatchError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NotFoundError,
    ObjectNotFoundError,
)
from nats.js.object_store import (
    OBJ_ALL_CHUNKS_PRE_TEMPLATE,
    OBJ_CHUNKS_PRE_TEMPLATE,
    OBJ_META_PRE_TEMPLATE,
    OBJ_STREAM_TEMPLATE,
    ObjectStore,
)

from wayline import logging
from wayline.bus import MODEL_BUCKET
from wayline.errors import LimitExceeded, NotFound, Poison, Retryable
from wayline.kv import open_or_create
from wayline.v1 import prediction_pb2

_FETCH_SECONDS = 30.0
_STORE_IS_FULL = 10077
_STREAM = OBJ_STREAM_TEMPLATE.format(bucket=MODEL_BUCKET)
log = logging.get("registry")


def file_name(model: str, version: prediction_pb2.ModelVersion) -> str:
    """Follows from the entry. The digest tells apart the files of two registrations that race for one number."""
    return f"{model}/{version.version}-{version.sha256[:16]}"


class ModelFiles:
    """Files by name. Every method raises `Retryable` when NATS cannot be reached."""

    def __init__(self, js: JetStreamContext, store: ObjectStore) -> None:
        """Use `open_files` instead."""
        self._js = js
        self._store = store

    async def put(self, name: str, onnx: bytes) -> None:
        """Store a file; one of the same name is replaced.

        Raises:
            LimitExceeded: the store is full.
        """
        with reachable():
            await self._store.put(name, onnx)

    async def get(self, name: str, digest: str) -> bytes:
        """A file.

        Args:
            name: of the file.
            digest: its SHA-256 as it was registered, in hexadecimal.

        Raises:
            NotFound: it is gone.
            Poison: it is not the file that was registered.
        """
        buffer = io.BytesIO()
        try:
            with reachable():
                async with asyncio.timeout(_FETCH_SECONDS):  # the client waits for ever for a server that was killed
                    await self._store.get(name, writeinto=buffer)
        except ObjectNotFoundError:
            raise NotFound(f"the model file '{name}' is gone") from None
        except DigestMismatchError:
            raise Poison(f"the model file '{name}' is damaged") from None
        onnx = buffer.getvalue()
        if await asyncio.to_thread(lambda: sha256(onnx).hexdigest()) != digest:
            raise Poison(f"the model file '{name}' is not the one that was registered")
        return onnx

    async def delete(self, name: str) -> None:
        """Delete a file that nothing refers to. If that fails it wastes room until the next sweep, and no more."""
        try:
            info = await self._store.get_info(name)
            # Not the client's own delete: that one leaves a note for each file, for ever.
            await self._purge(OBJ_META_PRE_TEMPLATE, base64.urlsafe_b64encode(name.encode()).decode())
            await self._purge(OBJ_CHUNKS_PRE_TEMPLATE, info.nuid)
        except ObjectNotFoundError:
            return
        except (nats.errors.Error, OSError) as error:
            log.warning("model_file_left_behind", file=name, error=repr(error))

    async def sweep(self, needed: Collection[str], older_than: datetime) -> int:
        """Delete what processes left behind that were killed while they registered.

        Args:
            needed: the names of the files to keep.
            older_than: what is younger may be part of a registration that is under way.

        Returns:
            How many files, or parts of files, were deleted.
        """
        with reachable():
            try:
                infos = await self._store.list(ignore_deletes=True)
            except NotFoundError:
                infos = []
            swept = 0
            for info in infos:
                if info.name not in needed and info.mtime and datetime.fromisoformat(info.mtime) < older_than:
                    await self.delete(str(info.name))
                    swept += 1
            whole = {OBJ_CHUNKS_PRE_TEMPLATE.format(bucket=MODEL_BUCKET, obj=info.nuid) for info in infos}
            chunks = OBJ_ALL_CHUNKS_PRE_TEMPLATE.format(bucket=MODEL_BUCKET)
            state = (await self._js.stream_info(_STREAM, subjects_filter=chunks)).state
            for subject in set(state.subjects or ()) - whole:
                last = await self._js.get_last_msg(_STREAM, subject)
                if last.time and last.time < older_than:
                    await self._js.purge_stream(_STREAM, subject=subject)
                    swept += 1
            return swept

    async def _purge(self, template: str, name: str) -> None:
        await self._js.purge_stream(_STREAM, subject=template.format(bucket=MODEL_BUCKET, obj=name))


async def open_files(js: JetStreamContext, *, replicas: int, max_bytes: int) -> ModelFiles:
    """Open the store, and create it when it is missing. `max_bytes` limits all files together."""
    config = ObjectStoreConfig(bucket=MODEL_BUCKET, max_bytes=max_bytes, replicas=replicas)
    store = await open_or_create(
        lambda: js.object_store(MODEL_BUCKET), lambda: js.create_object_store(MODEL_BUCKET, config=config)
    )
    return ModelFiles(js, store)


@contextmanager
def reachable() -> Iterator[None]:
    """Turns the client's errors into ours; those that are an answer pass."""
    try:
        yield
    except (KeyNotFoundError, KeyWrongLastSequenceError, ObjectNotFoundError, DigestMismatchError):
        raise
    except APIError as error:
        if error.err_code == _STORE_IS_FULL:
            raise LimitExceeded("the model registry is full") from error
        raise Retryable(f"the model registry does not answer: {error}") from error
    except (nats.errors.Error, OSError) as error:  # the client's time-outs are both
        raise Retryable(f"the model registry cannot be reached: {error!r}") from error
