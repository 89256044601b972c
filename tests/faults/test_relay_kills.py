"""T2: a relay is killed twenty times while it sends. Duplicates on the topic are allowed; effects are exactly once.

A relay that is asked to end sends first what was committed before.
(A death between send and mark by failpoint, 180 times, is in tests/integration/chassis/test_relay.py.)
"""

from __future__ import annotations

import random
import signal
import threading
import time

import grpc
import pytest
from google.type import decimal_pb2

from chassis.ids import derived_id
from chassis.testing import wait_until
from cli.demo import cast
from cli.verify import reports
from kelola.logistics.v1 import stock_pb2, stock_pb2_grpc
from tests.faults.conftest import Town
from tests.faults.load import PASSING, Load, rows
from tests.faults.settling import settle
from tests.faults.stock import finance_follows, stock_up

_KILLS = 20
_STORES = 4
_ISSUES_A_STORE = 60
_TRIES = 40


_BOOKED = "select count(*) from journal_entry where agency_id = :a and source_kind in ('STOCK_ISSUE', 'STOCK_MOVEMENT')"


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(600)
def test_t2_effects_are_exactly_once_when_the_relay_is_killed_twenty_times(town: Town, seed: int):
    chance = random.Random(seed)
    labels = [unit.label for unit in cast.units()][:_STORES]
    for label in labels:
        stock_up(town, label)
    before = {label: _movements(town, label) for label in labels}
    settle(town)
    for label in labels:
        finance_follows(town, town.foundation.agencies[label])
    # Receipts are booked by their own documents, so entries are compared with what was there before.
    entries = {label: rows(town, "finance", _BOOKED, a=town.foundation.agencies[label])[0][0] for label in labels}
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
        # A movement for each issue, numbered without a gap; finance has posted each once, in order, up to the last.
        moved = _movements(town, label)
        assert moved == (before[label][0] + _ISSUES_A_STORE, before[label][0] + _ISSUES_A_STORE)
        posted = finance_follows(town, agency_id)
        assert posted == moved[1]
        # The books: one journal entry for each movement, and the stock that they leave is the stock that there is.
        [booked] = rows(town, "finance", _BOOKED, a=agency_id)
        assert booked[0] - entries[label] == _ISSUES_A_STORE
    problems = [f"{report.service} {p.invariant}: {p.what}" for report in reports() for p in report.problems]
    assert problems == []


def _movements(town: Town, label: str) -> tuple[int, int]:
    """How many stock movements the agency has, and the last one's number."""
    [moved] = rows(
        town,
        "logistics",
        "select count(*), max(stock_movement_number) from stock_movement where agency_id = :a",
        a=town.foundation.agencies[label],
    )
    return moved[0], moved[1]


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


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_t20_a_relay_that_is_asked_to_end_under_load_sends_what_was_committed_before(town: Town, seed: int):
    child = town.platform.children["finance-relay"]
    unsent = "select event_id from outbox where sent_at is null and parked_at is null"

    with Load(town, seed, clients=8, province=33).running() as load:
        wait_until(lambda: load.served["journal"] > 10, what="journal entries")
        # A relay that stands still for a moment has something left to send when it is asked to end.
        child.signal(signal.SIGSTOP)
        wait_until(lambda: len(rows(town, "finance", unsent)) > 10, what="unsent events", seconds=60)
        waiting = {row[0] for row in rows(town, "finance", unsent)}
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGCONT)
        status = child.stop(grace_seconds=30)
        left = {row[0] for row in rows(town, "finance", unsent)}
        town.platform.start_relay("finance")
    settle(town)

    assert status == 0
    assert waiting & left == set()
    assert load.passing == {}, "no RPC waits for a relay"
    assert load.defects == []
