"""A guided journey through the example shop: what is decided for one visitor, before and after each thing she does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.json_format import MessageToDict

from wayline.cluster import Addresses
from wayline.errors import Retryable, WaylineError
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2, ingestion_pb2, ingestion_pb2_grpc

_PATIENCE_SECONDS = 10.0
_SHOES = (("Cherry Runner", "running"), ("Brick Low", "sneakers"), ("Scarlet Sprint", "running"))


@dataclass(frozen=True, slots=True)
class Step:
    """One decision of the journey. `ms` is the time of the whole call, with the wait for the events before it."""

    name: str
    placement: str
    actions: list[str]
    content: dict[str, Any]
    reasons: list[str]
    ms: float
    decision_id: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Journey:
    """One visitor's way through the shop. Every run is another visitor."""

    def __init__(self, addresses: Addresses) -> None:
        """Talk to a running system.

        Raises:
            Retryable: nothing answers at one of the addresses.
        """
        self._channels = []
        for address in (addresses.ingestion, addresses.decision):
            self._channels.append(grpc.insecure_channel(address))
            try:
                grpc.channel_ready_future(self._channels[-1]).result(_PATIENCE_SECONDS)
            except grpc.FutureTimeoutError:
                self.close()
                raise Retryable(f"nothing answers at {address}. Start Wayline with: make run") from None
        self._ingestion = ingestion_pb2_grpc.IngestionServiceStub(self._channels[0])
        self._decision = decision_pb2_grpc.DecisionServiceStub(self._channels[1])
        visitor = uuid4().hex[:12]
        self._browser = events_pb2.Identifier(kind="anonymous_id", value=f"browser-{visitor}")
        self._email = events_pb2.Identifier(kind="email", value=f"ada.{visitor}@example.com")
        self._user_id = f"customer-{visitor}"
        self._tokens: list[events_pb2.EventToken] = []

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def steps(self) -> Iterator[Step]:
        """Walk, and yield each decision as it is made.

        Raises:
            WaylineError: an event was refused.
            grpc.RpcError: a service cannot be reached.
        """
        yield from self._decide("A visitor arrives; nothing is known", self._browser, "web.hero")
        self._collect(
            [self._track("Cookie Banner Answered", {}, {"personalisation": True})]
            + [
                self._track("Product Viewed", {"name": name, "color": "red", "category": category, "price": 99.0})
                for name, category in _SHOES
            ]
        )
        yield from self._decide("She accepts personalisation and looks at three red shoes", self._browser, "web.hero")
        yield from self._decide("The list below it", self._browser, "web.list")
        yield from self._decide("She opens the chat", self._browser, "chat.suggestion")
        self._collect([self._sign_in()])
        yield from self._decide("She signs in by e-mail and allows offers", self._email, "email.offer")
        self._collect([self._track("Consent Preference Updated", {}, {"personalisation": False})])
        yield from self._decide("She withdraws her consent to personalisation", self._browser, "web.hero")

    def outdated_app(self) -> None:
        """What an app sends that nobody has updated: a property by another name, and an order without its total.

        The shop's tracking plan flags the one and refuses the other: see `wayline quality report`.
        """
        view = self._track("Product Viewed", {"product_id": "shoe-17", "colour": "red"})
        order = self._track("Order Completed", {"order_id": f"order-{view.message_id}"})
        for event in (view, order):
            event.source, event.anonymous_id = "outdated-app", f"{self._browser.value}-app"
        request = ingestion_pb2.CollectRequest(events=[view, order])
        self._ingestion.Collect(request, timeout=_PATIENCE_SECONDS)

    def _decide(self, name: str, customer: events_pb2.Identifier, placement: str) -> Iterator[Step]:
        request = decision_pb2.DecideRequest(
            customer=customer,
            placements=[decision_pb2.PlacementRequest(placement=placement)],
            at_least=self._tokens,
        )
        started = time.perf_counter()
        response = self._decision.Decide(request, timeout=_PATIENCE_SECONDS)
        milliseconds = (time.perf_counter() - started) * 1_000
        for filled in response.placements:
            best = filled.selections[0] if filled.selections else None
            yield Step(
                name=name,
                placement=filled.placement,
                actions=[one.action for one in filled.selections],
                content=MessageToDict(best.content if best else filled.fallback),
                reasons=[*filled.reasons, *(best.reasons if best else ())],
                ms=round(milliseconds, 2),
                decision_id=response.decision_id,
            )

    def _collect(self, events: Sequence[events_pb2.Event]) -> None:
        response = self._ingestion.Collect(ingestion_pb2.CollectRequest(events=events), timeout=_PATIENCE_SECONDS)
        for result in response.results:
            if result.status == ingestion_pb2.EVENT_STATUS_REJECTED:
                raise WaylineError(f"{result.rejection.field}: {result.rejection.expected}")
        self._tokens = [result.token for result in response.results]

    def _track(self, name: str, properties: dict[str, Any], consent: dict[str, bool] | None = None) -> events_pb2.Event:
        event = self._event(events_pb2.EVENT_TYPE_TRACK, consent)
        event.name = name
        event.properties.update(properties)
        return event

    def _sign_in(self) -> events_pb2.Event:
        event = self._event(events_pb2.EVENT_TYPE_IDENTIFY, {"marketing_email": True})
        event.user_id = self._user_id
        event.traits.update({"email": self._email.value, "city": "Lyon"})
        return event

    def _event(self, kind: events_pb2.EventType, consent: dict[str, bool] | None) -> events_pb2.Event:
        event = events_pb2.Event(
            message_id=uuid4().hex, type=kind, anonymous_id=self._browser.value, source="guided-journey"
        )
        event.timestamp.GetCurrentTime()
        event.context.channel = "web"
        if consent:
            event.context.consent.category_preferences.update(consent)
        return event
