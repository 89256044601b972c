"""`kelola events`: follow the facts on the broker, replay a service's history, look after parked events."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.output import Json, console, fail, line, show, table

app = typer.Typer(no_args_is_help=True, help="Follow, replay, and look after events.")

Service = Annotated[str, typer.Argument(help="identity, finance, hr or logistics.")]
_POLL_MILLISECONDS = 300
_PAGE = 500


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="A topic, or the beginning of several.")] = "kelola.",
    beginning: Annotated[bool, typer.Option("--beginning", help="From the oldest record, not from now.")] = False,
    count: Annotated[int | None, typer.Option(help="End after this many.")] = None,
    seconds: Annotated[float | None, typer.Option(help="End when nothing came for so long.")] = None,
    as_json: Json = False,
) -> None:
    """Follow events as they come, until Ctrl-C."""
    import time

    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    classes = _classes()
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=_broker(as_json),
            auto_offset_reset="earliest" if beginning else "latest",
            isolation_level="read_committed",
            metadata_max_age_ms=1_000,
        )
    except (KafkaError, OSError) as away:
        fail(f"the broker does not answer: {away}", as_json=as_json)
    seen, last = 0, time.monotonic()
    try:
        consumer.subscribe(pattern=f"^{topic.replace('.', '[.]')}.*")
        while (count is None or seen < count) and (seconds is None or time.monotonic() - last < seconds):
            for records in consumer.poll(timeout_ms=_POLL_MILLISECONDS).values():
                for record in records:
                    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
                    _print_event(record.topic, headers, record.value, classes, as_json, offset=record.offset)
                    seen, last = seen + 1, time.monotonic()
                    if count is not None and seen >= count:
                        return
    except KeyboardInterrupt:
        return
    finally:
        consumer.close()


@app.command()
def replay(
    service: Service,
    first: Annotated[int, typer.Option("--from", help="The first position.")] = 1,
    last: Annotated[int | None, typer.Option("--to", help="The last position (default: the newest).")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send them to the broker again; consumers skip what they know.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print a service's sent events in the order of their positions; with --send, send them once more."""
    from sqlalchemy import text

    classes = _classes()
    sender = _sender(as_json, service) if send else None
    count, position = 0, first - 1
    with _session(service, as_json) as session:
        while True:
            rows = session.execute(
                text(
                    "select * from outbox where position > :after and position <= coalesce(:last, position)"
                    " order by position limit :page"
                ),
                {"after": position, "last": last, "page": _PAGE},
            ).mappings()
            page = [dict(row) for row in rows]
            if not page:
                break
            for row in page:
                if sender is not None:
                    sender(row)
                else:
                    headers = {"ce_type": row["type"], "ce_id": str(row["event_id"]), "ce_partitionkey": row["key"]}
                    headers |= {"ce_time": row["recorded_at"].astimezone(UTC).isoformat()}
                    headers |= {"ce_agency": str(row["agency_id"])} if row["agency_id"] else {}
                    _print_event(row["topic"], headers, bytes(row["body"]), classes, as_json, position=row["position"])
            count, position = count + len(page), page[-1]["position"]
    if sender is not None:
        sender(None)
        show(
            {"service": service, "sent": count},
            as_json=as_json,
            human=lambda: console.print(f"{count} events of {service} were sent again"),
        )


def topics(seconds: float = 20.0) -> dict[str, int]:
    """How many different events each topic holds now, read from its beginning."""
    import time

    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=_broker(False), isolation_level="read_committed")
    try:
        names = sorted(name for name in consumer.topics() if name.startswith("kelola."))
        partitions = [
            TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name) or ()
        ]
        if not partitions:
            return {}
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        seen: dict[str, set[bytes]] = {name: set() for name in names}
        give_up = time.monotonic() + seconds
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=_POLL_MILLISECONDS).values():
                for record in records:
                    seen[record.topic].add(dict(record.headers).get("ce_id") or b"")
            if time.monotonic() > give_up:
                raise TimeoutError(f"the topics could not be read to their ends within {seconds:g} s")
        return {name: len(ids) for name, ids in seen.items()}
    finally:
        consumer.close()


@app.command()
def parked(service: Service, limit: int = 100, as_json: Json = False) -> None:
    """List the events that a service's consumers could not take in, the oldest first."""
    from chassis import parking

    with _session(service, as_json) as session:
        rows = [vars(entry) for entry in parking.parked(session, limit=limit)]
    columns = ["parked_id", "consumer", "type", "key", "tries", "malformed", "error", "parked_at", "retry_at"]
    show(rows, as_json=as_json, human=lambda: table(rows, columns) if rows else console.print("nothing is parked"))


