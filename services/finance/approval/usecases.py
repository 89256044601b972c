"""Routes of documents: begun with the document, decided step by step, required before it goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval import delegation_store as delegations
from services.finance.approval import domain, events, node_store, rule_store, store
from services.finance.approval.domain import (
    Act,
    ApprovalStatus,
    Caller,
    DocumentKind,
    Route,
    Rule,
    StepStatus,
    Subject,
)
from services.finance.approval.nodes import Line
from services.finance.classification.store import functional_currencies
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount

SUBJECT = "service:finance"
# What one pass of the clock escalates; the next pass takes the rest.
ESCALATIONS_MAX = 200


class Transactions(Protocol):
    """What the clock needs of chassis.database."""

    def work(self, agencies: Any, *, subject: str) -> AbstractContextManager[Session]: ...


class DelegationNotYours(FailedPrecondition):
    """Only a role of one's own is delegated, and only its owner ends the delegation."""

    reason = "DELEGATION_NOT_YOURS"


class DelegationEnded(FailedPrecondition):
    """The delegation was ended already, by one of the two."""

    reason = "DELEGATION_ENDED"


# --- what a document does with its route -----------------------------------------------------------------------------


def begin(session: Session, subject: Subject, *, at: datetime, on: date | None = None) -> None:
    """Give a new document its route; none is written when no rule applies.

    It takes the rules of the day on which it is made and, where it carries a day of its own (`on`), of that day too:
    a paper that is dated back or ahead escapes no rule. An amount in another currency than the agency's books' counts
    as in `begin_on_lines`.
    """
    days = {at.date(), at.date() if on is None else on}
    found = _rules(session, subject.kind, days)
    if found and subject.amount is not None:
        # What has no budget line, such as a run of payments in dollars, counts by its worth in the agency's books.
        own = _books_currency(session, subject.agency_id, subject.amount)
        subject = replace(subject, amount=_counted(session, subject.amount, own, at.date()))
    _begin(session, subject, found, days, at)


def begin_on_lines(
    session: Session,
    kind: DocumentKind,
    document_id: UUID,
    agency_id: UUID,
    *,
    amount: Money | None,
    budget_line_ids: Collection[UUID],
    maker_person_id: UUID,
    at: datetime,
    on: date | None = None,
    lines: Iterable[Line] = (),
) -> None:
    """Give a new document its route by the budget lines that it touches, and all below them; `lines` are more of them.

    An amount in another currency than its lines' counts at the middle rate of the day, the one by which commitments are
    valued (domain rules §2): EXCHANGE_RATE_MISSING only when a rule asks for the amount.
    """
    days = {at.date(), at.date() if on is None else on}
    found = _rules(session, kind, days)
    if not found:
        return
    below, currencies = node_store.below(session, budget_line_ids)
    if amount is not None and amount.currency not in currencies:
        own = min(currencies) if currencies else _books_currency(session, agency_id, amount)
        amount = _counted(session, amount, own, at.date())
    subject = Subject(kind, document_id, agency_id, amount, below | frozenset(lines), maker_person_id)
    _begin(session, subject, found, days, at)


def begin_like(session: Session, model_id: UUID, document_id: UUID, *, maker_person_id: UUID, at: datetime) -> None:
    """Give what was taken out of a document the route of the whole document: its amount and steps, none decided.

    So nothing is made small enough for a shorter route by being divided.
    """
    model = store.route(session, model_id, lock=True)
    if model is None:
        return
    subject = replace(model.subject, document_id=document_id, maker_person_id=maker_person_id)
    route = domain.anew(model, subject, [new_id() for _ in model.steps], at)
    store.insert_route(session, route)
    _tell(session, replace(route, steps=()), route, route.version)


def renew(
    session: Session,
    kind: DocumentKind,
    document_id: UUID,
    agency_id: UUID,
    *,
    amount: Money,
    lines: Callable[[], Iterable[Line]],
    maker_person_id: UUID,
    at: datetime,
    on: date,
) -> None:
    """Give a document that grew, or came again, the route of what it is now. The caller holds the document's lock.

    What was decided on what it was before stays on record and counts no more; a person may decide again. It takes the
    rules of today and of its own day: `on` is the first of the year that it is for, or today once that has begun.
    """
    before = store.route(session, document_id, lock=True)
    days = {at.date(), on}
    found = _rules(session, kind, days)
    if not found and before is None:
        return
    subject = Subject(
        kind, document_id, agency_id, amount, frozenset(lines()) if found else frozenset(), maker_person_id
    )
    if before is None:
        _begin(session, subject, found, days, at)
        return
    rules = _taken(session, subject, found, days)
    route = domain.renewed(before, domain.routed(rules, subject, [new_id() for _ in rules], at))
    store.renew_route(session, route)
    _tell(session, replace(route, steps=()), route, route.version)


