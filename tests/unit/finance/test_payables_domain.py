"""Matching, clearing and withholding by the numbers of domain-rules §3."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis.country_pack import PackIncomplete
from chassis.money import Money
from services.finance.payables import domain, pack
from services.finance.payables.domain import HoldReason, InvoiceLine, InvoiceStatus, OrderLine, TaxBase
from tests.conftest import SEED

RUPIAH = 100
TOLERANCE = pack.tolerance("IDR", date(2026, 1, 1))


def ordered(accepted: int = 90, **changes) -> OrderLine:
    """100 at 50 000 rupiah, no tax, `accepted` of them accepted."""
    amount = 5_000_000 * RUPIAH
    values = {
        "purchase_order_line_id": uuid4(),
        "currency": "IDR",
        "quantity": Fraction(100),
        "unit_price": Fraction(50_000),
        "tax_rate": Fraction(0),
        "amount": amount,
        "accepted_quantity": Fraction(accepted),
        "accepted": amount * accepted // 100,
    }
    return OrderLine(**{**values, **changes})


def matched(line: OrderLine, quantity: int, price: int, *, currency: str = "IDR", total: int | None = None):
    invoice = domain.priced(line, Fraction(quantity), Fraction(price), None)
    found = domain.match(
        [invoice],
        {line.purchase_order_line_id: line},
        currency=currency,
        total=invoice.amount if total is None else total,
        tolerance=TOLERANCE,
    )
    return found, invoice


def counted(line: OrderLine, invoice: InvoiceLine) -> OrderLine:
    """The order line after the invoice was matched and approved."""
    cleared = domain.cleared(line, invoice.quantity)
    return replace(
        line,
        invoiced_quantity=line.invoiced_quantity + invoice.quantity,
        price_difference=line.price_difference
        + (invoice.unit_price - line.unit_price) * invoice.quantity * line.minor_per_unit,
        cleared_quantity=line.cleared_quantity + invoice.quantity,
        cleared=line.cleared + cleared,
    )


def test_n09a_what_was_accepted_at_the_orders_price_passes():
    found, invoice = matched(ordered(), 90, 50_000)

    assert found.status is InvoiceStatus.MATCHED
    assert invoice.amount == 4_500_000 * RUPIAH


def test_n09b_ten_more_than_accepted_are_held_for_quantity():
    found, _ = matched(ordered(), 100, 50_000)

    assert found.status is InvoiceStatus.HELD
    (hold,) = found.holds
    assert (hold.reason, hold.excess_quantity, hold.excess) == (HoldReason.QUANTITY, 10, 500_000 * RUPIAH)


def test_n09c_a_price_within_the_rate_and_above_the_cap_is_held():
    found, _ = matched(ordered(), 90, 50_900)

    (hold,) = found.holds
    assert (hold.reason, hold.excess) == (HoldReason.PRICE, 81_000 * RUPIAH)


def test_n09d_a_price_within_rate_and_cap_passes_with_a_variance_of_45_000():
    line = ordered()
    found, invoice = matched(line, 90, 50_500)

    assert found.status is InvoiceStatus.MATCHED
    assert invoice.amount - domain.cleared(line, Fraction(90)) == 45_000 * RUPIAH


def test_n09e_the_tolerance_is_cumulative_over_the_invoices_of_a_line():
    line = ordered()
    first, invoice = matched(line, 45, 50_500)
    second, _ = matched(counted(line, invoice), 45, 50_800)

    assert first.status is InvoiceStatus.MATCHED
    (hold,) = second.holds
    assert (hold.reason, hold.excess) == (HoldReason.PRICE, 58_500 * RUPIAH)
    assert "IDR 50 000 tolerated" in hold.message


def test_n09f_a_lower_price_passes_and_gives_180_000_back():
    line = ordered()
    found, invoice = matched(line, 90, 48_000)

    assert found.status is InvoiceStatus.MATCHED
    assert invoice.amount - domain.cleared(line, Fraction(90)) == -180_000 * RUPIAH


def test_n09g_another_currency_is_held():
    found, _ = matched(ordered(), 90, 50_000, currency="USD")

    assert [hold.reason for hold in found.holds] == [HoldReason.CURRENCY_MISMATCH]


def test_an_invoice_before_any_receipt_waits():
    found, _ = matched(ordered(accepted=0), 90, 50_000)

    assert found.status is InvoiceStatus.WAITING_RECEIPT


def test_a_total_that_is_not_what_the_lines_come_to_is_held():
    found, _ = matched(ordered(), 90, 50_000, total=4_500_001 * RUPIAH)

    (hold,) = found.holds
    assert (hold.reason, hold.excess) == (HoldReason.TOTAL, RUPIAH)


def test_what_a_total_was_rounded_by_is_neither_price_nor_tax():
    line = ordered()
    exact = domain.priced(line, Fraction(90), Fraction(50_000), None)
    rounded = replace(exact, rounding=-40_00)

    held = domain.match(
        [rounded],
        {line.purchase_order_line_id: line},
        currency="IDR",
        total=exact.amount,
        tolerance=pack.tolerance("IDR", date(2025, 3, 1)),
    )
    passed = domain.match(
        [rounded],
        {line.purchase_order_line_id: line},
        currency="IDR",
        total=exact.amount - 40_00,
        tolerance=pack.tolerance("IDR", date(2025, 3, 1)),
    )

    assert [hold.reason for hold in held.holds] == [HoldReason.TOTAL]
    assert passed.status is InvoiceStatus.MATCHED
    assert domain.claims([rounded], rounded.amount) == [4_500_000_00 - 40_00]


def test_rounding_is_capped_by_currency_and_day():
    day = date(2026, 3, 1)

    assert domain.beyond_cap(Money(-50_00, "IDR"), pack.rounding_cap("IDR", day)) is None
    for rounding in (Money(50_01, "IDR"), Money(-50_01, "IDR")):
        refusal = domain.beyond_cap(rounding, pack.rounding_cap("IDR", day))
        assert refusal is not None
        assert "at most IDR 50" in refusal
    assert pack.rounding_cap("USD", day) == 50
    assert "none is taken in EUR" in str(domain.beyond_cap(Money(1, "EUR"), pack.rounding_cap("EUR", day)))
    with pytest.raises(PackIncomplete, match=r"invoice_rounding\.csv"):
        pack.rounding_cap("IDR", date(2000, 1, 1))


def test_n25_the_last_invoice_of_the_purchase_clears_what_is_left_and_varies_by_33_300():
    amount = 10_545_000 * RUPIAH
    line = OrderLine(
        uuid4(),
        "IDR",
        Fraction(10),
        Fraction(950_000),
        Fraction("0.11"),
        amount,
        accepted_quantity=Fraction(9),
        accepted=9_490_500 * RUPIAH,
        invoiced_quantity=Fraction(6),
        cleared_quantity=Fraction(6),
        cleared=6_327_000 * RUPIAH,
    )
    found, invoice = matched(line, 3, 960_000)

    assert found.status is InvoiceStatus.MATCHED
    assert domain.cleared(line, Fraction(3)) == 3_163_500 * RUPIAH
    assert invoice.amount - 3_163_500 * RUPIAH == 33_300 * RUPIAH
    four, _ = matched(line, 4, 950_000)
    assert [(hold.reason, hold.excess_quantity) for hold in four.holds] == [(HoldReason.QUANTITY, 1)]


def test_n12_goods_of_10_million_with_vat_are_withheld_1_250_000():
    rules = pack.withholding_rules("IDR", date(2026, 3, 1))
    part = TaxBase("5.1.02.01.01.0024", 10_000_000 * RUPIAH, 1_100_000 * RUPIAH, 10_000_000 * RUPIAH)

    withheld = domain.withheld([part], rules)

    assert withheld == {"VAT": 1_100_000 * RUPIAH, "PPH22": 150_000 * RUPIAH}
    assert 11_100_000 * RUPIAH - sum(withheld.values()) == 9_850_000 * RUPIAH


def test_n25_withholding_of_the_two_payments():
    rules = pack.withholding_rules("IDR", date(2026, 3, 1))

    def kept(net: int, tax: int) -> int:
        return sum(
            domain.withheld([TaxBase("5.1.02.01.01.0024", net * RUPIAH, tax * RUPIAH, net * RUPIAH)], rules).values()
        )

    assert kept(5_700_000, 627_000) == 712_500 * RUPIAH
    assert kept(2_880_000, 316_800) == 360_000 * RUPIAH


def test_nothing_is_withheld_below_the_threshold_nor_where_no_rule_fits():
    rules = pack.withholding_rules("IDR", date(2026, 3, 1))

    assert domain.withheld([TaxBase("5.1.02.01.01", 2_000_000 * RUPIAH, 0, 2_000_000 * RUPIAH)], rules) == {}
    assert domain.withheld([TaxBase("5.1.01.01.01", 9 * 10**9, 0, 9 * 10**9)], rules) == {}


def test_services_are_withheld_by_article_23_and_goods_by_article_22():
    rules = pack.withholding_rules("IDR", date(2026, 3, 1))
    net = 5_000_000 * RUPIAH

    assert domain.withheld([TaxBase("5.1.02.02.01.0001", net, 0, net)], rules) == {"PPH23": 100_000 * RUPIAH}
    assert domain.withheld([TaxBase("5.2.02.01.01.0001", net, 0, net)], rules) == {"PPH22": 75_000 * RUPIAH}


@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
def test_received_not_invoiced_is_nil_when_everything_accepted_was_invoiced(seed):
    print("seed", seed)
    rng = random.Random(seed)
    quantity = rng.randrange(2, 40)
    amount = rng.randrange(1, 10**7)
    line = ordered(accepted=0, quantity=Fraction(quantity), amount=amount)
    left = quantity
    while left:
        delivered = rng.randint(1, left)
        left -= delivered
        cumulative = line.accepted_quantity + delivered
        worth = domain.round_half_away(Fraction(amount) * cumulative / quantity)
        line = replace(line, accepted_quantity=cumulative, accepted=worth)
        open_quantity = int(line.accepted_quantity - line.cleared_quantity)
        invoiced = rng.randint(0, open_quantity) if left else open_quantity
        while invoiced:
            step = rng.randint(1, invoiced)
            invoiced -= step
            taken = domain.cleared(line, Fraction(step))
            line = replace(line, cleared_quantity=line.cleared_quantity + step, cleared=line.cleared + taken)

    assert line.cleared == line.accepted == amount


@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
def test_spread_keeps_the_sums_of_rows_and_columns(seed):
    print("seed", seed)
    rng = random.Random(seed)
    rows = [rng.randrange(0, 1000) for _ in range(rng.randrange(1, 8))]
    total, columns = sum(rows), []
    for _ in range(rng.randrange(1, 5)):
        columns.append(rng.randint(0, total - sum(columns)))
    columns.append(total - sum(columns))

    parts = domain.spread(rows, columns)

    for row, amount in enumerate(rows):
        assert sum(part for r, _, part in parts if r == row) == amount
    for column, amount in enumerate(columns):
        assert sum(part for _, c, part in parts if c == column) == amount
    assert all(part > 0 for _, _, part in parts)


@pytest.mark.parametrize("number", ["INV-001/26", "inv 001/26", " INV.001-26 "])
def test_invoice_numbers_are_compared_without_what_people_write_differently(number):
    assert domain.normalised(number) == "INV00126"


def test_a_step_of_a_chain_by_a_person_who_took_another_is_refused():
    person = uuid4()

    with pytest.raises(domain.SamePerson) as refusal:
        domain.different_persons(person, {"requested it": person, "verified it": None}, "authorise it")

    assert refusal.value.metadata["earlier_step"] == "requested it"


def test_n24_a_number_never_carries_an_earlier_day_than_the_one_before():
    assert domain.numbered_on(date(2026, 3, 2), date(2026, 3, 5)) == date(2026, 3, 5)
    assert domain.numbered_on(date(2026, 3, 6), date(2026, 3, 5)) == date(2026, 3, 6)
