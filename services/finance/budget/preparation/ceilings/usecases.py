"""Ceilings: propose, decide, and ask what is left of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.approval.domain import Subject
from services.finance.approval.nodes import Line, Node
from services.finance.budget.preparation import pack
from services.finance.budget.preparation.ceilings import domain, store
from services.finance.budget.preparation.ceilings.domain import Ceiling, CeilingStatus, Limit, Place, Usage
from services.finance.budget.preparation.ceilings.events import BudgetCeilingChanged
from services.finance.budget.preparation.domain import VersionStatus
from services.finance.classification.pack import fiscal_calendar
from services.finance.classification.segments import Segment

_APPROVED = (VersionStatus.APPROVED,)


@dataclass(frozen=True)
class LimitFigures:
    """A head that binds on a day, with what is asked for and what is approved under it."""

    limit: Limit
    requested: Usage
    approved: Usage


def propose(session: Session, wanted: Ceiling) -> Ceiling:
    """Keep a ceiling document as PROPOSED. What could not be approved now is refused now, with the same words."""
    domain.check_form(wanted, medium_term_years=pack.medium_term_years(fiscal_calendar().first_day(wanted.fiscal_year)))
    _numbered(session, wanted)
    if not store.insert_ceiling(session, wanted):
        raise domain.CeilingNumberTaken(
            f"the agency has a ceiling {wanted.document_number} in {wanted.fiscal_year}",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, BudgetCeilingChanged(wanted))
    approval.begin(session, _subject(wanted), at=wanted.proposed_at)
    return wanted


def approve(session: Session, budget_ceiling_id: UUID, *, person_id: UUID, at: datetime) -> Ceiling:
    """Put the heads in force from their day on: each becomes the next version of its place."""
    seen = get(session, budget_ceiling_id)
    store.lock_preparation(session, seen.agency_id, seen.fiscal_year)
    approved = domain.decide(_locked(session, budget_ceiling_id), CeilingStatus.APPROVED, by=person_id, at=at)
    name = f"ceiling {approved.document_number}"
    approval.passed(session, budget_ceiling_id, name, person_id=person_id, step="approve it")
    approved = _numbered(session, approved)
    store.save_decision(session, approved)
    outbox.emit(session, BudgetCeilingChanged(approved))
    return approved


def reject(session: Session, budget_ceiling_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Ceiling:
    """Another person refuses a proposal, with a reason."""
    return _end(session, budget_ceiling_id, CeilingStatus.REJECTED, person_id=person_id, reason=reason, at=at)


def recall(session: Session, budget_ceiling_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Ceiling:
    """The proposer takes the proposal back."""
    return _end(session, budget_ceiling_id, CeilingStatus.RECALLED, person_id=person_id, reason=reason, at=at)


def get(session: Session, budget_ceiling_id: UUID) -> Ceiling:
    """One document; NOT_FOUND when the caller does not see it."""
    found = store.ceiling(session, budget_ceiling_id)
    if found is None:
        raise NotFound.resource("budget ceiling", budget_ceiling_id)
    return found


def figures(session: Session, agency_id: UUID, fiscal_year: int, currency: str, *, on: date) -> list[LimitFigures]:
    """Every head that binds on a day, in the order of its place; an agency has some hundreds at most."""
    bound = domain.binding(store.limits(session, agency_id, fiscal_year, currency), on=on)
    standing = store.demands(session, agency_id, fiscal_year, currency)
    approved = store.demands(session, agency_id, fiscal_year, currency, _APPROVED)
    found = [
        LimitFigures(limit, domain.usage(limit.head, standing), domain.usage(limit.head, approved)) for limit in bound
    ]
    return sorted(found, key=order_of)


def order_of(one: LimitFigures) -> tuple[str, str, str, int]:
    """Where a head stands in a list: by unit, program, account and version."""
    place = one.limit.head.place
    return place.organisation_code, place.program_code, place.account_code, one.limit.head.version_number


def _subject(ceiling: Ceiling) -> Subject:
    """A ceiling on its route: what its heads allow for the budget year, under the codes where they begin."""
    return Subject(
        RoutedKind.BUDGET_CEILING,
        ceiling.budget_ceiling_id,
        ceiling.agency_id,
        Money(total(head.amounts[0] for head in ceiling.heads), ceiling.currency),
        frozenset(_line(head.place) for head in ceiling.heads),
        ceiling.proposed_by,
        of_heads=True,
    )


def _line(place: Place) -> Line:
    codes = {
        Segment.ORGANISATION: place.organisation_code,
        Segment.PROGRAM: place.program_code,
        Segment.ACCOUNT: place.account_code,
    }
    return frozenset(Node(segment, code) for segment, code in codes.items() if code)


def _numbered(session: Session, ceiling: Ceiling) -> Ceiling:
    agency_id, year, currency = ceiling.agency_id, ceiling.fiscal_year, ceiling.currency
    domain.check_above_approved(ceiling, store.demands(session, agency_id, year, currency, _APPROVED))
    return domain.numbered(ceiling, store.limits(session, agency_id, year, currency))


def _end(
    session: Session, budget_ceiling_id: UUID, status: CeilingStatus, *, person_id: UUID, reason: str, at: datetime
) -> Ceiling:
    ended = domain.decide(_locked(session, budget_ceiling_id), status, by=person_id, at=at, reason=reason)
    store.save_decision(session, ended)
    outbox.emit(session, BudgetCeilingChanged(ended))
    approval.recall(session, budget_ceiling_id)
    return ended


def _locked(session: Session, budget_ceiling_id: UUID) -> Ceiling:
    found = store.ceiling(session, budget_ceiling_id, lock=True)
    if found is None:
        raise NotFound.resource("budget ceiling", budget_ceiling_id)
    return found
