"""Journal entries of credit notes and refunds (domain rules §2 and §3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money, allocate
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line, Posted
from services.finance.ledger.rates.domain import EXCHANGE_DIFFERENCE
from services.finance.payables import pack
from services.finance.payables.credit_notes.domain import CreditLine
from services.finance.payables.credit_notes.exchange.domain import InBooks
from services.finance.payables.credit_notes.withholding.store import Correction
from services.finance.payables.domain import Treatment
from services.finance.payables.journals import Tag, credit, debit, entry, exchange_lines

SOURCE_KIND = "CREDIT_NOTE"
# On a paid invoice: a receivable for goods or price, which moves no funds before the refund comes.
RECEIVABLE_KIND = "CREDIT_RECEIVABLE"


@dataclass(frozen=True)
class Credited:
    """One credited line for the journal, with what it is in the books. `went_back`: the goods left with it."""

    tag: Tag
    treatment: Treatment
    line: CreditLine
    books: InBooks
    went_back: Tag | None = None

    @property
    def gained(self) -> int:
        """Cr FXD."""
        return self.books.gained(leaves=self.went_back is not None)


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
    the goods' account where the goods left with the note. In a foreign currency Cr FXD (a loss: Dr) by what the claim
    stands at beyond what the goods were recorded at; the budget line bears it, so the line names it."""
    claim = "REFUND" if receivable else "AP"
    accounts = mapping.accounts_for(
        session,
        [
            ("GRNI", ""),
            *((claim, _claimed_under(claim, one)) for one in lines),
            *((one.treatment.value, one.tag.account_code) for one in lines if one.books.variance_cost or one.went_back),
            *(("FXD", "") for one in lines if one.gained),
        ],
        on=effective_on,
    )
    made: list[Line] = []
    for one in lines:
        books, cleared = one.books, one.books.own(one.line.cleared)
        claimed = accounts[claim, _claimed_under(claim, one)]
        made.append(debit(Basis.ACCRUAL, claimed, books.carried, one.tag, books.own(one.line.amount)))
        made.append(credit(Basis.ACCRUAL, accounts["GRNI", ""], books.cleared, one.tag, cleared))
        if books.variance_cost:
            goods = accounts[one.treatment.value, one.tag.account_code]
            made.append(credit(Basis.ACCRUAL, goods, books.variance_cost, one.tag))
        if one.went_back is not None:
            goods = accounts[one.treatment.value, one.tag.account_code]
            made.append(debit(Basis.ACCRUAL, accounts["GRNI", ""], books.cleared, one.went_back, cleared))
            made.append(credit(Basis.ACCRUAL, goods, books.cost.cleared, one.went_back))
        if one.gained:
            made.append(credit(Basis.ACCRUAL, accounts["FXD", ""], one.gained, one.went_back or one.tag))
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
    """One refunded line for the journal; its movement is known once the year is.

    `spent` is what makes its expenditure less, `revenue` what came beyond it. `carried` is what the receivable stood
    at, `own` what it was in the creditor's currency when that is not the books'.
    """

    tag: Tag
    spent: int
    revenue: int = 0
    carried: int | None = None
    own: Money | None = None

    @property
    def worth(self) -> int:
        """What came."""
        return self.spent + self.revenue

    @property
    def receivable(self) -> int:
        """What is owed no more."""
        return self.worth if self.carried is None else self.carried


