"""The payment chain on PostgreSQL: five papers, separated persons, releases to date, the bank's answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import payables_events_pb2, payables_pb2
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import OFFICERS, Unit, a_statement
from tests.integration.finance.purchase import Purchase, rupiah_of


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def owed(unit: Unit, line: str, units: int = 10, price: int = 100_000) -> payables_pb2.Payable:
    """An approved invoice's payable."""
    purchase = Purchase(unit, line, units, price).issued()
    purchase.accepted(units)
    return purchase.approved(purchase.invoiced(units, price))


@pytest.fixture
def payable(unit: Unit) -> payables_pb2.Payable:
    (line,) = unit.lines(5_000_000)
    unit.allotted()
    return owed(unit, line)


def verified(unit: Unit, name: str) -> payables_pb2.VerifyPaymentRequestRequest:
    return payables_pb2.VerifyPaymentRequestRequest(name=name, request_id=rid())


def authorised(unit: Unit, name: str) -> payables_pb2.AuthorisePaymentRequestRequest:
    return payables_pb2.AuthorisePaymentRequestRequest(
        name=name, request_id=rid(), statement_of_responsibility=a_statement()
    )


def events(books: Books, key: str) -> list[str]:
    with psycopg.connect(books.superuser_url) as connection:
        rows = connection.execute("select type from outbox where key = %s order by id", (key,)).fetchall()
    return [row[0].rpartition(".")[2] for row in rows]


def test_every_step_of_the_chain_is_another_persons(unit: Unit, payable: payables_pb2.Payable):
    request = unit.requested([payable.payable_id])
    requester = unit.persons["expenditure_treasurer"]
    everybody = [*OFFICERS.values()]

    def as_(person: str) -> str:
        return unit.books.token([unit.agency_id, unit.treasury.agency_id], *everybody, person_id=unit.persons[person])

    stub = unit.payables
    by_requester = refused(stub.VerifyPaymentRequest, verified(unit, request.name), as_("expenditure_treasurer"))
    call_as(stub.VerifyPaymentRequest, verified(unit, request.name), unit.token("verifier"))
    by_verifier = refused(stub.AuthorisePaymentRequest, authorised(unit, request.name), as_("verifier"))
    call_as(stub.AuthorisePaymentRequest, authorised(unit, request.name), unit.token("budget_user"))
    by_authoriser = refused(stub.IssuePaymentOrder, unit.issue(request.name), as_("budget_user"))
    by_first = refused(stub.IssuePaymentOrder, unit.issue(request.name), as_("expenditure_treasurer"))

    assert requester != unit.persons["verifier"]
    assert {one.reason for one in (by_requester, by_verifier, by_authoriser, by_first)} == {"SAME_PERSON"}


def test_steps_out_of_turn_are_refused(unit: Unit, payable: payables_pb2.Payable):
    request = unit.requested([payable.payable_id])

    unverified = refused(
        unit.payables.AuthorisePaymentRequest, authorised(unit, request.name), unit.token("budget_user")
    )
    unauthorised = refused(unit.payables.IssuePaymentOrder, unit.issue(request.name), unit.token("treasurer"))

    assert (unverified.reason, unauthorised.reason) == ("OUT_OF_TURN", "OUT_OF_TURN")


def test_a_treasurer_needs_the_permission_in_the_treasury_too(unit: Unit, payable: payables_pb2.Payable):
    request = unit.requested([payable.payable_id])
    only_here = unit.books.token([unit.agency_id], OFFICERS["treasurer"])

    refusal_ = refused(unit.payables.IssuePaymentOrder, unit.issue(request.name), only_here)

    assert refusal_.code is grpc.StatusCode.PERMISSION_DENIED


def test_f3_a_request_beyond_the_releases_to_date_is_short_by_100(unit: Unit):
    (line,) = unit.lines(1_200_000)
    unit.allotted("0.25", (1, 3))
    months = [owed(unit, line, 1, 100_000) for _ in range(4)]
    for month, payable in enumerate(months[:3], start=1):
        unit.requested([payable.payable_id], date(YEAR, month, 10))

    april = refused(
        unit.payables.CreatePaymentRequest,
        unit.payment_request([months[3].payable_id], date(YEAR, 4, 10)),
        unit.token("expenditure_treasurer"),
    )
    unit.allotted("0.5", (4, 6))
    unit.requested([months[3].payable_id], date(YEAR, 4, 10))

    assert april.reason == "ALLOTMENT_EXCEEDED"
    assert april.metadata["short_by"] == "IDR 100 000"
    assert april.metadata["requested"] == "IDR 300 000"
    assert unit.problems() == []


def test_a_payable_is_held_by_one_request_even_when_two_come_at_once(unit: Unit, payable: payables_pb2.Payable):
    token = unit.token("expenditure_treasurer")

    def ask(_: int) -> str:
        try:
            call_as(unit.payables.CreatePaymentRequest, unit.payment_request([payable.payable_id]), token)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "DONE"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(8)))

    assert outcomes.count("DONE") == 1
    assert outcomes.count("PAYABLE_NOT_OPEN") == 7


