"""Orders: signed, obligated or refused, cancelled, delivered in parts; suppliers and what finance tells."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import grpc

from chassis.money import Money
from chassis.testing import call_as, refused
from chassis.testing import refusal as refusal_of
from chassis.wire import to_money
from kelola.finance.v1 import credit_note_events_pb2, payables_events_pb2
from kelola.logistics.v1 import ordering_events_pb2, receiving_events_pb2, stock_events_pb2, stock_pb2, supplier_pb2
from kelola.logistics.v1 import purchase_order_pb2 as pb
from kelola.logistics.v1 import receipt_pb2 as receipts
from kelola.logistics.v1 import requisition_pb2 as requisitions
from tests.integration.logistics.store_house import House, day, number, request_id, rupiah, today


def money(amount: int):
    """Rupiah of the wire."""
    return to_money(Money(amount * 100, "IDR"))


def cancel(logistics: House, order: pb.PurchaseOrder) -> pb.PurchaseOrder:
    """Cancel what is open and wait for finance."""
    request = pb.CancelPurchaseOrderRequest(name=order.name, cause="not needed", request_id=request_id())
    logistics.act(logistics.orders.CancelPurchaseOrder, request, "commitment_officer")
    return logistics.settled_order(order.name)


def test_an_order_uses_up_its_reservation_and_is_issued_with_a_number(logistics: House):
    order = logistics.issued_order()

    obligate = logistics.finance.asked[-1]
    item = obligate.items[0]
    requisition = logistics.get_requisition(f"requisitions/{order.requisition_id}")
    issued = logistics.event(ordering_events_pb2.PurchaseOrderIssued)
    assert order.purchase_order_number.startswith("PO/")
    assert rupiah(order.amount) == rupiah(item.amount) == 10_545_000
    assert item.liquidates_document_line_id == requisition.lines[0].requisition_line_id
    assert (item.liquidated_quantity.value, item.final) == ("10", True)
    assert requisition.status == requisitions.REQUISITION_STATUS_ORDERED
    assert issued.lines[0].purchase_order_line_id == order.lines[0].purchase_order_line_id
    assert (issued.lines[0].unit_price.value, rupiah(issued.lines[0].tax_amount)) == ("950000", 1_045_000)


def test_a_refused_order_gives_its_quantities_back(logistics: House):
    requisition = logistics.approve(logistics.requisition(logistics.line(description="Chairs")))
    line = pb.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id,
        quantity=number(10),
        unit_price=number(1_200_000),
        final=True,
    )
    order = logistics.order(line)
    logistics.finance.refuse_next(short_by="2220000")

    refusal = logistics.sign(order)

    assert refusal.status == pb.PURCHASE_ORDER_STATUS_REFUSED
    assert dict(refusal.refusal.figures) == {"short_by": "2220000"}
    back = logistics.get_requisition(requisition.name)
    assert back.status == requisitions.REQUISITION_STATUS_APPROVED
    assert (back.lines[0].ordered_quantity.value, back.lines[0].closed) == ("0", False)


def test_i9_the_maker_of_an_order_may_not_sign_it(logistics: House):
    requisition = logistics.approve(logistics.requisition(logistics.line(description="Chairs")))
    line = pb.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id, quantity=number(1), unit_price=number(1)
    )
    order = logistics.order(line)
    request = pb.ApprovePurchaseOrderRequest(name=order.name, request_id=request_id())

    refusal = refused(
        logistics.orders.ApprovePurchaseOrder, request, logistics.token("procurement_officer", "commitment_officer")
    )

    assert refusal.reason == "MAKER_IS_CHECKER"


def test_an_order_asks_for_no_more_than_the_requisition_has_left(logistics: House):
    requisition = logistics.approve(logistics.requisition(logistics.line("10", description="Chairs")))
    line = pb.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id, quantity=number(11), unit_price=number(1)
    )
    order = pb.PurchaseOrder(
        agency_id=str(logistics.agency),
        supplier_id=logistics.supplier().supplier_id,
        deliver_by=day(today()),
        lines=[line],
    )
    request = pb.CreatePurchaseOrderRequest(purchase_order=order, request_id=request_id())

    refusal = refused(logistics.orders.CreatePurchaseOrder, request, logistics.token("procurement_officer"))

    assert (refusal.reason, refusal.metadata["remaining"]) == ("ORDER_EXCEEDS_REQUISITION", "10")


def test_a_debarred_supplier_gets_no_order_and_an_order_not_yet_signed_stays_unsigned(logistics: House):
    supplier = logistics.supplier()
    requisition = logistics.approve(logistics.requisition(logistics.line(description="Chairs")))
    line = pb.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id, quantity=number(1), unit_price=number(1)
    )
    order = logistics.order(line, supplier=supplier)
    debarment = supplier_pb2.Debarment(valid_from=day(today()), decision_number="SK-7", cause="forged papers")
    request = supplier_pb2.DebarSupplierRequest(name=supplier.name, debarment=debarment, request_id=request_id())
    barred = logistics.act(logistics.suppliers.DebarSupplier, request, "commitment_officer").supplier

    sign = pb.ApprovePurchaseOrderRequest(name=order.name, request_id=request_id())
    refusal = refused(logistics.orders.ApprovePurchaseOrder, sign, logistics.token("commitment_officer"))

    assert [each.decision_number for each in barred.debarments] == ["SK-7"]
    assert (refusal.reason, refusal.metadata["decision_number"]) == ("SUPPLIER_DEBARRED", "SK-7")


def test_a_legal_entity_is_a_supplier_once_and_an_unknown_one_is_asked_of_identity(logistics: House):
    first = logistics.supplier()
    again = supplier_pb2.Supplier(
        legal_entity_id=first.legal_entity_id, categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS]
    )
    request = supplier_pb2.CreateSupplierRequest(supplier=again, request_id=request_id())
    unknown = supplier_pb2.CreateSupplierRequest(
        supplier=supplier_pb2.Supplier(legal_entity_id=str(uuid4()), categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS]),
        request_id=request_id(),
    )
    token = logistics.token("procurement_officer")

    refusal = refused(logistics.suppliers.CreateSupplier, request, token)
    away = refused(logistics.suppliers.CreateSupplier, unknown, token)

    assert first.display_name == "CV Sumber Rejeki"
    assert (refusal.code.name, refusal.metadata["supplier_id"]) == ("ALREADY_EXISTS", first.supplier_id)
    # This test's logistics has no identity beside it.
    assert (away.code.name, away.reason) == ("UNAVAILABLE", "PEER_ADDRESS_MISSING")


def test_n25_partial_deliveries_and_the_cancelled_last_unit(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    order = logistics.issued_order(item=item)

    six = logistics.accept(logistics.deliver_goods(order, "6", warehouse), "6")
    three = logistics.accept(logistics.deliver_goods(order, "4", warehouse), "3", "1")
    cancelled = cancel(logistics, order)

    accepted = logistics.events(receiving_events_pb2.GoodsAccepted)
    release = logistics.finance.asked[-1]
    event = logistics.event(ordering_events_pb2.PurchaseOrderCancelled)
    assert (rupiah(six.value), rupiah(three.value)) == (6_327_000, 3_163_500)
    assert [each.lines[0].cumulative_accepted_quantity.value for each in accepted] == ["6", "9"]
    assert [each.lines[0].stock_movement_number for each in accepted] == [1, 2]
    assert (rupiah(release.items[0].amount), release.restore_liquidated) == (1_054_500, False)
    assert (event.lines[0].cancelled_quantity.value, rupiah(event.lines[0].cancelled_amount)) == ("1", 1_054_500)
    assert cancelled.status == pb.PURCHASE_ORDER_STATUS_COMPLETED
    assert rupiah(logistics.balance(item).value) == 9_490_500


def test_an_order_of_which_nothing_came_opens_its_reservation_again(logistics: House):
    order = logistics.issued_order()

    cancelled = cancel(logistics, order)

    assert cancelled.status == pb.PURCHASE_ORDER_STATUS_CANCELLED
    assert logistics.finance.asked[-1].restore_liquidated
    requisition = logistics.get_requisition(f"requisitions/{order.requisition_id}")
    assert requisition.status == requisitions.REQUISITION_STATUS_APPROVED
    assert not requisition.lines[0].closed


def test_over_acceptance_is_refused_and_nothing_of_it_stays(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    order = logistics.issued_order(quantity="5", item=item)
    first, second = (logistics.deliver_goods(order, "3", warehouse) for _ in range(2))
    logistics.accept(first, "3")

    refusal = refused(
        logistics.receipts.AcceptReceipt, logistics.acceptance(second, "3"), logistics.token("commitment_officer")
    )
    rest = logistics.accept(second, "2", "1")

    assert (refusal.reason, refusal.metadata["open"]) == ("OVER_ACCEPTANCE", "2")
    assert rest.status == receipts.RECEIPT_STATUS_ACCEPTED
    assert logistics.balance(item).quantity.value == "5"
    assert logistics.get_order(order.name).status == pb.PURCHASE_ORDER_STATUS_COMPLETED


def test_i9_the_receiver_may_not_accept(logistics: House):
    order = logistics.issued_order()
    receipt = logistics.deliver_goods(order, "1", None)

    refusal = refused(
        logistics.receipts.AcceptReceipt,
        logistics.acceptance(receipt, "1"),
        logistics.token("receiver", "commitment_officer"),
    )

    assert refusal.reason == "MAKER_IS_CHECKER"


def test_goods_under_inspection_are_quantity_without_value_and_hold_a_cancellation_up(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    order = logistics.issued_order(item=item)
    receipt = logistics.deliver_goods(order, "4", warehouse)
    request = pb.CancelPurchaseOrderRequest(name=order.name, cause="x", request_id=request_id())

    refusal = refused(logistics.orders.CancelPurchaseOrder, request, logistics.token("commitment_officer"))
    before = logistics.balance(item)
    rejected = logistics.accept(receipt, "0", "4")
    after = logistics.balance(item)

    assert refusal.reason == "DELIVERY_UNDER_INSPECTION"
    assert (before.quantity.value, before.inspected_quantity.value) == ("0", "4")
    assert rejected.status == receipts.RECEIPT_STATUS_REJECTED
    assert (after.quantity.value, after.inspected_quantity.value) == ("0", "0")


def test_stock_lines_need_a_warehouse_and_dates_are_not_in_the_future(logistics: House):
    order = logistics.issued_order(item=logistics.item())
    line = receipts.ReceiptLine(
        purchase_order_line_id=order.lines[0].purchase_order_line_id, delivered_quantity=number(1)
    )
    token = logistics.token("receiver")
    for field, values in {
        "receipt.warehouse_id": {"delivered_on": day(today())},
        "receipt.delivered_on": {"delivered_on": day(today() + timedelta(days=1))},
    }.items():
        receipt = receipts.Receipt(
            agency_id=str(logistics.agency), purchase_order_id=order.purchase_order_id, lines=[line], **values
        )
        request = receipts.CreateReceiptRequest(receipt=receipt, request_id=request_id())

        assert refused(logistics.receipts.CreateReceipt, request, token).fields == (field,)


def invoice(order: pb.PurchaseOrder, quantity: str, amount: int, variance: int = 0):
    """Finance's approval of an invoice on the order's line."""
    line = payables_events_pb2.InvoiceApprovedLine(
        purchase_order_line_id=order.lines[0].purchase_order_line_id,
        quantity=number(quantity),
        amount=money(amount),
        variance=money(variance),
    )
    return payables_events_pb2.InvoiceApproved(
        invoice_id=str(uuid4()),
        agency_id=order.agency_id,
        purchase_order_id=order.purchase_order_id,
        supplier_id=order.supplier_id,
        payable_id=str(uuid4()),
        total=money(amount),
        due_on=day(today()),
        lines=[line],
    )


def payment(order: pb.PurchaseOrder, amount: int):
    """Finance's news of a bank debit for the order."""
    item = payables_events_pb2.PaymentItem(
        source_kind=payables_events_pb2.PAYMENT_SOURCE_KIND_PURCHASE_ORDER,
        source_document_id=order.purchase_order_id,
        invoice_id=str(uuid4()),
        amount=money(amount),
        payable_id=str(uuid4()),
    )
    return payables_events_pb2.PaymentMade(
        payment_order_id=str(uuid4()),
        agency_id=order.agency_id,
        order_number="SP2D/1",
        items=[item],
        value_date=day(today()),
    )


