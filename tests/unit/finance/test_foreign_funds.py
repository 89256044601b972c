"""Funds in foreign currencies by domain-rules §2: conversion, shares, REVALUE, cover, and random histories."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis.money import CurrencyMismatch, Money
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import (
    BudgetExceeded,
    Document,
    DocumentKind,
    FundsItemInvalid,
    Item,
    Key,
    Line,
    MovementKind,
)
from services.finance.budget.foreign import domain
from services.finance.budget.foreign.held import ForeignActUnsupported
from services.finance.budget.movements import FundsAct
from services.finance.budget.overrides.domain import OverrideKind, OverrideStatus
from services.finance.budget.yearend.domain import Debt, debts
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, Period
from services.finance.ledger.rates.domain import Balance, Rate, RateKind, functional_amount, merged
from services.finance.payables.domain import Source
from services.finance.payables.exchange import revalue_ordered
from services.finance.payables.payment_store import PayablePart

DAY = date(2025, 1, 20)
ORDER = DocumentKind.PURCHASE_ORDER


def dollars(rate: str) -> dict[tuple[str, str], Rate]:
    """The dollar's rate of a day."""
    return {("USD", "IDR"): Rate(uuid4(), "USD", "IDR", DAY, RateKind.MIDDLE, Decimal(rate), "BI")}


class Ledger:
    """One line and its positions, that outlive acts as the database keeps them."""

    def __init__(self, original: int = 20_000_000_00) -> None:
        self.line = Line(uuid4(), uuid4(), "IDR", original=original, fiscal_year=2025)
        self.lines = {self.line.budget_line_id: self.line}
        self.positions: dict = {}
        self.movements: list = []

    def act(self, rate: str, kind: DocumentKind = ORDER) -> FundsAct:
        return FundsAct(
            self.lines.values(),
            self.positions.values(),
            document=Document(kind, uuid4(), "1"),
            effective_on=DAY,
            new_id=uuid4,
            rates=dollars(rate),
        )

    def keep(self, act: FundsAct) -> None:
        self.lines, self.positions = act.lines, act.positions
        self.movements += act.movements

    def item(self, amount: int | None, units: int | None = None, **more) -> Item:
        quantity = None if units is None else Fraction(units)
        currency = {} if amount is None else {"currency": "USD"}
        return Item(uuid4(), self.line.budget_line_id, amount, quantity=quantity, **{**currency, **more})

    def ordered(self, amount: int, rate: str, units: int | None = None, **more) -> Item:
        order, act = self.item(amount, units, **more), self.act(rate)
        act.obligate(order)
        self.keep(act)
        return order

    @property
    def figures(self) -> tuple[int, ...]:
        """O, E, S, P, available."""
        now = self.lines[self.line.budget_line_id]
        return now.buckets.obligated, now.buckets.expended, now.buckets.ordered, now.buckets.paid, now.available


def test_n05_the_movements_of_a_dollar_order():
    ledger = Ledger()
    order = ledger.ordered(1_000_00, "15000")
    assert ledger.figures == (15_000_000_00, 0, 0, 0, 5_000_000_00)

    act = ledger.act("15200")
    act.revalue_open(order.key, dollars("15200")["USD", "IDR"])
    ledger.keep(act)
    assert ledger.figures == (15_200_000_00, 0, 0, 0, 4_800_000_00)

    act = ledger.act("15300", DocumentKind.GOODS_RECEIPT)
    delivery = ledger.item(1_000_00, liquidates_document_line_id=order.document_line_id)
    moved = act.expend(delivery)
    ledger.keep(act)
    assert [movement.kind for movement in act.movements] == [MovementKind.REVALUE, MovementKind.EXPEND]
    assert (moved.changes, moved.foreign.minor) == (Buckets(obligated=-15_300_000_00, expended=15_300_000_00), 1_000_00)
    assert ledger.figures == (0, 15_300_000_00, 0, 0, 4_700_000_00)

    act = ledger.act("15400")
    act.revalue(order.key, Buckets(expended=100_000_00))
    act.order(order.key, 15_400_000_00, 1_000_00)
    act.revalue(order.key, Buckets(ordered=-50_000_00))
    act.pay(order.key, 15_350_000_00, 1_000_00)
    ledger.keep(act)
    assert ledger.figures == (0, 0, 0, 15_350_000_00, 4_650_000_00)
    assert ledger.positions[order.key].foreign.buckets == Buckets(paid=1_000_00)


