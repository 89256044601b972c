"""A purchase by order: asked for, reserved, ordered, delivered in two parts, invoiced, approved; what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from chassis.money import Money, exponent, round_half_away
from chassis.wire import to_date, to_money
from cli.demo.acting import DemoStopped, Refusal
from cli.demo.purchasing import VAT_PERCENT
from cli.demo_year import cast
from cli.demo_year.banking import Claim
from cli.demo_year.year import Year, decimal, shown
from kelola.finance.v1 import payables_pb2, payables_pb2_grpc
from kelola.logistics.v1 import (
    purchase_order_pb2,
    purchase_order_pb2_grpc,
    receipt_pb2,
    receipt_pb2_grpc,
    requisition_pb2,
    requisition_pb2_grpc,
)

_PAYABLES = payables_pb2_grpc.PayablesServiceStub
_REQUISITIONS = requisition_pb2_grpc.RequisitionServiceStub
_ORDERS = purchase_order_pb2_grpc.PurchaseOrderServiceStub
_RECEIPTS = receipt_pb2_grpc.ReceiptServiceStub
_TAX_RATE = f"0.{VAT_PERCENT}"
QUANTITY = 10


@dataclass(frozen=True)
class Purchase:
    """What is bought: ten of something for use at once; `price` is whole units of the currency each, without tax.

    `estimate` is the price that was asked for; none is the price itself. `deliveries` are the quantities that come.
    """

    step: str
    unit: str
    budget_line_id: str
    supplier_id: str
    what: str
    price: int
    on: date
    estimate: int = 0
    currency: str = cast.CURRENCY
    tax_rate: str = _TAX_RATE
    deliveries: tuple[int, ...] = (6, 4)

    @property
    def net(self) -> Money:
        """The price of all, without tax."""
        return Money(QUANTITY * self.price * 10 ** exponent(self.currency), self.currency)

    @property
    def tax(self) -> Money:
        """The tax on it."""
        return Money(round_half_away(self.net.minor * Fraction(self.tax_rate)), self.currency)


def buy(year: Year, purchase: Purchase) -> tuple[Claim, dict[str, Any]]:
    """From request to payable in one day."""
    signed = order(year, purchase, request(year, purchase))
    if signed.status == purchase_order_pb2.PURCHASE_ORDER_STATUS_REFUSED:
        raise DemoStopped(f"{purchase.step}: {signed.refusal.message}")
    return receive_and_invoice(year, purchase, signed, on=purchase.on)


def receive_and_invoice(year: Year, purchase: Purchase, signed: Any, *, on: date) -> tuple[Claim, dict[str, Any]]:
    """The deliveries accepted, the invoice matched and approved; what is owed."""
    for which, quantity in enumerate(purchase.deliveries, start=1):
        _receive(year, purchase, signed, which, quantity, on)
    payable = _invoice(year, purchase, signed, on)
    row = {
        "purchase": purchase.step,
        "unit": purchase.unit,
        "order": signed.purchase_order_number,
        "amount": shown(payable.amount),
        "withheld": ", ".join(f"{one.withholding_code} {shown(one.amount)}" for one in payable.withholdings),
    }
    return Claim(purchase.unit, payable.payable_id, f"{purchase.step}/pay"), row


def request(year: Year, purchase: Purchase) -> Any:
    """Ask, and have it approved: the funds are reserved at the estimate."""
    line = requisition_pb2.RequisitionLine(
        description=purchase.what,
        quantity=decimal(QUANTITY),
        estimated_unit_price=decimal(purchase.estimate or purchase.price),
        tax_rate=decimal(purchase.tax_rate),
        budget_line_id=purchase.budget_line_id,
    )
    made = year.government.do(
        _REQUISITIONS,
        "CreateRequisition",
        requisition_pb2.CreateRequisitionRequest(
            requisition=requisition_pb2.Requisition(
                agency_id=year.unit_id(purchase.unit),
                purpose=purchase.what,
                currency_code=purchase.currency,
                needed_on=to_date(purchase.on),
                lines=[line],
            )
        ),
        by="requester",
        step=f"{purchase.step}/request",
    )
    year.government.do(
        _REQUISITIONS,
        "ApproveRequisition",
        requisition_pb2.ApproveRequisitionRequest(name=made.name),
        by="requisition_approver",
        step=f"{purchase.step}/approve",
    )
    seen = year.government.wait(
        lambda: year.government.read(
            _REQUISITIONS,
            "GetRequisition",
            requisition_pb2.GetRequisitionRequest(name=made.name),
            by="requester",
        ),
        until=lambda seen: seen.status != requisition_pb2.REQUISITION_STATUS_PENDING,
        what=f"{purchase.step}: the reservation",
    )
    if seen.status == requisition_pb2.REQUISITION_STATUS_REFUSED:
        raise DemoStopped(f"{purchase.step}: {seen.refusal.message}")
    return seen


def order(year: Year, purchase: Purchase, requisition: Any, *, number: int = 1) -> Any:
    """Order it, once more if `number` says so; the order as finance answered: issued, or refused with its figures."""
    line = purchase_order_pb2.PurchaseOrderLine(
        requisition_line_id=requisition.lines[0].requisition_line_id,
        quantity=decimal(QUANTITY),
        unit_price=decimal(purchase.price),
        tax_rate=decimal(purchase.tax_rate),
        final=True,
    )
    made = year.government.do(
        _ORDERS,
        "CreatePurchaseOrder",
        purchase_order_pb2.CreatePurchaseOrderRequest(
            purchase_order=purchase_order_pb2.PurchaseOrder(
                agency_id=year.unit_id(purchase.unit),
                supplier_id=purchase.supplier_id,
                deliver_by=to_date(purchase.on),
                lines=[line],
            )
        ),
        by="procurement_officer",
        step=f"{purchase.step}/order/{number}",
    )
    year.government.do(
        _ORDERS,
        "ApprovePurchaseOrder",
        purchase_order_pb2.ApprovePurchaseOrderRequest(name=made.name),
        by="commitment_officer",
        step=f"{purchase.step}/sign/{number}",
    )
    return year.government.wait(
        lambda: year.government.read(
            _ORDERS,
            "GetPurchaseOrder",
            purchase_order_pb2.GetPurchaseOrderRequest(name=made.name),
            by="procurement_officer",
        ),
        until=lambda seen: seen.status != purchase_order_pb2.PURCHASE_ORDER_STATUS_PENDING,
        what=f"{purchase.step}: the obligation",
    )


def _receive(year: Year, purchase: Purchase, signed: Any, which: int, quantity: int, on: date) -> None:
    made = year.government.do(
        _RECEIPTS,
        "CreateReceipt",
        receipt_pb2.CreateReceiptRequest(
            receipt=receipt_pb2.Receipt(
                agency_id=year.unit_id(purchase.unit),
                purchase_order_id=signed.purchase_order_id,
                delivery_note=f"SJ-{purchase.step}-{which}",
                delivered_on=to_date(on),
                lines=[
                    receipt_pb2.ReceiptLine(
                        purchase_order_line_id=signed.lines[0].purchase_order_line_id,
                        delivered_quantity=decimal(quantity),
                    )
                ],
            )
        ),
        by="receiver",
        step=f"{purchase.step}/receive/{which}",
    )
    year.government.do(
        _RECEIPTS,
        "AcceptReceipt",
        receipt_pb2.AcceptReceiptRequest(
            name=made.name,
            accepted_on=to_date(on),
            inspections=[
                receipt_pb2.Inspection(
                    receipt_line_id=made.lines[0].receipt_line_id, accepted_quantity=decimal(quantity)
                )
            ],
        ),
        by="inspector",
        step=f"{purchase.step}/accept/{which}",
    )


def _invoice(year: Year, purchase: Purchase, signed: Any, on: date) -> Any:
    request = payables_pb2.CreateInvoiceRequest(
        invoice=payables_pb2.Invoice(
            agency_id=year.unit_id(purchase.unit),
            purchase_order_id=signed.purchase_order_id,
            supplier_invoice_number=f"INV-{purchase.step}",
            invoiced_on=to_date(on),
            received_on=to_date(on),
            lines=[
                payables_pb2.InvoiceLine(
                    purchase_order_line_id=signed.lines[0].purchase_order_line_id,
                    quantity=decimal(QUANTITY),
                    unit_price=decimal(purchase.price),
                    tax=to_money(purchase.tax),
                )
            ],
            total=to_money(purchase.net + purchase.tax),
        )
    )
    # The order reaches finance as an event, so finance may not know it yet; so do the receipts.
    made = year.government.wait(
        lambda: year.government.attempt(
            _PAYABLES, "CreateInvoice", request, by="invoice_clerk", step=f"{purchase.step}/invoice"
        ),
        until=lambda seen: not (isinstance(seen, Refusal) and seen.code in ("NOT_FOUND", "FAILED_PRECONDITION")),
        what=f"{purchase.step}: the order in finance",
    )
    if isinstance(made, Refusal):
        raise DemoStopped(f"{purchase.step}: the invoice was refused: {made.message}")
    year.government.wait(
        lambda: year.government.read(
            _PAYABLES, "GetInvoice", payables_pb2.GetInvoiceRequest(name=made.name), by="invoice_clerk"
        ),
        until=lambda seen: (
            seen.status not in (payables_pb2.INVOICE_STATUS_WAITING_RECEIPT, payables_pb2.INVOICE_STATUS_HELD)
        ),
        what=f"{purchase.step}: the match",
    )
    return year.government.do(
        _PAYABLES,
        "ApproveInvoice",
        payables_pb2.ApproveInvoiceRequest(name=made.name, effective_on=to_date(on)),
        by="invoice_approver",
        step=f"{purchase.step}/approve-invoice",
    ).payable
