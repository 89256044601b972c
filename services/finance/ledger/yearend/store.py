"""SQL of year-end closings."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text
from sqlmodel import Session

from chassis.money import checked
from services.finance.ledger.domain import Basis
from services.finance.ledger.yearend.domain import Balance, Result, YearClosing
from services.finance.ledger.yearend.tables import FiscalYearClosingRow

# Kept balances tell the functional currency's sums; lines in other currencies are told apart by whether they have a
# functional amount, which kept balances do not say.
_BALANCES = text(
    """
    with kept as (
        select basis, fund_code, account_code, currency, sum(debit_minor)::numeric - sum(credit_minor) as amount
        from account_balance
        where agency_id = :agency_id and fiscal_year <= :year
        group by 1, 2, 3, 4
    ), foreign_line as (
        select k.basis, k.fund_code, k.account_code, k.currency,
               sum(l.debit_minor)::numeric - sum(l.credit_minor) as amount,
               sum(l.functional_debit_minor)::numeric - sum(l.functional_credit_minor) as functional
        from kept k join journal_line l using (basis, fund_code, account_code, currency)
        where k.currency <> :functional_currency and l.agency_id = :agency_id and l.fiscal_year <= :year
        group by 1, 2, 3, 4, l.functional_debit_minor is null
    ), balance as (
        select basis, fund_code, account_code, currency, amount, amount as functional from kept
        where currency = :functional_currency
        union all
        select * from foreign_line
    )
    select b.*, (select a.kind from account a where a.code = b.account_code order by a.valid_from desc limit 1) as kind
    from balance b where b.amount <> 0 or b.functional <> 0
    order by 1, 2, 3, 4, b.functional is null
    """
)


def lock_year_end(session: Session, agency_id: UUID) -> None:
    """One closing of an agency at a time; taken before anything that posting locks."""
    session.execute(text("select pg_advisory_xact_lock(5107105, hashtext(:id))"), {"id": str(agency_id)})


def balances(session: Session, agency_id: UUID, year: int, functional_currency: str) -> list[Balance]:
    """What every account of an agency holds at the end of a year, closings of before included."""
    values = {"agency_id": agency_id, "year": year, "functional_currency": functional_currency}
    return [
        Balance(
            Basis(basis),
            fund_code,
            account_code,
            kind,
            currency,
            checked(int(amount)),
            None if functional is None else checked(int(functional)),
        )
        for basis, fund_code, account_code, currency, amount, functional, kind in session.execute(_BALANCES, values)
    ]


def add(session: Session, done: YearClosing) -> None:
    """Insert a closing."""
    session.add(
        FiscalYearClosingRow(
            fiscal_year_closing_id=done.fiscal_year_closing_id,
            agency_id=done.agency_id,
            year=done.year,
            results=[{**vars(one), "basis": one.basis.value} for one in done.results],
            journal_entry_ids=[str(entry_id) for entry_id in done.journal_entry_ids],
            person_id=done.person_id,
            recorded_at=done.recorded_at,
        )
    )
    session.flush()


def closings(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[YearClosing]:
    """An agency's closings, the newest first."""
    row = FiscalYearClosingRow
    query = (
        select(row)
        .where(row.agency_id == agency_id)
        .order_by(row.fiscal_year_closing_id.desc())  # type: ignore[attr-defined]  # a column
        .limit(limit)
    )
    if after is not None:
        query = query.where(row.fiscal_year_closing_id < after[0])
    return [
        YearClosing(
            found.fiscal_year_closing_id,
            found.agency_id,
            found.year,
            tuple(Result(**{**part, "basis": Basis(part["basis"])}) for part in found.results),
            tuple(UUID(entry_id) for entry_id in found.journal_entry_ids),
            found.person_id,
            found.recorded_at,
        )
        for found in session.scalars(query)
    ]
