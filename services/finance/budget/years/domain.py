"""A contract of several years: yearly slices that add up to its price, under an authorisation with a ceiling. Pure.

Domain rules §2, several years: only the current year's slice obligates a line; later slices wait, and are obligated as
the first act of their year's opening, before anybody else. A slice without budget is a listed exception, never dropped
(N6: price 900, slices 300/400/200). A project's line outlives its year, and its authority is there for all of its span
(`budget/span.py`): the slices of the years to its last, one or several, are obligated on it at once.

Ceiling, price and slices are in the contract's currency; R and O are at the rate of their date, so each slice becomes
O at the rate of the day on which it is obligated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import Money, total
from services.finance.budget.domain import Line, SamePerson
from services.finance.classification.fiscal_calendar import FiscalCalendar


class AuthorisationStatus(Enum):
    """Where a multi-year authorisation stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class AuthorisationInvalid(InvalidArgument):
    """The authorisation says something that no contract could be."""

    reason = "MULTI_YEAR_AUTHORISATION_INVALID"


class AuthorisationNotProposed(FailedPrecondition):
    """The authorisation was decided or recalled already."""

    reason = "MULTI_YEAR_AUTHORISATION_NOT_PROPOSED"


class NotTheProposer(FailedPrecondition):
    """Only who proposed a document may recall it."""

    reason = "NOT_THE_PROPOSER"


class ContractAuthorised(AlreadyExists):
    """The contract, or the number, has an authorisation."""

    reason = "MULTI_YEAR_AUTHORISATION_EXISTS"


@dataclass(frozen=True)
class Slice:
    """One year's part of the price. Obligated on `budget_line_id` since `obligated_on`, or waiting; `exception` says
    why its year's opening could not obligate it."""

    fiscal_year: int
    amount: int
    document_line_id: UUID
    budget_line_id: UUID | None = None
    obligated_on: date | None = None
    exception: str = ""


@dataclass(frozen=True)
class Authorisation:
    """One document: a contract, its ceiling, price and slices, in minor units."""

    multi_year_authorisation_id: UUID
    agency_id: UUID
    document_number: str
    legal_reference: str
    explanation: str
    contract_id: UUID
    contract_number: str
    currency: str
    ceiling: int
    price: int
    effective_on: date
    slices: tuple[Slice, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: AuthorisationStatus = AuthorisationStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    version: int = 1

    @property
    def future(self) -> int:
        """What is not obligated yet."""
        if self.status is not AuthorisationStatus.APPROVED:
            return 0
        return total(one.amount for one in self.slices if one.obligated_on is None)


def check_form(authorisation: Authorisation, first: Line | None, calendar: FiscalCalendar) -> None:
    """Refuse slices that are no several years, do not add up to the price, or a price above the ceiling.

    `first` is the line of the first slice, None when it names none: one slice is enough where that reaches into a later
    year, since it may be used up in any of its years.
    """

    def money(minor: int) -> str:
        return str(Money(minor, authorisation.currency))

    years = [one.fiscal_year for one in authorisation.slices]
    if sorted(set(years)) != years:
        raise AuthorisationInvalid(f"slices of the years {years}: name each year once, in order")
    if calendar.year_of(authorisation.effective_on) != years[0]:
        raise AuthorisationInvalid(f"it begins on {authorisation.effective_on}, its first slice is of {years[0]}")
    if first is None:
        raise AuthorisationInvalid("the first slice names the budget line that pays it")
    if not first.covers(years[0]):
        raise AuthorisationInvalid(
            f"the first slice is of {years[0]}, its budget line of {first.fiscal_year} to {first.last_year}"
        )
    if len(years) < 2 and first.last_year <= years[0]:
        raise AuthorisationInvalid(
            f"one slice, of {years[0]}, on a budget line that ends with {first.last_year}: name at least two years; "
            "one slice is enough on a project's line, which reaches into a later year"
        )
    if any(one.amount <= 0 for one in authorisation.slices):
        raise AuthorisationInvalid("every slice is above zero")
    found = total(one.amount for one in authorisation.slices)
    if found != authorisation.price:
        raise AuthorisationInvalid(f"the slices add up to {money(found)}, the price is {money(authorisation.price)}")
    if authorisation.price > authorisation.ceiling:
        raise AuthorisationInvalid(
            f"the price {money(authorisation.price)} is above the ceiling {money(authorisation.ceiling)}"
        )


def at_once(authorisation: Authorisation, part: Slice, line: Line) -> list[Slice]:
    """What is obligated on `line` when `part` of the authorisation is: it, and what waits of later years of the line.

    A later slice that names another line, or is of a year after the line's last, waits for its own year's opening.
    """
    return [
        replace(one, budget_line_id=line.budget_line_id)
        for one in authorisation.slices
        if one.fiscal_year == part.fiscal_year
        or (
            part.fiscal_year < one.fiscal_year <= line.last_year
            and one.obligated_on is None
            and one.budget_line_id in (None, line.budget_line_id)
        )
    ]


def obligated(authorisation: Authorisation, parts: Iterable[Slice], on: date) -> Authorisation:
    """The authorisation with these slices obligated since `on`: one change of it."""
    since = {part.fiscal_year: replace(part, obligated_on=on, exception="") for part in parts}
    slices = tuple(since.get(one.fiscal_year, one) for one in authorisation.slices)
    return replace(authorisation, slices=slices, version=authorisation.version + 1)


def decide(
    authorisation: Authorisation, status: AuthorisationStatus, *, by: UUID, at: datetime, reason: str = ""
) -> Authorisation:
    """Approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    number = authorisation.document_number
    if authorisation.status is not AuthorisationStatus.PROPOSED:
        raise AuthorisationNotProposed(
            f"authorisation {number} is {authorisation.status.value} since {authorisation.decided_at}",
            metadata={"document_number": number, "status": authorisation.status.value},
        )
    if status is AuthorisationStatus.RECALLED and by != authorisation.proposed_by:
        raise NotTheProposer(
            f"authorisation {number} was proposed by another person, who alone may recall it",
            metadata={"document_number": number},
        )
    if status is not AuthorisationStatus.RECALLED and by == authorisation.proposed_by:
        raise SamePerson(
            f"you proposed authorisation {number}: another person decides on it", metadata={"document_number": number}
        )
    return replace(
        authorisation,
        status=status,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
        version=authorisation.version + 1,
    )


def with_slice(authorisation: Authorisation, changed: Slice) -> Authorisation:
    """The authorisation with one year's slice as it stands now."""
    slices = tuple(changed if one.fiscal_year == changed.fiscal_year else one for one in authorisation.slices)
    return replace(authorisation, slices=slices, version=authorisation.version + 1)
