"""The Kubernetes manifests agree with the code that they run."""

from __future__ import annotations

import importlib
import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

from wayline.cluster import Ports
from wayline.cluster.nats_server import MAX_PAYLOAD_BYTES, MAX_STORE_BYTES
from wayline.settings import Settings

ROOT = Path(__file__).parents[2]
ROLES = ("ingestion", "profile", "prediction", "decision")


def load_checker() -> Any:
    """`deploy/check_manifests.py`, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("check_manifests", ROOT / "deploy" / "check_manifests.py")
    assert spec
    assert spec.loader
    checker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checker)
    return checker


checker = load_checker()


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in checker.documents()}


def workloads(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod specifications, by name."""
    kinds = ("Deployment", "StatefulSet")
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in documents.values() if one["kind"] in kinds
    }


def test_every_manifest_follows_its_schema(documents: dict[str, dict[str, Any]]):
    assert {name: checker.problem(document) for name, document in documents.items()} == dict.fromkeys(documents)


def test_a_misspelt_field_is_found():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    assert "prots" in str(checker.problem(service))


def test_a_kind_without_a_schema_is_found():
    assert "Sevrice" in str(checker.problem({"apiVersion": "v1", "kind": "Sevrice", "metadata": {"name": "x"}}))


def test_manifests_are_read_without_kubectl_too(documents: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checker.shutil, "which", lambda name: None)
    assert {f"{one['kind']}/{one['metadata']['name']}" for one in checker.documents()} == set(documents)


def test_every_variable_is_a_setting(documents: dict[str, dict[str, Any]]):
    known: set[str] = set()
    for role in ROLES:
        module = importlib.import_module(f"wayline_{role}.settings")
        classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Settings)]
        known |= {f"WAYLINE_{field.upper()}" for one in classes for field in one.model_fields}
    assert set(documents["ConfigMap/wayline"]["data"]) - known == set()


@pytest.mark.parametrize(("name", "port"), list(Ports().items()))
def test_ports_are_those_that_the_processes_listen_on(documents: dict[str, dict[str, Any]], name: str, port: int):
    assert workloads(documents)[name]["containers"][0]["ports"][0]["containerPort"] == port
    assert documents[f"Service/{name}"]["spec"]["ports"][0]["port"] == port


@pytest.mark.parametrize("role", ROLES)
def test_probes_ask_the_health_service_for_life_and_for_readiness(documents: dict[str, dict[str, Any]], role: str):
    container = workloads(documents)[role]["containers"][0]
    contract = importlib.import_module(f"wayline.v1.{role}_pb2").DESCRIPTOR
    assert container["livenessProbe"]["grpc"] == {"port": dict(Ports().items())[role]}
    assert container["readinessProbe"]["grpc"]["service"] in {
        one.full_name for one in contract.services_by_name.values()
    }


def test_nobody_is_root_or_can_write_to_the_image(documents: dict[str, dict[str, Any]]):
    for pod in workloads(documents).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_everything_has_requests_and_a_memory_limit_and_decision_no_cpu_limit(documents: dict[str, dict[str, Any]]):
    resources = {name: pod["containers"][0]["resources"] for name, pod in workloads(documents).items()}
    assert all({"cpu", "memory"} <= set(one["requests"]) and "memory" in one["limits"] for one in resources.values())
    assert "cpu" not in resources["decision"]["limits"]


def test_nats_has_the_limits_of_a_local_installation(documents: dict[str, dict[str, Any]]):
    configuration = documents["ConfigMap/nats"]["data"]["nats.conf"]
    assert f"max_payload: {MAX_PAYLOAD_BYTES}\n" in configuration
    assert f"max_file_store: {MAX_STORE_BYTES}\n" in configuration


@pytest.mark.skipif(not checker.shutil.which("kubectl"), reason="an overlay is rendered by kubectl")
def test_several_profile_processes_share_a_database_and_a_key_and_keep_nothing_of_their_own():
    (overlay,) = checker.OVERLAYS
    rendered = {f"{one['kind']}/{one['metadata']['name']}": one for one in checker.documents(overlay)}
    assert {name: checker.problem(document) for name, document in rendered.items()} == dict.fromkeys(rendered)
    profile = rendered["StatefulSet/profile"]["spec"]
    assert profile["replicas"] > 1
    assert "volumeClaimTemplates" not in profile
    container = profile["template"]["spec"]["containers"][0]
    settings = importlib.import_module("wayline_profile.settings").ProfileSettings
    named = {variable["name"] for variable in container["env"]}
    assert named == {"WAYLINE_PROFILE_STORE", "WAYLINE_RECEIPT_KEY"}
    assert named <= {f"WAYLINE_{field.upper()}" for field in settings.model_fields}
    assert (
        rendered["Service/profile"]["spec"]["selector"]
        == rendered["PodDisruptionBudget/profile"]["spec"]["selector"]["matchLabels"]
    )


def test_images_carry_the_version_of_the_project(documents: dict[str, dict[str, Any]]):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    kustomization = (ROOT / "deploy" / "k8s" / "base" / "kustomization.yaml").read_text()
    assert kustomization.count(f"newTag: {version}\n") == len(ROLES)
