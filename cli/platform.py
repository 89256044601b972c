"""`kelola run`, `down`, `status`: the whole system on this machine."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Json, console, fail, line, show, table

_HEALTH_SECONDS = 2.0
# A consumer that is so close to the end is asked whether what is left are records at all.
_MARKERS_MAX = 4
_LOOK_SECONDS = 0.5


class BrokerChoice(StrEnum):
    """Which broker the local platform runs."""

    embedded = "embedded"
    kafka = "kafka"


Home = Annotated[
    Path | None, typer.Option("--home", help="Data folder (default: KELOLA_HOME, or .local in the checkout).")
]


def run(
    broker: Annotated[
        BrokerChoice,
        typer.Option(envvar="KELOLA_BROKER", help="embedded: Tansu, in memory; kafka: Apache Kafka (Java 17, Maven)."),
    ] = BrokerChoice.embedded,
    only: Annotated[list[str] | None, typer.Option(help="Only this service (may be repeated).")] = None,
    directory: Home = None,
    as_json: Json = False,
) -> None:
    """Start PostgreSQL, a broker, the services and their relays; end them all on Ctrl-C."""
    from chassis.local.child import ChildFailed
    from chassis.local.place import home
    from chassis.local.platform import AlreadyRunning, Interrupted, Platform, signals

    def say(step: str) -> None:
        if not as_json:
            console.print(f"  {step} …" if len(step) < 60 else step, style="dim", markup=False)

    platform = Platform(directory or home(), broker=broker.value, services=only, say=say)
    try:
        with signals():
            platform.start()
            described: dict[str, Any] = {
                "directory": str(platform.directory),
                "services": platform.addresses,
                "identity_http": f"http://127.0.0.1:{platform.http_port}",
                "broker": {"kind": platform.broker.kind, "bootstrap": platform.broker.bootstrap},
                "postgres_port": platform.postgres.port,
            }
            if as_json:
                line({"running": described})
            else:
                rows = [{"part": name, "address": where} for name, where in platform.addresses.items()]
                rows.append({"part": "identity (HTTP)", "address": described["identity_http"]})
                rows.append({"part": f"broker ({platform.broker.kind})", "address": platform.broker.bootstrap})
                rows.append({"part": "PostgreSQL", "address": f"127.0.0.1:{platform.postgres.port}"})
                table(rows, ["part", "address"], title=f"Kelola runs on {platform.directory}")
                console.print("Ctrl-C ends it; in another terminal: kelola status, kelola services, kelola call …")
            status = platform.supervise()
    except Interrupted:
        status = 0
    except AlreadyRunning as running:
        fail(str(running), as_json=as_json)
    except ChildFailed as failure:
        fail(str(failure), as_json=as_json)
    finally:
        platform.stop()
    raise typer.Exit(status)


def down(directory: Home = None, as_json: Json = False) -> None:
    """End the platform that runs on the data folder, from whatever terminal."""
    from chassis.local.child import ChildFailed
    from chassis.local.place import home
    from chassis.local.platform import down as end

    where = directory or home()
    try:
        ended = end(where)
    except ChildFailed as failure:
        fail(str(failure), as_json=as_json)
    show(
        {"ended": ended, "directory": str(where)},
        as_json=as_json,
        human=lambda: console.print("ended" if ended else f"nothing runs on {where}"),
    )


def status(as_json: Json = False) -> None:
    """Services, ports, versions and lag; exit 1 when a service does not serve."""
    from cli.connect import NotRunning, running_system

    try:
        system = running_system()
    except NotRunning as missing:
        fail(str(missing), as_json=as_json)
    with system:
        rows = [_service_row(system, service) for service in system.addresses]
        broker = {"bootstrap": system.broker, "kind": system.description.get("broker", {}).get("kind", "")}

    def human() -> None:
        columns = ["service", "health", "address", "pid", "version", "schema", "unsent", "parked", "days_held"]
        table(rows, [*columns, "consumer_lag"])
        console.print(f"broker {broker['kind']} {broker['bootstrap'] or '(not set)'}", markup=False)

    show({"services": rows, "broker": broker}, as_json=as_json, human=human)
    if any(row["health"] != "SERVING" for row in rows):
        raise typer.Exit(1)


def _service_row(system: Any, service: str) -> dict[str, Any]:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from chassis.settings import ServiceSettings

    row: dict[str, Any] = {
        "service": service,
        "address": system.addresses[service],
        "pid": system.description.get("services", {}).get(service, {}).get("pid"),
        "version": ServiceSettings.model_fields["version"].default if system.directory else None,
    }
    try:
        answer = health_pb2_grpc.HealthStub(system.channel(service)).Check(
            health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS
        )
        row["health"] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError as error:
        row["health"] = error.code().name
    row |= _database_figures(system, service)
    row["consumer_lag"] = _consumer_lag(system.broker, service)
    return row


def _database_figures(system: Any, service: str) -> dict[str, Any]:
    """Events unsent, parked, and that hold old days back; the schema's revision, which only the owner may read."""
    import psycopg

    from chassis.settings import ServiceSettings

    settings = ServiceSettings(service=service)
    known = system.databases.get(service, {})
    reader = known.get("reader_url") or os.environ.get("KELOLA_DATABASE_READER_URL")
    owner = known.get("owner_url") or os.environ.get("KELOLA_DATABASE_OWNER_URL")
    figures: dict[str, Any] = {}
    try:
        if reader:
            with psycopg.connect(reader, connect_timeout=2) as connection:
                row = connection.execute(
                    "select (select count(*) from outbox where sent_at is null),"
                    " (select count(*) from parked where state = 'PARKED'),"
                    # Days that stay beyond their time, because they hold an event that was never sent.
                    " (select count(distinct (recorded_at at time zone 'UTC')::date) from outbox where sent_at is null"
                    "  and recorded_at < date_trunc('day', clock_timestamp() - make_interval(days => %s), 'UTC'))",
                    (settings.outbox_retention_days,),
                ).fetchone()
                figures |= zip(("unsent", "parked", "days_held"), row or (), strict=False)
        if owner:
            with psycopg.connect(owner, connect_timeout=2) as connection:
                row = connection.execute("select version_num from alembic_version").fetchone()
                figures["schema"] = row[0] if row else None
    except psycopg.Error:
        figures.setdefault("unsent", None)
    return figures


