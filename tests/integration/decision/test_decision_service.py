"""The decision service, with real events, profiles, catalogues and models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import pytest
from tests.integration.decision.conftest import CATALOG, System
from tests.support.decisions import a_catalog, an_action
from tests.support.events import track
from tests.support.models import linear_model

from wayline.catalog.model import Catalog
from wayline.registry import open_registry
from wayline.v1 import decision_pb2, events_pb2, prediction_pb2


def actions(response: decision_pb2.DecideResponse) -> list[str]:
    return [one.action for filled in response.placements for one in filled.selections]


async def explained(system: System, decision_id: str) -> decision_pb2.ExplainResponse:
    """The explanation, once the record has arrived."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await system.stub.Explain(decision_pb2.ExplainRequest(decision_id=decision_id), timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(0.01)


async def test_before_the_first_catalogue_decisions_are_unavailable_and_say_what_to_do(system: System) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await system.decide("ada")
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "wayline catalog apply" in (refused.value.details() or "")


async def test_a_decision_with_the_event_token_acts_on_the_event(system: System) -> None:
    await system.apply(CATALOG)
    for number in range(20):
        customer = f"customer-{number}"
        assert actions(await system.decide(customer)) == ["plain"]
        seen = await system.publish(track("Product Viewed", user=customer))
        response = await system.decide(customer, at_least=[seen])
        assert actions(response) == ["looked"]
        assert not response.stale


async def test_a_view_that_is_held_follows_the_events(system: System) -> None:
    await system.apply(CATALOG)
    first = await system.publish(track("Cart Viewed", user="ada"))
    assert actions(await system.decide("ada", at_least=[first])) == ["plain"]
    await system.publish(track("Product Viewed", user="ada"))
    async with asyncio.timeout(20):
        while actions(await system.decide("ada")) != ["looked"]:
            await asyncio.sleep(0.001)


async def test_an_event_that_does_not_come_makes_the_decision_stale_but_not_fail(system: System) -> None:
    await system.apply(CATALOG)
    never = events_pb2.EventToken(partition=0, sequence=10**9)
    request = decision_pb2.DecideRequest(
        customer=events_pb2.Identifier(kind="user_id", value="ada"),
        placements=[decision_pb2.PlacementRequest(placement="hero")],
        at_least=[never],
    )
    response = await system.stub.Decide(request, timeout=1)
    assert response.stale
    assert actions(response) == ["plain"]


async def test_a_catalogue_is_swapped_while_requests_run_and_none_fails(system: System) -> None:
    await system.apply(CATALOG)
    stop = asyncio.Event()
    decided: list[int] = []

    async def keep_deciding() -> None:
        while not stop.is_set():
            decided.append((await system.decide("ada")).catalog_revision)

    callers = [asyncio.create_task(keep_deciding()) for _ in range(4)]
    for name in "bcde":
        await system.apply(a_catalog([an_action(name)]))
    stop.set()
    await asyncio.gather(*callers)
    assert sorted(set(decided)) == [1, 2, 3, 4, 5]
    assert actions(await system.decide("ada")) == ["e"]


async def test_a_catalogue_that_cannot_be_compiled_leaves_the_last_good_one_serving(system: System) -> None:
    await system.apply(CATALOG)
    broken = a_catalog([an_action("bad", eligibility="profile.nonsense == 1")])
    await system.catalogs.apply(broken)
    assert await system.apply(a_catalog([an_action("good")])) == 3
    assert actions(await system.decide("ada")) == ["good"]


async def test_a_model_is_swapped_while_requests_run_and_none_fails(system: System) -> None:
    await system.apply(CATALOG)
    registry = await open_registry(system.js)
    manifest = prediction_pb2.ModelManifest(
        name="response",
        inputs=[prediction_pb2.ModelInput(trait="views")],
        outputs=[prediction_pb2.ModelOutput(tensor="probabilities", action="plain")],
    )

    # The customer must be known for a model to be asked.
    seen = await system.publish(track("Cart Viewed", user="ada"))

    async def source() -> str:
        response = await system.decide("ada", at_least=[seen])
        return response.placements[0].selections[0].score.propensity_source

    assert await source() == "catalogue"
    for version in (1, 2):
        await registry.register(manifest, linear_model([1.0], 0.1 * version), datetime.now(UTC), True)
        async with asyncio.timeout(20):
            while await source() != f"model:response@{version}":
                await asyncio.sleep(0.01)
    await registry.rollback("response")
    async with asyncio.timeout(20):
        while await source() != "model:response@1":
            await asyncio.sleep(0.01)


