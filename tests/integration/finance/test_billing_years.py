"""Contracts over the end of a budget year: an advance is spent in its year, the next one's bills recover it (N11)."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.testing import call_as
from chassis.wire import to_date
from kelola.finance.v1 import billing_pb2, billing_pb2_grpc, budget_pb2, budget_year_end_pb2
from tests.integration.finance.books import YEAR, Books, minor, rupiah
from tests.integration.finance.changing import SUPPLIES
from tests.integration.finance.ending import CANCEL, NEXT, Ending
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.works import WORKS, Contract

NEXT_MARCH, NEXT_MAY, NEXT_SEPTEMBER = date(NEXT, 3, 20), date(NEXT, 5, 20), date(NEXT, 9, 30)


@pytest.fixture
def unit(books: Books) -> Ending:
    return Ending(books)


def advance_account(contract: Contract) -> int:
    """What the prepayment account holds under the contract's line, in whole rupiah."""
    (balance,) = contract.unit.agency.row(
        "select coalesce(sum(debit_minor - credit_minor), 0) from journal_line where document_line_id = %s"
        " and account_code in (select account_code from account_mapping where role = 'ADV')",
        contract.line_id,
    )
    return int(balance) // 100


def movements(contract: Contract, line: str) -> list[budget_pb2.FundsMovement]:
    """The line's movements, the oldest first."""
    request = budget_pb2.ListFundsMovementsRequest(budget_line_id=line)
    found = call_as(contract.unit.budget.ListFundsMovements, request, contract.unit.token("budget_officer"))
    return list(reversed(found.funds_movements))


COLUMNS = ("O", "V", "E", "S", "P")


