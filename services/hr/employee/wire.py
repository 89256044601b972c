"""Between the wire and employments."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_timestamp,
    resource_name,
    to_date,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.hr.v1 import employee_pb2, refusal_pb2
from kelola.hr.v1 import employment_events_pb2 as events_pb2
from services.hr.employee.domain import (
    CommitmentItem,
    Employee,
    EmployeeChanged,
    EmployeeHired,
    EmployeeHireRefused,
    EmployeeSeparated,
    PayFacts,
    State,
    Version,
)
from services.hr.employee.domain import Refusal as KeptRefusal
from services.hr.position.wire import staff_kind, staff_kind_number, whole_minor
from services.hr.versions import etag_of

COLLECTION = "employees"
_STATE = "EMPLOYEE_STATE_"
# What a mask may name -> the fields of PayFacts that it changes.
_FACTS = {
    "staff_kind": ("staff_kind",),
    "grade": ("grade",),
    "service_years": ("service_years",),
    "spouse_allowance": ("spouse_allowance",),
    "children_with_allowance": ("children_with_allowance",),
    "tax_status": ("tax_status",),
    "contract_pay": ("contract_pay_minor",),
    "bank_account": ("bank_code", "bank_account_masked"),
}


def facts(message: employee_pb2.EmployeeFacts, currency: str, *, field: str, partial: bool = False) -> PayFacts:
    """The facts given. With `partial` only those that a mask names are looked at, so none is missing."""
    if not partial and not message.staff_kind:
        raise InvalidArgument.field(f"{field}.staff_kind", "needed")
    pay = 0
    if message.HasField("contract_pay"):
        pay = whole_minor(message.contract_pay, f"{field}.contract_pay", currency)
    return PayFacts(
        # An unnamed kind of a partial change is never read; any member stands in for it.
        staff_kind=staff_kind(message.staff_kind or 1),
        grade=message.grade,
        service_years=message.service_years,
        spouse_allowance=message.spouse_allowance,
        children_with_allowance=message.children_with_allowance,
        tax_status=message.tax_status,
        contract_pay_minor=pay,
        bank_code=message.bank_account.bank_code,
        bank_account_masked=message.bank_account.masked_number,
    )


def new_employee(message: employee_pb2.Employee, employee_id: UUID, hired_by: UUID) -> Employee:
    """The employment to create."""
    hired_on = from_date(message.hired_on, "employee.hired_on")
    paid_from = from_date(message.paid_from, "employee.paid_from") if message.HasField("paid_from") else hired_on
    return Employee(
        employee_id=employee_id,
        agency_id=to_uuid(message.agency_id, "employee.agency_id"),
        person_id=to_uuid(message.person_id, "employee.person_id"),
        position_id=to_uuid(message.position_id, "employee.position_id"),
        employee_number=message.employee_number,
        hired_on=hired_on,
        paid_from=paid_from,
        hired_by=hired_by,
    )


def changes(request: employee_pb2.ChangeEmployeeRequest, currency: str) -> dict[str, object]:
    """The facts that the mask names, with their new values."""
    paths = list(request.update_mask.paths)
    if not paths:
        raise InvalidArgument.field("update_mask", "name the facts that change")
    given = facts(request.facts, currency, field="facts", partial=True)
    changed: dict[str, object] = {}
    for path in paths:
        if path not in _FACTS:
            raise InvalidArgument.field(
                "update_mask", f"{path!r} is no fact that can change; there are {', '.join(_FACTS)}"
            )
        if path == "staff_kind" and not request.facts.staff_kind:
            raise InvalidArgument.field("facts.staff_kind", "needed")
        changed.update({name: getattr(given, name) for name in _FACTS[path]})
    return changed


def optional_date(message: object, name: str) -> date | None:
    """A day that may be unset."""
    return from_date(getattr(message, name), name) if message.HasField(name) else None  # type: ignore[attr-defined]  # a field that its descriptor has


def optional_instant(message: object, name: str) -> datetime | None:
    """An instant that may be unset."""
    return from_timestamp(getattr(message, name), name) if message.HasField(name) else None  # type: ignore[attr-defined]  # a field that its descriptor has


def state(number: int) -> State | None:
    """The state of its enum number; None for the unspecified one."""
    return State(employee_pb2.EmployeeState.Name(number).removeprefix(_STATE)) if number else None


def refusal_message(kept: KeptRefusal) -> refusal_pb2.Refusal:
    """A kept refusal as callers see it."""
    return refusal_pb2.Refusal(reason=kept.reason, message=kept.message, figures=kept.figures)


def _facts_message(version: Version, currency: str) -> employee_pb2.EmployeeFacts:
    held = version.facts
    message = employee_pb2.EmployeeFacts(
        valid_from=to_date(version.valid_from),
        known_from=to_timestamp(version.known_from),
        staff_kind=staff_kind_number(held.staff_kind),
        grade=held.grade,
        service_years=held.service_years,
        spouse_allowance=held.spouse_allowance,
        children_with_allowance=held.children_with_allowance,
        tax_status=held.tax_status,
    )
    if version.valid_to is not None:
        message.valid_to.CopyFrom(to_date(version.valid_to))
    if version.known_to is not None:
        message.known_to.CopyFrom(to_timestamp(version.known_to))
    if held.contract_pay_minor:
        message.contract_pay.CopyFrom(to_money(Money(held.contract_pay_minor, currency)))
    if held.bank_code:
        message.bank_account.CopyFrom(
            employee_pb2.BankAccount(bank_code=held.bank_code, masked_number=held.bank_account_masked)
        )
    return message


def employee_message(
    employee: Employee, version: Version | None, commitment: list[CommitmentItem], currency: str
) -> employee_pb2.Employee:
    """The employment as callers see it."""
    message = employee_pb2.Employee(
        name=resource_name(COLLECTION, employee.employee_id),
        employee_id=str(employee.employee_id),
        agency_id=str(employee.agency_id),
        person_id=str(employee.person_id),
        position_id=str(employee.position_id),
        employee_number=employee.employee_number,
        hired_on=to_date(employee.hired_on),
        paid_from=to_date(employee.paid_from),
        state=employee_pb2.EmployeeState.Value(_STATE + employee.state.value),
        commitment=[
            employee_pb2.CommitmentItem(
                fiscal_year=item.fiscal_year,
                budget_line_id=str(item.budget_line_id),
                open=to_money(Money(item.open, currency)),
                used=to_money(Money(item.used, currency)),
            )
            for item in commitment
        ],
        etag=etag_of(employee.version),
    )
    if employee.separated_on is not None:
        message.separated_on.CopyFrom(to_date(employee.separated_on))
    if version is not None:
        message.facts.CopyFrom(_facts_message(version, currency))
    if employee.refusal is not None:
        message.refusal.CopyFrom(refusal_message(employee.refusal))
    return message


@outbox.translates(EmployeeHired)
def _(event: EmployeeHired) -> outbox.Envelope:
    employee = event.employee
    message = events_pb2.EmployeeHired(
        employee_id=str(employee.employee_id),
        agency_id=str(employee.agency_id),
        person_id=str(employee.person_id),
        position_id=str(employee.position_id),
        staff_kind=staff_kind_number(event.staff_kind),
        hired_on=to_date(employee.hired_on),
        commitment=to_money(Money(event.commitment, event.currency)),
    )
    return outbox.Envelope(message, employee.employee_id, employee.agency_id, employee.version)


@outbox.translates(EmployeeHireRefused)
def _(event: EmployeeHireRefused) -> outbox.Envelope:
    employee = event.employee
    message = events_pb2.EmployeeHireRefused(
        employee_id=str(employee.employee_id),
        agency_id=str(employee.agency_id),
        position_id=str(employee.position_id),
        reason=employee.refusal.reason if employee.refusal else "",
    )
    return outbox.Envelope(message, employee.employee_id, employee.agency_id, employee.version)


@outbox.translates(EmployeeChanged)
def _(event: EmployeeChanged) -> outbox.Envelope:
    employee = event.employee
    message = events_pb2.EmployeeChanged(
        employee_id=str(employee.employee_id),
        agency_id=str(employee.agency_id),
        effective_on=to_date(event.effective_on),
    )
    return outbox.Envelope(message, employee.employee_id, employee.agency_id, employee.version)


@outbox.translates(EmployeeSeparated)
def _(event: EmployeeSeparated) -> outbox.Envelope:
    employee = event.employee
    assert employee.separated_on is not None, "a separated employment has its day"
    message = events_pb2.EmployeeSeparated(
        employee_id=str(employee.employee_id),
        agency_id=str(employee.agency_id),
        position_id=str(employee.position_id),
        separated_on=to_date(employee.separated_on),
    )
    return outbox.Envelope(message, employee.employee_id, employee.agency_id, employee.version)
