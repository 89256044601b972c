"""Acts of the budget law: lines come in, another person puts them in force (DPA), a third releases them (SPD)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import CurrencyMismatch, Money, total
from services.finance.approval import node_store
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import appropriation_store as store
from services.finance.budget import events, journals
from services.finance.budget.domain import AppropriationStatus, SamePerson
from services.finance.budget.span import Span, span_of
from services.finance.budget.years import store as years
from services.finance.budget.years import usecases as slices
from services.finance.classification import store as classification
from services.finance.classification.combinations import usecases as combinations
from services.finance.classification.pack import fiscal_calendar

# Who imports a code that the chart lacks must be able to read which ones.
_CODES_SHOWN = 50
# The kinds of accounts that a budget line may be keyed on.
_BUDGET_KINDS = ("EXPENDITURE", "FINANCING")


class ControlTotalMismatch(FailedPrecondition):
    """The lines do not add up to the totals that the caller states."""

    reason = "CONTROL_TOTAL_MISMATCH"


class AppropriationNotDraft(FailedPrecondition):
    """The appropriation is in force already, or was withdrawn."""

    reason = "APPROPRIATION_NOT_DRAFT"


class AppropriationNumberTaken(AlreadyExists):
    """The agency has an appropriation or release of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class AccountUnknown(FailedPrecondition):
    """Account codes that the chart does not have, or that take no postings."""

    reason = "ACCOUNT_UNKNOWN"


class BudgetLineConflict(AlreadyExists):
    """Two lines with equal segments and line number."""

    reason = "BUDGET_LINE_EXISTS"


class ParentInvalid(FailedPrecondition):
    """A parent that is not a draft line of this appropriation, or a line without a hard stop above it."""

    reason = "PARENT_INVALID"


class AllotmentAboveBudget(FailedPrecondition):
    """More would be released than the line's revised amount."""

    reason = "ALLOTMENT_ABOVE_BUDGET"


@dataclass(frozen=True)
class NewLine:
    """One budget line to import."""

    fund_code: str
    organisation_code: str
    program_code: str
    account_code: str
    function_code: str
    location_code: str
    project_code: str
    funding_source_code: str
    line_no: int
    display_name: str
    original: Money
    parent_id: UUID | None = None
    uncontrolled: bool = False
    # It only warns; such a line is no hard stop, and needs none above it.
    warning: bool = False


@dataclass(frozen=True)
class Import:
    """A batch of lines, and what they must add up to."""

    agency_id: UUID
    fiscal_year: int
    appropriation_id: UUID | None
    document_number: str
    lines: tuple[NewLine, ...]
    control_total: Money
    # The days of a project's span, [valid_from, valid_to), when the budget outlives its year.
    valid_from: date | None = None
    valid_to: date | None = None
    # Instead of the days: the span's last year, of whole years; 0 for none.
    last_year: int = 0


@dataclass(frozen=True)
class Appropriation:
    """One act that brings lines in."""

    appropriation_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    status: AppropriationStatus
    currency: str
    line_count: int
    total_minor: int
    version: int
    effective_on: date | None = None
    journal_entry_id: UUID | None = None
    span: Span | None = None


@dataclass(frozen=True)
class AllotmentOrder:
    """A release for a period: single lines, or a cumulative share of every line of a unit."""

    agency_id: UUID
    fiscal_year: int
    document_number: str
    month_from: int
    month_to: int
    effective_on: date
    lines: tuple[tuple[UUID, Money], ...] = ()
    organisation_code: str = ""
    cumulative_share: Fraction | None = None


@dataclass(frozen=True)
class Allotted:
    """What a release gave."""

    allotment_order_id: UUID
    line_count: int
    total: Money


