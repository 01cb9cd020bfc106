"""Whom messages are about, what receipts say and prove, and what may stand in the audit log."""

from __future__ import annotations

import json
import stat
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import a_catalog, an_action
from tests.support.events import NOON_MS, alias, identify, track
from tests.support.records import a_record

from wayline.audit import Anchor
from wayline.errors import InvalidField, Precondition
from wayline.identifiers import IdentityRules
from wayline.identity import identity_key
from wayline.receipts import verify
from wayline.v1 import audiences_pb2, decision_pb2, events_pb2, ingestion_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.changes import Filed
from wayline_profile.privacy import finding
from wayline_profile.privacy.export import timeline
from wayline_profile.privacy.receipt import ranges, receipt_of
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.witness import check_reason
from wayline_profile.store.keys import place_of

RULES = IdentityRules()
ADA = identity_key("user_id", "ada")
EMAIL = identity_key("email", "ada@example.org")
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


def found(event: events_pb2.Event) -> set[bytes]:
    return finding.in_event(event.SerializeToString(), RULES)


def test_an_event_is_about_all_whom_it_names():
    named = {ADA, EMAIL, identity_key("anonymous_id", "b-17")}
    assert named <= found(identify({"email": "Ada@Example.ORG"}, user="ada", browser="b-17"))
    assert identity_key("anonymous_id", "before") in found(alias("ada", "before"))


@pytest.mark.parametrize(
    "properties",
    [{"to": "ada@example.org"}, {"a": {"b": ["x", {"c": " ADA@example.org "}]}}, {"list": ["ada@example.org"]}],
)
def test_an_address_is_found_wherever_it_stands(properties: dict[str, Any]):
    assert EMAIL in found(track("Invited", properties, user="bob"))


def test_a_short_text_is_no_mention():
    assert identity_key("anonymous_id", "b-17") not in found(track("Viewed", {"size": "b-17"}, user="bob"))
    assert identity_key("user_id", "1234567890123") not in found(
        track("Viewed", {"order": "1234567890123"}, user="bob")
    )


def test_a_refused_event_is_about_its_customer_too():
    letter = ingestion_pb2.RejectedEvent(event=track("", user="ada"))
    assert finding.in_dead_letter(letter.SerializeToString(), RULES) == {ADA}


def test_a_decision_is_about_who_was_asked_for_and_whose_view_was_used():
    record = a_record(a_catalog([an_action("red")]), {"hero": ["red"]})
    record.request.customer.CopyFrom(events_pb2.Identifier(kind="email", value="ada@example.org"))
    record.view.profile_id = ADA.hex()
    assert finding.of_record(record) == {ADA, EMAIL}
    other = a_record(a_catalog([an_action("red")]), {"hero": ["red"]})
    bundle = decision_pb2.DecisionRecordBundle(records=[record, other]).SerializeToString()
    kept, removed = finding.without(bundle, {ADA})
    assert (list(kept.records), removed) == ([other], 1)


def test_a_change_is_about_its_profile_and_the_one_that_goes_on():
    change = audiences_pb2.Change(profile_id=ADA.hex(), successor_id=EMAIL.hex())
    assert finding.in_change(change.SerializeToString(), RULES) == {ADA, EMAIL}


@given(st.sets(st.integers(1, 60)))
def test_ranges_name_each_sequence_once(sequences: set[int]):
    named: list[int] = []
    for one in ranges(sorted(sequences)):
        first, _, last = one.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(sequences)


def a_receipt() -> dict[str, Any]:
    pending = privacy_pb2.PendingErasure(erasure_id="e1", identity_keys=[ADA], profile_ids=[ADA.hex()])
    pending.streams["EVENTS"].removed.extend([3, 4, 9])
    pending.streams["EVENTS"].count = 3
    request = privacy_pb2.ErasureRequest(erasure_id="e1", timeline_entries=3)
    request.requested_at.FromDatetime(NOW)
    return receipt_of(pending, request, ["archive"], Anchor(7, b"\1" * 32), NOW)


