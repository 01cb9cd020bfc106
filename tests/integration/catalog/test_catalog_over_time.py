"""`wayline catalog history`, `diff` and `rollback` on a real NATS server."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from tests.support.catalogs import BROKEN
from tests.support.models import linear_model, manifest
from typer.testing import CliRunner, Result

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.load import load, load_text
from wayline.catalog.store import Uptake, open_store
from wayline.cli import app
from wayline.errors import NotFound, Precondition
from wayline.registry import open_registry

SHOP = """\
channels: {web: {}}
placements: {hero: {channel: web}}
purposes: {personalisation: {}}
personalisation: personalisation
traits: {income: {kind: attribute, type: number, default: 0.0}}
issues:
  - id: sales
    groups:
      - id: shoes
        actions:
          - {id: red, value: VALUE, propensity: {model: accept}, treatments: [{id: a, placements: [hero]}]}
"""


def write(file: Path, value: object) -> None:
    """A catalogue whose one action has this value."""
    file.write_text(SHOP.replace("VALUE", str(value)))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "shop.yaml"


async def wayline(nats_url: str, *arguments: str) -> Result:
    """A command, in a thread: it runs its own event loop. No decision service answers."""
    nobody = ("--decision", "127.0.0.1:1") if arguments[0] in ("apply", "rollback") else ()
    command = ["catalog", *arguments, "--nats", nats_url, *nobody]
    return await asyncio.to_thread(CliRunner().invoke, app, command, env={"COLUMNS": "200"})


async def as_json(nats_url: str, *arguments: str) -> Any:
    result = await wayline(nats_url, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def applied(nats_url: str, shop: Path, *values: int, by: str = "ada") -> None:
    """A revision for each value of the one action."""
    for value in values:
        write(shop, value)
        result = await wayline(nats_url, "apply", str(shop), "--as", by)
        assert result.exit_code == 0, result.output


async def serving(js: JetStreamContext) -> tuple[int, float]:
    """The current revision, and the value of its action."""
    store = await open_store(js)
    current = await store.current_revision()
    return current, next((await store.fetch(current)).actions())[2].value


async def test_revisions_are_listed_with_when_and_by_whom_they_were_applied(
    js: JetStreamContext, nats_url: str, shop: Path
):
    began = datetime.now(UTC)
    await applied(nats_url, shop, 1)
    await applied(nats_url, shop, 2, by="bob")

    said = await as_json(nats_url, "history")

    assert (said["current"], said["in_use"], said["refused"]) == (2, None, None)
    assert [(one["revision"], one["by"], one["again"]) for one in said["revisions"]] == [
        (2, "bob", None),
        (1, "ada", None),
    ]
    assert all((one["actions"], one["traits"]) == (1, 1) for one in said["revisions"])
    times = [datetime.fromisoformat(one["applied_at"]) for one in said["revisions"]]
    assert began - timedelta(seconds=1) <= times[1] < times[0] <= datetime.now(UTC) + timedelta(seconds=1)
    drawn = (await wayline(nats_url, "history")).stdout
    assert "current" in drawn
    assert "bob" in drawn


async def test_who_applied_a_revision_of_an_earlier_version_of_wayline_is_not_known(
    js: JetStreamContext, nats_url: str, shop: Path
):
    write(shop, "1")
    await (await open_store(js)).apply(load(shop))

    assert (await as_json(nats_url, "history"))["revisions"][0]["by"] is None
    assert "not known" in (await wayline(nats_url, "history")).stdout


async def test_the_revision_that_decides_is_told_from_the_one_that_is_refused(
    js: JetStreamContext, nats_url: str, shop: Path
):
    await applied(nats_url, shop, 1, 2)
    await (await open_store(js)).report(Uptake(in_use=1, refused=2, because="it has a defect"))

    said = await wayline(nats_url, "history")

    states = [line.split()[-2] for line in said.stdout.splitlines() if "ada" in line]
    assert states == ["refused", "serves"]
    assert "The decision service refuses revision 2: it has a defect" in said.stdout


async def test_only_what_is_kept_is_listed_and_the_newest_first(js: JetStreamContext, nats_url: str, shop: Path):
    await applied(nats_url, shop, 1, 2, 3, 4)
    bucket = await js.key_value(CATALOG_BUCKET)
    await bucket.delete("revision.3")
    await bucket.put("revision.2", b"of another time")

    said = await as_json(nats_url, "history")

    assert [(one["revision"], one["actions"]) for one in said["revisions"]] == [(4, 1), (2, None), (1, 1)]
    last = await wayline(nats_url, "history", "--last", "2")
    assert "There are older ones" in last.stdout
    assert "There are older ones" not in (await wayline(nats_url, "history", "--last", "3")).stdout


async def test_what_a_directory_would_change_is_said_before_it_is_applied(
    js: JetStreamContext, nats_url: str, shop: Path
):
    await applied(nats_url, shop, 12)
    write(shop, "14")

    said = await as_json(nats_url, "diff", str(shop))

    path = "issues[sales].groups[shoes].actions[red].value"
    assert (said["old"], said["new"]) == ("revision 1", str(shop))
    assert [(one["path"], one["old"], one["new"]) for one in said["differences"]] == [(path, 12.0, 14.0)]
    drawn = await wayline(nats_url, "diff", str(shop))
    assert drawn.exit_code == 0
    assert "1 action changed" in drawn.stdout
    assert await serving(js) == (1, 12.0)


async def test_revisions_are_compared_in_the_order_in_which_they_are_given(
    js: JetStreamContext, nats_url: str, shop: Path
):
    await applied(nats_url, shop, 1, 2, 3)

    for arguments, old, new in (
        ((), 2, 3),
        (("1",), 1, 3),
        (("1", "2"), 1, 2),
        (("3", "1"), 3, 1),
        (("2", str(shop)), 2, 3),
    ):
        said = await as_json(nats_url, "diff", *arguments)
        assert [(one["old"], one["new"]) for one in said["differences"]] == [(old, new)]
    same = await wayline(nats_url, "diff", "3", str(shop))
    assert (same.exit_code, "do not differ" in same.stdout) == (0, True)


async def test_what_cannot_be_compared_is_said_in_one_line(js: JetStreamContext, nats_url: str, shop: Path):
    assert isinstance((await wayline(nats_url, "diff")).exception, NotFound)
    await applied(nats_url, shop, 1)
    for arguments, words in (
        ((), "No revision before the current one, 1, is kept"),
        (("7",), "Revision 7 is not kept; the current one is 1"),
        ((str(BROKEN / "value_is_text.yaml"),), "expected a number, got 'ten'"),
        (("nowhere/",), "cannot be read"),
    ):
        result = await wayline(nats_url, "diff", *arguments)
        assert (result.exit_code, words in result.stderr) == (1, True), result.output


async def test_a_directory_may_be_called_as_one_likes(
    js: JetStreamContext, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await applied(nats_url, tmp_path / "shop.yaml", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "current").mkdir()
    write(tmp_path / "current" / "shop.yaml", 2)

    assert (await as_json(nats_url, "diff", "current"))["new"] == "current"


async def test_two_directories_are_compared_without_a_server(shop: Path, tmp_path: Path):
    other = tmp_path / "other.yaml"
    write(shop, "1")
    write(other, "2")

    assert len((await as_json("nats://127.0.0.1:1", "diff", str(shop), str(other)))["differences"]) == 1


async def test_going_back_applies_the_former_revision_as_the_next_one(js: JetStreamContext, nats_url: str, shop: Path):
    await applied(nats_url, shop, 1, 2)

    result = await wayline(nats_url, "rollback", "--as", "eve")

    assert result.exit_code == 0, result.output
    assert "Revision 3 is stored, as revision 1 was: 1 actions" in result.stdout
    assert "nothing answers at 127.0.0.1:1" in result.stderr
    assert await serving(js) == (3, 1.0)
    newest = (await as_json(nats_url, "history"))["revisions"][0]
    assert (newest["by"], newest["again"]) == ("eve", 1)
    assert (await as_json(nats_url, "rollback"))["again"] == 2
    assert await serving(js) == (4, 2.0)


async def test_going_back_further(js: JetStreamContext, nats_url: str, shop: Path):
    await applied(nats_url, shop, 1, 2, 3)

    assert (await as_json(nats_url, "rollback", "1"))["revision"] == 4
    assert await serving(js) == (4, 1.0)


async def test_there_is_no_going_back_to_what_is_not_kept_or_decides_now(
    js: JetStreamContext, nats_url: str, shop: Path
):
    assert isinstance((await wayline(nats_url, "rollback")).exception, NotFound)
    await applied(nats_url, shop, 1)
    for arguments, words in (
        ((), "No revision before the current one, 1, is kept"),
        (("1",), "Revision 1 is the current one: there is nothing to go back to"),
        (("9",), "Revision 9 is not kept; the current one is 1"),
    ):
        result = await wayline(nats_url, "rollback", *arguments)
        assert (result.exit_code, words in result.stderr) == (1, True), result.output
    assert await serving(js) == (1, 1.0)


async def test_an_earlier_revision_is_checked_against_the_models_of_today(
    js: JetStreamContext, nats_url: str, shop: Path
):
    await applied(nats_url, shop, 1)
    with_label = load_text(SHOP.replace("default: 0.0", "default: 0.0, labels: finance").replace("VALUE", "2"))
    await (await open_store(js)).apply(with_label)
    await applied(nats_url, shop, 3)
    registry = await open_registry(js)
    await registry.register(manifest(traits=["income"]), linear_model([1.0]), datetime.now(UTC), promote=True)

    result = await wayline(nats_url, "rollback")

    assert isinstance(result.exception, Precondition)
    assert "Revision 2 cannot decide any more, and nothing was changed" in str(result.exception)
    assert "profile.income is labelled" in str(result.exception)
    assert await serving(js) == (3, 3.0)


async def test_a_revision_that_is_wrong_today_is_not_gone_back_to(js: JetStreamContext, nats_url: str, shop: Path):
    write(shop, "1")
    wrong = load(shop).model_copy(update={"personalisation": "nothing"})
    await (await open_store(js)).apply(wrong)
    await applied(nats_url, shop, 2)

    result = await wayline(nats_url, "rollback")

    assert isinstance(result.exception, Precondition)
    assert "there is no purpose 'nothing'" in str(result.exception)
    assert await serving(js) == (2, 2.0)


async def test_a_number_that_becomes_one_with_decimals_is_another_catalogue(
    js: JetStreamContext, nats_url: str, shop: Path
):
    for margin in ("4", "4.0"):
        write(shop, f"1, attributes: {{margin: {margin}}}")
        await wayline(nats_url, "apply", str(shop))

    assert (await serving(js))[0] == 2


async def test_whoever_is_slow_does_not_take_back_what_was_applied_meanwhile(
    js: JetStreamContext, nats_url: str, monkeypatch: pytest.MonkeyPatch
):
    slow, quick = await open_store(js), await open_store(js)
    first, second = (load_text(SHOP.replace("VALUE", value)) for value in ("1", "2"))
    create = slow._bucket.create

    async def create_and_wait(key: str, value: bytes) -> int:
        made = await create(key, value)
        monkeypatch.undo()
        assert await quick.apply(second) == 2
        return made

    monkeypatch.setattr(slow._bucket, "create", create_and_wait)

    assert await slow.apply(first) == 1
    assert await serving(js) == (2, 2.0)
