"""Between the wire and payroll."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.dates import Month
from chassis.money import Money
from chassis.wire import from_date, resource_name, to_date, to_money, to_timestamp, to_uuid
from kelola.finance.v1 import payables_events_pb2, payables_pb2
from kelola.hr.v1 import payroll_events_pb2 as events_pb2
from kelola.hr.v1 import payroll_pb2, refusal_pb2
from services.hr.payroll.domain import (
    Line,
    Payment,
    PayrollRunApproved,
    PayrollRunCancelled,
    PayrollRunComputed,
    PayrollRunPaid,
    PayrollRunRefused,
    Posting,
    Run,
)
from services.hr.payroll.rules import PayKind, Side
from services.hr.position.wire import whole_minor
from services.hr.versions import etag_of

RUNS, PAYSLIPS = "payrollRuns", "payslips"
_KIND, _STATE, _SIDE = "PAYROLL_KIND_", "PAYROLL_RUN_STATE_", "PAYSLIP_SIDE_"


def pay_kind(number: int) -> PayKind:
    """The kind of its enum number; never the unspecified one."""
    return PayKind(payroll_pb2.PayrollKind.Name(number).removeprefix(_KIND))


def _kind_number(kind: PayKind | str) -> int:
    name = kind.value if isinstance(kind, PayKind) else kind
    return int(payroll_pb2.PayrollKind.Value(_KIND + name))


def _side_number(side: Side | str) -> int:
    name = side.value if isinstance(side, Side) else side
    return int(payroll_pb2.PayslipSide.Value(_SIDE + name))


def month_of(run: payroll_pb2.PayrollRun) -> Month:
    """The month that a run is asked for."""
    return Month(run.year, run.month)


def progress_message(run: Run) -> payroll_pb2.PayrollRunProgress:
    """How far a run is."""
    return payroll_pb2.PayrollRunProgress(
        payroll_run_id=str(run.payroll_run_id),
        employees_done=run.employees_done,
        employees_total=run.employees_total,
    )


def run_message(run: Run, totals: Iterable[Line] = ()) -> payroll_pb2.PayrollRun:
    """The run as callers see it."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, run.currency))

    sums = run.totals
    message = payroll_pb2.PayrollRun(
        name=resource_name(RUNS, run.payroll_run_id),
        payroll_run_id=str(run.payroll_run_id),
        agency_id=str(run.agency_id),
        number=run.number,
        kind=_kind_number(run.kind),
        year=run.month.year,
        month=run.month.month,
        fiscal_year=run.fiscal_year,
        state=payroll_pb2.PayrollRunState.Value(_STATE + run.state.value),
        known_at=to_timestamp(run.known_at),
        rounding=run.rounding,
        payslip_count=sums.payslips,
        exception_count=sums.exceptions,
        gross=money(sums.gross),
        tax_allowance=money(sums.tax_allowance),
        deductions=money(sums.deductions),
        net=money(sums.net),
        employer_parts=money(sums.employer_parts),
        paid=money(run.paid),
        totals=[
            payroll_pb2.PayrollTotal(
                component=line.component,
                side=_side_number(line.side),
                budget_line_id=str(line.budget_line_id or ""),
                creditor=line.creditor,
                amount=money(line.amount),
            )
            for line in totals
        ],
        created_by_person_id=str(run.created_by),
        approved_by_person_id=str(run.approved_by or ""),
        journal_entry_id=str(run.journal_entry_id or ""),
        etag=etag_of(run.version),
    )
    if run.refusal is not None:
        kept = run.refusal
        message.refusal.CopyFrom(refusal_pb2.Refusal(reason=kept.reason, message=kept.message, figures=kept.figures))
    return message


