"""The payment request: made (SPP), verified, authorised (SPM) or withdrawn; `payment_order` has what follows.

Domain rules §2 and §4. No two steps of one chain by one person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as ApprovalKind
from services.finance.budget import requests
from services.finance.budget.foreign import covering
from services.finance.classification.pack import fiscal_calendar
from services.finance.payables import domain, events, exchange_store, number_store, statements
from services.finance.payables import payment_store as store
from services.finance.payables.clocks import usecases as clocks
from services.finance.payables.clocks.domain import Outcome, Step
from services.finance.payables.domain import OutOfTurn, Source
from services.finance.payables.penalties import keeping
from services.finance.payables.statements import Statement


class PayableNotOpen(FailedPrecondition):
    """The payable is held by a payment request, or paid."""

    reason = "PAYABLE_NOT_OPEN"


class RetentionNotDue(FailedPrecondition):
    """What was retained of a bill is kept until maintenance ends."""

    reason = "RETENTION_NOT_DUE"


class PayablesDoNotBelongTogether(InvalidArgument):
    """One request pays one creditor, or one payroll run."""

    reason = "PAYABLES_DO_NOT_BELONG_TOGETHER"


@dataclass(frozen=True)
class NewRequest:
    """A request to make."""

    agency_id: UUID
    payable_ids: tuple[UUID, ...]
    requested_on: date
    description: str


def request_payment(session: Session, new: NewRequest, *, person_id: UUID, at: datetime) -> UUID:
    """SPP: hold open payables for one request, within the releases to date (F3)."""
    payables = store.lock_payables(session, new.payable_ids)
    _check_payables(payables, new)
    keeping.refuse_undecided(session, new.payable_ids)
    by_line = _by_line(session, new.payable_ids)
    requests.request(session, new.agency_id, by_line, on=fiscal_calendar().period_of(new.requested_on))
    request_id, currency = new_id(), payables[0].currency
    amount = total(row.amount_minor for row in payables)
    store.insert(
        session,
        "payment_request",
        {
            "payment_request_id": request_id,
            "agency_id": new.agency_id,
            "status": "REQUESTED",
            "currency": currency,
            "amount_minor": amount,
            "offset_minor": total(row.offset_minor for row in payables),
            "description": new.description,
            "requested_on": new.requested_on,
            "requested_by_person_id": person_id,
            "requested_at": at,
            "version": 1,
        },
    )
    clocks.begin(session, request_id, new.agency_id, Step.AUTHORISATION, on=at.date())
    for row in payables:
        store.insert(
            session,
            "payment_request_item",
            {
                "payment_request_id": request_id,
                "payable_id": row.payable_id,
                "agency_id": new.agency_id,
                "amount_minor": row.amount_minor,
            },
        )
    store.move_payables(session, new.payable_ids, "REQUESTED", request_id)
    if payables[0].foreign_currency is not None:
        exchange_store.note_requested(session, new.payable_ids)
    approval.begin_on_lines(
        session,
        ApprovalKind.PAYMENT_REQUEST,
        request_id,
        new.agency_id,
        amount=Money(amount, currency),
        budget_line_ids=set(by_line),
        maker_person_id=person_id,
        at=at,
        on=new.requested_on,
    )
    number_store.enqueue(
        session,
        "PAYMENT_REQUEST",
        entity_id=new.agency_id,
        year=fiscal_calendar().year_of(new.requested_on),
        document_id=request_id,
        paper_agency_id=new.agency_id,
    )
    outbox.emit(
        session,
        events.PaymentRequested(request_id, new.agency_id, currency, amount, store.items_of_payables(payables), 1),
    )
    return request_id


def verify(session: Session, payment_request_id: UUID, *, person_id: UUID, at: datetime) -> None:
    """The unit's verifier has seen the papers."""
    row = in_status(session, payment_request_id, "REQUESTED", "verified")
    domain.different_persons(person_id, people(session, row), "verify it")
    store.update_request(
        session, payment_request_id, status="VERIFIED", verified_by_person_id=person_id, verified_at=at
    )


