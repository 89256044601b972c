"""SQL of routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval.domain import (
    Act,
    ApprovalStatus,
    Decision,
    DocumentKind,
    Route,
    Step,
    StepStatus,
    Subject,
)

# How an act on a step is called in the document's history.
_ACTS = {Act.APPROVE: "ApproveStep", Act.REJECT: "RejectStep", Act.ESCALATE: "EscalateStep"}


def insert_route(session: Session, route: Route) -> None:
    """Write a new route with its steps."""
    session.execute(
        text(
            """
            insert into approval (approval_id, agency_id, document_kind, currency, amount_minor, maker_person_id,
                                  status, created_at, version, round_number)
            values (:id, :agency_id, :kind, :currency, :amount, :maker, :status, :at, :version, :round_number)
            """
        ),
        {**_head(route), "agency_id": route.subject.agency_id, "kind": route.subject.kind.value},
    )
    _insert_steps(session, route)


def renew_route(session: Session, route: Route) -> None:
    """Write the next round of a locked route. Steps and decisions of the rounds before stay, none of them open."""
    session.execute(
        text(
            "update approval_step set status = 'WAITING', opened_at = null, due_at = null"
            " where approval_id = :id and status = 'OPEN'"
        ),
        {"id": route.subject.document_id},
    )
    session.execute(
        text(
            """
            update approval set currency = :currency, amount_minor = :amount, maker_person_id = :maker,
                                status = :status, created_at = :at, version = :version, round_number = :round_number
            where approval_id = :id
            """
        ),
        _head(route),
    )
    _insert_steps(session, route)


def _head(route: Route) -> dict[str, Any]:
    subject = route.subject
    return {
        "id": subject.document_id,
        "currency": "" if subject.amount is None else subject.amount.currency,
        "amount": 0 if subject.amount is None else subject.amount.minor,
        "maker": subject.maker_person_id,
        "status": route.status.value,
        "at": route.created_at,
        "version": route.version,
        "round_number": route.round_number,
    }


def _insert_steps(session: Session, route: Route) -> None:
    if route.steps:
        session.execute(
            text(
                """
                insert into approval_step (approval_step_id, agency_id, approval_id, round_number, step_number,
                                           display_name, role, approvers, deadline_days, escalation_role, status,
                                           opened_at, due_at, escalated)
                values (:approval_step_id, :agency_id, :approval_id, :round_number, :step_number, :display_name, :role,
                        :approvers, :deadline_days, :escalation_role, :status, :opened_at, :due_at, false)
                """
            ),
            [
                {
                    "approval_step_id": step.approval_step_id,
                    "agency_id": route.subject.agency_id,
                    "approval_id": route.subject.document_id,
                    "round_number": route.round_number,
                    "step_number": step.step_number,
                    "display_name": step.display_name,
                    "role": step.role,
                    "approvers": step.approvers,
                    "deadline_days": step.deadline_days,
                    "escalation_role": step.escalation_role,
                    "status": step.status.value,
                    "opened_at": step.opened_at,
                    "due_at": step.due_at,
                }
                for step in route.steps
            ],
        )
    _write_due(session, route)


def save_route(session: Session, before: Route, after: Route) -> int:
    """Write what changed of a locked route: steps, new decisions, status. The route's new version."""
    earlier = {step.approval_step_id: step for step in before.steps}
    for step in after.steps:
        old = earlier[step.approval_step_id]
        if step == old:
            continue
        session.execute(
            text(
                "update approval_step set status = :status, opened_at = :opened_at, due_at = :due_at,"
                " escalated = :escalated where approval_step_id = :id"
            ),
            {
                "id": step.approval_step_id,
                "status": step.status.value,
                "opened_at": step.opened_at,
                "due_at": step.due_at,
                "escalated": step.escalated,
            },
        )
        for decision in step.decisions[len(old.decisions) :]:
            _insert_decision(session, after, step.approval_step_id, decision)
            _note(session, after.subject, step, decision)
    _write_due(session, after)
    version: int = session.execute(
        text("update approval set status = :status, version = version + 1 where approval_id = :id returning version"),
        {"id": after.subject.document_id, "status": after.status.value},
    ).scalar_one()
    return version


def _insert_decision(session: Session, route: Route, approval_step_id: UUID, decision: Decision) -> None:
    subject = route.subject
    session.execute(
        text(
            """
            insert into approval_decision (approval_decision_id, agency_id, approval_id, round_number, approval_step_id,
                                           act, person_id, on_behalf_of_person_id, explanation, decided_at)
            values (:id, :agency_id, :approval_id, :round_number, :step_id, :act, :person_id, :on_behalf_of,
                    :explanation, :at)
            """
        ),
        {
            "id": new_id(),
            "agency_id": subject.agency_id,
            "approval_id": subject.document_id,
            "round_number": route.round_number,
            "step_id": approval_step_id,
            "act": decision.act.value,
            "person_id": decision.person_id,
            "on_behalf_of": decision.on_behalf_of_person_id,
            "explanation": decision.explanation,
            "at": decision.decided_at,
        },
    )


def _note(session: Session, subject: Subject, step: Step, decision: Decision) -> None:
    """Write the act into the document's own history."""
    session.execute(
        text(
            """
            insert into document_act (agency_id, document_id, act, approval_step, person_id, on_behalf_of_person_id,
                                      reason, recorded_at)
            values (:agency_id, :document_id, :act, :step, :person_id, :on_behalf_of, :reason,
                    transaction_timestamp())
            """
        ),
        {
            "agency_id": subject.agency_id,
            "document_id": subject.document_id,
            "act": _ACTS[decision.act],
            "step": step.display_name,
            "person_id": decision.person_id,
            "on_behalf_of": decision.on_behalf_of_person_id,
            "reason": decision.explanation,
        },
    )


