"""deploy/helm/kelola as Helm renders it: valid, without privileges or secrets, each process given what it needs."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chassis.settings import ServiceSettings
from services.finance.settings import FinanceSettings
from services.identity.settings import IdentitySettings
from tests.contract.chart import CHART, FULL, PARTS, SERVICES, helm, kind, objects, pods, rendered
from tools.deployment import called_by, heard_by
from tools.descriptors import ROOT

_SETTINGS = {"finance": FinanceSettings, "identity": IdentitySettings}


def test_every_service_is_migrated_served_and_relayed():
    assert sorted(pods()) == sorted(PARTS)
    verbs = {"": "serve", "relay": "relay", "migrate": "migrate"}
    for part, pod in pods().items():
        assert pod.container["args"] == [verbs[part.partition("-")[2]], pod.service]


def test_helm_finds_nothing_wrong_with_the_chart():
    found = helm.lint(str(CHART))

    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]
    assert found["errors"] == []


@pytest.mark.parametrize(("full", "version"), [(False, "1.37"), (True, "1.37"), (True, "1.27")])
def test_every_object_is_what_kubernetes_knows(full, version):
    for one in objects(full):
        kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_object_would_be_refused():
    deployment = json.loads(json.dumps(kind("Deployment")["kelola-finance"]))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["grpc"]["port"] = "grpc"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.37", strict=True)


def test_chart_and_project_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert chart["appVersion"] == project["version"]


@pytest.mark.parametrize("full", [False, True], ids=["defaults", "everything"])
@pytest.mark.parametrize("part", PARTS)
def test_pods_keep_to_the_restricted_standard(part, full):
    pod = pods(full)[part]
    container = pod.container

    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert (pod.spec["securityContext"]["runAsUser"], pod.spec["securityContext"]["fsGroup"]) == (10001, 10001)
    assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod.spec)
    assert {kind for volume in pod.spec["volumes"] for kind in volume} - {"name"} <= {
        *("configMap", "emptyDir", "projected", "secret")
    }
    # What may be written is /tmp alone.
    writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert [(mount["name"], mount["mountPath"]) for mount in writable] == [("tmp", "/tmp")]
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    account = kind("ServiceAccount", full)[pod.spec["serviceAccountName"]]
    assert account["automountServiceAccountToken"] is False
    assert set(container["resources"]) == {"requests", "limits"}
    assert "memory" in container["resources"]["limits"]
    # The image's own user, without which its files could not be read.
    assert "USER 10001:10001" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_no_secret_is_rendered_and_each_process_gets_its_own_alone():
    assert not kind("Secret", full=True)
    for part, pod in pods(full=True).items():
        service, role = pod.service, part.partition("-")[2]
        named = f"kelola-{service}"
        wanted = {
            "": {f"{named}-app", f"{named}-key"},
            "relay": {f"{named}-reader", f"{named}-key", f"{named}-relay", "kelola-cluster-ca-cert"},
            "migrate": {f"{named}-owner"},
        }[role]
        if role == "" and heard_by(service):
            wanted |= {named, "kelola-cluster-ca-cert"}
        if part == "identity":
            wanted |= {"kelola-identity-keys"}

        assert pod.secrets == wanted | {"postgres-ca"}, part


def test_owner_credentials_are_in_the_migration_alone():
    holders = {part for part, pod in pods().items() if "KELOLA_DATABASE_OWNER_URL" in pod.environment()}

    assert holders == {f"{service}-migrate" for service in SERVICES}


@pytest.mark.parametrize("full", [False, True], ids=["defaults", "everything"])
@pytest.mark.parametrize("part", PARTS)
def test_processes_read_what_they_are_told(part, full, monkeypatch):
    pod = pods(full)[part]
    settings_class = _SETTINGS.get(part, ServiceSettings)
    given = {name: value for name, value in pod.environment(full).items() if name.startswith("KELOLA_")}
    # A relay shares its service's ConfigMap.
    known = {f"KELOLA_{name.upper()}" for name in _SETTINGS.get(pod.service, ServiceSettings).model_fields}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = settings_class(service=pod.service)

    assert set(given) - known == set()
    if not part.endswith("-migrate"):
        assert settings.relay_enabled is False
        assert set(settings.peers) == set(called_by(pod.service))
        assert (settings.grpc_host, settings.grpc_port) == ("0.0.0.0", 50051)
        assert (settings.broker_servers is None) == (part in SERVICES and not heard_by(part))
        assert settings.otlp_endpoint == ("http://collector.observability.svc:4317" if full else None)


@pytest.mark.parametrize("part", [part for part in PARTS if not part.endswith("-migrate")])
def test_every_file_that_is_told_is_mounted(part):
    pod = pods()[part]
    mounted = [mount["mountPath"] for mount in pod.container["volumeMounts"]]
    told = {
        name: value.removeprefix("file://")
        for name, value in pod.environment().items()
        if value.removeprefix("file://").startswith("/")
    }
    if part.endswith("-relay"):
        # Named in the ConfigMap that it shares, and not its business: it serves nobody.
        for name in ("SERVICE_JWKS_URL", "SEALING_KEYS_FILE", "TOKEN_KEYS_FILE", "CLIENT_JWKS"):
            told.pop(f"KELOLA_{name}", None)

    assert told
    assert {name: file for name, file in told.items() if not any(file.startswith(f"{at}/") for at in mounted)} == {}


def test_a_relay_is_one_and_never_two_at_an_upgrade():
    for service in SERVICES:
        deployment = kind("Deployment", full=True)[f"kelola-{service}-relay"]

        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert {name.removeprefix("kelola-") for name in kind("HorizontalPodAutoscaler", full=True)} == set(SERVICES)


def test_a_pod_has_time_for_notice_calls_and_telemetry():
    values = {"graceSeconds": 60, "drainNoticeSeconds": 7}
    deployments = [one for one in rendered(values) if one["kind"] == "Deployment"]

    # chassis/container.py: the notice, the grace, one second; chassis/telemetry.py: two flushes of five seconds.
    assert {one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for one in deployments} == {82}


@pytest.mark.parametrize("service", SERVICES)
def test_probes_ask_health_and_only_readiness_asks_for_the_database(service):
    from chassis.grpc.health import LIVENESS, WHOLE_SERVER

    container = pods()[service].container

    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["grpc"] == {"port": 50051, "service": LIVENESS}
    assert container["readinessProbe"]["grpc"].get("service", "") == WHOLE_SERVER
    assert {"name": "grpc", "containerPort": 50051, "protocol": "TCP"} in container["ports"]


@pytest.mark.parametrize("service", SERVICES)
def test_clients_find_every_pod_of_a_service_and_only_those_that_serve(service):
    found = kind("Service")[f"kelola-{service}"]["spec"]
    grpc_port = next(port for port in found["ports"] if port["name"] == "grpc")
    chosen = [part for part, pod in pods().items() if found["selector"].items() <= pod.metadata["labels"].items()]

    assert found["clusterIP"] == "None"
    assert (grpc_port["port"], grpc_port["appProtocol"]) == (50051, "grpc")
    assert chosen == [service]


@pytest.mark.parametrize("service", SERVICES)
def test_peers_are_addressed_by_the_names_of_their_services(service):
    peers = json.loads(pods()[service].environment()["KELOLA_PEERS"])

    assert peers == {peer: f"kelola-{peer}.erp.svc:50051" for peer in called_by(service)}
    assert set(peers.values()) <= {f"{name}.erp.svc:50051" for name in kind("Service")}


def test_services_are_spread_and_one_pod_at_a_time_is_taken_away():
    for service in SERVICES:
        spread = pods()[service].spec["topologySpreadConstraints"]
        budget = kind("PodDisruptionBudget")[f"kelola-{service}"]["spec"]

        assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= pods()[service].metadata["labels"].items()


def test_every_object_carries_the_recommended_labels_and_a_name_of_its_own():
    names = [(one["kind"], one["metadata"]["name"]) for one in objects(full=True)]
    wanted = {f"app.kubernetes.io/{label}" for label in "name instance version component part-of managed-by".split()}

    assert len(names) == len(set(names))
    for one in objects(full=True):
        assert wanted | {"helm.sh/chart"} <= set(one["metadata"]["labels"]), one["metadata"]["name"]
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kelola"


def test_what_a_migration_needs_is_there_before_the_release_is():
    """Hooks run before the release's own objects, so a Job that named one of those would wait for ever."""
    hooks = [one for one in objects() if "helm.sh/hook" in one["metadata"].get("annotations", {})]
    weights = {
        (one["kind"], one["metadata"]["name"]): int(one["metadata"]["annotations"]["helm.sh/hook-weight"])
        for one in hooks
    }

    for service in SERVICES:
        name, pod = f"kelola-{service}-migrate", pods()[f"{service}-migrate"]
        assert pod.spec["serviceAccountName"] == name
        assert "envFrom" not in pod.container
        assert weights["ServiceAccount", name] < weights["Job", name]
        assert weights["NetworkPolicy", name] < weights["Job", name]
    assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooks} == {"pre-install,pre-upgrade"}


