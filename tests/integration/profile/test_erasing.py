"""Erasures by the service, as a data protection officer asks for them: whatever is held, and however often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from tests.support.decisions import a_catalog, an_action
from tests.support.events import identify, track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish, read_up_to
from tests.support.records import a_record
from typer.testing import CliRunner

from wayline.bus import DEAD_LETTER_SUBJECTS, DEAD_LETTERS, DECISION_SUBJECT, DECISIONS, StreamSpec, ensure_stream
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli import app
from wayline.identity import identity_key
from wayline.suppression import held, open_suppressions
from wayline.v1 import (
    decision_pb2,
    events_pb2,
    ingestion_pb2,
    privacy_pb2,
    privacy_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
)
from wayline_profile.app import build
from wayline_profile.settings import ProfileSettings

CATALOG = Catalog.model_validate({"traits": {"views": {"kind": "count", "event": "Viewed"}}})
PATIENCE_SECONDS = 60.0


def named(text: str) -> events_pb2.Identifier:
    kind, _, value = text.partition(":")
    return events_pb2.Identifier(kind=kind, value=value)


def key(text: str) -> bytes:
    return identity_key(*text.split(":", 1))


class Service:
    """The profile service, and who asks it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.profiles = profile_pb2_grpc.ProfileServiceStub(channel)
        self.privacy = privacy_pb2_grpc.PrivacyServiceStub(channel)

    async def ask(self, customer: str, *, may_return: bool = False) -> privacy_pb2.EraseCustomerResponse:
        request = privacy_pb2.EraseCustomerRequest(customer=named(customer), reason="a test", may_return=may_return)
        return await self.privacy.EraseCustomer(request, timeout=20)

    async def receipt(self, asked: privacy_pb2.EraseCustomerResponse) -> dict[str, Any]:
        request = privacy_pb2.GetErasureRequest(erasure_id=asked.erasure_id)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (said := await self.privacy.GetErasure(request, timeout=20)).receipt:
                await asyncio.sleep(0.02)
        found: dict[str, Any] = json.loads(said.receipt)
        return found

    async def erase(self, customer: str) -> dict[str, Any]:
        return await self.receipt(await self.ask(customer))

    async def knows(self, customer: str) -> bool:
        try:
            await self.profiles.GetProfile(profile_pb2.GetProfileRequest(customer=named(customer)), timeout=20)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True


@asynccontextmanager
async def running(nats_url: str, data: Path) -> AsyncIterator[Service]:
    port = free_port()
    configured = ProfileSettings(nats_url=nats_url, profile_port=port, profile_data=data, shutdown_grace_seconds=0.5)
    async with build(configured), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(channel)


@pytest.fixture
async def stream(js: JetStreamContext) -> JetStreamContext:
    """The event stream. There is no catalogue yet: what is published is not folded before one is applied."""
    await make_event_stream(js)
    return js


async def begin_to_fold(js: JetStreamContext) -> None:
    await (await open_store(js)).apply(CATALOG)


async def users_left(js: JetStreamContext) -> list[str]:
    """The `user_id` of every event that is left, but for erasures."""
    found = []
    for sequence in range(1, (await js.stream_info("EVENTS")).state.last_seq + 1):
        try:
            event = events_pb2.Event.FromString((await js.get_msg("EVENTS", sequence)).data or b"")
        except NotFoundError:
            continue
        if event.type != events_pb2.EVENT_TYPE_ERASURE:
            found.append(event.user_id)
    return found


