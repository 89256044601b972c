"""Budget requests of units (RKA-SKPD) in versions: made, submitted, reviewed, returned or approved. Pure.

A version is a draft until it is submitted; from then on it is never edited, and the next version takes its place.
Source: PP 12/2019 (RKA-SKPD, verified by the budget team; to verify by article); that maker, reviewer and approver are
three persons is our rule (trust I9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, ResourceExhausted
from chassis.money import Money, checked
from services.finance.budget.changes.domain import NotTheProposer
from services.finance.budget.domain import SamePerson
from services.finance.budget.preparation.ceilings.domain import within

# A version becomes one draft appropriation in one transaction; a large regional unit has some 3 000 lines.
LINES_MAX = 10_000


class Stage(Enum):
    """Which version it is: as first asked, as it is after a review, or the one to be enacted. Never goes back."""

    FIRST = "FIRST"
    AFTER_REVIEW = "AFTER_REVIEW"
    FINAL = "FINAL"


class VersionStatus(Enum):
    """Where a version stands in its life."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    REVIEWED = "REVIEWED"
    RETURNED = "RETURNED"
    APPROVED = "APPROVED"
    RECALLED = "RECALLED"
    # Another version of the same request was approved after it.
    SUPERSEDED = "SUPERSEDED"


class RequestInvalid(InvalidArgument):
    """The request says something that no state of the preparation could take."""

    reason = "BUDGET_REQUEST_INVALID"


class RequestNumberTaken(AlreadyExists):
    """The agency has a budget request of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class VersionNotIn(FailedPrecondition):
    """The latest version is not in a state in which this can be done."""

    reason = "BUDGET_REQUEST_VERSION_STATUS"


class VersionTotalsMismatch(FailedPrecondition):
    """The lines do not add up to the totals that the caller states."""

    reason = "CONTROL_TOTAL_MISMATCH"


class VersionTooLong(ResourceExhausted):
    """More lines than a version takes."""

    reason = "BUDGET_REQUEST_TOO_LONG"


class StageGoesBack(FailedPrecondition):
    """A version after review cannot be followed by a first one."""

    reason = "BUDGET_REQUEST_STAGE"


class NotFinal(FailedPrecondition):
    """Only an approved version of stage FINAL becomes an appropriation."""

    reason = "BUDGET_REQUEST_NOT_FINAL"


class RequestAppropriated(FailedPrecondition):
    """The request has become an appropriation; what follows is a change of the budget."""

    reason = "BUDGET_REQUEST_APPROPRIATED"


@dataclass(frozen=True, order=True)
class LineKey:
    """What a budget line is known by; two lines of a version never share it."""

    organisation_code: str
    program_code: str
    account_code: str
    fund_code: str
    function_code: str
    location_code: str
    project_code: str
    funding_source_code: str
    line_no: int


@dataclass(frozen=True)
class RequestLine:
    """One line: amounts in minor units, the budget year's first, then one for each medium-term year."""

    key: LineKey
    display_name: str
    amounts: tuple[int, ...]
    budget_request_line_id: UUID | None = None


@dataclass(frozen=True)
class Version:
    """One version of a request. `makers` are all who wrote in it, or in the one that it was copied from."""

    version_number: int
    stage: Stage
    makers: frozenset[UUID]
    opened_at: datetime
    status: VersionStatus = VersionStatus.DRAFT
    line_count: int = 0
    totals: tuple[int, ...] = ()
    submitted_by: UUID | None = None
    submitted_at: datetime | None = None
    reviewed_by: UUID | None = None
    reviewed_at: datetime | None = None
    review_remark: str = ""
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""


@dataclass(frozen=True)
class Request:
    """A unit's request for one budget year, with its latest version."""

    budget_request_id: UUID
    agency_id: UUID
    fiscal_year: int
    organisation_code: str
    document_number: str
    explanation: str
    currency: str
    medium_term_years: int
    latest: Version
    created_by: UUID
    created_at: datetime
    appropriation_id: UUID | None = None
    version: int = 1

    def acted(self, latest: Version) -> Request:
        """The request after an act on its latest version."""
        return replace(self, latest=latest, version=self.version + 1)


