"""Ceilings: how much units may ask for, dated and versioned, and whether requests stay within them. Pure.

A ceiling document (KUA-PPAS; pagu indikatif) has heads: an organisation with a program and an account, each of which
may be left open. A head covers every line whose codes are its own or lie under them ("5.1" covers "5.1.02"), and binds
on its own: a line under three heads must fit into all three. Source: PP 12/2019 (KUA, PPAS; to verify by article).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import Money
from services.finance.budget.changes.domain import NotTheProposer
from services.finance.budget.domain import SamePerson

# Whoever is refused must be able to read who has the rest.
USERS_SHOWN = 3


class CeilingStatus(Enum):
    """Where a ceiling document stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class CeilingInvalid(InvalidArgument):
    """The document says something that no state of the preparation could take."""

    reason = "BUDGET_CEILING_INVALID"


class CeilingNotProposed(FailedPrecondition):
    """The document was decided or recalled already."""

    reason = "BUDGET_CEILING_NOT_PROPOSED"


class CeilingNumberTaken(AlreadyExists):
    """The agency has a ceiling document of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class CeilingOutOfOrder(FailedPrecondition):
    """A head would hold from an earlier day on than the version before it."""

    reason = "BUDGET_CEILING_OUT_OF_ORDER"


class CeilingBelowApproved(FailedPrecondition):
    """A head would be lower than what is approved of requests under it."""

    reason = "BUDGET_CEILING_BELOW_APPROVED"


class CeilingMissing(FailedPrecondition):
    """No ceiling is in force for a line."""

    reason = "BUDGET_CEILING_MISSING"


class CeilingExceeded(FailedPrecondition):
    """Requests would ask for more than a ceiling allows."""

    reason = "BUDGET_CEILING_EXCEEDED"


@dataclass(frozen=True)
class Place:
    """Where a line stands as ceilings see it; of a head, where it begins: an empty code is any."""

    organisation_code: str = ""
    program_code: str = ""
    account_code: str = ""

    def covers(self, other: Place) -> bool:
        """Whether `other` is this place or lies under it."""
        return (
            within(other.organisation_code, self.organisation_code)
            and within(other.program_code, self.program_code)
            and within(other.account_code, self.account_code)
        )

    def __str__(self) -> str:
        """As a clerk reads it."""
        parts = [
            f"{word} {code}"
            for word, code in (
                ("unit", self.organisation_code),
                ("program", self.program_code),
                ("account", self.account_code),
            )
            if code
        ]
        return ", ".join(parts) or "the whole agency"


def within(code: str, head: str) -> bool:
    """Whether a dotted code is `head` or lies under it; an empty head is above every code."""
    return not head or code == head or code.startswith(f"{head}.")


@dataclass(frozen=True)
class Head:
    """A limit on one place, in minor units: for the budget year, and for medium-term years where they are given."""

    budget_ceiling_head_id: UUID
    place: Place
    amounts: tuple[int, ...]
    # Given at the approval: 1 for the first version of this place, one more for each that follows.
    version_number: int = 0


@dataclass(frozen=True)
class Ceiling:
    """One ceiling document: proposed by one person, decided by another."""

    budget_ceiling_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    legal_reference: str
    explanation: str
    currency: str
    effective_on: date
    heads: tuple[Head, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: CeilingStatus = CeilingStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    version: int = 1


@dataclass(frozen=True)
class Limit:
    """A head of an approved document, with what is needed to say where it comes from."""

    head: Head
    document_number: str
    effective_on: date


@dataclass(frozen=True)
class Demand:
    """What one version of one request asks for at one place, in minor units: budget year, then medium-term years."""

    budget_request_id: UUID
    version_number: int
    document_number: str
    place: Place
    amounts: tuple[int, ...]


@dataclass(frozen=True)
class Usage:
    """What is asked for under one head: year by year in minor units, and which requests ask for it."""

    amounts: tuple[int, ...]
    by_request: Mapping[str, int] = field(default_factory=dict)


def check_form(ceiling: Ceiling, *, medium_term_years: int) -> None:
    """Refuse what is wrong whatever has been asked for."""
    if not ceiling.heads:
        raise CeilingInvalid("a ceiling document has at least one head")
    seen: set[Place] = set()
    for head in ceiling.heads:
        if head.place in seen:
            raise CeilingInvalid(f"{head.place} is named twice")
        seen.add(head.place)
        if min(head.amounts) < 0:
            raise CeilingInvalid(f"{head.place}: a ceiling is zero or more")
        if len(head.amounts) not in (1, 1 + medium_term_years):
            raise CeilingInvalid(
                f"{head.place}: {len(head.amounts) - 1} medium-term amounts; give none, or one for each of the "
                f"{medium_term_years} years after {ceiling.fiscal_year}"
            )


def decide(ceiling: Ceiling, status: CeilingStatus, *, by: UUID, at: datetime, reason: str = "") -> Ceiling:
    """The document approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    number = {"document_number": ceiling.document_number}
    if ceiling.status is not CeilingStatus.PROPOSED:
        raise CeilingNotProposed(
            f"ceiling {ceiling.document_number} is {ceiling.status.value} since {ceiling.decided_at}",
            metadata={**number, "status": ceiling.status.value},
        )
    if status is CeilingStatus.RECALLED:
        if by != ceiling.proposed_by:
            raise NotTheProposer(
                f"ceiling {ceiling.document_number} was proposed by another person, who alone may recall it",
                metadata=number,
            )
    elif by == ceiling.proposed_by:
        raise SamePerson(
            f"you proposed ceiling {ceiling.document_number}: another person decides on it", metadata=number
        )
    return replace(
        ceiling,
        status=status,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
        version=ceiling.version + 1,
    )


