"""deploy/kafka: the topics of the contracts, and users that may do what their process does and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from chassis.broker import PARTITIONS, RETENTION_DAYS
from chassis.local.kafka_home import KAFKA_VERSION
from chassis.local.services import service_names
from chassis.settings import ServiceSettings
from tools.deployment import CLUSTER, topics, users
from tools.descriptors import ROOT

_FOLDER = ROOT / "deploy" / "kafka"
_SERVICES = service_names()
_CONTRACT = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_FOLDER / name).read_text(encoding="utf-8")))


_TOPICS = {one["metadata"]["name"]: one for one in _documents("topics.yaml")}
_USERS = {one["metadata"]["name"]: one for one in _documents("users.yaml")}
_CLUSTER = {(one["kind"], one["metadata"]["name"]): one for one in _documents("kafka.yaml")}


def _rules(user: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    for rule in _USERS[user]["spec"]["authorization"]["acls"]:
        assert (rule["resource"]["patternType"], rule["host"]) == ("literal", "*")
        assert rule.get("type", "allow") == "allow"
        yield rule["resource"]["type"], rule["resource"]["name"], frozenset(rule["operations"])


def test_the_files_are_what_the_contracts_and_the_code_say():
    assert (_FOLDER / "topics.yaml").read_text(encoding="utf-8") == topics()
    assert (_FOLDER / "users.yaml").read_text(encoding="utf-8") == users()


def test_every_topic_of_the_contracts_is_made_and_no_other():
    assert set(_TOPICS) == set(_CONTRACT["channels"])


def test_topics_outlive_the_loss_of_one_broker_and_are_kept_as_the_code_says():
    for topic in _TOPICS.values():
        assert topic["spec"] == {
            "partitions": PARTITIONS,
            "replicas": 3,
            "config": {
                "cleanup.policy": "delete",
                "min.insync.replicas": 2,
                "retention.ms": RETENTION_DAYS * 86_400_000,
            },
        }
        assert topic["metadata"]["labels"]["strimzi.io/cluster"] == CLUSTER


def test_a_relay_writes_its_own_topics_under_its_own_name_and_nothing_else():
    for service in _SERVICES:
        own = {topic for topic in _CONTRACT["channels"] if topic.startswith(f"kelola.{service}.")}
        write = frozenset({"Describe", "Write"})

        assert sorted(_rules(f"kelola-{service}-relay")) == sorted(
            [*(("topic", topic, write) for topic in own), ("transactionalId", f"kelola-relay-{service}", write)]
        )


def test_consumers_read_and_write_nothing():
    readers = sorted(name for name in _USERS if not name.endswith("-relay"))

    # As the services are now, in words, so that a new reader of somebody's events is seen in review.
    assert {name: sorted(what for kind, what, _ in _rules(name) if kind == "topic") for name in readers} == {
        "kelola-finance": [
            "kelola.logistics.ordering.v1",
            "kelola.logistics.receiving.v1",
            "kelola.logistics.stock.v1",
        ],
        "kelola-hr": ["kelola.finance.payables.v1"],
        "kelola-logistics": ["kelola.finance.payables.v1", "kelola.identity.organization.v1"],
    }
    for name in readers:
        operations = {kind: allowed for kind, _, allowed in _rules(name)}
        assert operations == {"topic": {"Describe", "Read"}, "group": {"Read"}}
        assert [what for kind, what, _ in _rules(name) if kind == "group"] == [name]


def test_every_user_is_known_by_its_certificate():
    for user in _USERS.values():
        assert user["spec"]["authentication"] == {"type": "tls"}
        assert user["spec"]["authorization"]["type"] == "simple"
        assert user["metadata"]["labels"]["strimzi.io/cluster"] == CLUSTER
        # A certificate's common name has at most 64 characters.
        assert len(user["metadata"]["name"]) <= 64


def test_the_chart_asks_for_the_secrets_of_these_users():
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "kelola" / "values.yaml").read_text(encoding="utf-8"))
    asked = {
        secret
        for service in values["services"].values()
        for name, secret in service.items()
        if name in ("brokerSecret", "relayBrokerSecret")
    }

    assert asked == set(_USERS)
    assert values["brokerCaSecret"] == f"{CLUSTER}-cluster-ca-cert"
    assert values["brokerServers"] == f"{CLUSTER}-kafka-bootstrap.kafka.svc:9093"


def test_three_brokers_and_three_controllers_that_keep_what_they_acknowledged():
    kafka = _CLUSTER["Kafka", CLUSTER]["spec"]["kafka"]
    pools = {name: one["spec"] for (kind, name), one in _CLUSTER.items() if kind == "KafkaNodePool"}

    assert {name: (pool["roles"], pool["replicas"]) for name, pool in pools.items()} == {
        "controller": (["controller"], 3),
        "broker": (["broker"], 3),
    }
    assert all(volume["deleteClaim"] is False for pool in pools.values() for volume in pool["storage"]["volumes"])
    assert (
        kafka["config"].items()
        >= {
            "auto.create.topics.enable": False,
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "offsets.topic.replication.factor": 3,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
            "unclean.leader.election.enable": False,
        }.items()
    )
    # The version that the tests run on.
    assert kafka["version"] == KAFKA_VERSION
    assert KAFKA_VERSION.startswith(kafka["metadataVersion"].partition("-")[0])


def test_nobody_reaches_the_brokers_without_a_certificate():
    kafka = _CLUSTER["Kafka", CLUSTER]["spec"]["kafka"]

    assert kafka["authorization"] == {"type": "simple"}
    assert [(one["tls"], one["authentication"]) for one in kafka["listeners"]] == [(True, {"type": "tls"})]


def test_the_listener_lets_in_the_parts_that_have_a_user():
    (listener,) = _CLUSTER["Kafka", CLUSTER]["spec"]["kafka"]["listeners"]
    (peer,) = listener["networkPolicyPeers"]
    (parts,) = peer["podSelector"]["matchExpressions"]

    assert parts["key"] == "app.kubernetes.io/component"
    assert {f"kelola-{part}" for part in parts["values"]} == set(_USERS)


@pytest.mark.parametrize("missing", ["broker_ca_file", "broker_certificate_file", "broker_key_file"])
def test_a_process_has_all_of_its_certificate_or_none(missing):
    files = {
        name: "/file" for name in ("broker_ca_file", "broker_certificate_file", "broker_key_file") if name != missing
    }

    with pytest.raises(ValidationError, match="or none of them"):
        ServiceSettings(service="finance", **files)
