"""The stock ledger on PostgreSQL: issues, late news, transfers, counts, the cut, races."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.testing import call_as, refused
from kelola.logistics.v1 import catalog_pb2, stock_events_pb2, stock_pb2
from tests.integration.logistics.store_house import House, day, number, request_id, rupiah, today


def instant(days_ago: float) -> Timestamp:
    """An instant in the past."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) - timedelta(days=days_ago))
    return stamp


def issue(logistics: House, item, warehouse, quantity: str, **values) -> stock_pb2.IssueStockResponse:
    """Issue as the storekeeper."""
    request = logistics.issue(item, warehouse, quantity, **values)
    return logistics.act(logistics.stock.IssueStock, request, "storekeeper")


def movements(logistics: House, **values) -> list[stock_pb2.StockMovement]:
    """The agency's movements by number."""
    request = stock_pb2.ListStockMovementsRequest(agency_id=str(logistics.agency), **values)
    return list(logistics.act(logistics.stock.ListStockMovements, request, "storekeeper").stock_movements)


def count(logistics: House, item, warehouse, quantity: str, **values) -> stock_pb2.StockCount:
    """Count, and have another person approve it."""
    counted = stock_pb2.StockCount(
        agency_id=str(logistics.agency),
        warehouse_id=warehouse.warehouse_id,
        item_id=item.item_id,
        counted_quantity=number(quantity),
        currency_code="IDR",
        **values,
    )
    request = stock_pb2.CreateStockCountRequest(stock_count=counted, request_id=request_id())
    drafted = logistics.act(logistics.stock.CreateStockCount, request, "storekeeper")
    approve = stock_pb2.ApproveStockCountRequest(name=drafted.name, request_id=request_id())
    return logistics.act(logistics.stock.ApproveStockCount, approve, "approver").stock_count


@pytest.mark.parametrize(
    "method", [catalog_pb2.VALUATION_METHOD_MOVING_AVERAGE, catalog_pb2.VALUATION_METHOD_FIFO], ids=["average", "fifo"]
)
def test_n18_issues_of_three_units_worth_a_hundred(logistics: House, method):
    item, warehouse = logistics.item(valuation_method=method), logistics.warehouse()
    order = logistics.issued_order(quantity="3", price="30.030030", item=item)
    logistics.accept(logistics.deliver_goods(order, "3", warehouse), "3")

    issued = [issue(logistics, item, warehouse, "1").movement.value for _ in range(3)]

    whole = order.lines[0].amount
    assert (whole.units, whole.nanos) == (100, 0)
    assert [(value.units, value.nanos) for value in issued] == [
        (-33, -330_000_000),
        (-33, -340_000_000),
        (-33, -330_000_000),
    ]
    assert logistics.balance(item).quantity.value == "0"


def test_more_than_is_on_hand_is_refused_with_what_there_is(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "2", "1000", warehouse)

    refusal = refused(logistics.stock.IssueStock, logistics.issue(item, warehouse, "3"), logistics.token("storekeeper"))
    never = refused(
        logistics.stock.IssueStock, logistics.issue(logistics.item(), warehouse, "1"), logistics.token("storekeeper")
    )

    assert (refusal.reason, refusal.metadata["on_hand"], refusal.metadata["short_by"]) == ("STOCK_SHORT", "2", "1")
    assert never.reason == "STOCK_SHORT"


def test_n20_a_shortage_is_covered_by_the_next_receipt_with_a_correction(logistics: House):
    item, warehouse = logistics.item(negative_allowed=True), logistics.warehouse()
    logistics.stocked(item, "1", "100", warehouse)
    short = issue(logistics, item, warehouse, "2").movement

    logistics.stocked(item, "2", "200", warehouse)

    correction = movements(logistics)[-1]
    assert rupiah(short.value) == -222  # with VAT
    assert correction.kind == stock_pb2.STOCK_MOVEMENT_KIND_CORRECTION
    assert (correction.corrected_movement_id, rupiah(correction.value)) == (short.stock_movement_id, -111)
    assert (rupiah(correction.value_before), rupiah(correction.value_after)) == (-222, -333)
    assert (logistics.balance(item).quantity.value, rupiah(logistics.balance(item).value)) == ("1", 222)
    assert logistics.problems() == []


def test_n19_a_late_receipt_corrects_the_issues_after_it_and_leaves_the_originals(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "10", "100", warehouse)
    original = issue(logistics, item, warehouse, "4").movement
    order = logistics.issued_order(quantity="10", price="160", item=item)
    yesterday = today() - timedelta(days=1)
    receipt = logistics.deliver_goods(order, "10", warehouse, on=yesterday)
    accept = logistics.acceptance(receipt, "10", on=yesterday)

    logistics.act(logistics.receipts.AcceptReceipt, accept, "commitment_officer")

    late, correction = movements(logistics)[-2:]
    kept = next(each for each in movements(logistics) if each.name == original.name)
    assert (late.kind, late.effective_on) == (stock_pb2.STOCK_MOVEMENT_KIND_RECEIPT, day(yesterday))
    assert (correction.cause_movement_id, correction.corrected_movement_id) == (
        late.stock_movement_id,
        original.stock_movement_id,
    )
    # 20 units worth 2 886: four of them cost 577.20 instead of 444.
    assert (correction.value.units, correction.value.nanos) == (-133, -200_000_000)
    assert correction.effective_on == original.effective_on
    assert rupiah(kept.value) == rupiah(original.value) == -444
    assert logistics.problems() == []


