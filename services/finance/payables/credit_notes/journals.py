"""Journal entries of credit notes and refunds (domain rules §2 and §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line, Posted
from services.finance.payables.domain import Treatment
from services.finance.payables.journals import Tag, credit, debit, entry

SOURCE_KIND = "CREDIT_NOTE"
# On a paid invoice: a receivable for goods or price, which moves no funds before the refund comes.
RECEIVABLE_KIND = "CREDIT_RECEIVABLE"


@dataclass(frozen=True)
class Credited:
    """One credited line for the journal: amount = cleared + variance. `went_back`: the goods left with it."""

    tag: Tag
    treatment: Treatment
    amount: int
    cleared: int
    variance: int
    went_back: Tag | None = None


def post_credit(
    session: Session,
    *,
    agency_id: UUID,
    credit_note_id: UUID,
    number: str,
    effective_on: date,
    lines: Sequence[Credited],
    receivable: bool,
    person_id: UUID,
) -> Posted:
    """Dr AP (paid: receivable) / Cr GRNI for what goes back, Cr the goods' account for the price; then Dr GRNI / Cr
    the goods' account where the goods left with the note."""
    claim = "REFUND" if receivable else "AP"
    accounts = mapping.accounts_for(
        session,
        [
            ("GRNI", ""),
            *((claim, _claimed_under(claim, one)) for one in lines),
            *((one.treatment.value, one.tag.account_code) for one in lines if one.variance or one.went_back),
        ],
        on=effective_on,
    )
    made: list[Line] = []
    for one in lines:
        made.append(debit(Basis.ACCRUAL, accounts[claim, _claimed_under(claim, one)], one.amount, one.tag))
        made.append(credit(Basis.ACCRUAL, accounts["GRNI", ""], one.cleared, one.tag))
        if one.variance:
            goods = accounts[one.treatment.value, one.tag.account_code]
            made.append(credit(Basis.ACCRUAL, goods, one.variance, one.tag))
        if one.went_back is not None:
            goods = accounts[one.treatment.value, one.tag.account_code]
            made.append(debit(Basis.ACCRUAL, accounts["GRNI", ""], one.cleared, one.went_back))
            made.append(credit(Basis.ACCRUAL, goods, one.cleared, one.went_back))
    return post_one(
        session,
        entry(
            agency_id,
            effective_on,
            f"Credit note {number}",
            RECEIVABLE_KIND if receivable else SOURCE_KIND,
            credit_note_id,
            made,
            person_id=person_id,
        ),
    )


def _claimed_under(claim: str, one: Credited) -> str:
    return one.tag.account_code if claim == "AP" else ""


@dataclass(frozen=True)
class Refunded:
    """One refunded line for the journal; its movement is known once the year is."""

    tag: Tag
    amount: int


def _by_fund(lines: Sequence[Refunded]) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for one in lines:
        sums[one.tag.fund_code] = sums.get(one.tag.fund_code, 0) + one.amount
    return sorted(sums.items())


def post_refund(
    session: Session,
    *,
    agency_id: UUID,
    treasury_agency_id: UUID,
    credit_note_id: UUID,
    number: str,
    refunded_on: date,
    lines: Sequence[Refunded],
    person_id: UUID,
) -> Posted:
    """ACCRUAL: T Dr CASH / Cr RK-T; A Dr RK-A / Cr receivable. The agency's entry, whose year decides the rest."""
    accounts = mapping.accounts_for(
        session, [(role, "") for role in ("CASH", "RK-T", "RK-A", "REFUND")], on=refunded_on
    )
    text, currency = f"Refund of credit note {number}", lines[0].tag.currency
    theirs: list[Line] = []
    mine: list[Line] = []
    for fund, amount in _by_fund(lines):
        theirs += [
            Line(Basis.ACCRUAL, fund, accounts["CASH", ""], amount, 0, currency),
            Line(Basis.ACCRUAL, fund, accounts["RK-T", ""], 0, amount, currency, counterpart_agency_id=agency_id),
        ]
        mine.append(
            Line(
                Basis.ACCRUAL, fund, accounts["RK-A", ""], amount, 0, currency, counterpart_agency_id=treasury_agency_id
            )
        )
    mine += [credit(Basis.ACCRUAL, accounts["REFUND", ""], one.amount, one.tag) for one in lines]
    post_one(
        session,
        entry(treasury_agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, theirs, person_id=person_id),
    )
    return post_one(
        session, entry(agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, mine, person_id=person_id)
    )


def post_realised(
    session: Session,
    *,
    agency_id: UUID,
    credit_note_id: UUID,
    number: str,
    refunded_on: date,
    lines: Sequence[Refunded],
    earlier_year: bool,
    person_id: UUID,
) -> Posted:
    """BUDGET: A Dr SAL / Cr BEL on each line's own code; of an earlier year's expenditure Cr other revenue."""
    wanted = [("REV-REFUND", "")] if earlier_year else [("BEL", one.tag.account_code) for one in lines]
    accounts = mapping.accounts_for(session, [("SAL", ""), *wanted], on=refunded_on)
    currency, made = lines[0].tag.currency, []
    for fund, amount in _by_fund(lines):
        made.append(Line(Basis.BUDGET, fund, accounts["SAL", ""], amount, 0, currency))
        if earlier_year:
            made.append(Line(Basis.BUDGET, fund, accounts["REV-REFUND", ""], 0, amount, currency))
    if not earlier_year:
        made += [credit(Basis.BUDGET, accounts["BEL", one.tag.account_code], one.amount, one.tag) for one in lines]
    text = f"Refund of credit note {number}"
    return post_one(
        session, entry(agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, made, person_id=person_id)
    )
