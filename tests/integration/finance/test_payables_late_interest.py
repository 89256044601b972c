"""Late interest made payable, on PostgreSQL: each day charged once, by two persons, on a line that bears it."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import late_interest_charge_pb2 as pb
from kelola.finance.v1 import (
    late_interest_charge_pb2_grpc,
    late_interest_pb2,
    late_interest_pb2_grpc,
    payables_pb2,
)
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.funds import OFFICERS, Unit
from tests.integration.finance.purchase import Purchase, rupiah_of
from tests.integration.finance.test_payables_credit_notes import RETURN, Credits

# Of Belanja Bunga (interest): the expense follows in 8.1.03, what is owed stands in 2.1.06.03.
INTEREST, OTHER_INTEREST = "5.1.03.03", "5.1.03.02"
# Received on 14 March, due 30 days later.
DUE, TEN_LATE, THIRTY_LATE = date(YEAR, 4, 13), date(YEAR, 4, 23), date(YEAR, 5, 13)
OWED = 11_100_000


def interest(days: int) -> int:
    """In minor units: 5.75 % a year of 360 days, which holds until 20 May 2025."""
    return round(OWED * 100 * 575 * days / (360 * 10_000))


class Late:
    """A unit that owes an invoice of 11 100 000, and has 10 000 000 for interest."""

    def __init__(self, books: Books) -> None:
        self.unit = Unit(books)
        self.stub = late_interest_charge_pb2_grpc.LateInterestChargeServiceStub(books.service.channel)
        (line,) = self.unit.lines(40_000_000)
        (self.line,) = self.unit.lines(10_000_000, account=INTEREST)
        self.unit.allotted()
        purchase = Purchase(self.unit, line, 10, 1_000_000, vat="0.11").issued()
        purchase.accepted(10)
        self.invoice = purchase.invoiced(10, 1_000_000)
        self.payable = purchase.approved(self.invoice)
        self.credits = Credits(purchase)

    def proposal(self, until: date, **values: Any) -> pb.CreateLateInterestChargeRequest:
        charge = pb.LateInterestCharge(
            **{
                "agency_id": str(self.unit.agency_id),
                "late_payable_id": self.payable.payable_id,
                "budget_line_id": self.line,
                "until_on": to_date(until),
                **values,
            }
        )
        return pb.CreateLateInterestChargeRequest(late_interest_charge=charge, request_id=rid())

    def proposed(self, until: date) -> pb.LateInterestCharge:
        return call_as(self.stub.CreateLateInterestCharge, self.proposal(until), self.unit.token("invoice_clerk"))

    def refused(self, until: date, **values: Any) -> Refusal:
        request = self.proposal(until, **values)
        return refused(self.stub.CreateLateInterestCharge, request, self.unit.token("invoice_clerk"))

    def approval(self, one: pb.LateInterestCharge, on: date = THIRTY_LATE) -> pb.ApproveLateInterestChargeRequest:
        return pb.ApproveLateInterestChargeRequest(name=one.name, effective_on=to_date(on), request_id=rid())

    def approved(self, one: pb.LateInterestCharge) -> pb.LateInterestCharge:
        token = self.unit.token("budget_user")
        return call_as(self.stub.ApproveLateInterestCharge, self.approval(one), token).late_interest_charge

    def credited(self, units: int, on: date) -> None:
        """Units that went back before their payment, by a credit note that has its effect on a day."""
        note = self.credits.registered(self.invoice, RETURN, units * 1_110_000, units=units)
        approval = self.credits.approval(note, effective_on=to_date(on))
        call_as(self.credits.stub.ApproveCreditNote, approval, self.unit.token("budget_user"))

    def listed(self, as_of: date) -> list[late_interest_pb2.LatePayment]:
        stub = late_interest_pb2_grpc.LateInterestServiceStub(self.unit.books.service.channel)
        request = late_interest_pb2.ListLatePaymentsRequest(agency_id=str(self.unit.agency_id), as_of=to_date(as_of))
        return list(call_as(stub.ListLatePayments, request, self.unit.token("budget_user")).late_payments)

    def recalled(self, one: pb.LateInterestCharge) -> pb.LateInterestCharge:
        request = pb.RecallLateInterestChargeRequest(name=one.name, explanation="another line", request_id=rid())
        return call_as(
            self.stub.RecallLateInterestCharge, request, self.unit.token("invoice_clerk")
        ).late_interest_charge


@pytest.fixture
def late(books: Books) -> Late:
    return Late(books)


def test_an_approved_charge_is_expended_posted_and_owed_to_the_same_creditor(late: Late):
    one = late.proposed(TEN_LATE)
    nothing_yet = late.unit.line(late.line).figures.available

    done = late.approved(one)

    assert (one.from_on, one.until_on) == (to_date(date(YEAR, 4, 14)), to_date(TEN_LATE))
    assert minor(one.amount) == interest(10)
    assert rupiah_of(nothing_yet) == 10_000_000
    figures = late.unit.line(late.line).figures
    assert figures.expended == one.amount
    owed = call_as(
        late.unit.payables.GetPayable,
        payables_pb2.GetPayableRequest(name=f"payables/{done.payable_id}"),
        late.unit.token("treasurer"),
    )
    assert (owed.creditor, owed.amount, owed.source) == (
        late.payable.creditor,
        one.amount,
        payables_pb2.PAYABLE_SOURCE_LATE_INTEREST,
    )
    balances = late.unit.agency.balances()
    assert balances["8.1.03.03"] == interest(10)
    assert balances["2.1.06.03"] == -interest(10)
    assert late.unit.problems() == []


def test_it_is_paid_as_every_other_payable_together_with_the_invoice(late: Late):
    done = late.approved(late.proposed(TEN_LATE))

    order = late.unit.debited(
        late.unit.ordered([late.payable.payable_id, done.payable_id], THIRTY_LATE), value_date=to_date(THIRTY_LATE)
    )

    # Of the invoice VAT and income tax are withheld, of the interest nothing.
    assert {one.withholding_code: rupiah_of(one.amount) for one in order.withholdings} == {
        "VAT": 1_100_000,
        "PPH22": 150_000,
    }
    assert late.unit.line(late.line).figures.paid == done.amount
    assert late.unit.problems() == []


def test_each_day_is_charged_once_and_all_charges_come_to_the_whole(late: Late):
    first = late.proposed(TEN_LATE)
    same = late.refused(TEN_LATE)
    # Were the first one refused, a second one would leave its days out.
    undecided = late.refused(THIRTY_LATE)
    late.approved(first)
    second = late.proposed(THIRTY_LATE)

    assert same.reason == "LATE_INTEREST_CHARGED"
    assert (undecided.reason, undecided.metadata["pending_from"]) == ("LATE_INTEREST_PENDING", f"{YEAR}-04-14")
    assert second.from_on == to_date(date(YEAR, 4, 24))
    assert minor(first.amount) + minor(second.amount) == interest(30)


def test_interest_ends_with_the_banks_debit(late: Late):
    late.unit.debited(late.unit.ordered([late.payable.payable_id], TEN_LATE), value_date=to_date(TEN_LATE))

    assert late.proposed(THIRTY_LATE).until_on == to_date(TEN_LATE)


def test_what_is_not_late_or_not_this_agencys_is_refused(late: Late):
    assert late.refused(DUE).reason == "PAYABLE_NOT_LATE"
    assert late.refused(TEN_LATE, late_payable_id=rid()).reason == "NOT_FOUND"
    assert late.refused(TEN_LATE, budget_line_id=rid()).reason == "INVALID_ARGUMENT"


def test_whoever_proposed_a_charge_does_not_approve_it(late: Late):
    one = late.proposed(TEN_LATE)
    same = late.unit.books.token(
        [late.unit.agency_id], OFFICERS["budget_user"], person_id=late.unit.persons["invoice_clerk"]
    )

    assert refused(late.stub.ApproveLateInterestCharge, late.approval(one), same).reason == "SAME_PERSON"


def test_a_charge_is_approved_once_and_not_before_its_last_day(late: Late):
    one = late.proposed(TEN_LATE)
    token = late.unit.token("budget_user")

    early = refused(late.stub.ApproveLateInterestCharge, late.approval(one, DUE), token)
    late.approved(one)
    twice = refused(late.stub.ApproveLateInterestCharge, late.approval(one), token)

    assert (early.reason, twice.reason) == ("INVALID_ARGUMENT", "OUT_OF_TURN")


def test_a_recalled_charge_leaves_its_days_to_another(late: Late):
    late.recalled(late.proposed(TEN_LATE))

    assert late.proposed(TEN_LATE).from_on == to_date(date(YEAR, 4, 14))


def test_a_line_with_too_little_refuses_the_interest_and_says_so(books: Books):
    late = Late(books)
    (poor,) = late.unit.lines(1, account=OTHER_INTEREST)
    request = late.proposal(TEN_LATE, budget_line_id=poor)
    one = call_as(late.stub.CreateLateInterestCharge, request, late.unit.token("invoice_clerk"))

    refusal = refused(late.stub.ApproveLateInterestCharge, late.approval(one), late.unit.token("budget_user"))

    assert refusal.reason == "BUDGET_EXCEEDED"
    with psycopg.connect(late.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.FundsRefused' and key = %s",
            (one.late_interest_charge_id,),
        ).fetchone()
    assert told == (1,)


def test_a_partial_credit_changes_the_interest_of_the_days_after_it_alone(late: Late):
    late.credited(5, TEN_LATE)

    (listed,) = late.listed(THIRTY_LATE)
    charged = late.approved(late.proposed(THIRTY_LATE))

    # 10 days on 11 100 000, 20 days on the half that was left.
    assert [(one.from_on.day, one.until_on.day, rupiah_of(one.amount)) for one in listed.owed] == [
        (14, 23, OWED),
        (24, 13, OWED // 2),
    ]
    assert minor(listed.interest) == minor(charged.amount) == interest(20)
    assert (listed.days_late, rupiah_of(listed.amount)) == (30, OWED // 2)
    assert late.unit.problems() == []


def test_what_was_credited_whole_after_its_due_date_was_owed_up_to_that_day(late: Late):
    late.credited(10, TEN_LATE)

    (listed,) = late.listed(THIRTY_LATE)
    charged = late.proposed(THIRTY_LATE)

    assert (listed.days_late, minor(listed.interest)) == (10, interest(10))
    assert (charged.until_on, minor(charged.amount)) == (to_date(TEN_LATE), interest(10))


def test_a_charge_is_not_approved_once_a_credit_or_debit_of_its_days_is_known(late: Late):
    token = late.unit.token("budget_user")
    one = late.proposed(THIRTY_LATE)
    late.credited(5, TEN_LATE)
    credited = refused(late.stub.ApproveLateInterestCharge, late.approval(one), token)
    late.recalled(one)
    other = late.proposed(THIRTY_LATE)
    late.unit.debited(late.unit.ordered([late.payable.payable_id], TEN_LATE), value_date=to_date(TEN_LATE))
    debited = refused(late.stub.ApproveLateInterestCharge, late.approval(other), token)
    late.recalled(other)

    right = late.approved(late.proposed(THIRTY_LATE))

    assert (credited.reason, debited.reason) == ("LATE_INTEREST_CHANGED", "LATE_INTEREST_CHANGED")
    assert (right.until_on, minor(right.amount)) == (to_date(TEN_LATE), interest(10))
