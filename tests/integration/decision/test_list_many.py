"""The latest recorded decisions, looked for on a real NATS server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.records import Record, a_record, publish_records

from wayline.bus import DECISION_SUBJECT, DECISIONS, REWRITTEN_SUBJECTS, StreamSpec, ensure_stream
from wayline.catalog.store import open_store
from wayline.errors import NotFound
from wayline.identity import identity_key
from wayline.suppression import lift, open_suppressions, suppress
from wayline_decision import backwards
from wayline_decision import list_many as list_many_module
from wayline_decision.list_many import Job, list_many
from wayline_profile.privacy.rewriting import rewrite

CATALOG = a_catalog([an_action("red"), an_action("blue")])
NOW = datetime.now(UTC) - timedelta(minutes=5)
"""Before the records of these tests are stored, as ever."""


@pytest.fixture
async def js(js: JetStreamContext) -> JetStreamContext:
    spec = StreamSpec(
        name=DECISIONS, subject=DECISION_SUBJECT, also=(REWRITTEN_SUBJECTS,), max_bytes=1 << 26, max_age_seconds=3_600
    )
    await ensure_stream(js, spec, 1)
    return js


def decision(user: str = "ada", *, ago: float = 0, hero: Sequence[str] = ("red",), **more: Sequence[str]) -> Record:
    """Decided so many minutes before the records are stored."""
    record = a_record(CATALOG, {"hero": hero, **more}, at=NOW - timedelta(minutes=ago))
    record.request.customer.value = user
    return record


async def listed(js: JetStreamContext, url: str, **fields: Any) -> dict[str, Any]:
    job = Job(**{"nats_url": url, "last": 20, "most_read": 1_000_000, **fields})
    return await list_many(job, js, lambda *_: None)


async def found(js: JetStreamContext, url: str, **fields: Any) -> list[str]:
    return [one["customer"]["value"] for one in (await listed(js, url, **fields))["decisions"]]


async def test_the_latest_come_first_with_what_was_asked_and_chosen(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision("ada", ago=2), decision("bob", ago=1, hero=(), list=("blue", "red"))])

    (bob, ada) = (await listed(js, nats_url))["decisions"]

    assert bob["customer"] == {"kind": "user_id", "value": "bob"}
    assert bob["placements"] == [
        {"placement": "hero", "chosen": []},
        {
            "placement": "list",
            "chosen": [{"action": "blue", "treatment": "main"}, {"action": "red", "treatment": "main"}],
        },
    ]
    assert bob["personalisation"] == "PERSONALISATION_FULL"
    assert datetime.fromisoformat(bob["decided_at"]) - datetime.fromisoformat(ada["decided_at"]) > timedelta(seconds=59)


async def test_who_wants_the_latest_few_does_not_wait_until_all_are_read(
    js: JetStreamContext, nats_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(list_many_module, "_CLOCKS_DIFFER", timedelta(0))  # all are of the same second
    for number in range(1_000):
        record = decision(f"c{number}")
        record.decided_at.FromDatetime(datetime.now(UTC))
        await publish_records(js, [record])

    said = await listed(js, nats_url, last=3)

    assert [one["customer"]["value"] for one in said["decisions"]] == ["c999", "c998", "c997"]
    assert said["read"] < 100
    assert not said["stopped"]


async def test_every_decision_is_found_once_however_many_bundles_there_are(js: JetStreamContext, nats_url: str):
    records = [decision(f"c{number}", ago=4_000 - number) for number in range(3_000)]
    await publish_records(js, records, bundle=2)
    wanted = await listed(js, nats_url, last=1_000)
    for sequence in range(7, 1_500, 11):  # as when erased customers are taken out
        await js.delete_msg(DECISIONS, sequence)
    gone = {one.decision_id for sequence in range(7, 1_500, 11) for one in records[2 * sequence - 2 : 2 * sequence]}
    client = await nats.connect(nats_url)

    read = [one.decision_id async for window in backwards.windows(client, None) for one in window.records]

    await client.close()
    assert sorted(read) == sorted(one.decision_id for one in records if one.decision_id not in gone)
    assert [one["customer"]["value"] for one in wanted["decisions"]] == [f"c{n}" for n in range(2_999, 1_999, -1)]


async def test_where_bundles_are_larger_fewer_are_held_at_once(
    js: JetStreamContext, nats_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backwards, "_TOO_MANY_BYTES", 64 << 10)
    await publish_records(js, [decision() for _ in range(5_000)], bundle=50)
    await publish_records(js, [decision() for _ in range(500)], bundle=1)
    client = await nats.connect(nats_url)

    windows = [window async for window in backwards.windows(client, None)]

    await client.close()
    assert sum(len(window.records) for window in windows) == 5_500
    assert windows[-1].done == windows[-1].total == 600
    assert max(len(window.records) for window in windows) <= 16 * 50


async def test_filters_hold_together(js: JetStreamContext, nats_url: str):
    await (await open_store(js)).apply(CATALOG)
    await publish_records(
        js,
        [
            decision("ada", ago=9, hero=("blue",)),
            decision("bob", ago=8, hero=("red",), offer=("blue",)),
            decision("eve", ago=7, hero=(), offer=()),
            decision("ada", ago=6, hero=("red",)),
        ],
    )

    for fields, expected in (
        ({}, ["ada", "eve", "bob", "ada"]),
        ({"customer": identity_key("user_id", " ada ").hex()}, ["ada", "ada"]),
        ({"action": "blue"}, ["bob", "ada"]),
        ({"placement": "offer"}, ["eve", "bob"]),
        ({"channel": "mail"}, ["eve", "bob"]),
        ({"channel": "web", "action": "blue"}, ["ada"]),
        ({"placement": "hero", "action": "blue"}, ["ada"]),
        ({"placement": "hero", "channel": "mail"}, []),
        ({"since": NOW - timedelta(minutes=7, seconds=30)}, ["ada", "eve"]),
        ({"last": 2, "action": "red"}, ["ada", "bob"]),
    ):
        assert await found(js, nats_url, **fields) == expected, fields


async def test_a_channel_of_a_catalogue_that_is_not_kept_is_told(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision()])

    said = await listed(js, nats_url, channel="web")

    assert (said["decisions"], said["channels_unknown"]) == ([], [1])


async def test_a_customer_is_found_by_whatever_was_known_to_be_hers(js: JetStreamContext, nats_url: str):
    record = decision("browser-7")
    record.view.identity_keys.append(identity_key("email", "ada@example.com"))
    await publish_records(js, [record, decision("bob")])

    assert await found(js, nats_url, customer=identity_key("email", "Ada@example.com").hex()) == ["browser-7"]


async def test_it_gives_up_at_its_limit_and_says_how_far_it_came(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision(hero=("blue",)), *(decision() for _ in range(999))], bundle=1)

    said = await listed(js, nats_url, action="blue", most_read=100)

    assert (said["decisions"], said["stopped"]) == ([], True)
    assert 100 <= said["read"] < 500
    assert datetime.fromisoformat(said["read_since"]) > NOW
    assert not (await listed(js, nats_url, action="blue", most_read=1_000))["stopped"]


async def test_what_was_decided_before_is_not_even_read(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision()])

    assert (await listed(js, nats_url, since=datetime.now(UTC) + timedelta(minutes=1)))["read"] == 0


async def test_whoever_was_erased_is_in_no_list_and_the_others_of_the_bundle_are(js: JetStreamContext, nats_url: str):
    client = await nats.connect(nats_url)
    await publish_records(js, [decision("ada", ago=3), decision("bob", ago=2)])
    await publish_records(js, [decision("eve", ago=1)])

    await rewrite(client, 1, {identity_key("user_id", "ada")}, perhaps_done=False)

    assert await found(js, nats_url) == ["eve", "bob"]
    assert await found(js, nats_url, customer=identity_key("user_id", "ada").hex()) == []
    await client.close()


async def test_whoever_is_being_erased_is_in_no_list_while_records_are_still_there(js: JetStreamContext, nats_url: str):
    asked_as_browser = decision("browser-7", ago=1)
    asked_as_browser.view.identity_keys.append(identity_key("user_id", "ada"))
    await publish_records(js, [decision("bob", ago=3), decision("ada", ago=2), asked_as_browser])
    bucket = await open_suppressions(js)
    await suppress(bucket, [identity_key("user_id", "ada")])

    assert await found(js, nats_url, last=1) == ["bob"]
    await lift(bucket, [identity_key("user_id", "ada")])
    assert await found(js, nats_url) == ["browser-7", "ada", "bob"]


async def test_bundles_that_were_written_anew_do_not_hide_what_was_decided_later(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision("newest")])
    await publish_records(js, [decision("old", ago=60) for _ in range(40)], bundle=1)

    assert await found(js, nats_url, last=1) == ["newest"]


async def test_a_bundle_that_stands_beside_its_rewritten_one_counts_once(js: JetStreamContext, nats_url: str):
    record = decision()
    await publish_records(js, [record])
    await publish_records(js, [record])

    assert await found(js, nats_url) == ["ada"]


async def test_a_bundle_that_cannot_be_read_harms_no_other(js: JetStreamContext, nats_url: str):
    await publish_records(js, [decision("ada")])
    await js.publish("decisions", b"\xff\xff nonsense")
    await publish_records(js, [decision("bob")])

    assert await found(js, nats_url) == ["bob", "ada"]


async def test_where_nothing_was_recorded_yet_that_is_said(js: JetStreamContext, nats_url: str):
    assert (await listed(js, nats_url))["decisions"] == []
    await js.delete_stream(DECISIONS)
    with pytest.raises(NotFound, match="nothing was recorded yet"):
        await listed(js, nats_url)