def import_lines(session: Session, order: Import, *, person_id: UUID, at: datetime) -> tuple[Appropriation, list[UUID]]:
    """Add a batch to a draft appropriation, all or none; the appropriation and the new ids in the batch's order."""
    _check_batch(order)
    calendar = fiscal_calendar()
    span = span_of(
        order.valid_from,
        order.valid_to,
        last_year=order.last_year,
        fiscal_year=order.fiscal_year,
        calendar=calendar,
    )
    first_day = calendar.first_day(order.fiscal_year)
    check_accounts(session, {line.account_code for line in order.lines}, on=first_day)
    # A line without an amount may become a node, which holds nothing itself; all are judged when they come into force.
    given = {nth: line for nth, line in enumerate(order.lines) if line.original.minor}
    combinations.check_lines(session, given, on=first_day)
    if order.appropriation_id is None:
        if not order.document_number:
            raise InvalidArgument.field("document_number", "required when a new appropriation is opened")
        present = Appropriation(
            new_id(),
            order.agency_id,
            order.fiscal_year,
            order.document_number,
            AppropriationStatus.DRAFT,
            order.control_total.currency,
            0,
            0,
            0,
            span=span,
        )
        if not store.insert_appropriation(session, present):
            raise AppropriationNumberTaken(
                f"the agency has an appropriation {order.document_number} in {order.fiscal_year}; "
                "name its appropriation_id to add lines to it",
                metadata={"document_number": order.document_number},
            )
    else:
        present = lock(session, order.appropriation_id)
        _check_belongs(present, order)
        if span is not None and span != present.span:
            raise InvalidArgument.field("valid_to", f"appropriation {present.document_number} has another span")
    ids = [new_id() for _ in order.lines]
    _check_parents(session, present, order)
    clash = store.insert_lines(session, present, ids, order.lines)
    if clash is not None:
        raise BudgetLineConflict(
            f"unit {clash.organisation_code}, account {clash.account_code}, line_no {clash.line_no}: "
            "a line with these segments is there already; lines of equal segments need a line_no of their own",
            metadata={
                "organisation_code": clash.organisation_code,
                "account_code": clash.account_code,
                "line_no": str(clash.line_no),
            },
        )
    store.roll_up(session, present.appropriation_id, order.agency_id)
    store.insert_import(session, new_id(), present, len(ids), order.control_total.minor, person_id=person_id, at=at)
    grown = store.add_to_appropriation(session, present, len(ids), order.control_total.minor)
    # Whoever approved it so far has not seen these lines: its route begins anew with each batch.
    approval.renew(
        session,
        RoutedKind.APPROPRIATION,
        grown.appropriation_id,
        grown.agency_id,
        amount=Money(grown.total_minor, grown.currency),
        lines=lambda: node_store.of_appropriation(session, grown.appropriation_id),
        maker_person_id=person_id,
        at=at,
        on=max(first_day, at.date()),
    )
    return grown, ids


def activate(
    session: Session,
    appropriation_id: UUID,
    *,
    control_line_count: int,
    control_total: Money,
    effective_on: date,
    person_id: UUID,
    at: datetime,
) -> Appropriation:
    """Put a draft in force, after its route: lines ACTIVE, one APPROPRIATE movement a line, BUDGET Dr SAL / Cr APR."""
    present = lock_draft(session, appropriation_id, "put in force")
    if store.imported_by(session, appropriation_id, person_id):
        raise SamePerson(
            f"you imported lines of appropriation {present.document_number}: another person puts it in force",
            metadata={"document_number": present.document_number},
        )
    name = f"appropriation {present.document_number}"
    approval.passed(session, appropriation_id, name, person_id=person_id, step="put it in force")
    found = Money(present.total_minor, present.currency)
    if (present.line_count, found) != (control_line_count, control_total):
        raise ControlTotalMismatch(
            f"appropriation {present.document_number} has {present.line_count} lines of {found}, "
            f"the control totals say {control_line_count} lines of {control_total}",
            metadata={
                "line_count": str(present.line_count),
                "control_line_count": str(control_line_count),
                "total": str(found),
                "control_total": str(control_total),
            },
        )
    if fiscal_calendar().year_of(effective_on) != present.fiscal_year:
        raise InvalidArgument.field("effective_on", f"{effective_on} is not in the budget year {present.fiscal_year}")
    if present.span is not None and not present.span.holds(effective_on):
        raise InvalidArgument.field("effective_on", f"{effective_on} is before the span from {present.span.valid_from}")
    combinations.check_appropriation(session, appropriation_id, on=effective_on)
    # Contracts of several years are locked before lines, as everywhere, and obligated before anybody sees the lines.
    years.lock_waiting(session, present.agency_id, present.fiscal_year)
    by_fund = store.activate_lines(session, present)
    posted = journals.post_authority(
        session,
        agency_id=present.agency_id,
        document_id=appropriation_id,
        source_kind="APPROPRIATION",
        description=f"Appropriation {present.document_number} in force",
        by_fund=by_fund,
        currency=present.currency,
        effective_on=effective_on,
        person_id=person_id,
    )
    entry_id = posted.entry.journal_entry_id if posted else None
    store.insert_appropriate_movements(
        session,
        present,
        effective_on,
        person_id,
        entry_id,
        accounting_on=posted.accounting_on if posted else effective_on,
    )
    active = store.activate(session, present, effective_on, person_id, entry_id, at=at)
    outbox.emit(
        session,
        events.AppropriationChanged(
            active.appropriation_id,
            active.agency_id,
            active.fiscal_year,
            active.document_number,
            active.line_count,
            active.total_minor,
            active.currency,
            effective_on,
            active.version,
            active.span,
        ),
    )
    slices.open_year(session, active.agency_id, active.fiscal_year, on=effective_on, person_id=person_id)
    return active