def test_a_receipt_says_what_was_removed_where_and_what_remains():
    receipt = a_receipt()
    assert receipt["removed"]["streams"]["EVENTS"]["sequences"] == ["3-4", "9"]
    assert receipt["removed"]["timeline_entries"] == 3
    assert any("hashes of the identifiers" in one for one in receipt["remains"])
    assert receipt["not_done"] == ["archive"]


@pytest.mark.parametrize("where", ["profile_ids", "timeline", "stream", "nowhere"])
def test_a_receipt_says_whether_anything_was_found_at_all(where: str):
    pending, request = privacy_pb2.PendingErasure(erasure_id="e1"), privacy_pb2.ErasureRequest(erasure_id="e1")
    pending.profile_ids.extend([ADA.hex()] * (where == "profile_ids"))
    pending.streams["DECISIONS"].count = 2 * (where == "stream")
    request.timeline_entries = 3 * (where == "timeline")
    assert receipt_of(pending, request, [], Anchor(7, b""), NOW)["found"] is (where != "nowhere")


def test_a_receipt_is_genuine_until_it_is_changed(tmp_path: Path):
    signer = Signer(tmp_path / "deep" / "key.pem")
    signed = signer.sign(a_receipt())
    assert verify(signed, signer.public_key())["erasure_id"] == "e1"
    changed = json.loads(signed)
    changed["removed"]["timeline_entries"] = 4
    with pytest.raises(InvalidField, match="was changed"):
        verify(json.dumps(changed), signer.public_key())
    with pytest.raises(InvalidField, match="another key"):
        verify(signed, Signer(tmp_path / "other.pem").public_key())
    for text in ("", "[]", "{}", '{"signature": 7}', "[" * 100_000):
        with pytest.raises(InvalidField):
            verify(text, signer.public_key())


def test_the_key_is_kept_and_is_for_its_owner_only(tmp_path: Path):
    path = tmp_path / "key.pem"
    first = Signer(path).public_key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer(path).public_key() == first
    assert [one.name for one in tmp_path.iterdir()] == ["key.pem"]


def test_without_a_key_nothing_is_signed(tmp_path: Path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(Precondition, match="WAYLINE_RECEIPT_KEY"):
        Signer(tmp_path / "key.pem").public_key()


@pytest.mark.parametrize("reason", ["asked by Ada@Example.org", "x" * 201, "  ", "bell \a"])
def test_a_reason_is_short_and_names_nobody(reason: str):
    profile = profile_pb2.Profile(identifiers=[events_pb2.Identifier(kind="email", value="ada@example.org")])
    with pytest.raises(InvalidField, match="reason"):
        check_reason(reason, profile, required=True)
    assert check_reason(" request\n4711 ", profile, required=True) == "request 4711"
    assert check_reason("", profile, required=False) == ""


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_a_timeline_is_read_once_and_in_order_however_many_share_a_moment(filed: list[tuple[int, int]]):
    # Pages of four, so that moments go over their ends.
    keys = [ADA, EMAIL, identity_key("anonymous_id", "b-17")]
    rows = sorted(
        Filed(place_of(keys[who], NOON_MS + at, number.to_bytes(8, "big")), 0, number, b"")
        for number, (who, at) in enumerate(filed)
    )

    class Paged:
        def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
            assert at_most <= 4
            return [row for row in rows if row.key in keys and row.place > after][:at_most]

    told = list(timeline(Paged(), keys, page=2))  # type: ignore[arg-type]
    assert sorted(told) == rows
    assert [one.place[16:] for one in told] == sorted(one.place[16:] for one in rows)


def test_a_receipt_that_says_something_twice_is_not_genuine(tmp_path: Path):
    signer = Signer(tmp_path / "key.pem")
    signed = signer.sign({"erased_at": "today"})
    assert verify(signed, signer.public_key())["erased_at"] == "today"
    with pytest.raises(InvalidField, match="twice"):
        verify(signed.replace("{", '{"erased_at":"yesterday",', 1), signer.public_key())


def test_what_is_no_public_key_is_told(tmp_path: Path):
    with pytest.raises(InvalidField, match="Ed25519 public key"):
        verify(Signer(tmp_path / "key.pem").sign({}), "no key")
