"""What a bill recovers and retains: shares of the price, cumulative, so that the last bill takes the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from services.finance.billing import domain
from services.finance.billing.domain import Advanced, BilledLine, ContractLine, Guarantee
from services.finance.budget.domain import Buckets, Document, DocumentKind, Key, Line, Position
from services.finance.budget.movements import FundsAct

DAY = date(2026, 3, 1)
FIVE_PERCENT = Fraction(1, 20)


def line(price: int = 1_000, **sums: int) -> ContractLine:
    return ContractLine(uuid4(), uuid4(), price, **sums)


def bill(one: ContractLine, gross: int, *, final: bool = False, rate: Fraction = FIVE_PERCENT) -> BilledLine:
    return domain.billed(one, gross, retention_rate=rate, final=final, currency="IDR")


def after(one: ContractLine, billed: BilledLine) -> ContractLine:
    return replace(
        one,
        billed=one.billed + billed.gross,
        recovered=one.recovered + billed.recovered,
        retained=one.retained + billed.retained,
    )


def test_n10_each_bill_recovers_its_share_of_the_advance():
    one = line(prepaid=200)
    first = bill(one, 400)
    second = bill(after(one, first), 600)

    assert [(b.recovered, b.retained, b.claimed) for b in (first, second)] == [(80, 20, 300), (120, 30, 450)]


def test_n11_what_was_advanced_in_an_earlier_year_is_recovered_without_a_movement():
    """The advance of 200 was closed to P at year end: the bill of 400 expends 320 of this year's line, P stays."""
    key = Key(uuid4(), uuid4())
    contract = Document(DocumentKind.CONTRACT, uuid4(), "SPK/1")
    act = FundsAct(
        [Line(key.budget_line_id, uuid4(), "IDR", carried_in=800, buckets=Buckets(obligated=800))],
        [Position(key, contract, 800, uuid4(), buckets=Buckets(obligated=800))],
        document=Document(DocumentKind.BILL, uuid4(), "MC-1"),
        effective_on=DAY,
        new_id=uuid4,
    )
    billed = bill(line(prepaid=200), 400)

    movement = act.bill(key, billed.gross - billed.recovered, billed.recovered)

    assert (billed.recovered, billed.retained, billed.claimed) == (80, 20, 300)
    assert movement.changes == Buckets(obligated=-320, expended=320)


def test_an_advance_that_was_debited_late_is_caught_up():
    one = line()
    unpaid = bill(one, 500)
    caught_up = bill(replace(after(one, unpaid), prepaid=200), 300)

    assert (unpaid.recovered, caught_up.recovered) == (0, 160)


def test_the_final_bill_recovers_the_rest_whatever_was_billed():
    assert bill(line(prepaid=200), 400, final=True).recovered == 200


def test_never_more_is_recovered_than_the_bill_leaves_after_retention():
    small = bill(line(prepaid=200), 100, final=True)

    assert (small.recovered, small.retained, small.claimed) == (95, 5, 0)


@given(st.integers(1, 10**15), st.fractions(0, 1), st.fractions(0, Fraction(9, 10)), st.lists(st.integers(1, 10**15)))
def test_bills_add_up_to_the_price_and_recover_the_whole_advance(
    price: int, advance: Fraction, rate: Fraction, grosses: list[int]
):
    """Whatever the bills: nothing negative, never beyond the price, and the bill that completes it leaves no advance
    unless retention left no room for it."""
    one = line(price, prepaid=int(price * advance * (1 - rate)))
    for gross in grosses:
        billed = bill(one, min(gross, price - one.billed) or 1, rate=rate) if one.billed < price else None
        if billed is None:
            break
        assert min(billed.claimed, billed.recovered, billed.retained) >= 0
        assert billed.gross == billed.claimed + billed.recovered + billed.retained
        one = after(one, billed)
        assert one.billed <= price
        assert one.recovered <= one.prepaid
    if one.billed < price:
        one = after(one, bill(one, price - one.billed, rate=rate))
    # Each bill's retention is rounded by itself, at most half a unit more than its exact share.
    assert one.prepaid - one.recovered <= len(grosses) + 1


def test_beyond_the_price_is_refused_with_the_figures():
    with pytest.raises(domain.BillExceedsContract, match="IDR 6 billed, IDR 5 of IDR 10 are left"):
        bill(line(1_000, billed=500), 600)


def test_advances_are_limited_together():
    guarantee = Guarantee("BG-1", 1_000, date(2026, 12, 31))

    def check(amount: int, earlier: int) -> None:
        domain.check_prepayment(amount, earlier, limit=200, guarantee=guarantee, claimed_on=DAY, currency="IDR")

    check(200, 0)
    check(50, 150)
    with pytest.raises(domain.PrepaymentExceeded):
        check(51, 150)
    with pytest.raises(InvalidArgument):
        check(0, 0)


def test_a_limit_is_rounded_down():
    assert domain.TermsRule(Fraction(1, 5), FIVE_PERCENT).prepayment_limit(999) == 199


@given(st.integers(0, 10**15), st.sampled_from(["0", "0.11", "0.12", "0.011"]))
def test_tax_and_price_without_tax_are_the_gross(gross: int, rate: str):
    tax = domain.tax_part(gross, Fraction(rate))

    assert 0 <= tax <= gross
    assert abs(tax - (gross - tax) * Fraction(rate)) <= 1


def test_an_advance_is_shared_over_the_lines_by_price():
    lines = [line(300), line(700), line(1)]

    shares = domain.prepayment_by_line(lines, 100)

    assert shares == {lines[0].document_line_id: 30, lines[1].document_line_id: 70}


def test_a_bill_names_known_lines_once():
    known: dict[UUID, ContractLine] = {one.document_line_id: one for one in (line(), line())}
    first = next(iter(known))

    domain.same_lines(known, known)
    with pytest.raises(InvalidArgument, match="named twice"):
        domain.same_lines(known, [first, first])
    with pytest.raises(InvalidArgument, match="no line of this contract"):
        domain.same_lines(known, [uuid4()])


def test_what_a_bill_recovers_of_a_foreign_advance_stands_at_what_was_paid():
    # USD 200 were paid at 15 200; a bill of 400 recovers 80 of them.
    one = bill(line(prepaid=200, advance_worth=3_040_000), 400)

    this_year = domain.recovered_worth(one, Advanced(200, 3_040_000), settled=1_216_000)
    closed = domain.recovered_worth(one, Advanced(0, 0), settled=0)
    # 30 of this year at 16 000, 50 of the 170 that an earlier year closed at 2 560 000.
    both = domain.recovered_worth(one, Advanced(30, 480_000), settled=480_000)

    assert (this_year, closed, both) == (1_216_000, 1_216_000, 480_000 + 752_941)


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**14),
    st.lists(st.integers(1, 10**9), max_size=20),
)
def test_bills_recover_the_whole_worth_of_an_advance_that_was_closed(prepaid: int, worth: int, grosses: list[int]):
    """Whatever the bills and rounding: never below zero, and the last one leaves nothing on the account."""
    one, left = line(10 * prepaid, prepaid=prepaid), worth
    for gross in [*grosses, 10 * prepaid]:
        if one.billed == one.price:
            break
        last = one.price - one.billed <= gross
        billed = bill(replace(one, advance_worth=left), min(gross, one.price - one.billed), final=last)
        left -= domain.recovered_worth(billed, Advanced(0, 0), settled=0)
        one = after(one, billed)
        assert left >= 0
        assert (left == 0) >= (one.recovered == one.prepaid)
