"""Between the wire and the closing acts, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import resource_id, resource_name, to_date, to_timestamp, to_uuid
from kelola.finance.v1 import fiscal_calendar_pb2, fiscal_closing_events_pb2, fiscal_closing_pb2
from services.finance.classification.closing.domain import Blocker, Reopening, ReopeningStatus
from services.finance.classification.closing.events import FinancialStatementsIssued, FiscalPeriodReopened
from services.finance.classification.domain import Area, PeriodState
from services.finance.classification.wire import areas as areas_of

COLLECTION = "fiscalPeriodReopenings"
_STATUS = "FISCAL_PERIOD_REOPENING_STATUS_"


def reopening(message: fiscal_closing_pb2.FiscalPeriodReopening, *, by: UUID, at: datetime) -> Reopening:
    """A proposal, with a fresh id."""
    return Reopening(
        fiscal_period_reopening_id=new_id(),
        agency_id=to_uuid(message.agency_id, "fiscal_period_reopening.agency_id"),
        year=message.year,
        number=message.number,
        areas=tuple(areas_of(message.areas) or Area),
        reason=message.reason,
        proposed_by=by,
        proposed_at=at,
    )


def reopening_id(name: str) -> UUID:
    """The id in a reopening's name."""
    return resource_id(COLLECTION, name)


def status(value: int) -> ReopeningStatus | None:
    """The status of a proto enum's number; None for unspecified."""
    if not value:
        return None
    return ReopeningStatus(fiscal_closing_pb2.FiscalPeriodReopeningStatus.Name(value).removeprefix(_STATUS))


def reopening_message(one: Reopening) -> fiscal_closing_pb2.FiscalPeriodReopening:
    """A reopening."""
    message = fiscal_closing_pb2.FiscalPeriodReopening(
        name=resource_name(COLLECTION, one.fiscal_period_reopening_id),
        fiscal_period_reopening_id=str(one.fiscal_period_reopening_id),
        agency_id=str(one.agency_id),
        year=one.year,
        number=one.number,
        areas=_area_values(one.areas),
        reason=one.reason,
        from_state=_state_value(one.from_state),
        status=fiscal_closing_pb2.FiscalPeriodReopeningStatus.Value(f"{_STATUS}{one.status.value}"),
        proposed_by_person_id=str(one.proposed_by),
        proposed_at=to_timestamp(one.proposed_at),
        decided_by_person_id="" if one.decided_by is None else str(one.decided_by),
        decision_reason=one.decision_reason,
    )
    if one.decided_at is not None:
        message.decided_at.CopyFrom(to_timestamp(one.decided_at))
    return message


def blocker_message(one: Blocker) -> fiscal_closing_pb2.FiscalPeriodBlocker:
    """A blocker."""
    return fiscal_closing_pb2.FiscalPeriodBlocker(
        kind=fiscal_closing_pb2.FiscalPeriodBlockerKind.Value(f"FISCAL_PERIOD_BLOCKER_KIND_{one.kind.value}"),
        area=_area_values([one.area])[0],
        subject=one.subject,
        description=one.description,
    )


def _area_values(areas: Sequence[Area]) -> list[fiscal_calendar_pb2.PeriodArea.ValueType]:
    return [fiscal_calendar_pb2.PeriodArea.Value(f"PERIOD_AREA_{area.value}") for area in areas]


def _state_value(state: PeriodState) -> fiscal_calendar_pb2.PeriodState.ValueType:
    return fiscal_calendar_pb2.PeriodState.Value(f"PERIOD_STATE_{state.value}")


@outbox.translates(FiscalPeriodReopened)
def _reopened(event: FiscalPeriodReopened) -> outbox.Envelope:
    one = event.reopening
    return outbox.Envelope(
        message=fiscal_closing_events_pb2.FiscalPeriodReopened(
            fiscal_period_reopening_id=str(one.fiscal_period_reopening_id),
            agency_id=str(one.agency_id),
            year=one.year,
            number=one.number,
            areas=_area_values(one.areas),
            state=_state_value(one.to_state),
        ),
        aggregate_id=one.fiscal_period_reopening_id,
        agency_id=one.agency_id,
        # A reopening tells one fact.
        sequence=1,
    )


@outbox.translates(FinancialStatementsIssued)
def _issued(event: FinancialStatementsIssued) -> outbox.Envelope:
    year = event.fiscal_year
    assert year.statements_issued_on is not None, "issue() set it"
    return outbox.Envelope(
        message=fiscal_closing_events_pb2.FinancialStatementsIssued(
            fiscal_year_id=str(year.fiscal_year_id),
            agency_id=str(year.agency_id),
            year=year.year,
            issued_on=to_date(year.statements_issued_on),
            document_number=year.statements_document_number,
        ),
        aggregate_id=year.fiscal_year_id,
        agency_id=year.agency_id,
        # Statements are issued once.
        sequence=1,
    )
