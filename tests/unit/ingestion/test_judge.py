from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from tests.support.events import an_event, identify
from tests.support.tracking import a_catalog_with_a_plan, a_plan, an_order

from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event
from wayline_ingestion.core.clock import NS, timestamp
from wayline_ingestion.core.judge import Judge, Rules
from wayline_ingestion.core.judgement import Judgement, Passed, Refused

NOW_NS = 1_790_000_000 * NS
CONSENTED = Catalog.model_validate({"purposes": {"analytics": {}}, "collection": {"purpose": "analytics"}})


class Erased:
    """Suppressed identity keys, at hand."""

    def __init__(self, *keys: bytes) -> None:
        self._keys = set(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def holds(self, keys: Collection[bytes]) -> bool:
        return not self._keys.isdisjoint(keys)


def judged(
    event: Event | None, catalog: Catalog | None = None, erased: Erased | None = None, *, received_ns: int = NOW_NS
) -> Judgement:
    judge = Judge(erased or Erased())
    if catalog is not None:
        judge.rules = Rules.of(1, catalog)
    return judge.judge(event, "events[3]", received_ns, NOW_NS, event.ByteSize() if event else 7)


def refused(*arguments: Any) -> Refused:
    judgement = judged(*arguments)
    assert isinstance(judgement, Refused)
    return judgement


def passed(*arguments: Any, **named: Any) -> Passed:
    judgement = judged(*arguments, **named)
    assert isinstance(judgement, Passed)
    return judgement


def consented(event: Event, **said: bool) -> Event:
    event.context.consent.category_preferences.update(said)
    return event


def test_an_event_that_cannot_be_read_is_refused():
    assert refused(None).rejection.reason == "unreadable"


def test_a_good_event_passes_and_gets_its_time_of_receipt():
    event = an_event()

    assert passed(event) == Passed(event)
    assert event.received_at.seconds == NOW_NS // NS


def test_what_ingestion_alone_may_say_is_forgotten():
    event = an_event(violations=["all is well"])
    event.original_timestamp.FromSeconds(7)
    event.received_at.FromSeconds(7)

    kept = passed(event).event

    assert not kept.violations
    assert not kept.HasField("original_timestamp")
    assert kept.received_at.seconds == NOW_NS // NS


def test_the_clock_of_the_client_is_put_right():
    event = an_event()
    event.timestamp.FromSeconds(1_000_000_000)
    event.sent_at.FromSeconds(1_000_000_060)

    one = passed(event)

    assert one.age_ns == 60 * NS
    assert event.timestamp == timestamp(NOW_NS - 60 * NS)
    assert event.original_timestamp == timestamp(1_000_000_000 * NS)
    assert one.notes is not None
    assert one.notes.moved_ns == NOW_NS - 1_000_000_060 * NS


def test_an_event_that_is_tried_again_is_put_right_by_when_it_came_first():
    event = an_event()
    event.timestamp.FromSeconds(1_000_000_000)
    event.sent_at.FromSeconds(1_000_000_060)

    passed(event, received_ns=NOW_NS - 3_600 * NS)

    assert event.timestamp == timestamp(NOW_NS - 3_660 * NS)
    assert event.received_at == timestamp(NOW_NS)


def test_an_event_that_was_ahead_of_its_time_passes_when_it_is_tried_again():
    event = an_event(timestamp=timestamp(NOW_NS + 80_000 * NS))

    assert isinstance(judged(event, received_ns=NOW_NS - 86_400 * NS), Passed)


def test_identifiers_that_are_nobodys_make_no_event_of_a_customer():
    nobody = refused(an_event(anonymous_id="0000"))

    assert (nobody.rejection.reason, nobody.keep) == ("blocked", True)
    assert isinstance(judged(an_event(anonymous_id="0000", user_id="u-1")), Passed)


def test_the_catalogue_may_block_further_identifiers():
    catalog = Catalog.model_validate({"identifiers": {"anonymous_id": {"blocked": ["kiosk"]}}})

    assert refused(an_event(anonymous_id="Kiosk"), catalog).rejection.reason == "blocked"


@pytest.mark.parametrize(("kind", "value"), [("user_id", "u-1"), ("email", "JANE@example.org")])
def test_an_event_of_an_erased_customer_is_refused_and_not_kept(kind: str, value: str):
    event = identify({"email": "jane@example.org"}, user="u-1", browser="b-1")

    one = refused(event, None, Erased(identity_key(kind, value)))

    assert (one.rejection.reason, one.keep) == ("suppressed", False)


def test_others_than_the_erased_pass():
    assert isinstance(judged(an_event(), None, Erased(identity_key("user_id", "visitor-1"))), Passed)


def test_an_event_that_breaks_the_rules_is_not_kept_of_somebody_who_was_erased():
    one = refused(an_event(name=""), None, Erased(identity_key("anonymous_id", "visitor-1")))

    assert (one.rejection.reason, one.keep) == ("missing", False)


def test_a_decision_that_somebody_else_claims_to_have_made_is_refused_and_not_kept_as_its_ids_may_be_of_the_erased():
    claimed = an_event(name="Decision Made", user_id="ada")
    claimed.properties.update({"customer": {"kind": "user_id", "value": "bob"}})
    one = refused(claimed, None, Erased(identity_key("user_id", "ada")))
    assert (one.rejection.reason, one.keep) == ("reserved", False)


def test_an_event_without_the_consent_that_it_needs_is_refused_and_not_kept():
    one = refused(an_event(), CONSENTED)

    assert (one.rejection.reason, one.keep) == ("no_consent", False)
    assert one.rejection.field == "events[3].context.consent"
    assert "expected consent for 'analytics'" in one.rejection.expected
    assert one.without_consent == "analytics: unknown"


def test_an_event_with_the_consent_that_it_needs_passes():
    assert isinstance(judged(consented(an_event(), analytics=True), CONSENTED), Passed)


def test_an_event_that_breaks_the_rules_is_kept_only_with_consent():
    assert not refused(an_event(name=""), CONSENTED).keep
    assert not refused(consented(an_event(name=""), analytics=False), CONSENTED).keep
    assert refused(consented(an_event(name=""), analytics=True), CONSENTED).keep


def test_of_an_event_that_denies_consent_the_denial_is_stored_and_the_plan_not_asked():
    catalog = CONSENTED.model_copy(update={"tracking_plan": a_plan(unplanned_events="refuse", violations="refuse")})
    event = consented(an_order({"total": "secret"}), analytics=False)
    event.timestamp.CopyFrom(timestamp(NOW_NS - NS))
    event.sent_at.CopyFrom(timestamp(NOW_NS - NS))

    one = passed(event, catalog)

    assert one.event.context.consent.category_preferences == {"analytics": False}
    assert not one.event.HasField("properties")
    assert one.event.message_id == event.message_id
    assert one.event.timestamp == timestamp(NOW_NS)
    assert one.notes is not None
    assert one.notes.without_consent == "analytics: denied"


def test_what_the_plan_flags_is_stored_with_what_was_wrong():
    one = passed(an_order({"total": "1", "gift": True}), a_catalog_with_a_plan())

    assert list(one.event.violations) == ['properties.total: the value is not of type "number"']
    assert one.notes is not None
    assert one.notes.unplanned_properties == ("gift",)


def test_what_the_plan_refuses_is_kept_as_it_came():
    event = an_order({"total": "1"})
    event.timestamp.FromSeconds(1_000_000_000)
    event.sent_at.FromSeconds(1_000_000_060)
    before = Event.FromString(event.SerializeToString())

    one = refused(event, a_catalog_with_a_plan(violations="refuse"))

    assert (one.rejection.reason, one.rejection.field) == ("violation", "events[3].properties.total")
    assert one.keep
    assert one.event == before


def on_a_tablet(user: str, **more: Any) -> Event:
    event = an_event(user_id=user, anonymous_id="tablet-1", **more)
    event.identifiers.add(kind="device_id", value="serial-7")
    event.identifiers.add(kind="loyalty_card", value="card-1")
    event.context.other.update({"device": {"id": "serial-7", "model": "tab"}})
    return event


TABLET = Erased(identity_key("anonymous_id", "tablet-1"), identity_key("device_id", "serial-7"))


def test_an_event_of_somebody_else_on_the_device_of_the_erased_is_stored_without_the_device():
    one = passed(on_a_tablet("dad"), None, TABLET)

    assert (one.event.user_id, one.event.anonymous_id) == ("dad", "")
    assert [kept.value for kept in one.event.identifiers] == ["card-1"]
    assert one.event.context.other["device"]["model"] == "tab"
    stored = one.event.SerializeToString()
    assert b"tablet-1" not in stored
    assert b"serial-7" not in stored
    assert one.notes is not None
    assert one.notes.without_device


def test_of_several_devices_only_the_suppressed_one_is_left_out():
    one = passed(on_a_tablet("dad"), None, Erased(identity_key("device_id", "serial-7")))

    assert one.event.anonymous_id == "tablet-1"
    assert b"serial-7" not in one.event.SerializeToString()


def test_events_are_stored_whole_while_only_others_are_suppressed():
    event = on_a_tablet("dad")

    assert passed(event, None, Erased(identity_key("anonymous_id", "other"))) == Passed(event)
    assert (event.anonymous_id, event.context.other["device"]["id"]) == ("tablet-1", "serial-7")


def test_a_device_of_the_erased_where_the_catalogue_reads_it_is_left_out():
    catalog = Catalog.model_validate({"identifiers": {"device_id": {"from": ["properties.kiosk.serial"]}}})
    event = an_event(user_id="dad")
    event.properties.update({"kiosk": {"serial": "serial-7", "hall": "2"}})

    assert passed(event, catalog, TABLET).event.properties["kiosk"] == {"hall": "2"}


def test_an_event_of_nobody_but_the_device_of_the_erased_is_refused():
    event = on_a_tablet("")
    del event.identifiers[:]

    assert refused(event, None, TABLET).rejection.reason == "suppressed"


def test_an_event_of_somebody_else_that_names_a_persons_own_identifier_of_the_erased_is_refused():
    for kind, value in (("loyalty_card", "card-1"), ("user_id", "dad")):
        one = refused(on_a_tablet("dad"), None, Erased(identity_key(kind, value)))
        assert (one.rejection.reason, one.keep) == ("suppressed", False)


def test_an_alias_with_a_browser_of_the_erased_is_refused():
    event = Event(message_id="m", type=events_pb2.EVENT_TYPE_ALIAS, user_id="dad", previous_id="tablet-1", source="s")

    assert refused(event, None, TABLET).rejection.reason == "suppressed"


def test_a_bad_event_that_names_a_device_of_the_erased_is_not_kept():
    assert not refused(on_a_tablet("dad", name=""), None, TABLET).keep


def test_what_the_plan_refuses_is_kept_without_the_device_of_the_erased():
    event = an_order({"total": "1"})
    event.user_id, event.anonymous_id = "dad", "tablet-1"

    one = refused(event, a_catalog_with_a_plan(violations="refuse"), TABLET)

    assert one.keep
    assert b"tablet-1" not in one.event.SerializeToString()


def test_of_a_denial_on_the_device_of_the_erased_the_denial_is_stored_without_the_device():
    one = passed(consented(on_a_tablet("dad"), analytics=False), CONSENTED, TABLET)

    assert b"tablet-1" not in one.event.SerializeToString()
    assert one.notes is not None
    assert one.notes.without_device
