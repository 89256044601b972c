"""Employments and their facts. Facts are bitemporal: `[valid_from, valid_to)` × `[known_from, known_to)`.

A change or correction closes what was known and adds what is known now; nothing is overwritten, so that a payroll
run can be told what it knew (domain rules §7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.dates import Month
from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.hr.position.domain import StaffKind


class PersonEmployed(AlreadyExists):
    """The person has an employment in the agency, or waits for one."""

    reason = "PERSON_EMPLOYED"


class EmployeeNumberTaken(AlreadyExists):
    """The agency's staff register has that number."""

    reason = "EMPLOYEE_NUMBER_TAKEN"


class EmployeeState(FailedPrecondition):
    """The employment's state does not allow the act."""

    reason = "EMPLOYEE_STATE"


class PayUnknown(FailedPrecondition):
    """The pay that these facts give cannot be computed, so it cannot be funded."""

    reason = "PAY_UNKNOWN"


class State(Enum):
    """Where an employment stands."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    REFUSED = "REFUSED"
    SEPARATING = "SEPARATING"
    SEPARATED = "SEPARATED"


@dataclass(frozen=True)
class PayFacts:
    """The facts that decide pay. `contract_pay_minor` is a month's, 0 for all but contract staff."""

    staff_kind: StaffKind
    grade: str
    service_years: int
    spouse_allowance: bool
    children_with_allowance: int
    tax_status: str
    contract_pay_minor: int
    bank_code: str
    bank_account_masked: str


