"""Bad input: a clear error that names the field and what was expected, and nothing else is harmed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from tests.support.events import an_event
from tests.support.models import linear_model, manifest
from tests.support.system import System

from wayline.catalog.examples import example_path
from wayline.v1 import ingestion_pb2, prediction_pb2
from wayline.v1.decision_pb2 import DecideBatchRequest, DecideRequest, PlacementRequest
from wayline.v1.events_pb2 import Identifier
from wayline.v1.ingestion_pb2 import EVENT_STATUS_ACCEPTED, EVENT_STATUS_REJECTED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
NOBODY = Identifier(kind="user_id", value="nobody")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def everything_else_works(shop: System) -> AsyncIterator[None]:
    """After each test: events are accepted and folded, and decisions follow them."""
    yield
    await a_visitor_who_looks_at_red_shoes_sees_red(shop)


async def test_malformed_events_are_refused_one_by_one(shop: System):
    results = await shop.collect(
        an_event(message_id="one"),
        an_event(message_id="no-customer", anonymous_id=""),
        an_event(message_id="", anonymous_id="visitor"),
        an_event(message_id="no-name", name=""),
        an_event(message_id="no-such-type", type=17),
        an_event(message_id="two"),
    )
    assert [result.status for result in results] == [
        *(EVENT_STATUS_ACCEPTED, *[EVENT_STATUS_REJECTED] * 4, EVENT_STATUS_ACCEPTED),
    ]
    assert [(one.rejection.field, one.rejection.expected) for one in results[1:5]] == [
        ("events[1].user_id", "expected a user_id or an anonymous_id"),
        ("events[2].message_id", "expected your own id for this event, 1 to 128 printable ASCII characters"),
        ("events[3].name", "expected the name of what the customer did; a track event needs one"),
        ("events[4].type", "expected one of identify, track, page, screen, group, alias; got 17"),
    ]
    code, said = await shop.wayline("rejected", "list")
    assert code == 0
    assert "no-customer" in said


async def test_bytes_that_are_no_event_harm_no_other_of_the_batch(shop: System):
    good = an_event(message_id="beside-bytes").SerializeToString()
    call = b"".join(b"\x0a" + bytes([len(one)]) + one for one in (good, b"\x0a\x02\xff\xfe"))
    collect = shop.channels["ingestion"].unary_unary(
        "/wayline.v1.IngestionService/Collect", response_deserializer=ingestion_pb2.CollectResponse.FromString
    )
    accepted, refused = (await collect(call, timeout=20)).results
    assert accepted.status == EVENT_STATUS_ACCEPTED
    assert (refused.rejection.reason, refused.rejection.field) == ("unreadable", "events[1]")


async def test_an_event_of_10_mib_is_refused_alone(shop: System):
    large = an_event(message_id="large")
    large.properties.update({"text": "x" * (10 << 20)})
    refused, accepted = await shop.collect(large, an_event(message_id="beside-large"))
    assert refused.rejection.field == "events[0]"
    assert refused.rejection.expected.startswith("expected at most 65536 bytes, got 1048")
    assert accepted.status == EVENT_STATUS_ACCEPTED


async def test_100_000_events_in_one_call_are_refused_as_a_whole(shop: System):
    many = [an_event(message_id=f"many-{number}") for number in range(100_000)]
    assert await refusal(shop.collect(*many)) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "events: expected at most 1,000 in one call; send smaller batches",
    )
    (result,) = await shop.collect(many[0])
    assert result.status == EVENT_STATUS_ACCEPTED, "nothing of the call was stored"


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        ("valu: 12", "value: 12", "unknown field 'valu'"),
        ("profile.colour_afinity[", "profile.colour_affinity[", "colour_afinity"),
    ],
    ids=["an unknown field", "a rule that does not compile"],
)
async def test_a_bad_catalogue_is_refused_and_the_last_good_one_goes_on_serving(
    shop: System, tmp_path: Path, wrong: str, right: str, expected: str
):
    before = await shop.decide(NOBODY)
    for file in example_path("shoe-shop").glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    sales = tmp_path / "sales.yaml"
    assert right in sales.read_text()
    sales.write_text(sales.read_text().replace(right, wrong, 1))
    line = next(number for number, text in enumerate(sales.read_text().splitlines(), start=1) if wrong in text)
    async with decisions_go_on(shop):
        code, said = await shop.wayline("catalog", "apply", str(tmp_path))
    assert code == 1
    assert f"sales.yaml:{line}" in said
    assert expected in said
    after = await shop.decide(NOBODY)
    assert after.catalog_revision == before.catalog_revision
    assert after.placements == before.placements


async def test_an_onnx_file_that_is_none_is_refused(shop: System):
    request = prediction_pb2.RegisterModelRequest(
        manifest=manifest("accept", traits=["orders"]), onnx=b"this is no model"
    )
    code, details = await refusal(shop.prediction.RegisterModel(request, timeout=20))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("onnx: expected an ONNX model, could not load it")
    assert not (await shop.prediction.ListModels(prediction_pb2.ListModelsRequest())).models


async def test_a_model_whose_inputs_do_not_match_is_refused(shop: System):
    request = prediction_pb2.RegisterModelRequest(
        manifest=manifest("accept", traits=["orders"]), onnx=linear_model([0.1, 0.2])
    )
    assert await refusal(shop.prediction.RegisterModel(request, timeout=20)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "manifest.inputs: 1 are declared, the model's input 'inputs' expects 2",
    )
    request.manifest.inputs.add(trait="no_such_trait")
    code, details = await refusal(shop.prediction.RegisterModel(request, timeout=20))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("manifest.inputs[1].trait: expected a declared trait")


async def test_an_unknown_placement_is_refused_with_those_that_are_known(shop: System):
    code, details = await refusal(shop.decide(NOBODY, "web.heroo"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    known = "chat.suggestion, email.offer, web.hero, web.list"
    assert details == (f"placements[0].placement: expected a placement of the catalogue ({known}), got 'web.heroo'")


async def test_a_customer_without_an_id_is_refused(shop: System):
    code, details = await refusal(shop.decide(Identifier()))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("customer: an identifier of the customer is required")
    code, details = await refusal(shop.decide(Identifier(kind="user_id")))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "customer.value: expected 1 to 256 characters")


async def test_a_bad_request_of_a_batch_harms_no_other(shop: System):
    hero = PlacementRequest(placement="web.hero")
    requests = [
        DecideRequest(customer=NOBODY, placements=[hero]),
        DecideRequest(placements=[hero]),
        DecideRequest(customer=NOBODY, placements=[PlacementRequest(placement="moon")]),
        DecideRequest(customer=NOBODY, placements=[hero]),
    ]
    call = shop.decision.DecideBatch(iter([DecideBatchRequest(requests=requests)]), timeout=20)
    (response,) = [one async for one in call]
    first, no_customer, no_placement, last = response.results
    assert first.decision.placements == last.decision.placements
    assert no_customer.error.startswith("requests[1].customer: ")
    assert no_placement.error.startswith("requests[2].placements[0].placement: ")


async def a_visitor_who_looks_at_red_shoes_sees_red(shop: System) -> None:
    visitor = Identifier(kind="anonymous_id", value=uuid4().hex)
    seen = an_event(anonymous_id=visitor.value)
    seen.properties.update({"color": "red"})
    seen.context.consent.category_preferences["personalisation"] = True
    seen.timestamp.GetCurrentTime()
    (result,) = await shop.collect(seen)
    assert result.status == EVENT_STATUS_ACCEPTED
    decision = await shop.decide(visitor, at_least=[result.token])
    assert not decision.stale
    assert [one.action for one in decision.placements[0].selections] == ["red-shoes"]


@contextlib.asynccontextmanager
async def decisions_go_on(shop: System) -> AsyncIterator[None]:
    """Decides again and again meanwhile; each decision must succeed."""

    async def decide() -> None:
        while True:
            await shop.decide(NOBODY)

    deciding = asyncio.create_task(decide())
    try:
        yield
        assert not deciding.done(), deciding.exception()
    finally:
        deciding.cancel()


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """The status and the words with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""
