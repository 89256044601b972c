"""Contracts paid by bills: register terms, prepay, bill, certify. What is owed becomes payables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import AlreadyExists, InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.billing import domain, events, exchange, journals, pack, store
from services.finance.billing.domain import BilledLine, BillStatus, ContractLine, Guarantee, InBooks, RetentionKind
from services.finance.billing.store import Obligation
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Key
from services.finance.budget.foreign.covering import cover
from services.finance.budget.foreign.held import ForeignActUnsupported
from services.finance.budget.store import exact
from services.finance.payables import invoice_store
from services.finance.payables.domain import Source, different_persons
from services.finance.payables.invoice_store import NewPayable, Part
from services.finance.payables.invoicing import EtagMismatch
from services.finance.payables.journals import Tag


class TermsKnown(AlreadyExists):
    """The contract has its terms."""

    reason = "CONTRACT_TERMS_KNOWN"


class BillKnown(AlreadyExists):
    """The contract has a bill of that number that was not rejected."""

    reason = "BILL_KNOWN"


@dataclass(frozen=True)
class NewTerms:
    """Terms to register."""

    agency_id: UUID
    contract_id: UUID
    supplier_id: UUID
    supplier_class: str
    retention_kind: RetentionKind
    signed_on: date
    maintenance_until: date
    tax_rate: Fraction


def register_terms(session: Session, new: NewTerms, *, person_id: UUID, at: datetime) -> UUID:
    """Take the lines and the price from the contract's obligation, the rates from the law of its day."""
    obligations = store.obligations(session, new.agency_id, new.contract_id)
    if not obligations:
        raise domain.ContractNotObligated(
            f"contract {new.contract_id} holds no funds in this agency: obligate it first (document kind CONTRACT)",
            metadata={"contract_id": str(new.contract_id)},
        )
    if new.maintenance_until < new.signed_on:
        raise InvalidArgument.field("contract_terms.maintenance_until", "before the day of signature")
    rule = pack.terms_rule(new.supplier_class, new.signed_on)
    withheld = new.retention_kind is RetentionKind.WITHHELD
    price, terms_id = total(one.price_minor for one in obligations), new_id()
    is_new = store.insert_once(
        session,
        "contract_terms",
        {
            "contract_terms_id": terms_id,
            "agency_id": new.agency_id,
            "contract_id": new.contract_id,
            "contract_number": obligations[0].contract_number,
            "supplier_id": new.supplier_id,
            "supplier_class": new.supplier_class,
            "retention_kind": new.retention_kind.value,
            "signed_on": new.signed_on,
            "maintenance_until": new.maintenance_until,
            "tax_rate": exact(new.tax_rate),
            "retention_rate": exact(rule.retention_rate if withheld else Fraction(0)),
            "currency": obligations[0].currency,
            "functional_currency": _other(obligations[0].functional_currency, obligations[0].currency),
            "price_minor": price,
            "prepayment_limit_minor": rule.prepayment_limit(price),
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    if not is_new:
        raise TermsKnown(f"contract {obligations[0].contract_number} has its terms already")
    _insert_lines(session, new.agency_id, new.contract_id, obligations)
    return terms_id


def locked_terms(session: Session, contract_id: UUID) -> Row[Any]:
    """The terms of a contract, locked, with what it obligates by now: a slice that its year's opening has bound since
    the terms were registered joins their lines and price. NOT_FOUND when the caller does not see the contract.

    What may be prepaid stays the share of the first price: of a contract of several years, of its first slice. It is
    read here and not told by the opening, which locks budget lines before it could lock terms; bills do it the other
    way round.
    """
    terms = store.lock_terms(session, contract_id)
    known = {line.document_line_id for line in store.lines(session, [contract_id])[contract_id]}
    obligations = store.obligations(session, terms.agency_id, contract_id)
    joining = [one for one in obligations if one.document_line_id not in known]
    if not joining:
        return terms
    for one in joining:
        if (one.currency, one.functional_currency) != (terms.currency, exchange.books_currency(terms)):
            raise ForeignActUnsupported(
                f"contract {terms.contract_number} is paid in {terms.currency} from budget lines in "
                f"{exchange.books_currency(terms)}, and line {one.document_line_id} is obligated in {one.currency} on "
                f"one in {one.functional_currency}: pay that line by acceptances and invoices",
                metadata={"currency": one.currency, "document_line_id": str(one.document_line_id)},
            )
    _insert_lines(session, terms.agency_id, contract_id, joining)
    store.add_to_price(session, contract_id, total(one.price_minor for one in joining))
    return store.lock_terms(session, contract_id)


def _insert_lines(session: Session, agency_id: UUID, contract_id: UUID, obligations: Sequence[Obligation]) -> None:
    store.insert(
        session,
        "contract_line",
        [
            {
                "contract_id": contract_id,
                "document_line_id": one.document_line_id,
                "agency_id": agency_id,
                "budget_line_id": one.budget_line_id,
                "price_minor": one.price_minor,
                "billed_minor": 0,
                "recovered_minor": 0,
                "retained_minor": 0,
            }
            for one in obligations
        ],
    )


@dataclass(frozen=True)
class NewPrepayment:
    """A prepayment to open."""

    agency_id: UUID
    contract_id: UUID
    amount: Money
    claimed_on: date
    guarantee_number: str
    guarantee_amount: Money
    guarantee_valid_until: date


def prepay(session: Session, new: NewPrepayment, *, person_id: UUID, at: datetime) -> UUID:
    """Open an advance as a payable; funds move when it is ordered (O -> S) and debited (S -> V)."""
    terms = _terms_of(session, new.contract_id, new.agency_id)
    _same_currency("prepayment.amount", new.amount, terms.currency)
    _same_currency("prepayment.guarantee_amount", new.guarantee_amount, terms.currency)
    domain.check_prepayment(
        new.amount.minor,
        store.prepaid_so_far(session, new.contract_id),
        limit=terms.prepayment_limit_minor,
        guarantee=Guarantee(new.guarantee_number, new.guarantee_amount.minor, new.guarantee_valid_until),
        claimed_on=new.claimed_on,
        currency=terms.currency,
    )
    lines = store.lines(session, [new.contract_id])[new.contract_id]
    if any(line.billed for line in lines):
        raise domain.PrepaymentExceeded(
            f"contract {terms.contract_number} has been billed; an advance is paid before delivery",
            metadata={"contract_id": str(new.contract_id)},
        )
    prepayment_id, payable_id = new_id(), new_id()
    shares = domain.prepayment_by_line(lines, new.amount.minor)
    advanced = [line for line in lines if line.document_line_id in shares]
    own = [shares[line.document_line_id] for line in advanced]
    worth = exchange.advance_worth(session, terms, own, on=new.claimed_on)
    parts = [_part(*one, terms) for one in zip(advanced, worth, own, strict=True)]
    _open(session, terms, Source.PREPAYMENT, payable_id, prepayment_id, parts, due_on=new.claimed_on)
    store.insert(
        session,
        "prepayment",
        [
            {
                "prepayment_id": prepayment_id,
                "agency_id": new.agency_id,
                "contract_id": new.contract_id,
                "currency": terms.currency,
                "amount_minor": new.amount.minor,
                "claimed_on": new.claimed_on,
                "guarantee_number": new.guarantee_number,
                "guarantee_minor": new.guarantee_amount.minor,
                "guarantee_valid_until": new.guarantee_valid_until,
                "payable_id": payable_id,
                "created_by_person_id": person_id,
                "created_at": at,
            }
        ],
    )
    store.touch_terms(session, new.contract_id)
    return prepayment_id


@dataclass(frozen=True)
class NewBill:
    """A bill to register: its lines are (contract line, gross)."""

    agency_id: UUID
    contract_id: UUID
    bill_number: str
    description: str
    billed_on: date
    final: bool
    lines: tuple[tuple[UUID, Money], ...]


def register_bill(session: Session, new: NewBill, *, person_id: UUID, at: datetime) -> UUID:
    """Register a bill; nothing is owed before another person certifies it."""
    terms = _terms_of(session, new.contract_id, new.agency_id)
    known = {line.document_line_id: line for line in store.lines(session, [new.contract_id])[new.contract_id]}
    domain.same_lines(known, [line_id for line_id, _ in new.lines])
    for nth, (line_id, gross) in enumerate(new.lines):
        _same_currency(f"bill.lines[{nth}].gross", gross, terms.currency)
        if gross.minor <= 0:
            raise InvalidArgument.field(f"bill.lines[{nth}].gross", "must be above zero")
        _billed(known[line_id], gross.minor, terms, final=new.final)
    bill_id = new_id()
    is_new = store.insert_once(
        session,
        "bill",
        {
            "bill_id": bill_id,
            "agency_id": new.agency_id,
            "contract_id": new.contract_id,
            "bill_number": new.bill_number,
            "description": new.description,
            "billed_on": new.billed_on,
            "final": new.final,
            "currency": terms.currency,
            "gross_minor": total(gross.minor for _, gross in new.lines),
            "status": BillStatus.REGISTERED.value,
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    if not is_new:
        raise BillKnown(
            f"contract {terms.contract_number} has a bill {new.bill_number} already: reject that one first, or "
            "give this one a number of its own",
            metadata={"contract_id": str(new.contract_id), "bill_number": new.bill_number},
        )
    store.insert(
        session,
        "bill_line",
        [
            {
                "bill_id": bill_id,
                "document_line_id": line_id,
                "agency_id": new.agency_id,
                "gross_minor": gross.minor,
                "recovered_minor": 0,
                "retained_minor": 0,
            }
            for line_id, gross in new.lines
        ],
    )
    approval.begin_on_lines(
        session,
        RoutedKind.BILL,
        bill_id,
        new.agency_id,
        amount=Money(total(gross.minor for _, gross in new.lines), terms.currency),
        budget_line_ids={known[line_id].budget_line_id for line_id, _ in new.lines},
        maker_person_id=person_id,
        at=at,
    )
    return bill_id


def certify(session: Session, bill_id: UUID, *, etag: str, certified_on: date, person_id: UUID, at: datetime) -> None:
    """The work is done: O -> E by what is claimed or retained, V -> P by what is recovered, journal, payables."""
    row = store.bill(session, bill_id)
    terms = store.lock_terms(session, row.contract_id)
    row = _undecided(session, bill_id, "certified")
    if etag and etag != str(row.version):
        raise EtagMismatch(f"bill {row.bill_number} has changed since you read it; read it again")
    different_persons(person_id, {f"registered bill {row.bill_number}": row.created_by_person_id}, "certify it")
    approval.passed(session, bill_id, f"bill {row.bill_number}", person_id=person_id, step="certify it")
    if certified_on < row.billed_on:
        raise InvalidArgument.field("certified_on", f"before the work of {row.billed_on}")
    known = {line.document_line_id: line for line in store.lines(session, [row.contract_id])[row.contract_id]}
    billed = [
        _billed(known[one.document_line_id], one.gross_minor, terms, final=row.final)
        for one in store.bill_lines(session, [bill_id])[bill_id]
    ]
    act = budget.begin(
        session,
        row.agency_id,
        Document(DocumentKind.BILL, bill_id, row.bill_number),
        effective_on=certified_on,
        budget_line_ids={one.line.budget_line_id for one in billed},
        document_line_ids={one.line.document_line_id for one in billed},
        currencies={terms.currency},
    )
    tagged, worth = [], []
    for one in billed:
        key = Key(one.line.document_line_id, one.line.budget_line_id)
        movement, in_books = exchange.certified(act, one, terms)
        line = act.lines[key.budget_line_id]
        tag = Tag(
            key.budget_line_id,
            line.fund_code,
            line.account_code,
            line.currency,
            key.document_line_id,
            movement.funds_movement_id,
        )
        tagged.append(journals.Billed(one, in_books, tag, terms.currency if exchange.is_foreign(terms) else None))
        worth.append(in_books)
        if row.final:
            act.release(Item(key.document_line_id, key.budget_line_id, final=True))
    cover(session, act, row.agency_id, on=certified_on, person_id=person_id)
    budget.check(session, act)
    posted = journals.post_bill(
        session,
        agency_id=row.agency_id,
        bill_id=bill_id,
        bill_number=row.bill_number,
        certified_on=certified_on,
        lines=tagged,
        person_id=person_id,
    )
    entry_id = posted.entry.journal_entry_id
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=certified_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=entry_id,
    )
    recovered = [one.recovered for one in worth] if exchange.is_foreign(terms) else None
    store.add_bill(session, row.contract_id, bill_id, billed, recovered)
    store.touch_terms(session, row.contract_id)
    store.update_bill(
        session,
        bill_id,
        status=BillStatus.CERTIFIED.value,
        certified_on=certified_on,
        decided_by_person_id=person_id,
        decided_at=at,
        journal_entry_id=entry_id,
        **_payables(session, terms, row, billed, worth, certified_on),
    )
    budget.tell_expended(session, act, row.agency_id)
    budget.tell_released(session, act, row.agency_id)
    budget.tell_revalued(session, act, row.agency_id)
    outbox.emit(
        session,
        events.BillCertified(
            bill_id,
            row.agency_id,
            row.contract_id,
            terms.supplier_id,
            certified_on,
            terms.currency,
            tuple(billed),
            row.final,
            row.version + 1,
        ),
    )


def reject(session: Session, bill_id: UUID, *, explanation: str, person_id: UUID, at: datetime) -> None:
    """Send a bill back that is not certified."""
    row = _undecided(session, bill_id, "sent back")
    different_persons(person_id, {f"registered bill {row.bill_number}": row.created_by_person_id}, "send it back")
    store.update_bill(
        session,
        bill_id,
        status=BillStatus.REJECTED.value,
        rejection_explanation=explanation,
        decided_by_person_id=person_id,
        decided_at=at,
    )
    approval.recall(session, bill_id)


# --- what the acts share -------------------------------------------------------------------------------------------


def _terms_of(session: Session, contract_id: UUID, agency_id: UUID) -> Row[Any]:
    terms = locked_terms(session, contract_id)
    if terms.agency_id != agency_id:
        raise InvalidArgument.field("agency_id", f"contract {terms.contract_number} is another agency's")
    return terms


def _undecided(session: Session, bill_id: UUID, becomes: str) -> Row[Any]:
    row = store.bill(session, bill_id, lock=True)
    if row.status != BillStatus.REGISTERED.value:
        raise domain.BillOutOfTurn(
            f"bill {row.bill_number} is {row.status}; only a REGISTERED one can be {becomes}",
            metadata={"status": row.status},
        )
    return row


def _billed(line: ContractLine, gross: int, terms: Row[Any], *, final: bool) -> BilledLine:
    return domain.billed(
        line, gross, retention_rate=Fraction(terms.retention_rate), final=final, currency=terms.currency
    )


def _same_currency(field: str, amount: Money, currency: str) -> None:
    if amount.currency != currency:
        raise InvalidArgument.field(field, f"in {amount.currency}; the contract is in {currency}")


def _other(currency: str, than: str) -> str | None:
    return currency if currency != than else None


def _part(line: ContractLine, worth: int, minor: int, terms: Row[Any]) -> Part:
    """A part of a payable: what it is in the books, and in the contract's currency when that is another one."""
    tax = domain.tax_part(worth, Fraction(terms.tax_rate))
    own = minor if exchange.is_foreign(terms) else None
    return Part(line.document_line_id, line.budget_line_id, worth, worth - tax, tax, own)


def _payables(
    session: Session,
    terms: Row[Any],
    bill: Row[Any],
    billed: Sequence[BilledLine],
    worth: Sequence[InBooks],
    certified_on: date,
) -> dict[str, UUID]:
    """Open what is claimed now, and what is retained until maintenance ends."""
    opened, both = {}, list(zip(billed, worth, strict=True))
    claims = [_part(one.line, books.claimed, one.claimed, terms) for one, books in both if one.claimed]
    if claims:
        opened["payable_id"] = new_id()
        _open(session, terms, Source.BILL, opened["payable_id"], bill.bill_id, claims, due_on=certified_on)
    kept = [_part(one.line, books.retained, one.retained, terms) for one, books in both if one.retained]
    if kept:
        opened["retention_payable_id"] = new_id()
        due_on = max(terms.maintenance_until, certified_on)
        _open(session, terms, Source.RETENTION, opened["retention_payable_id"], bill.bill_id, kept, due_on=due_on)
    return opened


def _open(
    session: Session,
    terms: Row[Any],
    source: Source,
    payable_id: UUID,
    document_id: UUID,
    parts: Sequence[Part],
    *,
    due_on: date,
) -> None:
    made = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id=payable_id,
            agency_id=terms.agency_id,
            source=source,
            source_document_id=document_id,
            source_document_number=terms.contract_number,
            purchase_order_id=None,
            creditor=str(terms.supplier_id),
            currency=exchange.books_currency(terms),
            foreign_currency=terms.currency if exchange.is_foreign(terms) else None,
            due_on=due_on,
            parts=tuple(parts),
            withholdings={},
            contract_id=terms.contract_id,
        ),
    )
    assert made, "a prepayment or bill opens each of its payables once: the contract's row is locked"
