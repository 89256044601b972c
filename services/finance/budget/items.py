"""What one item of an act asks for: its amount, currency and schedule, checked before anything moves. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.money import CurrencyMismatch
from services.finance.budget.domain import FundsItemInvalid, Item, Line
from services.finance.classification.fiscal_calendar import Period


def amount_of(item: Item) -> int:
    """The item's amount in minor units; refused unless it, and the quantity where there is one, are above zero."""
    if item.amount is None or item.amount <= 0:
        raise FundsItemInvalid(f"document line {item.document_line_id}: give an amount above zero")
    if item.quantity is not None and item.quantity <= 0:
        raise FundsItemInvalid(f"document line {item.document_line_id}: give a quantity above zero, or none")
    return item.amount


def check_currency(item: Item, line: Line) -> None:
    """Refuse an amount in another currency than its budget line's."""
    if item.amount is not None and item.currency not in ("", line.currency):
        raise CurrencyMismatch(
            f"document line {item.document_line_id} is in {item.currency}, budget line {line.budget_line_id} "
            f"in {line.currency}; convert at the day's rate first",
            metadata={"left": item.currency, "right": line.currency},
        )


def schedule_of(item: Item, amount: int, period: Period) -> dict[Period, int]:
    """When `amount` falls due, by period: as the item says, else all of it in `period`."""
    schedule: dict[Period, int] = {}
    for each, part in item.schedule:
        if part < 0:
            raise FundsItemInvalid(f"document line {item.document_line_id}: a part of the schedule is negative")
        schedule[each] = schedule.get(each, 0) + part
    if not schedule:
        schedule = {period: amount} if amount else {}
    if sum(schedule.values()) != amount:
        raise FundsItemInvalid(
            f"document line {item.document_line_id}: the schedule adds up to {sum(schedule.values())} minor "
            f"units, the amount is {amount}"
        )
    return {each: part for each, part in schedule.items() if part}


def taken_latest(schedule: Mapping[Period, int], amount: int) -> dict[Period, int]:
    """The schedule after `amount` was taken out of it: what falls due last goes first (a shorter future)."""
    rest, left = amount, dict(schedule)
    for period in sorted(schedule, reverse=True):
        part = min(rest, left[period])
        rest -= part
        left[period] -= part
    return {period: part for period, part in left.items() if part}
