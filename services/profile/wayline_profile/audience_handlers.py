"""The gRPC face of audiences and stages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from operator import attrgetter

import grpc

from wayline.catalog.consent import NO_PURPOSE
from wayline.catalog.fields import MAX_RULE_CHARACTERS
from wayline.catalog.findings import unknown
from wayline.catalog.labels import Field, labelled
from wayline.catalog.lifecycle import UNKNOWN
from wayline.catalog.uses import refusals
from wayline.errors import InvalidField, NotFound, WaylineError, abort_async
from wayline.v1 import audiences_pb2, audiences_pb2_grpc
from wayline_profile.census import Census, Counted
from wayline_profile.core.sampling import estimate
from wayline_profile.core.values import Reading
from wayline_profile.due import Rejudging
from wayline_profile.lookup import in_use
from wayline_profile.members import Members
from wayline_profile.preview import Condition, Preview, condition_of
from wayline_profile.standings import due_of
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import CHANGE, DUE

MAX_SAMPLE, MAX_IDS = 10_000, 100
_SAMPLE = 2_000
_COUNTED_UP_TO = 1_000
Context = grpc.aio.ServicerContext[object, object]
Audit = Callable[[Context, str, str, int], Awaitable[None]]
"""Writes down who calls, an action, the audience that it was about, and how many customers. What it raises ends the
call."""


class AudienceHandlers(audiences_pb2_grpc.AudienceServiceServicer):
    """See the contract for shapes, limits and status codes."""

    def __init__(
        self,
        store: ProfileStore,
        reading: Callable[[], Reading | None],
        rejudging: Rejudging,
        *,
        audit: Audit,
        draw: Callable[[], bytes],
        now_ms: Callable[[], int],
    ) -> None:
        """Answer from `store`. `draw` gives 16 bytes by chance: where samples start."""
        self._store = store
        self._reading = reading
        self._rejudging = rejudging
        self._audit = audit
        self._draw = draw
        self._now_ms = now_ms
        self._census = Census(store, now_ms=now_ms)

    async def ListAudiences(
        self,
        request: audiences_pb2.ListAudiencesRequest,  # noqa: ARG002
        context: Context,
    ) -> audiences_pb2.ListAudiencesResponse:
        """All of them."""
        try:
            catalog, counted = self._known().catalog, await self._census.count()
        except WaylineError as error:
            await abort_async(context, error)
        summaries = [
            audiences_pb2.AudienceSummary(
                name=name,
                rule=one.rule,
                description=one.description,
                because=one.because,
                members=counted.audiences[name],
                purpose=one.purpose or "",
            )
            for name, one in sorted(catalog.audiences.items())
        ]
        return audiences_pb2.ListAudiencesResponse(
            audiences=summaries, profiles=counted.profiles, counted_at=_time(counted)
        )

    async def CountAudience(
        self, request: audiences_pb2.CountAudienceRequest, context: Context
    ) -> audiences_pb2.CountAudienceResponse:
        """One of them."""
        try:
            self._check_audience(request.audience)
            counted = await self._census.count()
        except WaylineError as error:
            await abort_async(context, error)
        return audiences_pb2.CountAudienceResponse(
            members=counted.audiences[request.audience], profiles=counted.profiles, counted_at=_time(counted)
        )

    async def PreviewAudience(
        self, request: audiences_pb2.PreviewAudienceRequest, context: Context
    ) -> audiences_pb2.PreviewAudienceResponse:
        """What a rule would hold for."""
        try:
            _within("sample", request.sample, MAX_SAMPLE)
            _within("profile_ids", request.profile_ids, MAX_IDS)
            preview = Preview(self._known(), self._condition(request), request.profile_ids)
            await preview.judge(self._store, self._draw().hex(), request.sample or _SAMPLE, self._now_ms())
        except WaylineError as error:
            await abort_async(context, error)
        everybody = max(preview.judged, self._store.counters().profiles)
        whole = estimate(preview.matched, preview.judged, everybody)
        return audiences_pb2.PreviewAudienceResponse(
            judged=preview.judged,
            matched=preview.matched,
            profiles=everybody,
            estimate=whole.number,
            estimate_low=whole.low,
            estimate_high=whole.high,
            profile_ids=preview.profile_ids,
        )

    async def ExportAudience(
        self, request: audiences_pb2.ExportAudienceRequest, context: Context
    ) -> AsyncIterator[audiences_pb2.ExportAudienceResponse]:
        """The members. It is written down before the first one leaves."""
        try:
            self._check_audience(request.audience)
            catalog = self._known().catalog
            if request.purpose not in catalog.purposes and request.purpose != NO_PURPOSE:
                wrong = unknown("purpose", request.purpose, [*catalog.purposes, NO_PURPOSE])
                raise InvalidField("purpose", f"say what the export is for, or '{NO_PURPOSE}': {wrong}")
            if request.purpose != NO_PURPOSE:
                # Being a member tells what the rule reads.
                read: list[Field] = [("profile", request.audience)]
                for refusal in refusals(catalog, labelled(catalog), read, (request.purpose,)):
                    raise InvalidField("purpose", refusal)
            total = (await self._census.count()).audiences[request.audience]
            await self._audit(context, "audience.export", request.audience, total)
            purpose = None if request.purpose == NO_PURPOSE else request.purpose
            members = Members(self._store, catalog, request.audience, request.identifier_kind, purpose)
            async for part in members.parts():
                part.total = total
                yield part
        except WaylineError as error:
            await abort_async(context, error)

    async def GetStages(
        self,
        request: audiences_pb2.GetStagesRequest,  # noqa: ARG002
        context: Context,
    ) -> audiences_pb2.GetStagesResponse:
        """Customers by stage. Stages are judged from the last of the journey to the first."""
        try:
            lifecycle, counted = self._known().catalog.lifecycle, await self._census.count()
        except WaylineError as error:
            await abort_async(context, error)
        stages = [
            audiences_pb2.StageSummary(stage=one.id, rule=one.rule, because=one.because)
            for one in reversed(lifecycle.judged() if lifecycle else ())
        ]
        if lifecycle and all(one.stage != UNKNOWN for one in stages):
            stages.insert(0, audiences_pb2.StageSummary(stage=UNKNOWN))
        for one in stages:
            one.customers = counted.stages[one.stage]
        return audiences_pb2.GetStagesResponse(stages=stages, profiles=counted.profiles, counted_at=_time(counted))

    async def GetAudienceStatus(
        self,
        request: audiences_pb2.GetAudienceStatusRequest,  # noqa: ARG002
        context: Context,
    ) -> audiences_pb2.GetAudienceStatusResponse:
        """What is still to be done."""
        try:
            so_far = self._rejudging.progress(self._store, self._known())
            rows = self._store.scan(DUE, at_most=_COUNTED_UP_TO)
            unpublished = len(self._store.scan(CHANGE, at_most=_COUNTED_UP_TO))
        except WaylineError as error:
            await abort_async(context, error)
        now_ms = self._now_ms()
        return audiences_pb2.GetAudienceStatusResponse(
            judging=not so_far.done,
            judged=so_far.judged,
            profiles=self._store.counters().profiles,
            due=sum(1 for row, _ in rows if due_of(row)[0] <= now_ms),
            unpublished=unpublished,
        )

    def _known(self) -> Reading:
        return in_use(self._reading())

    def _check_audience(self, name: str) -> None:
        audiences = self._known().catalog.audiences
        if name not in audiences:
            raise NotFound(f"audience: {unknown('audience', name[:64], audiences)}")

    def _condition(self, request: audiences_pb2.PreviewAudienceRequest) -> Condition:
        match request.WhichOneof("what"):
            case "audience":
                self._check_audience(request.audience)
                return attrgetter(request.audience)  # not its rule alone: its purpose counts too
            case "rule" if 0 < len(request.rule) <= MAX_RULE_CHARACTERS:
                return condition_of(self._known(), request.rule)
        raise InvalidField(
            "rule", f"expected 1 to {MAX_RULE_CHARACTERS:,} characters of CEL, or the name of an audience"
        )


def _within(field: str, given: int, most: int) -> None:
    if not 0 <= given <= most:
        raise InvalidField(field, f"expected 0 to {most:,}, got {given:,}")


def _time(counted: Counted) -> datetime:
    return datetime.fromtimestamp(counted.at_ms / 1_000, UTC)