async def test_an_identifier_that_nobody_has_is_erased_and_barred_and_the_receipt_says_that_there_was_nothing(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await begin_to_fold(stream)
    async with running(nats_url, tmp_path / "store") as service:
        await read_up_to(service.profiles, await publish(stream, [track("Viewed", user="bob")]))
        asked = await service.ask("email:ada@example.org")
        receipt = await service.receipt(asked)
        assert (asked.no_profile, receipt["found"], receipt["suppressed"]) == (True, False, True)
        assert receipt["removed"]["profiles"] == []
        assert {place["messages"] for place in receipt["removed"]["streams"].values()} == {0}
        assert await held(await open_suppressions(stream), [key("email:ada@example.org")])
        assert await service.knows("user_id:bob")


@pytest.mark.parametrize("kind", ["wallet:1", "email:", ":ada"])
async def test_what_is_no_identifier_is_refused(
    kind: str, stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await begin_to_fold(stream)
    async with running(nats_url, tmp_path / "store") as service:
        await read_up_to(service.profiles, await publish(stream, [track("Viewed", user="bob")]))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.ask(kind)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_reason_does_not_name_a_customer_who_has_no_profile_either(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running(nats_url, tmp_path / "store") as service:
        request = privacy_pb2.EraseCustomerRequest(customer=named("user_id:ada-17"), reason="Ada-17 asks")
        with pytest.raises(grpc.aio.AioRpcError, match="no identifier of the customer"):
            await service.privacy.EraseCustomer(request, timeout=20)


async def test_events_that_nobody_has_folded_yet_are_erased_with_all_that_they_link(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    events = [
        track("Viewed", browser="tablet"),
        identify({"email": "ada@example.org"}, user="ada", browser="tablet"),
        identify(user="ada", browser="phone"),
        track("Viewed", browser="phone"),
        track("Viewed", user="bob"),
    ]
    async with running(nats_url, tmp_path / "store") as service:
        await publish(stream, events)
        asked = await service.ask("email:ada@example.org")
        assert asked.no_profile
        await begin_to_fold(stream)
        receipt = await service.receipt(asked)
        assert (receipt["found"], receipt["identifiers"], receipt["removed"]["timeline_entries"]) == (True, 4, 4)
        assert receipt["removed"]["streams"]["EVENTS"]["messages"] == 4
        assert await users_left(stream) == ["bob"]
        keys = [key(one) for one in ("user_id:ada", "anonymous_id:tablet", "anonymous_id:phone")]
        assert await held(await open_suppressions(stream), keys) == set(keys)
        assert [await service.knows(one) for one in ("user_id:ada", "anonymous_id:phone", "user_id:bob")] == [
            *(False, False, True)
        ]


async def test_dead_letters_and_records_of_decisions_go_where_there_never_was_a_profile(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    for name, subject in ((DEAD_LETTERS, DEAD_LETTER_SUBJECTS), (DECISIONS, DECISION_SUBJECT)):
        spec = StreamSpec(name=name, subject=subject, max_bytes=1 << 24, max_age_seconds=3_600)
        await ensure_stream(stream, spec, 1)
    letter = ingestion_pb2.RejectedEvent(event=track("", user="ada"))
    await stream.publish("rejected.missing", letter.SerializeToString())
    record = a_record(a_catalog([an_action("red")]), {"hero": ["red"]})
    record.request.customer.value = "ada"
    await stream.publish(DECISION_SUBJECT, decision_pb2.DecisionRecordBundle(records=[record]).SerializeToString())
    await begin_to_fold(stream)
    async with running(nats_url, tmp_path / "store") as service:
        receipt = await service.erase("user_id:ada")
        removed = {name: place["messages"] for name, place in receipt["removed"]["streams"].items()}
        assert receipt["found"]
        assert (removed["DEAD_LETTERS"], removed["DECISIONS"], removed["EVENTS"]) == (1, 1, 0)


async def test_erasing_a_customer_twice_at_once_and_once_more_later_gives_each_a_receipt(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await begin_to_fold(stream)
    async with running(nats_url, tmp_path / "store") as service:
        events = [identify(user="ada", browser="tablet"), track("Viewed", user="ada"), track("Viewed", user="bob")]
        await read_up_to(service.profiles, await publish(stream, events))
        both = await asyncio.gather(service.ask("user_id:ada"), service.ask("anonymous_id:tablet"))
        receipts = await asyncio.gather(*map(service.receipt, both))
        first, second = sorted(receipts, key=lambda one: len(one["removed"]["profiles"]), reverse=True)
        assert [len(one["removed"]["profiles"]) for one in (first, second)] == [1, 0]
        assert (first["found"], first["identifiers"], first["removed"]["timeline_entries"]) == (True, 2, 2)
        again = await service.erase("user_id:ada")
        assert (again["found"], again["identifiers"]) == (False, 1)
        assert await users_left(stream) == ["bob"]
        statistics = await service.profiles.GetStatistics(profile_pb2.GetStatisticsRequest(), timeout=20)
        assert statistics.profiles == 1


async def test_who_is_merged_while_she_is_erased_leaves_nothing_behind(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await begin_to_fold(stream)
    async with running(nats_url, tmp_path / "store") as service:
        before = [track("Viewed", user="ada"), *(track("Viewed", browser=f"browser-{at}") for at in range(6))]
        await read_up_to(service.profiles, await publish(stream, before))
        # She signs in everywhere, before, while and after it is decided whom the erasure names.
        joins = [identify(user="ada", browser=f"browser-{at}") for at in range(6)]
        await publish(stream, joins[:2])
        asked = await service.ask("user_id:ada")
        for join in joins[2:]:
            last = await publish(stream, [join])
            await asyncio.sleep(0)
        receipt = await service.receipt(asked)
        await read_up_to(service.profiles, last)
        assert receipt["identifiers"] >= 3, "what was collected before was waited for"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "ada" in await users_left(stream):  # those that came behind are deleted one by one
                await asyncio.sleep(0.05)
        assert not await service.knows("user_id:ada")
        assert [await service.knows(f"anonymous_id:browser-{at}") for at in (0, 1)] == [False, False]


async def test_the_command_line_says_what_was_erased_and_what_to_do_about_a_typing_error(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await begin_to_fold(stream)
    port = free_port()
    configured = ProfileSettings(
        nats_url=nats_url, profile_port=port, profile_data=tmp_path / "store", shutdown_grace_seconds=0.5
    )

    async def wayline(*arguments: str) -> str:
        command = [*arguments, "--profile", f"127.0.0.1:{port}"]
        result = await asyncio.to_thread(CliRunner().invoke, app, command, env={"COLUMNS": "400"})
        assert result.exit_code == 0, result.output
        return result.output

    async with build(configured), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        service = Service(channel)
        await read_up_to(service.profiles, await publish(stream, [track("Viewed", user="bob")]))
        said = await wayline("customers", "erase", "user_id:ada", "--yes", "--reason", "4711")
        assert "No profile has user_id:ada" in said
        assert "nothing was held" in said
        assert 'If it was mistyped: wayline customers readmit user_id:ada --reason "…"' in said
        assert "1 of 1" in await wayline("customers", "readmit", "user_id:ada", "--reason", "mistyped")

        receipt = tmp_path / "receipt.json"
        said = await wayline("customers", "erase", "user_id:bob", "--yes", "--reason", "4711", "-o", str(receipt))
        assert "profiles: 1" in said
        assert f"The receipt is in {receipt}" in said
        assert "mistyped" not in said
        assert "Genuine" in await wayline("receipts", "verify", str(receipt))
        again = await wayline("receipts", "get", json.loads(receipt.read_text())["erasure_id"])
        assert receipt.read_text().strip() in again
