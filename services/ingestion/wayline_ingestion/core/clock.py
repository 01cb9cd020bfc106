"""Clock skew: what the client's clock says, put right by ours, as the Segment spec does.

`timestamp := received_at - (sent_at - timestamp)`: both times of the client come from one clock, so their distance is
right even where the clock is not. An event that was sent before it happened, by that clock, happened when it was
received. See https://segment.com/docs/connections/spec/common/#timestamps
"""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from wayline.v1.events_pb2 import Event

NS = 1_000_000_000


def corrected_ns(timestamp_ns: int, sent_ns: int, received_ns: int) -> int:
    """When an event happened by our clock; never after it was received. All in nanoseconds since 1970."""
    return received_ns - max(0, sent_ns - timestamp_ns)


def correct(event: Event, received_ns: int) -> tuple[int | None, int]:
    """Put the timestamp right where the event says when it was sent, and keep the client's own.

    Returns:
        When it happened, in nanoseconds since 1970 (None: it does not say), and by how many of them that was moved,
        forwards or (negative) backwards.
    """
    if not event.HasField("timestamp"):
        return None, 0
    moment = event.timestamp
    said = nanoseconds(moment)
    if not event.HasField("sent_at"):
        return said, 0
    right = corrected_ns(said, nanoseconds(event.sent_at), received_ns)
    if right != said:
        event.original_timestamp.CopyFrom(moment)
        moment.seconds, moment.nanos = divmod(right, NS)
    return right, right - said


def nanoseconds(moment: Timestamp) -> int:
    """Since 1970 UTC."""
    return moment.seconds * NS + moment.nanos


def timestamp(nanoseconds_: int) -> Timestamp:
    """Of nanoseconds since 1970 UTC."""
    seconds, nanos = divmod(nanoseconds_, NS)
    return Timestamp(seconds=seconds, nanos=nanos)
