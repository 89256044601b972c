"""Days of payments' steps, statements of responsibility, and what was accepted and not invoiced, on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from chassis.testing import call_as, refused
from chassis.wire import from_date, to_date
from kelola.finance.v1 import (
    document_status_pb2,
    document_status_pb2_grpc,
    payables_pb2,
    payment_clock_pb2,
    payment_clock_pb2_grpc,
    uninvoiced_receipt_pb2,
    uninvoiced_receipt_pb2_grpc,
)
from services.finance.payables.uninvoiced import entrypoints as uninvoiced
from services.finance.payables.uninvoiced.domain import AgeRule
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import Unit, a_statement
from tests.integration.finance.purchase import Purchase
from tests.integration.finance.test_payables_payments import owed

AUTHORISATION, ORDER = payment_clock_pb2.PAYMENT_STEP_AUTHORISATION, payment_clock_pb2.PAYMENT_STEP_ORDER
DONE, RETURNED = payment_clock_pb2.PAYMENT_STEP_OUTCOME_DONE, payment_clock_pb2.PAYMENT_STEP_OUTCOME_RETURNED
RUNNING = payment_clock_pb2.PAYMENT_STEP_OUTCOME_UNSPECIFIED
ACCEPTED = date(YEAR, 3, 12)


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


@pytest.fixture
def payable(unit: Unit) -> payables_pb2.Payable:
    (line,) = unit.lines(5_000_000)
    unit.allotted()
    return owed(unit, line)


def today() -> date:
    return datetime.now(UTC).date()


def clocks(unit: Unit, **filters: bool) -> list[payment_clock_pb2.PaymentClock]:
    stub = payment_clock_pb2_grpc.PaymentClockServiceStub(unit.books.service.channel)
    found: list[payment_clock_pb2.PaymentClock] = []
    request = payment_clock_pb2.ListPaymentClocksRequest(agency_id=str(unit.agency_id), page_size=1, **filters)
    while True:
        page = call_as(stub.ListPaymentClocks, request, unit.token("treasurer"))
        found += page.payment_clocks
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def read(unit: Unit, name: str) -> payables_pb2.PaymentRequest:
    request = payables_pb2.GetPaymentRequestRequest(name=name)
    return call_as(unit.payables.GetPaymentRequest, request, unit.token("verifier"))


def sent_back(name: str) -> payables_pb2.ReturnPaymentRequestRequest:
    return payables_pb2.ReturnPaymentRequestRequest(name=name, explanation="the receipt is missing", request_id=rid())


def verified(unit: Unit, payable_id: str) -> payables_pb2.PaymentRequest:
    request = unit.requested([payable_id])
    verify = payables_pb2.VerifyPaymentRequestRequest(name=request.name, request_id=rid())
    call_as(unit.payables.VerifyPaymentRequest, verify, unit.token("verifier"))
    return request


def authorise(
    name: str, statement: payables_pb2.StatementOfResponsibility | None
) -> payables_pb2.AuthorisePaymentRequestRequest:
    return payables_pb2.AuthorisePaymentRequestRequest(
        name=name, request_id=rid(), statement_of_responsibility=statement
    )


def test_each_step_has_its_last_day_and_the_documents_status_shows_it(unit: Unit, payable: payables_pb2.Payable):
    first = today()
    request = verified(unit, payable.payable_id)
    stub = document_status_pb2_grpc.DocumentStatusServiceStub(unit.books.service.channel)
    asked = document_status_pb2.GetDocumentStatusRequest(name=f"documentStatuses/{request.payment_request_id}")
    status = call_as(stub.GetDocumentStatus, asked, unit.token("verifier"))
    running = clocks(unit, running=True)
    call_as(unit.payables.AuthorisePaymentRequest, authorise(request.name, a_statement()), unit.token("budget_user"))
    authorised = read(unit, request.name)
    call_as(unit.payables.IssuePaymentOrder, unit.issue(request.name), unit.token("treasurer"))

    due = {from_date(one, "due_on") for one in (request.due_on, status.due_on, authorised.due_on)}
    assert due <= {first + timedelta(2), today() + timedelta(2)}
    assert [(one.step, one.outcome) for one in running] == [(AUTHORISATION, RUNNING)]
    assert {(one.step, one.outcome, one.days_late) for one in clocks(unit)} == {
        (AUTHORISATION, DONE, 0),
        (ORDER, DONE, 0),
    }
    assert not read(unit, request.name).HasField("due_on")
    assert clocks(unit, late=True) == clocks(unit, running=True) == []


def test_what_is_late_is_listed_stops_nothing_and_stays_on_record(unit: Unit, payable: payables_pb2.Payable):
    request = verified(unit, payable.payable_id)
    with psycopg.connect(unit.books.superuser_url) as connection:
        # The request came ten days ago.
        connection.execute(
            "update payment_clock set started_on = started_on - 10, due_on = due_on - 10,"
            " return_due_on = return_due_on - 10 where payment_request_id = %s",
            (request.payment_request_id,),
        )

    (waiting,) = clocks(unit, late=True)
    call_as(unit.payables.AuthorisePaymentRequest, authorise(request.name, a_statement()), unit.token("budget_user"))
    (done,) = clocks(unit, late=True)

    assert (waiting.step, waiting.outcome, waiting.days_late) == (AUTHORISATION, RUNNING, 8)
    assert (done.step, done.outcome, done.days_late) == (AUTHORISATION, DONE, 8)


def test_a_request_is_sent_back_by_another_person_and_made_anew(unit: Unit, payable: payables_pb2.Payable):
    request = unit.requested([payable.payable_id])
    everywhere = [unit.agency_id, unit.treasury.agency_id]
    maker = unit.books.token(everywhere, "finance.verifier", person_id=unit.persons["expenditure_treasurer"])

    by_maker = refused(unit.payables.ReturnPaymentRequest, sent_back(request.name), maker)
    answer = call_as(unit.payables.ReturnPaymentRequest, sent_back(request.name), unit.token("verifier"))
    unit.ordered([payable.payable_id])
    late = refused(unit.payables.ReturnPaymentRequest, sent_back(request.name), unit.token("treasurer"))

    assert by_maker.reason == "SAME_PERSON"
    assert answer.payment_request.status == payables_pb2.PAYMENT_REQUEST_STATUS_WITHDRAWN
    assert late.reason == "OUT_OF_TURN"
    assert sorted((one.step, one.outcome) for one in clocks(unit)) == [
        (AUTHORISATION, DONE),
        (AUTHORISATION, RETURNED),
        (ORDER, DONE),
    ]
    assert unit.problems() == []


def test_no_payment_is_authorised_or_ordered_without_the_statement(unit: Unit, payable: payables_pb2.Payable):
    request = verified(unit, payable.payable_id)
    stub, budget_user = unit.payables, unit.token("budget_user")

    without = refused(stub.AuthorisePaymentRequest, authorise(request.name, None), budget_user)
    early = a_statement(date(YEAR, 3, 19))
    too_early = refused(stub.AuthorisePaymentRequest, authorise(request.name, early), budget_user)
    call_as(stub.AuthorisePaymentRequest, authorise(request.name, a_statement()), budget_user)
    kept = read(unit, request.name).statement_of_responsibility
    with psycopg.connect(unit.books.superuser_url) as connection:
        # As a request looks that was authorised before statements were kept.
        connection.execute(
            "update payment_request set statement_signed_on = null, statement_sha256 = null"
            " where payment_request_id = %s",
            (request.payment_request_id,),
        )
    unordered = refused(stub.IssuePaymentOrder, unit.issue(request.name), unit.token("treasurer"))

    assert (without.reason, unordered.reason) == ("PAYMENT_STATEMENT_MISSING", "PAYMENT_STATEMENT_MISSING")
    assert without.metadata["legal_source"] == "PP 12/2019 art. 149"
    assert too_early.reason == "INVALID_ARGUMENT"
    assert (kept.signed_on, kept.sha256) == (to_date(date(YEAR, 3, 20)), a_statement().sha256)
    assert kept.person_id == str(unit.persons["budget_user"])


def uninvoiced_of(unit: Unit) -> list[uninvoiced_receipt_pb2.UninvoicedReceipt]:
    stub = uninvoiced_receipt_pb2_grpc.UninvoicedReceiptServiceStub(unit.books.service.channel)
    found: list[uninvoiced_receipt_pb2.UninvoicedReceipt] = []
    request = uninvoiced_receipt_pb2.ListUninvoicedReceiptsRequest(agency_id=str(unit.agency_id), page_size=1)
    while True:
        page = call_as(stub.ListUninvoicedReceipts, request, unit.token("invoice_clerk"))
        found += page.uninvoiced_receipts
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def test_what_is_accepted_and_not_invoiced_for_too_long_is_listed_with_its_owner(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    untouched = Purchase(unit, line, 10, 100_000).issued()
    untouched.accepted(4)
    part = Purchase(unit, line, 10, 100_000).issued()
    part.accepted(6)
    later = part.accepted_event(4)
    later.accepted_on.CopyFrom(to_date(ACCEPTED + timedelta(10)))
    part.take_in(later)
    part.approved(part.invoiced(6, 100_000))
    whole = Purchase(unit, line, 10, 100_000).issued()
    whole.accepted(10)
    whole.approved(whole.invoiced(10, 100_000))

    found = uninvoiced_of(unit)
    first_age = (today() - ACCEPTED).days
    monkeypatch.setattr(uninvoiced.pack, "rule", lambda _: AgeRule(first_age - 1, "finance.accountant"))
    older = uninvoiced_of(unit)
    monkeypatch.setattr(uninvoiced.pack, "rule", lambda _: AgeRule(first_age, "finance.accountant"))

    assert [(one.purchase_order_line_id, one.quantity.value, one.amount) for one in found] == [
        (untouched.line_id, "4", rupiah(400_000)),
        # The invoice used up the first acceptance.
        (part.line_id, "4", rupiah(400_000)),
    ]
    assert [from_date(one.accepted_on, "accepted_on") for one in found] == [ACCEPTED, ACCEPTED + timedelta(10)]
    assert (found[0].owner_role, found[0].age_days) == ("finance.invoice_clerk", first_age)
    assert from_date(found[0].due_on, "due_on") == ACCEPTED + timedelta(30)
    assert [one.purchase_order_line_id for one in older] == [untouched.line_id]
    assert uninvoiced_of(unit) == []
