"""The end of a budget year between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, resource_id, resource_name, to_date, to_money, to_timestamp, to_uuid
from kelola.finance.v1 import budget_events_pb2, budget_year_end_pb2
from services.finance.budget.domain import Key
from services.finance.budget.yearend.domain import Decision, YearEnd
from services.finance.budget.yearend.events import BudgetYearEndChanged

YEAR_ENDS = "budgetYearEnds"

_STATUS, _DECISION = budget_year_end_pb2.BudgetYearEndStatus, budget_year_end_pb2.YearEndDecision


def year_end(message: budget_year_end_pb2.BudgetYearEnd, *, by: UUID, at: datetime) -> YearEnd:
    """A document to be proposed, with a fresh id."""
    decisions: dict[Key, Decision] = {}
    for nth, one in enumerate(message.decisions):
        where = f"budget_year_end.decisions[{nth}]"
        key = Key(
            to_uuid(one.document_line_id, f"{where}.document_line_id"),
            to_uuid(one.budget_line_id, f"{where}.budget_line_id"),
        )
        if key in decisions:
            raise InvalidArgument.field(where, "the document line is named twice for this budget line")
        decisions[key] = _decision(one.decision)
    return YearEnd(
        budget_year_end_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_year_end.agency_id"),
        fiscal_year=message.fiscal_year,
        document_number=message.document_number,
        explanation=message.explanation,
        default=_decision(message.default_decision),
        opened_on=from_date(message.opened_on, "budget_year_end.opened_on"),
        proposed_by=by,
        proposed_at=at,
        decisions=decisions,
    )


def _decision(number: int) -> Decision:
    return Decision(_DECISION.Name(number).removeprefix("YEAR_END_DECISION_"))


def _decision_number(decision: Decision) -> Any:
    return _DECISION.Value(f"YEAR_END_DECISION_{decision.value}")


def year_end_message(value: YearEnd) -> budget_year_end_pb2.BudgetYearEnd:
    """One document."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, value.currency))

    return budget_year_end_pb2.BudgetYearEnd(
        name=resource_name(YEAR_ENDS, value.budget_year_end_id),
        budget_year_end_id=str(value.budget_year_end_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        explanation=value.explanation,
        default_decision=_decision_number(value.default),
        decisions=[
            budget_year_end_pb2.DocumentLineDecision(
                document_line_id=str(key.document_line_id),
                budget_line_id=str(key.budget_line_id),
                decision=_decision_number(decision),
            )
            for key, decision in value.decisions.items()
        ],
        opened_on=to_date(value.opened_on),
        status=_STATUS.Value(f"BUDGET_YEAR_END_STATUS_{value.status.value}"),
        line_count=value.line_count,
        paid=money(value.paid),
        closed_advances=money(value.closed_advances),
        lapsed=money(value.lapsed),
        carried=money(value.carried),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        etag=str(value.version),
    )


def result_message(row: Row[Any]) -> budget_year_end_pb2.BudgetYearEndLine:
    """What became of one line."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, row.currency))

    return budget_year_end_pb2.BudgetYearEndLine(
        budget_line_id=str(row.budget_line_id),
        next_budget_line_id=str(row.next_budget_line_id or ""),
        revised=money(row.revised_minor),
        paid=money(row.paid_minor),
        closed_advances=money(row.closed_advances_minor),
        lapsed=money(row.lapsed_minor),
        carried=money(row.carried_minor),
    )


def year_end_id(name: str) -> UUID:
    """The id in `budgetYearEnds/{uuid}`."""
    return resource_id(YEAR_ENDS, name)


@outbox.translates(BudgetYearEndChanged)
def _changed(event: BudgetYearEndChanged) -> outbox.Envelope:
    value = event.year_end
    shown = year_end_message(value)
    message = budget_events_pb2.BudgetYearEndChanged(
        budget_year_end_id=shown.budget_year_end_id,
        agency_id=shown.agency_id,
        fiscal_year=shown.fiscal_year,
        document_number=shown.document_number,
        status=shown.status,
        line_count=shown.line_count,
        paid=shown.paid,
        closed_advances=shown.closed_advances,
        lapsed=shown.lapsed,
        carried=shown.carried,
    )
    return outbox.Envelope(message, value.budget_year_end_id, value.agency_id, value.version)
