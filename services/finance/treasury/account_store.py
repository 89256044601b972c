"""SQL of bank accounts and payee accounts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.treasury.domain import Account, NumberKind, Payee


def lock_accounts(session: Session, agency_id: UUID) -> None:
    """One writer of an agency's accounts at a time: overlaps of days are checked, not constrained."""
    session.execute(
        text("select pg_advisory_xact_lock(5107105, hashtext(cast(:agency_id as text)))"), {"agency_id": str(agency_id)}
    )


def overlapping_bank_accounts(
    session: Session, *, agency_id: UUID, account_code: str, account_number: str, currency: str, valid_from: date
) -> Sequence[Row[Any]]:
    """Accounts of the treasury with this number, or this cash account, that hold on or after `valid_from`.

    A cash account is also that of an account whose own it is to follow.
    """
    return session.execute(
        text(
            """
            select * from bank_account
            where agency_id = :agency_id and (valid_to is null or valid_to > :valid_from)
              and (:account_code = any (account_heirs(account_code, valid_from, valid_to))
                   or account_code = any (account_heirs(:account_code, :valid_from, null))
                   or account_number = :account_number and currency = :currency)
            order by bank_account_id
            """
        ),
        {
            "agency_id": agency_id,
            "account_code": account_code,
            "account_number": account_number,
            "currency": currency,
            "valid_from": valid_from,
        },
    ).all()


def bank_account_by_number(session: Session, agency_id: UUID, account_number: str, on: date) -> Sequence[Row[Any]]:
    """The treasury's accounts with this number: those that hold on a day first. Its currency may be one of several."""
    return session.execute(
        text(
            """
            select * from bank_account where agency_id = :agency_id and account_number = :account_number
            order by (valid_from <= :on and (valid_to is null or :on < valid_to)) desc, valid_from desc
            """
        ),
        {"agency_id": agency_id, "account_number": account_number, "on": on},
    ).all()


@dataclass(frozen=True)
class Cash:
    """The cash account of a bank account: its code on a day, and every code that it has, one after the other.

    When an account of the chart ends, its default successor mirrors the bank account from that day on, and what it held
    goes over (classification/carryover/).
    """

    code: str
    codes: tuple[str, ...]


def cash(session: Session, row: Row[Any], on: date) -> Cash:
    """The cash account of a bank account's row on a day."""
    found = session.execute(
        text(
            "select carried_code('ACCOUNT', :code, :since, :on_day) as code,"
            " account_heirs(:code, :since, cast(:until as date)) as codes"
        ),
        {"code": row.account_code, "since": row.valid_from, "until": row.valid_to, "on_day": on},
    ).one()
    return Cash(found.code, tuple(found.codes))


def cash_account_kind(session: Session, code: str, on: date) -> str | None:
    """The kind of a postable account of the chart on a day; None when there is none."""
    return session.execute(
        text(
            "select kind from account where code = :code and postable and valid_from <= :on"
            " and (valid_to is null or :on < valid_to)"
        ),
        {"code": code, "on": on},
    ).scalar()


def approved_overlapping(session: Session, row: Row[Any]) -> Sequence[Row[Any]]:
    """The creditor's other approved accounts that hold on or after the first day of `row`, locked."""
    return session.execute(
        text(
            """
            select * from payee_account
            where agency_id = :agency_id and creditor = :creditor and currency = :currency and status = 'APPROVED'
              and (valid_to is null or valid_to > :valid_from) and payee_account_id <> :payee_account_id
            order by payee_account_id for update
            """
        ),
        dict(row._mapping),
    ).all()


def payees(
    session: Session, wanted: Collection[tuple[UUID, str]], *, currency: str, on: date
) -> dict[tuple[UUID, str], Payee]:
    """For (agency, creditor): the approved account that holds on a day."""
    pairs = sorted(set(wanted), key=lambda pair: (str(pair[0]), pair[1]))
    rows = session.execute(
        text(
            """
            select p.* from payee_account p
            join unnest(cast(:agencies as uuid[]), cast(:creditors as text[])) as w (agency_id, creditor)
                 using (agency_id, creditor)
            where p.status = 'APPROVED' and p.currency = :currency and p.valid_from <= :on
              and (p.valid_to is null or :on < p.valid_to)
            order by p.payee_account_id
            """
        ),
        {
            "agencies": [pair[0] for pair in pairs],
            "creditors": [pair[1] for pair in pairs],
            "currency": currency,
            "on": on,
        },
    )
    return {(row.agency_id, row.creditor): payee(row) for row in rows}


def payee_accounts(session: Session, payee_account_ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Payee accounts by their ids, those that the caller sees."""
    rows = session.execute(
        text("select * from payee_account where payee_account_id = any (cast(:ids as uuid[]))"),
        {"ids": list(payee_account_ids)},
    )
    return {row.payee_account_id: row for row in rows}


def payee(row: Row[Any]) -> Payee:
    """A payee account's row as a payee."""
    return Payee(row.payee_account_id, account(row))


def account(row: Row[Any]) -> Account:
    """What a row of either table says of the account at the bank."""
    return Account(
        row.holder_name, row.account_number, NumberKind(row.number_kind), row.bic, row.clearing_code, row.currency
    )