def _markers(consumer: Any, offsets: dict[Any, int], behind: dict[Any, int]) -> int:
    """How many of the last offsets are no records but a transaction's end, which no consumer is handed or commits."""
    close = [one for one, count in behind.items() if count <= _MARKERS_MAX]
    if not close:
        return 0
    consumer.assign(close)
    for one in close:
        consumer.seek(one, offsets[one])
    seen, end = 0, time.monotonic() + _LOOK_SECONDS
    while seen < sum(behind[one] for one in close) and time.monotonic() < end:
        seen += sum(len(records) for records in consumer.poll(timeout_ms=100).values())
    return sum(behind[one] for one in close) - seen


def _consumer_lag(broker: str | None, service: str) -> int | None:
    """Records on the service's subscribed partitions that its consumer group has not taken in yet."""
    if broker is None:
        return None
    from kafka import KafkaAdminClient, KafkaConsumer
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=broker, request_timeout_ms=3_000)
        try:
            group = f"kelola-{service}"
            offsets = admin.list_group_offsets(group).get(group, {})
        finally:
            admin.close()
        consumer = KafkaConsumer(bootstrap_servers=broker, isolation_level="read_committed", enable_auto_commit=False)
        try:
            ends = consumer.end_offsets(list(offsets)) if offsets else {}
            behind = {one: ends[one] - offsets[one].offset for one in offsets if ends[one] > offsets[one].offset}
            return sum(behind.values()) - _markers(consumer, {one: offsets[one].offset for one in behind}, behind)
        finally:
            consumer.close()
    except (KafkaError, OSError, AttributeError, KeyError, TypeError):
        return None
