from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nats.js import JetStreamContext
from tests.support.models import linear_model, manifest, manifest_of
from tests.support.nats import NatsServer
from tests.support.ports import free_port

from wayline.catalog.model import Catalog
from wayline.catalog.schema import build_schema
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import events_pb2, prediction_pb2, prediction_pb2_grpc, profile_pb2, profile_pb2_grpc
from wayline_prediction.app import SERVICE, build
from wayline_prediction.settings import PredictionSettings

CATALOG = Catalog.model_validate(
    {
        "traits": {
            "spend": {"kind": "attribute", "type": "number", "default": 2.0},
            "member": {"kind": "attribute", "type": "boolean"},
            "city": {"kind": "attribute", "type": "string"},
        },
        "context": {"hour": {"type": "integer", "default": 12}},
        "purposes": {"personalisation": {"default": "granted", "defaults": {"EU": "denied"}}},
        "personalisation": "personalisation",
    }
)
TRAITS = build_schema(CATALOG).traits
MANIFEST = manifest(traits=["spend", "member"], context=["hour"], cel=["profile.city == 'Oslo'"], measures={"auc": 0.7})
ONNX = linear_model([1.0, 2.0, 0.5, -1.0], -6.0)


def chance(score: float) -> float:
    return 1 / (1 + exp(-score))


class Profiles(profile_pb2_grpc.ProfileServiceServicer):
    """Serves the views that it was given."""

    def __init__(self, views: list[profile_pb2.CustomerView]) -> None:
        self.views = views

    async def BatchGetViews(
        self, request: profile_pb2.BatchGetViewsRequest, context: Any
    ) -> profile_pb2.BatchGetViewsResponse:
        wanted = set(request.identity_keys)
        return profile_pb2.BatchGetViewsResponse(
            views=[view for view in self.views if wanted.intersection(view.identity_keys)]
        )


def view(
    user_id: str,
    consents: dict[str, bool] | None = None,
    *,
    restricted: bool = False,
    region: str = "",
    **traits: object,
) -> profile_pb2.CustomerView:
    keys = [identity_key("user_id", user_id), identity_key("email", f"{user_id}@example.com")]
    return profile_pb2.CustomerView(
        profile_id=keys[0].hex(),
        identity_keys=keys,
        version=1,
        traits=TRAITS(**traits).SerializeToString(),
        consents=consents or {},
        restricted=restricted,
        region=region,
    )


VIEWS = [
    view("ann", spend=3.0, member=True, city="Oslo"),
    view("bob", spend=1.0),
    view("carla", {"personalisation": False}, spend=9.0, member=True),
    view("dora", {"personalisation": True}, spend=9.0, restricted=True),
    view("emil", spend=9.0, region="FR"),
]


