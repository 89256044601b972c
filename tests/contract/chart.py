"""deploy/helm/kelola as Helm renders it: the objects, and the pods with what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml

from chassis.local.services import service_names
from tools.descriptors import ROOT

helm = pytest.importorskip("helm_python", reason="Helm's SDK has no wheel for this machine")

CHART = ROOT / "deploy" / "helm" / "kelola"
NAMESPACE = "erp"
SERVICES = service_names()
PARTS = [f"{service}{suffix}" for service in SERVICES for suffix in ("", "-relay", "-migrate")]
# Everything that the values can switch on.
FULL: dict[str, Any] = {
    "otlpEndpoint": "http://collector.observability.svc:4317",
    "databaseCaSecret": "postgres-ca",
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "high",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "erp", "operator": "Exists", "effect": "NoSchedule"}],
    "podAnnotations": {"example": "yes"},
    "serviceDefaults": {"autoscaling": {"enabled": True}},
    "networkPolicy": {"clientPeers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}}}]},
}


def rendered(values: Mapping[str, Any], release: str = "kelola") -> list[dict[str, Any]]:
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(dict(values), name=release, namespace=NAMESPACE)
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


@cache
def objects(full: bool = False) -> tuple[dict[str, Any], ...]:
    return tuple(rendered(FULL if full else {}))


@cache
def kind(kind: str, full: bool = False) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in objects(full) if one["kind"] == kind}


@dataclass(frozen=True)
class Pod:
    """A pod template of the chart, with the part that it plays: finance, finance-relay, finance-migrate."""

    part: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def service(self) -> str:
        return self.part.partition("-")[0]

    @property
    def container(self) -> Mapping[str, Any]:
        (only,) = self.spec["containers"]
        return only

    @property
    def secrets(self) -> set[str]:
        """The Secrets that it is given, by variable or by file."""
        volumes = self.spec["volumes"]
        sources = [*volumes, *(source for one in volumes for source in one.get("projected", {}).get("sources", ()))]
        by_file = {one["secret"].get("secretName") or one["secret"]["name"] for one in sources if "secret" in one}
        return by_file | {
            variable["valueFrom"]["secretKeyRef"]["name"]
            for variable in self.container["env"]
            if "secretKeyRef" in variable.get("valueFrom", {})
        }

    def environment(self, full: bool = False) -> dict[str, str]:
        """Its variables; what comes from a Secret is shown as the Secret's name."""
        found: dict[str, str] = {}
        for source in self.container.get("envFrom", ()):
            found |= kind("ConfigMap", full)[source["configMapRef"]["name"]]["data"]
        for variable in self.container["env"]:
            reference = variable.get("valueFrom", {})
            found[variable["name"]] = variable.get("value") or reference.get("secretKeyRef", {}).get("name", "")
        return found


@cache
def pods(full: bool = False) -> dict[str, Pod]:
    found = {}
    for one in objects(full):
        if one["kind"] in ("Deployment", "Job"):
            template = one["spec"]["template"]
            part = template["metadata"]["labels"]["app.kubernetes.io/component"]
            found[part] = Pod(part, template["metadata"], template["spec"])
    return found