def check_lines(request: Request, lines: Sequence[RequestLine]) -> None:
    """Refuse lines that are wrong whatever the version has already."""
    years = 1 + request.medium_term_years
    seen: set[LineKey] = set()
    for nth, line in enumerate(lines):
        if line.key in seen:
            raise RequestInvalid(
                f"lines[{nth}]: unit {line.key.organisation_code}, account {line.key.account_code}, line_no "
                f"{line.key.line_no} is named twice; lines of equal segments need a line_no of their own"
            )
        seen.add(line.key)
        if not within(line.key.organisation_code, request.organisation_code):
            raise RequestInvalid(
                f"lines[{nth}]: unit {line.key.organisation_code} is not {request.organisation_code}, whose request it "
                "is, nor under it"
            )
        if len(line.amounts) != years:
            raise RequestInvalid(
                f"lines[{nth}]: {len(line.amounts) - 1} medium-term amounts; give one for each of the "
                f"{request.medium_term_years} years after {request.fiscal_year}, 0 where nothing is needed"
            )
        if min(line.amounts) < 0 or not any(line.amounts):
            raise RequestInvalid(f"lines[{nth}]: amounts are zero or more, and at least one is above zero")


def written(request: Request, *, by: UUID) -> Request:
    """The request while a person writes in its draft; he is a maker of it from now on."""
    latest = _expect(request, VersionStatus.DRAFT)
    return replace(request, latest=replace(latest, makers=latest.makers | {by}))


def recounted(request: Request, line_count: int, totals: tuple[int, ...]) -> Request:
    """The request with the sums of its draft; refused above what a version takes in lines, or 64 bits in an amount."""
    if line_count > LINES_MAX:
        raise VersionTooLong(
            f"version {request.latest.version_number} of {request.document_number} would have {line_count} lines, "
            f"{LINES_MAX} is the most; split the request by unit or program",
            metadata={"line_count": str(line_count), "line_count_max": str(LINES_MAX)},
        )
    latest = replace(request.latest, line_count=line_count, totals=tuple(checked(minor) for minor in totals))
    return replace(request, latest=latest)


def check_totals(request: Request, line_count: int, control_total: Money) -> None:
    """Refuse unless the version has as many lines, and as much for the budget year, as the caller has read."""
    latest = request.latest
    found = Money(latest.totals[0] if latest.totals else 0, request.currency)
    if (latest.line_count, found) != (line_count, control_total):
        raise VersionTotalsMismatch(
            f"version {latest.version_number} of {request.document_number} has {latest.line_count} lines of {found}, "
            f"the control totals say {line_count} lines of {control_total}",
            metadata={
                "line_count": str(latest.line_count),
                "control_line_count": str(line_count),
                "total": str(found),
                "control_total": str(control_total),
            },
        )


def submit(request: Request, *, by: UUID, at: datetime) -> Request:
    """The draft handed in: from now on nobody edits it."""
    latest = _expect(request, VersionStatus.DRAFT)
    if not latest.line_count:
        raise VersionNotIn(
            f"version {latest.version_number} of {request.document_number} has no lines; there is nothing to submit",
            metadata={"status": latest.status.value},
        )
    return request.acted(
        replace(
            latest,
            status=VersionStatus.SUBMITTED,
            makers=latest.makers | {by},
            submitted_by=by,
            submitted_at=at,
        )
    )


def review(request: Request, *, by: UUID, at: datetime, remark: str) -> Request:
    """The submitted version found good by another person than its makers."""
    latest = _expect(request, VersionStatus.SUBMITTED)
    _check_no_maker(request, by, "reviews it")
    return request.acted(
        replace(latest, status=VersionStatus.REVIEWED, reviewed_by=by, reviewed_at=at, review_remark=remark)
    )


def give_back(request: Request, *, by: UUID, at: datetime, reason: str) -> Request:
    """The version returned, with a reason; its makers open the next one."""
    latest = _expect(request, VersionStatus.SUBMITTED, VersionStatus.REVIEWED)
    _check_no_maker(request, by, "returns it")
    return request.acted(
        replace(latest, status=VersionStatus.RETURNED, decided_by=by, decided_at=at, decision_reason=reason)
    )


