"""Journal entries of the bank's fees and interest: cash through the account's own cash account (domain rules §2).

Cash of an account in a foreign currency moves in it; expense, revenue and the budget are in the currency of the books,
at the rate of the value day (PSAP 02, transaction date).
"""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line, Posted
from services.finance.payables.journals import Tag, debit, entry
from services.finance.treasury.charges.domain import InBooks

SOURCE_KIND = "BANK_CHARGE"


def post_fee(
    session: Session, row: Row[Any], booked: InBooks, *, cash_account: str, spent: Tag, paid: Tag, person_id: UUID
) -> tuple[Posted, UUID]:
    """A Dr EXP / Cr RK-A, BUDGET Dr BEL / Cr SAL; T Dr RK-T / Cr CASH. The budget's entry, and the treasury's.

    One entity that is both has one ACCRUAL entry without the inter-entity pair.
    """
    code, fund, on = spent.account_code, spent.fund_code, row.value_on
    amount, currency = booked.amount.minor, booked.amount.currency
    found = mapping.accounts_for(
        session, [("EXP", code), ("BEL", code), ("SAL", ""), ("RK-A", ""), ("RK-T", "")], on=on
    )
    out = Line(Basis.ACCRUAL, fund, cash_account, 0, row.amount_minor, row.currency, booked.functional_minor)
    mine, theirs = [debit(Basis.ACCRUAL, found["EXP", code], amount, spent)], [out]
    if row.bearing_agency_id == row.agency_id:
        cash = _post(session, row, row.agency_id, [*mine, out], on, person_id)
    else:
        mine.append(_pair(found["RK-A", ""], fund, 0, amount, currency, row.agency_id))
        theirs.append(_pair(found["RK-T", ""], fund, amount, 0, currency, row.bearing_agency_id))
        _post(session, row, row.bearing_agency_id, mine, on, person_id)
        cash = _post(session, row, row.agency_id, theirs, on, person_id)
    realised = [
        debit(Basis.BUDGET, found["BEL", code], amount, paid),
        Line(Basis.BUDGET, fund, found["SAL", ""], 0, amount, currency),
    ]
    budget = _post(session, row, row.bearing_agency_id, realised, on, person_id)
    return budget, cash.entry.journal_entry_id


def post_interest(session: Session, row: Row[Any], booked: InBooks, *, cash_account: str, person_id: UUID) -> UUID:
    """T Dr CASH / Cr interest revenue, BUDGET T Dr SAL / Cr interest revenue. The entry that moved the cash."""
    fund, on, amount, currency = row.fund_code, row.value_on, booked.amount.minor, booked.amount.currency
    found = mapping.accounts_for(session, [("REV-BANK-INTEREST-LO", ""), ("REV-BANK-INTEREST", ""), ("SAL", "")], on=on)
    cash = [
        Line(Basis.ACCRUAL, fund, cash_account, row.amount_minor, 0, row.currency, booked.functional_minor),
        Line(Basis.ACCRUAL, fund, found["REV-BANK-INTEREST-LO", ""], 0, amount, currency),
    ]
    realised = [
        Line(Basis.BUDGET, fund, found["SAL", ""], amount, 0, currency),
        Line(Basis.BUDGET, fund, found["REV-BANK-INTEREST", ""], 0, amount, currency),
    ]
    posted = _post(session, row, row.agency_id, cash, on, person_id)
    _post(session, row, row.agency_id, realised, on, person_id)
    return posted.entry.journal_entry_id


def _pair(account: str, fund: str, taken: int, given: int, currency: str, counterpart: UUID) -> Line:
    return Line(Basis.ACCRUAL, fund, account, taken, given, currency, counterpart_agency_id=counterpart)


def _post(session: Session, row: Row[Any], entity_id: UUID, lines: list[Line], on: date, person_id: UUID) -> Posted:
    text = "Fee of the bank" if row.kind == "FEE" else "Interest of the bank"
    return post_one(session, entry(entity_id, on, text, SOURCE_KIND, row.bank_charge_id, lines, person_id=person_id))
