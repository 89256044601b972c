"""The chart's NetworkPolicies let through what the code needs, and nothing else: every pair and port is judged.

Judged as Kubernetes does (networking.k8s.io/v1): a pod that no policy selects is open; else what any rule of any policy
that selects it allows is allowed, on the sender's side and on the receiver's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.contract.chart import CHART, FULL, NAMESPACE, SERVICES, objects, pods, rendered
from tools.deployment import called_by, edges, heard_by

_PORTS = (53, 443, 4317, 5432, 8080, 9093, 50051)
Edge = tuple[str, str, int]


@dataclass(frozen=True)
class End:
    """Somebody who sends or receives."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""  # outside the cluster


_OUTSIDE = [
    End("dns", "kube-system", {"k8s-app": "kube-dns"}),
    End("scheduler", "kube-system", {"component": "kube-scheduler"}),
    End("database", "postgres", {"app": "postgres"}),
    End("broker", "kafka", {"strimzi.io/cluster": "kelola"}),
    End("other broker", "kafka", {"strimzi.io/cluster": "other"}),
    End("collector", "observability", {"app": "collector"}),
    End("application", "apps", {"app": "portal"}),
    End("neighbour", NAMESPACE, {"app": "neighbour"}),
    End("stranger", "default", {"app": "stranger"}),
    End("internet", address="203.0.113.7"),
    End("metadata service", address="169.254.169.254"),
]


def _inside(documents: Sequence[Mapping[str, Any]]) -> list[End]:
    templates = [one["spec"]["template"] for one in documents if one["kind"] in ("Deployment", "Job")]
    labels = [template["metadata"]["labels"] for template in templates]
    return [End(each["app.kubernetes.io/component"], NAMESPACE, each) for each in labels]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "these policies use matchLabels alone"
    return selector.get("matchLabels", {}).items() <= labels.items()


def _is_peer(peer: Mapping[str, Any], end: End) -> bool:
    if "ipBlock" in peer:
        if not end.address:
            return False
        address, block = ipaddress.ip_address(end.address), peer["ipBlock"]
        return address in ipaddress.ip_network(block["cidr"]) and not any(
            address in ipaddress.ip_network(one) for one in block.get("except", ())
        )
    if not end.namespace:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace}):
            return False
    elif end.namespace != NAMESPACE:
        return False
    return _selects(peer.get("podSelector", {}), end.labels)


def _passes(policies: Sequence[Mapping[str, Any]], way: str, pod: End, other: End, port: int) -> bool:
    chosen = [
        policy["spec"]
        for policy in policies
        if pod.namespace == NAMESPACE
        and _selects(policy["spec"]["podSelector"], pod.labels)
        and way.capitalize() in policy["spec"]["policyTypes"]
    ]
    side = {"ingress": "from", "egress": "to"}[way]
    return not chosen or any(
        any(_is_peer(peer, other) for peer in rule[side]) and port in {one["port"] for one in rule["ports"]}
        for spec in chosen
        for rule in spec.get(way, ())
    )


def _open(documents: Sequence[Mapping[str, Any]]) -> set[Edge]:
    """Every edge that the policies let through, with one of the release's pods at an end of it."""
    policies = [one for one in documents if one["kind"] == "NetworkPolicy"]
    inside = _inside(documents)
    return {
        (sender.name, receiver.name, port)
        for sender in [*inside, *_OUTSIDE]
        for receiver in [*inside, *_OUTSIDE]
        for port in _PORTS
        if sender is not receiver
        and (sender in inside or receiver in inside)
        and _passes(policies, "egress", sender, receiver, port)
        and _passes(policies, "ingress", receiver, sender, port)
    }


def _needed(*, collector: bool, application: bool, own_issuer: bool = True) -> set[Edge]:
    """What the code needs: its database, its names, its broker, its peers, the keys of tokens, the collector."""
    found: set[Edge] = set()
    for service in SERVICES:
        for part in (service, f"{service}-relay", f"{service}-migrate"):
            found |= {(part, "dns", 53), (part, "database", 5432)}
        found.add((f"{service}-relay", "broker", 9093))
        if heard_by(service):
            found.add((service, "broker", 9093))
        found |= {(service, peer, 50051) for peer in called_by(service)}
        if own_issuer and service != "identity":
            found.add((service, "identity", 8080))
        if not own_issuer:
            found.add((service, "internet", 443))
        if collector:
            found |= {(service, "collector", 4317), (f"{service}-relay", "collector", 4317)}
        if application:
            found.add(("application", service, 50051))
    if application:
        found.add(("application", "identity", 8080))
    return found


def test_by_default_the_needed_edges_are_open_and_no_other():
    assert _open(objects()) == _needed(collector=False, application=False)


def test_a_collector_and_applications_are_let_in_by_name():
    assert _open(objects(full=True)) == _needed(collector=True, application=True)


def test_with_another_issuer_its_address_takes_the_place_of_identitys_door():
    documents = rendered({"jwksUrl": "https://login.example.org/keys"})

    assert _open(documents) == _needed(collector=False, application=False, own_issuer=False)


def test_the_chart_knows_what_the_code_says():
    assert (CHART / "files" / "services.yaml").read_text(encoding="utf-8") == edges()


def test_the_callers_are_those_of_the_code():
    """As the services are now, in words, so that a new edge is seen in review."""
    assert {service: called_by(service) for service in SERVICES} == {
        "identity": [],
        "finance": [],
        "hr": ["finance", "identity"],
        "logistics": ["finance", "identity"],
    }


def test_another_release_beside_it_is_a_stranger():
    mine = rendered(FULL, "mine")
    theirs = [End(f"their {end.name}", NAMESPACE, end.labels) for end in _inside(rendered(FULL, "theirs"))]
    policies = [one for one in mine if one["kind"] == "NetworkPolicy"]

    for pod in _inside(mine):
        for other in theirs:
            assert not any(_passes(policies, "ingress", pod, other, port) for port in _PORTS)
            assert not any(_passes(policies, "egress", pod, other, port) for port in _PORTS)


def test_the_judge_sees_what_is_open():
    """Without policies everything is open, so the tests above could fail."""
    documents = [one for one in objects() if one["kind"] != "NetworkPolicy"]

    assert ("stranger", "finance", 50051) in _open(documents)
    assert len(_open(documents)) > len(pods()) * len(_PORTS)


def test_policies_are_left_out_only_when_they_are_switched_off():
    documents = rendered({"networkPolicy": {"enabled": False}})

    assert not [one for one in documents if one["kind"] == "NetworkPolicy"]