def test_what_left_beyond_an_order_is_borne_by_the_funds_that_had_something_left_to_pay():
    ledger, parts = Ledger(), []
    for fund, amount in (("A", 100_00), ("B", 300_00)):
        item, act = ledger.item(amount), ledger.act("15000")
        worth = act.expend(item).changes.expended
        act.order(item.key, worth, amount)
        ledger.keep(act)
        parts.append(
            PayablePart(
                *(uuid4(), Source.INVOICE, uuid4(), item.document_line_id, item.budget_line_id),
                *(worth, worth, 0, fund, "5.1.02", "IDR", "USD", amount),
            )
        )

    # A penalty took all of A: what leaves is B's alone. Else it is shared by what was ordered.
    assert revalue_ordered(ledger.act("15000"), parts, 40_000_00, {"B": 4_500_000_00}) == [0, 40_000_00]
    act = ledger.act("15000")
    assert revalue_ordered(act, parts, 40_000_00, {"A": 1_500_000_00, "B": 4_500_000_00}) == [10_000_00, 30_000_00]
    ledger.keep(act)

    assert ledger.figures == (0, 0, 6_040_000_00, 0, 13_960_000_00)
    # An order of which nothing was left at all, in the currency of the books, has no difference to bear.
    assert revalue_ordered(ledger.act("15000"), parts, 0, {}) == [0, 0]


def test_a_share_of_quantity_is_of_the_foreign_amount_whatever_the_rates_did():
    """N3 in dollars: three deliveries of a third of 1.00, at three rates, use up 33, 34 and 33 cents."""
    ledger = Ledger()
    order = ledger.ordered(1_00, "15000", 3)
    used = []
    for rate in ("15000", "15100", "15200"):
        act = ledger.act(rate, DocumentKind.GOODS_RECEIPT)
        third = ledger.item(None, 1, liquidates_document_line_id=order.document_line_id)
        movement = act.expend(third)
        used.append((movement.foreign.changes.expended, movement.changes.expended))
        ledger.keep(act)

    assert used == [(33, 4_950_00), (34, 5_134_00), (33, 5_016_00)]
    assert ledger.positions[order.key].open == ledger.positions[order.key].foreign.open == 0


def test_a_difference_in_price_is_no_exchange_difference():
    ledger = Ledger()
    order = ledger.ordered(100_00, "15000")
    act = ledger.act("15300", DocumentKind.GOODS_RECEIPT)

    act.expend(ledger.item(90_00, liquidates_document_line_id=order.document_line_id, final=True))

    revalued, expended = act.movements
    # 90 of 100 are accepted: they are revalued; the 10 that nobody will deliver go back at what they stood at.
    assert revalued.changes == Buckets(obligated=90 * 300 * 100)
    assert expended.changes == Buckets(obligated=-(90 * 15_300 + 10 * 15_000) * 100, expended=90 * 15_300 * 100)
    assert expended.foreign.changes == Buckets(obligated=-100_00, expended=90_00)


def test_a_schedule_in_the_commitments_currency_is_converted_and_kept_in_its_shares():
    ledger, january, march = Ledger(), Period(2025, 1), Period(2025, 3)
    order = ledger.ordered(100_00, "15000.01", schedule=((january, 33_33), (march, 66_67)))
    position = ledger.positions[order.key]
    assert position.schedule == {january: 499_950_33, march: 1_000_050_67}
    assert sum(position.schedule.values()) == position.open == 1_500_001_00

    act = ledger.act("16000")
    act.revalue_open(order.key, dollars("16000")["USD", "IDR"])

    assert sum(act.positions[order.key].schedule.values()) == 1_600_000_00
    with pytest.raises(FundsItemInvalid, match="adds up to"):
        ledger.ordered(100_00, "15000", schedule=((january, 99_99),))