def _by_fund(lines: Sequence[Refunded], amount: Callable[[Refunded], int]) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for one in lines:
        sums[one.tag.fund_code] = sums.get(one.tag.fund_code, 0) + amount(one)
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
    withheld: Sequence[Correction] = (),
    foreign_cash: Money | None = None,
) -> Posted:
    """ACCRUAL: T Dr CASH, WHT what is withheld no more / Cr RK-T; A Dr RK-A / Cr receivable. The agency's entry, whose
    year decides the rest.

    What came beyond what the receivable stood at is an exchange difference: A Dr RK-A / Cr FXD. `foreign_cash`: it came
    into an account in the creditor's own currency. An agency that is its own treasury has no pair with itself.
    """
    roles = {one.withholding_code: pack.withholding_role(one.withholding_code) for one in withheld}
    accounts = mapping.accounts_for(
        session, [(role, "") for role in ("CASH", "RK-T", "RK-A", "REFUND", "FXD", *roles.values())], on=refunded_on
    )
    text, currency = f"Refund of credit note {number}", lines[0].tag.currency
    funds = _by_fund(lines, lambda one: one.worth)
    theirs = _cash(accounts["CASH", ""], funds, withheld, currency, foreign_cash)
    theirs += [
        Line(Basis.ACCRUAL, one.fund_code, accounts[roles[one.withholding_code], ""], one.amount, 0, currency)
        for one in withheld
    ]
    mine = [credit(Basis.ACCRUAL, accounts["REFUND", ""], one.receivable, one.tag, one.own) for one in lines]
    owed = dict(_by_fund(lines, lambda one: one.receivable))
    lost = {fund: owed[fund] - amount for fund, amount in funds}
    itself = treasury_agency_id == agency_id
    if itself:
        mine += theirs
        mine += [
            Line(Basis.ACCRUAL, fund, accounts["FXD", ""], max(less, 0), max(-less, 0), currency)
            for fund, less in lost.items()
            if less
        ]
    else:
        theirs += [
            Line(Basis.ACCRUAL, fund, accounts["RK-T", ""], 0, amount, currency, counterpart_agency_id=agency_id)
            for fund, amount in funds
        ]
        mine += [
            Line(
                Basis.ACCRUAL, fund, accounts["RK-A", ""], amount, 0, currency, counterpart_agency_id=treasury_agency_id
            )
            for fund, amount in owed.items()
        ]
        post_one(
            session,
            entry(treasury_agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, theirs, person_id=person_id),
        )
    posted = post_one(
        session, entry(agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, mine, person_id=person_id)
    )
    borne = [] if itself else exchange_lines(session, lost, "RK-A", treasury_agency_id, currency, refunded_on)
    if borne:
        what = f"{text}: exchange difference"
        post_one(
            session,
            entry(agency_id, refunded_on, what, EXCHANGE_DIFFERENCE, credit_note_id, borne, person_id=person_id),
        )
    return posted


def _cash(
    account: str,
    funds: Sequence[tuple[str, int]],
    withheld: Sequence[Correction],
    currency: str,
    foreign_cash: Money | None,
) -> list[Line]:
    """What came by fund: what is refunded of it, without what was withheld."""
    came = {fund: amount - sum(one.amount for one in withheld if one.fund_code == fund) for fund, amount in funds}
    if foreign_cash is None:
        return [Line(Basis.ACCRUAL, fund, account, amount, 0, currency) for fund, amount in came.items()]
    own = allocate(foreign_cash.minor, list(came.values()))
    return [
        Line(Basis.ACCRUAL, fund, account, minor, 0, foreign_cash.currency, amount, functional_currency=currency)
        for (fund, amount), minor in zip(came.items(), own, strict=True)
    ]


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
    """BUDGET: A Dr SAL / Cr BEL on each line's own code; of an earlier year's expenditure, and beyond what the line has
    paid, Cr other revenue."""
    earned = dict(_by_fund(lines, lambda one: one.worth if earlier_year else one.revenue))
    wanted = [("REV-REFUND", "")] if any(earned.values()) else []
    if not earlier_year:
        wanted += [("BEL", one.tag.account_code) for one in lines]
    accounts = mapping.accounts_for(session, [("SAL", ""), *wanted], on=refunded_on)
    currency, made = lines[0].tag.currency, []
    for fund, amount in _by_fund(lines, lambda one: one.worth):
        made.append(Line(Basis.BUDGET, fund, accounts["SAL", ""], amount, 0, currency))
        if earned[fund]:
            made.append(Line(Basis.BUDGET, fund, accounts["REV-REFUND", ""], 0, earned[fund], currency))
    if not earlier_year:
        made += [credit(Basis.BUDGET, accounts["BEL", one.tag.account_code], one.spent, one.tag) for one in lines]
    text = f"Refund of credit note {number}"
    return post_one(
        session, entry(agency_id, refunded_on, text, SOURCE_KIND, credit_note_id, made, person_id=person_id)
    )
