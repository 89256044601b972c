"""Accounts: the treasury's own at its banks, and those to which creditors are paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.ids import new_id
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.approval.domain import Subject
from services.finance.payables.domain import OutOfTurn, different_persons
from services.finance.treasury import account_store as store
from services.finance.treasury import domain, rows
from services.finance.treasury.domain import Account

CASH = "CASH"


@dataclass(frozen=True)
class NewBankAccount:
    """A bank account to register."""

    agency_id: UUID
    account_code: str
    display_name: str
    account: Account
    valid_from: date


@dataclass(frozen=True)
class NewPayeeAccount:
    """A payee account to propose."""

    agency_id: UUID
    creditor: str
    account: Account
    valid_from: date


def create_bank_account(session: Session, new: NewBankAccount, *, person_id: UUID, at: datetime) -> UUID:
    """Register an account of the treasury; its cash account and number are its own on its days."""
    domain.check_account(new.account, "bank_account")
    kind = store.cash_account_kind(session, new.account_code, new.valid_from)
    if kind != CASH:
        raise InvalidArgument.field(
            "bank_account.account_code",
            f"{new.account_code} is {'no postable account' if kind is None else f'an account of kind {kind}'} on "
            f"{new.valid_from}; name one of kind CASH",
        )
    store.lock_accounts(session, new.agency_id)
    others = store.overlapping_bank_accounts(
        session,
        agency_id=new.agency_id,
        account_code=new.account_code,
        account_number=new.account.account_number,
        currency=new.account.currency,
        valid_from=new.valid_from,
    )
    if others:
        shared = "number" if others[0].account_number == new.account.account_number else "cash account"
        raise domain.BankAccountOverlap(
            f"bank account {others[0].bank_account_id} has the same {shared} from {others[0].valid_from} on; close it "
            "first, or name another",
            metadata={"bank_account_id": str(others[0].bank_account_id), "shared": shared},
        )
    bank_account_id = new_id()
    rows.insert(
        session,
        "bank_account",
        {
            "bank_account_id": bank_account_id,
            "agency_id": new.agency_id,
            "account_code": new.account_code,
            "display_name": new.display_name,
            **_columns(new.account),
            "valid_from": new.valid_from,
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    return bank_account_id


def close_bank_account(session: Session, bank_account_id: UUID, *, valid_to: date) -> None:
    """End a bank account on a day after its first."""
    row = rows.get(session, "bank_account", bank_account_id, lock=True)
    _check_end(row, "bank account", valid_to)
    if valid_to <= row.valid_from:
        raise InvalidArgument.field("valid_to", f"the account holds from {row.valid_from} on; end it after that day")
    rows.update(session, "bank_account", bank_account_id, valid_to=valid_to)


def propose_payee_account(session: Session, new: NewPayeeAccount, *, person_id: UUID, at: datetime) -> UUID:
    """Propose where a creditor is paid; it holds once another person has approved it."""
    domain.check_account(new.account, "payee_account")
    payee_account_id = new_id()
    rows.insert(
        session,
        "payee_account",
        {
            "payee_account_id": payee_account_id,
            "agency_id": new.agency_id,
            "creditor": new.creditor,
            **_columns(new.account),
            "valid_from": new.valid_from,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    subject = Subject(RoutedKind.PAYEE_ACCOUNT, payee_account_id, new.agency_id, None, frozenset(), person_id)
    approval.begin(session, subject, at=at)
    return payee_account_id


def approve_payee_account(session: Session, payee_account_id: UUID, *, person_id: UUID, at: datetime) -> None:
    """Let a creditor be paid there. The account before it ends on the day on which this one begins."""
    row = rows.get(session, "payee_account", payee_account_id, lock=True)
    if row.status != "PROPOSED":
        raise OutOfTurn(
            f"payee account {payee_account_id} is {row.status}; only a PROPOSED one can be approved",
            metadata={"status": row.status, "needed": "PROPOSED"},
        )
    different_persons(person_id, {f"proposed payee account {payee_account_id}": row.created_by_person_id}, "approve it")
    name = f"payee account {payee_account_id}"
    approval.passed(session, payee_account_id, name, person_id=person_id, step="approve it")
    store.lock_accounts(session, row.agency_id)
    for before in store.approved_overlapping(session, row):
        # One that would have begun no earlier is put out of force from its first day on.
        rows.update(session, "payee_account", before.payee_account_id, valid_to=max(before.valid_from, row.valid_from))
    rows.update(
        session,
        "payee_account",
        payee_account_id,
        status="APPROVED",
        approved_by_person_id=person_id,
        approved_at=at,
    )


def close_payee_account(session: Session, payee_account_id: UUID, *, valid_to: date) -> None:
    """End a payee account."""
    row = rows.get(session, "payee_account", payee_account_id, lock=True)
    _check_end(row, "payee account", valid_to)
    if valid_to < row.valid_from:
        raise InvalidArgument.field("valid_to", f"the account holds from {row.valid_from} on")
    rows.update(session, "payee_account", payee_account_id, valid_to=valid_to)


def usable_bank_account(session: Session, bank_account_id: UUID, *, agency_id: UUID, on: date) -> Row[Any]:
    """The treasury's bank account, if it holds on a day (BANK_ACCOUNT_NOT_USABLE)."""
    row = rows.get(session, "bank_account", bank_account_id)
    if row.agency_id != agency_id:
        raise InvalidArgument.field("bank_account_id", f"{bank_account_id} is another treasury's")
    if on < row.valid_from or (row.valid_to is not None and on >= row.valid_to):
        raise domain.BankAccountNotUsable(
            f"bank account {bank_account_id} holds from {row.valid_from} to {row.valid_to or 'now'}, not on {on}",
            metadata={"bank_account_id": str(bank_account_id), "on": str(on)},
        )
    return row


def _check_end(row: Row[Any], called: str, valid_to: date) -> None:
    if row.valid_to is not None and row.valid_to <= valid_to:
        raise FailedPrecondition(f"the {called} ends on {row.valid_to} already; it cannot be made to hold longer")


def _columns(account: Account) -> dict[str, Any]:
    return {
        "holder_name": account.holder_name,
        "account_number": account.account_number,
        "number_kind": account.number_kind.value,
        "bic": account.bic,
        "clearing_code": account.clearing_code,
        "currency": account.currency,
    }
