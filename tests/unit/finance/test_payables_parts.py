"""Which part of a held invoice matches, and what a credit note takes back, to the last minor unit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis.money import Money
from services.finance.payables import domain, pack
from services.finance.payables.credit_notes import domain as credits
from services.finance.payables.domain import Hold, HoldReason, OrderLine, Treatment
from services.finance.payables.parts import InvoiceNotSplittable, matched_part

TOLERANCE = pack.tolerance("IDR", date(2026, 1, 1))


def ordered(accepted: int, *, invoiced: int = 0, rate: str = "0") -> OrderLine:
    """100 at 50 000 rupiah, `accepted` of them accepted."""
    net = 5_000_000 * 100
    amount = net + int(net * Fraction(rate))
    return OrderLine(
        purchase_order_line_id=uuid4(),
        currency="IDR",
        quantity=Fraction(100),
        unit_price=Fraction(50_000),
        tax_rate=Fraction(rate),
        amount=amount,
        accepted_quantity=Fraction(accepted),
        accepted=amount * accepted // 100,
        invoiced_quantity=Fraction(invoiced),
    )


def cut(line: OrderLine, quantity: int, price: int = 50_000):
    invoiced = domain.priced(line, Fraction(quantity), Fraction(price), None)
    outcome = domain.match(
        [invoiced], {line.purchase_order_line_id: line}, currency="IDR", total=invoiced.amount, tolerance=TOLERANCE
    )
    (found,) = matched_part(
        "INV-1", [invoiced], {line.purchase_order_line_id: line}, holds=outcome.holds, tolerance=TOLERANCE
    )
    return invoiced, found


def test_n09_of_100_invoiced_90_that_were_accepted_are_split_off():
    invoiced, found = cut(ordered(90, rate="0.11"), 100)

    assert found.taken is not None
    assert found.rest is not None
    assert (found.taken.quantity, found.rest.quantity) == (90, 10)
    assert found.taken.net == 4_500_000 * 100
    assert (found.taken.net + found.rest.net, found.taken.tax + found.rest.tax) == (invoiced.net, invoiced.tax)


def test_what_earlier_invoices_took_is_not_split_off_again():
    _, found = cut(ordered(90, invoiced=60), 40)

    assert found.taken is not None
    assert found.taken.quantity == 30


def test_what_the_total_was_rounded_by_stays_with_what_is_left_of_the_invoice():
    line = ordered(90, rate="0.11")
    invoiced = replace(domain.priced(line, Fraction(100), Fraction(50_000), None), rounding=-25_00)

    (found,) = matched_part("INV-1", [invoiced], {line.purchase_order_line_id: line}, holds=[], tolerance=TOLERANCE)

    assert found.taken is not None
    assert found.rest is not None
    assert (found.taken.rounding, found.rest.rounding) == (0, -25_00)
    assert found.taken.amount + found.rest.amount == invoiced.amount


def test_n09_a_line_held_for_its_price_stays_whole():
    with pytest.raises(InvoiceNotSplittable, match="no line matches"):
        cut(ordered(90), 90, 50_900)


def test_a_hold_of_the_whole_invoice_is_not_split():
    line = ordered(90)
    invoiced = domain.priced(line, Fraction(10), Fraction(50_000), None)

    with pytest.raises(InvoiceNotSplittable, match="as a whole"):
        matched_part(
            "INV-1",
            [invoiced],
            {line.purchase_order_line_id: line},
            holds=[Hold(HoldReason.DUPLICATE, "seen before")],
            tolerance=TOLERANCE,
        )


def test_parts_add_up_and_match_whatever_the_numbers():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(300):
        line = ordered(numbers.randrange(1, 100), rate=numbers.choice(["0", "0.11", "0.12"]))
        quantity = numbers.randrange(1, 101)

        invoiced, found = cut(line, quantity)

        both = [one for one in (found.taken, found.rest) if one is not None]
        assert sum(one.quantity for one in both) == invoiced.quantity
        assert (sum(one.net for one in both), sum(one.tax for one in both)) == (invoiced.net, invoiced.tax)
        assert found.taken is not None
        again = domain.match(
            [found.taken],
            {line.purchase_order_line_id: line},
            currency="IDR",
            total=found.taken.amount,
            tolerance=TOLERANCE,
        )
        assert again.status is domain.InvoiceStatus.MATCHED


# --- credit notes --------------------------------------------------------------------------------------------------


def invoiced(quantity: int, price: int, *, tax: int = 0, variance: int = 0, **values) -> credits.InvoicedLine:
    return credits.InvoicedLine(
        **{
            "purchase_order_line_id": uuid4(),
            "treatment": Treatment.EXPENSE,
            "quantity": Fraction(quantity),
            "order_price": Fraction(price),
            "unit_price": Fraction(price),
            "amount": quantity * price * 100 + tax,
            "tax": tax,
            "variance": variance,
            **values,
        }
    )


def test_returns_in_any_steps_take_back_exactly_what_was_invoiced():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(200):
        units = numbers.randrange(1, 50)
        line = invoiced(
            units, numbers.randrange(1, 99_999), tax=numbers.randrange(0, 9_999), variance=numbers.randrange(-500, 500)
        )
        sums, left = [0, 0, 0], units
        while left:
            step = numbers.randrange(1, left + 1)
            left -= step
            back = credits.returned(line, Fraction(step))
            assert back.amount == back.cleared + back.variance
            sums = [sums[0] + back.amount, sums[1] + back.tax, sums[2] + back.cleared]
            line = credits.InvoicedLine(
                **{
                    **line.__dict__,
                    "credited_quantity": line.credited_quantity + step,
                    "credited": sums[0],
                    "credited_tax": sums[1],
                    "credited_cleared": sums[2],
                }
            )

        assert sums == [line.amount, line.tax, line.cleared]


def test_a_price_and_its_tax_never_exceed_what_is_left():
    line = invoiced(10, 1_000, tax=110_000, credited=1_000_000, credited_tax=100_000)

    back = credits.repriced(line, 90_000, 9_900, 100)

    assert (back.amount, back.net, back.cleared) == (99_900, 90_000, 0)
    with pytest.raises(credits.CreditExceedsInvoice):
        credits.repriced(line, 105_000, 9_900, 100)
    with pytest.raises(credits.CreditExceedsInvoice):
        credits.repriced(line, 10_000, 11_000, 100)


def test_a_total_that_its_lines_do_not_make_is_refused():
    back = credits.returned(invoiced(10, 1_000), Fraction(2))

    with pytest.raises(credits.CreditTotalMismatch):
        credits.check_total([back], Money(200_001, "IDR"))


def test_a_price_that_takes_the_taxs_part_is_refused():
    """1 000 000 of price and 110 000 of tax: a net of 1 050 000 would leave a tax to withhold of less than no price."""
    line = invoiced(10, 1_000, tax=110_000)

    with pytest.raises(credits.CreditExceedsInvoice, match="1110000 \\(110000 of them tax\\)"):
        credits.repriced(line, 1_050_000, 0, 100)


def test_what_a_note_becomes_hangs_on_the_payment():
    def effect(payable: str | None, *, stock: bool = False):
        treatment = Treatment.STOCK if stock else Treatment.EXPENSE
        return credits.effect("INV-1", "APPROVED", payable, credits.CreditNoteKind.RETURN, [treatment])

    assert effect("OPEN", stock=True) is credits.CreditNoteStatus.APPROVED
    assert effect("PAID") is credits.CreditNoteStatus.RECEIVABLE
    with pytest.raises(credits.StockNotReturned):
        effect("PAID", stock=True)
    for under_way in (None, "REQUESTED", "ORDERED", "CREDITED"):
        with pytest.raises(credits.InvoiceNotCreditable):
            effect(under_way)
