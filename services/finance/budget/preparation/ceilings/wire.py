"""Ceilings between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_money,
    resource_id,
    resource_name,
    to_date,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import budget_preparation_events_pb2, budget_preparation_pb2
from services.finance.budget.preparation.ceilings.domain import Ceiling, CeilingInvalid, CeilingStatus, Head, Place
from services.finance.budget.preparation.ceilings.events import BudgetCeilingChanged
from services.finance.budget.preparation.ceilings.usecases import LimitFigures

CEILINGS = "budgetCeilings"

_STATUS = budget_preparation_pb2.BudgetCeilingStatus


def ceiling(message: budget_preparation_pb2.BudgetCeiling, *, by: UUID, at: datetime) -> Ceiling:
    """A document to be proposed, with fresh ids."""
    currencies: set[str] = set()
    heads = tuple(_head(one, f"budget_ceiling.heads[{nth}]", currencies) for nth, one in enumerate(message.heads))
    if len(currencies) > 1:
        raise CeilingInvalid(f"the amounts are in {', '.join(sorted(currencies))}: a ceiling document has one currency")
    return Ceiling(
        budget_ceiling_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_ceiling.agency_id"),
        fiscal_year=message.fiscal_year,
        document_number=message.document_number,
        legal_reference=message.legal_reference,
        explanation=message.explanation,
        currency=next(iter(currencies), ""),
        effective_on=from_date(message.effective_on, "budget_ceiling.effective_on"),
        heads=heads,
        proposed_by=by,
        proposed_at=at,
    )


def _head(message: budget_preparation_pb2.BudgetCeilingHead, where: str, currencies: set[str]) -> Head:
    place = Place(
        message.organisation_code.rstrip("."), message.program_code.rstrip("."), message.account_code.rstrip(".")
    )
    return Head(new_id(), place, amounts(message.amount, message.medium_term_amounts, where, currencies))


def amounts(budget_year: Any, medium_term: Sequence[Any], where: str, currencies: set[str]) -> tuple[int, ...]:
    """Minor units of the budget year and of each medium-term year; their currencies are added to `currencies`."""
    found = [from_money(budget_year, f"{where}.amount")]
    found += [from_money(one, f"{where}.medium_term_amounts[{nth}]") for nth, one in enumerate(medium_term)]
    currencies |= {one.currency for one in found}
    return tuple(one.minor for one in found)


def moneys(minors: Sequence[int], currency: str) -> list[Any]:
    """Amounts of the medium-term years on the wire."""
    return [to_money(Money(minor, currency)) for minor in minors]


def ceiling_message(value: Ceiling) -> budget_preparation_pb2.BudgetCeiling:
    """One document."""
    return budget_preparation_pb2.BudgetCeiling(
        name=resource_name(CEILINGS, value.budget_ceiling_id),
        budget_ceiling_id=str(value.budget_ceiling_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        legal_reference=value.legal_reference,
        explanation=value.explanation,
        effective_on=to_date(value.effective_on),
        heads=[_head_message(head, value.currency) for head in value.heads],
        status=_status_number(value.status),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        etag=str(value.version),
    )


def _head_message(head: Head, currency: str) -> budget_preparation_pb2.BudgetCeilingHead:
    return budget_preparation_pb2.BudgetCeilingHead(
        organisation_code=head.place.organisation_code,
        program_code=head.place.program_code,
        account_code=head.place.account_code,
        amount=to_money(Money(head.amounts[0], currency)),
        medium_term_amounts=moneys(head.amounts[1:], currency),
        version_number=head.version_number,
        budget_ceiling_head_id=str(head.budget_ceiling_head_id),
    )


def figures_message(
    value: LimitFigures, fiscal_year: int, currency: str
) -> budget_preparation_pb2.BudgetCeilingFigures:
    """What binds at one place, year by year."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, currency))

    head = value.limit.head
    return budget_preparation_pb2.BudgetCeilingFigures(
        organisation_code=head.place.organisation_code,
        program_code=head.place.program_code,
        account_code=head.place.account_code,
        version_number=head.version_number,
        document_number=value.limit.document_number,
        effective_on=to_date(value.limit.effective_on),
        years=[
            budget_preparation_pb2.BudgetCeilingYear(
                fiscal_year=fiscal_year + nth,
                ceiling=money(minor),
                requested=money(value.requested.amounts[nth]),
                approved=money(value.approved.amounts[nth]),
                left=money(minor - value.requested.amounts[nth]),
            )
            for nth, minor in enumerate(head.amounts)
        ],
    )


def ceiling_id(name: str) -> UUID:
    """The id in `budgetCeilings/{uuid}`."""
    return resource_id(CEILINGS, name)


def optional_status(number: int) -> CeilingStatus | None:
    """The state that a list asks for; None for every state."""
    return CeilingStatus(_STATUS.Name(number).removeprefix("BUDGET_CEILING_STATUS_")) if number else None


def _status_number(status: CeilingStatus) -> Any:
    return _STATUS.Value(f"BUDGET_CEILING_STATUS_{status.value}")


@outbox.translates(BudgetCeilingChanged)
def _changed(event: BudgetCeilingChanged) -> outbox.Envelope:
    value = event.ceiling
    message = budget_preparation_events_pb2.BudgetCeilingChanged(
        budget_ceiling_id=str(value.budget_ceiling_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        status=_status_number(value.status),
        effective_on=to_date(value.effective_on),
        heads=[_head_message(head, value.currency) for head in value.heads],
    )
    return outbox.Envelope(message, value.budget_ceiling_id, value.agency_id, value.version)
