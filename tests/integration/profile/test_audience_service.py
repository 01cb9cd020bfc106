"""The service: events come in, changes go out, and questions about audiences are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.audiences import SERVED, Served, serving_audiences, stored_changes, summary
from tests.support.events import DAY_MS, NOON_MS

from wayline.catalog.load import load_text
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import audiences_pb2, events_pb2, profile_pb2
from wayline_profile.census import FRESH_MS

EXITED = audiences_pb2.CHANGE_KIND_EXITED


@pytest.fixture
async def service(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A shop with three customers."""
    async with serving_audiences(js, nats_url, tmp_path) as served:
        yield served


async def exits(service: Served) -> list[audiences_pb2.Change]:
    """From audiences, so far."""
    return [one for _, one in await stored_changes(service.js) if one.kind == EXITED]


async def exported(service: Served, **fields: Any) -> list[audiences_pb2.ExportAudienceResponse]:
    """All parts of an export."""
    request = audiences_pb2.ExportAudienceRequest(audience="buyers", **fields)
    return [part async for part in service.audiences.ExportAudience(request)]


async def test_what_an_event_changes_is_told(service: Served) -> None:
    changes = await stored_changes(service.js)
    assert {subject for subject, _ in changes} == {"changes.audience.buyers.entered", "changes.stage"}
    by_id: dict[str, list[audiences_pb2.Change]] = {}
    for _, change in changes:
        by_id.setdefault(change.profile_id, []).append(change)
    cleo = by_id[identity_key("user_id", "cleo").hex()]
    assert summary(cleo) == [("entered", "buyers"), ("stage", ">customer")]


async def test_time_that_passes_is_told_and_shown(service: Served) -> None:
    before = len(await stored_changes(service.js))
    service.now_ms += 200 * DAY_MS
    await service.all_told()
    changes = await stored_changes(service.js)
    late = [change for _, change in changes[before:]]
    assert {(one.to_stage or one.audience, one.cause) for one in late} == {
        ("lost", audiences_pb2.CHANGE_CAUSE_TIME),
        ("gone", audiences_pb2.CHANGE_CAUSE_TIME),
    }
    request = profile_pb2.GetProfileRequest(customer=events_pb2.Identifier(kind="user_id", value="bob"))
    values = (await service.profiles.GetProfile(request)).values
    assert (values["stage"], values["gone"], values["buyers"]) == ("lost", True, False)


async def test_audiences_are_listed_with_their_members(service: Served) -> None:
    listed = await service.audiences.ListAudiences(audiences_pb2.ListAudiencesRequest())
    assert [(one.name, one.members, one.description, one.purpose) for one in listed.audiences] == [
        ("buyers", 2, "Bought something", ""),
        ("gone", 0, "", ""),
        ("regulars", 0, "", "marketing"),
    ]
    assert (listed.profiles, listed.audiences[0].because) == (3, "Has bought")


async def test_one_audience_is_counted(service: Served) -> None:
    counted = await service.audiences.CountAudience(audiences_pb2.CountAudienceRequest(audience="buyers"))
    assert (counted.members, counted.profiles) == (2, 3)


async def test_stages_come_in_the_order_of_the_journey(service: Served) -> None:
    answer = await service.audiences.GetStages(audiences_pb2.GetStagesRequest())
    assert {one.stage: one.customers for one in answer.stages} == {
        "unknown": 0, "aware": 1, "considering": 0, "buying": 0, "customer": 2, "loyal": 0, "at_risk": 0, "lost": 0,
    }  # fmt: skip
    assert [one.stage for one in answer.stages][:2] == ["unknown", "aware"]


async def test_a_rule_is_tried_on_a_sample(service: Served) -> None:
    request = audiences_pb2.PreviewAudienceRequest(rule="profile.orders == 0", profile_ids=5)
    tried = await service.audiences.PreviewAudience(request)
    assert (tried.judged, tried.matched, tried.estimate, tried.estimate_low, tried.estimate_high) == (3, 1, 1, 1, 1)
    assert list(tried.profile_ids) == [identity_key("user_id", "bob").hex()]


async def test_an_audience_is_tried_by_its_name(service: Served) -> None:
    tried = await service.audiences.PreviewAudience(audiences_pb2.PreviewAudienceRequest(audience="buyers"))
    assert (tried.matched, list(tried.profile_ids)) == (2, [])


async def test_an_export_gives_only_those_who_allow_its_purpose(service: Served) -> None:
    parts = await exported(service, purpose="marketing", identifier_kind="email")
    (member,) = [one for part in parts for one in part.members]
    assert [(one.kind, one.value) for one in member.identifiers] == [("email", "ada@example.com")]
    assert member.since.ToMilliseconds() == NOON_MS
    assert (parts[-1].total, parts[-1].done, parts[-1].left_out) == (2, 2, 1)


async def test_an_export_without_a_purpose_says_so_expressly_and_names_nobody_unasked(service: Served) -> None:
    parts = await exported(service, purpose="none")
    members = [one for part in parts for one in part.members]
    assert [list(one.identifiers) for one in members] == [[], []]
    assert [one.profile_id for one in members] == sorted(one.profile_id for one in members)


@pytest.mark.parametrize(
    ("method", "message", "code", "words"),
    [
        ("CountAudience", {"audience": "buyer"}, "NOT_FOUND", "there is no audience 'buyer'; did you mean"),
        ("PreviewAudience", {}, "INVALID_ARGUMENT", "rule: expected 1 to 2,000 characters of CEL"),
        ("PreviewAudience", {"rule": "profile.orderz > 0"}, "INVALID_ARGUMENT", "orderz"),
        ("PreviewAudience", {"rule": "true", "sample": 10_001}, "INVALID_ARGUMENT", "sample: expected 0 to 10,000"),
        ("PreviewAudience", {"rule": "true", "profile_ids": 101}, "INVALID_ARGUMENT", "profile_ids: expected 0 to 100"),
        ("ExportAudience", {"audience": "buyers"}, "INVALID_ARGUMENT", "purpose: say what the export is for"),
        ("ExportAudience", {"audience": "all", "purpose": "none"}, "NOT_FOUND", "there is no audience 'all'"),
    ],
)
async def test_bad_questions_name_the_field_and_what_was_expected(
    service: Served, method: str, message: dict[str, Any], code: str, words: str
) -> None:
    call = getattr(service.audiences, method)(getattr(audiences_pb2, f"{method}Request")(**message))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (call if method != "ExportAudience" else call.read())
    assert refused.value.code().name == code
    assert words in (refused.value.details() or "")


async def test_another_catalogue_is_in_force_for_everybody_without_an_event(service: Served) -> None:
    await (await open_store(service.js)).apply(load_text(SERVED.replace("profile.orders > 0", "profile.orders > 1")))
    async with asyncio.timeout(20):
        while not await exits(service):
            await asyncio.sleep(0.02)
    status = await service.all_told()
    left = await exits(service)
    assert (status.judged, status.profiles) == (3, 3)
    assert [one.cause for one in left] == [audiences_pb2.CHANGE_CAUSE_CATALOG] * 2
    service.now_ms += FRESH_MS
    counted = await service.audiences.CountAudience(audiences_pb2.CountAudienceRequest(audience="buyers"))
    assert counted.members == 0
