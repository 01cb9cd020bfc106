"""What the gates of collection say of an event."""

from __future__ import annotations

from typing import NamedTuple

from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import Rejection


class Notes(NamedTuple):
    """What is worth counting about an event that passes."""

    moved_ns: int = 0
    """By how much its timestamp was corrected; negative: backwards."""
    unplanned: bool = False
    unplanned_properties: tuple[str, ...] = ()
    without_consent: str = ""
    """Purpose and reason, when only its statement of consent is stored; else empty."""
    without_device: bool = False
    """Whether it is stored without a device that was somebody's who was erased."""


class Passed(NamedTuple):
    """An event that may be stored, as it will be."""

    event: Event
    age_ns: int | None = None
    """When it was received less when it happened; None: it does not say when."""
    notes: Notes | None = None
    """None: it is as most events are."""


class Refused(NamedTuple):
    """An event that may not be stored in the event stream."""

    event: Event
    """As it came; empty when it could not be read."""
    rejection: Rejection
    keep: bool = True
    """Whether it may be kept as a dead letter: that is storing, too."""
    without_consent: str = ""
    """Purpose and reason, when that is why; else empty."""
    unplanned: bool = False
    unplanned_properties: tuple[str, ...] = ()


Judgement = Passed | Refused
