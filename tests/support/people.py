"""Customers whose every identifier is unmistakable, so that it can be looked for in files."""

from __future__ import annotations

from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event


class Person:
    """A customer whose every identifier is unmistakable."""

    def __init__(self, name: str) -> None:
        self.user = f"{name}-user-7f3a91"
        self.email = f"{name}.Q7@mail-{name}.example"
        self.phone = "+4930" + "".join(str(ord(one) % 10) for one in f"{name}-phone")
        self.browser = f"{name}-browser-0c55d2"
        self.other_browser = f"{name}-tablet-b81e44"
        self.surname = f"Surname{name.capitalize()}xq"

    @property
    def identifiers(self) -> list[str]:
        return [self.user, self.email, self.phone, self.browser, self.other_browser, self.surname]

    def events(self) -> list[Event]:
        """A visitor on two devices who signs in, buys, and sends something that is refused."""
        consent = events_pb2.Consent(category_preferences={"personalisation": True}, source="banner", text_version="3")
        context = events_pb2.EventContext(consent=consent, timezone="Europe/Paris")
        visits = [
            Event(
                message_id=f"{self.user[:4]}-{browser[-6:]}-{number}",
                type=events_pb2.EVENT_TYPE_TRACK,
                anonymous_id=browser,
                name="Product Viewed",
                context=context,
            )
            for browser in (self.browser, self.other_browser)
            for number in range(3)
        ]
        for number, event in enumerate(visits):
            event.properties.update({"category": "shoes", "colour": "red", "price": 50.0 + number})
        signed_in = [
            Event(
                message_id=f"{self.user[:4]}-in-{browser[-6:]}",
                type=events_pb2.EVENT_TYPE_IDENTIFY,
                user_id=self.user,
                anonymous_id=browser,
                context=context,
            )
            for browser in (self.browser, self.other_browser)
        ]
        for event in signed_in:
            event.traits.update({"email": self.email, "phone": self.phone, "lastName": self.surname})
        bought = Event(
            message_id=f"{self.user[:4]}-bought",
            type=events_pb2.EVENT_TYPE_TRACK,
            user_id=self.user,
            name="Order Completed",
            context=context,
        )
        bought.properties.update({"total": 99.0, "receipt_to": self.email})
        refused = Event(
            message_id=f"{self.user[:4]}-refused", type=events_pb2.EVENT_TYPE_TRACK, user_id=self.user, name=""
        )
        refused.properties.update({"note": f"{self.surname} {self.email}"})
        return [*visits, *signed_in, bought, refused]
