"""Debts in dollars paid from the treasury's dollar account: runs, the bank's files, what comes back, is paid again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from chassis.testing import call_as
from chassis.wire import to_date
from kelola.finance.v1 import exchange_rate_pb2, payables_pb2, treasury_pb2
from tests.integration.finance.abroad import Abroad, ForeignPurchase
from tests.integration.finance.bank import Bank, end_to_end, entry, minor
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.routing import HEAD, Routes
from tests.integration.finance.test_treasury_returns import BACK, reissued
from tests.unit.finance.iso20022 import schema_problems

# Travel: an expenditure of which the pack withholds nothing.
TRAVEL, DOLLARS = "5.1.02.04.01", "1.1.01.07"
RTN, TRANSIT, FXD, RK_T = "2.1.07.91", "2.1.07.90", "8.5.03.90", "1.1.13.01"
RATES = {
    date(YEAR, 1, 20): "15000",
    date(YEAR, 3, 15): "15300",
    date(YEAR, 3, 20): "15400",
    date(YEAR, 3, 21): "15350",
    BACK: "15360",
    date(YEAR, 3, 25): "15370",
    date(YEAR, 3, 28): "15390",
    date(YEAR, 3, 31): "15400",
}


class DollarBank(Bank):
    """The treasury's account in dollars, and payees with accounts in dollars."""

    def opened(self, **values: Any) -> treasury_pb2.BankAccount:
        return super().opened(**{"currency_code": "USD", **values})

    def payee_account(self, creditor: str, **values: Any) -> treasury_pb2.CreatePayeeAccountRequest:
        return super().payee_account(creditor, **{"currency_code": "USD", "bic": "DBSSSGSGXXX", **values})

    def statement(self, entries: Any, **values: Any) -> str:
        return super().statement(entries, **{"currency": "USD", **values})


@pytest.fixture
def unit(books: Books) -> Abroad:
    made = Abroad(books)
    for day, rate in RATES.items():
        made.rated("USD", day, rate)
    return made


@pytest.fixture
def bank(unit: Abroad) -> DollarBank:
    return DollarBank(unit, account_code=DOLLARS)


@pytest.fixture
def line(unit: Abroad) -> str:
    (line,) = unit.lines(40_000_000, account=TRAVEL)
    unit.allotted()
    return line


def ordered(bank: Bank, unit: Abroad, line: str, currency: str = "USD") -> payables_pb2.PaymentOrder:
    """A numbered order over 1 000 dollars, which stand at 15 300 000 rupiah when they are the American ones."""
    purchase = ForeignPurchase(unit, line, 10, 100, currency=currency).ordered_on(date(YEAR, 1, 20))
    purchase.accepted_on(date(YEAR, 3, 15), 10)
    payable = purchase.approved_on(date(YEAR, 3, 15), 10, 100)
    bank.payee(payable.creditor)
    return unit.ordered([payable.payable_id])


def dollars(amount: int, **values: Any) -> str:
    """A booked entry in whole dollars."""
    return entry(amount, **{"currency": "USD", **values})


def test_a_run_of_the_dollar_account_is_its_own_and_its_files_keep_the_schemas(
    bank: DollarBank, unit: Abroad, line: str
):
    order = ordered(bank, unit, line)
    rupiah = Bank(unit)

    refused = rupiah.refused("CreatePaymentRun", rupiah.run_request([order]), "treasurer")
    run = bank.run(order)
    bank.approved(run)
    file = bank.exported(run).content

    assert refused.metadata == {"other_currency": "1"}
    assert (run.total.currency_code, minor(run.total)) == ("USD", 1_000_00)
    assert schema_problems(file) == []
    assert b'<InstdAmt Ccy="USD">1000.00</InstdAmt>' in file
    assert b"<Ccy>USD</Ccy>" in file
    text = bank.statement([dollars(1_000, e2e=end_to_end(run, order))], closing=-1_000)
    assert schema_problems(text.encode()) == []
    assert bank.outcomes(text) == ["DEBITED"]
    assert unit.figures(line) == (0, 0, 0, 0, 15_350_000, 40_000_000 - 15_350_000)
    assert unit.functional(unit.treasury)[DOLLARS] == -15_350_000
    reconciled = bank.reconciled()
    assert (minor(reconciled.ledger_balance), minor(reconciled.unexplained)) == (-1_000_00, 0)
    assert bank.problems() == []


class WellingtonBank(DollarBank):
    """The treasury's account in New Zealand dollars: no other test is changed by a rate of theirs of today."""

    def opened(self, **values: Any) -> treasury_pb2.BankAccount:
        return super().opened(**{"currency_code": "NZD", **values})

    def payee_account(self, creditor: str, **values: Any) -> treasury_pb2.CreatePayeeAccountRequest:
        return super().payee_account(creditor, **{"currency_code": "NZD", **values})


