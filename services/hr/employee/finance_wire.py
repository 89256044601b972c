"""What HR asks finance and identity for about employments, and how their refusals are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from chassis.money import Money
from chassis.saga import Refused
from chassis.wire import to_date, to_money
from kelola.finance.v1 import budget_pb2
from services.hr.employee.domain import Planned, Refusal


def document(kind: budget_pb2.FundsDocumentKind.ValueType, key: UUID, number: str) -> budget_pb2.FundsDocument:
    """A document in whose name funds move."""
    return budget_pb2.FundsDocument(kind=kind, document_id=str(key), document_number=number)


def position_document(employee_id: UUID, state: Mapping[str, Any]) -> budget_pb2.FundsDocument:
    """The filled post as a document: its id is the employment's, its number the one in the staff register."""
    return document(budget_pb2.FUNDS_DOCUMENT_KIND_POSITION, employee_id, state["document_number"])


def funds_items(planned: Iterable[Planned], currency: str) -> list[budget_pb2.FundsItem]:
    """What is to be obligated from now on, phased by month."""
    return [
        budget_pb2.FundsItem(
            document_line_id=str(one.document_line_id),
            budget_line_id=str(one.budget_line_id),
            amount=to_money(Money(one.amount, currency)),
            schedule=[
                budget_pb2.PeriodShare(year=month.year, month=month.month, amount=to_money(Money(minor, currency)))
                for month, minor in sorted(one.schedule.items())
            ],
        )
        for one in planned
    ]


def release_items(planned: Sequence[Planned]) -> list[budget_pb2.FundsItem]:
    """Lines of which everything that is open is freed for good."""
    return [
        budget_pb2.FundsItem(
            document_line_id=str(one.document_line_id), budget_line_id=str(one.budget_line_id), final=True
        )
        for one in planned
    ]


def effective_on(state: Mapping[str, Any]) -> Any:
    """The state's day on the wire."""
    return to_date(date.fromisoformat(state["effective_on"]))


def refusal(outcome: Refused) -> Refusal:
    """A peer's refusal as HR keeps it: reason, sentence, figures."""
    return Refusal(outcome.reason[:60], outcome.message[:1000], dict(list(outcome.metadata.items())[:50]))
