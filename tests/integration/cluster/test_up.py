"""`wayline up` and `wayline status` as a person starts them, with stand-ins for the services."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.support.standins import alive, eventually

from wayline.cluster import free_ports

ROOT = Path(__file__).parents[3]
WAYLINE = (sys.executable, "-P", str(ROOT / "tests" / "support" / "wayline_with_standins.py"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


async def run(*arguments: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(*WAYLINE, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**ENVIRONMENT, **variables},
    )


@asynccontextmanager
async def up(data: Path, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """A running `wayline up --json` and what it printed."""
    process = await run("up", "--json", "--data", str(data), "--port-base", str(free_base()), *arguments)
    try:
        assert process.stdout
        line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def free_base() -> int:
    """Five ports in a row that are free, most likely: the test fails with a clear message when they are not."""
    return free_ports().nats


async def test_up_prints_addresses_and_ends_well_on_ctrl_c(tmp_path: Path):
    async with up(tmp_path) as (process, said):
        code, status, _ = await ask_status(said["addresses"])
        assert code == 0
        assert [(row["name"], row["state"]) for row in status if row["name"] != "nats"] == [
            (name, "ready") for name in ("ingestion", "profile", "prediction", "decision")
        ]
        children = children_of(process.pid)
        assert len(children) == 5
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
        assert (process.returncode, told.decode()) == (0, "")
        assert alive(children) == []


async def test_up_ends_well_when_it_is_told_to_while_it_starts(tmp_path: Path):
    process = await run("up", "--data", str(tmp_path), "--port-base", str(free_base()))
    await eventually((tmp_path / "logs" / "nats.log").exists, "the start is on its way")
    process.send_signal(signal.SIGTERM)
    _, told = await process.communicate()
    assert (process.returncode, told.decode()) == (0, "")


async def test_a_second_ctrl_c_does_not_wait_for_a_process_that_hangs(tmp_path: Path):
    async with up(tmp_path) as (process, _):
        children = children_of(process.pid)
        before = child_of(process.pid, "decision")
        psutil.Process(child_of(process.pid, "profile")).suspend()
        process.send_signal(signal.SIGINT)
        await eventually(lambda: not alive([before]), "the stop is on its way")
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
        assert (process.returncode, told.decode()) == (0, "")  # not even the warning that the grace is over
        assert alive(children) == []


async def test_up_tells_of_a_death_and_of_the_return(tmp_path: Path):
    async with up(tmp_path) as (process, _):
        victim = child_of(process.pid, "profile")
        os.kill(victim, signal.SIGKILL)
        assert process.stderr
        assert (await process.stderr.readline()).decode() == "profile ended by signal SIGKILL; starts again in 0.1 s\n"
        assert (await process.stderr.readline()).decode().startswith("profile is well again (process ")


async def test_up_starts_as_many_decision_workers_as_it_is_told(tmp_path: Path):
    async with up(tmp_path, "--decision-workers", "3") as (process, _):
        decision = psutil.Process(child_of(process.pid, "decision"))
        assert decision.environ()["WAYLINE_DECISION_WORKERS"] == "3"


async def test_up_on_a_taken_port_says_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = await run("up", "--data", str(tmp_path), "--port-base", str(port))
        _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode().startswith(f"port {port} on 127.0.0.1, wanted for nats, is taken: ")


async def test_up_with_a_broken_service_shows_its_log(tmp_path: Path):
    process = await run("up", "--data", str(tmp_path), "--port-base", str(free_base()), STANDIN_FAIL="decision")
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode().splitlines()[-1] == "the stand-in was told to fail"


async def test_status_of_nothing_says_so_and_ends_with_1():
    ports = free_ports()
    nowhere = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    code, status, _ = await ask_status(nowhere | {"nats": f"nats://127.0.0.1:{ports.nats}"})
    assert code == 1
    assert status[1]["state"] == f"nothing answers at 127.0.0.1:{ports.ingestion}"


async def ask_status(addresses: dict[str, str]) -> tuple[int | None, list[dict[str, Any]], str]:
    options = [part for name, address in addresses.items() for part in (f"--{name}", address)]
    process = await run("status", "--json", *options)
    answer, told = await process.communicate()
    return process.returncode, json.loads(answer), told.decode()


def children_of(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def child_of(pid: int, service: str) -> int:
    """The process of one stand-in."""
    return next(child for child in children_of(pid) if psutil.Process(child).cmdline()[-1] == service)