def test_a_withdrawn_request_frees_its_payables_and_its_share_of_the_release(unit: Unit):
    (line,) = unit.lines(1_000_000)
    unit.allotted()
    payable = owed(unit, line)
    request = unit.requested([payable.payable_id])
    withdraw = payables_pb2.WithdrawPaymentRequestRequest(
        name=request.name, explanation="papers are incomplete", request_id=rid()
    )

    withdrawn = call_as(unit.payables.WithdrawPaymentRequest, withdraw, unit.token("expenditure_treasurer"))
    again = unit.requested([payable.payable_id])

    assert withdrawn.payment_request.status == payables_pb2.PAYMENT_REQUEST_STATUS_WITHDRAWN
    assert again.payable_ids == [payable.payable_id]
    assert unit.problems() == []


def test_payables_of_two_suppliers_are_not_paid_by_one_request(unit: Unit):
    (line,) = unit.lines(5_000_000)
    unit.allotted()

    refusal_ = refused(
        unit.payables.CreatePaymentRequest,
        unit.payment_request([owed(unit, line).payable_id, owed(unit, line, 5).payable_id]),
        unit.token("expenditure_treasurer"),
    )

    assert refusal_.reason == "PAYABLES_DO_NOT_BELONG_TOGETHER"


def test_the_banks_answer_is_a_fact_that_may_come_twice(unit: Unit, payable: payables_pb2.Payable):
    order = unit.ordered([payable.payable_id])

    first = unit.debited(order)
    again = unit.debited(order)
    other_reference = refused(
        unit.payables.RecordBankDebit, unit.debit(order, bank_reference="OTHER"), unit.token("treasurer")
    )
    rejected_after = refused(unit.payables.RejectPaymentOrder, unit.rejection(order), unit.token("treasurer"))

    assert first == again
    assert first.status == payables_pb2.PAYMENT_ORDER_STATUS_DEBITED
    assert (other_reference.reason, rejected_after.reason) == ("BANK_CONTRADICTION", "BANK_CONTRADICTION")
    assert events(unit.books, order.payment_order_id) == ["PaymentOrdered", "PaymentMade"]


def test_another_amount_than_the_net_is_not_taken_for_the_debit(unit: Unit, payable: payables_pb2.Payable):
    order = unit.ordered([payable.payable_id])

    refusal_ = refused(unit.payables.RecordBankDebit, unit.debit(order, amount=rupiah(1)), unit.token("treasurer"))

    assert refusal_.reason == "DEBIT_AMOUNT_MISMATCH"


def test_a_debit_before_the_order_is_refused(unit: Unit, payable: payables_pb2.Payable):
    order = unit.ordered([payable.payable_id])
    early = unit.debit(order, value_date=to_date(date(YEAR, 3, 19)))

    assert refused(unit.payables.RecordBankDebit, early, unit.token("treasurer")).code is (
        grpc.StatusCode.INVALID_ARGUMENT
    )


def test_a_rejected_order_opens_its_payables_again_and_its_number_stays_used(unit: Unit, payable: payables_pb2.Payable):
    order = unit.ordered([payable.payable_id])
    rejection = unit.rejection(order)
    token = unit.token("treasurer")

    call_as(unit.payables.RejectPaymentOrder, rejection, token)
    call_as(unit.payables.RejectPaymentOrder, unit.rejection(order), token)
    second = unit.ordered([payable.payable_id])

    assert unit.order(order.name).status == payables_pb2.PAYMENT_ORDER_STATUS_REJECTED
    assert [order.order_number, second.order_number] == ["00001/SP2D/2025", "00002/SP2D/2025"]
    assert unit.problems() == []


def test_payment_made_says_what_was_settled(unit: Unit):
    (line,) = unit.lines(5_000_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 100_000).issued()
    purchase.accepted(10)
    a = purchase.approved(purchase.invoiced(4, 100_000))
    b = purchase.approved(purchase.invoiced(6, 100_000))

    made = []
    for payable in (a, b):
        order = unit.debited(unit.ordered([payable.payable_id]))
        with psycopg.connect(unit.books.superuser_url) as connection:
            (body,) = connection.execute(
                "select body from outbox where key = %s and type = 'kelola.finance.v1.PaymentMade'",
                (order.payment_order_id,),
            ).fetchone()
        made.append(payables_events_pb2.PaymentMade.FromString(body))

    assert [event.items[0].source_settled for event in made] == [False, True]
    assert made[0].items[0].source_document_id == purchase.purchase_order_id
    assert made[0].items[0].source_kind == payables_events_pb2.PAYMENT_SOURCE_KIND_PURCHASE_ORDER
    assert rupiah_of(made[1].items[0].amount) == 600_000


def test_other_agencies_papers_are_not_found(unit: Unit, payable: payables_pb2.Payable, books: Books):
    request = unit.requested([payable.payable_id])
    stranger = Unit(books)

    refusal_ = refused(
        unit.payables.GetPaymentRequest,
        payables_pb2.GetPaymentRequestRequest(name=request.name),
        stranger.token("verifier"),
    )

    assert refusal_.code is grpc.StatusCode.NOT_FOUND
