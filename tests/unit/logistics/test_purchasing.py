"""From requisition to acceptance, as plain decisions: quantities, shares, states, persons."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.dates import Validity
from chassis.errors import InvalidArgument
from chassis.money import Money
from services.logistics.catalog.domain import Item, Treatment, ValuationMethod
from services.logistics.catalog.domain import change as change_item
from services.logistics.ordering import domain as orders
from services.logistics.ordering.domain import Order
from services.logistics.pricing import domain as pricing
from services.logistics.receiving import domain as receiving
from services.logistics.receiving.domain import Inspection, Receipt
from services.logistics.requisition import domain as requisitions
from services.logistics.requisition.domain import Refusal, Requisition, Taking
from services.logistics.supplier.domain import Category, Debarment, Supplier, SupplierDebarred, require_orderable

AT, DAY = datetime(2026, 3, 2, 3, tzinfo=UTC), date(2026, 3, 2)
MAKER, CHECKER = uuid4(), uuid4()
VAT = Decimal("0.11")
REFUSAL = Refusal("BUDGET_EXCEEDED", "short", {"short_by": "1"}, AT)


def a_requisition(*quantities: str, price: str = "1000000", rate: Decimal = VAT) -> Requisition:
    """An approved requisition with a line for each quantity."""
    lines = tuple(
        requisitions.Line(
            requisition_line_id=uuid4(),
            item_id=None,
            description="Chairs",
            quantity=Decimal(quantity),
            estimated_unit_price=Decimal(price),
            tax_rate=rate,
            budget_line_id=uuid4(),
            fund_code="",
            treatment=Treatment.EXPENSE,
            amount=pricing.line_amount(Decimal(quantity), Decimal(price), rate, "IDR").gross,
        )
        for quantity in quantities or ("10",)
    )
    return Requisition(
        requisition_id=uuid4(),
        agency_id=uuid4(),
        purpose="x",
        currency="IDR",
        needed_on=DAY,
        lines=lines,
        status=requisitions.Status.APPROVED,
        requested_by_person_id=MAKER,
        created_at=AT,
    )


def an_order(quantity: str = "10", price: str = "950000", rate: Decimal = VAT, *, final: bool = True) -> Order:
    """An issued order of one line."""
    line = orders.Line(
        purchase_order_line_id=uuid4(),
        requisition_line_id=uuid4(),
        item_id=None,
        description="Chairs",
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        tax_rate=rate,
        budget_line_id=uuid4(),
        fund_code="",
        treatment=Treatment.EXPENSE,
        amount=pricing.line_amount(Decimal(quantity), Decimal(price), rate, "IDR"),
        final=final,
    )
    return Order(
        purchase_order_id=uuid4(),
        agency_id=uuid4(),
        requisition_id=uuid4(),
        supplier_id=uuid4(),
        legal_entity_id=uuid4(),
        currency="IDR",
        deliver_by=DAY,
        lines=(line,),
        status=orders.Status.ISSUED,
        made_by_person_id=MAKER,
        created_at=AT,
    )


def accept(order: Order, quantity: str) -> tuple[Order, int]:
    """The order after an acceptance on its line, and the acceptance's value in rupiah."""
    accepted, (acceptance,) = orders.accept(order, ((order.lines[0].purchase_order_line_id, Decimal(quantity)),))
    return accepted, acceptance.value.minor // 100


def a_receipt(order: Order, delivered: str = "4") -> Receipt:
    """A delivery on the order's line, under inspection."""
    line = receiving.Line(uuid4(), order.lines[0].purchase_order_line_id, Treatment.EXPENSE, Decimal(delivered))
    return Receipt(
        receipt_id=uuid4(),
        agency_id=order.agency_id,
        purchase_order_id=order.purchase_order_id,
        warehouse_id=None,
        delivery_note="",
        delivered_on=DAY,
        currency="IDR",
        lines=(line,),
        status=receiving.Status.DELIVERED,
        received_by_person_id=MAKER,
        created_at=AT,
    )


