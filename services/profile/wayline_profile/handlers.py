"""The gRPC face of the profile service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import grpc
from google.protobuf import struct_pb2

from wayline.errors import InvalidField, LimitExceeded, WaylineError, abort_async
from wayline.identity import KEY_BYTES
from wayline.v1 import profile_pb2, profile_pb2_grpc
from wayline_profile.core.values import Reading, identity_keys_of, values_of, view_of, with_defaults
from wayline_profile.feed import watermarks_of
from wayline_profile.lookup import find, in_use
from wayline_profile.privacy.witness import Witness
from wayline_profile.store import ProfileStore
from wayline_profile.worker import Worker

MAX_KEYS = 2_000
MAX_TIMELINE = 1_000
_YIELD_EVERY = 200
Context = grpc.aio.ServicerContext[object, object]


class ProfileHandlers(profile_pb2_grpc.ProfileServiceServicer):
    """See the contract for shapes, limits and status codes."""

    def __init__(
        self,
        store: ProfileStore,
        worker: Worker,
        *,
        lag: Callable[[Mapping[int, int]], Awaitable[int]],
        witness: Witness,
        now_ms: Callable[[], int],
    ) -> None:
        """Answer from `store`, read as `worker` reads it; `lag` counts the events behind positions. `witness` writes
        down who read a profile.
        """
        self._store = store
        self._worker = worker
        self._lag = lag
        self._witness = witness
        self._now_ms = now_ms

    async def GetProfile(
        self, request: profile_pb2.GetProfileRequest, context: Context
    ) -> profile_pb2.GetProfileResponse:
        """One customer."""
        try:
            profile = find(self._store, request.customer, self._worker.reading)
            reading = self._reading()
            await self._witness.note(context, "profile.read", profile.profile_id)
        except WaylineError as error:
            await abort_async(context, error)
        values, _ = values_of(profile, reading, self._now_ms())
        struct = struct_pb2.Struct()
        struct.update(with_defaults(values, reading))
        return profile_pb2.GetProfileResponse(
            profile=profile, values=struct, watermarks=watermarks_of(self._store.positions())
        )

    async def GetTimeline(
        self, request: profile_pb2.GetTimelineRequest, context: Context
    ) -> profile_pb2.GetTimelineResponse:
        """One customer's events, under all of its identifiers."""
        try:
            if not 0 <= request.limit <= MAX_TIMELINE:
                raise InvalidField("limit", f"expected 0 to {MAX_TIMELINE}, got {request.limit}")
            profile = find(self._store, request.customer, self._worker.reading)
            before_ms = request.before.ToMilliseconds() if request.HasField("before") else None
            await self._witness.note(context, "timeline.read", profile.profile_id)
            entries = self._store.timeline(identity_keys_of(profile), limit=request.limit or 100, before_ms=before_ms)
        except WaylineError as error:
            await abort_async(context, error)
        return profile_pb2.GetTimelineResponse(entries=entries)

    async def BatchGetViews(
        self, request: profile_pb2.BatchGetViewsRequest, context: Context
    ) -> profile_pb2.BatchGetViewsResponse:
        """Views by identity key."""
        try:
            if len(request.identity_keys) > MAX_KEYS:
                raise LimitExceeded(f"identity_keys: at most {MAX_KEYS}, got {len(request.identity_keys)}")
            if any(len(key) != KEY_BYTES for key in request.identity_keys):
                raise InvalidField("identity_keys", f"expected {KEY_BYTES} bytes each")
            return await self._views(list(dict.fromkeys(request.identity_keys)), self._reading())
        except WaylineError as error:
            await abort_async(context, error)

    async def _views(self, keys: list[bytes], reading: Reading) -> profile_pb2.BatchGetViewsResponse:
        response = profile_pb2.BatchGetViewsResponse(watermarks=watermarks_of(self._store.positions()))
        for start in range(0, len(keys), _YIELD_EVERY):
            # Before the profiles: a view may be newer than its version says, never older.
            version = self._store.version()
            profiles = self._store.profiles_of(keys[start : start + _YIELD_EVERY])
            now_ms = self._now_ms()
            response.views.extend(view_of(profile, reading, now_ms, version) for profile in profiles.values())
            await asyncio.sleep(0)
        return response

    async def GetStatistics(
        self,
        request: profile_pb2.GetStatisticsRequest,  # noqa: ARG002
        context: Context,
    ) -> profile_pb2.GetStatisticsResponse:
        """Counters, positions and lag."""
        positions, counters = self._store.positions(), self._store.counters()
        try:
            lag = await self._lag(positions)
        except WaylineError as error:
            await abort_async(context, error)
        return profile_pb2.GetStatisticsResponse(
            profiles=counters.profiles,
            events_folded=counters.folded,
            duplicates=counters.duplicates,
            poison=counters.poison,
            watermarks=watermarks_of(positions),
            lag=lag,
        )

    def _reading(self) -> Reading:
        return in_use(self._worker.reading)
