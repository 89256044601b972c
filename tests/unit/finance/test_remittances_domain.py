"""What is remitted, as plain values."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from services.finance.payables.remittances import domain
from services.finance.payables.remittances.domain import Withheld

FIRST, SECOND = UUID(int=1), UUID(int=2)


def test_a_payments_withheld_amount_is_shared_over_its_funds_to_the_last_minor_unit():
    withheld = Withheld(FIRST, "1", date(2025, 3, 21), 100, {"B": 1, "A": 2})

    items = domain.shares(withheld)

    assert [(item.fund_code, item.amount) for item in items] == [("A", 67), ("B", 33)]


def test_what_is_in_a_remittance_is_outstanding_no_more_fund_by_fund():
    found = [
        Withheld(SECOND, "2", date(2025, 3, 22), 10, {"A": 1}),
        Withheld(FIRST, "1", date(2025, 3, 21), 100, {"A": 1, "B": 1}),
    ]

    left = domain.outstanding(found, {(FIRST, "A")})

    assert [(item.payment_order_id, item.fund_code, item.amount) for item in left] == [
        (FIRST, "B", 50),
        (SECOND, "A", 10),
    ]


def test_a_remittance_is_due_on_its_day_of_the_next_month():
    assert domain.due_on(date(2025, 3, 31), 15) == date(2025, 4, 15)
    assert domain.due_on(date(2025, 12, 1), 10) == date(2026, 1, 10)
