"""The profile store on a PostgreSQL server that is shared, restarted, slow or not there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.support.events import NOON_MS, track
from tests.support.postgres import PostgresServer

from wayline.errors import Retryable, WaylineError
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.store import Conflict, PositionMoved
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.postgres_link import BadAddress, parameters_of
from wayline_profile.store.postgres_schema import STEPS, SchemaTooNew
from wayline_profile.store.postgres_writes import ReadSet, write

ADA, BOB = identity_key("user_id", "ada"), identity_key("user_id", "bob")


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


def a_commit(sequence: int, writer: str = "one") -> Commit:
    """Everything in it names its writer and its sequence."""
    message_id = f"{writer}-{sequence}"
    event = track("Viewed", user="ada", message_id=message_id)
    return Commit(
        profiles={ADA.hex(): profile_pb2.Profile(profile_id=ADA.hex(), event_count=sequence)},
        identities={ADA: ADA.hex()},
        message_ids={message_id: NOON_MS},
        timeline=[TimelineRow(ADA, NOON_MS + sequence, message_id, 0, sequence, event.SerializeToString())],
        positions={0: sequence, 1: sequence},
        folded=1,
    )


def written_in(url: str) -> tuple[dict[int, int], int, int, list[str]]:
    """Positions, events folded, events in Ada's profile, and her timeline."""
    with closing(PostgresProfileStore(url)) as store:
        timeline = [one.event.message_id for one in store.timeline([ADA], limit=100)]
        profile = store.get_many([ADA.hex()])[ADA.hex()]
        return store.positions(), store.counters().folded, profile.event_count, timeline


def password_of(url: str) -> str:
    password = urlsplit(url).password
    assert password
    return password


def test_of_two_owners_that_commit_at_the_same_moment_one_writes_all_and_the_other_nothing(url: str) -> None:
    names, winners = ["one", "two"], []
    for sequence in range(1, 21):
        stores = [PostgresProfileStore(url) for _ in names]
        barrier = threading.Barrier(2)

        def attempt(store: PostgresProfileStore, commit: Commit, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                store.commit(commit)
            except PositionMoved:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(attempt, stores, [a_commit(sequence, name) for name in names]))
        assert sorted(won) == [False, True]
        winners.append(names[won.index(True)])
        for store in stores:
            store.close()
    timeline = [f"{winner}-{sequence}" for sequence, winner in enumerate(winners, start=1)]
    assert written_in(url) == ({0: 20, 1: 20}, 20, 20, timeline[::-1])


def test_an_owner_that_was_overtaken_is_refused_even_where_it_goes_on_further(url: str) -> None:
    with closing(PostgresProfileStore(url)) as slow, closing(PostgresProfileStore(url)) as fast:
        fast.commit(a_commit(3, "fast"))
        for _ in range(2):
            with pytest.raises(PositionMoved, match="someone else has committed"):
                slow.commit(a_commit(9, "slow"))
        assert slow.seen(["slow-9", "fast-3"]) == {"fast-3"}
        fast.commit(a_commit(4, "fast"))
    assert written_in(url) == ({0: 4, 1: 4}, 2, 4, ["fast-4", "fast-3"])


def noted(store: PostgresProfileStore, kind: str) -> bytes:
    return store.records(kind, [b"key"]).get(b"key", b"")


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("profiles", Commit(profiles={ADA.hex(): profile_pb2.Profile(profile_id=ADA.hex(), event_count=9)})),
        ("profiles", Commit(profiles={ADA.hex(): None})),
        ("profiles", Commit(profiles={BOB.hex(): profile_pb2.Profile(profile_id=BOB.hex())})),
        ("identities", Commit(identities={ADA: BOB.hex()})),
        ("identities", Commit(identities={BOB: BOB.hex()})),
        ("identities", Commit(identities={ADA: None})),
        ("message ids", Commit(message_ids={"new": NOON_MS})),
        ("link", Commit(records={("link", b"there"): b"2"})),
        ("link", Commit(records={("link", b"not there"): b"1"})),
        ("link", Commit(records={("link", b"there"): None})),
    ],
    ids=str,
)
def test_a_commit_is_refused_when_another_process_has_changed_what_it_was_made_of(
    url: str, what: str, other: Commit
) -> None:
    with closing(PostgresProfileStore(url)) as slow, closing(PostgresProfileStore(url)) as fast:
        fast.commit(a_commit(1))
        fast.commit(Commit(records={("link", b"there"): b"1"}))
        slow.take_over([0])
        with slow.begin() as unit:
            unit.get_many([ADA.hex(), BOB.hex()])
            unit.resolve([ADA, BOB])
            unit.seen(["new", "one-1"])
            unit.records("link", [b"there", b"not there"])
            fast.commit(other)
            with pytest.raises(Conflict, match=what):
                unit.commit(Commit(records={("written", b"key"): b"1"}, positions={0: 2}, folded=1))
        assert noted(slow, "written") == b""
        assert slow.positions() == {0: 1, 1: 1}
        assert slow.counters().folded == 1