def allot(session: Session, order: AllotmentOrder, *, person_id: UUID, at: datetime) -> Allotted:
    """Release funds for a period (SPD). Refused above a line's revised amount, and to whoever imported the lines."""
    if order.month_from > order.month_to:
        raise InvalidArgument.field("month_to", f"{order.month_to} is before month_from {order.month_from}")
    if bool(order.lines) == (order.cumulative_share is not None):
        raise InvalidArgument.field("lines", "give either lines or cumulative_share")
    share = order.cumulative_share
    if share is not None and not 0 < share <= 1:
        raise InvalidArgument.field("cumulative_share", "above 0 and at most 1")
    if fiscal_calendar().year_of(order.effective_on) != order.fiscal_year:
        raise InvalidArgument.field("effective_on", f"not in the budget year {order.fiscal_year}")
    named = {line_id for line_id, _ in order.lines}
    if len(named) != len(order.lines):
        raise InvalidArgument.field("lines", "a line is named twice")
    if any(amount.minor <= 0 for _, amount in order.lines):
        raise InvalidArgument.field("lines", "every amount is above zero")

    states = store.lock_for_allotment(
        session, order.agency_id, order.fiscal_year, named or None, order.organisation_code
    )
    missing = named - {state.budget_line_id for state in states}
    if missing:
        raise NotFound.resource(f"active budget line of {order.fiscal_year}", min(missing))
    if not states:
        raise NotFound.resource("active budget line of unit", order.organisation_code or order.agency_id)
    check_releaser(session, (state.appropriation_id for state in states), person_id)
    amounts = _amounts(order, states)
    currency = states[0].currency
    document_id = new_id()
    given = {line_id: minor for line_id, minor in amounts.items() if minor > 0}
    released = Money(total(given.values()), currency)
    if not store.insert_allotment(session, document_id, order, given, released, person_id=person_id, at=at):
        raise AppropriationNumberTaken(
            f"the agency has a release {order.document_number} in {order.fiscal_year}",
            metadata={"document_number": order.document_number},
        )
    outbox.emit(
        session,
        events.FundsAllotted(
            document_id,
            order.agency_id,
            order.fiscal_year,
            order.document_number,
            order.month_from,
            order.month_to,
            len(given),
            released.minor,
            currency,
        ),
    )
    return Allotted(document_id, len(given), released)


def lock(session: Session, appropriation_id: UUID) -> Appropriation:
    """The appropriation, locked; NOT_FOUND when the caller does not see it."""
    found = store.appropriation(session, appropriation_id, lock=True)
    if found is None:
        raise NotFound.resource("appropriation", appropriation_id)
    return found


def lock_draft(session: Session, appropriation_id: UUID, becomes: str) -> Appropriation:
    """The draft, locked; APPROPRIATION_NOT_DRAFT once it came into force or was withdrawn."""
    present = lock(session, appropriation_id)
    _check_draft(present, becomes)
    return present


def _check_draft(present: Appropriation, becomes: str) -> None:
    if present.status is not AppropriationStatus.DRAFT:
        raise AppropriationNotDraft(
            f"appropriation {present.document_number} is {present.status.value}; only a draft is {becomes}",
            metadata={"document_number": present.document_number, "status": present.status.value},
        )


def get(session: Session, appropriation_id: UUID) -> Appropriation:
    """The appropriation; NOT_FOUND when the caller does not see it."""
    found = store.appropriation(session, appropriation_id, lock=False)
    if found is None:
        raise NotFound.resource("appropriation", appropriation_id)
    return found


