"""Foreign commitments at the bank and over a year's end: dollars that leave a dollar account, debts that go on."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.money import Money
from chassis.testing import call_as
from chassis.wire import to_date, to_money
from kelola.finance.v1 import payables_pb2
from tests.integration.finance.abroad import Abroad, ForeignPurchase, unused_currency
from tests.integration.finance.bank import Bank, entry
from tests.integration.finance.books import YEAR, Books, minor
from tests.integration.finance.changing import SUPPLIES, TRAVEL
from tests.integration.finance.ending import NEXT, Ending
from tests.integration.finance.test_budget_years import Building

CASH, DOLLARS, FXD, RK_A = "1.1.01.01", "1.1.01.07", "8.5.03.90", "3.1.03.01"


class AbroadEnding(Abroad, Ending):
    """A unit that buys abroad and whose year ends."""


def owed(unit: Abroad, line: str) -> payables_pb2.Payable:
    """A debt of USD 1 000 that stands at 15 300 000."""
    for day, rate in ((date(YEAR, 3, 1), "15300"), (date(YEAR, 3, 25), "15350")):
        unit.rated("USD", day, rate)
    purchase = ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 3, 1))
    purchase.accepted_on(date(YEAR, 3, 2), 10)
    return purchase.approved_on(date(YEAR, 3, 5), 10, 100)


def test_dollars_that_leave_a_dollar_account_are_worth_the_rate_of_their_day(books: Books):
    unit = Abroad(books)
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted()
    payable = owed(unit, line)
    order = unit.ordered([payable.payable_id])

    unit.debited(order, amount=to_money(Money(1_000_00, "USD")), value_date=to_date(date(YEAR, 3, 25)))

    seen = unit.order(order.name)
    assert (minor(seen.foreign_amount), minor(seen.debited_amount)) == (1_000_00, 15_350_000_00)
    assert unit.figures(line) == (0, 0, 0, 0, 15_350_000, 4_650_000)
    assert unit.functional(unit.agency)[FXD] == 50_000
    assert unit.functional(unit.treasury)[CASH] == -15_350_000
    assert unit.all_problems() == []


def test_a_run_of_a_dollar_account_pays_the_creditor_in_dollars_and_one_of_rupiah_does_not(books: Books):
    unit = Abroad(books)
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted()
    payable = owed(unit, line)
    bank = Bank(unit)
    bank.payee(payable.creditor, currency_code="USD")
    order = unit.ordered([payable.payable_id])
    dollars = bank.opened(account_number="8800007771", account_code=DOLLARS, currency_code="USD")

    rupiah_run = bank.refused("CreatePaymentRun", bank.run_request([order]), "treasurer")
    request = bank.run_request([order], bank_account_id=dollars.bank_account_id)
    run = bank.did("CreatePaymentRun", request, "treasurer")

    assert "OTHER_CURRENCY" in str(rupiah_run.metadata) + rupiah_run.message
    (instruction,) = run.instructions
    assert (minor(instruction.amount), instruction.amount.currency_code) == (1_000_00, "USD")
    assert bank.problems() == []


def test_the_banks_rate_decides_what_a_rupiah_account_pays_for_a_dollar_order(books: Books):
    unit = Abroad(books)
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted()
    order = unit.ordered([owed(unit, line).payable_id])
    bank = Bank(unit)

    outcomes = bank.outcomes(bank.notification([entry(15_310_000, text=order.order_number)]))

    assert outcomes == ["DEBITED"]
    assert unit.figures(line) == (0, 0, 0, 0, 15_310_000, 4_690_000)
    assert bank.problems() == []
    assert unit.all_problems() == []


def test_a_month_that_is_revalued_after_its_debt_was_paid_is_put_right_by_the_next_one(books: Books):
    unit = Abroad(books)
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted()
    payable = owed(unit, line)
    unit.debited_at(unit.ordered([payable.payable_id], date(YEAR, 4, 2)), 15_300_000, date(YEAR, 4, 3))
    unit.rated("USD", date(YEAR, 3, 31), "15400")
    unit.rated("USD", date(YEAR, 4, 30), "15500")

    late = unit.books_revalued(3)
    assert [minor(item.difference) for item in late.items] == [-100_000_00]
    assert unit.figures(line) == (0, 0, 100_000, 0, 15_300_000, 4_600_000)
    assert unit.all_problems() == []
    unit.books_revalued(4)

    assert unit.figures(line) == (0, 0, 0, 0, 15_300_000, 4_700_000)
    assert FXD not in unit.functional(unit.agency)
    assert unit.all_problems() == []


def test_obligation_and_debt_go_over_a_years_end_in_dollars(books: Books):
    unit = AbroadEnding(books)
    (line,) = unit.lines(40_000_000)
    unit.allotted()
    rates = (
        (date(YEAR, 12, 1), "15000"),
        (date(YEAR, 12, 10), "15300"),
        (date(YEAR, 12, 31), "15400"),
        (date(NEXT, 1, 10), "15500"),
        (date(NEXT, 1, 31), "15600"),
    )
    for day, rate in rates:
        unit.rated("USD", day, rate)
    purchase = ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 12, 1))
    purchase.accepted_on(date(YEAR, 12, 10), 4)
    payable = purchase.approved_on(date(YEAR, 12, 15), 2, 100)
    unit.books_revalued(12)
    unit.revalued(date(YEAR, 12, 31))
    assert unit.figures(line)[1:3] == (9_240_000, 6_160_000)
    (opened,) = unit.next_year(20_000_000)

    ended = unit.ended()

    assert minor(ended.carried) == 15_400_000_00
    assert unit.figures(opened) == (0, 9_240_000, 6_160_000, 0, 0, 20_000_000)
    assert unit.all_problems() == []
    purchase.accepted_on(date(NEXT, 1, 10), 3)
    assert unit.figures(opened)[1:3] == (4_620_000, 10_810_000)
    assert unit.books_revalued(1, year=NEXT).items
    unit.revalued(date(NEXT, 1, 31))
    assert unit.figures(opened) == (0, 4_680_000, 10_920_000, 0, 0, 20_000_000 - 200_000)
    seen = call_as(
        unit.payables.GetPayable, payables_pb2.GetPayableRequest(name=payable.name), unit.token("invoice_clerk")
    )
    assert (minor(seen.amount), minor(seen.foreign_amount)) == (3_120_000_00, 200_00)
    assert unit.all_problems() == []


class AbroadBuilding(Abroad, Building):
    """A unit with contracts of several years in other currencies."""

    def abroad(self, line: str, currency: str, *amounts: int) -> Any:
        """The request to authorise slices of whole units of a currency from this year on."""
        request = self.contract(line, *amounts)
        contract = request.multi_year_authorisation
        for amount in (contract.ceiling, contract.price, *(part.amount for part in contract.slices)):
            amount.currency_code = currency
        return request


def test_each_slice_of_a_foreign_contract_is_obligated_at_the_rate_of_its_years_opening(books: Books):
    unit = AbroadBuilding(books)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 2, 1), "15000")
    unit.rated(currency, date(NEXT, 1, 2), "16000")
    (line,) = unit.lines_of((SUPPLIES, 20_000_000))

    contract = unit.authorised(unit.abroad(line, currency, 1_000, 500))
    (opened,) = unit.next_year(9_000_000)

    assert unit.figures(line)[1] == 15_000_000
    assert unit.figures(opened) == (0, 8_000_000, 0, 0, 0, 1_000_000)
    assert minor(unit.now(contract).future) == 0
    assert unit.all_problems() == []
    # A month's end revalues the second year's slice alone, in its own currency.
    unit.rated(currency, date(NEXT, 1, 31), "16500")
    unit.revalued(date(NEXT, 1, 31), budget_line_id=opened)
    assert unit.figures(opened)[1] == 8_250_000
    assert unit.all_problems() == []


def test_a_slice_whose_rate_is_not_known_waits_as_a_listed_exception(books: Books):
    unit = AbroadBuilding(books)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 2, 1), "15000")
    (line,) = unit.lines_of((SUPPLIES, 20_000_000))
    contract = unit.authorised(unit.abroad(line, currency, 1_000, 500))

    (opened,) = unit.next_year(9_000_000)

    assert unit.figures(opened)[1] == 0
    assert f"rate of {currency}" in unit.now(contract).slices[1].exception
    assert unit.waiting() == [contract.name]
    assert unit.all_problems() == []