def test_a_commit_is_made_when_another_process_has_changed_something_else(url: str) -> None:
    with closing(PostgresProfileStore(url)) as slow, closing(PostgresProfileStore(url)) as fast:
        fast.commit(a_commit(1))
        with slow.begin() as unit:
            unit.get_many([ADA.hex()])
            unit.seen(["one-1", "new"])
            unit.records("link", [b"key"])
            fast.commit(Commit(records={("other", b"key"): b"1", ("link", b"other"): b"1"}, message_ids={"x": NOON_MS}))
            assert unit.commit(Commit(records={("written", b"key"): b"1"})) == slow.version()
        assert noted(slow, "written") == b"1"


def test_a_unit_of_work_sees_the_store_as_of_one_moment(url: str) -> None:
    with closing(PostgresProfileStore(url)) as slow, closing(PostgresProfileStore(url)) as fast:
        fast.commit(a_commit(1))
        with slow.begin() as unit:
            (profile_id,) = unit.resolve([ADA]).values()
            fast.commit(Commit(profiles={profile_id: None}, identities={ADA: BOB.hex()}))
            assert set(unit.get_many([profile_id])) == {profile_id}
            with pytest.raises(Conflict):
                unit.commit(Commit())


def test_a_unit_of_work_whose_connection_broke_begins_anew(url: str) -> None:
    with closing(PostgresProfileStore(url)) as store:
        with store.begin() as unit:
            unit.resolve([ADA])
            with psycopg.connect(url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> %s",
                    (other.info.backend_pid,),
                )
            with pytest.raises(Conflict, match="connection was lost"):
                unit.resolve([ADA])
        with store.begin() as unit:
            assert unit.resolve([ADA]) == {}
            unit.commit(a_commit(1))


def test_numbers_of_commits_that_a_crash_took_back_do_not_come_again(url: str) -> None:
    with closing(PostgresProfileStore(url)) as store:
        store.commit(a_commit(1))
        lost = store.commit(a_commit(2))
        with psycopg.connect(url) as other:
            other.execute("UPDATE wayline_profile.counters SET last_commit = 1")
        assert store.commit(a_commit(3)) > lost


def test_of_many_processes_that_count_the_same_thing_none_counts_in_vain(url: str) -> None:
    processes, each = 4, 10

    def count(_: int) -> int:
        conflicts = made = 0
        with closing(PostgresProfileStore(url)) as store:
            while made < each:
                with store.begin() as unit:
                    so_far = int(unit.records("count", [b"key"]).get(b"key", b"0"))
                    try:
                        unit.commit(Commit(records={("count", b"key"): str(so_far + 1).encode()}))
                    except Conflict:
                        conflicts += 1
                    else:
                        made += 1
        return conflicts

    with ThreadPoolExecutor(processes) as pool:
        assert sum(pool.map(count, range(processes))) > 0, "they met"
    with closing(PostgresProfileStore(url)) as store:
        assert int(noted(store, "count")) == processes * each


def test_owners_of_different_partitions_do_not_hinder_each_other(url: str) -> None:
    with closing(PostgresProfileStore(url)) as left, closing(PostgresProfileStore(url)) as right:
        for sequence in range(1, 4):
            left.commit(Commit(positions={0: sequence}, folded=1))
            right.commit(Commit(positions={1: 10 * sequence}, folded=1))
    with closing(PostgresProfileStore(url)) as store:
        assert store.positions() == {0: 3, 1: 30}
        assert store.counters().folded == 6


def test_a_store_that_went_back_to_an_older_copy_is_noticed(url: str) -> None:
    with closing(PostgresProfileStore(url)) as store:
        store.commit(a_commit(7))
        with psycopg.connect(url) as other:
            other.execute("UPDATE wayline_profile.positions SET sequence = 5")
        with pytest.raises(PositionMoved, match=r"is at \{0: 5, 1: 5\}, this process was at \{0: 7, 1: 7\}"):
            store.commit(a_commit(8))


