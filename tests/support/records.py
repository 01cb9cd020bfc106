"""Decision records as tests write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from nats.js import JetStreamContext

from wayline.bus import DECISION_SUBJECT, DECISIONS, StreamSpec, ensure_stream
from wayline.catalog.model import Catalog
from wayline.catalog.schema import build_schema
from wayline.v1 import decision_pb2, events_pb2, profile_pb2

DECIDED_AT = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)
_numbers = count(1)
Record = decision_pb2.DecisionRecord


def a_record(
    catalog: Catalog,
    chosen: Mapping[str, Sequence[str]],
    *,
    probability: float | None = 1.0,
    profile: Mapping[str, Any] | None = None,
    consents: Mapping[str, bool] | None = None,
    known: bool = True,
    context: Mapping[str, Any] | None = None,
    at: datetime = DECIDED_AT,
) -> Record:
    """What is kept of a decision under `catalog`.

    Args:
        catalog: declares the traits.
        chosen: placement to the actions it was filled with, in their treatment 'main', the best first.
        probability: with which each was chosen; None: not recorded.
        profile: values of traits.
        consents: of the customer.
        known: whether there is a view at all.
        context: of the request.
        at: when; each record is a microsecond later than the one before.
    """
    number = next(_numbers)
    full, unknown = decision_pb2.PERSONALISATION_FULL, decision_pb2.PERSONALISATION_UNKNOWN_CUSTOMER
    record = Record(
        decision_id=f"{number:032x}",
        request=decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value=f"customer-{number}"),
            placements=[decision_pb2.PlacementRequest(placement=one) for one in chosen],
        ),
        personalisation=full if known else unknown,
        catalog_revision=1,
        seed=number * 0x9E3779B97F4A7C15 % 2**64,
    )
    record.request.context.update(dict(context or {}))
    record.decided_at.FromDatetime(at + timedelta(microseconds=number))
    if known:
        traits = build_schema(catalog).traits(**dict(profile or {}))
        record.view.CopyFrom(profile_pb2.CustomerView(traits=traits.SerializeToString(), consents=dict(consents or {})))
    for placement, actions in chosen.items():
        record.selections.extend(
            decision_pb2.RecordedSelection(
                placement=placement, action=one, treatment="main", selection_probability=probability
            )
            for one in actions
        )
    return record


async def make_decision_stream(js: JetStreamContext) -> None:
    """The stream that the decision service would make."""
    spec = StreamSpec(name=DECISIONS, subject=DECISION_SUBJECT, max_bytes=1 << 26, max_age_seconds=3_600)
    await ensure_stream(js, spec, 1)


async def publish_records(js: JetStreamContext, records: Sequence[Record], *, bundle: int = 256) -> None:
    """Store records as the decision service would."""
    for start in range(0, len(records), bundle):
        together = decision_pb2.DecisionRecordBundle(records=records[start : start + bundle])
        await js.publish(DECISION_SUBJECT, together.SerializeToString())
