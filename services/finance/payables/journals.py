"""Journal entries of payables and payments (domain rules §2, the table of movements). Agency's and treasury's legs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.ids import new_id
from chassis.money import Money, allocate
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.classification.domain import Area
from services.finance.ledger import store as ledger_store
from services.finance.ledger.domain import Basis, JournalEntry, Line, Posted, reversal
from services.finance.ledger.rates.domain import EXCHANGE_DIFFERENCE
from services.finance.payables import pack
from services.finance.payables.domain import Source, Treatment

# What is kept as penalties for late delivery is revenue on both bases: earned at the order, realised at the debit.
PENALTY_LO, PENALTY_LRA = "REV-PENALTY-LO", "REV-PENALTY"


@dataclass(frozen=True)
class Tag:
    """What ties a journal line to the budget: line, fund, expenditure account, document line, movement."""

    budget_line_id: UUID
    fund_code: str
    account_code: str
    currency: str
    document_line_id: UUID
    funds_movement_id: UUID | None = None


def debit(basis: Basis, account: str, amount: int, tag: Tag, foreign: Money | None = None) -> Line:
    """A debit on `tag`; a negative amount is a credit. `foreign` is the same amount as the creditor has it."""
    if foreign is not None and foreign.minor:
        return Line(
            basis,
            tag.fund_code,
            account,
            max(foreign.minor, 0),
            max(-foreign.minor, 0),
            foreign.currency,
            abs(amount),
            budget_line_id=tag.budget_line_id,
            funds_movement_id=tag.funds_movement_id,
            document_line_id=tag.document_line_id,
            functional_currency=tag.currency,
        )
    return Line(
        basis,
        tag.fund_code,
        account,
        max(amount, 0),
        max(-amount, 0),
        tag.currency,
        budget_line_id=tag.budget_line_id,
        funds_movement_id=tag.funds_movement_id,
        document_line_id=tag.document_line_id,
    )


def credit(basis: Basis, account: str, amount: int, tag: Tag, foreign: Money | None = None) -> Line:
    """A credit on `tag`; a negative amount is a debit."""
    return debit(basis, account, -amount, tag, None if foreign is None else -foreign)


def entry(
    agency_id: UUID,
    effective_on: date,
    description: str,
    source_kind: str,
    source_id: UUID,
    lines: Sequence[Line],
    *,
    person_id: UUID | None,
    area: Area = Area.PAYABLES,
) -> JournalEntry:
    """An entry of a document."""
    return JournalEntry(
        journal_entry_id=new_id(),
        agency_id=agency_id,
        effective_on=effective_on,
        accounting_on=None,
        description=description,
        source_kind=source_kind,
        source_id=source_id,
        lines=[line for line in lines if line.amount_minor],
        area=area,
        person_id=person_id,
    )


@dataclass(frozen=True)
class Accepted:
    """One accepted line for the journal."""

    tag: Tag
    treatment: Treatment
    amount: int
    # What the debt is in the order's own currency; goods and assets keep the amount of the books.
    foreign: Money | None = None


def post_delivery(
    session: Session,
    *,
    agency_id: UUID,
    receipt_id: UUID,
    receipt_number: str,
    accepted_on: date,
    lines: Sequence[Accepted],
) -> Posted:
    """Dr EXP, INV or FA / Cr GRNI at the order's price: the debt exists from acceptance on."""
    accounts = _accounts(
        session, [("GRNI", ""), *((one.treatment.value, one.tag.account_code) for one in lines)], accepted_on
    )
    made = []
    for one in lines:
        account = accounts[one.treatment.value, one.tag.account_code]
        made += [
            debit(Basis.ACCRUAL, account, one.amount, one.tag),
            credit(Basis.ACCRUAL, accounts["GRNI", ""], one.amount, one.tag, one.foreign),
        ]
    return post_one(
        session,
        entry(
            agency_id,
            accepted_on,
            f"Accepted: {receipt_number}",
            "GOODS_RECEIPT",
            receipt_id,
            made,
            person_id=None,
        ),
    )


@dataclass(frozen=True)
class Claimed:
    """One approved invoice line for the journal: claim = cleared + variance."""

    tag: Tag
    treatment: Treatment
    cleared: int
    variance: int
    # The same in the order's own currency: what is cleared, and the whole claim.
    foreign_cleared: Money | None = None
    foreign_claim: Money | None = None