@asynccontextmanager
async def serve_profiles(port: int) -> AsyncIterator[None]:
    server = grpc.aio.server()
    profile_pb2_grpc.add_ProfileServiceServicer_to_server(Profiles(VIEWS), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    yield
    await server.stop(None)


@dataclass
class Running:
    address: str
    profile_port: int
    stub: Any


@asynccontextmanager
async def run_service(nats_url: str) -> AsyncIterator[Running]:
    port, profile_port = free_port(), free_port()
    settings = PredictionSettings(
        nats_url=nats_url,
        prediction_port=port,
        profile_address=f"127.0.0.1:{profile_port}",
        models_max_bytes=256 << 20,
        shutdown_grace_seconds=0.5,
    )
    async with build(settings), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Running(f"127.0.0.1:{port}", profile_port, prediction_pb2_grpc.PredictionServiceStub(channel))


@pytest.fixture
async def running(js: JetStreamContext, nats_url: str) -> AsyncIterator[Running]:
    """The service, with a catalogue, and without a profile service."""
    await (await open_store(js)).apply(CATALOG)
    async with run_service(nats_url) as service:
        yield service


@asynccontextmanager
async def refused(code: grpc.StatusCode, *words: str) -> AsyncIterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() == code, caught.value.details()
    for word in words:
        assert word in (caught.value.details() or "")


async def register(
    service: Running,
    given: prediction_pb2.ModelManifest = MANIFEST,
    onnx: bytes = ONNX,
    promote: bool = False,
) -> prediction_pb2.ModelVersion:
    request = prediction_pb2.RegisterModelRequest(manifest=given, onnx=onnx, promote=promote)
    return (await service.stub.RegisterModel(request)).version


def customers(*values: str, kind: str = "user_id") -> list[events_pb2.Identifier]:
    return [events_pb2.Identifier(kind=kind, value=value) for value in values]


def values(response: prediction_pb2.PredictResponse) -> list[float]:
    return [one.values[0] for one in response.predictions]


async def test_a_model_lives_from_registration_to_rollback(running: Running) -> None:
    first = await register(running)
    second = await register(running, onnx=linear_model([0.0, 0.0, 0.0, 0.0]))
    assert (first.version, second.version) == (1, 2)
    assert first.manifest == MANIFEST
    rows = [prediction_pb2.InputRow(values=[1, 1, 12, 0])]
    async with refused(grpc.StatusCode.FAILED_PRECONDITION, "no champion yet"):
        await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", rows=rows))
    await running.stub.PromoteModel(prediction_pb2.PromoteModelRequest(name="accept", version=1))
    await running.stub.PromoteModel(prediction_pb2.PromoteModelRequest(name="accept"))
    answer = await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", rows=rows))
    assert (answer.version, values(answer)) == (2, [0.5])
    model = (await running.stub.RollbackModel(prediction_pb2.RollbackModelRequest(name="accept"))).model
    assert (model.champion, list(model.former_champions)) == (1, [])
    answer = await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", rows=rows))
    assert (answer.version, values(answer)) == (1, [pytest.approx(chance(3.0), rel=1e-6)])
    async with refused(grpc.StatusCode.FAILED_PRECONDITION, "no former champion to roll back to"):
        await running.stub.RollbackModel(prediction_pb2.RollbackModelRequest(name="accept"))
    assert [one.name for one in (await running.stub.ListModels(prediction_pb2.ListModelsRequest())).models] == [
        "accept"
    ]


async def test_a_model_may_be_promoted_as_it_is_registered(running: Running) -> None:
    await register(running, promote=True)
    (model,) = (await running.stub.ListModels(prediction_pb2.ListModelsRequest())).models
    assert model.champion == 1


async def test_two_registrations_at_once_are_versions_one_and_two(running: Running) -> None:
    versions = await asyncio.gather(register(running), register(running, onnx=linear_model([1.0, 1.0, 1.0, 1.0])))
    assert sorted(one.version for one in versions) == [1, 2]


async def test_customers_are_predicted_by_their_views_and_the_context(running: Running) -> None:
    await register(running, promote=True)
    context = Struct()
    context.update({"hour": 10, "colour": "red"})
    async with serve_profiles(running.profile_port):
        answer = await running.stub.Predict(
            prediction_pb2.PredictRequest(name="accept", customers=customers("ann", "bob", "ann"), context=context)
        )
        ann, bob = chance(3 + 2 + 5 - 1 - 6), chance(1 + 5 - 6)
        assert values(answer) == [pytest.approx(one, rel=1e-6) for one in (ann, bob, ann)]
        by_email = await running.stub.Predict(
            prediction_pb2.PredictRequest(name="accept", customers=customers("Bob@Example.com", kind="email"))
        )
        assert values(by_email) == [pytest.approx(chance(1 + 6 - 6), rel=1e-6)]


async def test_who_is_not_known_or_has_not_allowed_it_is_predicted_with_the_defaults(running: Running) -> None:
    await register(running, promote=True)
    async with serve_profiles(running.profile_port):
        answer = await running.stub.Predict(
            prediction_pb2.PredictRequest(name="accept", customers=customers("nobody", "carla", "dora", "emil"))
        )
    assert values(answer) == [pytest.approx(chance(2 + 6 - 6), rel=1e-6)] * 4


async def test_a_context_field_with_a_label_counts_for_those_only_who_allow_it(
    running: Running, js: JetStreamContext
) -> None:
    purpose = {"default": "granted", "may_use": ["location"]}
    context = {"hour": {"type": "integer", "default": 12, "labels": ["location"]}}
    given = CATALOG.model_dump(exclude_unset=True)
    await (await open_store(js)).apply(
        Catalog.model_validate({**given, "context": context, "purposes": {"personalisation": purpose}})
    )
    await register(running, promote=True)
    late = Struct()
    late.update({"hour": 20})
    async with serve_profiles(running.profile_port):
        answer = await running.stub.Predict(
            prediction_pb2.PredictRequest(name="accept", customers=customers("bob", "carla"), context=late)
        )
    assert values(answer) == [pytest.approx(chance(one), rel=1e-6) for one in (1 + 10 - 6, 2 + 6 - 6)]


async def test_a_model_that_reads_what_its_purpose_may_not_use_is_neither_registered_nor_asked(
    running: Running, js: JetStreamContext
) -> None:
    await register(running, promote=True)
    given = CATALOG.model_dump(exclude_unset=True)
    given["traits"]["spend"]["labels"] = ["finance"]
    await (await open_store(js)).apply(Catalog.model_validate(given))
    words = "manifest.inputs: inputs[0]: profile.spend is labelled 'finance'"
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        await register(running)
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", customers=customers("ann")))


async def test_without_the_profile_service_customers_are_unavailable_and_rows_are_not(running: Running) -> None:
    await register(running, promote=True)
    async with refused(grpc.StatusCode.UNAVAILABLE, "profile service"):
        await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", customers=customers("ann")))
    rows = [prediction_pb2.InputRow(values=[0, 0, 12, 0])]
    answer = await running.stub.Predict(prediction_pb2.PredictRequest(name="accept", rows=rows))
    assert values(answer) == [0.5]


async def test_a_newer_catalogue_is_used_at_once(running: Running, js: JetStreamContext) -> None:
    wider = manifest("wider", traits=["age"])
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "manifest.inputs[0].trait", "got 'age'"):
        await register(running, wider, linear_model([1.0]))
    traits = {**CATALOG.model_dump(exclude_unset=True)["traits"], "age": {"kind": "attribute", "type": "integer"}}
    store = await open_store(js)
    await store.apply(Catalog.model_validate({**CATALOG.model_dump(exclude_unset=True), "traits": traits}))
    await register(running, wider, linear_model([1.0]), promote=True)
    await store.apply(CATALOG)
    async with (
        serve_profiles(running.profile_port),
        refused(grpc.StatusCode.INVALID_ARGUMENT, "manifest.inputs[0].trait", "got 'age'"),
    ):
        await running.stub.Predict(prediction_pb2.PredictRequest(name="wider", customers=customers("ann")))


