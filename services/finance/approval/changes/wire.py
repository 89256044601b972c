"""Changes of the matrix between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import from_date, resource_id, resource_name, to_date, to_timestamp, to_uuid
from kelola.finance.v1 import approval_pb2, approval_rule_change_events_pb2, approval_rule_change_pb2
from services.finance.approval.changes.domain import Ending, RuleChange, RuleChangeStatus, addition_field
from services.finance.approval.changes.events import ApprovalRulesChanged
from services.finance.approval.wire import new_rule, rule_message

CHANGES = "approvalRuleChanges"

_STATUS = approval_rule_change_pb2.ApprovalRuleChangeStatus


def change(message: approval_rule_change_pb2.ApprovalRuleChange, *, by: UUID, at: datetime) -> RuleChange:
    """A change to be proposed, with a fresh id."""
    return RuleChange(
        approval_rule_change_id=new_id(),
        agency_id=to_uuid(message.agency_id, "approval_rule_change.agency_id"),
        document_number=message.document_number,
        explanation=message.explanation,
        additions=tuple(new_rule(rule, addition_field(nth)) for nth, rule in enumerate(message.additions)),
        endings=tuple(
            Ending(
                to_uuid(one.approval_rule_id, f"approval_rule_change.endings[{nth}].approval_rule_id"),
                from_date(one.valid_to, f"approval_rule_change.endings[{nth}].valid_to"),
            )
            for nth, one in enumerate(message.endings)
        ),
        proposed_by=by,
        proposed_at=at,
    )


def change_message(value: RuleChange) -> approval_rule_change_pb2.ApprovalRuleChange:
    """One change."""
    return approval_rule_change_pb2.ApprovalRuleChange(
        name=resource_name(CHANGES, value.approval_rule_change_id),
        approval_rule_change_id=str(value.approval_rule_change_id),
        agency_id=str(value.agency_id),
        document_number=value.document_number,
        explanation=value.explanation,
        additions=_additions(value),
        endings=_endings(value),
        status=_status_number(value.status),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        etag=str(value.version),
    )


def _additions(value: RuleChange) -> list[approval_pb2.ApprovalRule]:
    """The rules that come; what is not in the matrix has no name there."""
    found = [rule_message(rule) for rule in value.additions]
    if value.status is not RuleChangeStatus.APPROVED:
        for message in found:
            message.ClearField("name")
            message.ClearField("approval_rule_id")
    return found


def _endings(value: RuleChange) -> list[approval_rule_change_pb2.ApprovalRuleEnding]:
    return [
        approval_rule_change_pb2.ApprovalRuleEnding(
            approval_rule_id=str(one.approval_rule_id), valid_to=to_date(one.valid_to)
        )
        for one in value.endings
    ]


def change_id(name: str) -> UUID:
    """The id in `approvalRuleChanges/{uuid}`."""
    return resource_id(CHANGES, name)


def optional_status(number: int) -> RuleChangeStatus | None:
    """The state that a list asks for; None for every state."""
    return RuleChangeStatus(_STATUS.Name(number).removeprefix("APPROVAL_RULE_CHANGE_STATUS_")) if number else None


def _status_number(status: RuleChangeStatus) -> Any:
    return _STATUS.Value(f"APPROVAL_RULE_CHANGE_STATUS_{status.value}")


@outbox.translates(ApprovalRulesChanged)
def _changed(event: ApprovalRulesChanged) -> outbox.Envelope:
    value = event.change
    message = approval_rule_change_events_pb2.ApprovalRulesChanged(
        approval_rule_change_id=str(value.approval_rule_change_id),
        agency_id=str(value.agency_id),
        document_number=value.document_number,
        status=_status_number(value.status),
        additions=_additions(value),
        endings=_endings(value),
    )
    return outbox.Envelope(message, value.approval_rule_change_id, value.agency_id, value.version)
