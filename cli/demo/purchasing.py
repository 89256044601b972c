"""Act four: forty requisitions. Some ask for more than their line has and are refused; the others are ordered,
received in parts, invoiced, matched three ways and paid. Each is one journey and one trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

from google.type import decimal_pb2

from chassis.wire import to_date
from cli.demo import cast
from cli.demo.acting import DemoStopped, Government, Refusal, each
from cli.demo.foundation import Foundation
from cli.demo.paying import pay
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc, payables_pb2, payables_pb2_grpc
from kelola.logistics.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    purchase_order_pb2,
    purchase_order_pb2_grpc,
    receipt_pb2,
    receipt_pb2_grpc,
    requisition_pb2,
    requisition_pb2_grpc,
    stock_pb2,
    stock_pb2_grpc,
    supplier_pb2,
    supplier_pb2_grpc,
)

QUANTITY, FIRST_DELIVERY = 10, 6
# Value added tax that the government cannot recover (UU 7/2021 art. 7: 11 %), part of the price that funds bear.
VAT_PERCENT = 11
_PRICE_MAX = 1_500_000
_NEEDED_ON = date(cast.FISCAL_YEAR, 3, 31)
_GOODS_ACCOUNTS = "5.1.02.01.01"
_LINE_MIN = 2_000_000


class Course(Enum):
    """How a requisition's journey goes."""

    PAID = "paid"
    BEYOND_ITS_LINE = "refused: beyond its line"
    SHORT_DELIVERY = "held: invoiced more than accepted"
    OVERPRICED = "held: invoiced above the order's price"


@dataclass(frozen=True)
class Plan:
    """One requisition before it begins. Prices are whole rupiah a unit, without tax."""

    number: int
    agency_label: str
    budget_line_id: str
    unit_price: int
    course: Course


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    plan: Plan
    trace_id: str
    requisition_id: str
    purchase_order_id: str = ""
    invoice_id: str = ""
    payment_order_number: str = ""
    refusal: Mapping[str, str] | None = None
    message: str = ""


@dataclass(frozen=True)
class Market:
    """The catalogue, the suppliers and the warehouses."""

    item_id: str
    supplier_ids: list[str]
    warehouses: dict[str, str]


def open_market(government: Government, foundation: Foundation) -> Market:
    """Create an item, the suppliers of the legal entities, and a warehouse in every agency."""
    item = government.do(
        catalog_pb2_grpc.CatalogServiceStub,
        "CreateItem",
        catalog_pb2.CreateItemRequest(
            item=catalog_pb2.Item(
                code="ATK-001",
                display_name="Alat tulis kantor, paket",
                unit_of_measure="paket",
                treatment=catalog_pb2.GOODS_TREATMENT_STOCK,
                valuation_method=catalog_pb2.VALUATION_METHOD_MOVING_AVERAGE,
                expenditure_account_code="5.1.02.01.01.0024",
                active=True,
            )
        ),
        by="catalog_officer",
        step="item/ATK-001",
    )
    suppliers = [
        government.do(
            supplier_pb2_grpc.SupplierServiceStub,
            "CreateSupplier",
            supplier_pb2.CreateSupplierRequest(
                supplier=supplier_pb2.Supplier(
                    legal_entity_id=legal_entity_id, categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS]
                )
            ),
            by="procurement_officer",
            step=f"supplier/{number}",
        ).supplier_id
        for number, legal_entity_id in enumerate(foundation.legal_entities)
    ]
    warehouses = {
        unit.label: government.do(
            stock_pb2_grpc.StockServiceStub,
            "CreateWarehouse",
            stock_pb2.CreateWarehouseRequest(
                warehouse=stock_pb2.Warehouse(
                    agency_id=foundation.agencies[unit.label], code="GDG-1", display_name="Gudang utama"
                )
            ),
            by="storekeeper",
            step=f"warehouse/{unit.label}",
        ).warehouse_id
        for unit in cast.units()
    }
    return Market(item.item_id, suppliers, warehouses)


def plans(government: Government, foundation: Foundation, scale: cast.Scale) -> list[Plan]:
    """The plans, spread over the agencies that have budget lines for goods, each on a line of its own."""
    lines: dict[str, list[Any]] = {}
    for unit in cast.units():
        found = government.pages(
            budget_pb2_grpc.BudgetServiceStub,
            "ListBudgetLines",
            budget_pb2.ListBudgetLinesRequest(
                agency_id=foundation.agencies[unit.label],
                fiscal_year=cast.FISCAL_YEAR,
                account_prefix=_GOODS_ACCOUNTS,
                page_size=500,
            ),
            by="auditor",
            rows="budget_lines",
        )
        wide = [line for line in found if line.figures.original.units >= _LINE_MIN]
        lines[unit.label] = sorted(wide, key=lambda line: (line.account_code, line.line_no))
    planned: list[Plan] = []
    while len(planned) < scale.requisitions:
        before = len(planned)
        for label, queue in lines.items():
            if queue and len(planned) < scale.requisitions:
                planned.append(_plan(len(planned) + 1, label, queue.pop(0)))
        if len(planned) == before:
            raise DemoStopped(f"the budget has lines for {before} requisitions only, {scale.requisitions} are needed")
    return planned


