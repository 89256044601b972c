"""A payroll run becomes a debt: O -> E per line, the payroll journal, payables by creditor (domain rules §5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.ids import derived_id, new_id
from chassis.money import CurrencyMismatch, Money, total
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Line
from services.finance.budget.journals import post_one
from services.finance.budget.movements import FundsAct
from services.finance.classification import mapping
from services.finance.classification.domain import Area
from services.finance.ledger.domain import LINES_MAX, Basis, Posted
from services.finance.ledger.domain import Line as JournalLine
from services.finance.payables import domain, invoice_store, journals
from services.finance.payables.domain import Source
from services.finance.payables.invoice_store import NewPayable, Part
from services.finance.payables.journals import Tag


class PayrollAlreadyAccepted(AlreadyExists):
    """The run is a debt already."""

    reason = "PAYROLL_ALREADY_ACCEPTED"


class PayrollUnbalanced(InvalidArgument):
    """Charges are not net pay and what is withheld."""

    reason = "PAYROLL_UNBALANCED"


class PayrollTooWide(FailedPrecondition):
    """The run's journal would have more lines than an entry may have."""

    reason = "PAYROLL_TOO_WIDE"


@dataclass(frozen=True)
class Charge:
    """One amount of the run on one budget line; `creditor` is set on employer's parts."""

    position_document_line_id: UUID | None
    budget_line_id: UUID
    amount: Money
    component_code: str
    creditor: str


@dataclass(frozen=True)
class Run:
    """An approved run."""

    agency_id: UUID
    payroll_run_id: UUID
    payroll_run_number: str
    charges: tuple[Charge, ...]
    net: Money
    withholdings: tuple[tuple[str, Money], ...]
    effective_on: date
    due_on: date


# The creditor of the pay itself: the employees of the run, paid by one list.
EMPLOYEES = "EMPLOYEES"


def accept(session: Session, run: Run, *, person_id: UUID) -> tuple[list[UUID], UUID]:
    """All of the run or nothing; the payables (pay first) and the journal entry."""
    _check(run)
    document = Document(DocumentKind.PAYROLL_RUN, run.payroll_run_id, run.payroll_run_number)
    own_lines = {_own_line(run, charge) for charge in run.charges}
    act = budget.begin(
        session,
        run.agency_id,
        document,
        effective_on=run.effective_on,
        budget_line_ids={charge.budget_line_id for charge in run.charges},
        document_line_ids=own_lines
        | {c.position_document_line_id for c in run.charges if c.position_document_line_id is not None},
    )
    if invoice_store.has_payables(session, run.payroll_run_id):
        raise PayrollAlreadyAccepted(
            f"payroll run {run.payroll_run_number} was accepted before",
            metadata={"payroll_run_id": str(run.payroll_run_id)},
        )
    first_movement: dict[tuple[UUID, str, str], UUID] = {}
    for charge in run.charges:
        movement = act.expend(
            Item(
                document_line_id=_own_line(run, charge),
                budget_line_id=charge.budget_line_id,
                amount=charge.amount.minor,
                currency=charge.amount.currency,
                liquidates_document_line_id=charge.position_document_line_id,
            ),
            own_position=True,
        )
        first_movement.setdefault(
            (charge.budget_line_id, charge.creditor, charge.component_code), movement.funds_movement_id
        )
    budget.check(session, act)
    posted = _post(session, run, act, first_movement, person_id=person_id)
    budget.settle(
        session,
        act,
        run.agency_id,
        effective_on=run.effective_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    payable_ids = [_open_payable(session, run, creditor) for creditor in _creditors(run)]
    budget.tell_expended(session, act, run.agency_id)
    return payable_ids, posted.entry.journal_entry_id


def _check(run: Run) -> None:
    currency = run.net.currency
    for amount in [*(c.amount for c in run.charges), *(amount for _, amount in run.withholdings)]:
        if amount.currency != currency:
            raise CurrencyMismatch(
                f"the run mixes {currency} and {amount.currency}",
                metadata={"left": currency, "right": amount.currency},
            )
    for nth, charge in enumerate(run.charges):
        if charge.amount.minor <= 0:
            raise InvalidArgument.field(f"charges[{nth}].amount", "above zero; a run with negative pay is a claim")
    codes = [code for code, _ in run.withholdings]
    if len(set(codes)) != len(codes):
        raise InvalidArgument.field("withholdings", "a creditor is named twice; add the amounts up")
    if any(amount.minor <= 0 for _, amount in run.withholdings) or run.net.minor < 0:
        raise InvalidArgument.field("withholdings", "every amount is above zero, net is not below zero")
    pay = total(charge.amount.minor for charge in run.charges if not charge.creditor)
    withheld = total(amount.minor for _, amount in run.withholdings)
    if pay != run.net.minor + withheld:
        raise PayrollUnbalanced(
            f"the charges of the pay come to {Money(pay, currency)}; net {run.net} and withheld "
            f"{Money(withheld, currency)} come to {Money(run.net.minor + withheld, currency)}",
            metadata={
                "pay_minor": str(pay),
                "net_minor": str(run.net.minor),
                "withheld_minor": str(withheld),
            },
        )


def _own_line(run: Run, charge: Charge) -> UUID:
    """The run's own document line for a budget line: one for the pay, one for each creditor of employer's parts."""
    return derived_id("payroll.line", run.payroll_run_id, charge.budget_line_id, charge.creditor)


def _creditors(run: Run) -> list[str]:
    """The pay first (empty), then the creditors of employer's parts."""
    codes = sorted({charge.creditor for charge in run.charges if charge.creditor})
    return ["", *codes] if any(not charge.creditor for charge in run.charges) else codes


def _open_payable(session: Session, run: Run, creditor: str) -> UUID:
    by_line: dict[UUID, int] = {}
    for charge in run.charges:
        if charge.creditor == creditor:
            by_line[charge.budget_line_id] = by_line.get(charge.budget_line_id, 0) + charge.amount.minor
    payable_id = new_id()
    opened = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id,
            run.agency_id,
            Source.EMPLOYER_CONTRIBUTION if creditor else Source.PAYROLL,
            run.payroll_run_id,
            run.payroll_run_number,
            None,
            creditor or EMPLOYEES,
            run.net.currency,
            run.due_on,
            tuple(
                Part(derived_id("payroll.line", run.payroll_run_id, line_id, creditor), line_id, amount, amount)
                for line_id, amount in sorted(by_line.items())
            ),
            {} if creditor else {code: amount.minor for code, amount in run.withholdings},
        ),
    )
    assert opened, "the run had no payables, and its document is locked"
    return payable_id