def route(session: Session, approval_id: UUID, *, lock: bool = False) -> Route | None:
    """A document's route, locked if asked; None when the document has none or is not seen."""
    if lock:
        session.execute(text("select 1 from approval where approval_id = :id for update"), {"id": approval_id})
    found = routes(session, [approval_id])
    return found[0] if found else None


def routes(session: Session, approval_ids: Sequence[UUID]) -> list[Route]:
    """Routes with the steps and decisions of their round, in the order of the ids; what is not seen is left out."""
    ids = {"ids": list(approval_ids)}
    heads = {
        row.approval_id: row
        for row in session.execute(text("select * from approval where approval_id = any (cast(:ids as uuid[]))"), ids)
    }
    if not heads:
        # Most documents take no route, and every act on one asks.
        return []
    decisions: dict[UUID, list[Decision]] = defaultdict(list)
    for row in session.execute(
        text(
            "select d.* from approval_decision d join approval a using (approval_id, round_number)"
            " where d.approval_id = any (cast(:ids as uuid[])) order by d.decided_at, d.approval_decision_id"
        ),
        ids,
    ):
        decisions[row.approval_step_id].append(
            Decision(Act(row.act), row.person_id, row.on_behalf_of_person_id, row.explanation, row.decided_at)
        )
    steps: dict[UUID, list[Step]] = defaultdict(list)
    for row in session.execute(
        text(
            "select s.* from approval_step s join approval a using (approval_id, round_number)"
            " where s.approval_id = any (cast(:ids as uuid[])) order by s.step_number, s.approval_step_id"
        ),
        ids,
    ):
        steps[row.approval_id].append(
            Step(
                row.approval_step_id,
                row.step_number,
                row.display_name,
                row.role,
                row.approvers,
                row.deadline_days,
                row.escalation_role,
                StepStatus(row.status),
                row.opened_at,
                row.due_at,
                row.escalated,
                tuple(decisions[row.approval_step_id]),
            )
        )
    return [
        Route(
            Subject(
                DocumentKind(head.document_kind),
                head.approval_id,
                head.agency_id,
                Money(head.amount_minor, head.currency) if head.currency else None,
                frozenset(),
                head.maker_person_id,
            ),
            tuple(steps[head.approval_id]),
            ApprovalStatus(head.status),
            head.created_at,
            head.version,
            head.round_number,
        )
        for head in (heads[one] for one in approval_ids if one in heads)
    ]


def route_ids(
    session: Session,
    *,
    agency_id: UUID | None,
    status: str,
    roles: Collection[tuple[str, UUID]] | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[UUID]:
    """Ids of routes, the newest document first; with `roles`, those with a step open for one of (role, agency)."""
    mine = (
        """
        and exists (
            select 1 from approval_step s
            join unnest(cast(:roles as text[]), cast(:agencies as uuid[])) as held (role, agency_id)
                 on held.agency_id = s.agency_id
                and (held.role = s.role or s.escalated and held.role = s.escalation_role)
            where s.approval_id = a.approval_id and s.status = 'OPEN' and a.status = 'PENDING'
        )
        """
        if roles is not None
        else ""
    )
    pairs = sorted(roles or ())
    return list(
        session.execute(
            text(
                f"""
                select a.approval_id from approval a
                where (cast(:agency_id as uuid) is null or a.agency_id = :agency_id)
                  and (:status = '' or a.status = :status) {mine}
                  and (cast(:after as uuid) is null or a.approval_id < :after)
                order by a.approval_id desc limit :limit
                """  # noqa: S608
            ),
            {
                "agency_id": agency_id,
                "status": status,
                **({"roles": [one[0] for one in pairs], "agencies": [one[1] for one in pairs]} if mine else {}),
                "after": after[0] if after else None,
                "limit": limit,
            },
        ).scalars()
    )


def _write_due(session: Session, route: Route) -> None:
    """Let the clock know which steps of a route it has to look at, and when."""
    session.execute(
        text("delete from approval_due where approval_id = :id"),
        {"id": route.subject.document_id},
    )
    due = [
        {
            "approval_step_id": step.approval_step_id,
            "approval_id": route.subject.document_id,
            "document_agency_id": route.subject.agency_id,
            "due_at": step.due_at,
        }
        for step in route.open_steps
        if step.due_at is not None and step.escalation_role and not step.escalated
    ]
    if due and route.status is ApprovalStatus.PENDING:
        session.execute(
            text(
                "insert into approval_due (approval_step_id, approval_id, document_agency_id, due_at)"
                " values (:approval_step_id, :approval_id, :document_agency_id, :due_at)"
            ),
            due,
        )


def overdue(session: Session, at: datetime, limit: int, *, agency_id: UUID | None = None) -> list[tuple[UUID, UUID]]:
    """(approval, agency) of routes, of all or of one agency, with a step whose deadline has passed and that another
    role may take."""
    rows = session.execute(
        text(
            "select distinct approval_id, document_agency_id as agency_id from approval_due where due_at <= :at"
            " and (cast(:agency_id as uuid) is null or document_agency_id = cast(:agency_id as uuid)) limit :limit"
        ),
        {"at": at, "limit": limit, "agency_id": agency_id},
    )
    return [(row.approval_id, row.agency_id) for row in rows]


def next_deadline(session: Session, agency_id: UUID) -> datetime | None:
    """When the next open step of an agency is overdue for its role."""
    found: datetime | None = session.execute(
        text("select min(due_at) from approval_due where document_agency_id = :id"), {"id": agency_id}
    ).scalar()
    return found
