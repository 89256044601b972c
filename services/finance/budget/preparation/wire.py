"""Budget requests between the wire and the domain: no decisions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import resource_id, resource_name, to_money, to_timestamp, to_uuid
from kelola.finance.v1 import budget_preparation_events_pb2, budget_preparation_pb2
from services.finance.budget.preparation.ceilings.wire import amounts, moneys
from services.finance.budget.preparation.domain import (
    Difference,
    LineKey,
    Request,
    RequestLine,
    Stage,
    Version,
    VersionStatus,
)
from services.finance.budget.preparation.events import BudgetRequestChanged

REQUESTS = "budgetRequests"

_STAGE, _STATUS = budget_preparation_pb2.BudgetRequestStage, budget_preparation_pb2.BudgetRequestStatus
_DIFFERENCE = budget_preparation_pb2.BudgetRequestDifferenceKind


def request(
    message: budget_preparation_pb2.BudgetRequest, *, medium_term_years: int, by: UUID, at: datetime
) -> Request:
    """A request to be opened, with a fresh id and an empty first version."""
    first = Version(1, Stage.FIRST, frozenset({by}), at, totals=(0,) * (1 + medium_term_years))
    return Request(
        budget_request_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_request.agency_id"),
        fiscal_year=message.fiscal_year,
        organisation_code=message.organisation_code,
        document_number=message.document_number,
        explanation=message.explanation,
        currency=message.currency_code,
        medium_term_years=medium_term_years,
        latest=first,
        created_by=by,
        created_at=at,
    )


def lines(message: budget_preparation_pb2.SetBudgetRequestLinesRequest) -> tuple[list[RequestLine], set[str]]:
    """The lines to write, and the currencies that they are in."""
    currencies: set[str] = set()
    found = [
        RequestLine(
            LineKey(
                organisation_code=one.organisation_code,
                program_code=one.program_code,
                account_code=one.account_code,
                fund_code=one.fund_code,
                function_code=one.function_code,
                location_code=one.location_code,
                project_code=one.project_code,
                funding_source_code=one.funding_source_code,
                line_no=one.line_no,
            ),
            one.display_name,
            amounts(one.amount, one.medium_term_amounts, f"lines[{nth}]", currencies),
        )
        for nth, one in enumerate(message.lines)
    ]
    return found, currencies


def request_message(value: Request) -> budget_preparation_pb2.BudgetRequest:
    """One request with its latest version."""
    return budget_preparation_pb2.BudgetRequest(
        name=resource_name(REQUESTS, value.budget_request_id),
        budget_request_id=str(value.budget_request_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        organisation_code=value.organisation_code,
        document_number=value.document_number,
        explanation=value.explanation,
        currency_code=value.currency,
        medium_term_years=value.medium_term_years,
        latest_version=version_message(value.latest, value.currency),
        appropriation_id=str(value.appropriation_id or ""),
        created_by_person_id=str(value.created_by),
        create_time=to_timestamp(value.created_at),
        etag=str(value.version),
    )


def version_message(value: Version, currency: str) -> budget_preparation_pb2.BudgetRequestVersion:
    """One version."""
    return budget_preparation_pb2.BudgetRequestVersion(
        version_number=value.version_number,
        stage=_stage_number(value.stage),
        status=_status_number(value.status),
        line_count=value.line_count,
        total=to_money(Money(value.totals[0], currency)),
        medium_term_totals=moneys(value.totals[1:], currency),
        maker_person_ids=[str(one) for one in sorted(value.makers)],
        open_time=to_timestamp(value.opened_at),
        submitted_by_person_id=str(value.submitted_by or ""),
        submit_time=to_timestamp(value.submitted_at) if value.submitted_at else None,
        reviewed_by_person_id=str(value.reviewed_by or ""),
        review_time=to_timestamp(value.reviewed_at) if value.reviewed_at else None,
        review_remark=value.review_remark,
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
    )


def line_message(value: RequestLine, currency: str) -> budget_preparation_pb2.BudgetRequestLine:
    """One line."""
    return budget_preparation_pb2.BudgetRequestLine(
        budget_request_line_id=str(value.budget_request_line_id or ""),
        **asdict(value.key),
        display_name=value.display_name,
        amount=to_money(Money(value.amounts[0], currency)),
        medium_term_amounts=moneys(value.amounts[1:], currency),
    )


def difference_message(value: Difference, currency: str) -> budget_preparation_pb2.BudgetRequestDifference:
    """One line that two versions do not share."""
    return budget_preparation_pb2.BudgetRequestDifference(
        kind=_DIFFERENCE.Value(f"BUDGET_REQUEST_DIFFERENCE_KIND_{value.kind.value}"),
        before=line_message(value.before, currency) if value.before else None,
        after=line_message(value.after, currency) if value.after else None,
    )


def request_id(name: str) -> UUID:
    """The id in `budgetRequests/{uuid}`."""
    return resource_id(REQUESTS, name)


def stage(number: int) -> Stage:
    """Which version a caller opens."""
    return Stage(_STAGE.Name(number).removeprefix("BUDGET_REQUEST_STAGE_"))


def optional_status(number: int) -> VersionStatus | None:
    """The state that a list asks for; None for every state."""
    return VersionStatus(_STATUS.Name(number).removeprefix("BUDGET_REQUEST_STATUS_")) if number else None


def _stage_number(value: Stage) -> Any:
    return _STAGE.Value(f"BUDGET_REQUEST_STAGE_{value.value}")


def _status_number(value: VersionStatus) -> Any:
    return _STATUS.Value(f"BUDGET_REQUEST_STATUS_{value.value}")


@outbox.translates(BudgetRequestChanged)
def _changed(event: BudgetRequestChanged) -> outbox.Envelope:
    value = event.request
    latest = value.latest
    message = budget_preparation_events_pb2.BudgetRequestChanged(
        budget_request_id=str(value.budget_request_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        organisation_code=value.organisation_code,
        document_number=value.document_number,
        version_number=latest.version_number,
        stage=_stage_number(latest.stage),
        status=_status_number(latest.status),
        line_count=latest.line_count,
        total=to_money(Money(latest.totals[0], value.currency)),
        medium_term_totals=moneys(latest.totals[1:], value.currency),
        appropriation_id=str(value.appropriation_id or ""),
    )
    return outbox.Envelope(message, value.budget_request_id, value.agency_id, value.version)
