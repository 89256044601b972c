"""Credit notes on PostgreSQL: before payment, after it, the refund, separated persons, stock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import grpc
import psycopg
import pytest

from chassis.testing import Refusal, call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, credit_note_pb2, credit_note_pb2_grpc, payables_pb2
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import OFFICERS, Unit, quantity
from tests.integration.finance.purchase import STOCK, Purchase, rupiah_of, stock_moved

RETURN, PRICE = credit_note_pb2.CREDIT_NOTE_KIND_RETURN, credit_note_pb2.CREDIT_NOTE_KIND_PRICE


class Credits:
    """Credit notes on the invoices of one purchase, through the public API."""

    def __init__(self, purchase: Purchase) -> None:
        self.purchase, self.unit = purchase, purchase.unit
        self.stub = credit_note_pb2_grpc.CreditNoteServiceStub(self.unit.books.service.channel)

    def request(
        self, invoice: payables_pb2.Invoice, kind: int, total: int, *, units: int = 0, net: int = 0, **values: Any
    ) -> credit_note_pb2.CreateCreditNoteRequest:
        line = credit_note_pb2.CreditNoteLine(purchase_order_line_id=self.purchase.line_id)
        if units:
            line.quantity.CopyFrom(quantity(units))
        if net:
            line.net.CopyFrom(self.purchase.money(net * 100))
        note = credit_note_pb2.CreditNote(
            **{
                "agency_id": str(self.unit.agency_id),
                "invoice_id": invoice.invoice_id,
                "credit_note_number": f"CN-{rid()[:8]}",
                "kind": kind,
                "credited_on": to_date(date(YEAR, 3, 16)),
                "lines": [line],
                "total": self.purchase.money(total * 100),
                **values,
            }
        )
        return credit_note_pb2.CreateCreditNoteRequest(credit_note=note, request_id=rid())

    def registered(self, *args: Any, **values: Any) -> credit_note_pb2.CreditNote:
        return call_as(self.stub.CreateCreditNote, self.request(*args, **values), self.unit.token("invoice_clerk"))

    def not_registered(self, *args: Any, **values: Any) -> Refusal:
        return refused(self.stub.CreateCreditNote, self.request(*args, **values), self.unit.token("invoice_clerk"))

    def approval(self, note: credit_note_pb2.CreditNote, **values: Any) -> credit_note_pb2.ApproveCreditNoteRequest:
        return credit_note_pb2.ApproveCreditNoteRequest(
            **{"name": note.name, "effective_on": to_date(date(YEAR, 3, 25)), "request_id": rid(), **values}
        )

    def approved(self, *args: Any, **values: Any) -> credit_note_pb2.CreditNote:
        note = self.registered(*args, **values)
        return call_as(self.stub.ApproveCreditNote, self.approval(note), self.unit.token("budget_user")).credit_note

    def refund(self, note: credit_note_pb2.CreditNote, **values: Any) -> credit_note_pb2.RecordCreditNoteRefundRequest:
        return credit_note_pb2.RecordCreditNoteRefundRequest(
            **{
                "name": note.name,
                "treasury_agency_id": str(self.unit.treasury.agency_id),
                "bank_reference": f"CR-{note.credit_note_id[:8]}",
                "refunded_on": to_date(date(YEAR, 4, 2)),
                "amount": note.total,
                "request_id": rid(),
                **values,
            }
        )

    def refunded(self, note: credit_note_pb2.CreditNote, **values: Any) -> credit_note_pb2.CreditNote:
        return call_as(
            self.stub.RecordCreditNoteRefund, self.refund(note, **values), self.unit.token("treasurer")
        ).credit_note

    def events(self, note: credit_note_pb2.CreditNote) -> list[str]:
        with psycopg.connect(self.unit.books.superuser_url) as connection:
            rows = connection.execute(
                "select type from outbox where key = %s order by id", (note.credit_note_id,)
            ).fetchall()
        return [row[0].rpartition(".")[2] for row in rows]

    def payable(self, payable: payables_pb2.Payable) -> payables_pb2.Payable:
        return call_as(
            self.unit.payables.GetPayable,
            payables_pb2.GetPayableRequest(name=payable.name),
            self.unit.token("expenditure_treasurer"),
        )


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def bought(unit: Unit, *, vat: str = "0", price: int = 50_000, **values: Any) -> tuple[Credits, Any, Any]:
    """10 at 50 000 ordered, accepted, invoiced at `price` and approved: the credits, the invoice, its payable."""
    (line,) = unit.lines(6_000_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 50_000, vat=vat, **values).issued()
    purchase.accepted(10, stock_number=1 if values.get("treatment") == STOCK else 0)
    invoice = purchase.invoiced(10, price)
    return Credits(purchase), invoice, purchase.approved(invoice)


def test_goods_that_went_back_before_payment_make_the_payable_smaller_and_free_their_funds(unit: Unit):
    credits, invoice, payable = bought(unit, vat="0.11")
    line = credits.purchase.budget_line_id
    before = unit.figures(line)

    note = credits.approved(invoice, RETURN, 111_000, units=2)

    assert note.status == credit_note_pb2.CREDIT_NOTE_STATUS_APPROVED
    assert rupiah_of(credits.payable(payable).amount) == 8 * 55_500
    after = unit.figures(line)
    assert (after[2] - before[2], after[-1] - before[-1]) == (-111_000, 111_000)
    assert credits.events(note) == ["CreditNoteApproved"]
    assert unit.problems() == []


def test_goods_that_come_again_keep_their_funds_obligated(unit: Unit):
    credits, invoice, _ = bought(unit)
    line = credits.purchase.budget_line_id
    before = unit.figures(line)

    credits.approved(invoice, RETURN, 100_000, units=2, replaced=True)

    after = unit.figures(line)
    assert (after[1] - before[1], after[2] - before[2], after[-1] - before[-1]) == (100_000, -100_000, 0)
    assert unit.problems() == []


def test_a_credit_of_the_price_is_a_variance_that_frees_funds(unit: Unit):
    credits, invoice, payable = bought(unit, vat="0.11")
    line = credits.purchase.budget_line_id
    before = unit.figures(line)

    credits.approved(invoice, PRICE, 55_500, net=50_000)

    assert rupiah_of(credits.payable(payable).amount) == 555_000 - 55_500
    after = unit.figures(line)
    assert (after[2] - before[2], after[-1] - before[-1]) == (-55_500, 55_500)
    assert unit.problems() == []


def test_returns_of_a_third_each_take_the_invoice_back_to_the_last_unit(unit: Unit):
    credits, invoice, payable = bought(unit, price=50_001)
    line = credits.purchase.budget_line_id

    for units, amount in ((3, 150_003), (3, 150_003), (4, 200_004)):
        credits.approved(invoice, RETURN, amount, units=units)

    assert credits.payable(payable).status == payables_pb2.PAYABLE_STATUS_CREDITED
    assert rupiah_of(credits.payable(payable).amount) == 0
    assert unit.figures(line)[1:] == (0, 0, 0, 0, 6_000_000)
    assert unit.problems() == []


def test_a_smaller_payable_is_paid_and_withheld_by_what_is_left(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 1_000_000, vat="0.11").issued()
    purchase.accepted(10)
    invoice = purchase.invoiced(10, 1_000_000)
    payable = purchase.approved(invoice)
    credits = Credits(purchase)

    credits.approved(invoice, RETURN, 2 * 1_110_000, units=2)
    order = unit.ordered([payable.payable_id])

    assert rupiah_of(order.gross) == 8 * 1_110_000
    assert {one.withholding_code: rupiah_of(one.amount) for one in order.withholdings} == {
        "VAT": 880_000,
        "PPH22": 120_000,
    }
    unit.debited(order)
    assert unit.problems() == []


@pytest.mark.parametrize("debited", [False, True])
def test_units_of_a_line_whose_price_is_credited_whole_go_back_with_others(unit: Unit, debited: bool):
    (line,) = unit.lines(6_000_000)
    unit.allotted()
    first = Purchase(unit, line, 10, 50_000).issued()
    second = Purchase(
        unit, line, 10, 50_000, purchase_order_id=first.purchase_order_id, supplier_id=first.supplier_id
    ).issued()
    first.accepted(10)
    second.accepted(10)
    request = first.invoice(10, 50_000, total=1_000_000)
    request.invoice.lines.append(second.invoice(10, 50_000).invoice.lines[0])
    invoice = call_as(unit.payables.CreateInvoice, request, unit.token("invoice_clerk"))
    payable, credits = first.approved(invoice), Credits(first)
    credits.approved(invoice, PRICE, 500_000, net=500_000)
    if debited:
        unit.debited(unit.ordered([payable.payable_id]))

    both = credits.request(invoice, RETURN, 100_000, units=2)
    line_of_second = credit_note_pb2.CreditNoteLine(purchase_order_line_id=second.line_id, quantity=quantity(2))
    both.credit_note.lines.append(line_of_second)
    note = call_as(credits.stub.CreateCreditNote, both, unit.token("invoice_clerk"))
    note = call_as(credits.stub.ApproveCreditNote, credits.approval(note), unit.token("budget_user")).credit_note
    if debited:
        credits.refunded(note)

    assert [rupiah_of(one.amount) for one in note.lines] == [0, 100_000]
    assert unit.figures(line)[4 if debited else 2] == 400_000
    assert unit.problems() == []


def paid(unit: Unit, **values: Any) -> tuple[Credits, Any, Any]:
    credits, invoice, payable = bought(unit, **values)
    unit.debited(unit.ordered([payable.payable_id]))
    return credits, invoice, payable


def test_a_credit_on_a_paid_invoice_is_owed_and_its_refund_makes_the_funds_available(unit: Unit):
    credits, invoice, _ = paid(unit)
    line = credits.purchase.budget_line_id
    before = unit.figures(line)
    cash = unit.treasury.balances()["1.1.01.01"]

    note = credits.approved(invoice, RETURN, 100_000, units=2)
    owed = unit.figures(line)
    receivable = unit.agency.balances()["1.1.09.90"]
    refunded = credits.refunded(note)

    assert note.status == credit_note_pb2.CREDIT_NOTE_STATUS_RECEIVABLE
    assert owed == before
    assert receivable == 100_000 * 100
    assert refunded.status == credit_note_pb2.CREDIT_NOTE_STATUS_REFUNDED
    after = unit.figures(line)
    assert (after[4] - before[4], after[-1] - before[-1]) == (-100_000, 100_000)
    assert unit.treasury.balances()["1.1.01.01"] - cash == 100_000 * 100
    assert unit.agency.balances().get("1.1.09.90", 0) == 0
    assert credits.events(note) == ["CreditNoteApproved", "ExpenditureRefunded"]
    assert unit.problems() == []


def test_a_refund_of_goods_that_come_again_is_obligated_anew(unit: Unit):
    credits, invoice, _ = paid(unit, price=50_400)
    line = credits.purchase.budget_line_id
    before = unit.figures(line)

    credits.refunded(credits.approved(invoice, RETURN, 100_800, units=2, replaced=True))

    after = unit.figures(line)
    # The order's price is bound again, what the invoice was above it is available.
    assert (after[1] - before[1], after[4] - before[4], after[-1] - before[-1]) == (100_000, -100_800, 800)
    assert unit.problems() == []


def test_a_refund_again_under_its_reference_changes_nothing_and_two_at_once_are_one(unit: Unit):
    credits, invoice, _ = paid(unit)
    note = credits.approved(invoice, PRICE, 5_000, net=5_000)
    token = unit.token("treasurer")

    with ThreadPoolExecutor(4) as pool:
        requests = [credits.refund(note) for _ in range(4)]
        answers = list(pool.map(lambda one: call_as(credits.stub.RecordCreditNoteRefund, one, token), requests))
    other = refused(credits.stub.RecordCreditNoteRefund, credits.refund(note, bank_reference="OTHER"), token)

    assert {answer.credit_note.etag for answer in answers} == {answers[0].credit_note.etag}
    assert credits.events(note) == ["CreditNoteApproved", "ExpenditureRefunded"]
    assert other.reason == "OUT_OF_TURN"
    assert unit.problems() == []


def test_a_refund_of_another_amount_or_to_another_treasury_is_refused(unit: Unit):
    credits, invoice, _ = paid(unit)
    note = credits.approved(invoice, PRICE, 5_000, net=5_000)
    token = unit.token("treasurer")

    short = refused(credits.stub.RecordCreditNoteRefund, credits.refund(note, amount=rupiah(4_999)), token)
    elsewhere = refused(
        credits.stub.RecordCreditNoteRefund, credits.refund(note, treasury_agency_id=str(unit.agency_id)), token
    )

    assert short.reason == "REFUND_AMOUNT_MISMATCH"
    assert "was paid by" in elsewhere.message
    assert unit.problems() == []


def test_a_refund_in_a_later_year_is_other_revenue_and_moves_no_funds(unit: Unit):
    credits, invoice, _ = paid(unit)
    note = credits.approved(invoice, PRICE, 5_000, net=5_000)
    line = credits.purchase.budget_line_id
    before = unit.figures(line)
    for agency in (unit.agency, unit.treasury):
        agency.open_year(YEAR + 1)

    refunded = credits.refunded(note, refunded_on=to_date(date(YEAR + 1, 1, 5)))

    assert refunded.earlier_year
    assert unit.figures(line) == before
    balances = unit.agency.balances(basis=account_pb2.BASIS_BUDGET, as_of=to_date(date(YEAR + 1, 1, 31)))
    assert balances["4.1.04.15"] == -5_000 * 100
    assert credits.events(note) == ["CreditNoteApproved", "PriorYearRefunded"]
    assert unit.problems() == []


def test_who_registered_a_credit_note_does_not_approve_it(unit: Unit):
    credits, invoice, _ = bought(unit)
    note = credits.registered(invoice, RETURN, 100_000, units=2)
    own = unit.books.token([unit.agency_id], OFFICERS["budget_user"], person_id=unit.persons["invoice_clerk"])

    assert refused(credits.stub.ApproveCreditNote, credits.approval(note), own).reason == "SAME_PERSON"


def test_a_credit_note_is_approved_once_whoever_comes_first(unit: Unit):
    credits, invoice, payable = bought(unit)
    note = credits.registered(invoice, RETURN, 100_000, units=2)
    token = unit.token("budget_user")

    def approve(request: credit_note_pb2.ApproveCreditNoteRequest) -> str:
        try:
            call_as(credits.stub.ApproveCreditNote, request, token)
        except grpc.RpcError as error:
            return refusal(error).reason
        return "approved"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(approve, [credits.approval(note) for _ in range(4)]))

    assert outcomes == ["OUT_OF_TURN"] * 3 + ["approved"]
    assert rupiah_of(credits.payable(payable).amount) == 400_000


def test_more_than_the_invoice_claims_is_refused_also_when_two_notes_cross(unit: Unit):
    credits, invoice, _ = bought(unit)

    beyond = credits.not_registered(invoice, RETURN, 550_000, units=11)
    wrong = credits.not_registered(invoice, RETURN, 100_001, units=2)
    first = credits.registered(invoice, RETURN, 300_000, units=6)
    second = credits.registered(invoice, RETURN, 300_000, units=6)
    call_as(credits.stub.ApproveCreditNote, credits.approval(first), unit.token("budget_user"))
    crossed = refused(credits.stub.ApproveCreditNote, credits.approval(second), unit.token("budget_user"))

    assert beyond.reason == "CREDIT_EXCEEDS_INVOICE"
    assert wrong.reason == "CREDIT_TOTAL_MISMATCH"
    assert crossed.reason == "CREDIT_EXCEEDS_INVOICE"
    assert unit.problems() == []


def test_a_credit_and_a_payment_request_at_once_leave_one_truth(books: Books):
    for _ in range(5):
        unit = Unit(books)
        credits, invoice, payable = bought(unit)
        note = credits.registered(invoice, RETURN, 100_000, units=2)
        approver, payer = unit.token("budget_user"), unit.token("expenditure_treasurer")

        def outcome(call: Any, request: Any, token: str) -> str:
            try:
                call_as(call, request, token)
            except grpc.RpcError as error:
                return refusal(error).reason
            return "done"

        with ThreadPoolExecutor(2) as pool:
            credited = pool.submit(outcome, credits.stub.ApproveCreditNote, credits.approval(note), approver)
            request = unit.payment_request([payable.payable_id])
            asked = pool.submit(outcome, unit.payables.CreatePaymentRequest, request, payer)

        assert asked.result() == "done"
        assert credited.result() in ("done", "INVOICE_NOT_CREDITABLE")
        left = 400_000 if credited.result() == "done" else 500_000
        assert rupiah_of(credits.payable(payable).amount) == left
    assert unit.problems() == []


def test_nothing_is_credited_while_a_payment_is_under_way_or_before_approval(unit: Unit):
    credits, invoice, payable = bought(unit)
    waiting = credits.purchase.invoiced(1, 50_000)
    early = credits.not_registered(waiting, PRICE, 100, net=100)
    note = credits.registered(invoice, PRICE, 100, net=100)

    unit.requested([payable.payable_id])
    held = refused(credits.stub.ApproveCreditNote, credits.approval(note), unit.token("budget_user"))

    assert early.reason == "INVOICE_NOT_CREDITABLE"
    assert held.reason == "INVOICE_NOT_CREDITABLE"
    assert "withdraw the payment request" in held.message


def test_a_creditors_number_is_registered_once_until_it_is_withdrawn(unit: Unit):
    credits, invoice, _ = bought(unit)
    note = credits.registered(invoice, PRICE, 100, net=100, credit_note_number="CN 7/A")

    twice = credits.not_registered(invoice, PRICE, 100, net=100, credit_note_number="cn-7a")
    withdrawn = call_as(
        credits.stub.WithdrawCreditNote,
        credit_note_pb2.WithdrawCreditNoteRequest(name=note.name, explanation="wrong price", request_id=rid()),
        unit.token("invoice_clerk"),
    ).credit_note
    again = credits.registered(invoice, PRICE, 100, net=100, credit_note_number="CN-7A")

    assert twice.reason == "CREDIT_NOTE_KNOWN"
    assert withdrawn.status == credit_note_pb2.CREDIT_NOTE_STATUS_WITHDRAWN
    assert again.status == credit_note_pb2.CREDIT_NOTE_STATUS_REGISTERED


def test_units_that_were_credited_may_be_invoiced_again(unit: Unit):
    credits, invoice, _ = bought(unit, treatment=STOCK)
    credits.approved(invoice, RETURN, 100_000, units=2)

    again = credits.purchase.invoiced(2, 50_000)
    payable = credits.purchase.approved(again)

    # Stock stays received and not invoiced until the stock ledger says that it left: so it can be claimed anew.
    assert rupiah_of(payable.amount) == 100_000
    assert unit.problems() == []


def test_a_price_credit_on_stock_waits_for_the_stock_ledger_and_is_matched_by_it(unit: Unit):
    credits, invoice, _ = bought(unit, treatment=STOCK)
    note = credits.approved(invoice, PRICE, 30_000, net=30_000)
    before = unit.problems()

    stock_moved(unit, 1, "RECEIPT", 50_000_000)
    line_id = credits.purchase.line_id
    stock_moved(unit, 2, "PRICE_VARIANCE", -3_000_000, invoice=_named(note.credit_note_id), order_line_id=line_id)

    assert before == []
    assert unit.problems() == []


def _named(document_id: str) -> payables_pb2.Invoice:
    return payables_pb2.Invoice(invoice_id=document_id)


def test_stock_of_a_paid_invoice_is_not_credited_before_it_left_the_stock_ledger(unit: Unit):
    credits, invoice, _ = paid(unit, treatment=STOCK)

    assert credits.not_registered(invoice, RETURN, 100_000, units=2).reason == "STOCK_NOT_RETURNED"