def post_invoice(
    session: Session,
    *,
    agency_id: UUID,
    invoice_id: UUID,
    number: str,
    effective_on: date,
    lines: Sequence[Claimed],
    person_id: UUID,
) -> Posted:
    """Dr GRNI / Cr AP; a variance debits or credits what the goods became."""
    accounts = _accounts(
        session,
        [
            ("GRNI", ""),
            *(("AP", one.tag.account_code) for one in lines),
            *((one.treatment.value, one.tag.account_code) for one in lines if one.variance),
        ],
        effective_on,
    )
    made = []
    for one in lines:
        code = one.tag.account_code
        made.append(debit(Basis.ACCRUAL, accounts["GRNI", ""], one.cleared, one.tag, one.foreign_cleared))
        if one.variance:
            made.append(debit(Basis.ACCRUAL, accounts[one.treatment.value, code], one.variance, one.tag))
        claim = one.cleared + one.variance
        made.append(credit(Basis.ACCRUAL, accounts["AP", code], claim, one.tag, one.foreign_claim))
    return post_one(
        session,
        entry(agency_id, effective_on, f"Invoice {number}", "INVOICE", invoice_id, made, person_id=person_id),
    )


def post_stock(
    session: Session,
    *,
    agency_id: UUID,
    movement_id: UUID,
    description: str,
    effective_on: date,
    accounting_on: date,
    fund_code: str,
    expenditure_account_code: str,
    currency: str,
    value: int,
    source_kind: str,
) -> Posted:
    """Stock that left or changed its value: Dr INV / Cr EXP by `value` (an issue is negative: Dr EXP / Cr INV)."""
    accounts = _accounts(session, [("INV", expenditure_account_code), ("EXP", expenditure_account_code)], effective_on)
    into, out_of = accounts["INV", expenditure_account_code], accounts["EXP", expenditure_account_code]
    lines = [
        Line(Basis.ACCRUAL, fund_code, into, max(value, 0), max(-value, 0), currency),
        Line(Basis.ACCRUAL, fund_code, out_of, max(-value, 0), max(value, 0), currency),
    ]
    made = JournalEntry(
        journal_entry_id=new_id(),
        agency_id=agency_id,
        effective_on=effective_on,
        accounting_on=accounting_on,
        description=description,
        source_kind=source_kind,
        source_id=movement_id,
        lines=lines,
        area=Area.STOCK,
    )
    return post_one(session, made)


@dataclass(frozen=True)
class Owed:
    """One part of a payable for the payment's journals."""

    tag: Tag
    source: Source
    amount: int
    foreign: Money | None = None

    @property
    def role(self) -> tuple[str, str]:
        """The account role that the order debits."""
        return (self.source.role, self.tag.account_code)


@dataclass(frozen=True)
class OrderEntries:
    """The two legs of a payment order."""

    agency: Posted
    treasury: Posted


def post_order(
    session: Session,
    *,
    agency_id: UUID,
    treasury_agency_id: UUID,
    payment_order_id: UUID,
    issued_on: date,
    parts: Sequence[Owed],
    cash: Sequence[tuple[str, str, int]],
    currency: str,
    withheld: Mapping[str, int],
    penalties: Mapping[str, int],
    person_id: UUID,
) -> OrderEntries:
    """A Dr AP / Cr RK-A gross; T Dr RK-T gross / Cr TRANSIT net, WHT what is withheld for others, penalties by fund.

    `cash` is what moves no budget line, as (role, fund, amount): A Dr IMPREST for an imprest, Dr WHT for a remittance.
    An agency that is its own treasury is one entity: one entry without the inter-entity pair, which is both legs.
    """
    roles = {code: pack.withholding_role(code) for code in withheld}
    accounts = _accounts(
        session,
        [
            *(part.role for part in parts),
            *((role, "") for role, _, _ in cash),
            ("RK-A", ""),
            ("RK-T", ""),
            ("TRANSIT", ""),
            *((role, "") for role in roles.values()),
            *([(PENALTY_LO, "")] if penalties else []),
        ],
        issued_on,
    )
    gross = _by_fund(
        [*((part.tag.fund_code, part.amount) for part in parts), *((fund, amount) for _, fund, amount in cash)]
    )
    mine = [debit(Basis.ACCRUAL, accounts[part.role], part.amount, part.tag, part.foreign) for part in parts]
    mine += [Line(Basis.ACCRUAL, fund, accounts[role, ""], amount, 0, currency) for role, fund, amount in cash]
    theirs = mine
    if treasury_agency_id != agency_id:
        mine += [
            Line(
                Basis.ACCRUAL, fund, accounts["RK-A", ""], 0, amount, currency, counterpart_agency_id=treasury_agency_id
            )
            for fund, amount in gross.items()
        ]
        theirs = [
            Line(Basis.ACCRUAL, fund, accounts["RK-T", ""], amount, 0, currency, counterpart_agency_id=agency_id)
            for fund, amount in gross.items()
        ]
    net = dict(gross)
    for code, shares in withheld_by_fund(gross, withheld).items():
        for fund, share in shares.items():
            net[fund] -= share
            if share:
                theirs.append(Line(Basis.ACCRUAL, fund, accounts[roles[code], ""], 0, share, currency))
    for fund, kept in penalties.items():
        net[fund] -= kept
        theirs.append(Line(Basis.ACCRUAL, fund, accounts[PENALTY_LO, ""], 0, kept, currency))
    theirs += [
        Line(Basis.ACCRUAL, fund, accounts["TRANSIT", ""], 0, amount, currency)
        for fund, amount in net.items()
        if amount
    ]

    def post(entity_id: UUID, lines: list[Line]) -> Posted:
        return post_one(
            session,
            entry(entity_id, issued_on, "Payment order", "PAYMENT_ORDER", payment_order_id, lines, person_id=person_id),
        )

    agency = post(agency_id, mine)
    return OrderEntries(agency, agency if theirs is mine else post(treasury_agency_id, theirs))