def _books_currency(session: Session, agency_id: UUID, amount: Money) -> str:
    """The currency of the agency's books; the amount's own while it has none."""
    return functional_currencies(session, [agency_id]).get(agency_id, amount.currency)


def _counted(session: Session, amount: Money, own: str, on: date) -> Money:
    """What an amount is worth in a currency at the middle rate of a day."""
    if amount.currency == own:
        return amount
    rate, _ = rates.rate_on(session, currency=amount.currency, functional_currency=own, on=on)
    return functional_amount(amount, rate.rate, own)


def _rules(session: Session, kind: DocumentKind, days: Collection[date]) -> list[Rule]:
    found = {rule.approval_rule_id: rule for day in sorted(days) for rule in rule_store.rules_on(session, kind, day)}
    return list(found.values())


def _taken(session: Session, subject: Subject, found: Sequence[Rule], days: Collection[date]) -> list[Rule]:
    """The rules that a document takes, each judged by the trees of its day."""
    named = {node for rule in found for node in rule.nodes}
    segments = {node.segment for node in named}
    asked = named | {node for line in subject.lines for node in line if node.segment in segments}
    trees = {day: node_store.trees(session, asked, day) for day in days}
    return [rule for rule in found if any(domain.applies(rule, subject, day, trees[day]) for day in days)]


def _begin(session: Session, subject: Subject, found: Sequence[Rule], days: Collection[date], at: datetime) -> None:
    rules = _taken(session, subject, found, days)
    if not rules:
        return
    route = domain.routed(rules, subject, [new_id() for _ in rules], at)
    store.insert_route(session, route)
    _tell(session, replace(route, steps=()), route, route.version)


def require(session: Session, document_id: UUID, what: str) -> None:
    """Refuse unless the document's route, if it has one, is approved; says who has it since when.

    APPROVAL_ROUTE_OPEN while a step is to be decided, APPROVAL_ROUTE_ENDED when it was rejected or recalled.
    """
    route = store.route(session, document_id, lock=True)
    if route is None or route.status is ApprovalStatus.APPROVED:
        return
    waiting = "; ".join(
        f"{step.display_name}: {'/'.join(step.roles)} since {step.opened_at:%Y-%m-%d %H:%M}"
        for step in route.open_steps
        if step.opened_at is not None
    )
    metadata = {"approval_id": str(document_id), "status": route.status.value, "open_steps": waiting}
    if route.status is ApprovalStatus.PENDING:
        raise domain.ApprovalRouteOpen(f"{what} is on its route; it is with {waiting}", metadata=metadata)
    raise domain.ApprovalRouteEnded(
        f"the route of {what} ended {route.status.value}: take the document back and make it anew", metadata=metadata
    )


def passed(session: Session, document_id: UUID, what: str, *, person_id: UUID, step: str) -> None:
    """Refuse the act that a document's route comes before, unless the route is approved, and by other persons.

    `step` completes "another person has to …". SAME_PERSON for who decided on the route, himself or for somebody.
    """
    require(session, document_id, what)
    if person_id in persons(session, document_id).values():
        raise domain.ApprovalSamePerson(
            f"you decided on the route of {what}, or somebody decided for you; another person has to {step}",
            metadata={"person_id": str(person_id)},
        )


def persons(session: Session, document_id: UUID) -> Mapping[str, UUID | None]:
    """Who decided on the document's route, and for whom: they take no other step of it.

    The route is locked: whoever is deciding a step at this moment is waited for.
    """
    route = store.route(session, document_id, lock=True)
    if route is None:
        return {}
    return {f"decided on its route ({nth})": person for nth, person in enumerate(sorted(route.persons), 1)}


def recall(session: Session, document_id: UUID) -> None:
    """End the route of a document that was taken back."""
    route = store.route(session, document_id, lock=True)
    if route is not None:
        _save(session, route, domain.recalled(route))


# --- what persons do -------------------------------------------------------------------------------------------------


def decide(
    session: Session,
    document_id: UUID,
    act: Act,
    *,
    person_id: UUID,
    roles_in: Callable[[UUID], frozenset[str]],
    others: Callable[[Session, UUID], Iterable[UUID]],
    step_id: UUID | None,
    explanation: str,
    at: datetime,
) -> Route:
    """Approve or reject the open step as the caller. `others` are who took the document's own steps so far."""
    route = get(session, document_id, lock=True)
    agency_id = route.subject.agency_id
    deputies = tuple(one for _, one in delegations.deputies(session, person_id, at.date(), agency_id))
    caller = Caller(person_id, roles_in(agency_id), deputies)
    known = replace(route, others=frozenset(others(session, document_id)))
    after = domain.decided(known, caller, act, explanation, at, step_id=step_id)
    return _save(session, route, after)


