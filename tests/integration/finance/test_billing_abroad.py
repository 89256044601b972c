"""Contracts in a foreign currency paid in advance and by bills: the advance keeps the rate of the day it was paid."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from chassis.money import Money
from chassis.testing import call_as
from chassis.wire import to_date, to_money
from kelola.finance.v1 import budget_override_pb2, budget_pb2
from tests.integration.finance.abroad import Abroad
from tests.integration.finance.books import YEAR, Books, minor
from tests.integration.finance.ending import NEXT, Ending
from tests.integration.finance.funds import a_document
from tests.integration.finance.works import MAINTAINED, SIGNED, WORKS, Contract

ADV, RET, AP, RK_A, FXD = "1.1.09.05", "2.1.06.91", "2.1.06.09", "3.1.03.01", "8.5.03.90"
CLAIMED, LEFT, BILLED = SIGNED, date(YEAR, 1, 20), date(YEAR, 2, 10)


class AbroadEnding(Abroad, Ending):
    """A unit that builds abroad and whose year ends."""


@pytest.fixture
def unit(books: Books) -> AbroadEnding:
    unit = AbroadEnding(books)
    for day, rate in ((SIGNED, "15000"), (LEFT, "15200"), (BILLED, "15300"), (date(YEAR, 2, 28), "15500")):
        unit.rated("USD", day, rate)
    for day in (date(NEXT, 3, 20), date(NEXT, 5, 20)):
        unit.rated("USD", day, "16000")
    return unit


def a_contract(unit: AbroadEnding) -> Contract:
    """USD 1 000 on a line of 20 000 000: O 15 000 000."""
    return Contract(unit, 1_000, currency="USD", budget=20_000_000)


def paid(contract: Contract, payable_id: str, more: int, on: date) -> None:
    """Ordered and debited: `more` rupiah than the order's net really left, since the bank's rate was another one."""
    order = contract.unit.ordered([payable_id], on)
    contract.unit.debited_at(order, minor(order.net) // 100 + more, on)


def advanced(contract: Contract, amount: int, more: int = 40_000) -> None:
    """An advance that cost this much more than its order says."""
    paid(contract, contract.prepaid(amount).payable_id, more, LEFT)


def test_an_advance_stands_at_what_was_paid_and_a_bill_recovers_it_at_that(unit: AbroadEnding):
    contract = a_contract(unit)
    assert contract.figures() == {"O": 15_000_000, "V": 0, "E": 0, "S": 0, "P": 0, "left": 5_000_000}

    # USD 200 at 15 000 are ordered; 40 000 more leave: the line bears it, and no exchange difference arises.
    advanced(contract, 200)
    assert contract.figures() == {"O": 12_000_000, "V": 3_040_000, "E": 0, "S": 0, "P": 0, "left": 4_960_000}
    books = unit.functional(unit.agency)
    assert (books[ADV], books[RK_A], books.get(FXD)) == (3_040_000, -3_040_000, None)
    assert unit.all_problems() == []

    # USD 400 at 15 300: 80 recovered at 15 200, 20 retained and 300 claimed at 15 300.
    certified = contract.certified(400, billed_on=to_date(BILLED))
    assert [minor(one.foreign_amount) // 100 for one in certified.payables] == [300, 20]
    assert [minor(one.amount) // 100 for one in certified.payables] == [4_590_000, 306_000]
    assert contract.figures() == {
        "O": 7_200_000,
        "V": 1_824_000,
        "E": 4_896_000,
        "S": 0,
        "P": 1_216_000,
        "left": 4_864_000,
    }
    books = unit.functional(unit.agency)
    assert (books[ADV], books[AP], books[RET]) == (1_824_000, -4_590_000, -306_000)
    assert unit.all_problems() == []

    # The month's end: what is owed is monetary and follows the rate, the advance does not.
    unit.books_revalued(2)
    books = unit.functional(unit.agency)
    assert (books[ADV], books[AP], books[RET], books[FXD]) == (1_824_000, -4_650_000, -310_000, 64_000)
    assert contract.figures()["E"] == 4_960_000
    assert unit.all_problems() == []


def test_an_advance_that_the_bank_rejects_leaves_the_contract_as_it_was(unit: AbroadEnding):
    contract = a_contract(unit)
    payable = contract.prepaid(200).payable_id
    order = unit.ordered([payable], LEFT)
    assert contract.figures()["S"] == 3_000_000

    call_as(unit.payables.RejectPaymentOrder, unit.rejection(order), unit.token("treasurer"))

    assert contract.figures() == {"O": 15_000_000, "V": 0, "E": 0, "S": 0, "P": 0, "left": 5_000_000}
    assert unit.all_problems() == []


def test_the_order_of_an_advance_takes_its_part_of_the_contract_to_the_claims_rate(unit: AbroadEnding):
    contract = a_contract(unit)
    unit.revalued(date(YEAR, 2, 28))
    assert contract.figures()["O"] == 15_500_000

    # Claimed at 15 000, the rate of the day of the claim: the line gets the difference of 100 000 back.
    unit.ordered([contract.prepaid(200).payable_id], date(YEAR, 3, 1))

    assert contract.figures() == {"O": 12_400_000, "V": 0, "E": 0, "S": 3_000_000, "P": 0, "left": 4_600_000}
    assert unit.all_problems() == []


def test_over_the_year_an_advance_is_closed_at_its_worth_and_recovered_at_it(unit: AbroadEnding):
    contract = a_contract(unit)
    advanced(contract, 200)
    (opened,) = unit.next_year(2_000_000, account=WORKS)

    ended = unit.ended()

    assert [minor(getattr(ended, name)) // 100 for name in ("closed_advances", "carried")] == [3_040_000, 12_000_000]
    assert contract.figures()["P"] == 3_040_000
    assert unit.all_problems() == []
    contract.certified(400, billed_on=to_date(date(NEXT, 3, 20)))
    # USD 320 at 16 000; nothing for the 80 that were closed, which leave ADV at 15 200.
    assert contract.figures(opened) == {
        "O": 7_200_000,
        "V": 0,
        "E": 5_120_000,
        "S": 0,
        "P": 0,
        "left": 1_680_000,
    }
    assert unit.functional(unit.agency)[ADV] == 1_824_000
    contract.certified(600, final=True, billed_on=to_date(date(NEXT, 5, 20)))
    assert ADV not in unit.functional(unit.agency)
    assert contract.figures(opened)["O"] == 0
    assert unit.all_problems() == []


def test_all_of_a_contract_is_paid_and_the_line_bore_every_difference(unit: AbroadEnding):
    contract = a_contract(unit)
    advanced(contract, 200)
    bill = contract.certified(1_000, final=True, billed_on=to_date(BILLED)).bill

    paid(contract, bill.payable_id, 50_000, date(YEAR, 3, 20))
    paid(contract, bill.retention_payable_id, 10_000, MAINTAINED)

    assert contract.figures() == {
        "O": 0,
        "V": 0,
        "E": 0,
        "S": 0,
        "P": 15_340_000,
        "left": 4_660_000,
    }
    books = unit.functional(unit.agency)
    # USD 750 + 50 at 15 300 = 12 240 000 were owed, 60 000 more left.
    assert (books[FXD], ADV in books, AP in books, RET in books) == (60_000, False, False, False)
    assert unit.all_problems() == []


def test_a_bill_at_a_higher_rate_than_the_budget_bears_is_recorded_under_an_override(unit: AbroadEnding):
    contract = Contract(unit, 1_000, currency="USD", budget=15_000_000)

    contract.certified(1_000, final=True, billed_on=to_date(BILLED))

    (override,) = unit.exchange_overrides()
    assert override.status == budget_override_pb2.BUDGET_OVERRIDE_STATUS_OPEN
    assert unit.given(override) == [(300_000, 300_000)]
    assert contract.figures()["E"] == 15_300_000
    assert unit.all_problems() == []


def test_a_contract_in_two_currencies_has_no_terms(unit: AbroadEnding):
    contract = a_contract(unit)
    (other,) = unit.lines_of(("5.1.02.01.01", 1_000))
    document = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT, document_id=str(uuid4()))
    item = budget_pb2.FundsItem(
        document_line_id=str(uuid4()), budget_line_id=contract.line, amount=to_money(Money(100, "USD"))
    )
    domestic = budget_pb2.FundsItem(
        document_line_id=str(uuid4()), budget_line_id=other, amount=to_money(Money(100, "IDR"))
    )
    unit.did("ObligateFunds", [item, domestic], document=document, effective_on=to_date(SIGNED))

    refusal = contract.refused("CreateContractTerms", contract.terms_request(contract_id=document.document_id))

    assert (refusal.reason, refusal.metadata["currency"]) == ("FOREIGN_ACT_UNSUPPORTED", "IDR,USD")
