"""The country pack's days for the steps of a payment."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.payables.clocks.domain import Step, StepRule

TABLE = "payment_clocks.csv"
_WEEK = frozenset(range(1, 8))


def rule(step: Step, on: date) -> StepRule | None:
    """The rule of a step that begins on a day; None where the law sets no days for it.

    COUNTRY_PACK_INCOMPLETE for a row whose days of rest leave no day to count.
    """
    for row in holding(TABLE, on):
        if row["step"] == step.value:
            rest_days = frozenset(int(day) for day in row["rest_days"].split())
            if rest_days >= _WEEK:
                raise PackIncomplete(
                    f"no day of the week counts for {step.value} on {on}: leave one out of rest_days of {TABLE}",
                    metadata={"table": TABLE, "step": step.value, "on": str(on)},
                )
            return StepRule(step, int(row["days_max"]), int(row["return_days_max"]), rest_days)
    return None
