"""N5 and the rules around it: commitments at the rate of their date, revalued, and the line bears every difference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import grpc
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    account_pb2,
    budget_pb2,
    funds_revaluation_pb2,
)
from services.finance.budget.foreign import usecases
from tests.integration.finance.abroad import Abroad, ForeignPurchase, unused_currency
from tests.integration.finance.books import YEAR, Books, minor
from tests.integration.finance.funds import a_document, an_item
from tests.integration.finance.purchase import STOCK, event_transaction, stock_moved

# Travel: an expenditure of which the pack withholds nothing.
TRAVEL = "5.1.02.04.01"
INV, GRNI, AP, RK_A, FXD = "1.1.12", "2.1.06.90", "2.1.06.02", "3.1.03.01", "8.5.03.90"
RK_T, TRANSIT, CASH = "1.1.13.01", "2.1.07.90", "1.1.01.01"
BEL, SAL, APR = TRAVEL, "3.1.02.05", "3.1.02.03"
JANUARY, FEBRUARY, MARCH, APRIL = (date(YEAR, 1, 31), date(YEAR, 2, 28), date(YEAR, 3, 31), date(YEAR, 4, 30))


@pytest.fixture
def unit(books: Books) -> Abroad:
    return Abroad(books)


def test_n05_a_dollar_order_from_commitment_to_debit(unit: Abroad):
    """Domain rules §2, N5: every figure of it, and what holds at each step."""
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted()
    ordered_on, accepted_on, debited_on = date(YEAR, 1, 20), date(YEAR, 2, 10), date(YEAR, 3, 10)
    for day, rate in (
        (ordered_on, "15000"),
        (JANUARY, "15200"),
        (accepted_on, "15300"),
        (FEBRUARY, "15400"),
    ):
        unit.rated("USD", day, rate)

    purchase = ForeignPurchase(unit, line, 10, 100, treatment=STOCK, currency="USD").ordered_on(ordered_on)
    assert unit.figures(line) == (0, 15_000_000, 0, 0, 0, 5_000_000)
    assert unit.all_problems() == []

    january = unit.revalued(JANUARY)
    (item,) = unit.items(january)
    assert (minor(item.foreign_amount), item.foreign_amount.currency_code, item.rate.value) == (
        1_000_00,
        "USD",
        "15200",
    )
    assert (minor(item.carrying_amount), minor(item.revalued_amount)) == (15_000_000_00, 15_200_000_00)
    assert unit.figures(line) == (0, 15_200_000, 0, 0, 0, 4_800_000)
    assert unit.all_problems() == []

    purchase.accepted_on(accepted_on, 10, stock_number=1)
    stock_moved(unit, 1, "RECEIPT", 15_300_000_00, item_id=purchase.item_id)
    assert unit.figures(line) == (0, 0, 15_300_000, 0, 0, 4_700_000)
    assert unit.functional(unit.agency) == {INV: 15_300_000, GRNI: -15_300_000}
    assert unit.all_problems() == []

    payable = purchase.approved_on(date(YEAR, 2, 15), 10, 100)
    assert unit.figures(line) == (0, 0, 15_300_000, 0, 0, 4_700_000), "an invoice at the order's price: no difference"
    assert unit.functional(unit.agency) == {INV: 15_300_000, AP: -15_300_000}
    assert (minor(payable.amount), payable.amount.currency_code) == (15_300_000_00, "IDR")
    assert (minor(payable.foreign_amount), payable.foreign_amount.currency_code) == (1_000_00, "USD")
    assert unit.all_problems() == []

    february = unit.books_revalued(2)
    (debt,) = february.items
    assert (debt.account_code, debt.budget_line_id, minor(debt.difference)) == (AP, line, -100_000_00)
    assert unit.figures(line) == (0, 0, 15_400_000, 0, 0, 4_600_000)
    assert unit.functional(unit.agency) == {INV: 15_300_000, AP: -15_400_000, FXD: 100_000}
    assert unit.all_problems() == []

    order = unit.ordered([payable.payable_id], date(YEAR, 3, 5))
    assert (minor(order.gross), order.gross.currency_code) == (15_400_000_00, "IDR")
    assert (minor(order.foreign_amount), order.foreign_amount.currency_code) == (1_000_00, "USD")
    assert unit.figures(line) == (0, 0, 0, 15_400_000, 0, 4_600_000)
    assert unit.functional(unit.agency) == {INV: 15_300_000, RK_A: -15_400_000, FXD: 100_000}
    assert unit.functional(unit.treasury) == {RK_T: 15_400_000, TRANSIT: -15_400_000}
    assert unit.all_problems() == []

    unit.debited_at(order, 15_350_000, debited_on)
    assert unit.figures(line) == (0, 0, 0, 0, 15_350_000, 4_650_000), "15 350 000 taken from available in total"
    assert unit.functional(unit.agency) == {INV: 15_300_000, RK_A: -15_350_000, FXD: 50_000}
    assert unit.functional(unit.treasury) == {RK_T: 15_350_000, CASH: -15_350_000}
    assert unit.functional(unit.agency, basis=account_pb2.BASIS_BUDGET) == {
        BEL: 15_350_000,
        SAL: 20_000_000 - 15_350_000,
        APR: -20_000_000,
    }
    assert unit.all_problems() == []
    assert list(unit.books_revalued(3).items) == [], "what is paid is not revalued"


# --- rates ---------------------------------------------------------------------------------------------------------


def test_a_commitment_without_a_rate_that_holds_is_refused_and_holds_nothing(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    item = unit.foreign_item(line, 100, currency)

    never = unit.refused("ObligateFunds", [item])
    unit.rated(currency, date(YEAR, 2, 27), "15000")
    too_old = unit.refused("ReserveFunds", [item], effective_on=to_date(date(YEAR, 3, 10)))
    unit.did("ReserveFunds", [item], effective_on=to_date(date(YEAR, 3, 9)))

    assert (never.reason, never.metadata["currency"]) == ("EXCHANGE_RATE_MISSING", currency)
    assert (too_old.reason, too_old.metadata["age_days_max"]) == ("EXCHANGE_RATE_MISSING", "10")
    assert unit.figures(line) == (1_500_000, 0, 0, 0, 0, 18_500_000)
    assert unit.all_problems() == []


def test_the_movement_keeps_foreign_amount_rate_and_functional_amount(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 3, 10), "15000.50")

    made = unit.did("ReserveFunds", [unit.foreign_item(line, 100, currency)]).movements[0]

    (listed,) = unit.movements(line)[:1]
    for movement in (made, listed):
        assert (minor(movement.foreign_amount), movement.foreign_amount.currency_code) == (100_00, currency)
        assert movement.exchange_rate.value == "15000.5"
        assert minor(movement.reserved_change) == 1_500_050_00


def test_a_later_step_in_another_currency_than_the_commitments_is_refused(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    dollars, euros = unused_currency(), unused_currency()
    unit.rated(dollars, date(YEAR, 3, 10), "15000")
    unit.rated(euros, date(YEAR, 3, 10), "17000")
    order = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER)
    item = unit.foreign_item(line, 100, dollars)
    unit.did("ObligateFunds", [item], document=order)
    again = {"document_line_id": item.document_line_id}

    refusals = [
        unit.refused("AdjustObligation", [unit.foreign_item(line, 90, euros, **again)], document=order),
        unit.refused("AdjustObligation", [an_item(line, 1_000_000, **again)], document=order),
        unit.refused("ReleaseFunds", [unit.foreign_item(line, 10, euros, **again)], document=order),
        unit.refused("ReleaseFunds", [an_item(line, 1_000_000, **again)], document=order),
    ]

    assert {refusal.reason for refusal in refusals} == {"CURRENCY_MISMATCH"}
    assert unit.figures(line)[1] == 1_500_000


def test_what_is_freed_is_freed_at_what_it_stands_at(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 3, 10), "15000")
    unit.rated(currency, MARCH, "15400")
    item = unit.foreign_item(line, 1_000, currency)
    unit.did("ReserveFunds", [item])
    unit.revalued(MARCH)

    part = unit.foreign_item(line, 250, currency, document_line_id=item.document_line_id)
    unit.did("ReleaseFunds", [part], effective_on=to_date(date(YEAR, 4, 20)))

    assert unit.figures(line) == (11_550_000, 0, 0, 0, 0, 8_450_000), "no rate of April is asked for"
    rest = budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=line)
    unit.did("ReleaseFunds", [rest], effective_on=to_date(date(YEAR, 4, 20)))
    assert unit.figures(line) == (0, 0, 0, 0, 0, 20_000_000)
    assert unit.all_problems() == []


# --- revaluation ---------------------------------------------------------------------------------------------------


def test_a_line_is_revalued_once_however_often_it_is_asked_for_and_page_by_page(unit: Abroad):
    first, second = unit.lines(20_000_000, 20_000_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 3, 10), "15000")
    unit.rated(currency, MARCH, "15300")
    for line in (first, first, second):
        unit.did("ReserveFunds", [unit.foreign_item(line, 100, currency)])
    unit.did("ReserveFunds", [an_item(second, 1_000_000)])

    one_line = unit.revalued(MARCH, budget_line_id=second)
    assert unit.figures(first)[0] == 3_000_000
    whole, again = unit.revalued(MARCH), unit.revalued(MARCH)

    assert [done.item_count for done in (one_line, whole, again)] == [1, 2, 0]
    assert [minor(item.difference) for item in unit.items(whole, size=1)] == [30_000_00, 30_000_00]
    assert (unit.figures(first)[0], unit.figures(second)[0]) == (3_060_000, 2_530_000)
    request = funds_revaluation_pb2.ListFundsRevaluationsRequest(agency_id=str(unit.agency_id), page_size=2)
    page = call_as(unit.revaluations.ListFundsRevaluations, request, unit.agency.accountant)
    request.page_token = page.next_page_token
    rest = call_as(unit.revaluations.ListFundsRevaluations, request, unit.agency.accountant)
    listed = [*page.funds_revaluations, *rest.funds_revaluations]
    assert [one.name for one in listed] == [one.funds_revaluation.name for one in (again, whole, one_line)]
    one = funds_revaluation_pb2.GetFundsRevaluationRequest(name=listed[0].name)
    assert call_as(unit.revaluations.GetFundsRevaluation, one, unit.agency.accountant) == listed[0]
    assert unit.all_problems() == []


def test_an_earlier_days_rate_does_not_undo_a_later_one_and_no_day_lies_ahead(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    unit.rated(currency, JANUARY, "14000")
    unit.rated(currency, date(YEAR, 3, 10), "15000")
    unit.did("ReserveFunds", [unit.foreign_item(line, 100, currency)])

    assert unit.revalued(JANUARY).item_count == 0
    assert unit.figures(line)[0] == 1_500_000
    ahead = unit.revaluing(date(2099, 1, 31))
    refusal = refused(unit.revaluations.RevalueFunds, ahead, unit.agency.accountant)
    assert refusal.reason == "REVALUED_IN_THE_FUTURE"
    clerk = refused(unit.revaluations.RevalueFunds, unit.revaluing(MARCH), unit.token("invoice_clerk"))
    assert clerk.code == grpc.StatusCode.PERMISSION_DENIED


def test_revaluations_that_come_at_once_change_a_line_once(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 3, 10), "15000")
    unit.rated(currency, MARCH, "15500")
    unit.did("ReserveFunds", [unit.foreign_item(line, 1_000, currency)])

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: unit.revalued(MARCH), range(6)))

    assert sorted(one.item_count for one in done) == [0] * 5 + [1]
    assert unit.figures(line) == (15_500_000, 0, 0, 0, 0, 4_500_000)


def test_the_service_revalues_month_ends_by_itself_until_nothing_is_held(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    for day, rate in ((date(YEAR, 3, 10), "15000"), (MARCH, "15100"), (APRIL, "15200")):
        unit.rated(currency, day, rate)
    item = unit.foreign_item(line, 1_000, currency)
    unit.did("ReserveFunds", [item])

    def due() -> date:
        (day,) = unit.agency.row(
            "select due_on from foreign_commitment_clock where committed_agency_id = %s", unit.agency_id
        )
        return day

    seen = []
    for _ in range(2):
        day = due()
        with event_transaction(unit) as session:
            usecases.run(session, unit.agency_id, day, at=datetime.now(UTC))
        seen.append((day, unit.figures(line)[0]))
    rest = budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=line, final=True)
    unit.did("ReleaseFunds", [rest])
    with event_transaction(unit) as session:
        assert usecases.run(session, unit.agency_id, due(), at=datetime.now(UTC)) is None

    assert seen == [(MARCH, 15_100_000), (APRIL, 15_200_000)]
    assert due() == date.max
    assert unit.all_problems() == []
