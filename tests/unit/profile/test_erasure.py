"""What an erasure changes, and which events are left out after it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import NOON_MS, identify, restriction, ruling, track
from tests.support.identity import World

from wayline.identity import identity_key
from wayline.v1 import events_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read, TimelineRow
from wayline_profile.core.erasure import FOR_EVER, Bars, discard, discarded_sequence, erase, outlives
from wayline_profile.core.records import DISCARDED, ERASURE, STRAND, SUPPRESSED
from wayline_profile.privacy.handlers import keys_of

ADA, BOB = identity_key("user_id", "ada"), identity_key("user_id", "bob")
Erasure = events_pb2.Erasure


def event_at(received_ms: int) -> events_pb2.Event:
    event = track("Viewed", user="ada")
    event.received_at.FromMilliseconds(received_ms)
    return event


def an_erasure(until_ms: int = 0, *keys: bytes) -> Erasure:
    return Erasure(erasure_id="e1", identity_keys=keys or [ADA], received_until_ms=until_ms)


def received(erasure: Erasure, received_ms: int = NOON_MS) -> events_pb2.Event:
    event = events_pb2.Event(type=events_pb2.EVENT_TYPE_ERASURE, erasure=erasure)
    event.received_at.FromMilliseconds(received_ms)
    return event


def a_readmission(since_ms: int, at_ms: int) -> events_pb2.Event:
    return received(Erasure(identity_keys=[ADA], readmits_since_ms=since_ms), at_ms)


def test_events_of_a_suppressed_customer_are_barred_for_ever():
    bars, commit = Bars({}), Commit()
    bars.add(received(an_erasure()), commit)
    assert bars.bars([BOB, ADA], event_at(NOON_MS * 2))
    assert not bars.bars([BOB], event_at(NOON_MS))
    assert commit.records.keys() == {(SUPPRESSED, ADA)}


def test_a_customer_who_may_return_is_barred_up_to_the_erasure():
    bars = Bars({})
    bars.add(received(an_erasure(NOON_MS)), Commit())
    assert bars.bars([ADA], event_at(NOON_MS))
    assert not bars.bars([ADA], event_at(NOON_MS + 1))


@given(st.lists(st.sampled_from([0, NOON_MS - 5, NOON_MS, NOON_MS + 5]), min_size=1, max_size=6))
def test_of_several_erasures_the_widest_counts_in_whatever_order_and_batches(untils: list[int]):
    together, apart, records = Bars({}), Commit(), Commit()
    for until in untils:
        together.add(received(an_erasure(until)), records)
        held = {key: value for (_, key), value in apart.records.items() if value is not None}
        Bars(held).add(received(an_erasure(until)), apart)
    assert records.records == apart.records
    widest = max(until or FOR_EVER for until in untils)
    assert together.bars([ADA], event_at(min(widest, NOON_MS + 5)))


def test_who_is_readmitted_is_barred_up_to_then_only():
    bars = Bars({})
    for event in (received(an_erasure()), a_readmission(NOON_MS, NOON_MS + 9)):
        bars.add(event, Commit())
    assert bars.bars([ADA], event_at(NOON_MS + 9))
    assert not bars.bars([ADA], event_at(NOON_MS + 10))


def test_who_is_erased_again_after_a_readmission_is_barred_again():
    bars = Bars({})
    for event in (a_readmission(NOON_MS, NOON_MS + 9), received(an_erasure(), NOON_MS + 20), received(an_erasure())):
        bars.add(event, Commit())
    assert bars.bars([ADA], event_at(NOON_MS * 2))


@given(st.permutations([0, 20]), st.lists(st.sampled_from([9, 12, 29, 33]), max_size=4), st.randoms())
def test_erasures_and_readmissions_bar_the_same_in_whatever_order_and_batches(
    erased: list[int], readmitted: list[int], rng: random.Random
):
    events = [received(an_erasure(), NOON_MS + ms) for ms in erased]
    events += [a_readmission(NOON_MS + ms // 20 * 20, NOON_MS + ms) for ms in readmitted]
    in_order = Commit()
    bars = Bars({})
    for event in sorted(events, key=lambda one: one.received_at.ToMilliseconds()):
        bars.add(event, in_order)
    rng.shuffle(events)
    apart = Commit()
    for event in events:
        Bars({key: value for (_, key), value in apart.records.items() if value is not None}).add(event, apart)
    assert apart.records == in_order.records


def test_a_readmission_erases_nothing():
    world = World()
    world.take(track("Viewed", user="ada", at_ms=NOON_MS + 30))
    before = world.state()
    world.take(a_readmission(NOON_MS, NOON_MS + 9))
    assert world.state() == before


def test_who_comes_again_in_the_batch_that_erases_her_is_somebody_new():
    world = World()
    world.take(event_at(NOON_MS))
    returns = event_at(NOON_MS + 1)
    returns.message_id = "returns"
    world.take(received(an_erasure(NOON_MS)), returns)
    assert world.of("user_id", "ada").event_count == 1


def test_a_customer_who_was_restricted_stays_so_on_both_sides_of_an_unmerge():
    world = World()
    world.take(identify(user="ada", browser="b"), track("Viewed", user="ada"), track("Viewed", browser="b"))
    customer = world.of("user_id", "ada")
    asked = events_pb2.Identifier(kind="user_id", value="ada")
    for key in keys_of(customer, asked):
        event = restriction(("user_id", ""), restricted=True, message_id=key.hex())
        event.restriction.identity_key = key
        world.take(event)
    world.take(ruling(("user_id", "ada"), ("anonymous_id", "b"), apart=True, at_ms=NOON_MS + 1))
    one, other = world.of("user_id", "ada"), world.of("anonymous_id", "b")
    assert one != other
    assert one.restricted.holds
    assert other.restricted.holds


def test_an_end_for_age_bars_nothing_and_leaves_no_receipt():
    erasure = Erasure(identity_keys=[ADA], received_until_ms=NOON_MS)
    bars, commit = Bars({}), Commit()
    bars.add(received(erasure), commit)
    erase(Read(0, 7, events_pb2.Event(erasure=erasure), b""), [ADA.hex()], commit)
    assert not bars.bars([ADA], event_at(NOON_MS))
    assert {kind for kind, _ in commit.records} == {STRAND}


def test_who_was_seen_after_the_end_for_age_stays_and_who_asked_goes():
    seen = profile_pb2.Profile(last_seen_ms=NOON_MS + 1)
    assert outlives(seen, Erasure(identity_keys=[ADA], received_until_ms=NOON_MS))
    assert not outlives(seen, an_erasure(NOON_MS))
    assert not outlives(profile_pb2.Profile(last_seen_ms=NOON_MS), Erasure(received_until_ms=NOON_MS))


def test_all_that_is_filed_under_the_keys_goes_and_nothing_else():
    commit = Commit(timeline=[TimelineRow(key, NOON_MS, "m", 0, 1, b"") for key in (ADA, BOB)])
    erase(Read(0, 7, events_pb2.Event(erasure=an_erasure()), b""), ["aa", ADA.hex()], commit)
    assert commit.profiles == {"aa": None, ADA.hex(): None}
    assert commit.identities == {ADA: None}
    assert commit.erased == {ADA}
    assert [row.key for row in commit.timeline] == [BOB]
    assert commit.records[STRAND, ADA] is None
    pending = privacy_pb2.PendingErasure.FromString(commit.records[ERASURE, b"e1"] or b"")
    assert (pending.folded_sequence, list(pending.identity_keys)) == (7, [ADA])
    assert pending.profile_ids == sorted(["aa", ADA.hex()])


def test_a_barred_event_is_noted_by_its_sequence():
    commit = Commit()
    discard(Read(3, 4_711, event_at(0), b""), commit)
    ((kind, key),) = commit.records
    assert (kind, discarded_sequence(key)) == (DISCARDED, 4_711)
