"""Withholding slips and late payments on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest

from chassis.testing import call_as, wait_until
from chassis.wire import to_date
from kelola.finance.v1 import (
    late_interest_pb2,
    late_interest_pb2_grpc,
    payables_pb2,
    withholding_slip_pb2,
    withholding_slip_pb2_grpc,
)
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.funds import Unit
from tests.integration.finance.purchase import Purchase, rupiah_of


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def owed(unit: Unit, line: str, units: int = 10) -> payables_pb2.Payable:
    """An approved invoice of units at 1 000 000 + 11 %."""
    purchase = Purchase(unit, line, units, 1_000_000, vat="0.11").issued()
    purchase.accepted(units)
    return purchase.approved(purchase.invoiced(units, 1_000_000))


def listed(unit: Unit) -> list[withholding_slip_pb2.WithholdingSlip]:
    """The unit's slips."""
    stub = withholding_slip_pb2_grpc.WithholdingSlipServiceStub(unit.books.service.channel)
    request = withholding_slip_pb2.ListWithholdingSlipsRequest(agency_id=str(unit.agency_id), page_size=100)
    return list(call_as(stub.ListWithholdingSlips, request, unit.token("treasurer")).withholding_slips)


def slips(unit: Unit, count: int) -> list[withholding_slip_pb2.WithholdingSlip]:
    """The unit's slips once the numberer came by."""

    def look() -> list[withholding_slip_pb2.WithholdingSlip] | None:
        found = listed(unit)
        return found if len(found) == count and all(one.slip_number for one in found) else None

    return wait_until(look, what="the numbers of the slips")


def test_n12_a_debited_payment_has_one_slip_for_each_kind_that_it_withheld(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    order = unit.debited(unit.ordered([owed(unit, line).payable_id]))

    found = slips(unit, 2)

    assert {one.withholding_code: rupiah_of(one.amount) for one in found} == {"VAT": 1_100_000, "PPH22": 150_000}
    assert sorted(one.slip_number for one in found) == [f"00001/BPU/{YEAR}", f"00002/BPU/{YEAR}"]
    assert {(one.order_number, one.payment_order_id) for one in found} == {(order.order_number, order.payment_order_id)}
    with psycopg.connect(unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.WithholdingSlipIssued' and key = any(%s)",
            ([one.withholding_slip_id for one in found],),
        ).fetchone()
    assert told == (2,)
    assert unit.problems() == []


def test_an_order_that_was_rejected_or_withheld_nothing_has_no_slip(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    small = owed(unit, line, units=1)
    unit.debited(unit.ordered([small.payable_id]))
    rejected = unit.ordered([owed(unit, line).payable_id])

    call_as(unit.payables.RejectPaymentOrder, unit.rejection(rejected), unit.token("treasurer"))

    assert listed(unit) == []
    assert unit.problems() == []


def test_n24_slips_of_payments_debited_at_once_are_numbered_without_gaps(unit: Unit):
    (line,) = unit.lines(200_000_000)
    unit.allotted()
    orders = [unit.ordered([owed(unit, line).payable_id]) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(unit.debited, orders))

    found = slips(unit, 16)
    assert sorted(one.slip_number for one in found) == [f"{number:05d}/BPU/{YEAR}" for number in range(1, 17)]
    assert len({(one.payment_order_id, one.withholding_code) for one in found}) == 16
    assert unit.problems() == []


def late(unit: Unit, as_of: date) -> list[late_interest_pb2.LatePayment]:
    stub = late_interest_pb2_grpc.LateInterestServiceStub(unit.books.service.channel)
    request = late_interest_pb2.ListLatePaymentsRequest(agency_id=str(unit.agency_id), as_of=to_date(as_of))
    return list(call_as(stub.ListLatePayments, request, unit.token("budget_user")).late_payments)


def test_a_payment_after_its_due_date_owes_interest_up_to_the_debit(unit: Unit):
    (line,) = unit.lines(40_000_000)
    unit.allotted()
    first, second = owed(unit, line), owed(unit, line)
    # Received on 14 March, due 30 days later: 13 April.
    before = late(unit, date(YEAR, 4, 13))
    day = date(YEAR, 4, 23)
    unit.debited(unit.ordered([first.payable_id], date(YEAR, 4, 20)), value_date=to_date(day))

    found = {one.payable_id: one for one in late(unit, date(YEAR, 5, 13))}

    assert before == []
    assert (found[first.payable_id].days_late, found[second.payable_id].days_late) == (10, 30)
    # 5.75 % a year of 360 days on 11 100 000.
    assert rupiah_of(found[first.payable_id].interest) == 11_100_000 * 575 * 10 // (360 * 10_000)
    assert rupiah_of(found[second.payable_id].interest) == 11_100_000 * 575 * 30 // (360 * 10_000)
    assert found[first.payable_id].paid_on == to_date(day)
