"""The days of payments' steps on the wire: no decisions."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Row

from chassis.wire import to_date
from kelola.finance.v1 import payment_clock_pb2
from services.finance.payables.clocks.domain import Outcome, days_late


def clock_message(row: Row[Any], today: date) -> payment_clock_pb2.PaymentClock:
    """One step of one payment request, as it stands on a day."""
    outcome = None if row.outcome is None else Outcome(row.outcome)
    return payment_clock_pb2.PaymentClock(
        payment_request_id=str(row.payment_request_id),
        agency_id=str(row.agency_id),
        request_number=row.request_number or "",
        authorisation_number=row.authorisation_number or "",
        step=payment_clock_pb2.PaymentStep.Value(f"PAYMENT_STEP_{row.step}"),
        started_on=to_date(row.started_on),
        due_on=to_date(row.due_on),
        return_due_on=to_date(row.return_due_on),
        ended_on=None if row.ended_on is None else to_date(row.ended_on),
        outcome=payment_clock_pb2.PaymentStepOutcome.Value(
            "PAYMENT_STEP_OUTCOME_" + ("UNSPECIFIED" if outcome is None else outcome.value)
        ),
        days_late=days_late(
            due_on=row.due_on, return_due_on=row.return_due_on, ended_on=row.ended_on, outcome=outcome, today=today
        ),
    )