def test_a_run_in_a_foreign_currency_takes_the_rules_of_the_matrix_by_its_worth_in_the_books(unit: Abroad, line: str):
    bank, here = WellingtonBank(unit, account_code=DOLLARS), Routes.of(unit)
    for day in (*RATES, datetime.now(UTC).date()):
        unit.rated("NZD", day, "11000")
    rules = [here.rule("PAYMENT_RUN", HEAD, amount_from=rupiah(amount)) for amount in (11_000_000, 11_000_001)]
    order = ordered(bank, unit, line, currency="NZD")

    run = bank.run(order)
    early = bank.refused("ApprovePaymentRun", bank.approve_request(run), "head")
    here.ended(*rules)

    route = here.route(run.payment_run_id)
    assert (route.amount, len(route.steps)) == (rupiah(11_000_000), 1)
    assert early.reason == "APPROVAL_ROUTE_OPEN"


def test_dollars_that_come_back_wait_in_dollars_and_are_paid_again_without_a_second_charge(
    bank: DollarBank, unit: Abroad, line: str
):
    order = ordered(bank, unit, line)
    run = bank.sent(order)
    bank.imported(bank.statement([dollars(1_000, e2e=end_to_end(run, order))], closing=-1_000))
    charged = unit.figures(line)

    back = dollars(1_000, debit=False, e2e=end_to_end(run, order), on=BACK)
    assert bank.outcomes(bank.statement([back], opening=-1_000, closing=0, on=BACK)) == ["RETURNED"]

    (returned,) = bank.returns()
    assert (returned.amount.currency_code, minor(returned.amount)) == ("USD", 1_000_00)
    assert unit.functional(unit.treasury)[RTN] == -15_360_000
    assert bank.problems() == []
    again = reissued(bank, order)
    second = bank.sent(order, execution_on=to_date(date(YEAR, 3, 28)))
    assert [(one.payment_return_id, minor(one.amount)) for one in second.instructions] == [
        (again.payment_return_id, 1_000_00)
    ]
    paid = dollars(1_000, e2e=end_to_end(second, order), on=date(YEAR, 3, 28))
    assert bank.outcomes(bank.statement([paid], closing=-1_000, on=date(YEAR, 3, 28))) == ["DEBITED"]

    assert unit.figures(line) == charged, "the line is not charged again"
    assert bank.problems() == []
    revalue = exchange_rate_pb2.RevalueForeignBalancesRequest(
        agency_id=str(unit.treasury.agency_id), year=YEAR, number=3, request_id=rid()
    )
    call_as(unit.rates.RevalueForeignBalances, revalue, unit.treasury.accountant)
    # Nothing waits in RTN or TRANSIT any more; the account is overdrawn by 1 000 dollars at the month's rate.
    books = unit.functional(unit.treasury)
    assert (RTN in books, TRANSIT in books, books[DOLLARS]) == (False, False, -15_400_000)
    assert unit.all_problems() == []


def test_a_fee_that_names_an_order_in_dollars_is_not_taken_for_its_debit(bank: DollarBank, unit: Abroad, line: str):
    order = ordered(bank, unit, line)
    rupiah = Bank(unit)
    fee = entry(50_000, text=f"Biaya transfer {order.order_number}")

    outside_of_runs = rupiah.outcomes(rupiah.statement([fee], closing=-50_000))
    run = bank.sent(order)
    named = entry(15_350_000, e2e=end_to_end(run, order))
    of_another_account = rupiah.outcomes(
        rupiah.statement([named], opening=-50_000, closing=-15_400_000, on=date(YEAR, 3, 22))
    )

    assert (outside_of_runs, of_another_account) == (["UNMATCHED"], ["UNMATCHED"])
    assert bank.status(order) == "ISSUED"
    assert bank.problems() == []


def test_what_left_a_rupiah_account_for_an_order_in_dollars_comes_back_as_it_left(unit: Abroad, line: str):
    rupiah = Bank(unit)
    order = ordered(rupiah, unit, line)
    left = entry(15_375_000, text=order.order_number)

    assert rupiah.outcomes(rupiah.statement([left], closing=-15_375_000)) == ["DEBITED"]
    back = entry(15_375_000, debit=False, text=order.order_number, on=BACK)
    assert rupiah.outcomes(rupiah.statement([back], opening=-15_375_000, closing=0, on=BACK)) == ["RETURNED"]

    (returned,) = rupiah.returns()
    assert (returned.amount.currency_code, minor(returned.amount)) == ("IDR", 15_375_000_00)
    assert rupiah.balance(RTN) == -15_375_000
    assert rupiah.problems() == []


def test_an_entry_in_dollars_that_names_nothing_is_shown_the_orders_in_dollars(
    bank: DollarBank, unit: Abroad, line: str
):
    order = ordered(bank, unit, line)
    bank.sent(order)

    bank.imported(bank.statement([dollars(1_000, text="wire")], closing=-1_000))

    (entry_,) = bank.unmatched()
    assert [(one.order_number, minor(one.amount_difference)) for one in entry_.suggestions] == [(order.order_number, 0)]
    bank.did("MatchBankEntry", bank.match(entry_, order), "reconciler")
    assert bank.status(order) == "DEBITED"
    assert bank.problems() == []
