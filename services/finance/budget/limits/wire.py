"""Period limits and what-if between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, to_date, to_money, to_uuid
from kelola.finance.v1 import budget_pb2
from services.finance.budget import wire as budget
from services.finance.budget.domain import Line
from services.finance.budget.limits.domain import PeriodLimit, Step
from services.finance.budget.limits.usecases import Checked

_STEP = budget_pb2.PeriodLimitStep


def limit(message: budget_pb2.PeriodLimit, where: str) -> PeriodLimit:
    """A limit to be added, with a fresh id."""
    valid_to = None
    if message.HasField("valid_to"):
        valid_to = from_date(message.valid_to, f"{where}.valid_to")
    return PeriodLimit(
        period_limit_id=new_id(),
        agency_id=to_uuid(message.agency_id, f"{where}.agency_id"),
        step=Step(_STEP.Name(message.step).removeprefix("PERIOD_LIMIT_STEP_")),
        legal_source=message.legal_source,
        valid_from=from_date(message.valid_from, f"{where}.valid_from"),
        valid_to=valid_to,
    )


def limit_message(value: PeriodLimit) -> budget_pb2.PeriodLimit:
    """One limit."""
    return budget_pb2.PeriodLimit(
        period_limit_id=str(value.period_limit_id),
        agency_id=str(value.agency_id),
        step=step_number(value.step),
        legal_source=value.legal_source,
        valid_from=to_date(value.valid_from),
        valid_to=None if value.valid_to is None else to_date(value.valid_to),
    )


def step_number(step: Step) -> Any:
    """The contract's number of a step."""
    return _STEP.Value(f"PERIOD_LIMIT_STEP_{step.value}")


def check_message(checked: Checked, rows: Iterable[Row[Any]]) -> budget_pb2.CheckFundsResponse:
    """What an act would find; `rows` are the lines as they stand, with their releases."""
    return budget_pb2.CheckFundsResponse(
        fits=checked.fits,
        nodes=[_node_message(checked, row) for row in rows],
        release_shortages=[
            budget_pb2.ReleaseShortage(
                budget_line_id=str(one.line.budget_line_id),
                step=step_number(one.step),
                month=one.short.month,
                released=_money(one.short.allotted, one.line),
                reached=_money(one.short.reached, one.line),
                asked=_money(one.short.asked, one.line),
                short_by=_money(one.short.short_by, one.line),
            )
            for one in checked.unreleased
        ],
    )


def _node_message(checked: Checked, row: Row[Any]) -> budget_pb2.FundsCheckNode:
    line_id: UUID = row.budget_line_id
    before, after = checked.before[line_id], checked.after[line_id]
    short_by = next((one.short_by for one in checked.short if one.line.budget_line_id == line_id), 0)
    over_by = next((one.short_by for one in checked.over if one.line.budget_line_id == line_id), 0)
    return budget_pb2.FundsCheckNode(
        budget_line=budget.line_message(row),
        asked=_money(before.available - after.available, before),
        available_after=_money(after.available, before),
        short_by=_money(short_by, before),
        over_by=_money(over_by, before),
        biggest_users=[
            budget_pb2.FundsUser(document=budget.document_message(user.document), amount=_money(user.amount, before))
            for user in checked.users.get(line_id, ())
        ],
    )


def _money(minor: int, line: Line) -> Any:
    return to_money(Money(minor, line.currency))
