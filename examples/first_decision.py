"""A first decision: send an event, then ask what to show. Needs a running `make run`."""

import sys
import uuid

import grpc

from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2, ingestion_pb2, ingestion_pb2_grpc


def connect(address: str) -> grpc.Channel:
    channel = grpc.insecure_channel(address)
    try:
        grpc.channel_ready_future(channel).result(timeout=2)
    except grpc.FutureTimeoutError:
        sys.exit(f"Nothing answers at {address}. Start Wayline with: make run")
    return channel


ingestion = ingestion_pb2_grpc.IngestionServiceStub(connect("127.0.0.1:7001"))
decision = decision_pb2_grpc.DecisionServiceStub(connect("127.0.0.1:7004"))

# She agrees to personalisation and looks at a pair of blue shoes.
event = events_pb2.Event(
    message_id=str(uuid.uuid4()), type=events_pb2.EVENT_TYPE_TRACK, anonymous_id="browser-1", name="Product Viewed"
)
event.properties.update({"name": "Navy Low", "color": "blue", "category": "sneakers"})
event.context.consent.category_preferences["personalisation"] = True
result = ingestion.Collect(ingestion_pb2.CollectRequest(events=[event])).results[0]

# What should her home page show? The token makes the decision wait until her profile holds the event.
answer = decision.Decide(
    decision_pb2.DecideRequest(
        customer=events_pb2.Identifier(kind="anonymous_id", value="browser-1"),
        placements=[decision_pb2.PlacementRequest(placement="web.hero")],
        at_least=[result.token],
    )
)
best = answer.placements[0].selections[0]
print("show:   ", best.content["title"])
print("because:", *best.reasons)
print("score:  ", f"{best.score.propensity} x {best.score.context:.2f} x {best.score.value} x {best.score.lever}")
print("explain:", f"wayline decisions show {answer.decision_id}")