def test_policies_and_tables_of_law_are_the_images_own():
    """The chart holds no second copy that could drift from what the code was tested with."""
    assert {path.suffix for path in CHART.rglob("*") if path.is_file()} <= {".yaml", ".json", ".tpl", ".txt", ""}
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {"!deploy/policies", "!data"} <= set(allowed)
    for pod in pods(full=True).values():
        assert not {"KELOLA_POLICIES_DIR", "KELOLA_COUNTRY_PACK_DIR"} & set(pod.environment(full=True))


def test_two_releases_in_one_namespace_share_no_name():
    first = {(one["kind"], one["metadata"]["name"]) for one in rendered(FULL, "north")}
    second = {(one["kind"], one["metadata"]["name"]) for one in rendered(FULL, "south")}

    assert not first & second
    assert all(len(name) <= 63 for _, name in first)


def test_an_image_is_named_by_its_digest_where_one_is_given():
    digest = "sha256:" + "ab" * 32
    images = {
        container["image"]
        for one in rendered({"image": {"repository": "registry.example/kelola", "tag": "1.2.3", "digest": digest}})
        if one["kind"] in ("Deployment", "Job")
        for container in one["spec"]["template"]["spec"]["containers"]
    }

    assert images == {f"registry.example/kelola@{digest}"}


