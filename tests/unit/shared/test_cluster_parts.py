"""The parts of the supervisor that start no process."""

from __future__ import annotations

import os
import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from wayline.cluster import Addresses, Cluster, ClusterError, DataInUse, Ports, PortTaken, free_ports
from wayline.cluster.addresses import check_free
from wayline.cluster.lock import locked
from wayline.cluster.logs import open_for_child, rotate, tail, trim
from wayline.cluster.nats_server import configuration


def test_a_port_base_gives_five_ports_in_a_row_with_nats_first():
    assert Ports.from_base(9000) == Ports(nats=9000, ingestion=9001, profile=9002, prediction=9003, decision=9004)


def test_clients_reach_a_server_that_listens_everywhere_through_loopback():
    addresses = Addresses.of("0.0.0.0", Ports())  # noqa: S104 - nothing listens
    assert (addresses.nats, addresses.decision) == ("nats://127.0.0.1:4222", "127.0.0.1:7004")


def test_an_ipv6_address_gets_brackets():
    assert Addresses.of("::1", Ports()).profile == "[::1]:7002"


def test_free_ports_differ_and_can_be_had():
    ports = free_ports()
    assert len(set(astuple(ports))) == 5
    check_free("127.0.0.1", ports, [name for name, _ in ports.items()])


def test_a_taken_port_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} .* wanted for profile, is taken: .* --port-base"):
            check_free("127.0.0.1", Ports(profile=port), ["profile"])


def test_the_port_of_a_service_that_is_not_started_may_be_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = free_ports()
        check_free("127.0.0.1", Ports(nats=ports.nats, profile=other.getsockname()[1]), ["nats"])


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ClusterError, match=r"192\.0\.2\.1: it is no address of this machine"):
        free_ports("192.0.2.1")


def test_an_unknown_service_is_refused_with_the_known_ones(tmp_path: Path):
    with pytest.raises(ClusterError, match="unknown service gateway: expected some of ingestion, profile"):
        Cluster(tmp_path, services=("ingestion", "gateway"))


def test_a_data_directory_has_one_owner_who_is_named_to_the_second(tmp_path: Path):
    with (
        locked(tmp_path),
        pytest.raises(DataInUse, match=f"in use by process {os.getpid()}: .* --data"),
        locked(tmp_path),
    ):
        pass


def test_a_data_directory_is_free_again_after_its_owner(tmp_path: Path):
    with locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_nats_syncs_before_it_acknowledges_only_when_told(tmp_path: Path):
    assert "sync_interval: always" in configuration("127.0.0.1", 4222, tmp_path, "always")
    assert "sync_interval" not in configuration("127.0.0.1", 4222, tmp_path, "periodic")


def test_a_log_that_grew_too_large_is_moved_while_its_process_goes_on_writing(tmp_path: Path):
    log = tmp_path / "profile.log"
    descriptor = open_for_child(log)
    os.write(descriptor, b"old line\n" * 20)
    assert trim(log, max_bytes=100)
    os.write(descriptor, b"new line\n")
    os.close(descriptor)
    assert log.read_text() == "new line\n"
    assert (tmp_path / "profile.log.1").read_text() == "old line\n" * 20


def test_a_log_within_its_size_or_not_there_yet_is_left_alone(tmp_path: Path):
    log = tmp_path / "profile.log"
    assert not trim(log)
    log.write_text("a line\n")
    assert not trim(log)
    assert log.read_text() == "a line\n"


def test_the_log_of_the_last_run_is_kept_once(tmp_path: Path):
    log = tmp_path / "profile.log"
    for run in ("first", "second"):
        rotate(log)
        log.write_text(run)
    rotate(log)
    assert not log.exists()
    assert (tmp_path / "profile.log.1").read_text() == "second"


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path):
    log = tmp_path / "profile.log"
    assert tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(5_000)))
    assert tail(log, lines=2) == "line 4998\nline 4999"
