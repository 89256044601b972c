"""Fees and interest of the bank between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from google.type import money_pb2
from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import optional_uuid, resource_id, resource_name, to_date, to_decimal, to_money, to_uuid
from kelola.finance.v1 import bank_charge_events_pb2
from kelola.finance.v1 import bank_charge_pb2 as pb
from services.finance.treasury.charges.domain import ChargeKind
from services.finance.treasury.charges.events import BankChargeBooked
from services.finance.treasury.charges.usecases import NewCharge

CHARGES = "bankCharges"


def charge_id(name: str) -> UUID:
    """The id in `bankCharges/{uuid}`."""
    return resource_id(CHARGES, name)


def new_charge(message: pb.BankCharge) -> NewCharge:
    """The charge to propose."""
    return NewCharge(
        agency_id=to_uuid(message.agency_id, "bank_charge.agency_id"),
        bank_entry_id=to_uuid(message.bank_entry_id, "bank_charge.bank_entry_id"),
        kind=ChargeKind(pb.BankChargeKind.Name(message.kind).removeprefix("BANK_CHARGE_KIND_")),
        bearing_agency_id=optional_uuid(message.bearing_agency_id, "bank_charge.bearing_agency_id"),
        budget_line_id=optional_uuid(message.budget_line_id, "bank_charge.budget_line_id"),
        fund_code=message.fund_code,
        explanation=message.explanation,
    )


def charge_message(row: Row[Any]) -> pb.BankCharge:
    """One charge."""
    return pb.BankCharge(
        name=resource_name(CHARGES, row.bank_charge_id),
        bank_charge_id=str(row.bank_charge_id),
        agency_id=str(row.agency_id),
        bank_entry_id=str(row.bank_entry_id),
        kind=_kind(row),
        bearing_agency_id=str(row.bearing_agency_id),
        budget_line_id=str(row.budget_line_id or ""),
        fund_code=row.fund_code,
        explanation=row.explanation,
        transaction_code=row.transaction_code,
        amount=to_money(Money(row.amount_minor, row.currency)),
        value_on=to_date(row.value_on),
        status=pb.BankChargeStatus.Value(f"BANK_CHARGE_STATUS_{row.status}"),
        journal_entry_id=str(row.journal_entry_id or ""),
        created_by_person_id=str(row.created_by_person_id),
        approved_by_person_id=str(row.approved_by_person_id or ""),
        rejection_explanation=row.rejection_explanation or "",
        functional_amount=_functional(row),
        exchange_rate=None if row.exchange_rate is None else to_decimal(row.exchange_rate),
    )


def _functional(row: Row[Any]) -> money_pb2.Money | None:
    if row.functional_minor is None:
        return None
    return to_money(Money(row.functional_minor, row.functional_currency))


def _kind(row: Row[Any]) -> pb.BankChargeKind.ValueType:
    return pb.BankChargeKind.Value(f"BANK_CHARGE_KIND_{row.kind}")


@outbox.translates(BankChargeBooked)
def _booked(event: BankChargeBooked) -> outbox.Envelope:
    row = event.row
    message = bank_charge_events_pb2.BankChargeBooked(
        bank_charge_id=str(row.bank_charge_id),
        agency_id=str(row.agency_id),
        bank_entry_id=str(row.bank_entry_id),
        kind=_kind(row),
        bearing_agency_id=str(row.bearing_agency_id),
        budget_line_id=str(row.budget_line_id or ""),
        amount=to_money(Money(row.amount_minor, row.currency)),
        value_on=to_date(row.value_on),
        functional_amount=_functional(row),
    )
    return outbox.Envelope(message, row.bank_charge_id, row.agency_id, row.version)
