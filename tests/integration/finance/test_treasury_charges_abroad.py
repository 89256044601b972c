"""Fees and interest of an account in dollars: in the books at the rate of the value day, with both amounts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, bank_charge_pb2_grpc, exchange_rate_pb2, treasury_pb2
from tests.integration.finance.abroad import Abroad, unused_currency
from tests.integration.finance.bank import DAY, entry
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import GOODS
from tests.integration.finance.routing import Routes
from tests.integration.finance.test_treasury_abroad import DOLLARS, DollarBank
from tests.integration.finance.test_treasury_charges import EXPENSE, FEE_CODE, INTEREST_CODE, RK_T, Charges

FXD, BUDGET, MARCH = "8.5.03.90", account_pb2.BASIS_BUDGET, date(YEAR, 3, 31)
LINE = 1_000_000


class UnratedBank(DollarBank):
    """An account in a currency of which no rate is known."""

    def opened(self, **values: Any) -> treasury_pb2.BankAccount:
        return super().opened(currency_code=unused_currency(), **values)


class ChargesAbroad(Charges):
    """A treasury with an account in dollars, and a unit that bears its fees; 15 350 on the value day, 15 400 at the end
    of March."""

    def __init__(self, books: Books, bank: type[DollarBank] = DollarBank) -> None:
        self.unit = Abroad(books)
        for day, rate in ((DAY, "15350"), (MARCH, "15400")):
            self.unit.rated("USD", day, rate)
        self.bank = bank(self.unit, account_code=DOLLARS)
        self.stub = bank_charge_pb2_grpc.BankChargeServiceStub(books.service.channel)
        (self.line,) = self.unit.lines(LINE)
        self.unit.allotted()

    def entry(self, amount: int = 25, *, code: str = FEE_CODE, debit: bool = True) -> treasury_pb2.BankEntry:
        """The only unmatched entry, on the account's first statement."""
        currency, closing = self.bank.account.currency_code, -amount if debit else amount
        text = entry(amount, debit=debit, code=code, text="bank", currency=currency)
        self.bank.imported(self.bank.statement([text], closing=closing, currency=currency))
        (new,) = self.bank.unmatched()
        return new

    def revalued(self) -> None:
        """The treasury's books at the end of March."""
        request = exchange_rate_pb2.RevalueForeignBalancesRequest(
            agency_id=str(self.unit.treasury.agency_id), year=YEAR, number=3, request_id=rid()
        )
        call_as(self.unit.rates.RevalueForeignBalances, request, self.unit.treasury.accountant)


@pytest.fixture
def charges(books: Books) -> ChargesAbroad:
    return ChargesAbroad(books)


def test_a_fee_in_dollars_is_spent_at_the_rate_of_its_value_day_and_the_account_keeps_its_dollars(
    charges: ChargesAbroad,
):
    proposed = charges.proposed(charges.entry())
    done = charges.approved(proposed)

    # USD 25 at 15 350.
    assert [minor(one) for one in (proposed.functional_amount, done.functional_amount)] == [383_750_00] * 2
    assert (done.exchange_rate.value, done.value_on) == ("15350", to_date(DAY))
    assert charges.unit.figures(charges.line) == (0, 0, 0, 0, 383_750, LINE - 383_750)
    assert charges.unit.functional(charges.unit.agency)[EXPENSE] == 383_750
    assert charges.unit.agency.balances(basis=BUDGET)[GOODS] == 383_750_00
    books = charges.unit.functional(charges.unit.treasury)
    assert (books[DOLLARS], books[RK_T]) == (-383_750, 383_750)
    assert (minor(charges.bank.reconciled().ledger_balance), charges.bank.unmatched()) == (-25_00, [])
    assert charges.unit.all_problems() == []

    charges.revalued()

    # USD 25 less are worth 385 000 at the end of the month; what was spent stays as it was.
    books = charges.unit.functional(charges.unit.treasury)
    assert (books[DOLLARS], books[FXD]) == (-385_000, 1_250)
    assert charges.unit.figures(charges.line)[4] == 383_750
    assert charges.unit.all_problems() == []


def test_interest_in_dollars_is_revenue_in_the_currency_of_the_books_on_both_bases(charges: ChargesAbroad):
    done = charges.approved(charges.interest(charges.entry(40, code=INTEREST_CODE, debit=False)))

    assert minor(done.functional_amount) == 614_000_00
    books = charges.unit.functional(charges.unit.treasury)
    assert (books[DOLLARS], books["7.1.04.05"]) == (614_000, -614_000)
    assert charges.unit.treasury.balances(basis=BUDGET)["4.1.04.05"] == -614_000_00
    assert minor(charges.bank.reconciled().ledger_balance) == 40_00
    assert charges.unit.all_problems() == []

    charges.revalued()
    books = charges.unit.functional(charges.unit.treasury)
    assert (books[DOLLARS], books[FXD]) == (616_000, -2_000)
    assert charges.unit.all_problems() == []


def test_interest_in_dollars_takes_the_route_that_its_worth_in_the_books_asks_for(charges: ChargesAbroad):
    routes = Routes.of(charges.unit)
    # Of amounts that no other test has.
    rule = routes.rule("BANK_CHARGE", amount_from=rupiah(6_000_000_000))

    proposed = charges.interest(charges.entry(400_000, code=INTEREST_CODE, debit=False))
    routes.ended(rule)
    refusal = refused(charges.stub.ApproveBankCharge, charges.approval(proposed), charges.bank.token("head"))

    assert minor(proposed.functional_amount) == 6_140_000_000_00
    assert refusal.reason == "APPROVAL_ROUTE_OPEN"


def test_a_charge_is_booked_at_the_rate_that_is_known_when_it_is_approved(charges: ChargesAbroad):
    proposed = charges.proposed(charges.entry())
    charges.unit.rated("USD", DAY, "15360")

    assert minor(charges.approved(proposed).functional_amount) == 384_000_00
    assert charges.unit.all_problems() == []


def test_a_fee_in_dollars_beyond_the_line_is_refused(charges: ChargesAbroad):
    # USD 66 at 15 350 are 1 013 100.
    proposed = charges.proposed(charges.entry(66))

    refusal = refused(charges.stub.ApproveBankCharge, charges.approval(proposed), charges.bank.token("head"))

    assert (refusal.reason, charges.unit.figures(charges.line)[-1]) == ("BUDGET_EXCEEDED", LINE)
    assert charges.unit.all_problems() == []


def test_a_charge_of_a_day_without_a_rate_waits_for_it(books: Books):
    charges = ChargesAbroad(books, UnratedBank)
    one = charges.entry()

    assert charges.refused(one).reason == "EXCHANGE_RATE_MISSING"
    charges.unit.rated(one.amount.currency_code, DAY, "100")
    assert minor(charges.proposed(one).functional_amount) == 2_500_00