def test_a_back_dated_issue_corrects_what_came_after_it(logistics: House):
    item, warehouse = logistics.item(valuation_method=catalog_pb2.VALUATION_METHOD_FIFO), logistics.warehouse()
    logistics.stocked(item, "2", "100", warehouse)
    moment = Timestamp()
    moment.GetCurrentTime()
    logistics.stocked(item, "2", "300", warehouse)
    first = issue(logistics, item, warehouse, "2").movement

    answer = issue(logistics, item, warehouse, "1", effective_at=moment)

    assert rupiah(answer.movement.value) == -111
    (correction,) = answer.corrections
    # The first issue now takes one old unit and one new one: 444 instead of 222.
    assert correction.corrected_movement_id == first.stock_movement_id
    assert rupiah(correction.value) == -222
    assert rupiah(logistics.balance(item).value) == 333
    assert logistics.problems() == []


def test_an_issue_is_not_before_the_goods_and_not_in_the_future(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "2", "100", warehouse)
    token = logistics.token("storekeeper")

    early = refused(logistics.stock.IssueStock, logistics.issue(item, warehouse, "1", effective_at=instant(2)), token)
    future = refused(logistics.stock.IssueStock, logistics.issue(item, warehouse, "1", effective_at=instant(-1)), token)

    assert early.reason == "STOCK_SHORT"
    assert "effective_at" in early.metadata
    assert future.fields == ("effective_at",)


def test_a_transfer_carries_its_value_and_stays_in_the_agency(logistics: House):
    item, main, branch = logistics.item(), logistics.warehouse(), logistics.warehouse("BRANCH")
    foreign = logistics.warehouse("FOREIGN", agency=uuid4())
    logistics.stocked(item, "3", "1000", main)
    request = stock_pb2.TransferStockRequest(
        agency_id=str(logistics.agency),
        from_warehouse_id=main.warehouse_id,
        to_warehouse_id=branch.warehouse_id,
        item_id=item.item_id,
        quantity=number(1),
        request_id=request_id(),
    )

    answer = logistics.act(logistics.stock.TransferStock, request, "storekeeper")
    request.to_warehouse_id, request.request_id = foreign.warehouse_id, request_id()
    refusal = refused(logistics.stock.TransferStock, request, logistics.token("storekeeper"))

    assert (rupiah(answer.outgoing.value), rupiah(answer.incoming.value)) == (-1110, 1110)
    assert rupiah(logistics.balance(item, warehouse_id=branch.warehouse_id).value) == 1110
    assert logistics.balance(item).quantity.value == "3"
    assert refusal.code.name == "NOT_FOUND"


def test_a_count_finds_at_the_current_cost_and_loses_as_an_issue(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "4", "1000", warehouse)

    found = count(logistics, item, warehouse, "5")
    lost = count(logistics, item, warehouse, "3")
    agreed = count(logistics, item, warehouse, "3")

    assert (found.movement.kind, rupiah(found.movement.value)) == (stock_pb2.STOCK_MOVEMENT_KIND_COUNT_GAIN, 1110)
    assert (lost.movement.kind, rupiah(lost.movement.value)) == (stock_pb2.STOCK_MOVEMENT_KIND_COUNT_LOSS, -2220)
    assert not agreed.HasField("movement")
    assert found.movement.source_document == found.name