async def test_a_batch_answers_each_request_and_one_that_is_wrong_harms_no_other(system: System) -> None:
    await system.apply(CATALOG)
    seen = await system.publish(track("Product Viewed", user="ada"))
    hero = [decision_pb2.PlacementRequest(placement="hero")]
    requests = [
        decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value="ada"), placements=hero, at_least=[seen]
        ),
        decision_pb2.DecideRequest(placements=hero),
        decision_pb2.DecideRequest(customer=events_pb2.Identifier(kind="user_id", value="bob"), placements=hero),
    ]

    async def stream() -> AsyncIterator[decision_pb2.DecideBatchRequest]:
        for _ in range(3):
            yield decision_pb2.DecideBatchRequest(requests=requests)

    answers = [answer async for answer in system.stub.DecideBatch(stream(), timeout=20)]
    assert len(answers) == 3
    for answer in answers:
        assert actions(answer.results[0].decision) == ["looked"]
        assert answer.results[1].error.startswith("requests[1].customer: an identifier")
        assert actions(answer.results[2].decision) == ["plain"]


@pytest.mark.parametrize(("count", "code"), [(0, "INVALID_ARGUMENT"), (1_001, "RESOURCE_EXHAUSTED")])
async def test_a_batch_has_limits(system: System, count: int, code: str) -> None:
    await system.apply(CATALOG)
    batch = decision_pb2.DecideBatchRequest(requests=[decision_pb2.DecideRequest()] * count)

    async def stream() -> AsyncIterator[decision_pb2.DecideBatchRequest]:
        yield batch

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [answer async for answer in system.stub.DecideBatch(stream(), timeout=20)]
    assert refused.value.code().name == code


async def test_explain_makes_the_decision_anew_from_its_record(system: System) -> None:
    await system.apply(CATALOG)
    seen = await system.publish(track("Product Viewed", user="ada"))
    decision = await system.decide("ada", at_least=[seen])
    explanation = await explained(system, decision.decision_id)
    assert explanation.reproduced
    assert actions(explanation.decision) == ["looked"]
    assert [one.action for one in explanation.decision.placements[0].dropped] == ["plain"]
    assert explanation.record.view.version > 0


async def test_explain_holds_after_the_catalogue_has_moved_on(system: System) -> None:
    await system.apply(CATALOG)
    decision = await system.decide("nobody")
    await system.apply(a_catalog([an_action("other")]))
    explanation = await explained(system, decision.decision_id)
    assert explanation.reproduced
    assert actions(explanation.decision) == ["plain"]
    assert explanation.decision.catalog_revision == 1


# What was chosen, and what came of it


def capped(**caps: object) -> Catalog:
    return a_catalog([an_action("a", value=9, contact={"caps": {"limit": 1, "window": "7d", **caps}}), an_action("b")])


async def test_an_impression_uses_up_a_cap_and_a_promise_does_so_meanwhile(system: System) -> None:
    await system.apply(capped())
    seen = await system.publish(track("Cart Viewed", user="ada"))
    first = await system.decide("ada", at_least=[seen])
    assert actions(first) == ["a"]
    assert actions(await system.decide("ada")) == ["b"]
    properties = {"action": "a", "decision_id": first.decision_id}
    impression = await system.publish(track("Impression", properties, user="ada", at_ms=int(time.time() * 1_000)))
    later = await system.decide("ada", at_least=[impression])
    assert actions(later) == ["b"]
    record = (await explained(system, later.decision_id)).record
    assert [(one.outcome, one.action) for one in record.view.contacts] == [("impression", "a")]
    assert [(one.outcome, one.action) for one in record.reserved if one.action == "a"] == [("decision", "a")]


async def test_a_dismissal_pauses_the_action(system: System) -> None:
    await system.apply(a_catalog([an_action("a", value=9, contact={"suppressions": {"pause": "30d"}}), an_action("b")]))
    first = await system.decide("ada")
    assert actions(first) == ["a"]
    properties = {"action": "a", "decision_id": first.decision_id}
    dismissal = track("Dismissal", properties, user="ada", at_ms=int(time.time() * 1_000))
    assert actions(await system.decide("ada", at_least=[await system.publish(dismissal)])) == ["b"]