def withheld_by_fund(gross: Mapping[str, int], withheld: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """What one payment withholds by code, shared over its funds by their gross amounts (domain rules §8)."""
    funds = sorted(gross)
    weights = [gross[fund] for fund in funds]
    return {code: dict(zip(funds, allocate(amount, weights), strict=True)) for code, amount in sorted(withheld.items())}


def post_debit(
    session: Session,
    *,
    agency_id: UUID,
    treasury_agency_id: UUID,
    payment_order_id: UUID,
    order_number: str,
    value_date: date,
    parts: Sequence[Owed],
    currency: str,
    net_by_fund: Mapping[str, int],
    person_id: UUID,
    cash_account: str | None = None,
    differences: Mapping[str, int] | None = None,
    foreign_cash: Money | None = None,
    advanced: Sequence[tuple[Owed, int]] = (),
) -> Posted | None:
    """T Dr TRANSIT / Cr CASH net; BUDGET A Dr BEL / Cr SAL gross, on each line's own expenditure code; the latter.

    None when the payment moves no budget line (cash of an imprest). `differences`: what left beyond the net by fund
    (below zero: what did not), for the rate was another one; A Dr FXD / Cr RK-A, T Dr RK-T, and CASH has it in it.
    `foreign_cash` is what left an account in the creditor's own currency. `advanced` is the part of the differences
    that belongs to advances: A Dr ADV instead of FXD, since an advance stands at what was paid for it. An agency that
    is its own treasury has no pair with itself: its difference stands in the entry of the cash.
    """
    differences = differences or {}
    accounts = _accounts(
        session,
        [("TRANSIT", ""), ("CASH", ""), ("SAL", ""), *(("BEL", part.tag.account_code) for part in parts)],
        value_date,
    )
    text = f"Payment order {order_number} debited"
    cash, account = [], cash_account or accounts["CASH", ""]
    funds = sorted(net_by_fund.items())
    own = [None] * len(funds) if foreign_cash is None else foreign_cash.allocate([amount for _, amount in funds])
    for (fund, amount), share in zip(funds, own, strict=True):
        left = amount + differences.get(fund, 0)
        cash += [
            Line(Basis.ACCRUAL, fund, accounts["TRANSIT", ""], amount, 0, currency),
            Line(Basis.ACCRUAL, fund, account, 0, left, currency)
            if share is None
            else Line(Basis.ACCRUAL, fund, account, 0, share.minor, share.currency, left),
        ]
    borne = exchange_lines(session, differences, "RK-A", treasury_agency_id, currency, value_date)
    if advanced:
        borne = _of_advances(session, borne, advanced, currency, value_date)
    if treasury_agency_id == agency_id:
        cash += [line for line in borne if line.counterpart_agency_id is None]
        borne = []
    cash += exchange_lines(session, differences, "RK-T", agency_id, currency, value_date) if borne else []
    made = entry(treasury_agency_id, value_date, text, "PAYMENT_ORDER", payment_order_id, cash, person_id=person_id)
    if made.lines:
        post_one(session, made)
    if not parts:
        return None
    if borne:
        what = f"{text}: exchange difference"
        difference = entry(
            agency_id, value_date, what, EXCHANGE_DIFFERENCE, payment_order_id, borne, person_id=person_id
        )
        post_one(session, difference)
    realised = [debit(Basis.BUDGET, accounts["BEL", part.tag.account_code], part.amount, part.tag) for part in parts]
    realised += [
        Line(Basis.BUDGET, fund, accounts["SAL", ""], 0, amount, currency)
        for fund, amount in _by_fund((part.tag.fund_code, part.amount) for part in parts).items()
    ]
    return post_one(
        session,
        entry(agency_id, value_date, text, "PAYMENT_ORDER", payment_order_id, realised, person_id=person_id),
    )


def _of_advances(
    session: Session, borne: Sequence[Line], advanced: Sequence[tuple[Owed, int]], currency: str, on: date
) -> list[Line]:
    """`borne` with the advances' part of each fund's difference on their own account instead of FXD."""
    accounts = _accounts(session, [("FXD", ""), *(one.role for one, _ in advanced)], on)
    rest = _by_fund((one.tag.fund_code, -more) for one, more in advanced)
    made = [line for line in borne if line.account_code != accounts["FXD", ""]]
    for line in borne:
        if line.account_code == accounts["FXD", ""]:
            left = line.debit_minor - line.credit_minor + rest.pop(line.fund_code, 0)
            if left:
                made.append(
                    Line(Basis.ACCRUAL, line.fund_code, line.account_code, max(left, 0), max(-left, 0), currency)
                )
    # A fund whose differences cancel out has no line; what advances took is then what others gave.
    made += [
        Line(Basis.ACCRUAL, fund, accounts["FXD", ""], max(left, 0), max(-left, 0), currency)
        for fund, left in rest.items()
        if left
    ]
    return made + [debit(Basis.ACCRUAL, accounts[one.role], more, one.tag) for one, more in advanced]


def exchange_lines(
    session: Session, differences: Mapping[str, int], pair: str, counterpart: UUID, currency: str, on: date
) -> list[Line]:
    """The inter-entity leg of exchange differences by fund; in the agency's books with FXD, which bears them."""
    if not any(differences.values()):
        return []
    accounts = _accounts(session, [(pair, ""), ("FXD", "")], on)
    made = []
    for fund, amount in differences.items():
        owed, gain = (amount, 0) if amount > 0 else (0, -amount)
        if not amount:
            continue
        # The treasury's claim on the agency grows by what left, the agency's debt to it likewise.
        mine, other = ((owed, gain), None) if pair == "RK-T" else ((gain, owed), (owed, gain))
        made.append(Line(Basis.ACCRUAL, fund, accounts[pair, ""], *mine, currency, counterpart_agency_id=counterpart))
        if other is not None:
            made.append(Line(Basis.ACCRUAL, fund, accounts["FXD", ""], *other, currency))
    return made


def post_reversal(
    session: Session,
    *,
    entry_ids: Sequence[UUID],
    rejected_on: date,
    description: str,
    person_id: UUID,
) -> list[Posted]:
    """The mirror of a rejected or stopped order's entries: turnover shows both (domain rules §10)."""
    posted = []
    for stored in ledger_store.entries(session, entry_ids):
        mirrored = reversal(
            stored.entry,
            journal_entry_id=new_id(),
            effective_on=rejected_on,
            description=description,
        )
        posted.append(post_one(session, mirrored))
    return posted


def net_by_fund(session: Session, treasury_entry_id: UUID, transit: str) -> dict[str, int]:
    """What of an order is in transit, by fund: the credit of its treasury leg."""
    (stored,) = ledger_store.entries(session, [treasury_entry_id])
    return _by_fund(
        (line.fund_code, line.credit_minor)
        for line in stored.entry.lines
        if line.account_code == transit and line.credit_minor
    )


def transit_account(session: Session, on: date) -> str:
    """The account of payments issued and not debited."""
    return mapping.account_for(session, "TRANSIT", on=on)


def _by_fund(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for fund, amount in amounts:
        sums[fund] = sums.get(fund, 0) + amount
    return dict(sorted(sums.items()))


def _accounts(session: Session, wanted: Iterable[tuple[str, str]], on: date) -> dict[tuple[str, str], str]:
    return mapping.accounts_for(session, list(wanted), on=on)
