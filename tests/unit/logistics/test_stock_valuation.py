"""The value of stock: the numbers of the domain rules, section 6."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.logistics.catalog.domain import ValuationMethod
from services.logistics.stock import domain
from services.logistics.stock.domain import Holding, Layer, ReceivedPart, StockShort, UnitCostUnknown
from tests.unit.logistics.stock_cases import (
    AVERAGE,
    AVERAGE_NEGATIVE,
    FIFO,
    FIFO_NEGATIVE,
    HERE,
    THERE,
    Ledger,
)


def late(ledger: Ledger, before: list, policies: dict) -> domain.LateNews:
    """What the entries written since `before` change in what was recorded then."""
    recorded = {
        entry.movement_id: domain.replay(before, policies).values[entry.movement_id]
        for entry in before
        if entry.value_minor is None
    }
    return domain.late_news(ledger.entries, recorded, policies)


@pytest.mark.parametrize("policies", [AVERAGE, FIFO], ids=["average", "fifo"])
def test_n18_three_units_worth_a_hundred_are_issued_at_33_33_and_33_34_and_33_33(policies):
    ledger = Ledger()
    ledger.receipt(1, "3", 100_00)
    issues = [ledger.issue(2, "1") for _ in range(3)]

    values = domain.replay(ledger.entries, policies).values

    assert [values[issue] for issue in issues] == [-33_33, -33_34, -33_33]


def test_n19_average_late_receipt_corrects_the_issues_after_it():
    ledger = Ledger()
    ledger.receipt(1, "10", 1000)
    day_3 = ledger.issue(3, "4")
    ledger.receipt(5, "10", 1300)
    day_6 = ledger.issue(6, "8")
    before = list(ledger.entries)
    first = domain.replay(before, AVERAGE)

    ledger.receipt(2, "10", 1600)
    news = late(ledger, before, AVERAGE)

    assert (first.values[day_3], first.values[day_6]) == (-400, -950)
    assert (first.holdings[HERE].quantity, first.holdings[HERE].value_minor) == (8, 950)
    assert [(c.movement_id, c.change_minor) for c in news.corrections] == [(day_3, -120), (day_6, -90)]
    assert (news.replay.holdings[HERE].quantity, news.replay.holdings[HERE].value_minor) == (18, 2340)


def test_n19_fifo_late_receipt_corrects_only_what_it_reaches():
    ledger = Ledger()
    ledger.receipt(1, "10", 1000)
    day_3 = ledger.issue(3, "4")
    ledger.receipt(5, "10", 1300)
    day_6 = ledger.issue(6, "8")
    before = list(ledger.entries)
    first = domain.replay(before, FIFO)

    ledger.receipt(2, "10", 1600)
    news = late(ledger, before, FIFO)

    assert (first.values[day_3], first.values[day_6], first.holdings[HERE].value_minor) == (-400, -860, 1040)
    assert [(c.movement_id, c.change_minor) for c in news.corrections] == [(day_6, -60)]
    assert news.replay.holdings[HERE].value_minor == 2580


def test_n19_what_lies_in_a_closed_month_is_accounted_on_the_first_open_day():
    closed_through = date(2026, 3, 31)

    days = [domain.accounting_day(day, closed_through) for day in (date(2026, 3, 2), date(2026, 3, 3))]

    assert days == [date(2026, 4, 1), date(2026, 4, 1)]
    assert domain.accounting_day(date(2026, 4, 6), closed_through) == date(2026, 4, 6)
    assert domain.accounting_day(date(2026, 3, 2), None) == date(2026, 3, 2)


def test_n20_a_receipt_covers_the_shortage_first():
    ledger = Ledger()
    ledger.receipt(1, "1", 100)
    issue = ledger.issue(2, "2")
    provisional = domain.replay(ledger.entries, AVERAGE_NEGATIVE)

    ledger.receipt(3, "2", 240)
    covered = domain.replay(ledger.entries, AVERAGE_NEGATIVE)
    ledger.receipt(4, "3", 300)
    after = domain.replay(ledger.entries, AVERAGE_NEGATIVE).holdings[HERE]

    assert (provisional.values[issue], provisional.holdings[HERE].quantity) == (-200, -1)
    assert covered.values[issue] == -220
    assert (covered.holdings[HERE].quantity, covered.holdings[HERE].value_minor) == (1, 120)
    assert (after.quantity, after.value_minor) == (4, 420)
    assert domain.unit_cost(after.value_minor * 100, after.quantity, "IDR") == Decimal("105.0000")


def test_n20_the_ledger_path_makes_the_same_correction_as_the_replay():
    policy = AVERAGE_NEGATIVE[HERE.item_id]
    ledger = Ledger()
    ledger.receipt(1, "1", 100)
    issue = ledger.issue(2, "2")
    ledger.receipt(3, "2", 240)

    holding, settled = Holding(), []
    for entry in ledger.entries:
        applied = domain.apply(holding, entry, policy)
        holding = applied.holding
        settled += applied.settlements

    assert settled == [domain.Settlement(issue, 20)]


def test_n21_an_invoice_variance_is_split_by_where_the_goods_are():
    ledger = Ledger()
    receipt = ledger.receipt(1, "10", 1_000_000)
    issue = ledger.issue(2, "6")
    before = list(ledger.entries)
    recorded = {issue: domain.replay(before, AVERAGE).values[issue]}
    dearer = [
        replace(entry, value_minor=1_020_000) if entry.movement_id == receipt else entry for entry in ledger.entries
    ]

    news = domain.late_news(dearer, recorded, AVERAGE)
    split = domain.split_variance(20_000, news.corrections)

    assert (split.on_hand_minor, split.issued_minor) == (8_000, 12_000)
    assert news.replay.holdings[HERE].value_minor == 408_000


def test_n22_landed_cost_is_spread_by_the_largest_remainder():
    assert domain.spread_landed_cost(100_00, [1, 1, 1]) == [33_34, 33_33, 33_33]


def test_a_back_dated_issue_may_not_leave_too_little_for_a_later_one():
    ledger = Ledger()
    ledger.receipt(1, "10", 1000)
    ledger.issue(5, "8")
    ledger.issue(2, "3")

    with pytest.raises(StockShort, match="2026-03-06") as refused:
        domain.replay(ledger.entries, AVERAGE)

    assert refused.value.metadata["short_by"] == "1"


def test_an_item_that_was_never_here_has_no_cost():
    with pytest.raises(UnitCostUnknown):
        domain.issue(Holding(), Decimal(1), HERE.item_id, negative_allowed=True)
    with pytest.raises(UnitCostUnknown):
        domain.current_cost(Holding(), Decimal(1))


def test_late_news_follows_a_transfer_into_the_other_warehouse():
    ledger = Ledger()
    receipt = ledger.receipt(1, "10", 1000)
    outgoing, incoming = ledger.transfer(2, "4")
    used = ledger.issue(3, "2", THERE)
    before = list(ledger.entries)
    recorded = {
        key: value for key, value in domain.replay(before, FIFO).values.items() if key in (outgoing, incoming, used)
    }
    dearer = [replace(entry, value_minor=1500) if entry.movement_id == receipt else entry for entry in ledger.entries]

    news = domain.late_news(dearer, recorded, FIFO)

    changes = {correction.movement_id: correction.change_minor for correction in news.corrections}
    assert changes == {outgoing: -200, incoming: 200, used: -100}
    assert news.replay.holdings[THERE].value_minor == 300


def test_a_transfer_never_takes_what_is_not_there():
    ledger = Ledger()
    ledger.receipt(1, "1", 100)
    ledger.transfer(2, "2")

    with pytest.raises(StockShort):
        domain.replay(ledger.entries, AVERAGE_NEGATIVE)


def test_a_cancelled_movement_leaves_no_trace_in_the_valuation():
    ledger = Ledger()
    ledger.receipt(1, "10", 1000)
    wrong = ledger.receipt(2, "10", 9000)
    issue = ledger.issue(3, "4")
    ledger.cancel(wrong)

    replayed = domain.replay(ledger.entries, AVERAGE)

    assert replayed.values[issue] == -400
    assert (replayed.holdings[HERE].quantity, replayed.holdings[HERE].value_minor) == (6, 600)


def test_a_variance_reaches_the_receipts_that_the_invoice_bills():
    first, second = HERE.item_id, HERE.warehouse_id
    receipts = [ReceivedPart(first, Decimal(6)), ReceivedPart(second, Decimal(3))]

    assert domain.variance_by_receipt(receipts, Decimal(6), Decimal(3), 33_300) == [(second, 33_300)]
    assert domain.variance_by_receipt(receipts, Decimal(4), Decimal(4), 100) == [(first, 50), (second, 50)]
    assert domain.variance_by_receipt(receipts, Decimal(9), Decimal(1), 100) == []


def test_revaluing_is_shared_by_value_and_needs_something_on_hand():
    held = Holding((Layer(Decimal(1), 100), Layer(Decimal(1), 300)))

    assert [layer.value_minor for layer in domain.revalue(held, 100).layers] == [125, 375]
    with pytest.raises(domain.NothingToRevalue):
        domain.revalue(Holding(), 1)


movements = st.lists(
    st.tuples(
        st.booleans(),
        st.decimals(min_value="0.000001", max_value="50", places=6),
        st.integers(0, 10_000_00),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=25,
)


@given(movements, st.sampled_from([AVERAGE_NEGATIVE, FIFO_NEGATIVE]))
def test_value_and_quantity_are_the_sums_of_the_movements(moves, policies):
    ledger = Ledger()
    ledger.receipt(0, "1", 777)
    for comes_in, quantity, value, day in moves:
        if comes_in:
            ledger.receipt(day, str(quantity), value)
        else:
            ledger.issue(day, str(quantity))

    replayed = domain.replay(ledger.entries, policies)
    held = replayed.holdings[HERE]

    assert held.quantity == sum(entry.quantity for entry in ledger.entries)
    assert held.value_minor == sum(replayed.values.values())
    if held.quantity == 0:
        assert held.value_minor == 0


@given(movements, st.sampled_from([AVERAGE_NEGATIVE, FIFO_NEGATIVE]))
def test_corrections_lead_to_what_a_ledger_in_order_would_have_said(moves, policies):
    in_order, as_it_came = Ledger(), Ledger()
    in_order.receipt(0, "1", 777)
    as_it_came.entries = list(in_order.entries)
    recorded: dict = {}
    for comes_in, quantity, value, day in moves:
        if comes_in:
            as_it_came.receipt(day, str(quantity), value)
        else:
            movement = as_it_came.issue(day, str(quantity))
        news = domain.late_news(as_it_came.entries, recorded, policies)
        for correction in news.corrections:
            recorded[correction.movement_id] = correction.after_minor
        if not comes_in:
            recorded[movement] = news.replay.values[movement]

    values = domain.replay(as_it_came.entries, policies).values

    assert recorded == {movement_id: values[movement_id] for movement_id in recorded}


def test_a_thousand_random_issues_empty_the_stock_to_nothing(seed):
    dice = random.Random(seed)
    print(f"seed {seed}")
    ledger = Ledger()
    whole = dice.randrange(1, 10**12)
    ledger.receipt(0, "1000", whole)
    for _ in range(1000):
        ledger.issue(1, "1")

    for policies in (AVERAGE, FIFO):
        held = domain.replay(ledger.entries, policies).holdings[HERE]
        assert (held.quantity, held.value_minor) == (0, 0)


def test_under_specific_each_lot_has_its_own_cost_and_must_be_named():
    assert domain.lot_of(ValuationMethod.SPECIFIC, "SN-1") == "SN-1"
    with pytest.raises(Exception, match="needs its lot"):
        domain.lot_of(ValuationMethod.SPECIFIC, "")
    with pytest.raises(Exception, match="has no lots"):
        domain.lot_of(ValuationMethod.FIFO, "SN-1")
