"""The approval matrix and routes between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import (
    from_date,
    from_money,
    resource_id,
    resource_name,
    to_date,
    to_money,
    to_timestamp,
)
from kelola.finance.v1 import approval_events_pb2, approval_pb2
from services.finance.approval import events
from services.finance.approval.domain import DocumentKind, Route, Rule, Step
from services.finance.approval.nodes import Node
from services.finance.classification.segment_wire import segment, segment_number

RULES, APPROVALS, DELEGATIONS = "approvalRules", "approvals", "approvalDelegations"


def document_id(name: str) -> UUID:
    """The document's id in `approvals/{uuid}`."""
    return resource_id(APPROVALS, name)


def delegation_id(name: str) -> UUID:
    """The id in `approvalDelegations/{uuid}`."""
    return resource_id(DELEGATIONS, name)


def _kind(number: int) -> DocumentKind:
    name = approval_pb2.ApprovalDocumentKind.Name(number)
    return DocumentKind(name.removeprefix("APPROVAL_DOCUMENT_KIND_"))


def _kind_number(kind: DocumentKind) -> Any:
    return approval_pb2.ApprovalDocumentKind.Value(f"APPROVAL_DOCUMENT_KIND_{kind.value}")


def new_rule(message: approval_pb2.ApprovalRule, field: str) -> Rule:
    """A rule to add."""
    return Rule(
        approval_rule_id=new_id(),
        document_kind=_kind(message.document_kind),
        step_number=message.step_number,
        display_name=message.display_name,
        role=message.role,
        approvers=message.approvers or 1,
        amount_from=from_money(message.amount_from, f"{field}.amount_from"),
        nodes=frozenset(Node(segment(node.segment), node.code) for node in message.nodes),
        deadline_days=message.deadline_days,
        escalation_role=message.escalation_role,
        legal_source=message.legal_source,
        valid_from=from_date(message.valid_from, f"{field}.valid_from"),
        valid_to=from_date(message.valid_to, f"{field}.valid_to") if message.HasField("valid_to") else None,
    )


def rule_message(rule: Rule) -> approval_pb2.ApprovalRule:
    """One rule."""
    return approval_pb2.ApprovalRule(
        name=resource_name(RULES, rule.approval_rule_id),
        approval_rule_id=str(rule.approval_rule_id),
        document_kind=_kind_number(rule.document_kind),
        step_number=rule.step_number,
        display_name=rule.display_name,
        role=rule.role,
        approvers=rule.approvers,
        amount_from=to_money(rule.amount_from),
        nodes=[
            approval_pb2.ApprovalRuleNode(segment=segment_number(node.segment), code=node.code)
            for node in sorted(rule.nodes, key=lambda node: node.segment.value)
        ],
        deadline_days=rule.deadline_days,
        escalation_role=rule.escalation_role,
        legal_source=rule.legal_source,
        valid_from=to_date(rule.valid_from),
        valid_to=None if rule.valid_to is None else to_date(rule.valid_to),
    )


def route_message(route: Route) -> approval_pb2.Approval:
    """A document's route: where it is, who has it, since when, what was decided."""
    subject = route.subject
    return approval_pb2.Approval(
        name=resource_name(APPROVALS, subject.document_id),
        approval_id=str(subject.document_id),
        agency_id=str(subject.agency_id),
        document_kind=_kind_number(subject.kind),
        amount=None if subject.amount is None else to_money(subject.amount),
        maker_person_id=str(subject.maker_person_id),
        status=approval_pb2.ApprovalStatus.Value(f"APPROVAL_STATUS_{route.status.value}"),
        steps=[_step_message(step) for step in route.steps],
        created_at=None if route.created_at is None else to_timestamp(route.created_at),
        round_number=route.round_number,
    )


def _step_message(step: Step) -> approval_pb2.ApprovalStep:
    return approval_pb2.ApprovalStep(
        approval_step_id=str(step.approval_step_id),
        step_number=step.step_number,
        display_name=step.display_name,
        role=step.role,
        escalation_role=step.escalation_role if step.escalated else "",
        approvers=step.approvers,
        status=approval_pb2.ApprovalStepStatus.Value(f"APPROVAL_STEP_STATUS_{step.status.value}"),
        opened_at=None if step.opened_at is None else to_timestamp(step.opened_at),
        due_at=None if step.due_at is None else to_timestamp(step.due_at),
        decisions=[
            approval_pb2.ApprovalDecision(
                act=approval_pb2.ApprovalAct.Value(f"APPROVAL_ACT_{decision.act.value}"),
                person_id=str(decision.person_id or ""),
                on_behalf_of_person_id=str(decision.on_behalf_of_person_id or ""),
                explanation=decision.explanation,
                decided_at=to_timestamp(decision.decided_at),
            )
            for decision in step.decisions
        ],
    )


def delegation_message(row: Row[Any]) -> approval_pb2.ApprovalDelegation:
    """One delegation."""
    return approval_pb2.ApprovalDelegation(
        name=resource_name(DELEGATIONS, row.approval_delegation_id),
        approval_delegation_id=str(row.approval_delegation_id),
        agency_id=str(row.agency_id),
        role=row.role,
        to_person_id=str(row.to_person_id),
        valid_from=to_date(row.valid_from),
        valid_until=to_date(row.valid_until),
        explanation=row.explanation,
        from_person_id=str(row.from_person_id),
        ended_at=None if row.ended_at is None else to_timestamp(row.ended_at),
    )


@outbox.translates(events.ApprovalAsked)
def _asked(event: events.ApprovalAsked) -> outbox.Envelope:
    message = approval_events_pb2.ApprovalAsked(
        approval_id=str(event.approval_id),
        agency_id=str(event.agency_id),
        document_kind=_kind_number(event.document_kind),
        steps=[
            approval_events_pb2.AskedStep(
                approval_step_id=str(step.approval_step_id),
                role=step.role,
                due_at=None if step.due_at is None else to_timestamp(step.due_at),
                escalated=step.escalated,
            )
            for step in event.steps
        ],
    )
    return outbox.Envelope(message, event.approval_id, event.agency_id, event.version)


@outbox.translates(events.ApprovalEnded)
def _ended(event: events.ApprovalEnded) -> outbox.Envelope:
    message = approval_events_pb2.ApprovalEnded(
        approval_id=str(event.approval_id),
        agency_id=str(event.agency_id),
        document_kind=_kind_number(event.document_kind),
        status=approval_pb2.ApprovalStatus.Value(f"APPROVAL_STATUS_{event.status.value}"),
    )
    return outbox.Envelope(message, event.approval_id, event.agency_id, event.version)
