"""SQL of changes of the matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlmodel import Session

from services.finance.approval import rule_store
from services.finance.approval.changes.domain import Ending, RuleChange, RuleChangeStatus
from services.finance.approval.changes.tables import (
    ApprovalRuleAdditionRow,
    ApprovalRuleChangeRow,
    ApprovalRuleEndingRow,
)
from services.finance.approval.domain import Rule

_DECIDED = ("status", "decided_by_person_id", "decided_at", "decision_reason", "version")


def insert_change(session: Session, change: RuleChange) -> bool:
    """Write a proposal; False when its number is taken in the agency."""
    written = session.execute(
        postgresql.insert(ApprovalRuleChangeRow)
        .values(**_head(change))
        .on_conflict_do_nothing(index_elements=["agency_id", "document_number"])
        .returning(ApprovalRuleChangeRow.approval_rule_change_id)
    ).first()
    if written is None:
        return False
    of_change = {"approval_rule_change_id": change.approval_rule_change_id, "agency_id": change.agency_id}
    if change.additions:
        session.execute(
            insert(ApprovalRuleAdditionRow),
            [
                {**of_change, "item_no": nth, **rule_store.values_of(rule)}
                for nth, rule in enumerate(change.additions, start=1)
            ],
        )
    if change.endings:
        session.execute(
            insert(ApprovalRuleEndingRow),
            [
                {**of_change, "item_no": nth, "approval_rule_id": one.approval_rule_id, "valid_to": one.valid_to}
                for nth, one in enumerate(change.endings, start=1)
            ],
        )
    return True


def _head(change: RuleChange) -> dict[str, Any]:
    return {
        "approval_rule_change_id": change.approval_rule_change_id,
        "agency_id": change.agency_id,
        "document_number": change.document_number,
        "explanation": change.explanation,
        "status": change.status.value,
        "proposed_by_person_id": change.proposed_by,
        "proposed_at": change.proposed_at,
        "decided_by_person_id": change.decided_by,
        "decided_at": change.decided_at,
        "decision_reason": change.decision_reason,
        "version": change.version,
    }


def save_decision(session: Session, change: RuleChange) -> None:
    """Write what was decided on a locked change: the rules under which it is in the matrix, the days of its ends."""
    head = _head(change)
    session.execute(
        update(ApprovalRuleChangeRow)
        .where(ApprovalRuleChangeRow.approval_rule_change_id == change.approval_rule_change_id)
        .values(**{name: head[name] for name in _DECIDED})
    )
    session.execute(
        text(
            """
            update approval_rule_addition a set approval_rule_id = n.id
            from unnest(cast(:ids as uuid[])) with ordinality n (id, item_no)
            where a.approval_rule_change_id = :change_id and a.item_no = n.item_no and a.approval_rule_id <> n.id
            """
        ),
        {"change_id": change.approval_rule_change_id, "ids": [rule.approval_rule_id for rule in change.additions]},
    )
    session.execute(
        text(
            """
            update approval_rule_ending e set valid_to = n.valid_to
            from unnest(cast(:days as date[])) with ordinality n (valid_to, item_no)
            where e.approval_rule_change_id = :change_id and e.item_no = n.item_no and e.valid_to <> n.valid_to
            """
        ),
        {"change_id": change.approval_rule_change_id, "days": [one.valid_to for one in change.endings]},
    )


def change(session: Session, approval_rule_change_id: UUID, *, lock: bool = False) -> RuleChange | None:
    """One change with its rules, locked if so asked; None when it is not seen."""
    query = select(ApprovalRuleChangeRow).where(
        ApprovalRuleChangeRow.approval_rule_change_id == approval_rule_change_id
    )
    row = session.scalars(query.with_for_update() if lock else query).first()
    return None if row is None else _changes(session, [row])[0]


def changes(
    session: Session,
    *,
    agency_id: UUID | None,
    status: RuleChangeStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[RuleChange]:
    """Changes with their rules, the newest first."""
    row = ApprovalRuleChangeRow
    query = select(row).order_by(row.approval_rule_change_id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.approval_rule_change_id < after[0])
    return _changes(session, list(session.scalars(query)))


def _changes(session: Session, heads: Sequence[ApprovalRuleChangeRow]) -> list[RuleChange]:
    ids = [head.approval_rule_change_id for head in heads]
    addition, ends = ApprovalRuleAdditionRow, ApprovalRuleEndingRow
    additions: dict[UUID, list[Rule]] = defaultdict(list)
    query = select(addition).where(addition.approval_rule_change_id.in_(ids)).order_by(addition.item_no)
    for one in session.scalars(query):
        additions[one.approval_rule_change_id].append(rule_store.rule_of(one))
    endings: dict[UUID, list[Ending]] = defaultdict(list)
    for end in session.scalars(select(ends).where(ends.approval_rule_change_id.in_(ids)).order_by(ends.item_no)):
        endings[end.approval_rule_change_id].append(Ending(end.approval_rule_id, end.valid_to))
    return [
        RuleChange(
            approval_rule_change_id=head.approval_rule_change_id,
            agency_id=head.agency_id,
            document_number=head.document_number,
            explanation=head.explanation,
            additions=tuple(additions[head.approval_rule_change_id]),
            endings=tuple(endings[head.approval_rule_change_id]),
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            status=RuleChangeStatus(head.status),
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decision_reason=head.decision_reason,
            version=head.version,
        )
        for head in heads
    ]