def test_n21_n25_invoices_and_payments_close_order_and_requisition_and_value_stock_anew(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    order = logistics.issued_order(quantity="9", item=item)
    agency: UUID = logistics.agency
    logistics.accept(logistics.deliver_goods(order, "6", warehouse), "6")
    logistics.deliver("on_invoice_approved", invoice(order, "6", 6_327_000), agency=agency)
    logistics.accept(logistics.deliver_goods(order, "3", warehouse), "3")
    logistics.act(logistics.stock.IssueStock, logistics.issue(item, warehouse, "3"), "storekeeper")

    logistics.deliver("on_invoice_approved", invoice(order, "3", 3_196_800, 33_300), agency=agency)
    logistics.deliver("on_payment_made", payment(order, 6_327_000), agency=agency)
    before = logistics.get_order(order.name)
    logistics.deliver("on_payment_made", payment(order, 3_196_800), agency=agency)

    after = logistics.get_order(order.name)
    requisition = logistics.get_requisition(f"requisitions/{order.requisition_id}")
    listed = call_as(
        logistics.stock.ListStockMovements,
        stock_pb2.ListStockMovementsRequest(agency_id=str(agency)),
        logistics.token("storekeeper"),
    ).stock_movements
    assert (before.status, after.status) == (pb.PURCHASE_ORDER_STATUS_COMPLETED, pb.PURCHASE_ORDER_STATUS_PAID)
    assert rupiah(after.paid_amount) == 9_523_800
    assert requisition.status == requisitions.REQUISITION_STATUS_PAID
    variance, correction = listed[-2:]
    assert variance.kind == stock_pb2.STOCK_MOVEMENT_KIND_PRICE_VARIANCE
    assert (variance.corrected_movement_id, rupiah(variance.value)) == (listed[1].stock_movement_id, 33_300)
    # A third of nine units was issued before: a third of the variance is its cost.
    assert correction.kind == stock_pb2.STOCK_MOVEMENT_KIND_CORRECTION
    assert rupiah(correction.value) == -11_100
    assert rupiah(logistics.balance(item).value) == 9_523_800 * 2 // 3
    assert logistics.problems() == []


def test_a_credit_of_the_price_values_the_receipts_of_its_invoice_anew_and_closes_the_order(logistics: House):
    item, warehouse = logistics.item(), logistics.warehouse()
    order = logistics.issued_order(quantity="9", item=item)
    logistics.accept(logistics.deliver_goods(order, "9", warehouse), "9")
    logistics.deliver("on_invoice_approved", invoice(order, "9", 9_490_500), agency=logistics.agency)
    note = credit_note_events_pb2.CreditNoteApproved(
        credit_note_id=str(uuid4()),
        agency_id=order.agency_id,
        invoice_id=str(uuid4()),
        purchase_order_id=order.purchase_order_id,
        supplier_id=order.supplier_id,
        total=money(90_000),
        lines=[
            credit_note_events_pb2.CreditedLine(
                purchase_order_line_id=order.lines[0].purchase_order_line_id,
                quantity=number("0"),
                amount=money(90_000),
                variance=money(-90_000),
                invoiced_quantity=number("9"),
                invoiced_before=number("0"),
            )
        ],
    )

    logistics.deliver("on_credit_note_approved", note, agency=logistics.agency)
    logistics.deliver("on_payment_made", payment(order, 9_400_500), agency=logistics.agency)

    told = logistics.events(stock_events_pb2.StockMovementPosted)[-1]
    assert (told.kind, rupiah(told.value)) == (stock_pb2.STOCK_MOVEMENT_KIND_PRICE_VARIANCE, -90_000)
    assert told.invoice_id == note.credit_note_id
    assert rupiah(logistics.balance(item).value) == 9_490_500 - 90_000
    assert logistics.get_order(order.name).status == pb.PURCHASE_ORDER_STATUS_PAID
    assert logistics.problems() == []


def test_a_variance_is_told_once_and_shared_over_the_receipts_that_the_invoice_bills(logistics: House):
    item, main, branch = logistics.item(), logistics.warehouse(), logistics.warehouse("BRANCH")
    order = logistics.issued_order(quantity="9", item=item)
    logistics.accept(logistics.deliver_goods(order, "6", main), "6")
    logistics.accept(logistics.deliver_goods(order, "3", branch), "3")

    logistics.deliver("on_invoice_approved", invoice(order, "9", 9_580_500, 90_000), agency=logistics.agency)

    told = logistics.events(stock_events_pb2.StockMovementPosted)[2:]
    assert [(each.kind, rupiah(each.value)) for each in told] == [
        (stock_pb2.STOCK_MOVEMENT_KIND_PRICE_VARIANCE, 90_000),
        (stock_pb2.STOCK_MOVEMENT_KIND_CORRECTION, -30_000),
        (stock_pb2.STOCK_MOVEMENT_KIND_CORRECTION, 30_000),
    ]
    assert rupiah(logistics.balance(item, warehouse_id=main.warehouse_id).value) == 6_327_000 + 60_000
    assert rupiah(logistics.balance(item, warehouse_id=branch.warehouse_id).value) == 3_163_500 + 30_000
    assert logistics.problems() == []


def test_t3_orders_in_a_race_never_take_more_than_the_requisition_has(logistics: House):
    requisition = logistics.approve(logistics.requisition(logistics.line("10", description="Chairs")))
    line = pb.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id, quantity=number(4), unit_price=number(1000)
    )
    supplier = logistics.supplier()
    drafted = [logistics.order(line, supplier=supplier) for _ in range(6)]
    token = logistics.token("commitment_officer")

    def sign(order: pb.PurchaseOrder) -> str:
        request = pb.ApprovePurchaseOrderRequest(name=order.name, request_id=request_id())
        try:
            call_as(logistics.orders.ApprovePurchaseOrder, request, token)
        except grpc.RpcError as failure:
            return refusal_of(failure).reason
        return ""

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(sign, drafted))

    assert outcomes == ["", "", *["ORDER_EXCEEDS_REQUISITION"] * 4]
    assert logistics.get_requisition(requisition.name).lines[0].ordered_quantity.value == "8"
    assert logistics.problems() == []
