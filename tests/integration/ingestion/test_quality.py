"""Figures of data quality: from events, over the stream, to the report."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
from nats.js import JetStreamContext
from tests.support.events import an_event
from tests.support.ingestion import running_ingestion
from tests.support.nats import NatsServer
from tests.support.tracking import a_catalog_with_a_plan, an_order

from wayline.bus import QUALITY, QUALITY_SUBJECT
from wayline.catalog.store import open_store
from wayline.publish import AckedPublisher
from wayline.v1 import events_pb2
from wayline.v1.ingestion_pb2 import CollectRequest
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub
from wayline.v1.quality_pb2 import QualityDelta, QualityFigures
from wayline_ingestion.core.judgement import Passed
from wayline_ingestion.core.tally import Tally
from wayline_ingestion.reporter import MAX_MESSAGE_BYTES, QualityReporter

DAY_NS = 86_400 * 10**9


async def deltas(js: JetStreamContext) -> list[QualityDelta]:
    """All messages of figures."""
    count = (await js.stream_info(QUALITY)).state.messages
    messages = [await js.get_msg(QUALITY, sequence + 1) for sequence in range(count)]
    return [QualityDelta.FromString(message.data or b"") for message in messages]


async def wayline(nats_url: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    command = [sys.executable, "-c", "from wayline.cli import main; main()", "quality", "report", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--nats",
        nats_url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"COLUMNS": "200", "PATH": ""},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def rows(nats_url: str, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = await wayline(nats_url, "--json", *arguments)
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["rows"]
    return found


async def test_what_is_collected_is_counted_and_reported(js: JetStreamContext, nats_url: str):
    await (await open_store(js)).apply(a_catalog_with_a_plan(unplanned_properties="refuse"))
    late = an_event(source="app")
    late.timestamp.FromDatetime(datetime.now(UTC) - timedelta(days=3))
    skewed = an_event(source="app")
    skewed.timestamp.FromSeconds(1_000_000_000)
    skewed.sent_at.FromSeconds(1_000_000_002)
    repeated = an_event(source="app")
    async with running_ingestion(nats_url) as channel:
        ingestion = IngestionServiceStub(channel)
        calls = [
            [an_order({"total": "much"}, source="shop"), an_order({"total": 1, "gift": True}, source="shop")],
            [late, skewed, repeated, an_event(source="app", name="")],
            [repeated],
        ]
        for call in calls:
            await ingestion.Collect(CollectRequest(events=call))

    shop, app, nameless = sorted(
        await rows(nats_url), key=lambda row: (-row["source"].count("shop"), row["event"] == "")
    )
    _, table, _ = await wayline(nats_url)

    assert (shop["source"], shop["event"], shop["volume"]) == ("shop", "Order Completed", 2)
    assert (shop["accepted"], shop["flagged"]) == (1, 1)
    assert shop["refused"] == {"unplanned_property": 1}
    assert shop["unplanned_properties"] == {"gift": 1}
    assert (app["event"], app["volume"], app["late"], app["skewed"], app["duplicates"]) == (
        "Product Viewed",
        3,
        1,
        1,
        1,
    )
    assert app["unplanned"] == 3
    assert app["freshness_p50_seconds"] >= 2
    assert app["freshness_p99_seconds"] == app["freshness_max_seconds"] >= 3 * 86_400
    assert nameless["refused"] == {"missing": 1}
    assert "Order Completed" in table
    assert "unplanned_property 1" in table
    assert "the figures do not reach back to the week before yet" in table


async def test_figures_hold_no_identifier_of_a_customer(js: JetStreamContext, nats_url: str):
    event = an_event(user_id="jane-4711", anonymous_id="browser-4711", name="")
    page = an_event(type=events_pb2.EVENT_TYPE_PAGE, name="Basket of jane-4711")
    async with running_ingestion(nats_url) as channel:
        await IngestionServiceStub(channel).Collect(CollectRequest(events=[event, page]))

    found = await deltas(js)

    assert sum(len(one.figures) for one in found) == 2
    assert not any(b"4711" in one.SerializeToString() for one in found)


async def test_figures_go_out_now_and_then(js: JetStreamContext, nats_url: str):
    async with running_ingestion(nats_url, quality_interval_seconds=0.1) as channel:
        await IngestionServiceStub(channel).Collect(CollectRequest(events=[an_event()]))
        async with asyncio.timeout(20):
            while not await deltas(js):
                await asyncio.sleep(0.05)


async def test_a_period_is_compared_with_the_week_before(js: JetStreamContext, nats_url: str):
    async with running_ingestion(nats_url):
        pass
    now = datetime.now(UTC)
    told = ((timedelta(days=9), 1), (timedelta(days=7, hours=2), 7), (timedelta(minutes=5), 14))
    for number, (ago, accepted) in enumerate(told, 1):
        minute = int((now - ago).timestamp() // 60)
        figures = QualityFigures(source="shop", event="Order", type=2, minute=minute, accepted=accepted)
        delta = QualityDelta(process_id="p", number=number, figures=[figures])
        await js.publish(QUALITY_SUBJECT, delta.SerializeToString())

    (row,) = await rows(nats_url, "--since", "1d")
    _, table, _ = await wayline(nats_url, "--since", "1d")

    assert (row["volume"], row["volume_week_before"], row["change"]) == (14, 7, 1.0)
    assert "+100%" in table


async def test_figures_that_could_not_be_published_go_out_once_when_nats_is_back(tmp_path_factory: Any):
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        publisher = AckedPublisher(timeout_seconds=1)
        client = await nats.connect(server.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
        try:
            js = client.jetstream()
            await js.add_stream(name=QUALITY, subjects=[QUALITY_SUBJECT])
            await publisher.attach(client)
            tally = Tally(DAY_NS)
            reporter = QualityReporter(tally, publisher, "p")
            tally.passed([(Passed(an_event()), False)], DAY_NS)
            await reporter.flush()
            server.kill()
            await publisher.disconnected()
            for _ in range(3):
                tally.passed([(Passed(an_event()), False)], DAY_NS)
                await reporter.flush()
            server.start()
            async with asyncio.timeout(30):
                while not client.is_connected:
                    await asyncio.sleep(0.05)
                while len(await deltas(js)) < 4:
                    await reporter.flush()
            found = await deltas(js)
        finally:
            await client.close()

    assert [one.number for one in found] == [1, 2, 3, 4]
    assert sum(figures.accepted for one in found for figures in one.figures) == 4


async def test_many_figures_go_out_in_several_messages(js: JetStreamContext, nats_url: str):
    await js.add_stream(name=QUALITY, subjects=[QUALITY_SUBJECT])
    client = await nats.connect(nats_url)
    publisher = AckedPublisher(timeout_seconds=5)
    await publisher.attach(client)
    tally = Tally(DAY_NS)
    tally.passed([(Passed(an_event(source=f"{i:064}", name="n" * 128)), False) for i in range(1_000)], DAY_NS)
    figures = tally.drain()
    many = [one for one in figures for _ in range(4)]
    tally.drain = lambda: many  # type: ignore[method-assign]

    await QualityReporter(tally, publisher, "p").flush()
    await client.close()

    found = await deltas(js)
    assert len(found) > 1
    assert all(one.ByteSize() <= MAX_MESSAGE_BYTES + 64 for one in found)
    assert sum(len(one.figures) for one in found) == len(many)


async def test_without_figures_the_command_says_what_to_do(js: JetStreamContext, nats_url: str):
    code, _, err = await wayline(nats_url)

    assert code == 1
    assert "no figures yet" in err


async def test_a_report_goes_back_a_week_at_most(nats_url: str):
    code, _, err = await wayline(nats_url, "--since", "30d")

    assert code == 2
    assert "within the last 7 days" in err