def test_a_server_that_crashed_and_came_back_costs_a_moment_and_says_so() -> None:
    with PostgresServer() as server:
        url = server.new_database()
        with closing(PostgresProfileStore(url, sync=True)) as store:
            store.commit(a_commit(1))
            server.kill()
            server.start()
            with capture_logs() as logs:
                store.commit(a_commit(2))
            assert [one["event"] for one in logs] == ["profile_store_lost", "profile_store_back"]
            server.kill()
            server.start()
            assert store.seen(["one-1", "one-2"]) == {"one-1", "one-2"}
        assert written_in(url) == ({0: 2, 1: 2}, 2, 2, ["one-2", "one-1"])
        assert server.password not in str(logs)


def test_a_server_that_starts_later_than_wayline_is_waited_for() -> None:
    with PostgresServer() as server:
        url = server.new_database()
        server.kill()
        starting = threading.Timer(0.3, server.start)
        starting.start()
        with capture_logs() as logs, closing(PostgresProfileStore(url)) as store:
            assert store.positions() == {}
        starting.join()
        assert "profile_store_waits" in {one["event"] for one in logs}


def test_a_server_that_stays_away_is_given_up_without_a_word_of_the_password() -> None:
    with (
        PostgresServer() as server,
        closing(PostgresProfileStore(server.new_database(), timeout_seconds=0.3)) as store,
    ):
        server.kill()
        with capture_logs() as logs, pytest.raises(Retryable, match="cannot be reached") as refused:
            store.resolve([ADA])
        with pytest.raises(Retryable):
            store.commit(a_commit(1))
        assert refused.value.__suppress_context__, "a traceback would show the connection's parameters"
        assert server.password not in f"{logs} {refused.value}"
        server.start()
        store.commit(a_commit(1))


def test_a_store_that_was_closed_stays_closed(url: str) -> None:
    store = PostgresProfileStore(url)
    store.close()
    with pytest.raises(Retryable, match="closed"):
        store.resolve([ADA])


def test_a_wrong_password_is_said_and_not_shown(url: str) -> None:
    wrong = url.replace(password_of(url), "not-the-password")
    with pytest.raises(Retryable, match="password authentication failed") as refused:
        PostgresProfileStore(wrong, timeout_seconds=0.1)
    assert "not-the-password" not in str(refused.value)


def test_a_statement_that_waits_for_another_is_given_up_and_nothing_of_the_commit_is_there(url: str) -> None:
    with closing(PostgresProfileStore(url, timeout_seconds=0.3)) as store:
        store.commit(a_commit(1))
        with psycopg.connect(url) as other:
            other.execute("SELECT FROM wayline_profile.profiles FOR UPDATE")
            with pytest.raises(Retryable, match="timeout"):
                store.commit(a_commit(2))
        assert store.positions() == {0: 1, 1: 1}
        assert store.seen(["one-2"]) == set()
        store.commit(a_commit(2))
    assert written_in(url) == ({0: 2, 1: 2}, 2, 2, ["one-2", "one-1"])


class Unlucky(PostgresProfileStore):
    """Its connection breaks once, at the commit of a sequence, before it is made or after."""

    breaks_before = breaks_after = 0

    def _write(self, connection: psycopg.Connection, commit: Commit, built_on: ReadSet | None) -> int:
        sequence = commit.positions[0]
        if sequence == self.breaks_before:
            self.breaks_before = 0
            end_session(connection)
        version = super()._write(connection, commit, built_on)
        if sequence == self.breaks_after:
            self.breaks_after = 0
            end_session(connection)
            connection.execute("SELECT 1")  # what reads the answer of the commit finds the connection broken
        return version


def end_session(connection: psycopg.Connection) -> None:
    """As the server does it: the client sees it at its next statement."""
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))


def test_a_commit_whose_answer_got_lost_is_not_made_twice(url: str) -> None:
    with closing(Unlucky(url)) as store:
        store.breaks_after = 2
        store.commit(a_commit(1))
        with pytest.raises(PositionMoved):
            store.commit(a_commit(2))
    assert written_in(url) == ({0: 2, 1: 2}, 2, 2, ["one-2", "one-1"])


def test_a_commit_that_never_arrived_is_made_once(url: str) -> None:
    with closing(Unlucky(url)) as store:
        store.breaks_before = 2
        store.commit(a_commit(1))
        store.commit(a_commit(2))
    assert written_in(url) == ({0: 2, 1: 2}, 2, 2, ["one-2", "one-1"])


