"""SQL of the approval matrix: the rules in force, and those that were."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert as insert_into
from sqlalchemy import text
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.money import Money
from services.finance.approval.domain import DocumentKind, Rule
from services.finance.approval.nodes import Node
from services.finance.approval.tables import ApprovalRuleRow
from services.finance.classification.segments import Segment

# There is one rule of each content (uq_approval_rule_content).
_CONTENT = (
    *("document_kind", "step_number", "role", "amount_currency", "amount_from_minor"),
    *("node_segments", "node_codes", "valid_from"),
)
_OF_CONTENT = text(f"select * from approval_rule where {' and '.join(f'{name} = :{name}' for name in _CONTENT)}")  # noqa: S608


def values_of(rule: Rule) -> dict[str, Any]:
    """A rule's columns. Its nodes stand in the order of their segments' names."""
    nodes = sorted(rule.nodes, key=lambda node: node.segment.value)
    return {
        "approval_rule_id": rule.approval_rule_id,
        "document_kind": rule.document_kind.value,
        "step_number": rule.step_number,
        "display_name": rule.display_name,
        "role": rule.role,
        "approvers": rule.approvers,
        "amount_currency": rule.amount_from.currency,
        "amount_from_minor": rule.amount_from.minor,
        "node_segments": [node.segment.value for node in nodes],
        "node_codes": [node.code for node in nodes],
        "deadline_days": rule.deadline_days,
        "escalation_role": rule.escalation_role,
        "legal_source": rule.legal_source,
        "valid_from": rule.valid_from,
        "valid_to": rule.valid_to,
    }


def rule_of(row: Any) -> Rule:
    """The rule of a row of the matrix, or of one that has the same columns."""
    return Rule(
        approval_rule_id=row.approval_rule_id,
        document_kind=DocumentKind(row.document_kind),
        step_number=row.step_number,
        display_name=row.display_name,
        role=row.role,
        approvers=row.approvers,
        amount_from=Money(row.amount_from_minor, row.amount_currency),
        nodes=frozenset(
            Node(Segment(segment), code) for segment, code in zip(row.node_segments, row.node_codes, strict=True)
        ),
        deadline_days=row.deadline_days,
        escalation_role=row.escalation_role,
        legal_source=row.legal_source,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def insert(session: Session, rule: Rule, approval_rule_change_id: UUID) -> None:
    """Write a new rule with the change that brings it."""
    values = {**values_of(rule), "approval_rule_change_id": approval_rule_change_id}
    session.execute(insert_into(ApprovalRuleRow).values(**values))


def of_content(session: Session, rule: Rule) -> Rule | None:
    """The rule that is there of the same kind, step, role, amount, nodes and first day, ended or not."""
    values = values_of(rule)
    row = session.execute(_OF_CONTENT, {name: values[name] for name in _CONTENT}).first()
    return None if row is None else rule_of(row)


def rules(session: Session, approval_rule_ids: Collection[UUID]) -> dict[UUID, Rule]:
    """These rules by their ids; NOT_FOUND with the first that is not there."""
    rows = session.execute(
        text("select * from approval_rule where approval_rule_id = any (cast(:ids as uuid[]))"),
        {"ids": sorted(approval_rule_ids)},
    )
    found = {row.approval_rule_id: rule_of(row) for row in rows}
    for one in approval_rule_ids:
        if one not in found:
            raise NotFound.resource("approval rule", one)
    return found


def end(session: Session, approval_rule_id: UUID, valid_to: date) -> None:
    """Write a rule's last day."""
    session.execute(
        text("update approval_rule set valid_to = :valid_to where approval_rule_id = :id"),
        {"id": approval_rule_id, "valid_to": valid_to},
    )


def rules_on(session: Session, kind: DocumentKind, on: date) -> list[Rule]:
    """The rules for a kind of document on a day."""
    rows = session.execute(
        text(
            "select * from approval_rule where document_kind = :kind and valid_from <= :on"
            " and (valid_to is null or :on < valid_to)"
        ),
        {"kind": kind.value, "on": on},
    )
    return [rule_of(row) for row in rows]


def rules_page(session: Session, *, after: tuple[Any, ...] | None, limit: int) -> list[Rule]:
    """Rules by kind of document, step and id."""
    rows = session.execute(
        text(
            """
            select * from approval_rule
            where cast(:id as uuid) is null
               or (document_kind, step_number, approval_rule_id) > (:kind, :step, cast(:id as uuid))
            order by document_kind, step_number, approval_rule_id limit :limit
            """
        ),
        {
            "kind": after[0] if after else "",
            "step": after[1] if after else 0,
            "id": after[2] if after else None,
            "limit": limit,
        },
    )
    return [rule_of(row) for row in rows]
