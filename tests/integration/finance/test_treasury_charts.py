"""A bank account goes on when the chart changes: what the bank tells lands on the cash account that follows."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2
from tests.integration.finance.bank import DAY, Bank, end_to_end, entry
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.funds import Unit
from tests.integration.finance.test_classification_carry_over import FIRST_DAY, NEXT, Charts

CHANGE = date(YEAR, 3, 22)


@pytest.fixture
def charts(books: Books) -> Charts:
    return Charts(books)


def cash(charts: Charts, name: str, **values: object) -> str:
    """A cash account of the chart that one bank account mirrors."""
    return charts.account(name, kind=account_pb2.ACCOUNT_KIND_CASH, control=True, **values)


def follow(charts: Charts, old: str, new: str, on: date) -> None:
    request = charts.request((old, new))
    request.code_successions[0].effective_on.CopyFrom(to_date(on))
    call_as(charts.stub.BatchCreateCodeSuccessions, request, charts.token)


def test_what_the_bank_tells_lands_on_the_account_that_follows_and_both_explain_its_statement(
    books: Books, charts: Charts
):
    old, new = cash(charts, "a"), cash(charts, "b")
    unit = Unit(books)
    (budget_line,) = unit.lines(50_000_000)
    unit.allotted()
    bank = Bank(unit, account_code=old)
    first, second = bank.order(budget_line), bank.order(budget_line, 2)
    run = bank.sent(first, second)
    follow(charts, old, new, CHANGE)

    before = bank.outcomes(
        bank.statement([entry(100_000, e2e=end_to_end(run, first))], opening=900_000, closing=800_000)
    )
    debit = entry(200_000, on=CHANGE, e2e=end_to_end(run, second))
    after = bank.outcomes(bank.statement([debit], on=CHANGE, opening=800_000, closing=600_000))

    assert (before, after) == (["DEBITED"], ["DEBITED"])
    assert (bank.balance(old), bank.balance(new)) == (-100_000, -200_000)
    found = bank.reconciled()
    assert (found.account_code, bank.reconciled(DAY).account_code) == (new, old)
    assert (found.ledger_balance.units, found.statement_balance.units) == (-300_000, 600_000)
    assert (found.unexplained.units, found.unexplained.nanos, list(found.items)) == (0, 0, [])
    assert bank.problems() == []
    returned = entry(100_000, on=CHANGE, debit=False, e2e=end_to_end(run, first))
    assert bank.outcomes(bank.notification([returned], on=CHANGE)) == ["RETURNED"]
    assert (bank.balance(old), bank.balance(new)) == (-100_000, -100_000)
    assert bank.problems() == []


def test_a_cash_account_that_a_bank_account_has_does_not_end_without_one_of_its_own(books: Books, charts: Charts):
    lost, first, second, new = (
        cash(charts, "a", valid_to=to_date(FIRST_DAY)),
        *(cash(charts, name) for name in "bcd"),
    )
    unit = Unit(books)
    bank = Bank(unit, account_code=lost)
    unit.treasury.open_year(NEXT)
    assert [(one.code, one.has_balance, one.has_bank_account) for one in charts.uncarried(unit.treasury)] == [
        (lost, False, True)
    ]
    assert charts.not_carried(unit.treasury).reason == "CARRY_OVER_INCOMPLETE"
    follow(charts, lost, new, FIRST_DAY)
    assert charts.uncarried(unit.treasury) == []

    bank.opened(account_code=first, account_number="8812345601")
    bank.opened(account_code=second, account_number="8812345602")
    taken = refused(
        bank.stub.CreateBankAccount,
        bank.bank_account(account_code=new, account_number="8812345603"),
        bank.token("head"),
    )
    follow(charts, first, second, FIRST_DAY)

    assert (taken.reason, taken.metadata["shared"]) == ("BANK_ACCOUNT_OVERLAP", "cash account")
    assert [(one.code, one.has_bank_account) for one in charts.uncarried(unit.treasury)] == [(first, True)]
