"""A synthetic business of known size: its catalogue, its model, its customers. The same for every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wayline.catalog.model import Catalog
from wayline.v1 import decision_pb2, events_pb2, prediction_pb2

MODEL = "accept"
PLACEMENT = "web.list"
_SEED = 20_260_101
SLOTS = 3
RESPONSES = 1_000
_CONTEXT_RULES = (
    'context.page != "checkout"',
    'context.device in ["phone", "desktop"]',
    "context.basket < 500.0",
    'context.page == "home" || context.basket > 10.0',
    'context.device == "desktop" || context.basket < 200.0',
    "now.getHours() >= 0",
)
_PAGES = ("home", "category", "search", "product")
_DEVICES = ("phone", "desktop", "tablet")
_STAGES = ("eligibility", "applicability", "suitability")

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSize:
    """How much there is of everything. The defaults are those of the target figures."""

    actions: int = 100
    conditions: int = 30
    features: int = 64
    customers: int = 20_000


def catalog(size: WorldSize) -> Catalog:
    """The catalogue: every action is scored by the model, and needs three of the distinct conditions."""
    rules = conditions(size)
    return Catalog.model_validate(
        {
            "name": "bench",
            "traits": {
                name: {"kind": "attribute", "type": "number", "default": 0.0} for name in feature_names(size.features)
            },
            "context": {"page": {"default": "home"}, "device": {"default": "desktop"}, "basket": {"type": "number"}},
            "purposes": {"personalisation": {"default": "denied"}},
            "personalisation": "personalisation",
            "channels": {"web": {}},
            "placements": {
                PLACEMENT: {
                    "channel": "web",
                    "slots": SLOTS,
                    "fallback": {"title": "Welcome"},
                    "exploration": "thompson",
                }
            },
            "issues": [
                {
                    "id": "sales",
                    "groups": [{"id": "offers", "actions": [_action(at, rules) for at in range(size.actions)]}],
                }
            ],
        }
    )


def feature_names(count: int) -> list[str]:
    """The traits, which are the model's inputs in this order."""
    return [f"f{at:02d}" for at in range(count)]


def action_ids(count: int) -> list[str]:
    """The actions, which are the model's outputs in this order."""
    return [f"offer-{at:03d}" for at in range(count)]


def manifest(size: WorldSize) -> prediction_pb2.ModelManifest:
    """How the model is fed and read."""
    return prediction_pb2.ModelManifest(
        name=MODEL,
        inputs=[prediction_pb2.ModelInput(trait=name) for name in feature_names(size.features)],
        outputs=[
            prediction_pb2.ModelOutput(tensor="propensity", column=at, action=action, responses=RESPONSES)
            for at, action in enumerate(action_ids(size.actions))
        ],
        description="Linear, with a logistic link: a column per action.",
    )


def model(size: WorldSize) -> bytes:
    """The model as ONNX: sigmoid(x W + b), [rows, features] to [rows, actions]."""
    rng = np.random.default_rng(_SEED)
    weights = rng.normal(0.0, 0.4, (size.features, size.actions)).astype(np.float32)
    bias = rng.normal(-2.5, 0.3, size.actions).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["propensity"]),
        ],
        MODEL,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", size.features])],
        [helper.make_tensor_value_info("propensity", TensorProto.FLOAT, ["rows", size.actions])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(built)
    return built.SerializeToString()


def features(size: WorldSize) -> Matrix:
    """[customers, features], each between 0 and 1."""
    return np.random.default_rng(_SEED + 1).random((size.customers, size.features), np.float32)


def user_id(customer: int) -> str:
    """The brand's own id of a customer."""
    return f"customer-{customer:06d}"


def identify_events(size: WorldSize) -> Iterator[events_pb2.Event]:
    """One event per customer, which brings all the features and the consent to use them."""
    names = feature_names(size.features)
    for customer, row in enumerate(features(size).tolist()):
        event = events_pb2.Event(
            message_id=f"identify-{customer}",
            type=events_pb2.EVENT_TYPE_IDENTIFY,
            user_id=user_id(customer),
            source="bench",
        )
        fields = event.traits.fields
        for name, value in zip(names, row, strict=True):
            fields[name].number_value = value
        event.context.consent.category_preferences["personalisation"] = True
        yield event


def requests(size: WorldSize) -> list[decision_pb2.DecideRequest]:
    """One question per customer, with a context that varies."""
    return [_request(customer) for customer in range(size.customers)]


def encoded(messages: Sequence[decision_pb2.DecideRequest]) -> list[bytes]:
    """As they travel."""
    return [message.SerializeToString() for message in messages]


def _request(customer: int) -> decision_pb2.DecideRequest:
    request = decision_pb2.DecideRequest(
        customer=events_pb2.Identifier(kind="user_id", value=user_id(customer)),
        placements=[decision_pb2.PlacementRequest(placement=PLACEMENT)],
    )
    context = request.context.fields
    context["page"].string_value = _PAGES[customer % len(_PAGES)]
    context["device"].string_value = _DEVICES[customer % len(_DEVICES)]
    context["basket"].number_value = float(customer % 240)
    return request


def conditions(size: WorldSize) -> list[str]:
    """Distinct ones, each met by most customers: some read one feature, some two, some the request's context."""
    names = feature_names(size.features)
    rules: list[str] = list(_CONTEXT_RULES[: size.conditions])
    for at in range(size.conditions - len(rules)):
        first, second = names[(at * 5) % len(names)], names[(at * 11 + 7) % len(names)]
        if at % 3:
            rules.append(f"profile.{first} > 0.{10 + at}")
        else:
            rules.append(f"profile.{first} > 0.{10 + at} || profile.{second} < 0.5")
    return rules


def needs(action: int, count: int) -> list[int]:
    """Which of `count` conditions an action needs: one for eligibility, applicability and suitability each."""
    return [(action + 1) * step % count for step in (1, 7, 11)]


def _action(at: int, rules: Sequence[str]) -> dict[str, Any]:
    wanted = zip(_STAGES, needs(at, len(rules)), strict=True)
    policies = {stage: [{"rule": rules[one], "because": f"Reason {one}"}] for stage, one in wanted}
    action = action_ids(at + 1)[at]
    return {
        "id": action,
        "title": f"Offer {at}",
        "value": 5.0 + at % 17,
        "lever": 1.0 + (at % 5) / 10,
        "propensity": {"model": MODEL, "base": 0.05},
        "treatments": [
            {
                "id": "tile",
                "placements": [PLACEMENT],
                "content": {
                    "title": f"Offer {at} for you",
                    "text": "A line or two that says why this is worth a look today.",
                    "image": f"/images/{action}.jpg",
                    "link": f"/offers/{action}",
                },
            }
        ],
        **policies,
    }