def test_an_amount_in_another_currency_than_the_position_is_refused():
    ledger = Ledger()
    order = ledger.ordered(100_00, "15000")
    own = {"document_line_id": order.document_line_id, "budget_line_id": order.budget_line_id}

    for wrong in (Item(**own, amount=1_00, currency="EUR"), Item(**own, amount=1_00)):
        with pytest.raises(CurrencyMismatch):
            ledger.act("15000").true_up(wrong)
        with pytest.raises(CurrencyMismatch):
            ledger.act("15000").release(wrong)
    with pytest.raises(CurrencyMismatch):
        ledger.act("15000").expend(
            Item(uuid4(), order.budget_line_id, 1_00, liquidates_document_line_id=order.document_line_id)
        )


def test_an_act_that_knows_no_foreign_funds_is_refused_whole():
    ledger = Ledger()
    order = ledger.ordered(100_00, "15000")

    with pytest.raises(ForeignActUnsupported) as refusal:
        ledger.act("15000").voucher(order.key, 500_000_00, whole=False)

    assert refusal.value.reason == "FOREIGN_ACT_UNSUPPORTED"


def test_a_difference_beyond_the_budget_is_covered_and_nothing_else_is():
    ledger = Ledger(original=15_100_000_00)
    order = ledger.ordered(1_000_00, "15000")
    act = ledger.act("15300")
    act.revalue_open(order.key, dollars("15300")["USD", "IDR"])

    short = domain.uncovered(act.lines, act.movements)
    assert short == {ledger.line.budget_line_id: 200_000_00}
    act.cover(short)
    act.check()
    now = act.lines[ledger.line.budget_line_id]
    assert (now.override, now.available) == (200_000_00, 0)

    # The same rates, and an order that nobody has money for: the exchange difference is no excuse.
    greedy = ledger.act("15300")
    greedy.revalue_open(order.key, dollars("15300")["USD", "IDR"])
    greedy.reserve(ledger.item(10_00))
    assert domain.uncovered(greedy.lines, greedy.movements) == {}
    with pytest.raises(BudgetExceeded):
        greedy.check()


def test_an_automatic_override_has_an_owner_and_lasts_to_the_end_of_its_year():
    line, owner, made = Ledger().line, uuid4(), uuid4()
    document = Document(DocumentKind.EXCHANGE_REVALUATION, uuid4(), "REVALUATION/2025-01-31")
    at = datetime(2025, 2, 1, tzinfo=UTC)

    override = domain.automatic(
        {line.budget_line_id: 5},
        {line.budget_line_id: line},
        document,
        budget_override_id=made,
        owner=owner,
        on=date(2025, 1, 31),
        at=at,
        calendar=CALENDAR_YEAR,
    )

    assert (override.kind, override.status, override.owner) == (OverrideKind.EXCHANGE, OverrideStatus.OPEN, owner)
    assert (override.expires_on, override.open, override.decided_by) == (date(2025, 12, 31), 5, None)
    open_ = [domain.OpenDifference(line.budget_line_id, override.document_number, owner, 5_00)]
    domain.refuse_uncovered([], {})
    with pytest.raises(domain.ExchangeDifferenceUncovered, match="IDR 5 more than the budget"):
        domain.refuse_uncovered(open_, {line.budget_line_id: line})