@pytest.mark.parametrize(
    ("given", "onnx", "words"),
    [
        (MANIFEST, b"this is no model", ("onnx: expected an ONNX model",)),
        (MANIFEST, b"", ("onnx: expected the bytes",)),
        (MANIFEST, linear_model([1.0]), ("manifest.inputs: 4 are declared", "expects 1")),
        (manifest(traits=["income"]), linear_model([1.0]), ("manifest.inputs[0].trait", "got 'income'")),
        (manifest(cel=["profile.spend >"]), linear_model([1.0]), ("manifest.inputs[0].cel",)),
        (manifest(cel=["profile.spend > 100"]), linear_model([1.0]), ("manifest.inputs[0].cel", "100.0")),
        (manifest(traits=["spend"], tensor="label"), linear_model([1.0]), ("manifest.outputs[0].tensor", "'label'")),
        (
            manifest(traits=["spend"], actions=["a", "b"]),
            linear_model([1.0]),
            ("manifest.outputs[1].column", "has 1 columns"),
        ),
        (manifest("Bad Name", traits=["spend"]), linear_model([1.0]), ("manifest.name", "'Bad Name'")),
        (prediction_pb2.ModelManifest(), linear_model([1.0]), ("manifest.name",)),
    ],
)
async def test_a_model_that_does_not_fit_is_refused_and_nothing_is_stored(
    running: Running, given: prediction_pb2.ModelManifest, onnx: bytes, words: tuple[str, ...]
) -> None:
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, *words):
        await register(running, given, onnx)
    assert not (await running.stub.ListModels(prediction_pb2.ListModelsRequest())).models


