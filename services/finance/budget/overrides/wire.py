"""Overrides between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, from_money, resource_id, resource_name, to_date, to_money, to_timestamp, to_uuid
from kelola.finance.v1 import budget_events_pb2, budget_override_pb2
from services.finance.budget.domain import Document, DocumentKind
from services.finance.budget.overrides import events
from services.finance.budget.overrides.domain import Override, OverrideInvalid, OverrideItem, OverrideStatus
from services.finance.budget.wire import document_message

OVERRIDES = "budgetOverrides"

_STATUS = budget_override_pb2.BudgetOverrideStatus


def override(message: budget_override_pb2.BudgetOverride, *, by: UUID, at: datetime) -> Override:
    """An override to be proposed, with a fresh id."""
    amounts = [
        from_money(item.amount, f"budget_override.items[{nth}].amount") for nth, item in enumerate(message.items)
    ]
    currencies = {amount.currency for amount in amounts}
    if len(currencies) > 1:
        raise OverrideInvalid(f"the amounts are in {', '.join(sorted(currencies))}: an override has one currency")
    return Override(
        budget_override_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_override.agency_id"),
        fiscal_year=message.fiscal_year,
        document_number=message.document_number,
        authority_document=message.authority_document,
        reason=message.reason,
        coverage=message.coverage,
        currency=next(iter(currencies), ""),
        effective_on=from_date(message.effective_on, "budget_override.effective_on"),
        expires_on=from_date(message.expires_on, "budget_override.expires_on"),
        items=tuple(
            OverrideItem(to_uuid(item.budget_line_id, f"budget_override.items[{nth}].budget_line_id"), amount.minor)
            for nth, (item, amount) in enumerate(zip(message.items, amounts, strict=True))
        ),
        proposed_by=by,
        proposed_at=at,
    )


def override_message(value: Override) -> budget_override_pb2.BudgetOverride:
    """One override."""
    return budget_override_pb2.BudgetOverride(
        name=resource_name(OVERRIDES, value.budget_override_id),
        budget_override_id=str(value.budget_override_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        authority_document=value.authority_document,
        reason=value.reason,
        coverage=value.coverage,
        effective_on=to_date(value.effective_on),
        expires_on=to_date(value.expires_on),
        items=[_item_message(item, value.currency) for item in value.items],
        status=_STATUS.Value(f"BUDGET_OVERRIDE_STATUS_{value.status.value}"),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decided_role=value.decided_role,
        decision_reason=value.decision_reason,
        etag=str(value.version),
        kind=budget_override_pb2.BudgetOverrideKind.Value(f"BUDGET_OVERRIDE_KIND_{value.kind.value}"),
        owner_person_id=str(value.owner or ""),
    )


def _item_message(item: OverrideItem, currency: str) -> budget_override_pb2.BudgetOverrideItem:
    def money(minor: int) -> Any:
        return to_money(Money(minor, currency))

    return budget_override_pb2.BudgetOverrideItem(
        budget_line_id=str(item.budget_line_id),
        amount=money(item.granted),
        open_amount=money(item.open),
        consumed_amount=money(item.consumed),
    )


def optional_status(number: int) -> OverrideStatus | None:
    """The state that a list asks for; None for every state."""
    return OverrideStatus(_STATUS.Name(number).removeprefix("BUDGET_OVERRIDE_STATUS_")) if number else None


def override_id(name: str) -> UUID:
    """The id in `budgetOverrides/{uuid}`."""
    return resource_id(OVERRIDES, name)


def over_limit_message(row: Row[Any]) -> budget_override_pb2.FundsOverLimit:
    """What passed a node that only warns, as it was kept."""
    return budget_override_pb2.FundsOverLimit(
        funds_over_limit_id=str(row.funds_over_limit_id),
        agency_id=str(row.agency_id),
        budget_line_id=str(row.budget_line_id),
        document=document_message(Document(DocumentKind(row.document_kind), row.document_id, row.document_number)),
        asked=to_money(Money(row.asked_minor, row.currency)),
        available=to_money(Money(row.available_minor, row.currency)),
        over_by=to_money(Money(row.asked_minor - row.available_minor, row.currency)),
        effective_on=to_date(row.effective_on),
        person_id=str(row.person_id or ""),
        record_time=to_timestamp(row.recorded_at),
    )


@outbox.translates(events.BudgetOverrideChanged)
def _changed(event: events.BudgetOverrideChanged) -> outbox.Envelope:
    value = event.override
    message = budget_events_pb2.BudgetOverrideChanged(
        budget_override_id=str(value.budget_override_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        status=_STATUS.Value(f"BUDGET_OVERRIDE_STATUS_{value.status.value}"),
        expires_on=to_date(value.expires_on),
        items=[_item_message(item, value.currency) for item in value.items],
    )
    return outbox.Envelope(message, value.budget_override_id, value.agency_id, value.version)


@outbox.translates(events.FundsOverLimit)
def _over_limit(event: events.FundsOverLimit) -> outbox.Envelope:
    def money(minor: int) -> Any:
        return to_money(Money(minor, event.currency))

    message = budget_events_pb2.FundsWentOverLimit(
        agency_id=str(event.agency_id),
        document=document_message(event.document),
        budget_line_id=str(event.budget_line_id),
        asked=money(event.asked_minor),
        available=money(event.available_minor),
        over_by=money(event.asked_minor - event.available_minor),
    )
    return outbox.Envelope(message, event.document.document_id, event.agency_id, event.sequence)
