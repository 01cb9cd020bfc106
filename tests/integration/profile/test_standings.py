"""Audiences and stages in a real store: by events, by time that passes, by merges, under another catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.audiences import CATALOG, Customers, summary
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, identify, page, track

from wayline.catalog.load import load_text
from wayline.identity import identity_key
from wayline.v1 import audiences_pb2, events_pb2
from wayline_profile import due
from wayline_profile.core.changes import Commit
from wayline_profile.core.values import reading_of
from wayline_profile.due import fingerprint_of
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.records import DUE, STANDING
from wayline_profile.store.rocksdb import RocksProfileStore


@pytest.fixture(params=["rocksdb", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Customers]:
    """Nobody has been there yet."""
    if request.param == "rocksdb":
        customers = Customers(lambda: RocksProfileStore(tmp_path), NOON_MS)
    else:
        url = request.getfixturevalue("postgres_server").new_database()
        customers = Customers(lambda: PostgresProfileStore(url), NOON_MS)
    yield customers
    customers.store.close()


async def test_an_event_makes_a_member_at_once(shop: Customers) -> None:
    await shop.fold(track("Order Completed", user="ada"), track("Product Viewed", user="bob"))
    assert shop.members("buyers") == {identity_key("user_id", "ada").hex()}
    assert summary(shop.untold()) == [("entered", "buyers")]


async def test_a_second_order_changes_nothing(shop: Customers) -> None:
    await shop.fold(track("Order Completed", user="ada"))
    shop.now_ms += HOUR_MS
    await shop.fold(track("Order Completed", user="ada"))
    assert shop.standing("ada").audiences["buyers"] == NOON_MS
    assert len(shop.untold()) == 1


async def test_time_alone_makes_a_member_and_a_visit_ends_it(shop: Customers) -> None:
    await shop.fold(page(user="ada"))
    for days, members in ((0, 0), (13, 0), (14, 1), (100, 1)):
        shop.now_ms = NOON_MS + days * DAY_MS
        await shop.judge_all()
        assert len(shop.members("lapsed")) == members, days
    await shop.fold(page(user="ada", at_ms=shop.now_ms))
    assert shop.members("lapsed") == set()
    entered, left = shop.untold()
    assert (entered.cause, left.cause) == (audiences_pb2.CHANGE_CAUSE_TIME, audiences_pb2.CHANGE_CAUSE_EVENT)
    assert (entered.at.ToMilliseconds(), left.seconds) == (NOON_MS + 14 * DAY_MS, 86 * DAY_MS // 1_000)


async def test_a_visit_puts_the_time_off_without_a_write(shop: Customers) -> None:
    await shop.fold(page(user="ada"))
    (row,) = shop.store.scan(DUE, at_most=10)
    await shop.fold(page(user="ada", at_ms=NOON_MS + HOUR_MS))
    assert shop.store.scan(DUE, at_most=10) == [row]
    shop.now_ms = NOON_MS + DAY_MS
    assert await shop.judge_all() == 0
    (later,) = shop.store.scan(DUE, at_most=10)
    assert later > row


async def test_who_became_a_member_by_time_gets_a_new_view(shop: Customers) -> None:
    await shop.fold(page(user="ada"), page(user="bob"))
    shop.now_ms += 20 * DAY_MS
    views = await shop.rejudging.turn(shop.reading)
    assert views is not None
    assert [shop.reading.schema.traits.FromString(view.traits).lapsed for view in views] == [True, True]


async def test_those_who_are_due_longest_come_first_and_a_turn_is_bounded(
    shop: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "AT_MOST", 2)
    for number in range(5):
        await shop.fold(page(user=f"user-{number}", at_ms=NOON_MS + number * HOUR_MS))
    shop.now_ms += 20 * DAY_MS
    keys = [identity_key("user_id", f"user-{number}").hex() for number in range(5)]
    for expected in (2, 4, 5):
        await shop.rejudging.turn(shop.reading)
        assert shop.members("lapsed") == set(keys[:expected])


async def test_a_visitor_who_becomes_a_customer_takes_the_membership_along(shop: Customers) -> None:
    await shop.fold(track("Order Completed", browser="b"))
    shop.now_ms += HOUR_MS
    await shop.fold(identify(user="ada", browser="b"))
    assert dict(shop.standing("ada").audiences) == {"buyers": NOON_MS}
    visitor, ada = identity_key("anonymous_id", "b").hex(), identity_key("user_id", "ada").hex()
    assert shop.members("buyers") == {ada}
    assert [(one.profile_id, one.successor_id) for one in shop.untold()] == [(visitor, ""), (visitor, ada), (ada, "")]
    assert summary(shop.untold()) == [("entered", "buyers"), ("exited", "buyers"), ("entered", "buyers")]


def control(kind: events_pb2.EventType, at_ms: int, **fields: Any) -> events_pb2.Event:
    """An event of the profile service itself."""
    event = events_pb2.Event(message_id=f"control-{at_ms}", type=kind, **fields)
    event.timestamp.FromMilliseconds(at_ms)
    event.received_at.FromMilliseconds(at_ms)
    return event


async def test_two_who_are_taken_apart_each_belong_where_they_belong(shop: Customers) -> None:
    visitor, ada = identity_key("anonymous_id", "b"), identity_key("user_id", "ada")
    await shop.fold(track("Order Completed", browser="b"))
    await shop.fold(identify(user="ada", browser="b"))
    apart = events_pb2.Ruling(one=ada, other=visitor, apart=True)
    shop.now_ms += HOUR_MS
    await shop.fold(control(events_pb2.EVENT_TYPE_RULING, shop.now_ms, ruling=apart))
    assert shop.members("buyers") == {visitor.hex()}
    told = [(one.profile_id, one.kind) for one in shop.untold()[-2:]]
    assert told == sorted(
        [(ada.hex(), audiences_pb2.CHANGE_KIND_EXITED), (visitor.hex(), audiences_pb2.CHANGE_KIND_ENTERED)]
    )


async def test_who_is_erased_leaves_everything(shop: Customers) -> None:
    shop.use(CATALOG + "lifecycle: default\n")
    await shop.fold(track("Order Completed", user="ada"))
    erasure = events_pb2.Erasure(erasure_id="e", identity_keys=[identity_key("user_id", "ada")])
    await shop.fold(control(events_pb2.EVENT_TYPE_ERASURE, NOON_MS + 1, erasure=erasure))
    assert [shop.store.scan(kind, at_most=10) for kind in (STANDING, DUE)] == [[], []]
    assert summary(shop.untold()[-2:]) == [("exited", "buyers"), ("stage", "customer>")]


async def test_whose_processing_is_restricted_belongs_nowhere_until_it_is_released(shop: Customers) -> None:
    await shop.fold(track("Order Completed", user="ada"))
    for number, restricted in enumerate((True, False), 1):
        word = events_pb2.Restriction(identity_key=identity_key("user_id", "ada"), restricted=restricted)
        await shop.fold(control(events_pb2.EVENT_TYPE_RESTRICTION, NOON_MS + number, restriction=word))
        assert len(shop.members("buyers")) == number - 1


async def test_nothing_is_left_of_an_id_that_is_gone(shop: Customers) -> None:
    await shop.fold(track("Order Completed", browser="b"))
    await shop.fold(identify(user="ada", browser="b"))
    assert [key.hex() for key, _ in shop.store.scan(STANDING, at_most=10)] == [identity_key("user_id", "ada").hex()]


async def test_another_catalogue_judges_everybody_anew_and_goes_on_after_a_crash(
    shop: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "AT_MOST", 10)
    await shop.fold(*(track("Order Completed", user=f"user-{number}") for number in range(35)))
    await shop.judge_all()
    shop.use(CATALOG.replace("profile.orders > 0", "profile.orders > 1").replace("lapsed:", "gone:"))
    await shop.rejudging.turn(shop.reading)
    await shop.rejudging.turn(shop.reading)
    assert shop.rejudging.progress(shop.store, shop.reading).judged == 20
    shop.reopen()
    await shop.judge_all()
    so_far = shop.rejudging.progress(shop.store, shop.reading)
    assert (so_far.judged, so_far.done) == (35, True)
    assert shop.members("buyers") == set()
    assert summary(shop.untold()) == [("entered", "buyers")] * 35 + [("exited", "buyers")] * 35


async def test_an_audience_that_is_no_longer_declared_is_left_by_all(shop: Customers) -> None:
    await shop.fold(track("Order Completed", user="ada"))
    await shop.judge_all()
    shop.use("traits: {orders: {kind: count, event: Order Completed}}")
    await shop.judge_all()
    assert summary(shop.untold()) == [("entered", "buyers"), ("exited", "buyers")]
    assert shop.store.scan(STANDING, at_most=10) == []


async def test_a_catalogue_that_says_the_same_of_audiences_judges_nobody(shop: Customers) -> None:
    await shop.fold(track("Order Completed", user="ada"))
    await shop.judge_all()
    shop.use(CATALOG.replace("No visit for two weeks", "Away") + "context: {device: {}}\n")
    assert await shop.rejudging.turn(shop.reading) is None


async def test_without_audiences_nothing_is_kept(shop: Customers) -> None:
    shop.use("traits: {orders: {kind: count, event: Order Completed}}")
    await shop.fold(track("Order Completed", user="ada"))
    assert await shop.rejudging.turn(shop.reading) is None
    assert [shop.store.scan(kind, at_most=10) for kind in (STANDING, DUE, "judging")] == [[], [], []]


async def test_the_default_lifecycle_follows_a_customer_to_the_end(shop: Customers) -> None:
    shop.use("lifecycle: default")
    await shop.fold(page(user="ada"))
    await shop.fold(*(track("Product Viewed", user="ada") for _ in range(3)))
    await shop.fold(track("Product Added", user="ada"))
    await shop.fold(track("Order Completed", user="ada"))
    await shop.fold(*(track("Order Completed", user="ada") for _ in range(2)))
    for days in (60, 180):
        shop.now_ms = NOON_MS + days * DAY_MS
        await shop.judge_all()
    told = [(one.from_stage, one.to_stage, one.seconds) for one in shop.untold()]
    assert [stage for _, stage, _ in told] == [
        "aware", "considering", "buying", "customer", "loyal", "at_risk", "lost",
    ]  # fmt: skip
    assert told[-2:] == [
        ("loyal", "at_risk", 60 * DAY_MS // 1_000), ("at_risk", "lost", 120 * DAY_MS // 1_000),
    ]  # fmt: skip


async def test_the_changes_of_a_customer_stay_in_order_though_another_process_has_an_older_clock(
    shop: Customers,
) -> None:
    await shop.fold(page(user="ada"))
    shop.now_ms += 20 * DAY_MS
    await shop.judge_all()
    shop.reopen()
    shop.now_ms -= 2_000
    await shop.fold(page(user="ada", at_ms=shop.now_ms))
    assert summary(shop.untold()) == [("entered", "lapsed"), ("exited", "lapsed")]


async def test_a_change_is_told_after_the_one_before_though_the_clock_stands_still(shop: Customers) -> None:
    shop.use("lifecycle: default")
    await shop.fold(page(user="ada"))
    await shop.fold(track("Product Added", user="ada"))
    await shop.fold(track("Order Completed", user="ada"))
    assert summary(shop.untold()) == [("stage", ">aware"), ("stage", "aware>buying"), ("stage", "buying>customer")]
    ids = [one.change_id for one in shop.untold()]
    assert ids == sorted(set(ids))


async def test_time_judges_by_what_audiences_read_and_by_nothing_else(shop: Customers) -> None:
    shop.use(
        "traits: {orders: {kind: count, event: Order Completed}, away: {kind: recency, event: page, unit: minutes}}\n"
        "audiences: {buyers: profile.orders > 0}"
    )
    await shop.fold(page(user="ada"), track("Order Completed", user="ada"))
    assert shop.members("buyers")
    assert shop.store.scan(DUE, at_most=10) == []


CONSENTED = """
purposes:
  ads: {sale_or_sharing: true}
  email: {default: granted}
  profiling: {}
