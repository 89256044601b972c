"""The sequences that other programs' own tests assert, where our rules agree (domain rules §10 tells where not).

`tests/data/stock_valuation.json` names the source of each: neutral data from the test suites of ERPNext and Tryton.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from services.logistics.stock import domain
from services.logistics.stock.domain import Policy, Position
from tests.unit.logistics.stock_cases import AVERAGE, AVERAGE_NEGATIVE, FIFO, HERE, THERE, Ledger

SCENARIOS = {
    scenario["id"]: scenario
    for scenario in json.loads((Path(__file__).parents[2] / "data" / "stock_valuation.json").read_text())["scenarios"]
}


def minor(quantity: str, rate: str) -> int:
    """A value in sen, from a quantity and a rate in rupiah."""
    return int(Decimal(quantity) * Decimal(rate) * 100)


def cost(held: domain.Holding) -> Decimal:
    """The unit cost that is shown."""
    return domain.unit_cost(held.value_minor, held.quantity, "IDR")


@pytest.mark.parametrize("scenario_id", ["stock-001", "stock-007"])
def test_fifo_queues_of_erpnext(scenario_id):
    ledger = Ledger()
    for step in SCENARIOS[scenario_id]["steps"]:
        if step["op"] == "receipt":
            ledger.receipt(step["n"], step["qty"], minor(step["qty"], step["rate"]))
        else:
            ledger.issue(step["n"], step["qty"])
    expected = SCENARIOS[scenario_id]["steps"][-1]["expect"]

    held = domain.replay(ledger.entries, FIFO).holdings[HERE]

    if "queue" in expected:
        # The peer joins layers of one rate; ours stay apart by receipt, with the same quantity and value.
        assert [(held.quantity, held.value_minor)] == [(Decimal(q), minor(q, r)) for q, r in expected["queue"]]
    else:
        assert held.quantity == Decimal(expected["qty"])


def test_stock_020_a_back_dated_count_follows_transfer_and_repack():
    made = Position(uuid4(), THERE.warehouse_id)
    policies = {**FIFO, made.item_id: Policy(domain.ValuationMethod.FIFO)}
    steps = SCENARIOS["stock-020"]["steps"]
    ledger = Ledger()
    ledger.receipt(10, "50", minor("50", steps[0]["set_rate"]))
    ledger.receipt(20, "10", minor("10", steps[1]["set_rate"]), THERE)
    ledger.transfer(30, "10")
    consumed = ledger.issue(35, "5")
    ledger.assemble(35, consumed, "1", minor("1", "40"), made)
    before = domain.replay(ledger.entries, policies)
    there = domain.replay(ledger.entries[:4], policies).holdings[THERE]
    ledger.revalue(12, minor("50", "50"))  # 50 at 100 are counted at 150
    after = domain.replay(ledger.entries, policies)

    assert cost(there) == Decimal(steps[2]["expect"]["valuation_rate"])
    assert cost(before.holdings[made]) == Decimal(steps[3]["expect"]["valuation_rate"])
    transfer, repack = steps[4]["expect"]["effects"]
    assert cost(after.holdings[THERE]) == Decimal(transfer["valuation_rate"])
    assert after.values[consumed] == -minor("5", repack["consumed_basic_rate"])
    assert cost(after.holdings[made]) == Decimal(repack["valuation_rate"])


def test_stock_034_creation_order_decides_within_an_instant():
    steps = SCENARIOS["stock-034"]["steps"]
    ledger = Ledger()

    def running() -> list[Decimal]:
        return domain.running_quantities(ledger.entries)

    def expected(step: int) -> list[Decimal]:
        return [Decimal(quantity) for quantity in steps[step]["expect"]["running_qty"]]

    first = ledger.receipt(1, "10", 1000)
    ledger.receipt(1, "1", 100)
    assert running() == expected(1)
    ledger.cancel(first)
    assert running() == expected(2)
    earlier = ledger.receipt(0, "1", 100)
    assert running() == expected(3)
    ledger.cancel(earlier)
    assert running() == expected(4)


def test_stock_062_fifo_with_found_and_lost_goods_and_a_recompute_that_changes_nothing():
    steps = SCENARIOS["stock-062"]["steps"]
    ledger = Ledger()
    shown, product = [], []
    for step in steps[:-1]:
        if step["op"] == "receipt":
            ledger.receipt(step["n"], step["qty"], minor(step["qty"], step["rate"]))
        elif step["op"] == "found":
            ledger.found(step["n"], step["qty"])
        else:
            ledger.issue(step["n"], step["qty"])
        replayed = domain.replay(ledger.entries, FIFO)
        entry, held = ledger.entries[-1], replayed.holdings[HERE]
        moved = domain.unit_cost(replayed.values[entry.movement_id], entry.quantity, "IDR")
        shown.append(moved if entry.quantity < 0 else cost(held))
        product.append(cost(held))

    # One minor unit a layer is what four shown decimals may differ by.
    near = Decimal("0.01")
    for step, move_cost, product_cost in zip(steps, shown, product, strict=False):
        assert abs(move_cost - Decimal(step["expect"]["move_cost"])) < near
        if "product_cost_after" in step["expect"]:
            assert abs(product_cost - Decimal(step["expect"]["product_cost_after"])) < near
    # The peer's recompute averages the layers that are left (111.1111); entered in order, ours are final.
    values = domain.replay(ledger.entries, FIFO).values
    issues = {entry.movement_id: values[entry.movement_id] for entry in ledger.entries if entry.quantity < 0}
    assert domain.late_news(ledger.entries, issues, FIFO).corrections == ()


def test_stock_064_average_and_revaluations():
    steps = SCENARIOS["stock-064"]["steps"]
    ledger = Ledger()
    for step in steps:
        if step["op"] == "receipt":
            ledger.receipt(step["n"], step["qty"], minor(step["qty"], step["rate"]))
        else:
            held = domain.replay(ledger.entries, AVERAGE).holdings[HERE]
            factor = Decimal(step["formula"].removeprefix("cost*"))
            ledger.revalue(step["n"], int(held.value_minor * factor) - held.value_minor)
        if "expect" in step:
            held = domain.replay(ledger.entries, AVERAGE).holdings[HERE]
            assert cost(held) == Decimal(step["expect"]["product_cost"])


def test_stock_066_average_while_negative_and_after_a_changed_price():
    steps = SCENARIOS["stock-066"]["steps"]
    ledger = Ledger()
    ledger.receipt(1, "1", minor("1", "100"))
    issue = ledger.issue(2, "2")
    covering = ledger.receipt(2, "2", minor("2", "120"))
    provisional = domain.replay(ledger.entries[:2], AVERAGE_NEGATIVE)
    after_covering = domain.replay(ledger.entries, AVERAGE_NEGATIVE)
    ledger.receipt(3, "3", minor("3", "100"))
    before = domain.replay(ledger.entries, AVERAGE_NEGATIVE)
    dearer = [
        replace(entry, value_minor=minor("2", "130")) if entry.movement_id == covering else entry
        for entry in ledger.entries
    ]
    after = domain.replay(dearer, AVERAGE_NEGATIVE)

    assert domain.unit_cost(provisional.values[issue], Decimal(-2), "IDR") == Decimal(steps[1]["expect"]["move_cost"])
    assert cost(after_covering.holdings[HERE]) == Decimal(steps[2]["expect"]["move_cost"])
    assert cost(before.holdings[HERE]) == Decimal(steps[3]["expect"]["product_cost"])
    assert cost(after.holdings[HERE]) == Decimal(steps[6]["expect"]["effects"][3]["move_cost"])


def test_every_scenario_is_covered():
    assert set(SCENARIOS) == {f"stock-{number}" for number in ("001", "007", "020", "034", "062", "064", "066")}