async def test_a_file_over_the_limit_is_refused(running: Running) -> None:
    async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "at most 33554432 bytes"):
        await register(running, onnx=bytes((32 << 20) + 1))
    async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"):
        await register(running, onnx=bytes(40 << 20))
    await register(running)


async def test_a_large_model_is_stored_and_predicts(running: Running) -> None:
    outputs = 10_000
    wide = manifest_of(
        {
            "name": "wide",
            "inputs": [{"trait": "spend"}] * 500,
            "outputs": [
                {"tensor": "probabilities", "column": at, "action": f"action-{at:05}"} for at in range(outputs)
            ],
        }
    )
    onnx = linear_model([[0.0] * outputs] * 500)
    version = await register(running, wide, onnx, promote=True)
    assert version.size_bytes == len(onnx) > 19 << 20
    rows = [prediction_pb2.InputRow(values=[0.0] * 500)]
    answer = await running.stub.Predict(prediction_pb2.PredictRequest(name="wide", rows=rows))
    assert list(answer.predictions[0].values) == [0.5] * outputs
    async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "fewer rows"):
        await running.stub.Predict(prediction_pb2.PredictRequest(name="wide", rows=rows * 101))


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"name": "ghost", "rows": [{"values": [1]}]}, grpc.StatusCode.NOT_FOUND, "model 'ghost' is not known"),
        ({"name": "accept", "version": 9, "rows": [{"values": [1]}]}, grpc.StatusCode.NOT_FOUND, "no version 9"),
        ({"name": "", "rows": [{"values": [1]}]}, grpc.StatusCode.INVALID_ARGUMENT, "name: expected"),
        ({"name": "$JS.>", "rows": [{"values": [1]}]}, grpc.StatusCode.INVALID_ARGUMENT, "name: expected"),
        ({"name": "accept"}, grpc.StatusCode.INVALID_ARGUMENT, "customers: expected 1 to 1000"),
        ({"name": "accept", "version": -1}, grpc.StatusCode.INVALID_ARGUMENT, "version: expected"),
        (
            {"name": "accept", "rows": [{"values": [1]}], "customers": [{"kind": "user_id", "value": "a"}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "or else",
        ),
        (
            {"name": "accept", "rows": [{"values": [1, 1, 1, 1]}, {"values": [1]}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "rows[1].values: expected 4",
        ),
        (
            {"name": "accept", "rows": [{"values": [1, 1, float("nan"), 1]}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "rows[0].values[2]: expected a finite float32, got nan",
        ),
        (
            {"name": "accept", "rows": [{"values": [1, 1, 1, 1e39]}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "rows[0].values[3]: expected a finite float32, got 1e+39",
        ),
        ({"name": "accept", "rows": [{"values": [1]}] * 1_001}, grpc.StatusCode.RESOURCE_EXHAUSTED, "rows: expected"),
        (
            {"name": "accept", "customers": [{"kind": "user_id", "value": "a"}] * 1_001},
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "customers: expected",
        ),
        (
            {"name": "accept", "customers": [{"kind": "Shoe Size", "value": "a"}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "customers[0].kind",
        ),
        (
            {"name": "accept", "customers": [{}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "customers[0]: an identifier",
        ),
        (
            {
                "name": "accept",
                "customers": [{"kind": "user_id", "value": "a"}],
                "context": {"hour": "ten"},
            },
            grpc.StatusCode.INVALID_ARGUMENT,
            "context.hour: expected a whole number, got a string",
        ),
    ],
)
async def test_a_bad_question_is_answered_with_what_is_wrong(
    running: Running, request_: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    await register(running, promote=True)
    async with refused(code, words):
        await running.stub.Predict(prediction_pb2.PredictRequest(**request_))


async def test_an_unknown_version_is_not_promoted(running: Running) -> None:
    await register(running)
    async with refused(grpc.StatusCode.NOT_FOUND, "no version 2"):
        await running.stub.PromoteModel(prediction_pb2.PromoteModelRequest(name="accept", version=2))
    async with refused(grpc.StatusCode.NOT_FOUND, "'ghost' is not known"):
        await running.stub.PromoteModel(prediction_pb2.PromoteModelRequest(name="ghost"))
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "version"):
        await running.stub.PromoteModel(prediction_pb2.PromoteModelRequest(name="accept", version=-1))
    async with refused(grpc.StatusCode.NOT_FOUND, "'ghost' is not known"):
        await running.stub.RollbackModel(prediction_pb2.RollbackModelRequest(name="ghost"))


async def test_before_a_catalogue_is_applied_a_model_cannot_be_checked(js: JetStreamContext, nats_url: str) -> None:
    async with (
        run_service(nats_url) as service,
        refused(grpc.StatusCode.FAILED_PRECONDITION, "wayline catalog apply"),
    ):
        await register(service)


async def test_the_service_says_that_it_is_well(running: Running) -> None:
    async with grpc.aio.insecure_channel(running.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def listing(service: Running) -> grpc.StatusCode:
    try:
        await service.stub.ListModels(prediction_pb2.ListModelsRequest())
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_when_nats_is_killed_calls_are_unavailable_until_it_is_back(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server:
        async with run_service(server.url) as service:
            server.kill()
            async with refused(grpc.StatusCode.UNAVAILABLE, "registry"):
                await service.stub.ListModels(prediction_pb2.ListModelsRequest())
            server.start()
            async with asyncio.timeout(30):
                while (code := await listing(service)) != grpc.StatusCode.OK:
                    assert code == grpc.StatusCode.UNAVAILABLE


async def wayline(service: Running, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("wayline")),
        "models",
        *arguments,
        "--prediction",
        service.address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command_line_registers_lists_promotes_and_rolls_back(running: Running, tmp_path: Path) -> None:
    (tmp_path / "accept.onnx").write_bytes(linear_model([1.0, 2.0]))
    (tmp_path / "accept.yaml").write_text(
        "name: accept\n"
        "inputs:\n  - trait: spend\n  - cel: profile.city == 'Oslo'\n"
        "outputs:\n  - tensor: probabilities\n    action: hello\n"
        "measures: {auc: 0.71}\n"
    )
    files = (str(tmp_path / "accept.onnx"), str(tmp_path / "accept.yaml"))
    assert "No models yet" in (await wayline(running, "list"))[1]
    code, out, err = await wayline(running, "register", *files, "--promote", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["version"] == 1
    assert "accept version 2" in (await wayline(running, "register", *files))[1]
    assert "version 2" in (await wayline(running, "promote", "accept"))[1]
    (model,) = json.loads((await wayline(running, "list", "--json"))[1])
    assert (model["champion"], model["former_champions"], len(model["versions"])) == (2, [1], 2)
    assert "auc 0.71" in (await wayline(running, "list"))[1]
    assert "version 1" in (await wayline(running, "rollback", "accept"))[1]
    code, _, err = await wayline(running, "rollback", "accept")
    assert (code, "no former champion" in err) == (1, True)
    (tmp_path / "accept.yaml").write_text("name: accept\ninputz: []\n")
    code, _, err = await wayline(running, "register", *files)
    assert (code, "inputz" in err) == (1, True)
