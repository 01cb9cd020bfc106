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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nats
import psutil
from tests.support.catalogs import GOOD
from tests.support.standins import alive, eventually

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.examples import example_path
from wayline.catalog.load import load
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
    assert told.decode().endswith('with --port-base N (N to N+4); with make: make run ARGS="--port-base N"\n')


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


async def test_an_example_is_applied_where_there_is_no_catalogue_yet_and_once_only(tmp_path: Path):
    for _ in range(2):
        async with up(tmp_path, "--example", "shoe-shop") as (process, said):
            assert said["catalog_revision"] == 1
            assert await end(process) == ""


async def test_an_example_does_not_take_the_place_of_a_catalogue_nor_does_its_customer_join_the_others(tmp_path: Path):
    own = GOOD / "one_file.yaml"
    async with up(tmp_path, "--catalog", str(own)) as (process, said):
        assert said["catalog_revision"] == 1
        await end(process)
    async with up(tmp_path, "--example", "shoe-shop", "--demo") as (process, said):
        assert said["catalog_revision"] == 1
        assert process.stderr
        kept, left_out, on = [(await process.stderr.readline()).decode() for _ in range(3)]
        _, shown, _ = await asked("catalog", "show", "--json", "--nats", said["addresses"]["nats"])
        await end(process)
    assert kept.startswith("Catalogue revision 1 goes on serving: it is not the example shoe-shop")
    assert kept.endswith("To apply it all the same: wayline catalog apply shared/wayline/examples/shoe_shop\n")
    assert left_out.startswith("The demo's journey is left out: it belongs to the shoe shop")
    assert on == "Everything runs on. Stop it with Ctrl-C.\n"
    assert json.loads(shown) == {
        "revision": 1,
        "catalog": load(own).model_dump(mode="json", exclude_unset=True, by_alias=True),
    }


async def test_a_catalogue_that_is_asked_for_takes_the_place_of_the_one_before(tmp_path: Path):
    for catalog, revision in ((GOOD / "one_file.yaml", 1), (example_path("shoe-shop"), 2)):
        async with up(tmp_path, "--catalog", str(catalog)) as (process, said):
            assert said["catalog_revision"] == revision
            await end(process)


async def test_a_catalogue_that_cannot_be_read_stays_until_somebody_applies_another(tmp_path: Path):
    async with up(tmp_path, "--example", "shoe-shop") as (process, said):
        client = await nats.connect(said["addresses"]["nats"])
        await (await client.jetstream().key_value(CATALOG_BUCKET)).put("revision.1", b"of a later version")
        await client.close()
        await end(process)
    async with up(tmp_path, "--example", "shoe-shop") as (process, said):
        assert said["catalog_revision"] == 1
        told = await end(process)
    assert told.startswith("catalogue revision 1 cannot be read")
    assert told.endswith("Apply another with: wayline catalog apply DIR\n")


async def test_without_a_catalogue_a_person_is_told_how_to_apply_one(tmp_path: Path):
    told = await shown_by_up(tmp_path)
    assert "There is no catalogue yet, so nothing can be decided." in told
    assert "The example shop: wayline catalog apply shared/wayline/examples/shoe_shop\n" in told


async def test_whoever_does_not_find_wayline_on_the_path_is_told_once_how_to_put_it_there(tmp_path: Path):
    beside = Path(sys.executable).parent
    hint = f"/{beside.name}/activate\n"
    assert (await shown_by_up(tmp_path, PATH="/usr/bin:/bin")).count(hint) == 1
    assert hint not in await shown_by_up(tmp_path, PATH=f"{beside}:/usr/bin:/bin")


async def test_a_service_that_cannot_be_reached_is_named_with_its_address():
    port = free_base()
    code, _, told = await asked("decisions", "show", "ab", "--decision", f"127.0.0.1:{port}")
    assert code == 1
    assert told.startswith(f"the decision service at 127.0.0.1:{port} cannot be reached (Connection refused). ")


async def test_nats_that_cannot_be_reached_is_named_by_its_address_without_the_password():
    port = free_base()
    code, _, told = await asked("catalog", "show", "--nats", f"nats://ada:secret@127.0.0.1:{port}")
    assert code == 1
    assert told.startswith(f"cannot reach NATS at 127.0.0.1:{port}. Is Wayline running? ")


async def test_the_demo_without_a_system_says_at_once_where_nothing_answers():
    port = free_base()
    code, _, told = await asked("demo", "--ingestion", f"127.0.0.1:{port}")
    assert code == 1
    assert told.startswith(f"cannot reach ingestion at 127.0.0.1:{port}. Start Wayline with: make run ")
    assert len(told.splitlines()) == 1


async def test_the_first_decision_without_a_system_says_in_one_line_where_nothing_answers():
    port = free_base()
    program = (ROOT / "examples" / "first_decision.py").read_text().replace("127.0.0.1:7001", f"127.0.0.1:{port}")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode() == f"Nothing answers at 127.0.0.1:{port}. Start Wayline with: make run\n"


async def test_the_program_says_its_version():
    assert await asked("--version") == (0, f"wayline {version('wayline')}\n", "")


async def asked(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output, and what was said on standard error."""
    process = await run(*arguments)
    answer, told = await process.communicate()
    return process.returncode, answer.decode(), told.decode()


async def end(process: asyncio.subprocess.Process) -> str:
    """Ctrl-C; what was said on standard error and not read before."""
    process.send_signal(signal.SIGINT)
    return (await process.communicate())[1].decode()


async def shown_by_up(data: Path, **variables: str) -> str:
    """What a person sees until the start is over."""
    process = await run("up", "--data", str(data), "--port-base", str(free_base()), **variables)
    assert process.stdout
    try:
        return (await process.stdout.readuntil(b"Stop with Ctrl-C.")).decode()
    finally:
        await end(process)