def test_other_settings_make_new_pods_where_they_are_read_and_only_there():
    def checksums(values: Mapping[str, Any]) -> dict[str, str]:
        return {
            one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for one in rendered(values)
            if one["kind"] == "Deployment"
        }

    before = checksums({})
    one, every = checksums({"services": {"finance": {"callsMax": 65}}}), checksums({"logLevel": "DEBUG"})

    assert {name for name in before if before[name] != one[name]} == {"kelola-finance", "kelola-finance-relay"}
    assert {name for name in before if before[name] != every[name]} == set(before)


_REFUSED: dict[str, dict[str, Any]] = {
    "an unknown value": {"replica": 2},
    "a word for a number": {"serviceDefaults": {"replicas": "two"}},
    "a second relay": {"serviceDefaults": {"relayReplicas": 2}},
    "a password": {"services": {"finance": {"password": "hunter2"}}},
    "a database's address": {"services": {"finance": {"databaseUrl": "postgresql://finance_app:x@db/finance"}}},
    "a secret's content for its name": {"services": {"finance": {"keySecret": '{"kty":"OKP"}'}}},
    "an unknown service": {"services": {"treasury": {}}},
    "a broker's user for who hears nothing": {"services": {"identity": {"brokerSecret": "kelola-identity"}}},
    "a digest that is none": {"image": {"digest": "latest"}},
    "everywhere as the database": {"networkPolicy": {"databasePeers": []}},
    "everywhere as the broker": {"networkPolicy": {"brokerPeers": [{}]}},
    "a broker without a port": {"brokerServers": "kafka"},
    "an unknown level": {"logLevel": "LOUD"},
    "no memory limit": {"serviceDefaults": {"resources": {"limits": {"memory": None}}}},
    "a collector without a scheme": {"otlpEndpoint": "collector:4317"},
}


@pytest.mark.parametrize("what", _REFUSED)
def test_bad_values_are_refused_before_anything_is_rendered(what):
    with pytest.raises(helm.HelmError) as refusal:
        rendered(_REFUSED[what])

    assert "specifications of the schema(s)" in str(refusal.value)


def test_every_value_is_in_the_schema_and_every_object_of_it_is_closed():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def closed(node: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(node, dict):
            if "properties" in node and node.get("type") == "object":
                yield node
            for inner in node.values():
                yield from closed(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from closed(inner)

    assert set(values) == set(schema["properties"]) - {"global"}
    assert [one for one in closed(schema) if one.get("additionalProperties") is not False] == []
    assert {name for name in values if not re.fullmatch(r"[a-z][A-Za-z]*", name)} == set()
