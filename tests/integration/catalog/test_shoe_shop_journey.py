"""The story that the shoe shop is there to tell: real events, the real fold, the real decision, in one process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from wayline.catalog.examples import example_path
from wayline.catalog.load import load
from wayline.v1 import events_pb2, profile_pb2
from wayline_decision.core.compile import compile_plan
from wayline_decision.core.decide import decide
from wayline_decision.core.decision import Decision, Personalisation, Question
from wayline_decision.core.known import Situation
from wayline_decision.core.score import models_for
from wayline_decision.views import Entry
from wayline_profile.core.fold import fold
from wayline_profile.core.values import reading_of, view_of

CATALOG = load(example_path("shoe-shop"))
PLAN = compile_plan(CATALOG, revision=1)
READING = reading_of(CATALOG)
START = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Visitor:
    """Somebody in the shop. Each event comes a minute after the last."""

    def __init__(self) -> None:
        self.profile = profile_pb2.Profile(profile_id="0" * 32)
        self.now = START
        self.known = False

    def says(self, **consent: bool) -> Visitor:
        return self._event(events_pb2.EVENT_TYPE_IDENTIFY, consent=consent)

    def does(self, name: str, **properties: Any) -> Visitor:
        return self._event(events_pb2.EVENT_TYPE_TRACK, name=name, properties=properties)

    def looks_at_red_shoes(self) -> Visitor:
        for category in ("sneakers", "running", "sneakers"):
            self.does("Product Viewed", product_id="p1", category=category, brand="Stride", color="red", price=89.0)
        return self

    def sees(self, *placements: str, **context: Any) -> Decision:
        view = view_of(self.profile, READING, int(self.now.timestamp() * 1_000), version=1)
        known = Entry(view).known(PLAN) if self.known else None
        wanted = [(PLAN.placements[name], PLAN.placements[name].slots) for name in placements]
        question = Question(wanted, Situation(PLAN.schema.context(**context)), known)
        return decide(PLAN, models_for(PLAN), [question], self.now)[0]

    def _event(
        self,
        kind: events_pb2.EventType,
        *,
        name: str = "",
        properties: Any = None,
        consent: dict[str, bool] | None = None,
    ) -> Visitor:
        self.now += timedelta(minutes=1)
        event = events_pb2.Event(message_id=self.now.isoformat(), type=kind, name=name)
        event.timestamp.FromDatetime(self.now)
        if properties:
            event.properties.CopyFrom(Struct())
            event.properties.update(properties)
        if consent:
            event.context.consent.category_preferences.update(consent)
        self.profile, self.known = fold(self.profile, event, READING.definitions), True
        return self


def actions(decision: Decision, at: int = 0) -> list[str]:
    return [PLAN.rows[one.row].action_id for one in decision.placements[at].chosen]


def first(decision: Decision, at: int = 0) -> Any:
    return PLAN.rows[decision.placements[at].chosen[0].row]


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def test_a_stranger_sees_the_new_season(visitor: Visitor):
    assert actions(visitor.sees("web.hero")) == ["new-season"]


def test_who_looked_at_red_shoes_sees_red_and_is_told_why(visitor: Visitor):
    decision = visitor.says(personalisation=True).looks_at_red_shoes().sees("web.hero")

    assert decision.personalisation is Personalisation.FULL
    assert first(decision).action_id == "red-shoes"
    assert first(decision).content["title"] == "Red is your colour"
    assert first(decision).reasons == ("Looked at red shoes lately",)


def test_the_list_puts_red_and_sneakers_first(visitor: Visitor):
    decision = visitor.says(personalisation=True).looks_at_red_shoes().sees("web.list")

    assert actions(decision)[:3] == ["red-shoes", "sneaker-classics", "running-week"]
    assert len(actions(decision)) == 4


def test_the_whole_page_names_nothing_twice(visitor: Visitor):
    decision = visitor.says(personalisation=True).looks_at_red_shoes().sees("web.hero", "web.list")

    assert actions(decision) == ["red-shoes"]
    assert actions(decision, 1)[:2] == ["sneaker-classics", "running-week"]


def test_arbitration_weighs_one_colour_against_another(visitor: Visitor):
    visitor.says(personalisation=True)
    for colour in ("blue", "red", "red", "blue", "blue"):
        visitor.does("Product Viewed", product_id="p1", category="flats", color=colour)

    decision = visitor.sees("web.hero", "web.list")

    assert actions(decision) == ["blue-shoes"]
    assert actions(decision, 1)[0] == "red-shoes"


def test_red_fades_when_it_was_long_ago(visitor: Visitor):
    visitor.says(personalisation=True).looks_at_red_shoes()
    visitor.now += timedelta(days=30)

    assert actions(visitor.sees("web.hero")) == ["new-season"]


def test_who_signed_in_and_wants_mail_gets_ten_percent_off_red_shoes(visitor: Visitor):
    visitor.says(personalisation=True).looks_at_red_shoes().says(marketing_email=True)

    decision = visitor.sees("email.offer")

    assert first(decision).action_id == "viewed-ten-percent"
    assert first(decision).content["code"] == "RED10"
    assert "Looked at several shoes this week and has not ordered" in first(decision).reasons


def test_without_consent_for_mail_nothing_goes_out(visitor: Visitor):
    decision = visitor.says(personalisation=True).looks_at_red_shoes().sees("email.offer")

    assert actions(decision) == []
    denied = decision.placements[0].denied
    assert denied is not None
    assert denied.purpose == "marketing_email"


def test_after_consent_is_withdrawn_the_hero_is_for_everybody_again(visitor: Visitor):
    visitor.says(personalisation=True).looks_at_red_shoes().says(personalisation=False)

    decision = visitor.sees("web.hero", "web.list")

    assert decision.personalisation is Personalisation.NO_CONSENT
    assert actions(decision) == ["new-season"]
    assert not {"red-shoes", "sneaker-classics"} & set(actions(decision, 1))


def test_nobody_is_told_about_themselves_without_consent(visitor: Visitor):
    visitor.looks_at_red_shoes().says(marketing_email=True, personalisation=False)

    decision = visitor.sees("web.hero", "web.list", "email.offer", "chat.suggestion")

    said = {
        reason for at in range(4) for one in decision.placements[at].chosen for reason in PLAN.rows[one.row].reasons
    }
    assert said <= {"The shop is open", "We have shops in this country", "It is November or December"}


def test_a_cart_that_was_left_comes_before_colours(visitor: Visitor):
    visitor.says(personalisation=True).looks_at_red_shoes().does("Product Added", product_id="p1", color="red")

    assert actions(visitor.sees("web.hero")) == ["cart-reminder"]


def test_a_page_about_running_speaks_of_running_to_a_stranger_too(visitor: Visitor):
    assert actions(visitor.sees("web.hero", page_category="running")) == ["running-week"]


def test_whoever_ordered_asks_the_chat_where_the_shoes_are(visitor: Visitor):
    visitor.says(personalisation=True).does("Order Completed", total=120.0)

    assert actions(visitor.sees("chat.suggestion"))[0] == "order-status"


@pytest.mark.parametrize("placement", list(CATALOG.placements))
def test_a_stranger_who_wants_mail_always_gets_something(visitor: Visitor, placement: str):
    decision = visitor.says(marketing_email=True).sees(placement)

    assert 1 <= len(actions(decision)) <= CATALOG.placements[placement].slots