def _plan(number: int, label: str, line: Any) -> Plan:
    course = Course.PAID
    if number % 10 == 0:
        course = Course.BEYOND_ITS_LINE
    elif number == 7:
        course = Course.SHORT_DELIVERY
    elif number == 13:
        course = Course.OVERPRICED
    original = line.figures.original.units
    # A fifth of the line, tax included, stays within the first quarter's release of a quarter.
    fifth = original * 100 // (5 * QUANTITY * (100 + VAT_PERCENT))
    price = original * 12 // (10 * QUANTITY) if course is Course.BEYOND_ITS_LINE else min(fifth, _PRICE_MAX)
    return Plan(number, label, line.budget_line_id, price, course)


def live_through(government: Government, foundation: Foundation, market: Market, planned: list[Plan]) -> list[Outcome]:
    """All journeys, a few at a time."""

    def journey(plan: Plan) -> Outcome:
        with government.journey(f"requisition {plan.number:02d}") as trace_id:
            return _Journey(government, foundation, market, plan, trace_id).live()

    return each(planned, journey, workers=4)


@dataclass(frozen=True)
class _Journey:
    government: Government
    foundation: Foundation
    market: Market
    plan: Plan
    trace_id: str

    @property
    def _agency_id(self) -> str:
        return self.foundation.agencies[self.plan.agency_label]

    def _step(self, name: str) -> str:
        return f"requisition-{self.plan.number:02d}/{name}"

    def live(self) -> Outcome:
        requisition = self._request()
        if requisition.status == requisition_pb2.REQUISITION_STATUS_REFUSED:
            if self.plan.course is not Course.BEYOND_ITS_LINE:
                raise DemoStopped(f"{self._step('approve')}: {requisition.refusal.message}")
            return Outcome(
                self.plan,
                self.trace_id,
                requisition.requisition_id,
                refusal=dict(requisition.refusal.figures),
                message=requisition.refusal.message,
            )
        if self.plan.course is Course.BEYOND_ITS_LINE:
            raise DemoStopped(f"{self._step('approve')}: asked for more than its line has and was not refused")
        order = self._order(requisition)
        accepted = self._receive(order, FIRST_DELIVERY, "first")
        if self.plan.course is not Course.SHORT_DELIVERY:
            accepted += self._receive(order, QUANTITY - FIRST_DELIVERY, "second")
        overcharge = self.plan.unit_price // 10 if self.plan.course is Course.OVERPRICED else 0
        invoice = self._invoice(order, QUANTITY, self.plan.unit_price + overcharge)
        if invoice.status == payables_pb2.INVOICE_STATUS_HELD:
            if self.plan.course is Course.PAID:
                raise DemoStopped(f"{self._step('invoice')} was held: {invoice.holds}")
            return self._held(requisition, order, invoice)
        if self.plan.course is not Course.PAID:
            raise DemoStopped(f"{self._step('invoice')} should be held and is {invoice.status}")
        return self._paid(requisition, order, invoice)

    def _request(self) -> Any:
        line = requisition_pb2.RequisitionLine(
            item_id=self.market.item_id,
            quantity=_decimal(QUANTITY),
            estimated_unit_price=_decimal(self.plan.unit_price),
            tax_rate=decimal_pb2.Decimal(value=f"0.{VAT_PERCENT}"),
            budget_line_id=self.plan.budget_line_id,
        )
        made = self.government.do(
            requisition_pb2_grpc.RequisitionServiceStub,
            "CreateRequisition",
            requisition_pb2.CreateRequisitionRequest(
                requisition=requisition_pb2.Requisition(
                    agency_id=self._agency_id,
                    purpose=f"Kebutuhan kantor {self.plan.number:02d}",
                    currency_code="IDR",
                    needed_on=to_date(_NEEDED_ON),
                    lines=[line],
                )
            ),
            by="requester",
            step=self._step("create"),
        )
        self.government.do(
            requisition_pb2_grpc.RequisitionServiceStub,
            "ApproveRequisition",
            requisition_pb2.ApproveRequisitionRequest(name=made.name),
            by="requisition_approver",
            step=self._step("approve"),
        )
        pending = requisition_pb2.REQUISITION_STATUS_PENDING
        return self.government.wait(
            lambda: self.government.read(
                requisition_pb2_grpc.RequisitionServiceStub,
                "GetRequisition",
                requisition_pb2.GetRequisitionRequest(name=made.name),
                by="requester",
            ),
            until=lambda seen: seen.status != pending,
            what=f"{self._step('approve')}: the reservation",
        )

    def _order(self, requisition: Any) -> Any:
        supplier_id = self.market.supplier_ids[self.plan.number % len(self.market.supplier_ids)]
        made = self.government.do(
            purchase_order_pb2_grpc.PurchaseOrderServiceStub,
            "CreatePurchaseOrder",
            purchase_order_pb2.CreatePurchaseOrderRequest(
                purchase_order=purchase_order_pb2.PurchaseOrder(
                    agency_id=self._agency_id,
                    supplier_id=supplier_id,
                    deliver_by=to_date(_NEEDED_ON),
                    lines=[
                        purchase_order_pb2.PurchaseOrderLine(
                            requisition_line_id=requisition.lines[0].requisition_line_id,
                            quantity=_decimal(QUANTITY),
                            unit_price=_decimal(self.plan.unit_price),
                            tax_rate=decimal_pb2.Decimal(value=f"0.{VAT_PERCENT}"),
                            final=True,
                        )
                    ],
                )
            ),
            by="procurement_officer",
            step=self._step("order"),
        )
        self.government.do(
            purchase_order_pb2_grpc.PurchaseOrderServiceStub,
            "ApprovePurchaseOrder",
            purchase_order_pb2.ApprovePurchaseOrderRequest(name=made.name),
            by="commitment_officer",
            step=self._step("sign"),
        )
        pending = purchase_order_pb2.PURCHASE_ORDER_STATUS_PENDING
        order = self.government.wait(
            lambda: self._get_order(made.name),
            until=lambda seen: seen.status != pending,
            what=f"{self._step('sign')}: the obligation",
        )
        if order.status == purchase_order_pb2.PURCHASE_ORDER_STATUS_REFUSED:
            raise DemoStopped(f"{self._step('sign')}: {order.refusal.message}")
        return order

    def _get_order(self, name: str) -> Any:
        return self.government.read(
            purchase_order_pb2_grpc.PurchaseOrderServiceStub,
            "GetPurchaseOrder",
            purchase_order_pb2.GetPurchaseOrderRequest(name=name),
            by="procurement_officer",
        )

    def _receive(self, order: Any, quantity: int, which: str) -> int:
        delivered_on = to_date(date(cast.FISCAL_YEAR, 1, 6))
        made = self.government.do(
            receipt_pb2_grpc.ReceiptServiceStub,
            "CreateReceipt",
            receipt_pb2.CreateReceiptRequest(
                receipt=receipt_pb2.Receipt(
                    agency_id=self._agency_id,
                    purchase_order_id=order.purchase_order_id,
                    warehouse_id=self.market.warehouses[self.plan.agency_label],
                    delivery_note=f"SJ-{self.plan.number:02d}-{which}",
                    delivered_on=delivered_on,
                    lines=[
                        receipt_pb2.ReceiptLine(
                            purchase_order_line_id=order.lines[0].purchase_order_line_id,
                            delivered_quantity=_decimal(quantity),
                        )
                    ],
                )
            ),
            by="receiver",
            step=self._step(f"receive-{which}"),
        )
        self.government.do(
            receipt_pb2_grpc.ReceiptServiceStub,
            "AcceptReceipt",
            receipt_pb2.AcceptReceiptRequest(
                name=made.name,
                accepted_on=delivered_on,
                inspections=[
                    receipt_pb2.Inspection(
                        receipt_line_id=made.lines[0].receipt_line_id, accepted_quantity=_decimal(quantity)
                    )
                ],
            ),
            by="inspector",
            step=self._step(f"accept-{which}"),
        )
        return quantity

    def _invoice(self, order: Any, quantity: int, unit_price: int) -> Any:
        net = quantity * unit_price
        tax_minor = net * VAT_PERCENT  # 1/100 rupiah: net × 11 % × 100
        request = payables_pb2.CreateInvoiceRequest(
            invoice=payables_pb2.Invoice(
                agency_id=self._agency_id,
                purchase_order_id=order.purchase_order_id,
                supplier_invoice_number=f"INV-{self.plan.number:02d}",
                invoiced_on=to_date(date(cast.FISCAL_YEAR, 1, 6)),
                received_on=to_date(date(cast.FISCAL_YEAR, 1, 6)),
                lines=[
                    payables_pb2.InvoiceLine(
                        purchase_order_line_id=order.lines[0].purchase_order_line_id,
                        quantity=_decimal(quantity),
                        unit_price=_decimal(unit_price),
                        tax=_rupiah(tax_minor),
                    )
                ],
                total=_rupiah(net * 100 + tax_minor),
            )
        )
        made = self._create_invoice_when_the_order_is_known(request)
        waiting = payables_pb2.INVOICE_STATUS_WAITING_RECEIPT
        return self.government.wait(
            lambda: self._get_invoice(made.name),
            until=lambda seen: (
                (self.plan.course is Course.SHORT_DELIVERY and seen.status == payables_pb2.INVOICE_STATUS_HELD)
                or (self.plan.course is not Course.SHORT_DELIVERY and self._settled(seen, waiting))
            ),
            what=f"{self._step('invoice')}: the match",
        )

    def _settled(self, invoice: Any, waiting: int) -> bool:
        """Papers may overtake one another: until all receipts are here, a hold for quantity is not the last word."""
        if invoice.status == payables_pb2.INVOICE_STATUS_HELD:
            return all(hold.reason != payables_pb2.INVOICE_HOLD_REASON_QUANTITY for hold in invoice.holds)
        return bool(invoice.status != waiting)

    def _create_invoice_when_the_order_is_known(self, request: Any) -> Any:
        """The order reaches finance as an event, so finance may not know it yet."""

        def look() -> Any:
            return self.government.attempt(
                payables_pb2_grpc.PayablesServiceStub,
                "CreateInvoice",
                request,
                by="invoice_clerk",
                step=self._step("invoice"),
            )

        answer = self.government.wait(
            look,
            until=lambda seen: not (isinstance(seen, Refusal) and seen.code in ("NOT_FOUND", "FAILED_PRECONDITION")),
            what=f"{self._step('invoice')}: the order in finance",
        )
        if isinstance(answer, Refusal):
            raise DemoStopped(f"{self._step('invoice')} was refused: {answer.message}")
        return answer

    def _get_invoice(self, name: str) -> Any:
        return self.government.read(
            payables_pb2_grpc.PayablesServiceStub,
            "GetInvoice",
            payables_pb2.GetInvoiceRequest(name=name),
            by="invoice_clerk",
        )

    def _held(self, requisition: Any, order: Any, invoice: Any) -> Outcome:
        return Outcome(
            self.plan,
            self.trace_id,
            requisition.requisition_id,
            order.purchase_order_id,
            invoice.invoice_id,
            message="; ".join(hold.message for hold in invoice.holds),
        )

    def _paid(self, requisition: Any, order: Any, invoice: Any) -> Outcome:
        approved = self.government.do(
            payables_pb2_grpc.PayablesServiceStub,
            "ApproveInvoice",
            payables_pb2.ApproveInvoiceRequest(name=invoice.name, effective_on=to_date(date(cast.FISCAL_YEAR, 1, 6))),
            by="invoice_approver",
            step=self._step("approve-invoice"),
        )
        paid = pay(
            self.government,
            self.foundation,
            self._agency_id,
            [approved.payable.payable_id],
            self._step("pay"),
        )
        self.government.wait(
            lambda: self._get_order(order.name),
            until=lambda seen: seen.status == purchase_order_pb2.PURCHASE_ORDER_STATUS_PAID,
            what=f"{self._step('pay')}: the news of the payment in logistics",
        )
        return Outcome(
            self.plan,
            self.trace_id,
            requisition.requisition_id,
            order.purchase_order_id,
            invoice.invoice_id,
            paid.order_number,
        )


def issue_some_stock(government: Government, foundation: Foundation, market: Market) -> None:
    """Each store gives two packs out: an expense without any use of budget."""
    for label, warehouse_id in market.warehouses.items():
        government.do(
            stock_pb2_grpc.StockServiceStub,
            "IssueStock",
            stock_pb2.IssueStockRequest(
                agency_id=foundation.agencies[label],
                warehouse_id=warehouse_id,
                item_id=market.item_id,
                quantity=_decimal(2),
                purpose="Pemakaian sekretariat",
            ),
            by="storekeeper",
            step=f"issue/{label}",
        )


def _decimal(value: int) -> decimal_pb2.Decimal:
    return decimal_pb2.Decimal(value=str(value))


def _rupiah(minor: int) -> Any:
    from chassis.money import Money
    from chassis.wire import to_money

    return to_money(Money(minor, "IDR"))