def authorise(
    session: Session, payment_request_id: UUID, statement: Statement | None, *, person_id: UUID, at: datetime
) -> None:
    """SPM: the budget user authorises a verified request, with his statement where the law asks for it."""
    row = in_status(session, payment_request_id, "VERIFIED", "authorised")
    approval.require(session, payment_request_id, f"payment request {label(row)}")
    payable_ids = store.request_payables(session, [payment_request_id])[payment_request_id]
    covering.refuse_payment(session, row.agency_id, list(_by_line(session, payable_ids)))
    domain.different_persons(person_id, people(session, row), "authorise it")
    today = at.date()
    statements.check_authorisation(
        label(row), statement, statements.needed(today), requested_on=row.requested_on, today=today
    )
    store.update_request(
        session,
        payment_request_id,
        status="AUTHORISED",
        authorised_by_person_id=person_id,
        authorised_at=at,
        statement_signed_on=None if statement is None else statement.signed_on,
        statement_sha256=None if statement is None else statement.sha256,
    )
    clocks.end(session, payment_request_id, Outcome.DONE, on=today)
    clocks.begin(session, payment_request_id, row.agency_id, Step.ORDER, on=today)
    number_store.enqueue(
        session,
        "PAYMENT_AUTHORISATION",
        entity_id=row.agency_id,
        year=fiscal_calendar().year_of(row.requested_on),
        document_id=payment_request_id,
        paper_agency_id=row.agency_id,
    )
    outbox.emit(
        session,
        events.PaymentAuthorised(payment_request_id, row.agency_id, row.currency, row.amount_minor, row.version + 1),
    )


def withdraw(session: Session, payment_request_id: UUID, *, explanation: str, person_id: UUID, at: datetime) -> None:
    """Take a request back before an order: its payables are open again. Its number stays used."""
    row = _not_ordered(session, payment_request_id, "withdrawn")
    _take_back(session, row, Outcome.WITHDRAWN, explanation=explanation, person_id=person_id, at=at)


def send_back(session: Session, payment_request_id: UUID, *, explanation: str, person_id: UUID, at: datetime) -> None:
    """Send a request back to whoever made it, by another person who had it to verify, authorise or order."""
    row = _not_ordered(session, payment_request_id, "sent back")
    makers = {f"requested payment request {label(row)}": row.requested_by_person_id, **holders(session, row)}
    domain.different_persons(person_id, makers, "send it back")
    _take_back(session, row, Outcome.RETURNED, explanation=explanation, person_id=person_id, at=at)


# --- what the steps share ------------------------------------------------------------------------------------------


def _not_ordered(session: Session, payment_request_id: UUID, becomes: str) -> Row[Any]:
    row = store.request(session, payment_request_id, lock=True)
    if row.status not in ("REQUESTED", "VERIFIED", "AUTHORISED"):
        raise OutOfTurn(
            f"payment request {label(row)} is {row.status}; only one without a payment order can be {becomes}",
            metadata={"status": row.status},
        )
    return row


def _take_back(
    session: Session, row: Row[Any], outcome: Outcome, *, explanation: str, person_id: UUID, at: datetime
) -> None:
    free(session, row, explanation=explanation, person_id=person_id)
    clocks.end(session, row.payment_request_id, outcome, on=at.date())
    approval.recall(session, row.payment_request_id)


