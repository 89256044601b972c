"""The bank's files come in: each once, each of its statuses and entries with one effect (domain rules §4).

A file is taken in whole or not at all; what its entries come to is decided one by one. An entry whose effect the books
refuse (another amount, a debit after a rejection, a closed year) does not hold up the file: it stays unmatched, with
the refusal as its explanation, until a person has looked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import FailedPrecondition, KelolaError, NotFound
from chassis.ids import new_id
from services.finance.treasury import (
    account_store,
    bank_file,
    bank_rules,
    bank_xml,
    camt,
    domain,
    events,
    pain002,
    payment_facts,
    returns,
    rows,
)
from services.finance.treasury import answer_store as store
from services.finance.treasury.bank_rules import Booked, Decision, Outcome, Statement
from services.finance.treasury.payment_facts import Effect, Payment
from services.finance.treasury.returns import BankReturn

_EXPLANATION_MAX = 500
# Outcomes after which a person has to look at an entry.
_OPEN = (Outcome.UNMATCHED, Outcome.CONTRADICTED)


class BankAccountUnknown(NotFound):
    """The file is of an account that the treasury has not registered."""

    reason = "BANK_ACCOUNT_UNKNOWN"


class BankCurrencyMismatch(FailedPrecondition):
    """The file is in another currency than the account."""

    reason = "BANK_CURRENCY_MISMATCH"


@dataclass(frozen=True)
class NewFile:
    """A file to take in, already read."""

    agency_id: UUID
    file_name: str
    content: bytes
    read: bank_file.BankFile


@dataclass(frozen=True)
class Answer:
    """What one status or entry came to."""

    end_to_end_id: str
    decision: Decision
    payment: Payment | None = None
    bank_entry_id: UUID | None = None
    status_code: str = ""
    reason_code: str = ""


def import_file(session: Session, new: NewFile, *, person_id: UUID, at: datetime) -> tuple[UUID, bool]:
    """Take a file in; its id, and whether these very bytes were there already (then nothing is done)."""
    sha256 = hashlib.sha256(new.content).hexdigest()
    file_id = new_id()
    inserted = store.insert_file(
        session,
        {
            "bank_file_id": file_id,
            "agency_id": new.agency_id,
            "sha256": sha256,
            "format": new.read.format.value,
            "message_id": new.read.message_id,
            "file_name": new.file_name,
            "content": new.content,
            "byte_count": len(new.content),
            "ignored_count": new.read.ignored_count,
            "imported_by_person_id": person_id,
            "imported_at": at,
        },
    )
    if not inserted:
        before = store.file_by_hash(session, new.agency_id, sha256)
        assert before is not None, "the file that is in the way is there"
        return before, True
    work = _Import(session, new.agency_id, file_id, person_id, at)
    if new.read.statuses is not None:
        work.take_statuses(new.read.statuses)
    for told in new.read.told:
        work.take_told(told)
    work.keep_answers()
    return file_id, False


class _Import:
    """One file on its way into the books."""

    def __init__(self, session: Session, agency_id: UUID, file_id: UUID, person_id: UUID, at: datetime) -> None:
        self.session = session
        self.agency_id = agency_id
        self.file_id = file_id
        self.person_id = person_id
        self.at = at
        self.answers: list[Answer] = []

    # --- statuses ----------------------------------------------------------------------------------------------

    def take_statuses(self, report: pain002.Report) -> None:
        """Each status by its payment; the one of the whole message for the payments that it did not name."""
        created_on = _day(report.created_on)
        ids = {one.end_to_end_id: _uuid(one.end_to_end_id) for one in report.statuses if one.end_to_end_id}
        found = store.instructions_by_id(self.session, self.agency_id, [one for one in ids.values() if one is not None])
        named: set[UUID] = set()
        for status in sorted(report.statuses, key=lambda one: (not one.end_to_end_id, one.end_to_end_id)):
            if status.end_to_end_id:
                wanted = ids[status.end_to_end_id]
                instruction = found.get(wanted) if wanted is not None else None
                if instruction is not None:
                    named.add(instruction.payment_instruction_id)
                self._take_status(status, instruction, created_on)
                continue
            run_id = _uuid(status.original_message_id)
            instructions = store.instructions_of_run(self.session, self.agency_id, run_id) if run_id is not None else ()
            if not instructions:
                self._take_status(status, None, created_on)
            for instruction in sorted(instructions, key=lambda one: one.payment_order_id):
                if instruction.payment_instruction_id not in named and instruction.status != "CANCELLED":
                    self._take_status(status, instruction, created_on)

    def _take_status(self, status: pain002.Status, instruction: Row[Any] | None, created_on: date) -> None:
        said = status.end_to_end_id or (instruction.payment_instruction_id.hex if instruction is not None else "")
        payment = payment_facts.of_instruction(self.session, instruction) if instruction is not None else None
        if payment is None:
            unknown = "no payment of this treasury has that name"
            if instruction is not None:
                unknown = "the payment is one of an agency for which you may not act"
            decision = Decision(Outcome.UNMATCHED, unknown)
        else:
            decision = bank_rules.decide_status(status.code, payment.state)
            try:
                with self.session.begin_nested():
                    self._carry_out_status(status, payment, decision.outcome, created_on)
            except KelolaError as refusal:
                decision = _refused(refusal)
        self.answers.append(Answer(said, decision, payment, status_code=status.code, reason_code=status.reason_code))

    def _carry_out_status(self, status: pain002.Status, payment: Payment, outcome: Outcome, created_on: date) -> None:
        reason = " ".join(part for part in (status.reason_code, status.reason_text) if part)
        explanation = reason or "the bank gave no reason"
        instruction = payment.instruction
        assert instruction is not None, "a status names a payment of a run"
        if outcome is Outcome.ACCEPTED:
            rows.update(
                self.session,
                "payment_instruction",
                instruction.payment_instruction_id,
                status="ACCEPTED",
                bank_reference=status.bank_reference,
            )
        elif outcome is Outcome.REJECTED:
            payment_facts.reject(
                self.session,
                payment,
                bank_reference=status.bank_reference,
                explanation=explanation,
                rejected_on=created_on,
                person_id=self.person_id,
            )
        elif outcome is Outcome.RETURNED:
            account_code = store.cash_account_of(self.session, instruction.payment_instruction_id, created_on)
            assert account_code is not None, "a run has its bank account"
            returns.record(
                self.session,
                payment.order,
                BankReturn(status.bank_reference, explanation, created_on),
                instruction=instruction,
                account_code=account_code,
                person_id=self.person_id,
                at=self.at,
            )

    # --- statements and notifications --------------------------------------------------------------------------

    def take_told(self, told: camt.Told) -> None:
        """A statement, which must follow the one before it, or a notification."""
        account = self._account(told)
        store.lock_bank_account(self.session, account.bank_account_id)
        known = store.entries_by_key(self.session, account.bank_account_id, [entry.key for entry in told.entries])
        statement_id = None
        if told.statement is not None:
            bank_rules.check_balances(told.statement)
            before = store.statement_by_reference(
                self.session, account.bank_account_id, told.statement.statement_reference
            )
            if before is not None:
                _check_same(told.statement, before, known)
            else:
                statement_id = self._keep_statement(told.statement, account)
        for entry in told.entries:
            if entry.key in known:
                self._repeat(entry, known[entry.key], statement_id)
        if statement_id is not None:
            store.link_to_statement(self.session, [row.bank_entry_id for row in known.values()], statement_id)
        self._take_entries([one for one in told.entries if one.key not in known], account, statement_id)

    def _account(self, told: camt.Told) -> Row[Any]:
        day = told.statement.closed_on if told.statement is not None else self.at.date()
        number = told.account.account_number
        found = account_store.bank_account_by_number(self.session, self.agency_id, number, day)
        if not found:
            raise BankAccountUnknown(
                f"the file is of account {domain.masked(number)}, which is no bank account of this treasury; register "
                "it, or import the file at the treasury that has it",
                metadata={"resource": "bank account"},
            )
        said = {told.account.currency, *(entry.currency for entry in told.entries)}
        said.add(told.statement.currency if told.statement is not None else "")
        currencies = sorted(said - {""})
        account = next((row for row in found if currencies in ([], [row.currency])), None)
        if account is None:
            raise BankCurrencyMismatch(
                f"account {domain.masked(number)} is in {found[0].currency}, the file has {', '.join(currencies)}",
                metadata={"account_currency": found[0].currency, "file_currencies": ",".join(currencies)},
            )
        return account

    def _keep_statement(self, statement: Statement, account: Row[Any]) -> UUID:
        last = store.last_statement(self.session, account.bank_account_id)
        bank_rules.check_continuity(statement, last)
        statement_id = new_id()
        rows.insert(
            self.session,
            "bank_statement",
            {
                "bank_statement_id": statement_id,
                "agency_id": self.agency_id,
                "bank_account_id": account.bank_account_id,
                "bank_file_id": self.file_id,
                "statement_reference": statement.statement_reference,
                "sequence_number": statement.sequence_number,
                "position": last.position + 1 if last is not None else 1,
                "currency": statement.currency,
                "opened_on": statement.opened_on,
                "closed_on": statement.closed_on,
                "opening_minor": statement.opening,
                "closing_minor": statement.closing,
                "entry_count": len(statement.entries),
            },
        )
        return statement_id

    def _repeat(self, entry: Booked, row: Row[Any], statement_id: UUID | None) -> None:
        if statement_id is not None and row.bank_statement_id is not None:
            raise bank_rules.StatementContradiction(
                f"entry {entry.bank_reference or entry.key} stands on statement {row.bank_statement_id} already; the "
                "bank counts it twice, ask for a corrected statement",
                metadata={"bank_entry_id": str(row.bank_entry_id)},
            )
        decision = Decision(Outcome.REPEATED, "told before")
        self.answers.append(Answer(entry.end_to_end_id, decision, bank_entry_id=row.bank_entry_id))

    def _take_entries(self, entries: Sequence[Booked], account: Row[Any], statement_id: UUID | None) -> None:
        located = [(entry, self._locate(entry)) for entry in entries]
        # Orders are locked in id order; a debit comes before the return of the same day.
        located.sort(key=lambda pair: (str(pair[1] or ""), not pair[0].debit))
        for entry, target in located:
            self._take_entry(entry, target, account, statement_id)

    def _locate(self, entry: Booked) -> _Target | None:
        """The payment that an entry names: by its EndToEndId, else by an order's number in its reference or text."""
        instruction_id = _uuid(entry.end_to_end_id)
        if instruction_id is not None:
            found = store.instructions_by_id(self.session, self.agency_id, [instruction_id])
            if instruction_id in found:
                return _Target(found[instruction_id].payment_order_id, found[instruction_id])
        said = f"{entry.end_to_end_id} {entry.instruction_reference} {entry.remittance}"
        orders = store.orders_named(
            self.session, self.agency_id, currency=entry.currency, amount=entry.amount, text_=said
        )
        orders = {number: order_id for number, order_id in orders.items() if bank_rules.names(said, number)}
        # A text that names several orders does not say which of them it is.
        return _Target(next(iter(orders.values())), None) if len(orders) == 1 else None

    def _take_entry(self, entry: Booked, target: _Target | None, account: Row[Any], statement_id: UUID | None) -> None:
        payment = None
        cash = account_store.cash(self.session, account, entry.value_on)
        if target is not None:
            payment = (
                payment_facts.of_instruction(self.session, target.instruction)
                if target.instruction is not None
                else payment_facts.of_order(self.session, target.payment_order_id)
            )
        effect = Effect()
        if target is None:
            decision = Decision(Outcome.UNMATCHED, "it names no payment of this treasury")
        elif payment is None:
            decision = Decision(Outcome.UNMATCHED, "it names a payment of an agency for which you may not act")
        else:
            decision = payment_facts.decide_entry(self.session, payment, entry)
            if decision.outcome not in _OPEN:
                try:
                    with self.session.begin_nested():
                        effect = payment_facts.carry_out(
                            self.session,
                            payment,
                            entry,
                            decision.outcome,
                            cash=cash,
                            person_id=self.person_id,
                            at=self.at,
                        )
                except KelolaError as refusal:
                    decision = _refused(refusal)
        if decision.outcome not in _OPEN and effect.journal_entry_id is None:
            decision = Decision(
                Outcome.CONTRADICTED, f"the books moved it through another cash account than {cash.code}"
            )
        self._keep_entry(entry, decision, payment, effect, account, statement_id)

    def _keep_entry(
        self,
        entry: Booked,
        decision: Decision,
        payment: Payment | None,
        effect: Effect,
        account: Row[Any],
        statement_id: UUID | None,
    ) -> None:
        entry_id, matched = new_id(), decision.outcome not in _OPEN
        rows.insert(
            self.session,
            "bank_entry",
            {
                "bank_entry_id": entry_id,
                "agency_id": self.agency_id,
                "bank_account_id": account.bank_account_id,
                "bank_file_id": self.file_id,
                "bank_statement_id": statement_id,
                "entry_key": entry.key,
                "bank_reference": entry.bank_reference,
                "end_to_end_id": entry.end_to_end_id,
                "remittance": entry.remittance,
                "transaction_code": entry.transaction_code,
                "currency": entry.currency,
                "amount_minor": entry.amount,
                "direction": "DEBIT" if entry.debit else "CREDIT",
                "booked_on": entry.booked_on,
                "value_on": entry.value_on,
                "status": "MATCHED" if matched else "UNMATCHED",
                "outcome": decision.outcome.value,
                "explanation": decision.explanation[:_EXPLANATION_MAX],
                "payment_order_id": payment.order.payment_order_id if matched and payment is not None else None,
                "payment_return_id": effect.payment_return_id if matched else None,
                "journal_entry_id": effect.journal_entry_id if matched else None,
                "version": 1,
            },
        )
        if not matched:
            outbox.emit(
                self.session,
                events.EntryUnmatched(
                    entry_id,
                    self.agency_id,
                    account.bank_account_id,
                    entry.currency,
                    entry.signed,
                    entry.booked_on,
                    decision.explanation[:_EXPLANATION_MAX],
                ),
            )
        self.answers.append(Answer(entry.end_to_end_id, decision, payment, entry_id))

    def keep_answers(self) -> None:
        """Write down what each status and entry came to."""
        rows.insert_all(
            self.session,
            "bank_answer",
            [
                {
                    "bank_file_id": self.file_id,
                    "position": position,
                    "agency_id": self.agency_id,
                    "end_to_end_id": one.end_to_end_id,
                    "payment_instruction_id": (
                        one.payment.instruction.payment_instruction_id
                        if one.payment is not None and one.payment.instruction is not None
                        else None
                    ),
                    "payment_order_id": one.payment.order.payment_order_id if one.payment is not None else None,
                    "bank_entry_id": one.bank_entry_id,
                    "status_code": one.status_code,
                    "reason_code": one.reason_code,
                    "outcome": one.decision.outcome.value,
                    "explanation": one.decision.explanation[:_EXPLANATION_MAX],
                }
                for position, one in enumerate(self.answers, start=1)
            ],
        )


