"""Payroll runs: their states, what finance is asked to accept, and the arithmetic of corrections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.dates import Month
from chassis.errors import Aborted, FailedPrecondition, InvalidArgument
from chassis.money import total
from services.hr.payroll.rules import PayKind, Side


class PayrollRunNotComputed(FailedPrecondition):
    """The run is not in a state in which it can be approved or cancelled."""

    reason = "PAYROLL_RUN_STATE"


class MakerMayNotApprove(FailedPrecondition):
    """The person who created the run wants to approve it (I9)."""

    reason = "MAKER_MAY_NOT_APPROVE"


class PayrollRunEmpty(FailedPrecondition):
    """The run pays nobody."""

    reason = "PAYROLL_RUN_EMPTY"


class PayrollRunOpen(FailedPrecondition):
    """Another run of the agency is being computed or waits for a decision."""

    reason = "PAYROLL_RUN_OPEN"


class NoExtraPay(InvalidArgument):
    """No regulation grants this extra pay by the month asked for."""

    reason = "NO_EXTRA_PAY"


class PostingOff(Aborted):
    """A mistake of ours: the run's lines do not add up to its net."""

    reason = "POSTING_OFF"


class RunState(Enum):
    """Where a run stands."""

    COMPUTING = "COMPUTING"
    COMPUTED = "COMPUTED"
    ACCEPTING = "ACCEPTING"
    APPROVED = "APPROVED"
    REFUSED_FUNDS = "REFUSED_FUNDS"
    PAID = "PAID"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Totals:
    """Sums over the payslips of a run, in minor units."""

    payslips: int = 0
    exceptions: int = 0
    gross: int = 0
    tax_allowance: int = 0
    deductions: int = 0
    net: int = 0
    employer_parts: int = 0

    @property
    def cost(self) -> int:
        """What budget lines bear: gross, tax allowance and employer's parts."""
        return self.gross + self.tax_allowance + self.employer_parts


@dataclass(frozen=True)
class Refusal:
    """Why another service said no, with its figures."""

    reason: str
    message: str
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Payment:
    """What one payment order paid of one run, in minor units, on the bank's day."""

    payroll_run_id: UUID
    payment_order_id: UUID
    amount: int
    value_date: date


@dataclass(frozen=True)
class Run:
    """One payroll run of an agency. `known_at` froze what decides its pay; `fiscal_year` bears it (finance's name)."""

    payroll_run_id: UUID
    agency_id: UUID
    number: str
    kind: PayKind
    month: Month
    fiscal_year: int
    currency: str
    known_at: datetime
    rounding: str
    operation_id: UUID
    created_by: UUID
    state: RunState = RunState.COMPUTING
    employees_total: int = 0
    employees_done: int = 0
    totals: Totals = Totals()
    paid: int = 0
    refusal: Refusal | None = None
    journal_entry_id: UUID | None = None
    effective_on: date | None = None
    approved_by: UUID | None = None
    version: int = 1

    def _next(self, state: RunState, **changes: object) -> Run:
        return replace(self, state=state, version=self.version + 1, **changes)  # type: ignore[arg-type]  # named fields, typed by the caller

    def _require(self, *states: RunState) -> None:
        if self.state not in states:
            wanted = " or ".join(state.value for state in states)
            raise PayrollRunNotComputed(
                f"payroll run {self.number} is {self.state.value}; that needs {wanted}",
                metadata={"state": self.state.value, "payroll_run_id": str(self.payroll_run_id)},
            )


@dataclass(frozen=True)
class PayrollRunComputed:
    """A run was computed and waits for approval."""

    run: Run


@dataclass(frozen=True)
class PayrollRunApproved:
    """Finance accepted a run."""

    run: Run


@dataclass(frozen=True)
class PayrollRunRefused:
    """Finance refused a run."""

    run: Run


@dataclass(frozen=True)
class PayrollRunPaid:
    """The bank has debited everything a run owed."""

    run: Run


@dataclass(frozen=True)
class PayrollRunCancelled:
    """A run was dropped."""

    run: Run


def sized(run: Run, employees_total: int) -> Run:
    """A new run with the number of employments that it will look at."""
    return replace(run, employees_total=employees_total)


def progressed(run: Run, done: int) -> Run:
    """The run with more people behind it."""
    run._require(RunState.COMPUTING)
    return run._next(RunState.COMPUTING, employees_done=done, employees_total=max(done, run.employees_total))


def computed(run: Run, totals: Totals) -> Run:
    """The run with everybody in it or left out."""
    run._require(RunState.COMPUTING)
    done = totals.payslips + totals.exceptions
    return run._next(RunState.COMPUTED, totals=totals, employees_done=max(done, run.employees_done))


