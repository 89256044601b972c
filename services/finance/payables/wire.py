"""Payables between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from google.type import money_pb2
from sqlalchemy import Row

from chassis.money import Money, exponent
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    optional_uuid,
    resource_id,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_uuid,
)
from kelola.finance.v1 import payables_pb2
from services.finance.payables import payroll
from services.finance.payables.domain import Hold
from services.finance.payables.events import PaidItem
from services.finance.payables.invoice_store import Invoice, StoredLine
from services.finance.payables.invoicing import NewInvoice, NewLine
from services.finance.payables.payment import NewRequest
from services.finance.payables.statements import Statement

INVOICES, PAYABLES = "invoices", "payables"
REQUESTS, ORDERS = "paymentRequests", "paymentOrders"


def invoice_id(name: str) -> UUID:
    """The id in `invoices/{uuid}`."""
    return resource_id(INVOICES, name)


def request_id(name: str, field: str = "name") -> UUID:
    """The id in `paymentRequests/{uuid}`."""
    return resource_id(REQUESTS, name, field)


def order_id(name: str) -> UUID:
    """The id in `paymentOrders/{uuid}`."""
    return resource_id(ORDERS, name)


def payable_id(name: str) -> UUID:
    """The id in `payables/{uuid}`."""
    return resource_id(PAYABLES, name)


def status_filter(enum: Any, prefix: str, number: int) -> str:
    """The state that a list is narrowed to; empty for all."""
    name = str(enum.Name(number)).removeprefix(prefix)
    return "" if name == "UNSPECIFIED" else name


def new_invoice(message: payables_pb2.Invoice) -> NewInvoice:
    """The invoice to register."""
    return NewInvoice(
        agency_id=to_uuid(message.agency_id, "invoice.agency_id"),
        purchase_order_id=to_uuid(message.purchase_order_id, "invoice.purchase_order_id"),
        supplier_invoice_number=message.supplier_invoice_number,
        invoiced_on=from_date(message.invoiced_on, "invoice.invoiced_on"),
        received_on=from_date(message.received_on, "invoice.received_on"),
        total=from_money(message.total, "invoice.total"),
        lines=tuple(_new_line(line, f"invoice.lines[{nth}]") for nth, line in enumerate(message.lines)),
        rounding=from_money(message.rounding, "invoice.rounding") if message.HasField("rounding") else None,
    )


def _new_line(message: payables_pb2.InvoiceLine, where: str) -> NewLine:
    return NewLine(
        purchase_order_line_id=to_uuid(message.purchase_order_line_id, f"{where}.purchase_order_line_id"),
        quantity=Fraction(from_decimal(message.quantity, f"{where}.quantity")),
        unit_price=Fraction(from_decimal(message.unit_price, f"{where}.unit_price")),
        tax=from_money(message.tax, f"{where}.tax") if message.HasField("tax") else None,
        adjustment=from_money(message.adjustment, f"{where}.adjustment") if message.HasField("adjustment") else None,
    )


def hold_message(hold: Hold, currency: str) -> payables_pb2.InvoiceHold:
    """Why an invoice is held."""
    return payables_pb2.InvoiceHold(
        reason=payables_pb2.InvoiceHoldReason.Value(f"INVOICE_HOLD_REASON_{hold.reason.value}"),
        purchase_order_line_id=str(hold.purchase_order_line_id or ""),
        excess_quantity=None if hold.excess_quantity is None else to_decimal(hold.excess_quantity),
        excess_amount=None if hold.excess is None else to_money(Money(hold.excess, currency)),
        message=hold.message,
    )


def invoice_message(invoice: Invoice) -> payables_pb2.Invoice:
    """One invoice."""
    row = invoice.row
    rounding = sum(stored.line.rounding for stored in invoice.lines)
    return payables_pb2.Invoice(
        name=resource_name(INVOICES, row.invoice_id),
        invoice_id=str(row.invoice_id),
        agency_id=str(row.agency_id),
        purchase_order_id=str(row.purchase_order_id),
        supplier_id=str(row.supplier_id),
        supplier_invoice_number=row.supplier_invoice_number,
        invoiced_on=to_date(row.invoiced_on),
        received_on=to_date(row.received_on),
        lines=[_line_message(line, row.currency) for line in invoice.lines],
        total=to_money(Money(row.total_minor, row.currency)),
        status=payables_pb2.InvoiceStatus.Value(f"INVOICE_STATUS_{row.status}"),
        holds=[hold_message(hold, row.currency) for hold in invoice.holds],
        due_on=to_date(row.due_on),
        payable_id=str(row.payable_id or ""),
        etag=str(row.version),
        split_from_invoice_id=str(row.split_from_invoice_id or ""),
        rounding=to_money(Money(rounding, row.currency)) if rounding else None,
    )


def _line_message(stored: StoredLine, currency: str) -> payables_pb2.InvoiceLine:
    line = stored.line
    variance, adjustment = stored.variance_minor, line.adjustment(10 ** exponent(currency))
    return payables_pb2.InvoiceLine(
        invoice_line_id=str(stored.invoice_line_id),
        purchase_order_line_id=str(line.purchase_order_line_id),
        quantity=to_decimal(line.quantity),
        unit_price=to_decimal(line.unit_price),
        tax=to_money(Money(line.tax, currency)),
        amount=to_money(Money(line.amount, currency)),
        variance=None if variance is None else to_money(Money(variance, currency)),
        adjustment=to_money(Money(adjustment, currency)) if adjustment else None,
    )


def payroll_run(request: payables_pb2.AcceptPayrollRequest) -> payroll.Run:
    """The run to accept."""
    return payroll.Run(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        payroll_run_id=to_uuid(request.payroll_run_id, "payroll_run_id"),
        payroll_run_number=request.payroll_run_number,
        charges=tuple(
            payroll.Charge(
                optional_uuid(charge.position_document_line_id, f"charges[{nth}].position_document_line_id"),
                to_uuid(charge.budget_line_id, f"charges[{nth}].budget_line_id"),
                from_money(charge.amount, f"charges[{nth}].amount"),
                charge.component_code,
                charge.employer_creditor_code,
            )
            for nth, charge in enumerate(request.charges)
        ),
        net=from_money(request.net, "net"),
        withholdings=tuple(
            (one.withholding_code, from_money(one.amount, f"withholdings[{nth}].amount"))
            for nth, one in enumerate(request.withholdings)
        ),
        effective_on=from_date(request.effective_on, "effective_on"),
        due_on=from_date(request.due_on, "due_on"),
    )


def payable_message(row: Row[Any], withholdings: Mapping[str, int]) -> payables_pb2.Payable:
    """One payable."""
    return payables_pb2.Payable(
        name=resource_name(PAYABLES, row.payable_id),
        payable_id=str(row.payable_id),
        agency_id=str(row.agency_id),
        source=payables_pb2.PayableSource.Value(f"PAYABLE_SOURCE_{row.source}"),
        source_document_id=str(row.source_document_id),
        source_document_number=row.source_document_number,
        creditor=row.creditor,
        amount=to_money(Money(row.amount_minor, row.currency)),
        offset_amount=to_money(Money(row.offset_minor, row.currency)),
        withholdings=withholding_messages(withholdings, row.currency),
        due_on=to_date(row.due_on),
        status=payables_pb2.PayableStatus.Value(f"PAYABLE_STATUS_{row.status}"),
        payment_request_id=str(row.payment_request_id or ""),
        foreign_amount=_foreign(row.foreign_minor, row.foreign_currency),
    )


def _foreign(minor: int | None, currency: str | None) -> money_pb2.Money | None:
    return None if minor is None or currency is None else to_money(Money(minor, currency))


def withholding_messages(amounts: Mapping[str, int], currency: str) -> list[payables_pb2.Withholding]:
    """What is withheld, by code."""
    return [
        payables_pb2.Withholding(withholding_code=code, amount=to_money(Money(amount, currency)))
        for code, amount in sorted(amounts.items())
    ]


def new_request(message: payables_pb2.PaymentRequest) -> NewRequest:
    """The payment request to make."""
    return NewRequest(
        agency_id=to_uuid(message.agency_id, "payment_request.agency_id"),
        payable_ids=tuple(
            to_uuid(one, f"payment_request.payable_ids[{nth}]") for nth, one in enumerate(message.payable_ids)
        ),
        requested_on=from_date(message.requested_on, "payment_request.requested_on"),
        description=message.description,
    )


def statement(message: payables_pb2.AuthorisePaymentRequestRequest) -> Statement | None:
    """The statement of responsibility that is given; None for none."""
    if not message.HasField("statement_of_responsibility"):
        return None
    given = message.statement_of_responsibility
    return Statement(from_date(given.signed_on, "statement_of_responsibility.signed_on"), given.sha256)


def _statement_message(row: Row[Any]) -> payables_pb2.StatementOfResponsibility | None:
    if row.statement_sha256 is None:
        return None
    return payables_pb2.StatementOfResponsibility(
        signed_on=to_date(row.statement_signed_on),
        sha256=row.statement_sha256,
        person_id=str(row.authorised_by_person_id),
    )


def request_message(row: Row[Any], payable_ids: Sequence[UUID], due_on: date | None) -> payables_pb2.PaymentRequest:
    """One payment request; `due_on` is the last day for its next step."""
    return payables_pb2.PaymentRequest(
        name=resource_name(REQUESTS, row.payment_request_id),
        payment_request_id=str(row.payment_request_id),
        agency_id=str(row.agency_id),
        payable_ids=[str(one) for one in payable_ids],
        requested_on=to_date(row.requested_on),
        description=row.description,
        amount=to_money(Money(row.amount_minor, row.currency)),
        gross_amount=to_money(Money(row.amount_minor + row.offset_minor, row.currency)),
        offset_amount=to_money(Money(row.offset_minor, row.currency)),
        status=payables_pb2.PaymentRequestStatus.Value(f"PAYMENT_REQUEST_STATUS_{row.status}"),
        request_number=row.request_number or "",
        authorisation_number=row.authorisation_number or "",
        payment_order_id=str(row.payment_order_id or ""),
        etag=str(row.version),
        due_on=None if due_on is None else to_date(due_on),
        statement_of_responsibility=_statement_message(row),
    )


def order_message(
    row: Row[Any], items: Sequence[PaidItem], withholdings: Mapping[str, int]
) -> payables_pb2.PaymentOrder:
    """One payment order."""
    return payables_pb2.PaymentOrder(
        name=resource_name(ORDERS, row.payment_order_id),
        payment_order_id=str(row.payment_order_id),
        agency_id=str(row.agency_id),
        treasury_agency_id=str(row.treasury_agency_id),
        payment_request_id=str(row.payment_request_id),
        order_number=row.order_number or "",
        status=payables_pb2.PaymentOrderStatus.Value(f"PAYMENT_ORDER_STATUS_{row.status}"),
        items=[
            payables_pb2.PaymentOrderItem(
                payable_id=str(item.payable_id),
                source=payables_pb2.PayableSource.Value(f"PAYABLE_SOURCE_{item.source.value}"),
                source_document_id=str(item.source_document_id),
                amount=to_money(Money(item.amount_minor, row.currency)),
            )
            for item in items
        ],
        gross=to_money(Money(row.gross_minor, row.currency)),
        withholdings=withholding_messages(withholdings, row.currency),
        net=to_money(Money(row.net_minor, row.currency)),
        issued_on=to_date(row.issued_on),
        value_date=to_date(row.value_date) if row.value_date else None,
        bank_reference=row.bank_reference or "",
        etag=str(row.version),
        foreign_amount=_foreign(row.foreign_minor, row.foreign_currency),
        debited_amount=_foreign(row.debited_minor, row.currency),
        penalties=to_money(Money(row.gross_minor - row.net_minor - sum(withholdings.values()), row.currency)),
    )
