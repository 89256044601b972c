"""SQL of year-end closings."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from chassis.money import checked
from services.finance.ledger.domain import Basis
from services.finance.ledger.yearend import run_store
from services.finance.ledger.yearend.domain import Balance, OpenEstimate, Result, YearClosing
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
    -- What the account is in the year that is closed: by then the next year's chart may use its code for another thing.
    select b.*, (select a.kind from account a where a.code = b.account_code and a.valid_from <= :last_day
                 order by a.valid_from desc limit 1) as kind
    from balance b where b.amount <> 0 or b.functional <> 0
    order by 1, 2, 3, 4, b.functional is null
    """
)

# Budgets that outlive the year: what they were given, less what left in cash. F6 says that this is their BUDGET-basis
# expenditure, so the account of the appropriations and the funds ledger tell the same.
_OPEN_ESTIMATES = text(
    """
    select b.fund_code, b.currency,
           sum(m.authority_minor::numeric - m.paid_minor - m.advanced_minor) as amount
    from budget_line b join funds_movement m using (budget_line_id)
    where b.agency_id = :agency_id and b.fiscal_year <= :year and b.last_fiscal_year > :year
      and m.accounting_on <= :last_day
    group by 1, 2
    having sum(m.authority_minor::numeric - m.paid_minor - m.advanced_minor) <> 0
    order by 1, 2
    """
)


def balances(session: Session, agency_id: UUID, year: int, functional_currency: str, last_day: date) -> list[Balance]:
    """What every account of an agency holds at the end of a year, closings of before included."""
    values = {
        "agency_id": agency_id,
        "year": year,
        "functional_currency": functional_currency,
        "last_day": last_day,
    }
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


def open_estimates(session: Session, agency_id: UUID, year: int, last_day: date) -> list[OpenEstimate]:
    """What of an agency's budgets that outlive a year is open on its last day, by fund and currency."""
    values = {"agency_id": agency_id, "year": year, "last_day": last_day}
    return [
        OpenEstimate(fund_code, currency, checked(int(amount)))
        for fund_code, currency, amount in session.execute(_OPEN_ESTIMATES, values)
    ]


def held_on(session: Session, agency_id: UUID, account_code: str, year: int) -> dict[tuple[str, str], int]:
    """What an account of the BUDGET basis holds at the end of a year, debits less credits, by fund and currency."""
    rows = session.execute(
        text(
            "select fund_code, currency, sum(debit_minor)::numeric - sum(credit_minor) from account_balance"
            " where agency_id = :agency_id and account_code = :account_code and basis = 'BUDGET'"
            " and fiscal_year <= :year group by 1, 2"
        ),
        {"agency_id": agency_id, "account_code": account_code, "year": year},
    )
    return {(fund_code, currency): checked(int(amount)) for fund_code, currency, amount in rows}


def add(session: Session, done: YearClosing) -> None:
    """Insert a closing."""
    run_store.insert(
        session,
        FiscalYearClosingRow,
        done,
        results=[{**vars(one), "basis": one.basis.value} for one in done.results],
        open_estimates=[vars(one) for one in done.open_estimates],
    )


def closings(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[YearClosing]:
    """An agency's closings, the newest first."""
    return [
        YearClosing(
            **run,
            results=tuple(Result(**{**part, "basis": Basis(part["basis"])}) for part in row.results),
            open_estimates=tuple(OpenEstimate(**part) for part in row.open_estimates),
        )
        for row, run in run_store.newest(session, FiscalYearClosingRow, agency_id, after=after, limit=limit)
    ]