def recall(request: Request, *, by: UUID, at: datetime, reason: str) -> Request:
    """The submitted version taken back by who handed it in, before anybody has reviewed it."""
    latest = _expect(request, VersionStatus.SUBMITTED)
    if by != latest.submitted_by:
        raise NotTheProposer(
            f"version {latest.version_number} of {request.document_number} was handed in by another person, who alone "
            "may recall it",
            metadata={"document_number": request.document_number},
        )
    return request.acted(
        replace(latest, status=VersionStatus.RECALLED, decided_by=by, decided_at=at, decision_reason=reason)
    )


def approve(request: Request, *, by: UUID, at: datetime) -> Request:
    """The reviewed version approved, by a third person."""
    latest = _expect(request, VersionStatus.REVIEWED)
    _check_no_maker(request, by, "approves it")
    if by == latest.reviewed_by:
        raise SamePerson(
            f"you reviewed version {latest.version_number} of {request.document_number}: another person approves it",
            metadata={"document_number": request.document_number},
        )
    return request.acted(replace(latest, status=VersionStatus.APPROVED, decided_by=by, decided_at=at))


def open_next(request: Request, stage: Stage, *, by: UUID, at: datetime) -> Request:
    """A draft that begins as a copy of the version before it, once that one is returned, recalled or approved."""
    _check_open(request)
    before = _expect(request, VersionStatus.RETURNED, VersionStatus.RECALLED, VersionStatus.APPROVED)
    order = list(Stage)
    if order.index(stage) < order.index(before.stage):
        raise StageGoesBack(
            f"version {before.version_number} of {request.document_number} is {before.stage.value}; the next one is "
            f"{before.stage.value} or later, not {stage.value}",
            metadata={"stage": before.stage.value},
        )
    return request.acted(
        Version(
            version_number=before.version_number + 1,
            stage=stage,
            makers=before.makers | {by},
            opened_at=at,
            line_count=before.line_count,
            totals=before.totals,
        )
    )


def check_final(request: Request) -> None:
    """Refuse what is not an approved version of stage FINAL, or is an appropriation already."""
    _check_open(request)
    latest = request.latest
    if latest.status is not VersionStatus.APPROVED or latest.stage is not Stage.FINAL:
        raise NotFinal(
            f"version {latest.version_number} of {request.document_number} is {latest.status.value} and "
            f"{latest.stage.value}; an APPROVED version of stage FINAL becomes an appropriation",
            metadata={"status": latest.status.value, "stage": latest.stage.value},
        )


def appropriate(request: Request, appropriation_id: UUID) -> Request:
    """The approved final version become an appropriation, once."""
    check_final(request)
    return replace(request, appropriation_id=appropriation_id, version=request.version + 1)


def given_back(request: Request) -> Request:
    """The request after its draft appropriation was withdrawn: it may be written on, or become another one."""
    return replace(request, appropriation_id=None, version=request.version + 1)


def _check_open(request: Request) -> None:
    if request.appropriation_id is not None:
        raise RequestAppropriated(
            f"{request.document_number} is appropriation {request.appropriation_id}; from now on the budget changes by "
            "CreateBudgetChange",
            metadata={"appropriation_id": str(request.appropriation_id)},
        )


def _expect(request: Request, *statuses: VersionStatus) -> Version:
    latest = request.latest
    if latest.status not in statuses:
        wanted = " or ".join(status.value for status in statuses)
        raise VersionNotIn(
            f"version {latest.version_number} of {request.document_number} is {latest.status.value}, not {wanted}",
            metadata={"version_number": str(latest.version_number), "status": latest.status.value},
        )
    return latest


def _check_no_maker(request: Request, person_id: UUID, act: str) -> None:
    if person_id in request.latest.makers:
        raise SamePerson(
            f"you wrote in version {request.latest.version_number} of {request.document_number}: another person {act}",
            metadata={"document_number": request.document_number},
        )


class DifferenceKind(Enum):
    """What became of a line between two versions."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True)
class Difference:
    """One line that two versions do not share: `before` is None for an added one, `after` for a removed one."""

    before: RequestLine | None
    after: RequestLine | None

    @property
    def kind(self) -> DifferenceKind:
        """Added, removed or changed."""
        if self.before is None:
            return DifferenceKind.ADDED
        return DifferenceKind.REMOVED if self.after is None else DifferenceKind.CHANGED

    @property
    def key(self) -> LineKey:
        """The line's key, the same on both sides."""
        line = self.after or self.before
        assert line is not None, "a difference has at least one side"
        return line.key
