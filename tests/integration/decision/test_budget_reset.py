"""A budget that begins anew, on real NATS: over all replicas, once, and written down."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from nats.js import JetStreamContext
from tests.integration.decision.test_budgets import PATIENCE_SECONDS, a_plan, chosen, replica
from tests.support.decisions import a_catalog, an_action

from wayline import bus
from wayline.audit import audit_stream, entries
from wayline.catalog.store import open_store
from wayline.errors import InvalidField, NotFound
from wayline_decision.budget_counts import Job, budget_counts
from wayline_decision.budget_streams import ensure_counters, place_of
from wayline_decision.budgets import Budgets
from wayline_decision.core.budget import TOTAL
from wayline_decision.engine import now_utc

LIMITS: dict[str, dict[str, int]] = {"a": {"total": 10}, "b.b": {"total": 5, "per_day": 3}}


@pytest.fixture
async def url(js: JetStreamContext, nats_url: str) -> str:
    """JetStream with a catalogue of two budgets."""
    actions = [an_action(name, budget=budget) for name, budget in LIMITS.items()]
    await (await open_store(js, max_bytes=64 << 20)).apply(a_catalog([*actions, an_action("c")]))
    await ensure_counters(js, 1)
    return nats_url


async def asked(js: JetStreamContext, url: str, action: str | None = None, *give_back: str) -> list[dict[str, Any]]:
    """The answer of the job."""
    job = Job(nats_url=url, action=action, give_back=give_back)
    return (await budget_counts(job, js, lambda *_: None))["budgets"]


async def heard(budgets: Budgets) -> None:
    assert await budgets.send()
    assert await budgets.read()


async def test_what_is_given_back_can_be_chosen_again_by_all_replicas_and_no_more(
    js: JetStreamContext, url: str
) -> None:
    plan = a_plan(**LIMITS)
    async with replica(url, plan) as one, replica(url, plan) as other:
        assert chosen(one, plan, "a", 20, now_utc()) == 10
        await heard(one)
        await heard(other)
        assert chosen(other, plan, "a", 1, now_utc()) == 0
        (row,) = await asked(js, url, "a", "total")
        assert (row["used"], row["limit"], row["given_back"]) == (10, 10, 10)
        await heard(one)
        await heard(other)
        assert chosen(other, plan, "a", 4, now_utc()) == 4
        await heard(other)
        await heard(one)
        assert chosen(one, plan, "a", 20, now_utc()) == 6
        await heard(one)
        assert (await asked(js, url, "a"))[0]["used"] == 10
    async with replica(url, plan) as later:
        assert chosen(later, plan, "a", 1, now_utc()) == 0, "a replica that starts knows both counts"


async def test_a_running_replica_hears_of_it_by_itself(js: JetStreamContext, url: str) -> None:
    plan = a_plan(**LIMITS)
    async with replica(url, plan) as budgets:
        chosen(budgets, plan, "a", 20, now_utc())
        task = asyncio.create_task(budgets.run())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while budgets.waiting:
                    await asyncio.sleep(0.01)
                await asked(js, url, "a", "total")
                while "a" in budgets.exhausted(plan, now_utc()).actions:
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()


async def test_two_who_give_back_the_same_at_once_give_it_back_once(js: JetStreamContext, url: str) -> None:
    plan = a_plan(**LIMITS)
    async with replica(url, plan) as budgets:
        chosen(budgets, plan, "a", 7, now_utc())
        await heard(budgets)
        answers = await asyncio.gather(*(asked(js, url, "a", "total") for _ in range(5)))
        assert sum(one[0]["given_back"] for one in answers) == 7
        await heard(budgets)
        assert chosen(budgets, plan, "a", 20, now_utc()) == 10
        await heard(budgets)
        assert (await asked(js, url, "a", "total"))[0]["given_back"] == 10, "the next time it is given back again"


async def test_what_was_chosen_and_not_sent_yet_counts_against_the_new_budget(js: JetStreamContext, url: str) -> None:
    plan = a_plan(**LIMITS)
    async with replica(url, plan) as budgets:
        chosen(budgets, plan, "a", 7, now_utc())
        await heard(budgets)
        chosen(budgets, plan, "a", 2, now_utc())
        assert (await asked(js, url, "a", "total"))[0]["given_back"] == 7
        await heard(budgets)
        assert chosen(budgets, plan, "a", 20, now_utc()) == 8


async def test_the_total_and_the_day_begin_anew_each_by_itself(js: JetStreamContext, url: str) -> None:
    plan = a_plan(**LIMITS)
    at = now_utc()  # a test that runs at midnight asks the job of the next day; both are then right
    async with replica(url, plan) as budgets:
        budgets.take(["b.b"] * 3, at)
        assert await budgets.send()
        rows = {row["which"]: row for row in await asked(js, url, "b.b", "total")}
        assert rows["total"]["given_back"] == 3
        assert "given_back" not in rows["today"]
        found = {(row["action"], row["which"]): row["used"] for row in await asked(js, url)}
        assert found["b.b", "total"] == 0
        assert found["a", "total"] == 0
        assert set(found) == {("a", "total"), ("b.b", "total"), ("b.b", "today")}
        counted = json.loads((await js.get_last_msg(*place_of(f"b.b.{TOTAL}"))).data)
        assert counted == {"val": "3"}, "no counter ever goes down"


async def test_what_has_no_budget_cannot_begin_anew(js: JetStreamContext, url: str) -> None:
    with pytest.raises(NotFound, match=r"the action 'c' has no budget; a, b\.b has"):
        await asked(js, url, "c")
    with pytest.raises(NotFound, match="no limit of this kind: today"):
        await asked(js, url, "a", "today")
    with pytest.raises(InvalidField, match="expected the one whose budget"):
        await asked(js, url, None, "total")


async def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command: exit code, standard output and standard error, on one line each."""
    command = [sys.executable, "-c", "from wayline.cli import main; main()", "budgets", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.replace("│", " ").split())


async def test_the_command_shows_gives_back_and_writes_down_who_and_why(js: JetStreamContext, url: str) -> None:
    await bus.ensure_stream(js, audit_stream(max_bytes=1 << 20, max_age_seconds=3_600), 1)
    plan = a_plan(**LIMITS)
    async with replica(url, plan) as budgets:
        chosen(budgets, plan, "a", 7, now_utc())
        await heard(budgets)
    code, said, _ = await run("show", "--nats", url)
    assert code == 0
    assert "a │ in total │ 7 │ 10 │ 3" in said
    options = ("--nats", url, "--as", "ada")
    code, said, wrong = await run("reset", "a", "--total", "--reason", "INC-17", *options)
    assert (code, said) == (0, "a: 7 given back, in total."), wrong
    for arguments, words in (
        (("reset", "a", "--reason", "INC-17"), "say what begins anew: --total, --today, or both"),
        (("reset", "a", "--total", "--reason", " "), "--reason: expected 1 to 200 printable characters"),
        (("reset", "a", "--today", "--reason", "x"), "the budget of 'a' has no limit of this kind: today"),
        (("reset", "c", "--total", "--reason", "x"), "the action 'c' has no budget"),
    ):
        code, _, wrong = await run(*arguments, *options)
        assert code != 0
        assert words in wrong
    async with bus.connect(url, "reader") as client:
        written = [line.entry async for line in entries(client)]
    assert [(one.outcome, dict(one.facts)) for one in written] == [("begun", {"total": "7"}), ("done", {"total": "7"})]
    assert {(one.action, one.subject, one.actor, one.reason) for one in written} == {
        ("budget.reset", "budget:a", "ada", "INC-17")
    }
