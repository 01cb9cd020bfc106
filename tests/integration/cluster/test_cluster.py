"""The supervisor with a real NATS server and stand-ins for the services."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import nats
import psutil
import pytest
from tests.support.standins import COMMANDS, alive, eventually

from wayline.cluster import NATS, Cluster, ClusterError, ClusterEvent, DataInUse, Ports, PortTaken, StartFailed, child
from wayline.health import probe, probe_nats

TWO = ("ingestion", "profile")
RUN = Path(__file__).parents[2] / "support" / "cluster_run.py"


def two(data: Path, **options: object) -> Cluster:
    return Cluster(data, services=TWO, commands=COMMANDS, **options)  # type: ignore[arg-type]


async def test_everything_is_well_once_the_cluster_is_entered(tmp_path: Path):
    async with Cluster(tmp_path, commands=COMMANDS) as cluster:
        at = cluster.addresses
        assert (await probe_nats(at.nats)).healthy
        for address in (at.ingestion, at.profile, at.prediction, at.decision):
            assert (await probe(address)).healthy


async def test_a_killed_service_is_started_again_at_its_address(tmp_path: Path):
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        first = cluster.pid("profile")
        cluster.kill("profile")
        await cluster.wait_healthy("profile")
        assert cluster.pid("profile") != first
        assert (cluster.restarts("profile"), cluster.restarts("ingestion")) == (1, 0)
        assert (await probe(cluster.addresses.profile)).healthy
    died = [event for event in events if event.kind == "died"]
    assert [(event.name, event.detail) for event in died] == [
        ("profile", "ended by signal SIGKILL; starts again in 0.1 s")
    ]


async def test_deaths_in_a_row_are_followed_by_longer_and_longer_pauses(tmp_path: Path):
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        for _ in range(3):
            cluster.kill("profile")
            await cluster.wait_healthy("profile")
    pauses = [event.detail.rpartition(" in ")[2] for event in events if event.kind == "died"]
    assert pauses == ["0.1 s", "0.2 s", "0.4 s"]


async def test_a_steady_life_makes_the_next_pause_short_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "STEADY_SECONDS", 0.0)
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        for _ in range(2):
            cluster.kill("profile")
            await cluster.wait_healthy("profile")
    assert [event.detail[-5:] for event in events if event.kind == "died"] == ["0.1 s", "0.1 s"]


async def test_a_killed_nats_server_comes_back_with_what_it_stored(tmp_path: Path):
    async with two(tmp_path) as cluster:
        await store(cluster, b"kept")
        cluster.kill(NATS)
        await cluster.wait_healthy()
        assert await stored(cluster) == b"kept"
        assert [cluster.restarts(name) for name in (NATS, *TWO)] == [1, 0, 0]


async def test_a_second_start_goes_on_with_the_same_data(tmp_path: Path):
    async with two(tmp_path, sync="always") as cluster:
        await store(cluster, b"kept")
    async with two(tmp_path) as cluster:
        assert await stored(cluster) == b"kept"


async def test_leaving_stops_services_before_nats_and_leaves_no_process(tmp_path: Path):
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        pids = [cluster.pid(name) for name in (NATS, *TWO)]
        assert alive(pids) == pids
    assert alive(pids) == []
    assert [event.name for event in events if event.kind == "stopped"] == ["profile", "ingestion", NATS]
    assert '"event": "stopped"' in cluster.log("profile").read_text()
    await cluster.stop()  # twice is safe
    with pytest.raises(ClusterError, match="profile does not run"):
        cluster.pid("profile")


async def test_a_process_that_does_not_heed_sigterm_is_killed_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(child, "GRACE_SECONDS", 0.1)
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        pid = cluster.pid("profile")
        cluster.kill("profile", signal.SIGSTOP)
    assert alive([pid]) == []
    # On a busy machine the other may not make it within so short a grace either.
    assert "profile" in [event.name for event in events if event.kind == "warning"]


async def test_a_process_that_is_between_two_lives_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "FIRST_DELAY_SECONDS", 1e6)
    monkeypatch.setattr(child, "LAST_DELAY_SECONDS", 1e6)
    events: list[ClusterEvent] = []
    async with two(tmp_path, on_event=events.append) as cluster:
        cluster.kill("profile")
        await eventually(lambda: any(event.kind == "died" for event in events), "the death is noticed")
    assert cluster.restarts("profile") == 0


async def test_a_service_that_cannot_start_ends_the_start_with_the_end_of_its_log(tmp_path: Path):
    events: list[ClusterEvent] = []
    cluster = two(tmp_path, env={"STANDIN_FAIL": "profile"}, on_event=events.append)
    with pytest.raises(StartFailed, match=r"(?s)profile ended with exit code 1; its log is .*was told to fail"):
        await cluster.__aenter__()
    started = [event.pid for event in events if event.kind == "started" and event.pid]
    assert len([event for event in events if event.kind == "started" and event.name == "profile"]) == 3
    assert alive(started) == []


async def test_a_program_that_is_not_there_is_named(tmp_path: Path):
    cluster = Cluster(tmp_path, services=("profile",), commands={"profile": ("no-such-program",)})
    with pytest.raises(StartFailed, match="cannot run no-such-program: No such file"):
        await cluster.__aenter__()


async def test_a_service_that_never_becomes_well_is_not_waited_for_for_ever(tmp_path: Path):
    async with two(tmp_path) as cluster:
        cluster.kill("ingestion")
        with pytest.raises(StartFailed, match="ingestion is not healthy after 0 s"):
            await cluster.wait_healthy("ingestion", timeout_seconds=0)


async def test_two_supervisors_do_not_share_a_data_directory(tmp_path: Path):
    async with two(tmp_path) as cluster:
        with pytest.raises(DataInUse, match=f"in use by process {os.getpid()}"):
            await two(tmp_path).__aenter__()
        assert (await probe(cluster.addresses.profile)).healthy


async def test_a_taken_port_stops_the_start_before_anything_runs(tmp_path: Path):
    async with two(tmp_path / "first") as cluster:
        taken = int(cluster.addresses.profile.rpartition(":")[2])
        events: list[ClusterEvent] = []
        second = two(tmp_path / "second", ports=Ports(nats=taken), on_event=events.append)
        with pytest.raises(PortTaken, match=f"port {taken}"):
            await second.__aenter__()
        assert events == []


async def test_every_process_has_a_log_and_the_last_run_keeps_its_own(tmp_path: Path):
    for _ in range(2):
        async with two(tmp_path):
            pass
    for name in (NATS, *TWO):
        assert (tmp_path / "logs" / f"{name}.log").stat().st_size
        assert (tmp_path / "logs" / f"{name}.log.1").stat().st_size


@pytest.mark.skipif(sys.platform != "linux", reason="processors are assigned on Linux only")
async def test_a_process_keeps_to_its_processors(tmp_path: Path):
    everywhere = os.sched_getaffinity(0)
    one = {max(everywhere)}
    async with two(tmp_path, cpus={"profile": one}) as cluster:
        assert set(psutil.Process(cluster.pid("profile")).cpu_affinity()) == one
        assert set(psutil.Process(cluster.pid("ingestion")).cpu_affinity()) == everywhere


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
async def test_processes_end_with_a_supervisor_that_is_killed(tmp_path: Path):
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(RUN), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(RUN.parents[2])},
    )
    assert supervisor.stdout
    pids = json.loads(await supervisor.stdout.readline())
    assert alive(pids) == pids
    supervisor.kill()
    await supervisor.communicate()
    await eventually(lambda: not alive(pids), "no process is left")
    async with two(tmp_path):  # the lock, the ports and the stores are free
        pass


async def store(cluster: Cluster, data: bytes) -> None:
    client = await nats.connect(cluster.addresses.nats)
    js = client.jetstream()
    await js.add_stream(name="KEPT", subjects=["kept"])
    await js.publish("kept", data)
    await client.close()


async def stored(cluster: Cluster) -> bytes | None:
    client = await nats.connect(cluster.addresses.nats)
    message = await client.jetstream().get_last_msg("KEPT", "kept")
    await client.close()
    return message.data