async def test_where_a_cap_counts_decisions_the_profile_learns_of_them(system: System) -> None:
    """By an event of the decision service's own, for a customer who sent nothing at all."""
    await system.apply(capped(outcome="decision"))
    first = await system.decide("ada")
    assert actions(first) == ["a"]
    async with asyncio.timeout(20):
        while True:
            again = await system.decide("ada")
            assert actions(again) == ["b"]
            record = (await explained(system, again.decision_id)).record
            told = {(one.outcome, one.action, one.decision_id) for one in record.view.contacts}
            if ("decision", "a", first.decision_id) in told:
                return


async def test_a_batch_and_single_requests_share_a_budget(system: System) -> None:
    await system.apply(a_catalog([an_action("a", value=9, budget={"total": 3}), an_action("b")]))
    # Applying asks for decisions of 'anyone', which may have taken some.
    left = [actions(await system.decide(f"customer-{number}")) for number in range(3)]
    hero = [decision_pb2.PlacementRequest(placement="hero")]
    requests = [
        decision_pb2.DecideRequest(customer=events_pb2.Identifier(kind="user_id", value=f"c-{at}"), placements=hero)
        for at in range(5)
    ]

    async def stream() -> AsyncIterator[decision_pb2.DecideBatchRequest]:
        yield decision_pb2.DecideBatchRequest(requests=requests)

    answers = [answer async for answer in system.stub.DecideBatch(stream(), timeout=20)]
    batch = [actions(one.decision) for one in answers[0].results]
    assert (left + batch).count(["a"]) <= 3
    assert batch == [["b"]] * 5


async def test_a_catalogue_with_too_many_variants_leaves_the_last_good_one_serving(system: System) -> None:
    await system.apply(CATALOG)
    arms = {"usual": {"share": 0.1}} | {f"x{at}": {"share": 0.05, "formula": f"value * {at}.5"} for at in range(18)}
    layers = [{"id": f"e{layer}", "layer": f"l{layer}", "arms": arms} for layer in range(3)]
    models = {"usual": {"share": 0.5}, "other": {"share": 0.5, "models": {"response": "other"}}}
    layers += [{"id": f"m{layer}", "layer": f"m{layer}", "arms": models} for layer in range(2)]
    layers += [
        {"id": "c", "layer": "c", "arms": {"usual": {"share": 0.5}, "old": {"share": 0.5, "catalog": 1}}},
    ]
    await system.catalogs.apply(a_catalog([an_action("a", propensity={"model": "response"})], experiments=layers))
    assert await system.apply(a_catalog([an_action("good")])) == 3
    assert actions(await system.decide("ada")) == ["good"]


async def test_an_experiment_on_the_catalogue_decides_by_an_earlier_revision(system: System) -> None:
    await system.apply(a_catalog([an_action("old")]))
    arms = {"now": {"share": 0.5}, "then": {"share": 0.5, "catalog": 1}}
    await system.apply(a_catalog([an_action("new")], experiments=[{"id": "e", "arms": arms}]))
    met = {"now": "new", "then": "old"}
    found = set()
    for number in range(20):
        decision = await system.decide(f"customer-{number}")
        arm = decision.experiments["e"]
        assert actions(decision) == [met[arm]]
        found.add(arm)
    assert found == set(met)
    assert (await explained(system, decision.decision_id)).reproduced


async def test_thompson_samplings_chance_is_told_in_hindsight(system: System) -> None:
    await system.apply(
        a_catalog([an_action("a"), an_action("b")], placements={"hero": {"channel": "web", "exploration": "thompson"}})
    )
    decision = await system.decide("ada")
    assert not decision.placements[0].selections[0].HasField("selection_probability")
    explanation = await explained(system, decision.decision_id)
    assert explanation.reproduced
    (selection,) = explanation.decision.placements[0].selections
    assert selection.selection_probability == pytest.approx(0.5, abs=1e-3)
    assert selection.score.drawn_propensity == decision.placements[0].selections[0].score.drawn_propensity


@pytest.mark.parametrize(
    ("decision_id", "code"),
    [("x", "INVALID_ARGUMENT"), ("f" * 32, "NOT_FOUND"), ("018bcfe56800" + "0" * 20, "NOT_FOUND")],
)
async def test_a_decision_that_is_not_known_cannot_be_explained(system: System, decision_id: str, code: str) -> None:
    await system.apply(CATALOG)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await system.stub.Explain(decision_pb2.ExplainRequest(decision_id=decision_id), timeout=10)
    assert refused.value.code().name == code
    assert "decision_id" in (refused.value.details() or "")
