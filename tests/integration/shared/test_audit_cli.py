"""`wayline audit` on a real server: what it says of a log that holds, and of one that was tampered with."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nats
import pytest
from nats.js import JetStreamContext
from tests.support.nats import NatsServer
from typer.testing import CliRunner

from wayline import bus
from wayline.audit import Anchor, AuditLog, audit_stream
from wayline.cli import app

AT = datetime(2026, 9, 21, 12, tzinfo=UTC)


class Said(NamedTuple):
    exit_code: int
    output: str


async def wayline(nats_url: str, *arguments: str) -> Said:
    command = ["audit", *arguments, "--nats", nats_url]
    result = await asyncio.to_thread(CliRunner().invoke, app, command, env={"COLUMNS": "300"})
    return Said(result.exit_code, result.output)


async def write(nats_url: str, *subjects: str) -> list[Anchor]:
    client = await nats.connect(nats_url)
    log = AuditLog(client, now=lambda: AT)
    anchors = [await log.append("customer.erased", subject=subject, actor="ann") for subject in subjects]
    await client.close()
    return anchors


@pytest.fixture
async def log(js: JetStreamContext) -> JetStreamContext:
    await bus.ensure_stream(js, audit_stream(max_bytes=1 << 20, max_age_seconds=3_600), 1)
    return js


def receipt(path: Path, anchor: Anchor) -> str:
    path.write_text(json.dumps({"audit": {"sequence": anchor.sequence, "sha256": anchor.digest.hex()}}))
    return str(path)


async def test_a_log_that_holds_is_said_to_and_so_is_the_entry_of_a_receipt(
    log: JetStreamContext, nats_url: str, tmp_path: Path
):
    assert "is empty" in (await wayline(nats_url, "verify")).output
    anchors = await write(nats_url, "p1", "p2", "p3")
    said = await wayline(nats_url, "verify", "--receipt", receipt(tmp_path / "r.json", anchors[1]))
    assert said.exit_code == 0
    assert "3 entries: the chain holds" in said.output
    assert f"last: 3 {anchors[-1].digest.hex()}" in said.output
    assert "the receipt's entry, 2, is in the log as it was signed" in said.output
    listed = await wayline(nats_url, "list", "--subject", "p2", "--actor", "ann", "--json")
    assert [one["sequence"] for one in json.loads(listed.output)] == [2]


async def test_entries_that_were_taken_off_the_end_show_by_a_receipt(
    log: JetStreamContext, nats_url: str, nats_server: NatsServer, tmp_path: Path
):
    anchors = await write(nats_url, "p1", "p2", "p3")
    await log.delete_stream(bus.AUDIT)  # what an intruder with all rights could do
    nats_server.forget(bus.AUDIT)
    await bus.ensure_stream(log, audit_stream(max_bytes=1 << 20, max_age_seconds=3_600), 1)
    again = await write(nats_url, "p1", "somebody else")
    assert again[0] == anchors[0]
    assert (await wayline(nats_url, "verify")).exit_code == 0
    for anchor, said in ((anchors[1], "is NOT what was signed"), (anchors[2], "is MISSING from the log")):
        result = await wayline(nats_url, "verify", "--receipt", receipt(tmp_path / "r.json", anchor))
        assert (result.exit_code, said in result.output) == (1, True)


async def test_an_entry_over_its_age_is_no_alarm(js: JetStreamContext, nats_url: str, tmp_path: Path):
    await js.add_stream(name=bus.AUDIT, subjects=[bus.AUDIT_SUBJECT], allow_direct=True)
    anchors = await write(nats_url, "p1", "p2", "p3")
    await js.purge_stream(bus.AUDIT, seq=3)
    result = await wayline(nats_url, "verify", "--receipt", receipt(tmp_path / "r.json", anchors[0]))
    assert (result.exit_code, "the log begins behind it" in result.output) == (0, True)


async def test_what_is_no_receipt_is_refused(log: JetStreamContext, nats_url: str, tmp_path: Path):
    for text in ("", "[]", '{"audit": 7}', '{"audit": {"sequence": "x", "sha256": ""}}', "[" * 100_000):
        (tmp_path / "r.json").write_text(text)
        result = await wayline(nats_url, "verify", "--receipt", str(tmp_path / "r.json"))
        assert (result.exit_code, "expected a receipt" in result.output) == (2, True)
