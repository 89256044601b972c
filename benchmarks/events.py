"""From commit to effect: how long an event takes from one service's database to another's.

Both times are `transaction_timestamp()` of one PostgreSQL server, so one clock: `outbox.recorded_at`, when the
producer's transaction began, and `inbox.taken_at`, when the consumer's did. Between them lie the producer's
transaction, the relay, the broker and the consumer's poll; the consumer's own transaction comes on top.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from google.type import decimal_pb2

from benchmarks.figures import Latency
from benchmarks.town import Town
from cli.demo import cast, purchasing
from kelola.identity.v1 import organization_pb2, organization_pb2_grpc
from kelola.logistics.v1 import stock_pb2, stock_pb2_grpc

_ARRIVAL_SECONDS = 60.0


class EventsMissing(RuntimeError):
    """Events did not reach their consumer."""


def legal_entities(town: Town, say: Callable[[str], None], *, count: int, per_second: float) -> dict[str, Any]:
    """LegalEntityRegistered, identity to logistics: the consumer keeps a projection. Every event has its own key."""
    owner = town.foundation.persons["owner-1"]

    def register(number: int) -> None:
        entity = organization_pb2.LegalEntity(
            display_name=f"CV Bench {number:04d}",
            tax_number=f"{10**14 + number:015d}",
            owners=[organization_pb2.Owner(person_id=owner, kind=organization_pb2.OWNERSHIP_KIND_BENEFICIAL_OWNER)],
        )
        town.government.do(
            organization_pb2_grpc.OrganizationServiceStub,
            "CreateLegalEntity",
            organization_pb2.CreateLegalEntityRequest(legal_entity=entity),
            by="access_administrator",
            step=f"bench/legal-entity/{number}",
        )

    say(f"events: {count} legal entities, {per_second:g} a second")
    return _measured(
        town,
        register,
        count=count,
        per_second=per_second,
        event="kelola.identity.v1.LegalEntityRegistered",
        producer="identity",
        consumer="logistics",
        handler="on_legal_entity_registered",
    )


def stock_movements(town: Town, say: Callable[[str], None], *, count: int, per_second: float) -> dict[str, Any]:
    """StockMovementPosted, logistics to finance: the consumer posts a journal. All events of an agency have one key."""
    say("events: goods are bought, so that there is something to issue")
    market = purchasing.open_market(town.government, town.foundation)
    (plan,) = purchasing.plans(town.government, town.foundation, cast.Scale(officials=0, requisitions=1))
    purchasing.live_through(town.government, town.foundation, market, [plan])

    def issue(number: int) -> None:
        town.government.do(
            stock_pb2_grpc.StockServiceStub,
            "IssueStock",
            stock_pb2.IssueStockRequest(
                agency_id=town.foundation.agencies[plan.agency_label],
                warehouse_id=market.warehouses[plan.agency_label],
                item_id=market.item_id,
                quantity=decimal_pb2.Decimal(value="0.01"),
                purpose="Pemakaian sekretariat",
            ),
            by="storekeeper",
            step=f"bench/issue/{number}",
        )

    say(f"events: {count} stock movements, {per_second:g} a second")
    return _measured(
        town,
        issue,
        count=count,
        per_second=per_second,
        event="kelola.logistics.v1.StockMovementPosted",
        producer="logistics",
        consumer="finance",
        handler="on_stock_movement_posted",
    )


def _measured(
    town: Town,
    act: Callable[[int], None],
    *,
    count: int,
    per_second: float,
    event: str,
    producer: str,
    consumer: str,
    handler: str,
) -> dict[str, Any]:
    since = _now(town, producer)
    began = time.monotonic()
    for number in range(count):
        # Paced by the clock, not by the answers, as far as the answers keep up.
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        act(number)
    took = time.monotonic() - began
    recorded = _times(
        town, producer, "select event_id, recorded_at from outbox where type = %s and recorded_at >= %s", event, since
    )
    if len(recorded) != count:
        raise EventsMissing(f"{count} acts left {len(recorded)} rows of {event} in the outbox of {producer}")
    taken = _arrived(town, consumer, handler, set(recorded))
    seconds = [(taken[event_id] - at).total_seconds() for event_id, at in recorded.items()]
    return {"event": event, "to": consumer, "acts_per_second": round(count / took, 1), **asdict(Latency.of(seconds))}


def _arrived(town: Town, consumer: str, handler: str, wanted: set[UUID]) -> dict[UUID, datetime]:
    end = time.monotonic() + _ARRIVAL_SECONDS
    while True:
        query = "select event_id, taken_at from inbox where consumer = %s and event_id = any(%s)"
        taken = _times(town, consumer, query, handler, list(wanted))
        if len(taken) == len(wanted):
            return taken
        if time.monotonic() > end:
            raise EventsMissing(f"{len(taken)} of {len(wanted)} events reached {handler} within {_ARRIVAL_SECONDS:g} s")
        time.sleep(0.2)


def _times(town: Town, service: str, query: str, *values: Any) -> dict[UUID, datetime]:
    # The reader role: it sees every agency and changes nothing.
    with psycopg.connect(town.platform.databases[service].reader_url, autocommit=True) as connection:
        return dict(connection.execute(query, values).fetchall())


def _now(town: Town, service: str) -> datetime:
    with psycopg.connect(town.platform.databases[service].reader_url, autocommit=True) as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None, "a clock answers"
    now: datetime = row[0]
    return now
