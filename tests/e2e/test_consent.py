"""Consent through the whole system: a word is in force for the next decision, and what may not be stored is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.support.system import System, connected

from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, events_pb2, ingestion_pb2, profile_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

CATALOG: dict[str, Any] = {
    "name": "consent",
    "traits": {"views": {"kind": "count", "event": "Product Viewed"}},
    "purposes": {
        "analytics": {"default": "granted", "defaults": {"EU": "denied"}},
        "personalisation": {"default": "granted", "defaults": {"EU": "denied"}},
        "ads": {"default": "granted", "sale_or_sharing": True},
    },
    "collection": {"purpose": "analytics"},
    "personalisation": "personalisation",
    "channels": {"web": {}, "banner": {"purpose": "ads"}},
    "placements": {"web.hero": {"channel": "web"}, "ad": {"channel": "banner"}},
    "issues": [
        {
            "id": "sales",
            "groups": [
                {
                    "id": "shoes",
                    "actions": [
                        {
                            "id": "again",
                            "value": 9,
                            "eligibility": "profile.views > 0",
                            "treatments": [{"id": "a", "placements": ["web.hero", "ad"]}],
                        },
                        {"id": "plain", "treatments": [{"id": "a", "placements": ["web.hero", "ad"]}]},
                    ],
                }
            ],
        }
    ],
}
FULL, NO_CONSENT = decision_pb2.PERSONALISATION_FULL, decision_pb2.PERSONALISATION_NO_CONSENT
ACCEPTED, REJECTED = ingestion_pb2.EVENT_STATUS_ACCEPTED, ingestion_pb2.EVENT_STATUS_REJECTED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Every service, with the catalogue above."""
    where = tmp_path_factory.mktemp("consent")
    (where / "catalog.yaml").write_text(yaml.safe_dump(CATALOG))
    async with Cluster(where / "data") as cluster, connected(cluster) as running:
        await running.apply(where / "catalog.yaml")
        yield running


def a_view(customer: str, number: int, region: str = "US-NY", **consent: Any) -> events_pb2.Event:
    event = events_pb2.Event(
        message_id=f"{customer}-{number}",
        type=events_pb2.EVENT_TYPE_TRACK,
        name="Product Viewed",
        user_id=customer,
        context=events_pb2.EventContext(region=region),
    )
    event.timestamp.GetCurrentTime()
    if consent:
        event.context.consent.CopyFrom(events_pb2.Consent(**consent))
    return event


async def accepted(system: System, event: events_pb2.Event) -> events_pb2.EventToken:
    (result,) = await system.collect(event)
    assert result.status == ACCEPTED, result
    return result.token


async def decided(
    system: System, customer: str, token: events_pb2.EventToken, placement: str = "web.hero"
) -> decision_pb2.DecideResponse:
    """A decision that waits for an event."""
    answer = await system.decide(events_pb2.Identifier(kind="user_id", value=customer), placement, [token])
    assert not answer.stale
    return answer


def shown(answer: decision_pb2.DecideResponse) -> list[str]:
    return [one.action for one in answer.placements[0].selections]


async def test_a_withdrawal_is_in_force_for_the_decision_that_carries_its_token(system: System):
    for number in range(0, 40, 2):
        token = await accepted(system, a_view("ann", number, category_preferences={"personalisation": True}))
        before = await decided(system, "ann", token)
        assert (before.personalisation, shown(before)) == (FULL, ["again"])

        token = await accepted(system, a_view("ann", number + 1, category_preferences={"personalisation": False}))
        after = await decided(system, "ann", token)
        assert (after.personalisation, shown(after)) == (NO_CONSENT, ["plain"])
        assert list(after.placements[0].reasons) == ["contextual: no consent for personalisation: the customer said no"]


async def test_what_was_decided_without_consent_is_made_anew_bit_for_bit(system: System):
    token = await accepted(system, a_view("bob", 1, category_preferences={"personalisation": False}))
    await decided(system, "bob", token)
    code, said = await system.wayline("decisions", "replay", "--since", "1h", "--json")
    found = json.loads(said[said.index("{") :])
    assert (code, found["different"]) == (0, 0), said


async def test_a_restriction_is_in_force_until_it_is_lifted(system: System):
    token = await accepted(system, a_view("gus", 1, category_preferences={"personalisation": True}))
    assert (await decided(system, "gus", token)).personalisation == FULL
    for command, mode in (("restrict", NO_CONSENT), ("release", FULL)):
        code, said = await system.wayline("customers", command, "user_id:gus", "--reason", "accuracy contested")
        assert code == 0, said
        async with asyncio.timeout(20):
            while (answer := await decided(system, "gus", token)).personalisation != mode:
                await asyncio.sleep(0.02)
        if mode == NO_CONSENT:
            assert list(answer.placements[0].reasons) == ["contextual: processing is restricted"]
            assert shown(await decided(system, "gus", token, "ad")) == []


async def test_global_privacy_control_silences_what_shares_data_in_spite_of_a_later_yes(system: System):
    before = await decided(system, "cid", await accepted(system, a_view("cid", 1)), "ad")
    assert shown(before) == ["again"]
    await accepted(system, a_view("cid", 2, global_privacy_control=True))
    token = await accepted(system, a_view("cid", 3, category_preferences={"ads": True}))
    after = await decided(system, "cid", token, "ad")
    assert shown(after) == []
    assert "Global Privacy Control" in after.placements[0].reasons[0]
    assert shown(await decided(system, "cid", token)) == ["again"]


async def test_what_may_not_be_stored_is_refused_and_leaves_neither_profile_nor_dead_letter(system: System):
    (result,) = await system.collect(a_view("dee", 1, "FR"))
    assert (result.status, result.rejection.reason) == (REJECTED, "no_consent")

    letters = await system.ingestion.ListRejected(ingestion_pb2.ListRejectedRequest())
    assert all(one.event.user_id != "dee" for one in letters.rejected)
    token = await accepted(system, a_view("eve", 1))
    answer = await decided(system, "dee", token)
    assert answer.personalisation == decision_pb2.PERSONALISATION_UNKNOWN_CUSTOMER


async def test_of_an_event_that_refuses_storing_only_the_refusal_is_kept(system: System):
    token = await accepted(
        system, a_view("fay", 1, "FR", category_preferences={"analytics": False, "personalisation": True})
    )
    answer = await decided(system, "fay", token)
    assert (answer.personalisation, shown(answer)) == (FULL, ["plain"])  # its view was not counted
    profile = (
        await system.profile.GetProfile(
            profile_pb2.GetProfileRequest(customer=events_pb2.Identifier(kind="user_id", value="fay"))
        )
    ).profile
    assert {name: one.granted for name, one in profile.consents.items()} == {
        "analytics": False,
        "personalisation": True,
    }
    assert (profile.region.code, dict(profile.states)) == ("FR", {})