@dataclass(frozen=True)
class _Target:
    """What an entry names: an order, and the attempt at it when the entry says which."""

    payment_order_id: UUID
    instruction: Row[Any] | None

    def __str__(self) -> str:
        return str(self.payment_order_id)


def _check_same(statement: Statement, before: Row[Any], known: dict[str, Row[Any]]) -> None:
    """A statement that is there may come again as it was, in another file; not another one under its name."""
    same = (statement.opening, statement.closing, len(statement.entries)) == (
        before.opening_minor,
        before.closing_minor,
        before.entry_count,
    )
    if not same or any(
        entry.key not in known or known[entry.key].bank_statement_id != before.bank_statement_id
        for entry in statement.entries
    ):
        raise bank_rules.StatementContradiction(
            f"statement {statement.statement_reference} is there with other balances or entries (closing "
            f"{before.closing_minor} minor units on {before.closed_on}); clear it up with the bank",
            metadata={"bank_statement_id": str(before.bank_statement_id)},
        )


def _refused(refusal: KelolaError) -> Decision:
    return Decision(Outcome.CONTRADICTED, f"{refusal.reason}: {refusal.message}"[:_EXPLANATION_MAX])


def _uuid(text: str) -> UUID | None:
    """The id that we sent as 32 hexadecimal digits, if the text is one."""
    try:
        return UUID(text) if len(text) == 32 else None
    except ValueError:
        return None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as bad:
        raise bank_xml.BankFileInvalid(f"GrpHdr/CreDtTm: {text!r} is no instant") from bad
