"""A chunk of a run: payees become columns, columns become payslips, lines and exceptions, all as columns again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis.ids import derived_id
from services.hr.payroll import columns
from services.hr.payroll.correcting import Claim
from services.hr.payroll.domain import Line, Run
from services.hr.payroll.pack import Pack
from services.hr.payroll.payees import Payee, population
from services.hr.payroll.period import Period
from services.hr.payroll.projection import SENTENCES
from services.hr.payroll.reference import order
from services.hr.payroll.rules import RuleSet, Side

_PAYSLIP = (
    "payslip_id",
    "employee_id",
    "person_id",
    "position_id",
    "staff_kind",
    "gross_minor",
    "tax_allowance_minor",
    "deductions_minor",
    "net_minor",
    "employer_parts_minor",
    "taxable_minor",
    "tax_minor",
    "deductible_minor",
)
_LINE = (
    "payslip_id",
    "line_no",
    "employee_id",
    "component",
    "side",
    "amount_minor",
    "for_year",
    "for_month",
    "budget_line_id",
    "creditor",
)
_EXCEPTION = ("employee_id", "reason", "message", "left_out", "amount_minor")


def _columns(names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [] for name in names}


@dataclass
class Chunk:
    """What a chunk adds to the database, by column. Amounts in minor units."""

    payslips: dict[str, list[Any]] = field(default_factory=lambda: _columns(_PAYSLIP))
    lines: dict[str, list[Any]] = field(default_factory=lambda: _columns(_LINE))
    exceptions: dict[str, list[Any]] = field(default_factory=lambda: _columns(_EXCEPTION))

    def leave_out(self, payee: Payee, reason: str, message: str) -> None:
        """Leave a person out whole."""
        _append(
            self.exceptions,
            employee_id=payee.employee_id,
            reason=reason,
            message=message,
            left_out=True,
            amount_minor=0,
        )

    def note(self, employee_id: UUID, claim: Claim) -> None:
        """List what somebody owes for earlier months; his pay stands."""
        _append(
            self.exceptions,
            employee_id=employee_id,
            reason=claim.reason,
            message=claim.message,
            left_out=False,
            amount_minor=claim.amount,
        )


def _append(table: Mapping[str, list[Any]], **values: Any) -> None:
    for name, value in values.items():
        table[name].append(value)


def compute(
    run: Run, payees: Sequence[Payee], period: Period, pack: Pack, claims: Mapping[UUID, Claim] | None = None
) -> Chunk:
    """The payslips of these people; whoever has an exception is left out whole, whoever is due nothing silently.

    `claims` are listed for those who are paid: nobody is both left out and noted.
    """
    chunk = Chunk()
    due = [payee for payee in payees if payee.spans_in(period.month)]
    if not due:
        return chunk
    rules = pack.rules_on(period.month.first)
    people = population(due, period, run.month)
    result = columns.compute(rules, run.kind, period, people)
    staff_kinds = people.facts.texts[rules.staff_kind_input]
    shown = [name for name in order(rules) if name in result.amounts]
    for row, payee in enumerate(due):
        reason = columns.REASONS[int(result.reason[row])]
        if reason:
            chunk.leave_out(payee, reason, SENTENCES[reason])
        elif result.paid[row]:
            staff_kind = staff_kinds.words[int(staff_kinds.codes[result.reference[row]])]
            _add(chunk, run, rules, result, shown, payee, row, staff_kind)
    left_out = set(chunk.exceptions["employee_id"])
    for employee_id, claim in (claims or {}).items():
        if employee_id not in left_out:
            chunk.note(employee_id, claim)
    return chunk


def _add(
    chunk: Chunk,
    run: Run,
    rules: RuleSet,
    result: columns.Result,
    shown: Sequence[str],
    payee: Payee,
    row: int,
    staff_kind: str,
) -> None:
    amounts = {name: int(result.amounts[name][row]) for name in shown if result.amounts[name][row]}
    lines: dict[str, UUID | None] = {}
    for name in amounts:
        borne = result.sides[name] is not Side.DEDUCTION
        lines[name] = payee.funding.get((run.fiscal_year, name)) if borne else None
        if borne and lines[name] is None:
            message = f"{name} of {run.fiscal_year}: {SENTENCES['NO_BUDGET_LINE']}"
            chunk.leave_out(payee, "NO_BUDGET_LINE", message)
            return
    payslip_id = derived_id("hr.payslip", run.payroll_run_id, payee.employee_id)
    minor = rules.unit_minor
    _append(
        chunk.payslips,
        payslip_id=payslip_id,
        employee_id=payee.employee_id,
        person_id=payee.person_id,
        position_id=payee.position_id,
        staff_kind=staff_kind,
        gross_minor=int(result.gross[row]) * minor + _side(payee, Side.EARNING),
        tax_allowance_minor=int(result.tax_allowance[row]) * minor,
        deductions_minor=int(result.deductions[row]) * minor + _side(payee, Side.DEDUCTION),
        net_minor=(int(result.net[row]) + payee.retro.net) * minor,
        employer_parts_minor=int(result.employer_parts[row]) * minor + _side(payee, Side.EMPLOYER_PART),
        taxable_minor=int(result.taxable[row]) * minor,
        tax_minor=int(result.tax[row]) * minor,
        deductible_minor=int(result.deductible[row]) * minor,
    )
    own = [
        Line(name, result.sides[name], amount * minor, rules.creditor(name, staff_kind) or "", lines[name])
        for name, amount in amounts.items()
    ]
    for line_no, line in enumerate([*own, *payee.retro.lines], start=1):
        month = line.for_month or run.month
        _append(
            chunk.lines,
            payslip_id=payslip_id,
            line_no=line_no,
            employee_id=payee.employee_id,
            component=line.component,
            side=line.side.value,
            amount_minor=line.amount,
            for_year=month.year,
            for_month=month.month,
            budget_line_id=line.budget_line_id,
            creditor=line.creditor,
        )


def _side(payee: Payee, side: Side) -> int:
    """What corrections add to one side of the payslip, in minor units."""
    return sum(line.amount for line in payee.retro.lines if line.side is side)
