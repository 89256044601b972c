"""Billing between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money, total
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    resource_id,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_uuid,
)
from kelola.finance.v1 import billing_events_pb2, billing_pb2
from services.finance.billing import events
from services.finance.billing.domain import ContractLine, RetentionKind
from services.finance.billing.usecases import NewBill, NewPrepayment, NewTerms

TERMS, PREPAYMENTS, BILLS = "contractTerms", "prepayments", "bills"


def terms_id(name: str) -> UUID:
    """The id in `contractTerms/{uuid}`."""
    return resource_id(TERMS, name)


def prepayment_id(name: str) -> UUID:
    """The id in `prepayments/{uuid}`."""
    return resource_id(PREPAYMENTS, name)


def bill_id(name: str) -> UUID:
    """The id in `bills/{uuid}`."""
    return resource_id(BILLS, name)


def new_terms(message: billing_pb2.ContractTerms) -> NewTerms:
    """Terms to register."""
    field = "contract_terms"
    return NewTerms(
        agency_id=to_uuid(message.agency_id, f"{field}.agency_id"),
        contract_id=to_uuid(message.contract_id, f"{field}.contract_id"),
        supplier_id=to_uuid(message.supplier_id, f"{field}.supplier_id"),
        supplier_class=billing_pb2.SupplierClass.Name(message.supplier_class).removeprefix("SUPPLIER_CLASS_"),
        retention_kind=RetentionKind(
            billing_pb2.RetentionKind.Name(message.retention_kind).removeprefix("RETENTION_KIND_")
        ),
        signed_on=from_date(message.signed_on, f"{field}.signed_on"),
        maintenance_until=from_date(message.maintenance_until, f"{field}.maintenance_until"),
        tax_rate=(
            Fraction(from_decimal(message.tax_rate, f"{field}.tax_rate")) if message.tax_rate.value else Fraction(0)
        ),
    )


def terms_message(row: Row[Any], lines: Sequence[ContractLine]) -> billing_pb2.ContractTerms:
    """Terms with their lines' sums to date."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, row.currency))

    return billing_pb2.ContractTerms(
        name=resource_name(TERMS, row.contract_terms_id),
        contract_terms_id=str(row.contract_terms_id),
        agency_id=str(row.agency_id),
        contract_id=str(row.contract_id),
        supplier_id=str(row.supplier_id),
        supplier_class=billing_pb2.SupplierClass.Value(f"SUPPLIER_CLASS_{row.supplier_class}"),
        retention_kind=billing_pb2.RetentionKind.Value(f"RETENTION_KIND_{row.retention_kind}"),
        signed_on=to_date(row.signed_on),
        maintenance_until=to_date(row.maintenance_until),
        tax_rate=_rate(row.tax_rate),
        contract_number=row.contract_number,
        price=money(row.price_minor),
        retention_rate=_rate(row.retention_rate),
        prepayment_limit=money(row.prepayment_limit_minor),
        lines=[
            billing_pb2.ContractTermsLine(
                document_line_id=str(line.document_line_id),
                budget_line_id=str(line.budget_line_id),
                price=money(line.price),
                prepaid=money(line.prepaid),
                billed=money(line.billed),
                recovered=money(line.recovered),
                retained=money(line.retained),
            )
            for line in lines
        ],
        etag=str(row.version),
    )


def _rate(value: Decimal) -> Any:
    return to_decimal(Fraction(value))


def new_prepayment(message: billing_pb2.Prepayment) -> NewPrepayment:
    """A prepayment to open."""
    field = "prepayment"
    return NewPrepayment(
        agency_id=to_uuid(message.agency_id, f"{field}.agency_id"),
        contract_id=to_uuid(message.contract_id, f"{field}.contract_id"),
        amount=from_money(message.amount, f"{field}.amount"),
        claimed_on=from_date(message.claimed_on, f"{field}.claimed_on"),
        guarantee_number=message.guarantee_number,
        guarantee_amount=from_money(message.guarantee_amount, f"{field}.guarantee_amount"),
        guarantee_valid_until=from_date(message.guarantee_valid_until, f"{field}.guarantee_valid_until"),
    )


def prepayment_message(row: Row[Any]) -> billing_pb2.Prepayment:
    """One prepayment."""
    return billing_pb2.Prepayment(
        name=resource_name(PREPAYMENTS, row.prepayment_id),
        prepayment_id=str(row.prepayment_id),
        agency_id=str(row.agency_id),
        contract_id=str(row.contract_id),
        amount=to_money(Money(row.amount_minor, row.currency)),
        claimed_on=to_date(row.claimed_on),
        guarantee_number=row.guarantee_number,
        guarantee_amount=to_money(Money(row.guarantee_minor, row.currency)),
        guarantee_valid_until=to_date(row.guarantee_valid_until),
        payable_id=str(row.payable_id),
    )


def new_bill(message: billing_pb2.Bill) -> NewBill:
    """A bill to register."""
    return NewBill(
        agency_id=to_uuid(message.agency_id, "bill.agency_id"),
        contract_id=to_uuid(message.contract_id, "bill.contract_id"),
        bill_number=message.bill_number,
        description=message.description,
        billed_on=from_date(message.billed_on, "bill.billed_on"),
        final=message.final,
        lines=tuple(
            (
                to_uuid(line.document_line_id, f"bill.lines[{nth}].document_line_id"),
                from_money(line.gross, f"bill.lines[{nth}].gross"),
            )
            for nth, line in enumerate(message.lines)
        ),
    )


def bill_message(row: Row[Any], lines: Sequence[Row[Any]]) -> billing_pb2.Bill:
    """One bill."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, row.currency))

    return billing_pb2.Bill(
        name=resource_name(BILLS, row.bill_id),
        bill_id=str(row.bill_id),
        agency_id=str(row.agency_id),
        contract_id=str(row.contract_id),
        bill_number=row.bill_number,
        description=row.description,
        billed_on=to_date(row.billed_on),
        lines=[
            billing_pb2.BillLine(
                document_line_id=str(line.document_line_id),
                gross=money(line.gross_minor),
                recovered=money(line.recovered_minor),
                retained=money(line.retained_minor),
            )
            for line in lines
        ],
        final=row.final,
        gross=money(row.gross_minor),
        status=billing_pb2.BillStatus.Value(f"BILL_STATUS_{row.status}"),
        certified_on=None if row.certified_on is None else to_date(row.certified_on),
        payable_id=str(row.payable_id or ""),
        retention_payable_id=str(row.retention_payable_id or ""),
        journal_entry_id=str(row.journal_entry_id or ""),
        rejection_explanation=row.rejection_explanation or "",
        etag=str(row.version),
    )


@outbox.translates(events.BillCertified)
def _certified(event: events.BillCertified) -> outbox.Envelope:
    def money(minor: int) -> Any:
        return to_money(Money(minor, event.currency))

    message = billing_events_pb2.BillCertified(
        bill_id=str(event.bill_id),
        agency_id=str(event.agency_id),
        contract_id=str(event.contract_id),
        supplier_id=str(event.supplier_id),
        certified_on=to_date(event.certified_on),
        gross=money(total(one.gross for one in event.lines)),
        lines=[
            billing_events_pb2.CertifiedLine(
                document_line_id=str(one.line.document_line_id),
                budget_line_id=str(one.line.budget_line_id),
                gross=money(one.gross),
                recovered=money(one.recovered),
                retained=money(one.retained),
            )
            for one in event.lines
        ],
        final=event.final,
    )
    return outbox.Envelope(message, event.bill_id, event.agency_id, event.version)