def _check_batch(order: Import) -> None:
    for nth, line in enumerate(order.lines):
        if line.original.minor < 0:
            raise InvalidArgument.field(f"lines[{nth}].original", "negative; zero is the least")
        if line.original.currency != order.control_total.currency:
            raise CurrencyMismatch(
                f"lines[{nth}] is in {line.original.currency}, the control total in {order.control_total.currency}",
                metadata={"left": line.original.currency, "right": order.control_total.currency},
            )
    found = Money(total(line.original.minor for line in order.lines), order.control_total.currency)
    if found != order.control_total:
        raise ControlTotalMismatch(
            f"the {len(order.lines)} lines add up to {found}, the control total says {order.control_total}",
            metadata={"total": str(found), "control_total": str(order.control_total)},
        )


def check_accounts(session: Session, codes: set[str], *, on: date) -> None:
    """Budget lines are keyed on accounts of expenditure or financing of the chart, never on accrual ones (rules §1)."""
    missing = sorted(codes - classification.postable_codes(session, codes, on, kinds=_BUDGET_KINDS))
    if missing:
        shown = ", ".join(missing[:_CODES_SHOWN])
        raise AccountUnknown(
            f"{len(missing)} account codes are no postable expenditure or financing accounts of the chart on {on}: "
            f"{shown}; add them under their parents, then import again",
            metadata={
                "account_codes": ",".join(missing[:_CODES_SHOWN]),
                "account_code_count": str(len(missing)),
            },
        )


def _check_belongs(present: Appropriation, order: Import) -> None:
    if present.agency_id != order.agency_id or present.fiscal_year != order.fiscal_year:
        raise InvalidArgument.field("appropriation_id", "belongs to another agency or year")
    _check_draft(present, "added to: an appropriation in force is changed by CreateBudgetChange")
    if present.currency != order.control_total.currency:
        raise CurrencyMismatch(
            f"appropriation {present.document_number} is in {present.currency}",
            metadata={"left": present.currency, "right": order.control_total.currency},
        )


def _check_parents(session: Session, present: Appropriation, order: Import) -> None:
    wanted = {line.parent_id for line in order.lines if line.parent_id is not None}
    parents = store.possible_parents(session, present.appropriation_id, wanted)
    for nth, line in enumerate(order.lines):
        if line.parent_id is None:
            if line.uncontrolled:
                raise ParentInvalid(f"lines[{nth}] has no parent that could control it; leave uncontrolled unset")
            continue
        parent = parents.get(line.parent_id)
        if parent is None:
            raise ParentInvalid(
                f"lines[{nth}]: parent {line.parent_id} is no line of this draft without an amount of its own",
                metadata={"parent_budget_line_id": str(line.parent_id)},
            )
        if line.uncontrolled and not parent.controlled:
            raise ParentInvalid(f"lines[{nth}]: nothing above it is a hard stop; leave uncontrolled unset")


def check_releaser(session: Session, appropriation_ids: Iterable[UUID | None], person_id: UUID) -> None:
    """Refuse a release by whoever imported the lines, or proposed the change that brought them in (trust I9)."""
    for appropriation_id in sorted({one for one in appropriation_ids if one is not None}):
        if store.imported_by(session, appropriation_id, person_id):
            raise SamePerson("you brought some of these budget lines in: another person releases them")


def _amounts(order: AllotmentOrder, states: Sequence[store.LineState]) -> dict[UUID, int]:
    by_id = {state.budget_line_id: state for state in states}
    if order.cumulative_share is not None:
        return {
            state.budget_line_id: Money(state.revised_minor, state.currency).times(order.cumulative_share).minor
            - state.allotted_minor
            for state in states
        }
    amounts: dict[UUID, int] = {}
    for line_id, amount in order.lines:
        state = by_id[line_id]
        if amount.currency != state.currency:
            raise CurrencyMismatch(
                f"budget line {line_id} is in {state.currency}",
                metadata={"left": amount.currency, "right": state.currency},
            )
        if state.allotted_minor + amount.minor > state.revised_minor:
            raise AllotmentAboveBudget(
                f"budget line {state.organisation_code} {state.account_code} ({line_id}): "
                f"{Money(state.allotted_minor, state.currency)} released, {amount} more is above the revised "
                f"{Money(state.revised_minor, state.currency)}",
                metadata={"budget_line_id": str(line_id)},
            )
        amounts[line_id] = amount.minor
    return amounts