@app.command()
def retry(
    service: Service,
    parked_id: Annotated[list[int] | None, typer.Argument(help="Which (default: all).")] = None,
    as_json: Json = False,
) -> None:
    """Have the running consumer try parked events now. A malformed record stays: drop it, with a reason."""
    from chassis import parking

    asked = set(parked_id or ())
    with _session(service, as_json) as session:
        count = parking.retry(session, parked_ids=sorted(asked) or None)
        if count < len(asked):
            session.rollback()
            fail(
                f"{len(asked) - count} of {len(asked)} are not parked, or malformed: nothing was retried; "
                f"`kelola events parked {service}` lists them",
                as_json=as_json,
            )
        session.commit()
    show(
        {"service": service, "retried": count},
        as_json=as_json,
        human=lambda: console.print(f"{count} parked events of {service} are tried now"),
    )


@app.command()
def drop(
    service: Service,
    parked_id: int,
    reason: Annotated[str, typer.Option(help="Why; kept with the record.")],
    as_json: Json = False,
) -> None:
    """Give a parked event up for good; later events of its key may go on."""
    from chassis import parking
    from chassis.errors import KelolaError

    try:
        with _session(service, as_json) as session:
            parking.drop(session, parked_id=parked_id, reason=reason, by=getpass.getuser())
            session.commit()
    except (KelolaError, ValueError) as refused:
        fail(str(refused), as_json=as_json)
    show(
        {"service": service, "dropped": parked_id},
        as_json=as_json,
        human=lambda: console.print(f"parked event {parked_id} of {service} is dropped"),
    )


def _print_event(
    topic: str,
    headers: Mapping[str, str],
    body: bytes | None,
    classes: Mapping[str, Any],
    as_json: bool,
    **place: Any,
) -> None:
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    type_name = headers.get("ce_type", "")
    data: Any = None
    try:
        if body is not None and type_name in classes:
            message = classes[type_name].FromString(body)
            data = json_format.MessageToDict(message, preserving_proto_field_name=True)
    except DecodeError:
        data = {"malformed": len(body or b"")}
    if as_json:
        line({"topic": topic, **place, "headers": dict(headers), "data": data})
        return
    when = headers.get("ce_time", datetime.now(UTC).isoformat())[11:23]
    key = headers.get("ce_partitionkey", "")
    where = " ".join(f"{name} {value}" for name, value in place.items())
    console.print(f"[dim]{when}[/] [bold]{type_name.rpartition('.')[2] or '?'}[/] [dim]{topic} key {key} {where}[/]")
    if data:
        console.print(f"    {data}", markup=False, soft_wrap=True)


def _classes() -> dict[str, Any]:
    """Every event message of the contracts, by its full name."""
    from cli.contracts import event_classes

    return event_classes()


def _broker(as_json: bool) -> str:
    from cli.connect import NotRunning, running_system

    try:
        servers = running_system().broker
    except NotRunning as missing:
        fail(str(missing), as_json=as_json)
    if not servers:
        fail("set KELOLA_BROKER_SERVERS: host:port of a broker", as_json=as_json)
    return servers


@contextmanager
def _session(service: str, as_json: bool) -> Iterator[Any]:
    """A session of the service's reader role."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import NullPool

    from chassis.database import sqlalchemy_url
    from cli.connect import reader_url

    try:
        url = reader_url(service)
    except LookupError as missing:
        fail(str(missing), as_json=as_json)
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def _sender(as_json: bool, service: str) -> Callable[[Mapping[str, Any] | None], None]:
    """Sends outbox rows as the relay does; called with None it waits for the broker's last answer."""
    from chassis import broker, cloudevent
    from chassis.settings import ServiceSettings

    producer = broker.producer(ServiceSettings(service=service, broker_servers=_broker(as_json)), transactional_id=None)

    def send(row: Mapping[str, Any] | None) -> None:
        if row is None:
            producer.close()
            return
        headers = cloudevent.headers(
            event_id=row["event_id"],
            source=service,
            type_name=row["type"],
            time=row["recorded_at"],
            key=row["key"],
            sequence=row["sequence"],
            agency_id=row["agency_id"],
            traceparent=row["traceparent"],
        )
        producer.send(row["topic"], key=row["key"].encode(), value=bytes(row["body"]), headers=headers).get(30)

    return send