def payslip_message(row: Any, currency: str, lines: Sequence[Any] = ()) -> payroll_pb2.Payslip:
    """A payslip's row, and its line rows, as callers see them."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, currency))

    return payroll_pb2.Payslip(
        name=resource_name(PAYSLIPS, row.payslip_id),
        payslip_id=str(row.payslip_id),
        payroll_run_id=str(row.payroll_run_id),
        agency_id=str(row.agency_id),
        employee_id=str(row.employee_id),
        person_id=str(row.person_id),
        position_id=str(row.position_id),
        kind=_kind_number(row.kind),
        year=row.year,
        month=row.month,
        gross=money(row.gross_minor),
        tax_allowance=money(row.tax_allowance_minor),
        deductions=money(row.deductions_minor),
        net=money(row.net_minor),
        employer_parts=money(row.employer_parts_minor),
        lines=[
            payroll_pb2.PayslipLine(
                component=line.component,
                side=_side_number(line.side),
                amount=money(line.amount_minor),
                for_year=line.for_year,
                for_month=line.for_month,
                budget_line_id=str(line.budget_line_id or ""),
                creditor=line.creditor,
            )
            for line in lines
        ],
    )


def exception_message(row: Any, currency: str) -> payroll_pb2.PayrollException:
    """A left-out employment, or a claim, as callers see it."""
    return payroll_pb2.PayrollException(
        employee_id=str(row.employee_id),
        reason=row.reason,
        message=row.message,
        left_out=row.left_out,
        claim=to_money(Money(row.amount_minor, currency)),
    )


def acceptance_request(run: Run, posting: Posting) -> payables_pb2.AcceptPayrollRequest:
    """What finance is asked to accept."""
    assert run.effective_on is not None, "an approved run has its day"

    def money(minor: int) -> Any:
        return to_money(Money(minor, run.currency))

    return payables_pb2.AcceptPayrollRequest(
        agency_id=str(run.agency_id),
        payroll_run_id=str(run.payroll_run_id),
        payroll_run_number=run.number,
        charges=[
            payables_pb2.PayrollCharge(
                position_document_line_id=str(charge.document_line_id or ""),
                budget_line_id=str(charge.budget_line_id),
                amount=money(charge.amount),
                component_code=charge.component,
                employer_creditor_code=charge.creditor,
            )
            for charge in posting.charges
        ],
        net=money(posting.net),
        withholdings=[
            payables_pb2.Withholding(withholding_code=creditor, amount=money(minor))
            for creditor, minor in sorted(posting.withheld.items())
            if minor
        ],
        effective_on=to_date(run.effective_on),
        due_on=to_date(run.effective_on),
    )


def payments(message: payables_events_pb2.PaymentMade, currency: str) -> list[Payment]:
    """What a payment order paid of payroll runs, runs in a fixed order."""
    sums: dict[UUID, int] = {}
    for index, item in enumerate(message.items):
        if item.source_kind == payables_events_pb2.PAYMENT_SOURCE_KIND_PAYROLL_RUN:
            run_id = to_uuid(item.source_document_id, f"items[{index}].source_document_id")
            amount = whole_minor(item.amount, f"items[{index}].amount", currency)
            sums[run_id] = sums.get(run_id, 0) + amount
    if not sums:
        return []
    order_id, day = to_uuid(message.payment_order_id, "payment_order_id"), from_date(message.value_date, "value_date")
    return [
        Payment(run_id, order_id, amount, day) for run_id, amount in sorted(sums.items(), key=lambda one: one[0].int)
    ]


def _envelope(run: Run, message: Any) -> outbox.Envelope:
    return outbox.Envelope(message, run.payroll_run_id, run.agency_id, run.version)


def _who(run: Run) -> dict[str, str]:
    return {"payroll_run_id": str(run.payroll_run_id), "agency_id": str(run.agency_id)}


def _what(run: Run) -> dict[str, Any]:
    return {**_who(run), "kind": _kind_number(run.kind), "year": run.month.year, "month": run.month.month}


@outbox.translates(PayrollRunComputed)
def _(event: PayrollRunComputed) -> outbox.Envelope:
    totals = event.run.totals
    return _envelope(
        event.run,
        events_pb2.PayrollRunComputed(
            **_what(event.run), payslip_count=totals.payslips, exception_count=totals.exceptions
        ),
    )


@outbox.translates(PayrollRunApproved)
def _(event: PayrollRunApproved) -> outbox.Envelope:
    totals = event.run.totals
    return _envelope(
        event.run,
        events_pb2.PayrollRunApproved(
            **_what(event.run),
            gross=to_money(Money(totals.gross, event.run.currency)),
            net=to_money(Money(totals.net, event.run.currency)),
            employer_parts=to_money(Money(totals.employer_parts, event.run.currency)),
        ),
    )


@outbox.translates(PayrollRunRefused)
def _(event: PayrollRunRefused) -> outbox.Envelope:
    reason = event.run.refusal.reason if event.run.refusal else ""
    return _envelope(event.run, events_pb2.PayrollRunRefused(**_who(event.run), reason=reason))


@outbox.translates(PayrollRunPaid)
def _(event: PayrollRunPaid) -> outbox.Envelope:
    paid = to_money(Money(event.run.paid, event.run.currency))
    return _envelope(event.run, events_pb2.PayrollRunPaid(**_who(event.run), paid=paid))


@outbox.translates(PayrollRunCancelled)
def _(event: PayrollRunCancelled) -> outbox.Envelope:
    return _envelope(event.run, events_pb2.PayrollRunCancelled(**_who(event.run)))