def approve(run: Run, *, by: UUID, effective_on: date) -> Run:
    """The run on its way to finance; refused to its maker (I9), in another state, or when it pays nobody."""
    run._require(RunState.COMPUTED, RunState.REFUSED_FUNDS)
    if by == run.created_by:
        raise MakerMayNotApprove(
            f"payroll run {run.number} was created by the same person; another one must approve it",
            metadata={"payroll_run_id": str(run.payroll_run_id)},
        )
    if run.totals.payslips == 0:
        raise PayrollRunEmpty(f"payroll run {run.number} pays nobody; cancel it and see its exceptions")
    return run._next(RunState.ACCEPTING, approved_by=by, effective_on=effective_on, refusal=None)


def accepted(run: Run, journal_entry_id: UUID | None) -> Run:
    """The run as finance's liability."""
    run._require(RunState.ACCEPTING)
    return run._next(RunState.APPROVED, journal_entry_id=journal_entry_id)


def refused(run: Run, refusal: Refusal) -> Run:
    """The run that finance has no funds for; it may be approved again, or cancelled."""
    run._require(RunState.ACCEPTING)
    return run._next(RunState.REFUSED_FUNDS, refusal=refusal)


def short(run: Run, refusal: Refusal) -> Run:
    """An accepted run after which finance could not obligate the newly projected rest: noted, and no more."""
    run._require(RunState.APPROVED, RunState.PAID)
    return run._next(run.state, refusal=refusal)


def cancel(run: Run) -> Run:
    """The run dropped."""
    run._require(RunState.COMPUTED, RunState.REFUSED_FUNDS)
    return run._next(RunState.CANCELLED)


def pay(run: Run, amount: int) -> Run:
    """The run with `amount` more debited; PAID when nothing is owed any more. Never beyond what it owes."""
    run._require(RunState.APPROVED)
    paid = total([run.paid, amount])
    if amount <= 0 or paid > run.totals.cost:
        raise PayrollRunNotComputed(
            f"payroll run {run.number} owes {run.totals.cost - run.paid} minor units; {amount} were debited",
            metadata={"owed": str(run.totals.cost - run.paid), "debited": str(amount)},
        )
    return run._next(RunState.PAID if paid == run.totals.cost else RunState.APPROVED, paid=paid)


@dataclass(frozen=True)
class Line:
    """One payslip line, or a sum of such lines, in minor units."""

    component: str
    side: Side
    amount: int
    creditor: str = ""  # empty: the employee
    budget_line_id: UUID | None = None
    document_line_id: UUID | None = None  # the line of the employment's obligation
    for_month: Month | None = None


@dataclass(frozen=True)
class Posting:
    """What finance is asked to accept: charges to budget lines = net + withheld + employer's parts (N17)."""

    charges: tuple[Line, ...]
    net: int
    withheld: Mapping[str, int]  # creditor -> minor units
    employer_parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Σ charges: the debit side of the journal."""
        return total(charge.amount for charge in self.charges)


def posting(lines: Iterable[Line]) -> Posting:
    """The posting of these payslip lines. Deductions lower no charge: spending is gross (domain rules §2)."""
    charges: dict[tuple[object, ...], Line] = {}
    withheld: dict[str, int] = {}
    employer: dict[str, int] = {}
    net = 0
    for line in lines:
        if line.side is Side.DEDUCTION:
            withheld[line.creditor] = withheld.get(line.creditor, 0) + line.amount
            net -= line.amount
            continue
        creditor = ""
        if line.side is Side.EMPLOYER_PART:
            creditor = line.creditor
            employer[creditor] = employer.get(creditor, 0) + line.amount
        else:
            net += line.amount
        key = line.document_line_id, line.budget_line_id, line.component, creditor
        charge = charges.get(key) or replace(line, amount=0, creditor=creditor, for_month=None)
        charges[key] = replace(charge, amount=total([charge.amount, line.amount]))
    return Posting(tuple(charges.values()), net, withheld, employer)


def retro(for_month: Month, now: Sequence[Line], paid: Sequence[Line]) -> list[Line]:
    """What a past month still owes: per component, its result as known now less all that was paid for it.

    A difference of rounded results, never a rate on a difference (domain rules §5, N15). `paid` holds the original
    payslip's lines and those of earlier corrections. The tax of the past month is left out: in the `id` pack tax
    falls in the month of payment, on everything paid in it.
    """
    differences: dict[tuple[str, Side, str, UUID | None, UUID | None], int] = {}
    for sign, lines in ((1, now), (-1, paid)):
        for line in lines:
            key = line.component, line.side, line.creditor, line.budget_line_id, line.document_line_id
            differences[key] = differences.get(key, 0) + sign * line.amount
    return [
        Line(component, side, amount, creditor, budget_line, document_line, for_month)
        for (component, side, creditor, budget_line, document_line), amount in differences.items()
        if amount
    ]


def net_of(lines: Iterable[Line]) -> int:
    """Earnings and tax allowance less deductions."""
    signs = {Side.EARNING: 1, Side.TAX_ALLOWANCE: 1, Side.DEDUCTION: -1, Side.EMPLOYER_PART: 0}
    return total(signs[line.side] * line.amount for line in lines)
