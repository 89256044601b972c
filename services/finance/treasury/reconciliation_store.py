"""SQL of the reconciliation: what the books and the bank say of one account, and what is on one side only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.treasury import account_store

_BOOKS = """
    select e.journal_entry_id, e.accounting_on, e.description,
           sum(l.debit_minor - l.credit_minor)::bigint as signed_minor
    from journal_line l join journal_entry e using (journal_entry_id)
    where l.agency_id = :agency_id and l.account_code = any (cast(:account_codes as text[]))
      and l.basis = 'ACCRUAL' and l.currency = :currency and e.accounting_on <= :as_of
    group by e.journal_entry_id, e.accounting_on, e.description
"""
_STATED = """
    select b.*, case direction when 'DEBIT' then -amount_minor else amount_minor end as signed_minor
    from bank_entry b join bank_statement s using (bank_statement_id)
    where b.bank_account_id = :bank_account_id and s.closed_on <= :as_of
"""
# An entry of the books and one of the bank are twins; each side alone is what has no twin on the other.
_BOOKS_ONLY = f"""
    select b.* from ({_BOOKS}) b
    where b.signed_minor <> 0
      and not exists (select 1 from ({_STATED}) s where s.journal_entry_id = b.journal_entry_id)
"""  # noqa: S608
_STATED_ONLY = f"""
    select s.* from ({_STATED}) s
    where not exists (select 1 from ({_BOOKS}) b where b.journal_entry_id = s.journal_entry_id)
"""  # noqa: S608


def _given(session: Session, account: Row[Any], as_of: date) -> dict[str, Any]:
    return {
        "agency_id": account.agency_id,
        "account_codes": list(account_store.cash(session, account, as_of).codes),
        "currency": account.currency,
        "bank_account_id": account.bank_account_id,
        "as_of": as_of,
    }


def sums(session: Session, account: Row[Any], as_of: date) -> Row[Any]:
    """ledger, in_books_only, on_statement_only with their counts, in minor units."""
    return session.execute(
        text(
            f"""
            select coalesce((select sum(signed_minor) from ({_BOOKS}) b), 0)::bigint as ledger,
                   coalesce(o.total, 0)::bigint as in_books_only, o.count as books_count,
                   coalesce(u.total, 0)::bigint as on_statement_only, u.count as statement_count
            from (select sum(signed_minor) as total, count(*) as count from ({_BOOKS_ONLY}) x) o,
                 (select sum(signed_minor) as total, count(*) as count from ({_STATED_ONLY}) y) u
            """  # noqa: S608
        ),
        _given(session, account, as_of),
    ).one()


def items(session: Session, account: Row[Any], as_of: date, *, limit: int) -> Sequence[Row[Any]]:
    """The oldest of what is on one side only."""
    return session.execute(
        text(
            f"""
            select null::uuid as bank_entry_id, journal_entry_id, accounting_on as day, signed_minor, description
            from ({_BOOKS_ONLY}) x
            union all
            select bank_entry_id, null, booked_on, signed_minor, explanation from ({_STATED_ONLY}) y
            order by day, signed_minor limit :limit
            """  # noqa: S608
        ),
        {**_given(session, account, as_of), "limit": limit},
    ).all()


def first_and_last_statement(session: Session, bank_account_id: UUID, as_of: date) -> tuple[Row[Any], Row[Any]] | None:
    """The account's first statement and its last one that closed by a day."""
    found = session.execute(
        text(
            "(select * from bank_statement where bank_account_id = :id and closed_on <= :as_of"
            " order by position limit 1) union all"
            " (select * from bank_statement where bank_account_id = :id and closed_on <= :as_of"
            " order by position desc limit 1)"
        ),
        {"id": bank_account_id, "as_of": as_of},
    ).all()
    return (found[0], found[-1]) if found else None