@pytest.mark.parametrize(
    ("owed", "foreign", "currency", "expected"),
    [
        (15_400, 1_000, "USD", [Debt(1_000, "USD", 15_400)]),
        (-15_400, -1_000, "USD", [Debt(-1_000, "USD", 15_400)]),
        (100, 0, "USD", [Debt(100, "IDR")]),
        (-100, 1_000, "USD", [Debt(1_000, "USD", 0), Debt(-100, "IDR")]),
        (0, 1_000, "USD", [Debt(1_000, "USD", 0)]),
        (7, 7, "IDR", [Debt(7, "IDR")]),
        (0, 0, "IDR", []),
    ],
)
def test_a_debt_goes_over_a_years_end_with_its_foreign_amount(owed, foreign, currency, expected):
    assert debts(owed, foreign, currency, "IDR") == expected


def test_the_debt_of_a_line_whose_year_ended_is_revalued_with_the_line_that_took_it_over():
    old, new, newest, order = (uuid4() for _ in range(4))
    balances = [
        Balance("2.1.06.02", "UMUM", "USD", 0, -100, old, order),
        Balance("2.1.06.02", "UMUM", "USD", -1_000, -15_300, new, order),
        Balance("2.1.06.02", "UMUM", "USD", -5, -80),
    ]

    assert merged(balances, {old: new, new: newest}) == [
        Balance("2.1.06.02", "UMUM", "USD", -1_000, -15_400, newest, order),
        Balance("2.1.06.02", "UMUM", "USD", -5, -80),
    ]


def test_any_history_of_rates_deliveries_and_releases_keeps_both_sides_together(seed: int):
    """Random acts: both sides' buckets are the sums of the movements, shares add up, nothing is left over."""
    rng = random.Random(seed)
    for _ in range(60):
        ledger = Ledger(original=10**13)
        units = rng.choice([None, rng.randrange(1, 9)])
        amount = rng.randrange(1_00, 9_999_99)
        order = ledger.ordered(amount, str(rng.randrange(9_000, 20_000)), units)
        left = units
        for _ in range(rng.randrange(1, 12)):
            rate, position = str(Decimal(rng.randrange(900_000, 2_000_000)) / 100), ledger.positions[order.key]
            act, kind = ledger.act(rate), rng.randrange(4)
            source = {"liquidates_document_line_id": order.document_line_id}
            if kind == 0:
                act.revalue_open(order.key, act.rates["USD", "IDR"])
                worth = functional_amount(Money(position.foreign.open, "USD"), Decimal(rate), "IDR").minor
                assert act.positions[order.key].open == worth
            elif kind == 1 and units is not None and left:
                part = rng.randrange(1, left + 1)
                act.expend(ledger.item(None, part, **source))
                left -= part
            elif kind == 1 and units is None and position.foreign.open:
                act.expend(ledger.item(rng.randrange(1, position.foreign.open + 1), **source))
            elif kind == 2 and units is None and position.foreign.open > 1:
                part = rng.randrange(1, position.foreign.open)
                act.release(replace(order, amount=part, quantity=None))
            elif kind == 3 and position.buckets.expended:
                act.order(order.key, position.buckets.expended)
                act.pay(order.key, position.buckets.expended)
            ledger.keep(act)
            _check(ledger, order.key)
        act = ledger.act("15000")
        act.release(Item(order.document_line_id, order.budget_line_id, final=True))
        ledger.keep(act)
        _check(ledger, order.key)
        done = ledger.positions[order.key]
        assert done.open == done.foreign.open == 0


def _check(ledger: Ledger, key: Key) -> None:
    position = ledger.positions[key]
    functional = foreign = Buckets()
    for movement in ledger.movements:
        functional += movement.changes
        foreign += movement.foreign.changes if movement.foreign is not None else Buckets()
    assert (functional, foreign) == (position.buckets, position.foreign.buckets)
    assert functional == ledger.lines[key.budget_line_id].buckets
    assert min(position.buckets.amounts()) >= 0
    assert min(position.foreign.buckets.amounts()) >= 0
    assert position.total - position.liquidated == position.open == sum(position.schedule.values())
    assert position.foreign.total - position.foreign.liquidated == position.foreign.open
