"""Contracts of several years between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_money,
    optional_uuid,
    resource_id,
    resource_name,
    to_date,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import budget_events_pb2, budget_years_pb2
from services.finance.budget.years.domain import Authorisation, AuthorisationInvalid, AuthorisationStatus, Slice
from services.finance.budget.years.events import MultiYearAuthorisationChanged

AUTHORISATIONS = "multiYearAuthorisations"

_STATUS = budget_years_pb2.MultiYearAuthorisationStatus


def authorisation(message: budget_years_pb2.MultiYearAuthorisation, *, by: UUID, at: datetime) -> Authorisation:
    """An authorisation to be proposed, with fresh ids."""
    where = "multi_year_authorisation"
    ceiling, price = from_money(message.ceiling, f"{where}.ceiling"), from_money(message.price, f"{where}.price")
    amounts = [from_money(one.amount, f"{where}.slices[{nth}].amount") for nth, one in enumerate(message.slices)]
    currencies = {amount.currency for amount in (ceiling, price, *amounts)}
    if len(currencies) > 1:
        raise AuthorisationInvalid(f"the amounts are in {', '.join(sorted(currencies))}: a contract has one currency")
    return Authorisation(
        multi_year_authorisation_id=new_id(),
        agency_id=to_uuid(message.agency_id, f"{where}.agency_id"),
        document_number=message.document_number,
        legal_reference=message.legal_reference,
        explanation=message.explanation,
        contract_id=to_uuid(message.contract_id, f"{where}.contract_id"),
        contract_number=message.contract_number,
        currency=price.currency,
        ceiling=ceiling.minor,
        price=price.minor,
        effective_on=from_date(message.effective_on, f"{where}.effective_on"),
        slices=tuple(
            Slice(
                fiscal_year=one.fiscal_year,
                amount=amount.minor,
                document_line_id=new_id(),
                budget_line_id=optional_uuid(one.budget_line_id, f"{where}.slices[{nth}].budget_line_id"),
            )
            for nth, (one, amount) in enumerate(zip(message.slices, amounts, strict=True))
        ),
        proposed_by=by,
        proposed_at=at,
    )


def authorisation_message(value: Authorisation) -> budget_years_pb2.MultiYearAuthorisation:
    """One authorisation."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, value.currency))

    return budget_years_pb2.MultiYearAuthorisation(
        name=resource_name(AUTHORISATIONS, value.multi_year_authorisation_id),
        multi_year_authorisation_id=str(value.multi_year_authorisation_id),
        agency_id=str(value.agency_id),
        document_number=value.document_number,
        legal_reference=value.legal_reference,
        explanation=value.explanation,
        contract_id=str(value.contract_id),
        contract_number=value.contract_number,
        ceiling=money(value.ceiling),
        price=money(value.price),
        effective_on=to_date(value.effective_on),
        slices=[
            budget_years_pb2.MultiYearSlice(
                fiscal_year=one.fiscal_year,
                amount=money(one.amount),
                budget_line_id=str(one.budget_line_id or ""),
                document_line_id=str(one.document_line_id),
                obligated_on=to_date(one.obligated_on) if one.obligated_on else None,
                exception=one.exception,
            )
            for one in value.slices
        ],
        status=_STATUS.Value(f"MULTI_YEAR_AUTHORISATION_STATUS_{value.status.value}"),
        future=money(value.future),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        etag=str(value.version),
    )


def optional_status(number: int) -> AuthorisationStatus | None:
    """The state that a list asks for; None for every state."""
    if not number:
        return None
    return AuthorisationStatus(_STATUS.Name(number).removeprefix("MULTI_YEAR_AUTHORISATION_STATUS_"))


def authorisation_id(name: str) -> UUID:
    """The id in `multiYearAuthorisations/{uuid}`."""
    return resource_id(AUTHORISATIONS, name)


@outbox.translates(MultiYearAuthorisationChanged)
def _changed(event: MultiYearAuthorisationChanged) -> outbox.Envelope:
    value = event.authorisation
    message = budget_events_pb2.MultiYearAuthorisationChanged(
        multi_year_authorisation_id=str(value.multi_year_authorisation_id),
        agency_id=str(value.agency_id),
        contract_id=str(value.contract_id),
        status=_STATUS.Value(f"MULTI_YEAR_AUTHORISATION_STATUS_{value.status.value}"),
        slices=authorisation_message(value).slices,
    )
    return outbox.Envelope(message, value.multi_year_authorisation_id, value.agency_id, value.version)