class Frozen(PostgresProfileStore):
    """Stands still in the middle of a commit, when it holds the positions and has written nothing."""

    def __init__(self, url: str, **fields: Any) -> None:
        self.holds, self.goes_on = threading.Event(), threading.Event()
        super().__init__(url, **fields)

    def _write(self, connection: psycopg.Connection, commit: Commit, built_on: ReadSet | None) -> int:
        return write(connection, commit, Halting(self._taken, self), built_on)


class Halting(dict[int, int]):
    """What the owner believes of positions; it looks into it when it has locked them."""

    def __init__(self, positions: dict[int, int], owner: Frozen) -> None:
        super().__init__(positions)
        self._owner = owner

    def get(self, *arguments: Any) -> Any:
        self._owner.holds.set()
        assert self._owner.goes_on.wait(20)
        return super().get(*arguments)


def test_an_owner_that_freezes_in_the_middle_of_a_commit_does_not_keep_its_successor_out(url: str) -> None:
    with (
        closing(Frozen(url, timeout_seconds=0.5)) as frozen,
        closing(PostgresProfileStore(url)) as successor,
        ThreadPoolExecutor(1) as pool,
    ):
        commit = pool.submit(frozen.commit, a_commit(9, "frozen"))
        assert frozen.holds.wait(20)
        successor.commit(a_commit(2, "successor"))
        frozen.goes_on.set()
        with pytest.raises(PositionMoved):
            commit.result()
    assert written_in(url) == ({0: 2, 1: 2}, 1, 2, ["successor-2"])


def test_stores_that_open_a_new_database_at_once_make_its_tables_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool, capture_logs() as logs:
        stores = list(pool.map(PostgresProfileStore, [url] * 8))
    for store in stores:
        assert store.positions() == {}
        store.close()
    assert [(one["event"], one["was"], one["now"]) for one in logs] == [("profile_store_schema", 0, len(STEPS))]


def test_tables_of_a_newer_wayline_are_left_alone(url: str) -> None:
    PostgresProfileStore(url).close()
    with psycopg.connect(url) as other:
        other.execute("UPDATE wayline_profile.version SET version = 99")
    with pytest.raises(SchemaTooNew, match="99"):
        PostgresProfileStore(url)


def test_a_role_that_may_not_make_tables_can_use_those_that_are_there(url: str) -> None:
    PostgresProfileStore(url).close()
    with psycopg.connect(url) as owner:
        owner.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
        owner.execute("GRANT USAGE ON SCHEMA wayline_profile TO clerk")
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA wayline_profile TO clerk")
    as_clerk = url.replace(f"wayline:{password_of(url)}", "clerk:clerk")
    with closing(PostgresProfileStore(as_clerk)) as store:
        store.commit(a_commit(1))
        assert store.sweep(message_ids_before_ms=2 * NOON_MS, timeline_before_ms=2 * NOON_MS, at_most=9) == 2


def test_what_else_is_in_the_database_is_not_touched(url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("CREATE TABLE profiles (name text)")
    with closing(PostgresProfileStore(url)) as store:
        store.commit(a_commit(1))
    with psycopg.connect(url) as other:
        assert other.execute("SELECT count(*) FROM public.profiles").fetchone() == (0,)


@pytest.mark.parametrize(
    "address",
    [
        "postgres",
        "mysql://wayline:geheim@localhost/db",
        "host=localhost password=geheim",
        "postgresql://wayline:geheim@@localhost/db",
        "postgresql://wayline:1@geheim@localhost/db",
        "postgresql://wayline:geheim/1@localhost/db",
        "postgresql://wayline:1/geheim@localhost/db",
        "postgresql://wayline:x@localhost:geheim/db",
        "postgresql://wayline:x@localhost/db?geheim=1",
        "postgresql://wayline:geheim%zz@localhost/db",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(BadAddress, match="expected postgresql://") as refused:
        parameters_of(address)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert isinstance(refused.value, WaylineError)


def test_what_the_address_says_of_waiting_goes_before_the_default() -> None:
    parameters = parameters_of("postgresql://wayline:a%40b@db:6432/shop?connect_timeout=9&sslmode=require")
    assert (parameters["password"], parameters["connect_timeout"], parameters["sslmode"]) == ("a@b", "9", "require")
    assert parameters["keepalives_idle"] > 0
