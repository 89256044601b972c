"""T2: a relay is killed twenty times while it sends. Duplicates on the topic are allowed; effects are exactly once.

(A death between send and mark by failpoint, 180 times, is in tests/integration/chassis/test_relay.py.)
"""

from __future__ import annotations

import random
import threading
import time

import grpc
import pytest
from google.type import decimal_pb2

from chassis.ids import derived_id
from cli.demo import cast
from cli.verify import reports
from kelola.finance.v1 import payables_pb2, payables_pb2_grpc
from kelola.logistics.v1 import stock_pb2, stock_pb2_grpc
from tests.faults.conftest import Town
from tests.faults.load import PASSING, rows
from tests.faults.settling import settle

_KILLS = 20
_STORES = 4
_ISSUES_A_STORE = 60
_TRIES = 40


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(600)
def test_t2_effects_are_exactly_once_when_the_relay_is_killed_twenty_times(town: Town, seed: int):
    chance = random.Random(seed)
    labels = [unit.label for unit in cast.units()][:_STORES]
    for label in labels:
        _stock_up(town, label)
    storekeepers = [threading.Thread(target=_issue, args=(town, label)) for label in labels]
    for thread in storekeepers:
        thread.start()
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        town.platform.children["logistics-relay"].kill()
        town.platform.start_relay("logistics")
    for thread in storekeepers:
        thread.join(120)
    settle(town)

    for label in labels:
        agency_id = town.foundation.agencies[label]
        # One movement for the count, one for each issue; finance has posted each once, in order, up to the last.
        [moved] = rows(
            town, "logistics", "select count(*), max(stock_movement_number) from stock_movement where agency_id = :a",
            a=agency_id,
        )  # fmt: skip
        assert moved == (_ISSUES_A_STORE + 1, _ISSUES_A_STORE + 1)
        posted = _finance_follows(town, agency_id, moved[1])
        assert posted == moved[1]
        # The books: one journal entry for each movement, and the stock that they leave is the stock that there is.
        [booked] = rows(
            town,
            "finance",
            "select count(*) from journal_entry"
            " where agency_id = :a and source_kind in ('STOCK_ISSUE', 'STOCK_MOVEMENT')",
            a=agency_id,
        )
        assert booked[0] == moved[1]
    problems = [f"{report.service} {p.invariant}: {p.what}" for report in reports() for p in report.problems]
    assert problems == []


def _stock_up(town: Town, label: str) -> None:
    """A counted and approved opening stock, so that there is something to give out."""
    count = town.government.do(
        stock_pb2_grpc.StockServiceStub,
        "CreateStockCount",
        stock_pb2.CreateStockCountRequest(
            stock_count=stock_pb2.StockCount(
                agency_id=town.foundation.agencies[label],
                warehouse_id=town.market.warehouses[label],
                item_id=town.market.item_id,
                counted_quantity=decimal_pb2.Decimal(value="1000"),
                unit_price=decimal_pb2.Decimal(value="1500.25"),
                currency_code="IDR",
                cause="opening",
            )
        ),
        by="storekeeper",
        step=f"relay-kills/count/{label}",
    )
    town.government.do(
        stock_pb2_grpc.StockServiceStub,
        "ApproveStockCount",
        stock_pb2.ApproveStockCountRequest(name=count.name),
        by="requisition_approver",
        step=f"relay-kills/approve-count/{label}",
    )


def _issue(town: Town, label: str) -> None:
    stub = stock_pb2_grpc.StockServiceStub(town.system.channel("logistics"))
    for number in range(_ISSUES_A_STORE):
        request = stock_pb2.IssueStockRequest(
            agency_id=town.foundation.agencies[label],
            warehouse_id=town.market.warehouses[label],
            item_id=town.market.item_id,
            quantity=decimal_pb2.Decimal(value="1"),
            purpose="relay kills",
            request_id=str(derived_id("relay-kills", label, number)),
        )
        for attempt in range(_TRIES):
            try:
                stub.IssueStock(
                    request, metadata=town.system.metadata(town.government.persons["storekeeper"]), timeout=10
                )
                break
            except grpc.RpcError as error:
                if error.code() not in PASSING or attempt == _TRIES - 1:
                    raise
                time.sleep(0.2)
        time.sleep(0.2)


def _finance_follows(town: Town, agency_id: str, last: int) -> int:
    control = town.government.wait(
        lambda: town.government.read(
            payables_pb2_grpc.PayablesServiceStub,
            "GetStockControl",
            payables_pb2.GetStockControlRequest(agency_id=agency_id),
            by="auditor",
        ),
        until=lambda seen: seen.stock_movement_number >= last,
        what="finance's stock control",
    )
    return int(control.stock_movement_number)