def test_n11_an_advance_is_closed_to_paid_and_recovered_without_a_movement(unit: Ending):
    contract = Contract(unit, 1_000)
    contract.paid(contract.prepaid(200).payable_id)
    (opened,) = unit.next_year(0, account=WORKS)

    ended = unit.ended()

    # Year 1: V 200 became P 200, the rest of the contract is carried with its authority.
    assert tuple(contract.figures()[name] for name in COLUMNS) == (0, 0, 0, 0, 200)
    assert [minor(getattr(ended, one)) // 100 for one in ("paid", "closed_advances", "lapsed", "carried")] == [
        200,
        200,
        0,
        800,
    ]
    (closing,) = [
        one for one in movements(contract, contract.line) if one.kind == budget_pb2.FUNDS_MOVEMENT_KIND_CLOSE_ADVANCE
    ]
    assert (minor(closing.advanced_change), minor(closing.paid_change)) == (-200_00, 200_00)
    assert closing.document.kind == budget_pb2.FUNDS_DOCUMENT_KIND_YEAR_END
    assert closing.document.document_id == ended.budget_year_end_id
    assert closing.document_line_id == contract.line_id
    assert closing.accounting_on == to_date(date(YEAR, 12, 31))
    assert contract.figures(opened) == {"O": 800, "V": 0, "E": 0, "S": 0, "P": 0, "left": 0}
    assert advance_account(contract) == 200
    assert unit.problems() == []

    # Year 2: the bill takes O -> E by 400 - 80; ADV 80, RET 20, AP 300.
    unit.allotted_next(opened, 800)
    first = contract.certified(400, billed_on=to_date(NEXT_MARCH))
    assert contract.figures(opened) == {"O": 480, "V": 0, "E": 320, "S": 0, "P": 0, "left": 0}
    assert [minor(one.amount) // 100 for one in first.payables] == [300, 20]
    assert advance_account(contract) == 120
    assert unit.problems() == []

    contract.paid(first.bill.payable_id, NEXT_MAY)
    last = contract.certified(600, final=True, billed_on=to_date(NEXT_MAY))
    for payable in (last.bill.payable_id, first.bill.retention_payable_id, last.bill.retention_payable_id):
        contract.paid(payable, NEXT_SEPTEMBER)
    assert contract.figures(opened) == {"O": 0, "V": 0, "E": 0, "S": 0, "P": 800, "left": 0}
    assert contract.figures()["P"] == 200
    assert advance_account(contract) == 0
    assert unit.problems() == []


def test_what_was_recovered_in_its_year_is_not_closed_again(unit: Ending):
    contract = Contract(unit, 1_000)
    contract.paid(contract.prepaid(200).payable_id)
    bill = contract.certified(400)
    contract.paid(bill.bill.payable_id)
    (opened,) = unit.next_year(0, account=WORKS)

    ended = unit.ended()

    # Year 1: 80 of the advance were delivered, 120 are closed; the retention of 20 is owed and carried.
    assert minor(ended.closed_advances) == 120_00
    assert tuple(contract.figures()[name] for name in COLUMNS) == (0, 0, 0, 0, 500)
    assert tuple(contract.figures(opened)[name] for name in COLUMNS) == (480, 0, 20, 0, 0)
    assert unit.problems() == []
    contract.certified(600, final=True, billed_on=to_date(NEXT_MARCH))
    assert tuple(contract.figures(opened)[name] for name in COLUMNS) == (0, 0, 500, 0, 0)
    assert advance_account(contract) == 0
    assert unit.problems() == []


def test_an_advance_of_the_second_year_stands_beside_one_that_was_closed(unit: Ending):
    contract = Contract(unit, 1_000)
    contract.paid(contract.prepaid(100).payable_id)
    (opened,) = unit.next_year(0, account=WORKS)
    unit.ended()
    unit.allotted_next(opened, 900)

    contract.paid(contract.prepaid(100).payable_id, NEXT_MARCH)

    assert tuple(contract.figures(opened)[name] for name in COLUMNS) == (800, 100, 0, 0, 0)
    assert unit.problems() == []
    # The bill recovers 80: what this year advanced first, then what an earlier one has spent.
    contract.certified(400, billed_on=to_date(NEXT_MAY))
    assert tuple(contract.figures(opened)[name] for name in COLUMNS) == (480, 20, 320, 0, 80)
    assert advance_account(contract) == 120
    contract.certified(600, final=True, billed_on=to_date(NEXT_MAY))
    assert tuple(contract.figures(opened)[name] for name in COLUMNS) == (0, 0, 800, 0, 100)
    assert advance_account(contract) == 0
    assert unit.problems() == []


def test_the_rest_of_a_contract_is_cancelled_by_decision_and_its_advance_stays_a_claim(unit: Ending):
    contract = Contract(unit, 1_000)
    contract.paid(contract.prepaid(200).payable_id)
    (opened,) = unit.next_year(0, account=WORKS)
    decision = budget_year_end_pb2.DocumentLineDecision(
        document_line_id=contract.line_id, budget_line_id=contract.line, decision=CANCEL
    )

    ended = unit.ended(decisions=[decision])
    bill = contract.billed(400, billed_on=to_date(NEXT_MARCH))
    refusal = contract.refused("CertifyBill", contract.certification(bill), by="budget_user")

    assert (minor(ended.paid), minor(ended.lapsed), minor(ended.carried)) == (200_00, 800_00, 0)
    assert contract.figures(opened)["O"] == 0
    assert advance_account(contract) == 200
    assert refusal.reason == "DOCUMENT_LINE_UNKNOWN"
    assert unit.problems() == []


def test_an_advance_under_way_at_the_bank_keeps_the_year_open(unit: Ending):
    contract = Contract(unit, 1_000)
    unit.ordered([contract.prepaid(200).payable_id])
    unit.next_year(0, account=WORKS)

    blocked = unit.not_ended()

    assert blocked.reason == "BUDGET_YEAR_END_BLOCKED"
    assert "are ordered and not debited" in blocked.message


class Sliced(Contract):
    """A contract of yearly slices in whole rupiah: this year's is bound, its terms are registered now."""

    def __init__(self, unit: Building, *slices: int) -> None:
        self.unit, self.currency, self.price = unit, "IDR", slices[0]
        (self.line,) = unit.lines_of((SUPPLIES, slices[0]))
        self.billing = billing_pb2_grpc.BillingServiceStub(unit.books.service.channel)
        self.authorised = unit.authorised(unit.contract(self.line, *slices))
        self.contract_id = self.authorised.contract_id
        self.line_id = self.authorised.slices[0].document_line_id
        self.terms = call_as(self.billing.CreateContractTerms, self.terms_request(), unit.token("invoice_clerk"))

    def now(self) -> billing_pb2.ContractTerms:
        request = billing_pb2.GetContractTermsRequest(name=self.terms.name)
        return call_as(self.billing.GetContractTerms, request, self.unit.token("invoice_clerk"))


def test_a_slice_that_is_bound_later_joins_the_terms_with_its_first_bill(books: Books):
    unit = Building(books)
    contract = Sliced(unit, 300, 400, 200)
    second = contract.authorised.slices[1].document_line_id
    too_early = contract.refused("CreateBill", contract.bill_request(50, lines=[_billed(second, 50)]))
    (opened,) = unit.next_year(400)

    contract.line_id = second
    bill = contract.certified(150, billed_on=to_date(NEXT_MARCH))

    assert too_early.reason == "INVALID_ARGUMENT"
    assert [minor(one.amount) for one in bill.payables] == [142_50, 7_50], "retention of 5 % is of this bill alone"
    assert contract.figures(opened) == {"O": 250, "V": 0, "E": 150, "S": 0, "P": 0, "left": 0}
    assert contract.figures()["O"] == 300
    terms = contract.now()
    assert minor(terms.price) == 700_00
    assert [(one.document_line_id, minor(one.price), minor(one.billed)) for one in terms.lines] == [
        (contract.authorised.slices[0].document_line_id, 300_00, 0),
        (second, 400_00, 150_00),
    ]
    # What may be prepaid is a share of the first year's slice (L: of a contract of several years).
    assert terms.prepayment_limit == contract.terms.prepayment_limit
    beyond = contract.refused("CreateBill", contract.bill_request(251, billed_on=to_date(NEXT_MARCH)))
    assert beyond.reason == "BILL_EXCEEDS_CONTRACT"
    assert unit.problems() == []


def test_what_ended_a_slice_leaves_the_next_one_to_its_bills(books: Books):
    unit = Building(books)
    contract = Sliced(unit, 300, 400)
    contract.certified(280, final=True)
    (opened,) = unit.next_year(400)

    contract.line_id = contract.authorised.slices[1].document_line_id
    contract.certified(400, final=True, billed_on=to_date(NEXT_MARCH))

    assert contract.figures() == {"O": 0, "V": 0, "E": 280, "S": 0, "P": 0, "left": 20}
    assert contract.figures(opened) == {"O": 0, "V": 0, "E": 400, "S": 0, "P": 0, "left": 0}
    assert unit.problems() == []


def _billed(document_line_id: str, gross: int) -> billing_pb2.BillLine:
    return billing_pb2.BillLine(document_line_id=document_line_id, gross=rupiah(gross))