traits:
  orders: {kind: count, event: Order Completed}
audiences:
  buyers: {rule: profile.orders > 0, purpose: profiling}
  keen: profile.buyers && profile.orders > 1
"""


async def test_who_does_not_allow_the_purpose_of_an_audience_is_no_member(shop: Customers) -> None:
    shop.use(CONSENTED)
    orders = [track("Order Completed", user="ada", message_id=f"order-{number}") for number in range(2)]
    await shop.fold(*orders)
    assert (shop.members("buyers"), shop.members("keen")) == (set(), set())
    await shop.fold(track("Yes", user="ada", at_ms=NOON_MS + 1, consent={"profiling": True}))
    assert len(shop.members("buyers")) == len(shop.members("keen")) == 1
    await shop.fold(track("No", user="ada", at_ms=NOON_MS + 2, consent={"profiling": False}))
    assert (shop.members("buyers"), shop.members("keen")) == (set(), set())
    told = ["entered", "entered", "exited", "exited"]
    assert [kind for kind, _ in summary(shop.untold())] == told


async def test_a_purpose_that_says_something_else_now_is_judged_for_all(shop: Customers) -> None:
    shop.use(CONSENTED)
    await shop.fold(track("Order Completed", user="ada"))
    await shop.judge_all()
    shop.use(CONSENTED.replace("profiling: {}", "profiling: {default: granted}"))
    await shop.judge_all()
    assert len(shop.members("buyers")) == 1
    shop.use(CONSENTED)
    await shop.judge_all()
    assert shop.members("buyers") == set()


async def test_a_change_says_which_purposes_the_customer_allows_then(shop: Customers) -> None:
    shop.use(CONSENTED)
    await shop.fold(track("Order Completed", user="ada", consent={"profiling": True, "ads": True}))
    await shop.fold(track("No", user="ada", at_ms=NOON_MS + 1, consent={"profiling": False, "email": False}))
    assert [list(one.allowed_purposes) for one in shop.untold()] == [["ads", "email", "profiling"], ["ads"]]


async def test_of_a_customer_under_restriction_no_purpose_is_told(shop: Customers) -> None:
    shop.use(CONSENTED)
    await shop.fold(track("Order Completed", user="ada", consent={"profiling": True}))
    ada = identity_key("user_id", "ada")
    held = shop.store.profiles_of([ada])[ada.hex()]
    held.restricted.holds = True
    commit = Commit(profiles={ada.hex(): held})
    shop.standings.add_to(commit, commit.profiles, shop.reading, shop.now_ms, source=shop.store)
    shop.store.commit(commit)
    assert (shop.untold()[-1].kind, list(shop.untold()[-1].allowed_purposes)) == (audiences_pb2.CHANGE_KIND_EXITED, [])


async def test_who_was_judged_by_a_clock_that_is_behind_is_looked_at_again_too(shop: Customers) -> None:
    await shop.fold(page(user="ada"))
    shop.now_ms += 20 * DAY_MS
    await shop.judge_all()
    # A process whose clock is five days behind has folded this: its time lies before what was taken last.
    shop.now_ms -= 19 * DAY_MS
    await shop.fold(page(user="bob", at_ms=NOON_MS - 5 * DAY_MS))
    shop.now_ms += 19 * DAY_MS + HOUR_MS
    await shop.judge_all()
    assert identity_key("user_id", "bob").hex() in shop.members("lapsed")


FAVOURITE = """
traits:
  colours: {kind: affinity, event: Product Viewed, property: colour, half_life: 30d}
  favourite: {kind: top, of: colours, min_weight: 5}
audiences:
  reds: profile.favourite == "red"
"""


def test_audiences_depend_on_the_affinity_behind_a_favourite() -> None:
    before, after = (
        fingerprint_of(reading_of(load_text(text))) for text in (FAVOURITE, FAVOURITE.replace("30d", "60d"))
    )
    assert before != after
