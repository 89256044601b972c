"""Budget requests: open, write, hand in, review, return, approve, and turn the final version into a draft budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.money import CurrencyMismatch, Money
from services.finance.approval import node_store
from services.finance.approval import usecases as approval
from services.finance.approval.domain import ApprovalSamePerson
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import appropriation
from services.finance.budget.preparation import domain, pack, store
from services.finance.budget.preparation.ceilings import domain as ceilings
from services.finance.budget.preparation.ceilings import store as ceiling_store
from services.finance.budget.preparation.ceilings.domain import Demand
from services.finance.budget.preparation.domain import Request, RequestLine, Stage, VersionStatus
from services.finance.budget.preparation.events import BudgetRequestChanged
from services.finance.classification.pack import fiscal_calendar


def medium_term_years(fiscal_year: int) -> int:
    """For how many years after a budget year its requests give estimates."""
    return pack.medium_term_years(fiscal_calendar().first_day(fiscal_year))


def create(session: Session, wanted: Request) -> Request:
    """Open a request with a first version to write in."""
    if not store.insert_request(session, wanted):
        raise domain.RequestNumberTaken(
            f"the agency has a budget request {wanted.document_number} in {wanted.fiscal_year}",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, BudgetRequestChanged(wanted))
    return wanted


def set_lines(
    session: Session,
    budget_request_id: UUID,
    lines: Sequence[RequestLine],
    removed_line_ids: Collection[UUID],
    *,
    currencies: Collection[str],
    person_id: UUID,
    on: date,
) -> Request:
    """Write lines of the draft, all or none; refused when the draft could not be handed in with them (ceilings)."""
    draft = domain.written(_locked(session, budget_request_id), by=person_id)
    for currency in sorted(currencies):
        if currency != draft.currency:
            raise CurrencyMismatch(
                f"{draft.document_number} is in {draft.currency}, a line is in {currency}",
                metadata={"left": currency, "right": draft.currency},
            )
    domain.check_lines(draft, lines)
    if lines:
        codes = {line.key.account_code for line in lines}
        appropriation.check_accounts(session, codes, on=fiscal_calendar().first_day(draft.fiscal_year))
    missing = set(removed_line_ids) - store.remove_lines(session, draft, removed_line_ids)
    if missing:
        raise NotFound.resource("line of the draft", min(missing))
    store.put_lines(session, draft, lines)
    draft = domain.recounted(draft, *store.sums(session, draft))
    store.save(session, draft)
    _check_ceilings(session, draft, on=on)
    return draft


def submit(
    session: Session,
    budget_request_id: UUID,
    *,
    control_line_count: int,
    control_total: Money,
    person_id: UUID,
    at: datetime,
) -> Request:
    """Hand the draft in: it takes room under every ceiling that covers its lines, or is refused. Its route begins."""
    draft = _locked_with_the_year(session, budget_request_id)
    domain.check_totals(draft, control_line_count, control_total)
    submitted = domain.submit(draft, by=person_id, at=at)
    _check_ceilings(session, draft, on=at.date())
    approval.renew(
        session,
        RoutedKind.BUDGET_REQUEST,
        budget_request_id,
        submitted.agency_id,
        amount=control_total,
        lines=lambda: node_store.of_request(session, budget_request_id, submitted.latest.version_number),
        maker_person_id=person_id,
        at=at,
        on=max(fiscal_calendar().first_day(submitted.fiscal_year), at.date()),
    )
    return _save(session, submitted)


def review(session: Session, budget_request_id: UUID, *, person_id: UUID, remark: str, at: datetime) -> Request:
    """Another person than the makers, and than who decided on its route, finds the version good."""
    reviewed = domain.review(_locked(session, budget_request_id), by=person_id, at=at, remark=remark)
    if person_id in approval.persons(session, budget_request_id).values():
        raise ApprovalSamePerson(
            f"you decided on the route of {_said(reviewed)}, or somebody decided for you; another person has to review "
            "it",
            metadata={"person_id": str(person_id)},
        )
    return _save(session, reviewed)


def give_back(session: Session, budget_request_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Request:
    """Another person than the makers returns the version; the room that it took is free again, its route ends."""
    returned = domain.give_back(_locked(session, budget_request_id), by=person_id, at=at, reason=reason)
    approval.recall(session, budget_request_id)
    return _save(session, returned)


def recall(session: Session, budget_request_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Request:
    """Who handed the version in takes it back; the room that it took is free again, its route ends."""
    recalled = domain.recall(_locked(session, budget_request_id), by=person_id, at=at, reason=reason)
    approval.recall(session, budget_request_id)
    return _save(session, recalled)


def approve(session: Session, budget_request_id: UUID, *, person_id: UUID, at: datetime) -> Request:
    """A third person approves, after its route and apart from who decided on it.

    What is approved fits into the ceilings of the day, which may be lower than before.
    """
    reviewed = _locked_with_the_year(session, budget_request_id)
    approved = domain.approve(reviewed, by=person_id, at=at)
    approval.passed(session, budget_request_id, _said(reviewed), person_id=person_id, step="approve it")
    latest = approved.latest.version_number
    approved_ones = ceiling_store.demands(
        session, reviewed.agency_id, reviewed.fiscal_year, reviewed.currency, (VersionStatus.APPROVED,)
    )
    _check(
        session,
        reviewed,
        ceiling_store.demands_of(session, budget_request_id, latest),
        # What is only asked for by others does not stand in the way of what is approved first.
        [one for one in approved_ones if one.budget_request_id != budget_request_id],
        on=at.date(),
    )
    store.supersede(session, budget_request_id, by_version=latest)
    return _save(session, approved)


def open_version(session: Session, budget_request_id: UUID, stage: Stage, *, person_id: UUID, at: datetime) -> Request:
    """Begin the next version with the lines of the one before it."""
    before = _locked(session, budget_request_id)
    opened = domain.open_next(before, stage, by=person_id, at=at)
    store.insert_version(session, opened)
    store.copy_lines(session, opened, from_version=before.latest.version_number)
    return _save(session, opened)


def appropriate(
    session: Session,
    budget_request_id: UUID,
    *,
    document_number: str,
    control_line_count: int,
    control_total: Money,
    person_id: UUID,
    at: datetime,
) -> tuple[Request, appropriation.Appropriation]:
    """Turn the approved final version into a DRAFT appropriation, line by line, once.

    Activation is the usual one, and refused to whoever wrote in the request or does this.
    """
    final = _locked_with_the_year(session, budget_request_id)
    domain.check_final(final)
    domain.check_totals(final, control_line_count, control_total)
    lines = store.lines(session, budget_request_id, final.latest.version_number, after=None, limit=None)
    draft, _ = appropriation.import_lines(
        session,
        appropriation.Import(
            agency_id=final.agency_id,
            fiscal_year=final.fiscal_year,
            appropriation_id=None,
            document_number=document_number,
            lines=tuple(_budget_line(line, final.currency) for line in lines),
            control_total=control_total,
        ),
        person_id=person_id,
        at=at,
    )
    return _save(session, domain.appropriate(final, draft.appropriation_id)), draft


def take_back(session: Session, appropriation_id: UUID) -> None:
    """Free the request, if any, whose draft appropriation was withdrawn."""
    budget_request_id = store.appropriated(session, appropriation_id)
    if budget_request_id is not None:
        _save(session, domain.given_back(_locked(session, budget_request_id)))


def _budget_line(line: RequestLine, currency: str) -> appropriation.NewLine:
    key = line.key
    return appropriation.NewLine(
        fund_code=key.fund_code,
        organisation_code=key.organisation_code,
        program_code=key.program_code,
        account_code=key.account_code,
        function_code=key.function_code,
        location_code=key.location_code,
        project_code=key.project_code,
        funding_source_code=key.funding_source_code,
        line_no=key.line_no,
        display_name=line.display_name,
        original=Money(line.amounts[0], currency),
    )


def get(session: Session, budget_request_id: UUID) -> Request:
    """One request; NOT_FOUND when the caller does not see it."""
    found = store.request(session, budget_request_id)
    if found is None:
        raise NotFound.resource("budget request", budget_request_id)
    return found


def known_version(request: Request, version_number: int) -> int:
    """The version that a reader asks for; 0 is the latest."""
    if version_number > request.latest.version_number:
        raise NotFound.resource(f"version of {request.document_number}", version_number)
    return version_number or request.latest.version_number


# --- what they share -------------------------------------------------------------------------------------------


def _said(request: Request) -> str:
    return f"version {request.latest.version_number} of budget request {request.document_number}"


def _locked(session: Session, budget_request_id: UUID) -> Request:
    found = store.request(session, budget_request_id, lock=True)
    if found is None:
        raise NotFound.resource("budget request", budget_request_id)
    return found


def _locked_with_the_year(session: Session, budget_request_id: UUID) -> Request:
    """The request, after the lock on its agency's preparation of the year: nobody else passes a ceiling meanwhile."""
    seen = get(session, budget_request_id)
    ceiling_store.lock_preparation(session, seen.agency_id, seen.fiscal_year)
    return _locked(session, budget_request_id)


def _save(session: Session, request: Request) -> Request:
    store.save(session, request)
    outbox.emit(session, BudgetRequestChanged(request))
    return request


def _check_ceilings(session: Session, draft: Request, *, on: date) -> None:
    """Whether the draft fits beside what has been handed in, by all others and in its own request before it."""
    standing = ceiling_store.demands(session, draft.agency_id, draft.fiscal_year, draft.currency)
    _check(
        session,
        draft,
        ceiling_store.demands_of(session, draft.budget_request_id, draft.latest.version_number),
        [one for one in standing if one.budget_request_id != draft.budget_request_id],
        held=[one for one in standing if one.budget_request_id == draft.budget_request_id],
        on=on,
    )


def _check(
    session: Session,
    request: Request,
    asked: Collection[Demand],
    others: Collection[Demand],
    *,
    held: Collection[Demand] = (),
    on: date,
) -> None:
    limits = ceiling_store.limits(session, request.agency_id, request.fiscal_year, request.currency)
    ceilings.check(
        ceilings.binding(limits, on=on),
        asked,
        others,
        held=held,
        fiscal_year=request.fiscal_year,
        currency=request.currency,
    )
