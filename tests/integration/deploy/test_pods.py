"""The chart's pods, run as processes: with the arguments, variables and files that Helm rendered for them.

What Kubernetes would give them is given here: Secrets as files and variables, a port, a place for /etc/kelola. So a pod
that could not start, or would not be ready, or ends too late, is seen without a cluster.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaProducer
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc

from chassis import auth
from chassis.local.child import free_port
from chassis.local.services import service_names
from chassis.testing import wait_until
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc
from tests.contract.chart import Pod, pods
from tests.contract.figures import FIGURES, label_name, prometheus_name
from tests.integration.deploy.processes import running
from tools import deploy_secrets

_START_SECONDS = 60.0
_SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    deploy_secrets.main(folder)
    return folder


@pytest.fixture
def mounts(keys: Path, tmp_path: Path) -> Path:
    """What /etc/kelola would hold, for finance and for identity."""
    for part, file, source in (
        ("key", "service.jwk", keys / "keys" / "finance.jwk"),
        ("service-keys", "services.jwks.json", keys / "keys" / "services.jwks.json"),
    ):
        (tmp_path / "etc" / part).mkdir(parents=True)
        (tmp_path / "etc" / part / file).write_bytes(source.read_bytes())
    return tmp_path / "etc"


class Collector(metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP collector that keeps the names and attributes of figures, and whose they are."""

    def __init__(self) -> None:
        self.figures: dict[str, set[str]] = defaultdict(set)
        self.resources: set[tuple[str, str]] = set()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        for one in request.resource_metrics:
            known = {each.key: each.value.string_value for each in one.resource.attributes}
            self.resources.add((f"{known['service.namespace']}/{known['service.name']}", known["service.instance.id"]))
            for metric in (metric for scope in one.scope_metrics for metric in scope.metrics):
                kind = metric.WhichOneof("data")
                counter = kind == "sum" and metric.sum.is_monotonic
                name = prometheus_name(metric.name, metric.unit, counter=counter)
                for point in getattr(metric, kind).data_points:
                    self.figures[name] |= {label_name(each.key) for each in point.attributes}
        return metrics_service_pb2.ExportMetricsServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(kept, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept, f"http://127.0.0.1:{port}"
    server.stop(None)


def _asked(port: int, service: str) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            return (
                health_pb2_grpc.HealthStub(channel)
                .Check(health_pb2.HealthCheckRequest(service=service), timeout=2)
                .status
            )
        except grpc.RpcError as failure:
            return failure.code()


def _ends(pod: Pod, process: subprocess.Popen[bytes], log: Path) -> float:
    """Asks it to end as Kubernetes does; how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = process.wait(pod.spec["terminationGracePeriodSeconds"])
    assert status == 0, log.read_text(encoding="utf-8")[-3000:]
    return time.monotonic() - began


def _without_tls(servers: str) -> dict[str, str]:
    """The run's broker speaks plaintext; test_kafka_access.py has the one that does not."""
    empty = dict.fromkeys(("KELOLA_BROKER_CA_FILE", "KELOLA_BROKER_CERTIFICATE_FILE", "KELOLA_BROKER_KEY_FILE"), "")
    return {"KELOLA_BROKER_SERVERS": servers, **empty}


@pytest.mark.parametrize("service", service_names())
def test_the_migration_needs_the_owners_url_alone(service, database, mounts, tmp_path):
    empty = database(service, migrate=False)
    pod, log = pods(full=True)[f"{service}-migrate"], tmp_path / "log"

    with running(pod, {"KELOLA_DATABASE_OWNER_URL": empty.owner_url}, mounts, log) as process:
        status = process.wait(_START_SECONDS)

    assert status == 0, log.read_text(encoding="utf-8")[-3000:]
    with psycopg.connect(empty.owner_url) as connection:
        assert connection.execute("select to_regclass('outbox') is not null").fetchone() == (True,)


def test_processes_start_are_probed_measure_and_end_in_time(database, broker, collector, mounts, keys, tmp_path):
    kept, endpoint = collector
    books = database("finance")
    serve, relay = pods(full=True)["finance"], pods(full=True)["finance-relay"]
    port = free_port()
    given = {"KELOLA_OTLP_ENDPOINT": endpoint, **_without_tls(broker.bootstrap)}
    serving = {**given, "KELOLA_GRPC_PORT": str(port), "KELOLA_DATABASE_APP_URL": books.app_url}
    relaying = {**given, "KELOLA_DATABASE_READER_URL": books.reader_url}
    with (
        running(serve, serving, mounts, tmp_path / "serve.log") as server,
        running(relay, relaying, mounts, tmp_path / "relay.log") as sender,
    ):
        probes = {
            kind: serve.container[f"{kind}Probe"]["grpc"].get("service", "") for kind in ("liveness", "readiness")
        }
        for name in probes.values():
            wait_until(lambda name=name: _asked(port, name) == _SERVING, seconds=_START_SECONDS, what=f"{name!r}")
        _be_refused(port)
        _fail(port, keys)
        _park(broker.bootstrap)
        wait_until(lambda: "malformed record" in _text(tmp_path / "serve.log"), seconds=60, what="the parked record")
        wait_until(lambda: "relay leads" in _text(tmp_path / "relay.log"), seconds=60, what="the relay")

        took = _ends(serve, server, tmp_path / "serve.log")
        _ends(relay, sender, tmp_path / "relay.log")

    # The notice was given, during which the endpoints hear of it.
    assert took >= float(serve.environment()["KELOLA_DRAIN_NOTICE_SECONDS"])
    assert dict(kept.figures) == FIGURES
    assert kept.resources == {("kelola/finance", "finance-1"), ("kelola/finance", "finance-relay-1")}


def test_without_its_database_a_pod_is_alive_and_not_ready(database, mounts, tmp_path):
    """A restart would not mend the database: readiness alone may ask for it."""
    books = database("finance")
    pod, port = pods(full=True)["finance"], free_port()
    given = {
        "KELOLA_GRPC_PORT": str(port),
        "KELOLA_DATABASE_APP_URL": books.app_url,
        "KELOLA_OTLP_ENDPOINT": "",
        "KELOLA_BROKER_SERVERS": "",
        "KELOLA_DRAIN_NOTICE_SECONDS": "0",
        **dict.fromkeys(("KELOLA_BROKER_CA_FILE", "KELOLA_BROKER_CERTIFICATE_FILE", "KELOLA_BROKER_KEY_FILE"), ""),
    }
    with running(pod, given, mounts, tmp_path / "log"):
        wait_until(lambda: _asked(port, "") == _SERVING, seconds=_START_SECONDS)
        with psycopg.connect(books.superuser_url, autocommit=True) as connection:
            connection.execute("alter role finance_app connection limit 0")
            try:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'finance_app'"
                )
                wait_until(lambda: _asked(port, "") == health_pb2.HealthCheckResponse.NOT_SERVING, seconds=30)
                assert _asked(port, "liveness") == _SERVING
            finally:
                connection.execute("alter role finance_app connection limit -1")
        wait_until(lambda: _asked(port, "") == _SERVING, seconds=30)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _call(port: int, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
        stub = budget_pb2_grpc.BudgetServiceStub(channel)
        stub.ListBudgetLines(budget_pb2.ListBudgetLinesRequest(), timeout=10, metadata=metadata)
    code: grpc.StatusCode = refused.value.code()
    return code


def _be_refused(port: int) -> None:
    assert _call(port, []) is grpc.StatusCode.UNAUTHENTICATED


def _fail(port: int, keys: Path) -> None:
    """A person's token, while the issuer's keys cannot be read: a fault of the server's side."""
    key = auth.load_key(keys / "keys" / "hr.jwk")
    issuer = pods(full=True)["finance"].environment()["KELOLA_TOKEN_ISSUER"]
    token = auth.issue_token(key, issuer=issuer, subject="somebody", audience=["finance"], lifetime_seconds=60)
    assert _call(port, [("authorization", f"Bearer {token}")]) is grpc.StatusCode.UNAVAILABLE


def _park(servers: str) -> None:
    """A record that is no event, on a topic that finance listens to."""
    producer = KafkaProducer(bootstrap_servers=servers)
    try:
        producer.send("kelola.logistics.stock.v1", key=json.dumps({}).encode(), value=b"", headers=[]).get(30)
    finally:
        producer.close()
