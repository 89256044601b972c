"""deploy/kafka/users.yaml on Apache Kafka: what each process does is allowed, and everything else is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
)
from sqlalchemy import create_engine, text

from chassis import broker, outbox
from chassis.broker import Producer
from chassis.database import sqlalchemy_url
from chassis.local.services import service_names
from chassis.settings import ServiceSettings
from chassis.testing import wait_until
from kelola.finance.v1 import ledger_events_pb2
from tests.contract.chart import pods
from tests.integration.deploy.kafka_tls import Authority, SecureKafka, documents
from tests.integration.deploy.processes import running
from tools.deployment import consumer_user, heard_by, relay_user, topics_of

pytestmark = [pytest.mark.kafka, pytest.mark.broker]

_SERVICES = service_names()
_LISTENERS = [service for service in _SERVICES if heard_by(service)]
_SECONDS = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.make()
    for name in ("broker", "stranger", *(user["metadata"]["name"] for user in documents("users.yaml"))):
        made.issue(name)
    return made


@pytest.fixture(scope="module")
def cluster(scratch: Path, authority: Authority) -> Iterator[SecureKafka]:
    with SecureKafka(scratch / "secure-kafka", authority) as server:
        server.apply()
        yield server


def _settings(cluster: SecureKafka, authority: Authority, service: str, user: str) -> ServiceSettings:
    return ServiceSettings(service=service, broker_servers=cluster.secure, **authority.settings(user))


@contextmanager
def _relaying(settings: ServiceSettings, transactional_id: str) -> Iterator[Producer]:
    producer = broker.producer(settings, transactional_id=transactional_id)
    try:
        producer.init_transactions()
        yield producer
    finally:
        producer.abandon()


def _send(producer: Producer, topic: str, value: bytes) -> None:
    producer.begin_transaction()
    producer.send(topic, key=b"key", value=value).get(timeout=_SECONDS)
    producer.commit_transaction()


@pytest.mark.parametrize("service", _SERVICES)
def test_a_relay_does_its_work(cluster, authority, service):
    settings = _settings(cluster, authority, service, relay_user(service))

    client = broker.admin(settings)
    try:
        # As chassis/relay_sender.py: the cluster's identity, its topics, where they end.
        assert broker.cluster_id(client)
        broker.ensure_topics(client, topics_of(service), days=broker.RETENTION_DAYS)
        client.list_partition_offsets({TopicPartition(topics_of(service)[0], 0): OffsetSpec.LATEST})
        seen = set(client.list_topics())
    finally:
        client.close()
    with _relaying(settings, f"kelola-relay-{service}") as producer:
        for topic in topics_of(service):
            _send(producer, topic, b"fact")

    assert seen == set(topics_of(service))


@pytest.mark.parametrize("service", _SERVICES)
def test_a_relay_cannot_speak_for_another_service(cluster, authority, service):
    settings = _settings(cluster, authority, service, relay_user(service))
    other = next(name for name in _SERVICES if name != service)

    with pytest.raises(TransactionalIdAuthorizationFailedError), _relaying(settings, f"kelola-relay-{other}"):
        pass
    with (
        _relaying(settings, f"kelola-relay-{service}") as producer,
        pytest.raises(TopicAuthorizationFailedError),
    ):
        _send(producer, topics_of(other)[0], b"forged")


def test_a_relay_cannot_read_even_its_own_topics(cluster, authority):
    settings = _settings(cluster, authority, "finance", relay_user("finance"))
    consumer = _reader(settings, None)
    try:
        consumer.assign([TopicPartition(topics_of("finance")[0], 0)])
        consumer.seek(TopicPartition(topics_of("finance")[0], 0), 0)
        with pytest.raises(TopicAuthorizationFailedError):
            _poll(consumer)
    finally:
        consumer.close()


@pytest.mark.parametrize("service", _LISTENERS)
def test_a_service_takes_in_what_it_listens_to(cluster, authority, service):
    fact = uuid4().bytes
    for topic in heard_by(service):
        owner = topic.split(".")[1]
        sending = _settings(cluster, authority, owner, relay_user(owner))
        with _relaying(sending, f"kelola-relay-{owner}") as producer:
            _send(producer, topic, fact)
    settings = _settings(cluster, authority, service, consumer_user(service))
    client = broker.admin(settings)
    try:
        broker.ensure_topics(client, heard_by(service), days=broker.RETENTION_DAYS)
    finally:
        client.close()

    consumer = broker.consumer(settings, f"kelola-{service}")
    found: set[str] = set()
    try:
        consumer.subscribe(topics=heard_by(service))
        end = time.monotonic() + _SECONDS
        while found != set(heard_by(service)) and time.monotonic() < end:
            for records in consumer.poll(timeout_ms=200).values():
                found |= {record.topic for record in records if record.value == fact}
        consumer.commit()
    finally:
        consumer.close()

    assert found == set(heard_by(service))


@pytest.mark.parametrize("service", _LISTENERS)
def test_a_service_cannot_read_what_it_does_not_listen_to_nor_write_anything(cluster, authority, service):
    settings = _settings(cluster, authority, service, consumer_user(service))
    everything = sorted(topic for name in _SERVICES for topic in topics_of(name))
    with _filled(cluster, everything):
        consumer = _reader(settings, None)
        try:
            # It is not even told that the others exist; asked by name they give nothing.
            assert set(consumer.topics()) == set(heard_by(service))
            partitions = [TopicPartition(topic, number) for topic in everything for number in range(broker.PARTITIONS)]
            consumer.assign(partitions)
            for partition in partitions:
                consumer.seek(partition, 0)
            seen = _topics_read(consumer)
        finally:
            consumer.close()
    assert seen == set(heard_by(service))
    with pytest.raises(TransactionalIdAuthorizationFailedError), _relaying(settings, f"kelola-relay-{service}"):
        pass
    plain = broker.producer(settings, transactional_id=None)
    try:
        with pytest.raises(KafkaError):
            plain.send(heard_by(service)[0], value=b"forged").get(timeout=_SECONDS)
    finally:
        plain.abandon()


def test_a_service_cannot_join_anothers_group(cluster, authority):
    settings = _settings(cluster, authority, "hr", consumer_user("hr"))
    consumer = _reader(settings, "kelola-finance")
    try:
        consumer.subscribe(topics=heard_by("hr"))
        with pytest.raises(GroupAuthorizationFailedError):
            _poll(consumer)
    finally:
        consumer.close()


def test_a_certificate_without_rules_opens_nothing_and_no_certificate_not_even_the_door(cluster, authority):
    stranger = broker.admin(_settings(cluster, authority, "finance", "stranger"))
    try:
        assert list(stranger.list_topics()) == []
    finally:
        stranger.close()
    with pytest.raises((KafkaError, OSError)):
        broker.admin(ServiceSettings(service="finance", broker_servers=cluster.secure))


def test_nobody_but_the_operator_makes_topics(cluster, authority):
    client = broker.admin(_settings(cluster, authority, "finance", relay_user("finance")))
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            broker.ensure_topics(client, ["kelola.finance.invented.v1"], days=broker.RETENTION_DAYS)
    finally:
        client.close()


def _reader(settings: ServiceSettings, group: str | None) -> KafkaConsumer:
    if group is not None:
        return broker.consumer(settings, group)
    common = broker._common(settings, "test")
    return KafkaConsumer(**common, group_id=None, enable_auto_commit=False)


@contextmanager
def _filled(cluster: SecureKafka, topics: list[str]) -> Iterator[None]:
    """Every topic has a record, written by the superuser."""
    producer = broker.producer(ServiceSettings(service="test", broker_servers=cluster.bootstrap), transactional_id=None)
    try:
        for topic in topics:
            producer.send(topic, key=b"key", value=b"fact").get(timeout=_SECONDS)
        yield
    finally:
        producer.abandon()


def _topics_read(consumer: KafkaConsumer) -> set[str]:
    """The topics of which records come within three seconds, or until all have come that may."""
    seen: set[str] = set()
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        for records in consumer.poll(timeout_ms=200).values():
            seen |= {record.topic for record in records}
    return seen


def _poll(consumer: KafkaConsumer) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        consumer.poll(timeout_ms=300)


def test_the_relays_pod_sends_through_these_rules(cluster, authority, database, tmp_path):
    """The chart's relay as it is, with the certificate that it would mount: an event goes out, nothing is parked."""
    books = database("finance")
    folder = tmp_path / "broker"
    folder.mkdir()
    user = relay_user("finance")
    for name, source in (("ca.crt", "authority.crt"), ("user.crt", f"{user}.crt"), ("user.key", f"{user}.key")):
        (folder / name).write_bytes(authority.file(source).read_bytes())
    serving, relaying = (create_engine(sqlalchemy_url(url)) for url in (books.app_url, books.reader_url))
    with serving.begin() as connection:
        fact = ledger_events_pb2.JournalEntriesPosted(agency_id=str(uuid4()))
        outbox.emit(connection, outbox.Envelope(fact, str(uuid4()), None, 1))
    pod = pods()["finance-relay"]
    given = {
        "KELOLA_BROKER_SERVERS": cluster.secure,
        "KELOLA_DATABASE_READER_URL": books.reader_url,
        "KELOLA_SERVICE_KEY_FILE": "",
    }

    with running(pod, given, tmp_path, tmp_path / "log"), relaying.connect() as connection:
        sent = text("select count(*) filter (where sent_at is not null), count(*) filter (where tries > 0) from outbox")
        wait_until(lambda: tuple(connection.execute(sent).one()) == (1, 0), seconds=60, what="the event's mark")
    serving.dispose()
    relaying.dispose()