def get(session: Session, document_id: UUID, *, lock: bool = False) -> Route:
    """A document's route; NOT_FOUND when it has none."""
    route = store.route(session, document_id, lock=lock)
    if route is None:
        raise NotFound.resource("approval", document_id)
    return route


def delegate(
    session: Session,
    *,
    agency_id: UUID,
    role: str,
    from_person_id: UUID,
    to_person_id: UUID,
    valid_from: date,
    valid_until: date,
    explanation: str,
    own_roles: frozenset[str],
    at: datetime,
) -> UUID:
    """Let another person use a role of the caller's own in an agency, for a time."""
    if role not in own_roles:
        raise DelegationNotYours(
            f"you do not hold {role} in this agency yourself; only a role of one's own is delegated",
            metadata={"role": role},
        )
    if to_person_id == from_person_id:
        raise InvalidArgument.field("approval_delegation.to_person_id", "is yourself")
    if valid_until < valid_from or valid_until < at.date():
        raise InvalidArgument.field("approval_delegation.valid_until", "before its first day, or past")
    delegation_id = new_id()
    delegations.insert_delegation(
        session,
        {
            "approval_delegation_id": delegation_id,
            "agency_id": agency_id,
            "role": role,
            "from_person_id": from_person_id,
            "to_person_id": to_person_id,
            "valid_from": valid_from,
            "valid_until": valid_until,
            "explanation": explanation,
            "created_at": at,
        },
    )
    return delegation_id


def end_delegation(session: Session, delegation_id: UUID, *, person_id: UUID, at: datetime) -> UUID:
    """End a delegation at once, by either of the two; its agency."""
    row = delegations.delegation(session, delegation_id, lock=True)
    if person_id not in (row.from_person_id, row.to_person_id):
        raise DelegationNotYours("only who gave the role or who has it ends the delegation")
    if row.ended_at is not None:
        raise DelegationEnded(
            f"the delegation was ended at {row.ended_at:%Y-%m-%d %H:%M %Z}; make a new one for later days",
            metadata={"ended_at": row.ended_at.isoformat()},
        )
    delegations.end_delegation(session, delegation_id, at)
    agency_id: UUID = row.agency_id
    return agency_id


def open_roles(
    session: Session, person_id: UUID, grants: Iterable[tuple[str, Iterable[UUID]]], on: date
) -> set[tuple[str, UUID]]:
    """(role, agency) under which a person may decide: his own grants and what is delegated to him."""
    own = {(role, agency_id) for role, agencies in grants for agency_id in agencies}
    return own | {(deputy.role, agency_id) for agency_id, deputy in delegations.deputies(session, person_id, on, None)}


# --- what the clock does ---------------------------------------------------------------------------------------------


def escalate_overdue(db: Transactions, *, now: datetime) -> dict[UUID, int]:
    """Open overdue steps for their escalation role; how many routes changed, by agency. Safe to run twice at once."""
    opened: dict[UUID, int] = {}
    with db.work((), subject=SUBJECT) as session:
        waiting = store.overdue(session, now, ESCALATIONS_MAX)
    for approval_id, agency_id in waiting:
        with db.work([agency_id], subject=SUBJECT) as session:
            if escalate(session, approval_id, now=now):
                opened[agency_id] = opened.get(agency_id, 0) + 1
    return opened


def escalate(session: Session, approval_id: UUID, *, now: datetime) -> bool:
    """Open the overdue steps of one route for their escalation role; whether any was."""
    route = store.route(session, approval_id, lock=True)
    if route is None or route.status is not ApprovalStatus.PENDING:
        return False
    after = domain.escalated(route, now)
    _save(session, route, after)
    return after.steps != route.steps


# --- what they share -------------------------------------------------------------------------------------------------


def _save(session: Session, before: Route, after: Route) -> Route:
    if after.steps == before.steps and after.status is before.status:
        return before
    version = store.save_route(session, before, after)
    _tell(session, before, after, version)
    return replace(after, version=version)


def _tell(session: Session, before: Route, after: Route, version: int) -> None:
    """One event for each state of a route: who is asked now, or how it ended."""
    subject = after.subject
    if after.status is not ApprovalStatus.PENDING:
        outbox.emit(
            session,
            events.ApprovalEnded(subject.document_id, subject.agency_id, subject.kind, after.status, version),
        )
        return
    earlier = {step.approval_step_id: step for step in before.steps}
    asked = []
    for step in after.open_steps:
        old = earlier.get(step.approval_step_id)
        if old is None or old.status is not StepStatus.OPEN:
            asked.append(events.AskedStep(step.approval_step_id, step.role, step.due_at, escalated=False))
        elif step.escalated and not old.escalated:
            asked.append(events.AskedStep(step.approval_step_id, step.escalation_role, step.due_at, escalated=True))
    if asked:
        outbox.emit(
            session,
            events.ApprovalAsked(subject.document_id, subject.agency_id, subject.kind, tuple(asked), version),
        )
