"""Revaluations of foreign commitments between the wire and the domain: no decisions."""

from __future__ import annotations

from uuid import UUID

from chassis.wire import resource_id, resource_name, to_date, to_decimal, to_money, to_timestamp
from kelola.finance.v1 import funds_revaluation_pb2
from services.finance.budget.foreign.domain import FundsRevaluation, RevaluedFunds

REVALUATIONS = "fundsRevaluations"


def revaluation_id(name: str) -> UUID:
    """The id in `fundsRevaluations/{uuid}`."""
    return resource_id(REVALUATIONS, name)


def revaluation_message(one: FundsRevaluation) -> funds_revaluation_pb2.FundsRevaluation:
    """One revaluation."""
    return funds_revaluation_pb2.FundsRevaluation(
        name=resource_name(REVALUATIONS, one.funds_revaluation_id),
        funds_revaluation_id=str(one.funds_revaluation_id),
        agency_id=str(one.agency_id),
        document_number=one.document_number,
        revalued_on=to_date(one.revalued_on),
        budget_line_id=str(one.budget_line_id or ""),
        budget_override_id=str(one.budget_override_id or ""),
        person_id=str(one.person_id or ""),
        record_time=to_timestamp(one.recorded_at),
    )


def item_message(one: RevaluedFunds) -> funds_revaluation_pb2.FundsRevaluationItem:
    """What a revaluation did to one document line."""
    return funds_revaluation_pb2.FundsRevaluationItem(
        budget_line_id=str(one.key.budget_line_id),
        document_line_id=str(one.key.document_line_id),
        funds_movement_id=str(one.funds_movement_id),
        foreign_amount=to_money(one.foreign),
        rate=to_decimal(one.rate.rate),
        rated_on=to_date(one.rate.rated_on),
        carrying_amount=to_money(one.carrying),
        revalued_amount=to_money(one.revalued),
        difference=to_money(one.revalued - one.carrying),
    )