def _post(
    session: Session,
    run: Run,
    act: FundsAct,
    movements: dict[tuple[UUID, str, str], UUID],
    *,
    person_id: UUID,
) -> Posted:
    """Dr expense per line and component / Cr AP-payroll net, withheld by creditor, employer's parts (N17).

    Every payable line names its budget line too, so that E of a line is what is owed under it (F5): the credits of
    the pay are laid over its budget lines in order.
    """
    sums: dict[tuple[UUID, str, str], int] = {}
    for charge in run.charges:
        key = (charge.budget_line_id, charge.creditor, charge.component_code)
        sums[key] = sums.get(key, 0) + charge.amount.minor
    keys = sorted(sums, key=lambda key: (key[1], str(key[0]), key[2]))
    codes = {act.lines[key[0]].account_code for key in keys}
    accounts = mapping.accounts_for(
        session,
        [(role, code) for code in sorted(codes) for role in ("EXP", "AP-PAYROLL")],
        on=run.effective_on,
    )

    def tag(line: Line, creditor: str, movement_id: UUID | None) -> Tag:
        own = derived_id("payroll.line", run.payroll_run_id, line.budget_line_id, creditor)
        return Tag(line.budget_line_id, line.fund_code, line.account_code, line.currency, own, movement_id)

    lines: list[JournalLine] = []
    for key in keys:
        line = act.lines[key[0]]
        lines.append(
            journals.debit(
                Basis.ACCRUAL,
                accounts["EXP", line.account_code],
                sums[key],
                tag(line, key[1], movements[key]),
            )
        )
    for budget_line_id, creditor, _, amount in _credits(run, keys, sums):
        line = act.lines[budget_line_id]
        lines.append(
            journals.credit(
                Basis.ACCRUAL,
                accounts["AP-PAYROLL", line.account_code],
                amount,
                tag(line, creditor, None),
            )
        )
    if len(lines) > LINES_MAX:
        raise PayrollTooWide(
            f"the journal of run {run.payroll_run_number} would have {len(lines)} lines, an entry has at most "
            f"{LINES_MAX}: split the run by unit",
            metadata={"lines": str(len(lines)), "limit": str(LINES_MAX)},
        )
    return post_one(
        session,
        journals.entry(
            run.agency_id,
            run.effective_on,
            f"Payroll run {run.payroll_run_number}",
            "PAYROLL_RUN",
            run.payroll_run_id,
            lines,
            person_id=person_id,
            area=Area.PAYROLL,
        ),
    )


def _credits(
    run: Run, keys: Sequence[tuple[UUID, str, str]], sums: dict[tuple[UUID, str, str], int]
) -> list[tuple[UUID, str, str, int]]:
    """(budget line, creditor of employer's part, payee, amount): each payee's sum laid over the lines that bear it."""
    made: list[tuple[UUID, str, str, int]] = []
    for creditor in _creditors(run):
        by_line: dict[UUID, int] = {}
        for key in keys:
            if key[1] == creditor:
                by_line[key[0]] = by_line.get(key[0], 0) + sums[key]
        if creditor:
            made += [(line_id, creditor, creditor, amount) for line_id, amount in by_line.items()]
            continue
        payees = [(EMPLOYEES, run.net.minor), *((code, amount.minor) for code, amount in run.withholdings)]
        line_ids = list(by_line)
        made += [
            (line_ids[row], creditor, payees[column][0], amount)
            for row, column, amount in domain.spread(list(by_line.values()), [amount for _, amount in payees])
        ]
    return made
