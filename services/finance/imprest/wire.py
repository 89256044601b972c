"""Imprests between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import from_date, from_money, resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import imprest_events_pb2, imprest_pb2
from services.finance.imprest import events
from services.finance.imprest.domain import Figures, ImprestKind
from services.finance.imprest.usecases import NewImprest, NewVoucher

IMPRESTS, VOUCHERS = "imprests", "imprestVouchers"


def imprest_id(name: str) -> UUID:
    """The id in `imprests/{uuid}`."""
    return resource_id(IMPRESTS, name)


def voucher_id(name: str) -> UUID:
    """The id in `imprestVouchers/{uuid}`."""
    return resource_id(VOUCHERS, name)


def new_imprest(message: imprest_pb2.Imprest) -> NewImprest:
    """An imprest to ask for."""
    return NewImprest(
        agency_id=to_uuid(message.agency_id, "imprest.agency_id"),
        kind=ImprestKind(imprest_pb2.ImprestKind.Name(message.kind).removeprefix("IMPREST_KIND_")),
        fiscal_year=message.fiscal_year,
        fund_code=message.fund_code,
        holder_person_id=to_uuid(message.holder_person_id, "imprest.holder_person_id"),
        amount=from_money(message.amount, "imprest.amount"),
        claimed_on=from_date(message.claimed_on, "imprest.claimed_on"),
        lines=tuple(
            (
                to_uuid(line.budget_line_id, f"imprest.lines[{nth}].budget_line_id"),
                from_money(line.amount, f"imprest.lines[{nth}].amount"),
            )
            for nth, line in enumerate(message.lines)
        ),
    )


def imprest_message(row: Row[Any], lines: Sequence[Row[Any]], figures: Figures) -> imprest_pb2.Imprest:
    """One imprest with its figures."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, row.currency))

    return imprest_pb2.Imprest(
        name=resource_name(IMPRESTS, row.imprest_id),
        imprest_id=str(row.imprest_id),
        agency_id=str(row.agency_id),
        kind=imprest_pb2.ImprestKind.Value(f"IMPREST_KIND_{row.kind}"),
        fiscal_year=row.fiscal_year,
        fund_code=row.fund_code,
        holder_person_id=str(row.holder_person_id),
        amount=money(row.amount_minor),
        claimed_on=to_date(row.claimed_on),
        lines=[
            imprest_pb2.ImprestLine(
                budget_line_id=str(line.budget_line_id),
                amount=money(line.amount_minor),
                document_line_id=str(line.document_line_id),
            )
            for line in lines
        ],
        due_on=None if row.due_on is None else to_date(row.due_on),
        status=imprest_pb2.ImprestStatus.Value(f"IMPREST_STATUS_{row.status}"),
        payable_id=str(row.payable_id),
        cash_in_hand=money(figures.cash_in_hand),
        not_validated=money(figures.not_validated),
        etag=str(row.version),
    )


def new_voucher(message: imprest_pb2.ImprestVoucher) -> NewVoucher:
    """A purchase to approve."""
    field = "imprest_voucher"
    return NewVoucher(
        agency_id=to_uuid(message.agency_id, f"{field}.agency_id"),
        imprest_id=to_uuid(message.imprest_id, f"{field}.imprest_id"),
        budget_line_id=to_uuid(message.budget_line_id, f"{field}.budget_line_id"),
        amount=from_money(message.amount, f"{field}.amount"),
        payee=message.payee,
        description=message.description,
        approved_on=from_date(message.approved_on, f"{field}.approved_on"),
    )


def voucher_message(row: Row[Any], currency: str) -> imprest_pb2.ImprestVoucher:
    """One voucher, in its imprest's currency."""
    return imprest_pb2.ImprestVoucher(
        name=resource_name(VOUCHERS, row.imprest_voucher_id),
        imprest_voucher_id=str(row.imprest_voucher_id),
        agency_id=str(row.agency_id),
        imprest_id=str(row.imprest_id),
        budget_line_id=str(row.budget_line_id),
        amount=to_money(Money(row.amount_minor, currency)),
        payee=row.payee,
        description=row.description,
        approved_on=to_date(row.approved_on),
        paid=to_money(Money(row.paid_minor, currency)) if row.paid_on else None,
        paid_on=None if row.paid_on is None else to_date(row.paid_on),
        status=imprest_pb2.ImprestVoucherStatus.Value(f"IMPREST_VOUCHER_STATUS_{row.status}"),
        journal_entry_id=str(row.journal_entry_id or ""),
        payable_id=str(row.payable_id or ""),
    )


@outbox.translates(events.ImprestVouchersValidated)
def _validated(event: events.ImprestVouchersValidated) -> outbox.Envelope:
    message = imprest_events_pb2.ImprestVouchersValidated(
        imprest_id=str(event.imprest_id),
        agency_id=str(event.agency_id),
        vouchers=[
            imprest_events_pb2.ValidatedVoucher(
                imprest_voucher_id=str(one.imprest_voucher_id),
                budget_line_id=str(one.budget_line_id),
                amount=to_money(Money(one.amount_minor, event.currency)),
            )
            for one in event.vouchers
        ],
        validated_on=to_date(event.validated_on),
    )
    return outbox.Envelope(message, event.imprest_id, event.agency_id, event.version)


@outbox.translates(events.ImprestSettled)
def _settled(event: events.ImprestSettled) -> outbox.Envelope:
    message = imprest_events_pb2.ImprestSettled(
        imprest_id=str(event.imprest_id),
        agency_id=str(event.agency_id),
        returned=to_money(Money(event.returned_minor, event.currency)),
        settled_on=to_date(event.settled_on),
    )
    return outbox.Envelope(message, event.imprest_id, event.agency_id, event.version)