def _check_payables(payables: Sequence[Row[Any]], new: NewRequest) -> None:
    for row in payables:
        if row.agency_id != new.agency_id:
            raise InvalidArgument.field("payment_request.payable_ids", f"{row.payable_id} is another agency's")
        if row.status != "OPEN":
            raise PayableNotOpen(
                f"payable {row.source_document_number} ({row.payable_id}) is {row.status}"
                + (f" by payment request {row.payment_request_id}" if row.payment_request_id else ""),
                metadata={"payable_id": str(row.payable_id), "status": row.status},
            )
        if row.source == Source.RETENTION.value and new.requested_on < row.due_on:
            raise RetentionNotDue(
                f"retention of {row.source_document_number} is kept until maintenance ends on {row.due_on}; "
                f"request it from that day on",
                metadata={"payable_id": str(row.payable_id), "due_on": str(row.due_on)},
            )
    creditors = {row.creditor for row in payables}
    sources = [Source(row.source) for row in payables]
    one_run = all(one.of_payroll for one in sources) and len({row.source_document_id for row in payables}) == 1
    if len({one.without_budget for one in sources}) > 1:
        raise PayablesDoNotBelongTogether(
            "cash of an imprest, and what was withheld for others, is requested by itself; make a request for each"
        )
    if len({(row.currency, row.foreign_currency) for row in payables}) > 1 or (len(creditors) > 1 and not one_run):
        raise PayablesDoNotBelongTogether(
            "one request pays one creditor in one currency, or one payroll run; make a request for each"
        )


def _by_line(session: Session, payable_ids: Sequence[UUID], *, counted: bool = False) -> dict[UUID, int]:
    """What a request counts against the releases, by budget line; a replenishment by its vouchers.

    `counted`: what it did count, when rates may have changed what is owed since.
    """
    sums = store.voucher_amounts(session, payable_ids)
    for part in store.parts(session, payable_ids):
        known = part.requested_minor if counted else None
        amount = part.amount_minor if known is None else known
        sums[part.budget_line_id] = sums.get(part.budget_line_id, 0) + amount
    return sums


def in_status(session: Session, payment_request_id: UUID, status: str, becomes: str) -> Row[Any]:
    """The request, locked; refused out of turn."""
    row = store.request(session, payment_request_id, lock=True)
    if row.status != status:
        raise OutOfTurn(
            f"payment request {label(row)} is {row.status}; only a {status} one can be {becomes}",
            metadata={"status": row.status, "needed": status},
        )
    return row


def steps(row: Row[Any]) -> Mapping[str, UUID | None]:
    """Who did what with the request so far: no two steps by one person."""
    name = f"payment request {label(row)}"
    return {
        f"requested {name}": row.requested_by_person_id,
        f"verified {name}": row.verified_by_person_id,
        f"authorised {name}": row.authorised_by_person_id,
    }


def people(session: Session, row: Row[Any]) -> Mapping[str, UUID | None]:
    """Everybody who took a step of the request, decided on its route, or holds the imprest that it fills."""
    return {**steps(row), **approval.persons(session, row.payment_request_id), **holders(session, row)}


def holders(session: Session, row: Row[Any]) -> Mapping[str, UUID | None]:
    """Who holds the imprest that the request brings cash to: never its verifier, authoriser or treasurer."""
    found = store.imprest_holders(session, row.payment_request_id)
    return {
        f"hold the imprest of payment request {label(row)}" + f" ({nth})" * (nth > 1): one
        for nth, one in enumerate(found, 1)
    }


def label(row: Row[Any]) -> str:
    """Its number, or its id as long as it has none."""
    return str(row.request_number or row.payment_request_id)


def free(session: Session, request: Row[Any], *, explanation: str, person_id: UUID) -> None:
    """Open a request's payables again and take its amounts out of the releases used."""
    payable_ids = store.request_payables(session, [request.payment_request_id])[request.payment_request_id]
    store.lock_payables(session, payable_ids)
    by_line = _by_line(session, payable_ids, counted=True)
    requests.withdraw(session, request.agency_id, by_line, on=fiscal_calendar().period_of(request.requested_on))
    store.move_payables(session, payable_ids, "OPEN", None)
    store.update_request(
        session,
        request.payment_request_id,
        status="WITHDRAWN",
        withdrawn_by_person_id=person_id,
        withdrawal_explanation=explanation,
    )
