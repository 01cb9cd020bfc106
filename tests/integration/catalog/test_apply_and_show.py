"""`wayline catalog apply` and `show` on a real NATS server."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from tests.support.catalogs import BROKEN, GOOD
from tests.support.models import linear_model, manifest
from typer.testing import CliRunner, Result

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.examples import example_path
from wayline.catalog.load import load
from wayline.catalog.store import open_store
from wayline.cli import app
from wayline.errors import NotFound
from wayline.registry import open_registry

SHOP = example_path("shoe-shop")


async def wayline(*arguments: str) -> Result:
    """A command, in a thread: it runs its own event loop. No decision service answers."""
    nobody = ("--decision", "127.0.0.1:1") if arguments[0] == "apply" else ()
    return await asyncio.to_thread(CliRunner().invoke, app, ["catalog", *arguments, *nobody])


async def test_an_applied_catalogue_is_stored_and_what_to_do_next_is_said(js: JetStreamContext, nats_url: str):
    result = await wayline("apply", str(SHOP), "--nats", nats_url)

    assert result.exit_code == 0, result.output
    assert "Revision 1 is stored: 26 actions" in result.stdout
    assert "nothing answers at 127.0.0.1:1. Start one with: wayline up" in result.stderr
    store = await open_store(js)
    assert await store.fetch(await store.current_revision()) == load(SHOP)


async def test_the_same_catalogue_is_not_applied_twice(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("apply", str(SHOP), "--nats", nats_url)

    assert "Nothing to do: the current revision 1 is the same." in result.output
    assert await (await open_store(js)).current_revision() == 1


async def test_a_changed_catalogue_is_the_next_revision(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("apply", str(GOOD / "one_file.yaml"), "--nats", nats_url, "--json")

    said = json.loads(result.stdout)
    assert (said["revision"], said["changed"], said["actions"]) == (2, True, 1)
    assert said["in_use"] is None


async def test_a_catalogue_with_a_problem_changes_nothing(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("apply", str(BROKEN / "unknown_field.yaml"), "--nats", nats_url)

    assert result.exit_code == 1
    assert "unknown field 'valeu'" in result.stderr
    assert await (await open_store(js)).current_revision() == 1


async def test_a_catalogue_that_would_use_a_model_against_its_labels_changes_nothing(
    js: JetStreamContext, nats_url: str, tmp_path: Path
):
    file = tmp_path / "shop.yaml"
    lines = [
        "channels: {web: {}}",
        "placements: {hero: {channel: web}}",
        "purposes: {personalisation: {}}",
        "personalisation: personalisation",
        "traits: {income: {kind: attribute, type: number, default: 0.0}}",
        "issues:",
        "  - id: sales",
        "    groups:",
        "      - id: shoes",
        "        actions:",
        "          - id: red-shoes",
        "            propensity: {model: accept}",
        "            treatments: [{id: a, placements: [hero]}]",
    ]
    file.write_text("\n".join(lines))
    await wayline("apply", str(file), "--nats", nats_url)
    registry = await open_registry(js)
    await registry.register(manifest(traits=["income"]), linear_model([1.0]), datetime.now(UTC), promote=True)
    lines[4] = "traits: {income: {kind: attribute, type: number, default: 0.0, labels: finance}}"
    file.write_text("\n".join(lines))

    result = await wayline("apply", str(file), "--nats", nats_url)

    assert result.exit_code == 1
    assert f"{file}:12:33: " in result.stderr
    assert "the champion of the model 'accept' may not be used: inputs[0]: profile.income is labelled" in result.stderr
    assert await (await open_store(js)).current_revision() == 1


async def test_a_revision_that_cannot_be_read_is_replaced(js: JetStreamContext, nats_url: str):
    await open_store(js)
    bucket = await js.key_value(CATALOG_BUCKET)
    await bucket.put("revision.1", b"from another time")
    await bucket.put("current", b"1")

    result = await wayline("apply", str(SHOP), "--nats", nats_url)

    assert "catalogue revision 1 cannot be read" in result.stderr
    assert "Revision 2 is stored" in result.stdout


async def test_the_current_catalogue_is_shown(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("show", "--nats", nats_url)

    assert result.exit_code == 0, result.output
    assert "shoe-shop, revision 1" in result.output
    assert "red-shoes" in result.output


async def test_an_older_revision_is_shown_as_json(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(GOOD / "one_file.yaml"), "--nats", nats_url)
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("show", "--revision", "1", "--json", "--nats", nats_url)

    said = json.loads(result.stdout)
    assert (said["revision"], said["catalog"]["name"]) == (1, "one-file")


async def test_what_is_not_there_yet_is_said_and_nothing_is_created(js: JetStreamContext, nats_url: str):
    result = await wayline("show", "--nats", nats_url)

    assert isinstance(result.exception, NotFound)
    assert "wayline catalog apply" in str(result.exception)
    assert await js.streams_info() == []


async def test_a_revision_that_was_never_there(js: JetStreamContext, nats_url: str):
    await wayline("apply", str(SHOP), "--nats", nats_url)

    result = await wayline("show", "--revision", "9", "--nats", nats_url)

    assert isinstance(result.exception, NotFound)


@pytest.mark.parametrize("command", [("apply", str(SHOP)), ("show",)], ids=["apply", "show"])
async def test_without_nats_a_command_ends_at_once(command: tuple[str, ...], tmp_path: Path):
    result = await wayline(*command, "--nats", "nats://127.0.0.1:1")

    assert type(result.exception).__name__ == "NoServersError"