def numbered(ceiling: Ceiling, limits: Iterable[Limit]) -> Ceiling:
    """The document with the version of each of its heads; `limits` are all that were approved before it.

    Days of versions do not go back, so that the order of the versions is the order of their days.
    """
    last: dict[Place, Limit] = {}
    for limit in limits:
        known = last.get(limit.head.place)
        if known is None or known.head.version_number < limit.head.version_number:
            last[limit.head.place] = limit
    heads = []
    for head in ceiling.heads:
        before = last.get(head.place)
        if before is not None and ceiling.effective_on < before.effective_on:
            raise CeilingOutOfOrder(
                f"{head.place}: version {before.head.version_number} ({before.document_number}) holds from "
                f"{before.effective_on} on, this one would from {ceiling.effective_on}; name that day or a later one",
                metadata={"document_number": before.document_number, "effective_on": str(before.effective_on)},
            )
        heads.append(replace(head, version_number=before.head.version_number + 1 if before else 1))
    return replace(ceiling, heads=tuple(heads))


def binding(limits: Iterable[Limit], *, on: date) -> list[Limit]:
    """What binds whoever asks on a day: of each place the version in force, and every one that comes into force later.

    Later ones bind as well, so that what is approved today is not above a ceiling that is already known.
    """
    by_place: dict[Place, list[Limit]] = {}
    for limit in sorted(limits, key=lambda one: one.head.version_number):
        by_place.setdefault(limit.head.place, []).append(limit)
    bound: list[Limit] = []
    for versions in by_place.values():
        # A later version of the same day takes the earlier one's place.
        of_day = {one.effective_on: one for one in versions}
        past = [day for day in of_day if day <= on]
        bound += [one for day, one in of_day.items() if day > on or day == max(past, default=None)]
    return sorted(bound, key=lambda one: (str(one.head.place), one.head.version_number))