def test_what_was_never_here_needs_a_price_when_it_is_found(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    counted = stock_pb2.StockCount(
        agency_id=str(logistics.agency),
        warehouse_id=warehouse.warehouse_id,
        item_id=item.item_id,
        counted_quantity=number(2),
        currency_code="IDR",
    )
    request = stock_pb2.CreateStockCountRequest(stock_count=counted, request_id=request_id())
    drafted = logistics.act(logistics.stock.CreateStockCount, request, "storekeeper")
    approve = stock_pb2.ApproveStockCountRequest(name=drafted.name, request_id=request_id())

    refusal = refused(logistics.stock.ApproveStockCount, approve, logistics.token("approver"))
    priced = count(logistics, item, warehouse, "2", unit_price=number(500))

    assert refusal.reason == "UNIT_COST_UNKNOWN"
    assert rupiah(priced.movement.value) == 1000


def test_i9_the_counter_may_not_approve(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    counted = stock_pb2.StockCount(
        agency_id=str(logistics.agency),
        warehouse_id=warehouse.warehouse_id,
        item_id=item.item_id,
        counted_quantity=number(0),
        currency_code="IDR",
    )
    request = stock_pb2.CreateStockCountRequest(stock_count=counted, request_id=request_id())
    drafted = logistics.act(logistics.stock.CreateStockCount, request, "storekeeper")
    approve = stock_pb2.ApproveStockCountRequest(name=drafted.name, request_id=request_id())

    refusal = refused(logistics.stock.ApproveStockCount, approve, logistics.token("storekeeper", "approver"))

    assert refusal.reason == "MAKER_IS_CHECKER"


def test_the_valuation_at_a_cut_is_the_sum_of_the_events_up_to_it(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "4", "1000", warehouse)
    issue(logistics, item, warehouse, "1")
    issue(logistics, item, warehouse, "1")

    events = logistics.events(stock_events_pb2.StockMovementPosted)
    for cut in (1, 2, 3):
        request = stock_pb2.GetStockValuationRequest(agency_id=str(logistics.agency), stock_movement_number=cut)
        valuation = logistics.act(logistics.stock.GetStockValuation, request, "storekeeper")
        published = sum(rupiah(event.value) for event in events if event.stock_movement_number <= cut)
        assert [rupiah(total) for total in valuation.totals] == [published]
        assert [rupiah(value.value) for value in valuation.values] == [published]
    beyond = stock_pb2.GetStockValuationRequest(agency_id=str(logistics.agency), stock_movement_number=4)
    refusal = refused(logistics.stock.GetStockValuation, beyond, logistics.token("storekeeper"))

    assert [event.stock_movement_number for event in events] == [1, 2, 3]
    assert events[1].item_code == item.code
    assert events[1].expenditure_account_code == "5.1.02.01.01.0024"
    assert refusal.fields == ("stock_movement_number",)


def test_a_balance_is_told_as_of_a_day(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "4", "1000", warehouse)

    now = logistics.balance(item, as_of=day(today()))
    before = logistics.balance(item, as_of=day(today() - timedelta(days=1)))

    assert (now.quantity.value, rupiah(now.value), now.unit_cost.value) == ("4", 4440, "1110")
    assert before.quantity.value == "0"
    assert not before.HasField("unit_cost")


def test_under_specific_a_lot_keeps_its_own_cost(logistics: House):
    item, warehouse = logistics.item(valuation_method=catalog_pb2.VALUATION_METHOD_SPECIFIC), logistics.warehouse()
    for lot, price in (("SN-1", "100"), ("SN-2", "900")):
        order = logistics.issued_order(quantity="1", price=price, item=item)
        logistics.accept(logistics.deliver_goods(order, "1", warehouse, lot=lot), "1")
    token = logistics.token("storekeeper")

    dear = issue(logistics, item, warehouse, "1", lot="SN-2").movement
    nameless = refused(logistics.stock.IssueStock, logistics.issue(item, warehouse, "1"), token)

    assert rupiah(dear.value) == -999
    assert nameless.fields == ("lot",)


def test_t3_storekeepers_in_a_race_never_issue_more_than_there_is(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    logistics.stocked(item, "10", "333", warehouse)
    token = logistics.token("storekeeper")

    def take(_: int) -> str:
        try:
            call_as(logistics.stock.IssueStock, logistics.issue(item, warehouse, "1"), token)
        except Exception as failure:
            return str(failure.details())
        return ""

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(take, range(24)))

    assert outcomes.count("") == 10
    numbers = [movement.stock_movement_number for movement in movements(logistics)]
    assert numbers == list(range(1, 12))
    assert (logistics.balance(item).quantity.value, rupiah(logistics.balance(item).value)) == ("0", 0)
    assert logistics.problems() == []


def test_the_service_cannot_edit_a_movement(logistics: House):
    logistics.stocked(logistics.item(), "1", "100", logistics.warehouse())

    with psycopg.connect(logistics.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("update stock_movement set value_minor = 0")


def test_another_agency_sees_none_of_it_even_past_the_service(logistics: House):
    logistics.stocked(logistics.item(), "1", "100", logistics.warehouse())
    walled = ("stock_movement", "stock_position", "receipt", "purchase_order_line", "requisition", "number_series")

    with psycopg.connect(logistics.app_url) as connection:
        connection.execute("select set_config('kelola.agencies', %s, true)", (str(uuid4()),))
        seen = [connection.execute(f"select count(*) from {table}").fetchone() for table in walled]

    assert seen == [(0,)] * len(walled)


def test_verify_names_a_position_that_was_tampered_with(logistics: House):
    item = logistics.item()
    logistics.stocked(item, "1", "100", logistics.warehouse())
    with psycopg.connect(logistics.superuser_url) as connection:
        connection.execute("update stock_movement set value_minor = value_minor + 1 where kind = 'RECEIPT'")
        connection.execute("update receipt set accepted_by_person_id = null")

    found = logistics.problems()

    assert [problem.invariant for problem in found] == ["I7"]
    assert item.item_id in found[0].what