@dataclass(frozen=True)
class Version:
    """Facts that held on `[valid_from, valid_to)` as known on `[known_from, known_to)`."""

    fact_id: UUID
    valid_from: date
    valid_to: date | None
    known_from: datetime
    known_to: datetime | None
    facts: PayFacts
    document_number: str = ""

    def known_at(self, instant: datetime | None) -> bool:
        """Whether this was believed at `instant` (None: now)."""
        if instant is None:
            return self.known_to is None
        return self.known_from <= instant and (self.known_to is None or instant < self.known_to)

    def holds_on(self, day: date) -> bool:
        """Whether it says something about `day`."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class NewVersion:
    """Facts to be added, known from now on."""

    valid_from: date
    valid_to: date | None
    facts: PayFacts


@dataclass(frozen=True)
class Amendment:
    """What a change does to the record: which versions are no longer believed, and which are added."""

    closed: tuple[UUID, ...]
    added: tuple[NewVersion, ...]


def as_known(versions: Sequence[Version], known_at: datetime | None = None) -> list[Version]:
    """The versions believed at an instant (None: now), in order of days."""
    return sorted((v for v in versions if v.known_at(known_at)), key=lambda v: v.valid_from)


def held_on(versions: Sequence[Version], day: date, known_at: datetime | None = None) -> Version | None:
    """What was believed of `day` at an instant (None: now)."""
    return next((v for v in versions if v.known_at(known_at) and v.holds_on(day)), None)


def amend(
    versions: Sequence[Version], changes: Mapping[str, object], valid_from: date, valid_to: date | None
) -> Amendment:
    """Change facts on `[valid_from, valid_to)` and leave every other day as it is believed now."""
    end = valid_to or date.max
    closed: list[UUID] = []
    added: list[NewVersion] = []
    for version in as_known(versions):
        start, stop = max(version.valid_from, valid_from), min(version.valid_to or date.max, end)
        changed = replace(version.facts, **changes)  # type: ignore[arg-type]  # named fields, typed by the caller
        if start >= stop or changed == version.facts:
            continue
        closed.append(version.fact_id)
        if version.valid_from < start:
            added.append(NewVersion(version.valid_from, start, version.facts))
        added.append(NewVersion(start, None if stop == date.max else stop, changed))
        if version.valid_to != (None if stop == date.max else stop):
            added.append(NewVersion(stop, version.valid_to, version.facts))
    return Amendment(tuple(closed), tuple(added))


def check_facts(facts: PayFacts, *, unit_minor: int) -> None:
    """Refuse facts that no rule could make sense of."""
    contract = facts.staff_kind is StaffKind.CONTRACT
    if contract == bool(facts.grade):
        raise InvalidArgument.field("facts.grade", "contract staff have no grade, and everybody else has one")
    if contract != bool(facts.contract_pay_minor):
        raise InvalidArgument.field("facts.contract_pay", "contract staff have agreed pay, and nobody else has")
    if facts.contract_pay_minor < 0 or facts.contract_pay_minor % unit_minor:
        raise InvalidArgument.field("facts.contract_pay", "not a whole amount above zero")
    if not facts.tax_status:
        raise InvalidArgument.field("facts.tax_status", "needed, for instance TK/0 or K/1")


@dataclass(frozen=True)
class Refusal:
    """Why another service said no, with its figures."""

    reason: str
    message: str
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CommitmentItem:
    """What an employment has obligated on a budget line: open, and used by approved runs. Minor units."""

    fiscal_year: int
    budget_line_id: UUID
    document_line_id: UUID
    open: int
    used: int = 0


@dataclass(frozen=True)
class Planned:
    """What a document line is to have obligated, phased by month. Minor units."""

    fiscal_year: int
    budget_line_id: UUID
    document_line_id: UUID
    schedule: Mapping[Month, int]

    @property
    def amount(self) -> int:
        """Σ schedule."""
        return sum(self.schedule.values())


@dataclass(frozen=True)
class Employee:
    """One employment. `paid_from` is the first day that this system pays for."""

    employee_id: UUID
    agency_id: UUID
    person_id: UUID
    position_id: UUID
    employee_number: str
    hired_on: date
    paid_from: date
    hired_by: UUID
    separated_on: date | None = None
    state: State = State.PENDING
    refusal: Refusal | None = None
    version: int = 1

    def require(self, *states: State) -> None:
        """Refuse unless the employment is in one of these states."""
        if self.state not in states:
            wanted = " or ".join(state.value for state in states)
            raise EmployeeState(
                f"employment {self.employee_number} is {self.state.value}; that needs {wanted}",
                metadata={"state": self.state.value, "employee_id": str(self.employee_id)},
            )

    def next(self, state: State, **changes: object) -> Employee:
        """The employment in another state, one version on."""
        return replace(self, state=state, version=self.version + 1, **changes)  # type: ignore[arg-type]  # named fields, typed by the caller


@dataclass(frozen=True)
class EmployeeHired:
    """An employment became active. `commitment` is what was obligated, in minor units."""

    employee: Employee
    staff_kind: StaffKind
    commitment: int
    currency: str


@dataclass(frozen=True)
class EmployeeHireRefused:
    """A hire was refused."""

    employee: Employee


@dataclass(frozen=True)
class EmployeeChanged:
    """Facts changed from a day on."""

    employee: Employee
    effective_on: date


@dataclass(frozen=True)
class EmployeeSeparated:
    """An employment ended and its rest was released."""

    employee: Employee


def check_hire(employee: Employee) -> None:
    """Refuse days out of order."""
    if employee.paid_from < employee.hired_on:
        raise InvalidArgument.field("employee.paid_from", "before the first day of service")


def activate(employee: Employee) -> Employee:
    """The employment funded and in force."""
    employee.require(State.PENDING)
    return employee.next(State.ACTIVE, refusal=None)


def refuse(employee: Employee, refusal: Refusal) -> Employee:
    """The employment not hired."""
    employee.require(State.PENDING)
    return employee.next(State.REFUSED, refusal=refusal)


def check_span(employee: Employee, effective_on: date, effective_until: date | None) -> None:
    """Refuse a change of days outside the service."""
    employee.require(State.ACTIVE)
    if effective_on < employee.hired_on:
        raise InvalidArgument.field("effective_on", f"before the first day of service, {employee.hired_on}")
    if effective_until is not None and effective_until <= effective_on:
        raise InvalidArgument.field("effective_until", "not after effective_on")


def separate(employee: Employee, separated_on: date) -> Employee:
    """The employment ended from that day on; its release is under way."""
    employee.require(State.ACTIVE)
    if separated_on <= employee.hired_on:
        raise InvalidArgument.field("separated_on", f"not after the first day of service, {employee.hired_on}")
    return employee.next(State.SEPARATING, separated_on=separated_on, refusal=None)


def separated(employee: Employee) -> Employee:
    """The employment ended and released."""
    employee.require(State.SEPARATING)
    return employee.next(State.SEPARATED)