def usage(head: Head, demands: Iterable[Demand]) -> Usage:
    """What the demands ask for under a head.

    A request that has two versions on their way at once (an approved one, and its follower in review) counts with the
    greater of both, year by year: whichever of them stays, there is room for it.
    """
    versions: dict[tuple[str, UUID], dict[int, list[int]]] = {}
    years = len(head.amounts)
    for demand in demands:
        if head.place.covers(demand.place):
            sums = versions.setdefault((demand.document_number, demand.budget_request_id), {}).setdefault(
                demand.version_number, [0] * years
            )
            for nth in range(min(years, len(demand.amounts))):
                sums[nth] += demand.amounts[nth]
    greatest = {
        number: [max(column) for column in zip(*of_versions.values(), strict=True)]
        for (number, _), of_versions in versions.items()
    }
    return Usage(
        tuple(sum(column) for column in zip(*greatest.values(), strict=True)) or (0,) * years,
        {number: sums[0] for number, sums in greatest.items()},
    )


def check(
    limits: Sequence[Limit],
    asked: Collection[Demand],
    others: Collection[Demand],
    *,
    held: Collection[Demand] = (),
    fiscal_year: int,
    currency: str,
) -> None:
    """Refuse demands that no ceiling covers, and those that do not fit beside the `others` under every head.

    `held` is what the same request has handed in before: a version that asks for no more than that always fits, so that
    a lower ceiling can be followed.
    """
    for demand in asked:
        if not any(limit.head.place.covers(demand.place) for limit in limits):
            raise CeilingMissing(
                f"no ceiling in {currency} is in force for {demand.place} in {fiscal_year}; the budget team sets one "
                "with CreateBudgetCeiling",
                metadata={
                    "organisation_code": demand.place.organisation_code,
                    "program_code": demand.place.program_code,
                    "account_code": demand.place.account_code,
                },
            )
    for limit in limits:
        before, own = usage(limit.head, held), usage(limit.head, [*held, *asked])
        rest = usage(limit.head, others)
        for nth, ceiling in enumerate(limit.head.amounts):
            if own.amounts[nth] > before.amounts[nth] and own.amounts[nth] + rest.amounts[nth] > ceiling:
                raise _exceeded(limit, nth, own, rest, fiscal_year=fiscal_year, currency=currency)


def _exceeded(limit: Limit, nth: int, own: Usage, rest: Usage, *, fiscal_year: int, currency: str) -> CeilingExceeded:
    figures = {
        "ceiling": Money(limit.head.amounts[nth], currency),
        "others": Money(rest.amounts[nth], currency),
        "asked": Money(own.amounts[nth], currency),
        "over": Money(own.amounts[nth] + rest.amounts[nth] - limit.head.amounts[nth], currency),
    }
    users = sorted(rest.by_request.items(), key=lambda one: (-one[1], one[0]))[:USERS_SHOWN]
    return CeilingExceeded(
        f"{limit.head.place}: the ceiling of {fiscal_year + nth} is {figures['ceiling']} ({limit.document_number}, "
        f"version {limit.head.version_number}); other requests ask for {figures['others']}, this one for "
        f"{figures['asked']}: {figures['over']} too much",
        metadata={
            **{name: str(figure) for name, figure in figures.items()},
            "year": str(fiscal_year + nth),
            "document_number": limit.document_number,
            "organisation_code": limit.head.place.organisation_code,
            "program_code": limit.head.place.program_code,
            "account_code": limit.head.place.account_code,
            "used_by": ", ".join(f"{number} {Money(minor, currency)}" for number, minor in users),
        },
    )


def check_above_approved(ceiling: Ceiling, approved: Collection[Demand]) -> None:
    """Refuse a head below what is approved under it: the approval is taken back first, by a version that asks less."""
    for head in ceiling.heads:
        used = usage(head, approved)
        for nth, amount in enumerate(head.amounts):
            if used.amounts[nth] > amount:
                raise CeilingBelowApproved(
                    f"{head.place}: {Money(used.amounts[nth], ceiling.currency)} of {ceiling.fiscal_year + nth} are "
                    f"approved, the ceiling would be {Money(amount, ceiling.currency)}",
                    metadata={
                        "approved": str(Money(used.amounts[nth], ceiling.currency)),
                        "ceiling": str(Money(amount, ceiling.currency)),
                        "year": str(ceiling.fiscal_year + nth),
                        "used_by": ", ".join(sorted(used.by_request)),
                    },
                )