# --- amounts ---------------------------------------------------------------------------------------------------


def test_n25_amounts_of_requisition_and_order_with_vat_that_cannot_be_recovered():
    assert a_requisition().amount == Money(11_100_000_00, "IDR")
    assert an_order().amount == Money(10_545_000_00, "IDR")


def test_n25_acceptances_of_six_and_three_and_the_cancelled_last_unit():
    order, six = accept(an_order(), "6")
    order, three = accept(order, "3")
    released, (cancelled,) = orders.released(
        orders.cancel(order, by=CHECKER, cause="one is not needed", under_inspection=False)
    )

    assert (six, three) == (6_327_000, 3_163_500)
    assert (cancelled.quantity, cancelled.amount.minor // 100) == (1, 1_054_500)
    assert released.status is orders.Status.COMPLETED


def test_n3_three_deliveries_of_an_order_of_100_take_33_34_33():
    shares = [pricing.cumulative_share(100, Decimal(taken), Decimal(3)) for taken in range(4)]

    assert [after - before for before, after in itertools.pairwise(shares)] == [33, 34, 33]


@given(
    st.lists(st.decimals(min_value="0.000001", max_value="1000", places=6), min_size=1, max_size=12),
    st.decimals(min_value=0, max_value="1000000", places=6),
    st.decimals(min_value=0, max_value=1, places=4),
)
def test_the_values_of_all_deliveries_are_the_amount_of_the_line(parts, price, rate):
    order = an_order(str(sum(parts)), str(price), rate)
    values = []
    for part in parts:
        order, acceptances = orders.accept(order, ((order.lines[0].purchase_order_line_id, part),))
        values.append(acceptances[0].value.minor)

    assert sum(values) == order.lines[0].amount.gross.minor
    assert all(value >= 0 for value in values)
    assert order.status is orders.Status.COMPLETED


def test_prices_may_have_six_decimals_and_no_more():
    amount = pricing.line_amount(Decimal(3), Decimal("33.333333"), Decimal(0), "IDR")

    assert amount.gross == Money(100_00, "IDR")
    assert pricing.unit_price(Decimal("1.100000000")) == Decimal("1.1")
    with pytest.raises(InvalidArgument, match="more than 6 decimals"):
        pricing.unit_price(Decimal("1.0000001"))
    with pytest.raises(InvalidArgument, match="is not above 0"):
        pricing.positive_quantity(Decimal(0))
    with pytest.raises(InvalidArgument, match=r"11 % is 0\.11"):
        pricing.tax_rate(Decimal(11))


# --- requisitions ----------------------------------------------------------------------------------------------


def test_i9_the_requester_may_not_approve():
    draft = replace(a_requisition(), status=requisitions.Status.DRAFT)

    with pytest.raises(requisitions.MakerIsChecker):
        requisitions.approve(draft, by=MAKER, at=AT, number="REQ/2026/00001")


def test_a_refused_requisition_may_be_approved_again_and_keeps_its_number():
    draft = replace(a_requisition(), status=requisitions.Status.DRAFT)
    pending = requisitions.approve(draft, by=CHECKER, at=AT, number="REQ/2026/00001")
    refused = requisitions.refused(pending, REFUSAL)

    again = requisitions.approve(refused, by=CHECKER, at=AT, number=refused.requisition_number)

    assert refused.refusal == REFUSAL
    assert (again.status, again.refusal) == (requisitions.Status.PENDING, None)
    assert [draft.version, pending.version, refused.version, again.version] == [1, 2, 3, 4]


def test_finances_answer_out_of_turn_is_an_error():
    with pytest.raises(requisitions.RequisitionNotOpen):
        requisitions.reserved(a_requisition())


def test_n1_orders_take_quantities_and_a_final_one_closes_the_line():
    requisition = a_requisition("3")
    line_id = requisition.lines[0].requisition_line_id

    open_after = requisitions.take(requisition, (Taking(line_id, Decimal(2), final=False),))
    closed_after = requisitions.take(requisition, (Taking(line_id, Decimal(2), final=True),))
    given_back = requisitions.give_back(closed_after, (Taking(line_id, Decimal(2), final=True),))

    assert (open_after.lines[0].remaining_quantity, open_after.status) == (1, requisitions.Status.APPROVED)
    assert (closed_after.lines[0].remaining_quantity, closed_after.status) == (0, requisitions.Status.ORDERED)
    assert (given_back.lines[0].remaining_quantity, given_back.status) == (3, requisitions.Status.APPROVED)


def test_n2_the_other_six_of_ten_may_be_ordered_and_not_a_seventh():
    requisition = a_requisition("10")
    line_id = requisition.lines[0].requisition_line_id
    four = requisitions.take(requisition, (Taking(line_id, Decimal(4), final=False),))

    with pytest.raises(requisitions.OrderExceedsRequisition) as refused:
        requisitions.take(four, (Taking(line_id, Decimal(7), final=False),))
    ten = requisitions.take(four, (Taking(line_id, Decimal(6), final=False),))

    assert refused.value.metadata["remaining"] == "6"
    assert ten.status is requisitions.Status.ORDERED


def test_a_line_that_one_order_names_twice_gets_both_back():
    requisition = a_requisition("10")
    line_id = requisition.lines[0].requisition_line_id
    takings = (Taking(line_id, Decimal(4), final=False), Taking(line_id, Decimal(6), final=True))

    given_back = requisitions.give_back(requisitions.take(requisition, takings), takings)

    assert given_back.lines == requisition.lines


def test_a_requisition_closed_by_its_own_cancellation_stays_closed_when_an_order_is_cancelled():
    requisition = a_requisition("10")
    takings = (Taking(requisition.lines[0].requisition_line_id, Decimal(4), final=False),)
    ordered = requisitions.take(requisition, takings)
    cancelled = requisitions.released(requisitions.cancel(ordered, by=CHECKER, cause="enough", order_pending=False))

    after = requisitions.give_back(cancelled, takings)

    assert cancelled.status is requisitions.Status.ORDERED
    assert (after.status, after.lines[0].remaining_quantity) == (requisitions.Status.CANCELLED, 0)


def test_a_requisition_is_not_cancelled_while_an_order_waits_for_funds():
    with pytest.raises(requisitions.OrderPending):
        requisitions.cancel(a_requisition(), by=CHECKER, cause="x", order_pending=True)


# --- orders ----------------------------------------------------------------------------------------------------


def test_i9_the_maker_of_an_order_may_not_sign_it():
    draft = replace(an_order(), status=orders.Status.DRAFT)

    with pytest.raises(requisitions.MakerIsChecker):
        orders.sign(draft, by=MAKER, at=AT, on=DAY, number="PO/2026/00001")


def test_over_acceptance_is_refused_with_what_is_open():
    order, _ = accept(an_order("10"), "8")

    with pytest.raises(orders.OverAcceptance) as refused:
        accept(order, "3")

    assert refused.value.metadata["open"] == "2"


def test_what_was_cancelled_can_no_longer_be_accepted():
    cancelled, _ = orders.released(orders.cancel(an_order(), by=CHECKER, cause="x", under_inspection=False))

    assert cancelled.status is orders.Status.CANCELLED
    with pytest.raises(orders.OrderNotOpen):
        accept(cancelled, "1")


def test_an_order_is_not_cancelled_while_a_delivery_is_inspected():
    with pytest.raises(orders.DeliveryUnderInspection):
        orders.cancel(an_order(), by=CHECKER, cause="x", under_inspection=True)


def test_an_order_is_paid_when_all_is_accepted_invoiced_and_paid_in_any_order_of_news():
    line_id = (order := an_order("2", "100", Decimal(0))).lines[0].purchase_order_line_id
    order, _ = accept(order, "2")
    paid_first = orders.pay(order, Money(200_00, "IDR"))
    invoiced = orders.invoice(paid_first, line_id, Decimal(2), Money(200_00, "IDR"))

    assert orders.settle(paid_first) is None
    assert orders.settle(orders.invoice(order, line_id, Decimal(2), Money(200_00, "IDR"))) is None
    paid = orders.settle(invoiced)
    assert paid is not None
    assert paid.status is orders.Status.PAID
    with pytest.raises(orders.InvoiceExceedsOrder):
        orders.invoice(invoiced, line_id, Decimal(1), Money(100_00, "IDR"))


# --- receipts --------------------------------------------------------------------------------------------------


def test_accepted_and_rejected_are_together_what_was_delivered():
    receipt = a_receipt(an_order(), "4")
    line_id = receipt.lines[0].receipt_line_id

    def inspect(accepted: str, rejected: str, by=CHECKER, on=DAY) -> Receipt:
        inspections = (Inspection(line_id, Decimal(accepted), Decimal(rejected)),)
        return receiving.inspect(receipt, inspections, by=by, at=AT, on=on, today=DAY)

    assert inspect("3", "1").status is receiving.Status.ACCEPTED
    assert inspect("0", "4").status is receiving.Status.REJECTED
    with pytest.raises(InvalidArgument, match="are not the 4 delivered"):
        inspect("3", "0")
    with pytest.raises(requisitions.MakerIsChecker):
        inspect("4", "0", by=MAKER)
    with pytest.raises(InvalidArgument, match="is not from the delivery"):
        inspect("4", "0", on=date(2026, 3, 3))


def test_every_line_is_inspected_once():
    receipt = a_receipt(an_order())
    inspection = Inspection(receipt.lines[0].receipt_line_id, Decimal(4), Decimal(0))
    for inspections in ((), (inspection, inspection), (replace(inspection, receipt_line_id=uuid4()),)):
        with pytest.raises(InvalidArgument, match="one for each of the 1 lines"):
            receiving.inspect(receipt, inspections, by=CHECKER, at=AT, on=DAY, today=DAY)


# --- catalog and suppliers -------------------------------------------------------------------------------------


def an_item(**values) -> Item:
    """A stock item."""
    known = {
        "item_id": uuid4(),
        "code": "ATK-1",
        "display_name": "Paper",
        "unit_of_measure": "rim",
        "treatment": Treatment.STOCK,
        "valuation_method": ValuationMethod.FIFO,
        "negative_allowed": False,
        "unspsc_code": "",
        "expenditure_account_code": "5.1.02.01.01.0024",
        "active": True,
        "created_at": AT,
    }
    return Item(**{**known, **values})


def test_an_items_valuation_belongs_to_stock_alone_and_cannot_change():
    with pytest.raises(InvalidArgument, match="needs a method"):
        an_item(valuation_method=None)
    with pytest.raises(InvalidArgument, match="needs its expenditure account"):
        an_item(expenditure_account_code="")
    with pytest.raises(InvalidArgument, match="never stock"):
        an_item(treatment=Treatment.EXPENSE)
    with pytest.raises(InvalidArgument, match="make a new item"):
        change_item(an_item(), {"valuation_method": ValuationMethod.MOVING_AVERAGE})
    assert change_item(an_item(), {"display_name": "A4"}).version == 2


def test_a_debarred_supplier_is_refused_on_the_days_of_the_debarment_only():
    debarment = Debarment(uuid4(), Validity(date(2026, 3, 1), date(2026, 6, 1)), "SK-1", "late", CHECKER)
    supplier = Supplier(uuid4(), uuid4(), "CV X", (Category.GOODS,), (), (debarment,), AT)

    require_orderable(supplier, date(2026, 2, 28))
    require_orderable(supplier, date(2026, 6, 1))
    for day in (date(2026, 3, 1), date(2026, 5, 31)):
        with pytest.raises(SupplierDebarred, match="SK-1"):
            require_orderable(supplier, day)
