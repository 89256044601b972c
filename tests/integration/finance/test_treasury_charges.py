"""Fees and interest of the bank on PostgreSQL: explained by rule and two persons, posted where they are borne."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, bank_charge_pb2_grpc, treasury_pb2
from kelola.finance.v1 import bank_charge_pb2 as pb
from tests.integration.finance.bank import CASH, DAY, Bank, entry
from tests.integration.finance.books import FUND, Books, rid
from tests.integration.finance.funds import GOODS, SALARY, Unit
from tests.integration.finance.purchase import Purchase

FEE, INTEREST = pb.BANK_CHARGE_KIND_FEE, pb.BANK_CHARGE_KIND_INTEREST
FEE_CODE, INTEREST_CODE, OTHER_CODE = "ACMT/MDOP/CHRG", "ACMT/MCOP/INTR", "PMNT/RCDT/ESCT"
BUDGET = account_pb2.BASIS_BUDGET
EXPENSE, RK_A, RK_T = "8.1.02.01", "3.1.03.01", "1.1.13.01"


class Charges:
    """A treasury whose bank took 25 000 from it, and a unit that bears it."""

    def __init__(self, books: Books, *, released: str = "1") -> None:
        self.unit = Unit(books)
        self.bank = Bank(self.unit)
        self.stub = bank_charge_pb2_grpc.BankChargeServiceStub(books.service.channel)
        (self.line,) = self.unit.lines(1_000_000)
        self.unit.allotted(released)

    def entry(self, amount: int = 25_000, *, code: str = FEE_CODE, debit: bool = True) -> treasury_pb2.BankEntry:
        """An unmatched entry of the bank."""
        known = {one.bank_entry_id for one in self.bank.unmatched()}
        self.bank.imported(self.bank.notification([entry(amount, debit=debit, code=code, text="bank")]))
        (new,) = [one for one in self.bank.unmatched() if one.bank_entry_id not in known]
        return new

    def proposal(self, one: treasury_pb2.BankEntry, **values: Any) -> pb.CreateBankChargeRequest:
        charge = pb.BankCharge(
            **{
                "agency_id": self.bank.treasury_id,
                "bank_entry_id": one.bank_entry_id,
                "kind": FEE,
                "bearing_agency_id": str(self.unit.agency_id),
                "budget_line_id": self.line,
                "explanation": "fee of March",
                **values,
            }
        )
        return pb.CreateBankChargeRequest(bank_charge=charge, request_id=rid())

    def proposed(self, one: treasury_pb2.BankEntry, **values: Any) -> pb.BankCharge:
        return call_as(self.stub.CreateBankCharge, self.proposal(one, **values), self.bank.token("reconciler"))

    def interest(self, one: treasury_pb2.BankEntry) -> pb.BankCharge:
        return self.proposed(one, kind=INTEREST, bearing_agency_id="", budget_line_id="", fund_code=FUND)

    def refused(self, one: treasury_pb2.BankEntry, **values: Any) -> Refusal:
        return refused(self.stub.CreateBankCharge, self.proposal(one, **values), self.bank.token("reconciler"))

    def approval(self, one: pb.BankCharge) -> pb.ApproveBankChargeRequest:
        return pb.ApproveBankChargeRequest(name=one.name, request_id=rid())

    def approved(self, one: pb.BankCharge) -> pb.BankCharge:
        return call_as(self.stub.ApproveBankCharge, self.approval(one), self.bank.token("head")).bank_charge


@pytest.fixture
def charges(books: Books) -> Charges:
    return Charges(books)


def test_a_fee_is_spent_on_its_line_and_leaves_the_treasurys_cash_through_the_pair(charges: Charges):
    one = charges.entry()

    done = charges.approved(charges.proposed(one))

    assert one.transaction_code == FEE_CODE
    assert charges.unit.figures(charges.line) == (0, 0, 0, 0, 25_000, 975_000)
    own = charges.unit.agency.balances()
    assert (own[EXPENSE], own[RK_A]) == (2_500_000, -2_500_000)
    assert charges.unit.agency.balances(basis=BUDGET)[GOODS] == 2_500_000
    assert (charges.bank.balance(CASH), charges.bank.balance(RK_T)) == (-25_000, 25_000)
    assert done.value_on == to_date(DAY)
    assert charges.bank.problems() == []


def test_the_entry_of_the_bank_is_explained_and_waits_for_nobody(charges: Charges):
    one = charges.entry()

    done = charges.approved(charges.proposed(one))

    assert charges.bank.unmatched() == []
    assert charges.bank.row(
        "select status, outcome, journal_entry_id::text from bank_entry where bank_entry_id = %s", one.bank_entry_id
    ) == ("MATCHED", "BOOKED", done.journal_entry_id)


def test_interest_is_revenue_on_both_bases_and_moves_no_line(charges: Charges):
    one = charges.entry(40_000, code=INTEREST_CODE, debit=False)

    charges.approved(charges.interest(one))

    assert charges.bank.balance(CASH) == 40_000
    assert charges.bank.balance("7.1.04.05") == -40_000
    realised = charges.unit.treasury.balances(basis=BUDGET)
    assert realised["4.1.04.05"] == -4_000_000
    assert charges.bank.unmatched() == []
    assert charges.bank.problems() == []


def test_nothing_moves_before_the_approval_and_a_rejected_one_leaves_the_entry_unmatched(charges: Charges):
    one = charges.entry()
    proposed = charges.proposed(one)
    twice = charges.refused(one)

    request = pb.RejectBankChargeRequest(name=proposed.name, explanation="another line", request_id=rid())
    call_as(charges.stub.RejectBankCharge, request, charges.bank.token("head"))

    assert twice.reason == "BANK_ENTRY_NOT_CHARGEABLE"
    assert charges.unit.figures(charges.line)[-1] == 1_000_000
    assert [each.bank_entry_id for each in charges.bank.unmatched()] == [one.bank_entry_id]
    assert charges.approved(charges.proposed(one)).status == pb.BANK_CHARGE_STATUS_APPROVED


def test_a_code_that_the_pack_does_not_call_a_fee_is_none(charges: Charges):
    assert charges.refused(charges.entry(code=OTHER_CODE)).reason == "BANK_ENTRY_NOT_CHARGEABLE"
    assert charges.refused(charges.entry(code=INTEREST_CODE, debit=False)).reason == "BANK_ENTRY_NOT_CHARGEABLE"
    assert charges.refused(charges.entry(code=FEE_CODE, debit=False)).reason == "BANK_ENTRY_NOT_CHARGEABLE"


def test_an_entry_without_a_code_is_what_two_persons_say(charges: Charges):
    done = charges.approved(charges.proposed(charges.entry(code="")))

    assert (done.transaction_code, done.status) == ("", pb.BANK_CHARGE_STATUS_APPROVED)


def test_a_fee_is_borne_by_an_account_that_the_rule_allows_and_names_its_agency(charges: Charges):
    (salaries,) = charges.unit.lines(1_000_000, account=SALARY)
    one = charges.entry()

    assert charges.refused(one, budget_line_id=salaries).reason == "BANK_CHARGE_LINE_NOT_ALLOWED"
    assert charges.refused(one, fund_code=FUND).reason == "INVALID_ARGUMENT"
    assert charges.refused(one, bearing_agency_id=charges.bank.treasury_id).reason == "INVALID_ARGUMENT"


def test_whoever_proposed_a_charge_neither_approves_nor_rejects_it(charges: Charges):
    proposed = charges.proposed(charges.entry())
    same = charges.bank.token("head", person_id=charges.bank.persons["reconciler"])
    reject = pb.RejectBankChargeRequest(name=proposed.name, explanation="mine", request_id=rid())

    assert refused(charges.stub.ApproveBankCharge, charges.approval(proposed), same).reason == "SAME_PERSON"
    assert refused(charges.stub.RejectBankCharge, reject, same).reason == "SAME_PERSON"


def test_whoever_may_not_act_where_the_fee_is_borne_does_not_approve_it(charges: Charges):
    proposed = charges.proposed(charges.entry())
    token = charges.bank.token("head", agencies=[charges.unit.treasury.agency_id])

    refusal = refused(charges.stub.ApproveBankCharge, charges.approval(proposed), token)

    assert refusal.reason == "PERMISSION_DENIED"


def test_a_line_with_too_little_refuses_the_fee_and_the_entry_stays_unmatched(charges: Charges):
    one = charges.entry(1_000_001)
    proposed = charges.proposed(one)

    refusal = refused(charges.stub.ApproveBankCharge, charges.approval(proposed), charges.bank.token("head"))

    assert refusal.reason == "BUDGET_EXCEEDED"
    assert [each.bank_entry_id for each in charges.bank.unmatched()] == [one.bank_entry_id]
    assert charges.bank.problems() == []


def test_a_fee_counts_as_requested_so_fees_and_requests_together_stay_within_the_release(books: Books):
    charges = Charges(books, released="0.5")
    charges.approved(charges.proposed(charges.entry(100_000)))
    purchase = Purchase(charges.unit, charges.line, 1, 400_001).issued()
    purchase.accepted(1)
    payable = purchase.approved(purchase.invoiced(1, 400_001))

    request = charges.unit.payment_request([payable.payable_id])
    beyond = refused(charges.unit.payables.CreatePaymentRequest, request, charges.unit.token("expenditure_treasurer"))
    fee = charges.proposed(charges.entry(400_001))
    unpaid = refused(charges.stub.ApproveBankCharge, charges.approval(fee), charges.bank.token("head"))

    assert (beyond.reason, beyond.metadata["short_by"]) == ("ALLOTMENT_EXCEEDED", "IDR 1")
    assert (unpaid.reason, unpaid.metadata["short_by"]) == ("ALLOTMENT_EXCEEDED", "IDR 1")
    assert charges.unit.figures(charges.line) == (0, 0, 400_001, 0, 100_000, 499_999)
    assert charges.bank.problems() == []


def test_a_booked_charge_is_told_once(charges: Charges):
    done = charges.approved(charges.proposed(charges.entry()))

    with psycopg.connect(charges.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.BankChargeBooked' and key = %s",
            (done.bank_charge_id,),
        ).fetchone()

    assert told == (1,)
