"""Apache Kafka with mutual TLS and the access rules of deploy/kafka/users.yaml, as the Strimzi operator sets it up.

One node on this machine instead of six; the door for everybody is TLS, a plaintext one is left for the test itself,
which is the superuser there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from chassis.local import broker as local_broker
from chassis.local.broker import KafkaBroker
from chassis.local.child import free_port
from tools.descriptors import ROOT

_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}

_SECONDS = 60
_EVERY_RULE = ACLFilter(
    None,
    None,
    ACLOperation.ANY,
    ACLPermissionType.ANY,
    ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
)


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of a file of deploy/kafka."""
    return list(yaml.safe_load_all((ROOT / "deploy" / "kafka" / name).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Authority:
    """Signs certificates; one for brokers and clients alike is enough here."""

    folder: Path

    def make(self) -> None:
        """Its own key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder("authority", key.public_key()).issuer_name(_named("authority"))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._write("authority", key, builder.sign(key, hashes.SHA256()))

    def issue(self, name: str) -> None:
        """`<name>.crt` and `<name>.key`, with CN=<name>, which is what Kafka calls who presents it."""
        issuer_key = serialization.load_pem_private_key(self.file("authority.key").read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, key.public_key()).issuer_name(_named("authority"))
        local = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        self._write(name, key, builder.add_extension(local, critical=False).sign(issuer_key, hashes.SHA256()))

    def file(self, name: str) -> Path:
        """A file of it."""
        return self.folder / name

    def settings(self, name: str) -> Mapping[str, Path]:
        """The three settings with which a service is that user."""
        return {
            "broker_ca_file": self.file("authority.crt"),
            "broker_certificate_file": self.file(f"{name}.crt"),
            "broker_key_file": self.file(f"{name}.key"),
        }

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        encoded = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file(f"{name}.key").write_bytes(encoded)
        self.file(f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(name: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=2))
    )


class SecureKafka(KafkaBroker):
    """`secure` is the address of the TLS door."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory)
        self._authority = authority
        self._secure_port = free_port()

    @property
    def secure(self) -> str:
        """host:port of the TLS door."""
        return f"127.0.0.1:{self._secure_port}"

    def _spawn(self) -> Any:
        plain = local_broker._kafka_properties
        local_broker._kafka_properties = lambda *given: self._with_tls(plain(*given))
        try:
            return super()._spawn()
        finally:
            local_broker._kafka_properties = plain

    def _with_tls(self, properties: str) -> str:
        door = f"SECURE://{self.secure}"
        key = self._authority.file("broker.pem")
        key.write_bytes(
            self._authority.file("broker.key").read_bytes() + self._authority.file("broker.crt").read_bytes()
        )
        more = {
            "listeners": door,
            "advertised.listeners": door,
            "listener.security.protocol.map": "SECURE:SSL",
        }
        lines = [
            f"{line},{more[name]}" if (name := line.partition("=")[0]) in more else line
            for line in properties.splitlines()
        ]
        return "\n".join(
            [
                *lines,
                "inter.broker.listener.name=PLAINTEXT",
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={key}",
                "ssl.truststore.type=PEM",
                f"ssl.truststore.location={self._authority.file('authority.crt')}",
                "ssl.client.auth=required",
                # As `authorization: {type: simple}` of a Strimzi cluster does.
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "allow.everyone.if.no.acl.found=false",
                "super.users=User:ANONYMOUS",
                "",
            ]
        )

    def apply(self) -> None:
        """Make the topics and the rules of deploy/kafka, as the operator's two halves do."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics(
                {
                    one["metadata"]["name"]: {"num_partitions": one["spec"]["partitions"], "replication_factor": 1}
                    for one in documents("topics.yaml")
                }
            )
            rules = [rule for user in documents("users.yaml") for rule in _rules(user)]
            admin.create_acls(rules)
            # The controller has them at once, the broker that decides a moment later.
            end = time.monotonic() + _SECONDS
            while len(admin.describe_acls(_EVERY_RULE)[0]) < len(rules):
                assert time.monotonic() < end, "the broker does not know its rules"
                time.sleep(0.1)
        finally:
            admin.close()


def _rules(user: Mapping[str, Any]) -> list[ACL]:
    return [
        ACL(
            f"User:CN={user['metadata']['name']}",
            rule["host"],
            ACLOperation[operation.upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(_KINDS[rule["resource"]["type"]], rule["resource"]["name"]),
        )
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    ]
