"""Changes of control between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import resource_id, resource_name, to_timestamp, to_uuid
from kelola.finance.v1 import budget_control_events_pb2, budget_control_pb2, budget_pb2
from services.finance.budget.controls.domain import ControlChange, ControlItem, ControlStatus, Mode
from services.finance.budget.controls.events import BudgetControlChanged

CHANGES = "budgetControlChanges"

_STATUS, _MODE = budget_control_pb2.BudgetControlChangeStatus, budget_pb2.BudgetControlMode


def change(message: budget_control_pb2.BudgetControlChange, *, by: UUID, at: datetime) -> ControlChange:
    """A change to be proposed, with a fresh id."""
    return ControlChange(
        budget_control_change_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_control_change.agency_id"),
        fiscal_year=message.fiscal_year,
        document_number=message.document_number,
        legal_reference=message.legal_reference,
        explanation=message.explanation,
        items=tuple(
            ControlItem(
                to_uuid(one.budget_line_id, f"budget_control_change.items[{nth}].budget_line_id"),
                Mode(_MODE.Name(one.control_mode).removeprefix("BUDGET_CONTROL_MODE_")),
            )
            for nth, one in enumerate(message.items)
        ),
        proposed_by=by,
        proposed_at=at,
    )


def change_message(value: ControlChange) -> budget_control_pb2.BudgetControlChange:
    """One change."""
    return budget_control_pb2.BudgetControlChange(
        name=resource_name(CHANGES, value.budget_control_change_id),
        budget_control_change_id=str(value.budget_control_change_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        legal_reference=value.legal_reference,
        explanation=value.explanation,
        items=_items(value),
        status=_status_number(value.status),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        etag=str(value.version),
    )


def _items(value: ControlChange) -> list[budget_control_pb2.BudgetControlChangeItem]:
    return [
        budget_control_pb2.BudgetControlChangeItem(
            budget_line_id=str(item.budget_line_id),
            control_mode=_mode_number(item.mode),
            control_mode_before=_mode_number(item.mode_before) if item.mode_before else 0,
        )
        for item in value.items
    ]


def change_id(name: str) -> UUID:
    """The id in `budgetControlChanges/{uuid}`."""
    return resource_id(CHANGES, name)


def optional_status(number: int) -> ControlStatus | None:
    """The state that a list asks for; None for every state."""
    return ControlStatus(_STATUS.Name(number).removeprefix("BUDGET_CONTROL_CHANGE_STATUS_")) if number else None


def _mode_number(mode: Mode) -> Any:
    return _MODE.Value(f"BUDGET_CONTROL_MODE_{mode.value}")


def _status_number(status: ControlStatus) -> Any:
    return _STATUS.Value(f"BUDGET_CONTROL_CHANGE_STATUS_{status.value}")


@outbox.translates(BudgetControlChanged)
def _changed(event: BudgetControlChanged) -> outbox.Envelope:
    value = event.change
    message = budget_control_events_pb2.BudgetControlChanged(
        budget_control_change_id=str(value.budget_control_change_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        status=_status_number(value.status),
        items=_items(value),
    )
    return outbox.Envelope(message, value.budget_control_change_id, value.agency_id, value.version)
