"""How this system speaks to Kafka: one place for the settings of producer, consumer and topics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError

from chassis.settings import ServiceSettings

# Enough for several consumers of a service to share the work; more would cost small brokers for nothing.
PARTITIONS = 4
_REPLICAS_WANTED = 3
# What topics keep where the settings say nothing else; the outbox keeps its rows for at least as long.
RETENTION_DAYS: int = ServiceSettings.model_fields["topic_retention_days"].default

_REQUEST_MILLISECONDS = 10_000
_BOOTSTRAP_MILLISECONDS = 3_000
# A broker that came back is found soon, a new topic too.
_RECONNECT_MILLISECONDS_MAX = 1_000
_METADATA_MILLISECONDS = 3_000
# A group's first join, and every rebalance, waits about half the session.
_SESSION_MILLISECONDS = 6_000
_HEARTBEAT_MILLISECONDS = 1_000
_RECORDS_MAX = 200
# How long the relay waits for the broker's answer to a batch before it connects anew.
ANSWER_SECONDS = 5.0
_ABANDON_SECONDS = 2.0


def servers(settings: ServiceSettings) -> list[str]:
    """The brokers to begin with."""
    if not settings.broker_servers:
        raise ValueError("set KELOLA_BROKER_SERVERS: host:port of a broker")
    return [server.strip() for server in settings.broker_servers.split(",")]


def _common(settings: ServiceSettings, role: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers(settings),
        "client_id": f"kelola-{settings.service}-{role}",
        "request_timeout_ms": _REQUEST_MILLISECONDS,
        "bootstrap_timeout_ms": _BOOTSTRAP_MILLISECONDS,
        "reconnect_backoff_max_ms": _RECONNECT_MILLISECONDS_MAX,
        "metadata_max_age_ms": _METADATA_MILLISECONDS,
        **_security(settings),
    }


def _security(settings: ServiceSettings) -> dict[str, Any]:
    """Mutual TLS where the settings have its files; else plaintext, for the local platform and private networks."""
    if settings.broker_ca_file is None:
        return {}
    return {
        "security_protocol": "SSL",
        "ssl_cafile": str(settings.broker_ca_file),
        "ssl_certfile": str(settings.broker_certificate_file),
        "ssl_keyfile": str(settings.broker_key_file),
    }


def admin(settings: ServiceSettings) -> KafkaAdminClient:
    """A client for topics and the cluster's identity. The caller closes it."""
    return KafkaAdminClient(**_common(settings, "admin"))


class Producer(KafkaProducer):
    """kafka-python's producer with ends to its waits.

    Its own `commit_transaction` and `abort_transaction` wait for ever when the broker dies meanwhile, and its
    `close` gives up before it has closed anything when records cannot be delivered (3.0.12).
    """

    def commit_transaction(self) -> None:
        """Commit; KafkaTimeoutError when the broker did not answer: the outcome is then unknown."""
        self._bounded(self._transaction_manager.begin_commit())

    def abort_transaction(self) -> None:
        """Abort; KafkaTimeoutError when the broker did not answer."""
        self._bounded(self._transaction_manager.begin_abort())

    def abandon(self) -> None:
        """Close at once, without sending what is left."""
        self._unregister_cleanup()
        self._sender.force_close()
        self._sender.join(_ABANDON_SECONDS)

    def _bounded(self, result: Any) -> None:
        self._sender.wakeup()
        if not result.wait(timeout_ms=ANSWER_SECONDS * 1000):
            raise KafkaTimeoutError("the broker did not end the transaction in time")


def producer(settings: ServiceSettings, *, transactional_id: str | None) -> Producer:
    """A producer that waits for all replicas and never writes a record twice within its session."""
    return Producer(
        **_common(settings, "relay"),
        metrics_enabled=False,
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=30_000,
        retry_backoff_ms=20,
        linger_ms=2,
        batch_size=256 * 1024,
        max_block_ms=_REQUEST_MILLISECONDS,
        delivery_timeout_ms=20_000,
        compression_type="zstd",
        allow_auto_create_topics=False,
    )


def consumer(settings: ServiceSettings, group: str) -> KafkaConsumer:
    """A member of `group`, used by one thread alone; offsets are committed by hand, after the database."""
    return KafkaConsumer(
        **_common(settings, "consumer"),
        metrics_enabled=False,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=_SESSION_MILLISECONDS,
        heartbeat_interval_ms=_HEARTBEAT_MILLISECONDS,
        max_poll_records=_RECORDS_MAX,
        fetch_max_wait_ms=100,
        allow_auto_create_topics=False,
    )


def ensure_topics(client: KafkaAdminClient, names: Iterable[str], *, days: int) -> None:
    """Make the topics that are missing, to keep records for `days`.

    Partitions for sharing, as many replicas as there are brokers, up to 3.
    """
    missing = sorted(set(names) - set(client.list_topics()))
    if not missing:
        return
    replicas = min(_REPLICAS_WANTED, len(client.describe_cluster()["brokers"]))
    configs = {"retention.ms": str(days * 24 * 3600 * 1000), "cleanup.policy": "delete"}
    if replicas == _REPLICAS_WANTED:
        # With acks=all, a write then survives the loss of any one broker.
        configs["min.insync.replicas"] = "2"
    for name in missing:
        try:
            client.create_topics(
                {name: {"num_partitions": PARTITIONS, "replication_factor": replicas, "configs": configs}}
            )
        except TopicAlreadyExistsError:
            # Another process was faster.
            continue


def cluster_id(client: KafkaAdminClient) -> str:
    """The broker's identity: a memory-only one has another after each start."""
    return str(client.describe_cluster()["cluster_id"])
