"""Credit notes set off against what their creditor is owed, on PostgreSQL: cash nets, lines keep what they moved."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    account_pb2,
    credit_note_pb2,
    credit_offset_pb2_grpc,
    late_interest_pb2,
    late_interest_pb2_grpc,
    payables_pb2,
)
from kelola.finance.v1 import credit_offset_pb2 as pb
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.funds import GOODS, OFFICERS, Unit
from tests.integration.finance.purchase import Purchase, rupiah_of
from tests.integration.finance.test_payables_credit_notes import PRICE, RETURN, Credits

RECEIVABLE, CASH = "1.1.09.90", "1.1.01.01"
BUDGET = account_pb2.BASIS_BUDGET
DAY = date(YEAR, 3, 26)


class Offsets:
    """A supplier who was paid 500 000 for goods of which he takes back 100 000, and is owed 10 100 000 for others."""

    def __init__(self, books: Books, *, vat: str = "0") -> None:
        self.unit = Unit(books)
        self.stub = credit_offset_pb2_grpc.CreditOffsetServiceStub(books.service.channel)
        self.first_line, self.second_line = self.unit.lines(6_000_000, 40_000_000)
        self.unit.allotted()
        first = Purchase(self.unit, self.first_line, 10, 50_000).issued()
        first.accepted(10)
        self.paid = first.invoiced(10, 50_000)
        self.unit.debited(self.unit.ordered([first.approved(self.paid).payable_id]))
        self.credits = Credits(first)
        second = Purchase(self.unit, self.second_line, 10, 1_010_000, vat=vat, supplier_id=first.supplier_id).issued()
        second.accepted(10)
        self.payable = second.approved(second.invoiced(10, 1_010_000))

    def note(self, **values: Any) -> credit_note_pb2.CreditNote:
        """100 000 of two units that went back."""
        return self.credits.approved(self.paid, RETURN, 100_000, units=2, **values)

    def proposal(self, note: credit_note_pb2.CreditNote, **values: Any) -> pb.CreateCreditOffsetRequest:
        offset = pb.CreditOffset(
            **{
                "agency_id": str(self.unit.agency_id),
                "credit_note_id": note.credit_note_id,
                "payable_id": self.payable.payable_id,
                "explanation": "agreed with the supplier",
                **values,
            }
        )
        return pb.CreateCreditOffsetRequest(credit_offset=offset, request_id=rid())

    def proposed(self, note: credit_note_pb2.CreditNote, **values: Any) -> pb.CreditOffset:
        return call_as(self.stub.CreateCreditOffset, self.proposal(note, **values), self.unit.token("invoice_clerk"))

    def refused(self, note: credit_note_pb2.CreditNote, **values: Any) -> Refusal:
        return refused(self.stub.CreateCreditOffset, self.proposal(note, **values), self.unit.token("invoice_clerk"))

    def approval(self, one: pb.CreditOffset, on: date = DAY) -> pb.ApproveCreditOffsetRequest:
        return pb.ApproveCreditOffsetRequest(name=one.name, effective_on=to_date(on), request_id=rid())

    def approved(self, one: pb.CreditOffset) -> pb.CreditOffset:
        token = self.unit.token("budget_user")
        return call_as(self.stub.ApproveCreditOffset, self.approval(one), token).credit_offset

    def approved_on(self, one: pb.CreditOffset, on: date) -> pb.CreditOffset:
        return call_as(
            self.stub.ApproveCreditOffset, self.approval(one, on), self.unit.token("budget_user")
        ).credit_offset

    def not_approved(self, one: pb.CreditOffset, on: date = DAY, token: str = "") -> Refusal:
        token = token or self.unit.token("budget_user")
        return refused(self.stub.ApproveCreditOffset, self.approval(one, on), token)

    def seen(self, note: credit_note_pb2.CreditNote) -> credit_note_pb2.CreditNote:
        request = credit_note_pb2.GetCreditNoteRequest(name=note.name)
        return call_as(self.credits.stub.GetCreditNote, request, self.unit.token("invoice_clerk"))


@pytest.fixture
def offsets(books: Books) -> Offsets:
    return Offsets(books)


def test_an_offset_pays_one_line_and_refunds_the_other_without_cash(offsets: Offsets):
    note = offsets.note()
    before = [offsets.unit.figures(line) for line in (offsets.first_line, offsets.second_line)]
    cash = offsets.unit.treasury.balances()[CASH]

    offsets.approved(offsets.proposed(note))

    first, second = (offsets.unit.figures(line) for line in (offsets.first_line, offsets.second_line))
    # Of R, O, E, S, P, available: the first line's P comes back, the second line's E is paid.
    assert [b - a for a, b in zip(before[0], first, strict=True)] == [0, 0, 0, 0, -100_000, 100_000]
    assert [b - a for a, b in zip(before[1], second, strict=True)] == [0, 0, -100_000, 0, 100_000, 0]
    assert offsets.unit.agency.balances().get(RECEIVABLE, 0) == 0
    assert offsets.unit.treasury.balances()[CASH] == cash
    assert offsets.unit.agency.balances(basis=BUDGET)[GOODS] == 500_000_00
    assert offsets.seen(note).status == credit_note_pb2.CREDIT_NOTE_STATUS_OFFSET
    assert offsets.unit.problems() == []


def test_the_payment_request_shows_gross_credit_and_net_and_the_net_is_paid(offsets: Offsets):
    offsets.approved(offsets.proposed(offsets.note()))

    request = offsets.unit.requested([offsets.payable.payable_id], date(YEAR, 3, 27))

    assert [rupiah_of(one) for one in (request.gross_amount, request.offset_amount, request.amount)] == [
        10_100_000,
        100_000,
        10_000_000,
    ]
    owed = offsets.credits.payable(offsets.payable)
    assert (rupiah_of(owed.amount), rupiah_of(owed.offset_amount)) == (10_000_000, 100_000)


def test_what_is_withheld_is_taken_of_the_whole_invoice(books: Books):
    offsets = Offsets(books, vat="0.11")
    offsets.approved(offsets.proposed(offsets.note()))

    order = offsets.unit.debited(
        offsets.unit.ordered([offsets.payable.payable_id], date(YEAR, 3, 27)), value_date=to_date(date(YEAR, 3, 28))
    )

    withheld = {one.withholding_code: rupiah_of(one.amount) for one in order.withholdings}
    assert withheld == {"VAT": 1_111_000, "PPH22": 151_500}
    assert rupiah_of(order.net) == 11_211_000 - 100_000 - 1_111_000 - 151_500
    assert offsets.unit.figures(offsets.second_line)[4] == 11_211_000
    assert offsets.unit.problems() == []


def test_interest_of_the_days_before_an_offset_is_on_all_that_was_owed_then(offsets: Offsets):
    # Due on 13 April; 100 000 of 10 100 000 are set off ten days later.
    offsets.approved_on(offsets.proposed(offsets.note()), date(YEAR, 4, 23))

    stub = late_interest_pb2_grpc.LateInterestServiceStub(offsets.unit.books.service.channel)
    request = late_interest_pb2.ListLatePaymentsRequest(
        agency_id=str(offsets.unit.agency_id), as_of=to_date(date(YEAR, 5, 13))
    )
    listed = call_as(stub.ListLatePayments, request, offsets.unit.token("budget_user")).late_payments

    (late,) = (one for one in listed if one.payable_id == offsets.payable.payable_id)
    assert [rupiah_of(one.amount) for one in late.owed] == [10_100_000, 10_000_000]
    # 5.75 % of 360 days: (10 100 000 × 10 + 10 000 000 × 20) × 0.0575 / 360.
    assert minor(late.interest) == round(301_000_000 * 100 * 575 / (360 * 10_000))


def test_a_credit_is_set_off_once_and_not_refunded_then(offsets: Offsets):
    note = offsets.note()
    one = offsets.proposed(note)
    twice = offsets.refused(note)
    offsets.approved(one)

    again = offsets.not_approved(one)
    refund = refused(
        offsets.credits.stub.RecordCreditNoteRefund, offsets.credits.refund(note), offsets.unit.token("treasurer")
    )

    assert twice.reason == "OFFSET_NOT_ALLOWED"
    assert again.reason == "OUT_OF_TURN"
    assert refund.reason == "OUT_OF_TURN"


def test_a_refund_that_came_meanwhile_leaves_nothing_to_set_off(offsets: Offsets):
    note = offsets.note()
    one = offsets.proposed(note)
    offsets.credits.refunded(note)

    assert offsets.not_approved(one, date(YEAR, 4, 3)).reason == "OFFSET_NOT_ALLOWED"


def test_goods_that_come_again_keep_their_funds_obligated(offsets: Offsets):
    before = offsets.unit.figures(offsets.first_line)

    offsets.approved(offsets.proposed(offsets.note(replaced=True)))

    after = offsets.unit.figures(offsets.first_line)
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 100_000, 0, 0, -100_000, 0]
    assert offsets.unit.problems() == []
    # What was set off counts as taken back: the goods that come again are matched.
    offsets.credits.purchase.accepted(2)
    again = offsets.credits.purchase.invoiced(2, 50_000)
    assert again.status == payables_pb2.INVOICE_STATUS_MATCHED
    offsets.credits.purchase.approved(again)
    assert offsets.unit.problems() == []


def test_another_creditors_or_a_requested_payable_is_not_set_off(offsets: Offsets):
    note = offsets.note()
    other = Purchase(offsets.unit, offsets.second_line, 1, 500_000).issued()
    other.accepted(1)
    strange = offsets.refused(note, payable_id=other.approved(other.invoiced(1, 500_000)).payable_id)
    one = offsets.proposed(note)
    offsets.unit.requested([offsets.payable.payable_id], DAY)

    assert strange.reason == "OFFSET_NOT_ALLOWED"
    assert offsets.not_approved(one).reason == "OFFSET_NOT_ALLOWED"


def test_something_above_what_is_withheld_has_to_be_left(offsets: Offsets):
    small = Purchase(offsets.unit, offsets.second_line, 1, 100_000, supplier_id=offsets.credits.purchase.supplier_id)
    small.issued().accepted(1)
    payable = small.approved(small.invoiced(1, 100_000))

    one = offsets.proposed(offsets.note(), payable_id=payable.payable_id)

    assert offsets.not_approved(one).reason == "OFFSET_EXCEEDS_PAYABLE"


def test_a_payable_set_off_in_part_is_credited_only_once_the_rest_is_paid(offsets: Offsets):
    offsets.approved(offsets.proposed(offsets.note()))
    invoice_id = offsets.payable.source_document_id
    invoice = call_as(
        offsets.unit.payables.GetInvoice,
        payables_pb2.GetInvoiceRequest(name=f"invoices/{invoice_id}"),
        offsets.unit.token("invoice_clerk"),
    )
    line_id = invoice.lines[0].purchase_order_line_id
    request = offsets.credits.request(invoice, PRICE, 1_000, net=1_000)
    request.credit_note.lines[0].purchase_order_line_id = line_id

    refusal = refused(offsets.credits.stub.CreateCreditNote, request, offsets.unit.token("invoice_clerk"))

    assert refusal.reason == "INVOICE_NOT_CREDITABLE"


def test_whoever_proposed_an_offset_neither_approves_nor_rejects_it(offsets: Offsets):
    one = offsets.proposed(offsets.note())
    same = offsets.unit.books.token(
        [offsets.unit.agency_id], OFFICERS["budget_user"], person_id=offsets.unit.persons["invoice_clerk"]
    )
    reject = pb.RejectCreditOffsetRequest(name=one.name, explanation="mine", request_id=rid())

    assert offsets.not_approved(one, token=same).reason == "SAME_PERSON"
    assert refused(offsets.stub.RejectCreditOffset, reject, same).reason == "SAME_PERSON"


def test_a_recalled_offset_lets_another_one_in_and_an_approved_one_is_told_once(offsets: Offsets):
    note = offsets.note()
    first = offsets.proposed(note)
    recall = pb.RecallCreditOffsetRequest(name=first.name, explanation="another payable", request_id=rid())
    call_as(offsets.stub.RecallCreditOffset, recall, offsets.unit.token("invoice_clerk"))

    done = offsets.approved(offsets.proposed(note))

    with psycopg.connect(offsets.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.CreditOffsetApproved' and key = %s",
            (done.credit_offset_id,),
        ).fetchone()
    assert told == (1,)
