"""Payment runs: made by one person, approved by another, written once as the bank's file (domain rules §4)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.approval.domain import Subject
from services.finance.payables.domain import OutOfTurn, different_persons
from services.finance.treasury import account_store, accounts, domain, events, pack, pain001, rows
from services.finance.treasury import run_store as store
from services.finance.treasury.domain import Account, Candidate, NumberKind, OmissionReason, Payee
from services.finance.treasury.pain001 import Format


@dataclass(frozen=True)
class NewRun:
    """A run to make."""

    agency_id: UUID
    bank_account_id: UUID
    execution_on: date
    cash_limit: Money | None
    payment_order_ids: tuple[UUID, ...]
    urgent_payment_order_ids: frozenset[UUID]


@dataclass(frozen=True)
class File:
    """A run's file."""

    name: str
    message_id: str
    sha256: str
    content: bytes


def create(session: Session, new: NewRun, *, person_id: UUID, at: datetime) -> UUID:
    """Fill a run by priority, due date and number within the cash limit; what stays out is kept with its reason."""
    bank_account = accounts.usable_bank_account(
        session, new.bank_account_id, agency_id=new.agency_id, on=new.execution_on
    )
    currency = bank_account.currency
    if new.cash_limit is not None and new.cash_limit.currency != currency:
        raise InvalidArgument.field(
            "payment_run.cash_limit", f"is in {new.cash_limit.currency}, the bank account in {currency}"
        )
    candidates = _candidates(session, new, currency)
    selection = domain.select(
        candidates,
        currency=currency,
        cash_limit=new.cash_limit.minor if new.cash_limit is not None else None,
        urgent=new.urgent_payment_order_ids,
    )
    if not selection.included:
        raise domain.RunEmpty(_why_empty(selection.omitted), metadata=_reasons(selection.omitted))
    run_id = new_id()
    rows.insert(
        session,
        "payment_run",
        {
            "payment_run_id": run_id,
            "agency_id": new.agency_id,
            "bank_account_id": new.bank_account_id,
            "status": "DRAFT",
            "execution_on": new.execution_on,
            "currency": currency,
            "cash_limit_minor": new.cash_limit.minor if new.cash_limit is not None else None,
            "total_minor": selection.total,
            "instruction_count": len(selection.included),
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    rows.insert_all(
        session,
        "payment_instruction",
        [_instruction(one, run_id, new.agency_id, nth) for nth, one in enumerate(selection.included, start=1)],
    )
    rows.insert_all(
        session,
        "payment_omission",
        [
            {
                "payment_run_id": run_id,
                "payment_order_id": one.payment_order_id,
                "agency_id": new.agency_id,
                "order_number": one.order_number or None,
                "currency": one.currency,
                "amount_minor": one.amount,
                "reason": reason.value,
            }
            for one, reason in selection.omitted
        ],
    )
    total = Money(selection.total, currency)
    subject = Subject(RoutedKind.PAYMENT_RUN, run_id, new.agency_id, total, frozenset(), person_id)
    approval.begin(session, subject, at=at)
    return run_id


def approve(
    session: Session, payment_run_id: UUID, *, control_count: int, control_total: Money, person_id: UUID, at: datetime
) -> None:
    """Let a run go to the bank; the approver says how many payments and how much he saw."""
    row = _in_status(session, payment_run_id, "DRAFT", "approved")
    different_persons(person_id, {f"made payment run {payment_run_id}": row.created_by_person_id}, "approve it")
    approval.passed(session, payment_run_id, f"payment run {payment_run_id}", person_id=person_id, step="approve it")
    total = Money(row.total_minor, row.currency)
    if (control_count, control_total) != (row.instruction_count, total):
        raise domain.RunChanged(
            f"the run has {row.instruction_count} payments of {total}, {control_count} of {control_total} were to be "
            "approved; read it again",
            metadata={"count": str(row.instruction_count), "total": str(total)},
        )
    _refuse_if_not_payable(session, payment_run_id)
    rows.update(
        session, "payment_run", payment_run_id, status="APPROVED", approved_by_person_id=person_id, approved_at=at
    )
    outbox.emit(
        session,
        events.RunApproved(
            payment_run_id, row.agency_id, row.instruction_count, row.currency, row.total_minor, row.version + 1
        ),
    )


def cancel(session: Session, payment_run_id: UUID, *, explanation: str, person_id: UUID) -> None:
    """Give a run up that has no file; its payments are free."""
    row = rows.get(session, "payment_run", payment_run_id, lock=True)
    if row.status not in ("DRAFT", "APPROVED"):
        raise OutOfTurn(
            f"payment run {payment_run_id} is {row.status}; only one without a file can be cancelled",
            metadata={"status": row.status},
        )
    give_up(session, row, explanation=explanation, person_id=person_id)


def give_up(session: Session, row: Row[Any], *, explanation: str, person_id: UUID) -> None:
    """Cancel a locked run and tell."""
    store.move_instructions(session, row.payment_run_id, "CANCELLED")
    rows.update(
        session,
        "payment_run",
        row.payment_run_id,
        status="CANCELLED",
        cancelled_by_person_id=person_id,
        cancellation_explanation=explanation,
    )
    approval.recall(session, row.payment_run_id)
    outbox.emit(session, events.RunCancelled(row.payment_run_id, row.agency_id, explanation, row.version + 1))


def export(session: Session, payment_run_id: UUID, edition: Format, *, person_id: UUID) -> File:
    """The run's file: written once, the same bytes ever after. PAYEE_ACCOUNT_INVALID names an order without payee."""
    row = rows.get(session, "payment_run", payment_run_id, lock=True)
    if row.status == "EXPORTED":
        return _written(session, row, edition)
    if row.status != "APPROVED":
        raise OutOfTurn(
            f"payment run {payment_run_id} is {row.status}; only an APPROVED one can be exported",
            metadata={"status": row.status, "needed": "APPROVED"},
        )
    _refuse_if_not_payable(session, payment_run_id)
    bank_account = accounts.usable_bank_account(
        session, row.bank_account_id, agency_id=row.agency_id, on=row.execution_on
    )
    instructions = [one for one in store.instructions(session, [payment_run_id])[payment_run_id] if one.live]
    _refuse_without_payee(session, instructions, row.execution_on)
    content = pain001.write(
        pain001.Message(
            message_id=pain001.message_id(payment_run_id),
            created_at=row.approved_at,
            debtor=account_store.account(bank_account),
            execution_on=row.execution_on,
            payments=[
                pain001.Payment(
                    pain001.end_to_end_id(one.payment_instruction_id), one.order_number, one.amount_minor, _payee(one)
                )
                for one in instructions
            ],
        ),
        edition,
    )
    sha256 = hashlib.sha256(content).hexdigest()
    rows.insert(
        session,
        "payment_run_file",
        {"payment_run_id": payment_run_id, "agency_id": row.agency_id, "content": content},
    )
    store.move_instructions(session, payment_run_id, "SENT")
    name = pain001.file_name(payment_run_id, edition)
    rows.update(
        session,
        "payment_run",
        payment_run_id,
        status="EXPORTED",
        exported_by_person_id=person_id,
        file_format=edition.name,
        file_name=name,
        file_sha256=sha256,
    )
    outbox.emit(
        session,
        events.RunExported(
            payment_run_id, row.agency_id, row.instruction_count, row.currency, row.total_minor, sha256, row.version + 1
        ),
    )
    return File(name, pain001.message_id(payment_run_id), sha256, content)


# --- what the steps share ------------------------------------------------------------------------------------------


def _candidates(session: Session, new: NewRun, currency: str) -> list[Candidate]:
    found = store.candidates(session, new.agency_id, currency=currency, payment_order_ids=new.payment_order_ids)
    missing = set(new.payment_order_ids) - {row.payment_order_id for row in found}
    if missing:
        raise NotFound.resource("payment order of this treasury", min(missing))
    pairs = {(row.paying_agency_id, creditor) for row in found for creditor in row.creditors or ()}
    payees = account_store.payees(session, pairs, currency=currency, on=new.execution_on)
    return [_candidate(session, row, payees, new.execution_on) for row in found]


def _candidate(session: Session, row: Row[Any], payees: dict[tuple[UUID, str], Payee], on: date) -> Candidate:
    creditors = tuple(row.creditors or ())
    payee = payees.get((row.paying_agency_id, creditors[0])) if len(creditors) == 1 else None
    if row.return_payee_account_id is not None:
        # A re-issue goes where it was re-issued to, as long as that account holds.
        account = rows.get(session, "payee_account", row.return_payee_account_id)
        payee = account_store.payee(account) if holds(account, on) else None
    return Candidate(
        payment_order_id=row.payment_order_id,
        payment_return_id=row.payment_return_id,
        paying_agency_id=row.paying_agency_id,
        order_number=row.order_number or "",
        payable=row.status == "ISSUED" or row.payment_return_id is not None,
        in_live_run=row.in_live_run,
        currency=row.currency,
        amount=row.net_minor,
        priority=pack.priority(row.sources or (), row.issued_on),
        due_on=row.due_on or row.issued_on,
        creditors=creditors,
        payee=payee,
    )


def holds(payee_account: Row[Any], on: date) -> bool:
    """Whether a payee account may be paid to on a day."""
    return bool(
        payee_account.status == "APPROVED"
        and payee_account.valid_from <= on
        and (payee_account.valid_to is None or on < payee_account.valid_to)
    )


def _instruction(one: Candidate, run_id: UUID, agency_id: UUID, position: int) -> dict[str, Any]:
    assert one.payee is not None, "a payment without a payee is never selected"
    return {
        "payment_instruction_id": new_id(),
        "agency_id": agency_id,
        "payment_run_id": run_id,
        "paying_agency_id": one.paying_agency_id,
        "payment_order_id": one.payment_order_id,
        "payment_return_id": one.payment_return_id,
        "position": position,
        "order_number": one.order_number,
        "priority": one.priority,
        "due_on": one.due_on,
        "currency": one.currency,
        "amount_minor": one.amount,
        "payee_account_id": one.payee.payee_account_id,
        "payee_name": one.payee.account.holder_name,
        "payee_number": one.payee.account.account_number,
        "payee_number_kind": one.payee.account.number_kind.value,
        "payee_bic": one.payee.account.bic,
        "payee_clearing_code": one.payee.account.clearing_code,
        "status": "IN_RUN",
        "live": True,
        "version": 1,
    }


def _payee(row: Row[Any]) -> Account:
    return Account(
        row.payee_name,
        row.payee_number,
        NumberKind(row.payee_number_kind),
        row.payee_bic,
        row.payee_clearing_code,
        row.currency,
    )


def _in_status(session: Session, payment_run_id: UUID, status: str, becomes: str) -> Row[Any]:
    row = rows.get(session, "payment_run", payment_run_id, lock=True)
    if row.status != status:
        raise OutOfTurn(
            f"payment run {payment_run_id} is {row.status}; only a {status} one can be {becomes}",
            metadata={"status": row.status, "needed": status},
        )
    return row


def _refuse_if_not_payable(session: Session, payment_run_id: UUID) -> None:
    gone = store.not_payable(session, payment_run_id)
    if gone:
        raise domain.OrderNotPayable(
            f"payment order {gone[0].order_number} is {gone[0].order_status or 'not one that you may see'} and cannot "
            f"go to the bank ({len(gone)} such payments); cancel the run and make another",
            metadata={"payment_order_id": str(gone[0].payment_order_id), "status": str(gone[0].order_status or "")},
        )


def _refuse_without_payee(session: Session, instructions: Collection[Row[Any]], on: date) -> None:
    known = account_store.payee_accounts(session, {one.payee_account_id for one in instructions})
    for one in instructions:
        account = known.get(one.payee_account_id)
        if account is None or not holds(account, on):
            raise domain.PayeeAccountInvalid(
                f"payment order {one.order_number}: payee account {one.payee_account_id} "
                f"({domain.masked(one.payee_number)}) does not hold on {on}; cancel the run and make another",
                metadata={
                    "payment_order_id": str(one.payment_order_id),
                    "payee_account_id": str(one.payee_account_id),
                },
            )


def _written(session: Session, row: Row[Any], edition: Format) -> File:
    if row.file_format != edition.name:
        raise domain.RunAlreadyExported(
            f"the run was exported as {Format[row.file_format].value}; a file in another format could be paid again",
            metadata={"file_format": row.file_format, "file_sha256": row.file_sha256},
        )
    content = store.file_content(session, row.payment_run_id)
    assert content is not None, "an exported run has its file"
    return File(row.file_name, pain001.message_id(row.payment_run_id), row.file_sha256, content)


def _reasons(omitted: Sequence[tuple[Candidate, OmissionReason]]) -> dict[str, str]:
    counts: dict[str, int] = {}
    for _, reason in omitted:
        counts[reason.value] = counts.get(reason.value, 0) + 1
    return {name.lower(): str(count) for name, count in sorted(counts.items())}


def _why_empty(omitted: Sequence[tuple[Candidate, OmissionReason]]) -> str:
    if not omitted:
        return "no numbered payment order waits for the bank"
    reasons = ", ".join(f"{count} {name.upper()}" for name, count in _reasons(omitted).items())
    return f"no payment can be put into the run: {reasons}"
