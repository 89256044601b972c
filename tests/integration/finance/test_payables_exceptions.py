"""The queue of held invoices on PostgreSQL: owner, age, deadline, decision, history."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from kelola.finance.v1 import invoice_exception_pb2 as pb
from kelola.finance.v1 import invoice_exception_pb2_grpc, payables_pb2
from tests.integration.finance.books import Books, rid
from tests.integration.finance.funds import OFFICERS, Unit
from tests.integration.finance.purchase import Purchase

DUPLICATE = payables_pb2.INVOICE_HOLD_REASON_DUPLICATE
QUANTITY = payables_pb2.INVOICE_HOLD_REASON_QUANTITY
PRICE = payables_pb2.INVOICE_HOLD_REASON_PRICE
RELEASE, REJECT = pb.INVOICE_EXCEPTION_DECISION_RELEASE, pb.INVOICE_EXCEPTION_DECISION_REJECT
SECONDS_A_DAY = 86_400


class Queue:
    """The queue of one unit, through the public API."""

    def __init__(self, books: Books) -> None:
        self.unit = Unit(books)
        self.stub = invoice_exception_pb2_grpc.InvoiceExceptionServiceStub(books.service.channel)
        (self.line,) = self.unit.lines(20_000_000)

    @property
    def clerk(self) -> str:
        return str(self.unit.persons["invoice_clerk"])

    @property
    def approver(self) -> str:
        return str(self.unit.persons["budget_user"])

    def purchase(self, units: int = 100) -> Purchase:
        return Purchase(self.unit, self.line, units, 50_000).issued()

    def twins(self, number: str = "INV/2025-007") -> payables_pb2.Invoice:
        """The second of two invoices with one number: held as a duplicate."""
        purchase = self.purchase()
        purchase.accepted(90)
        purchase.invoiced(10, 50_000, number=number)
        return purchase.invoiced(20, 50_000, number=number)

    def list(self, by: str = "budget_user", **filters: Any) -> list[pb.InvoiceException]:
        request = pb.ListInvoiceExceptionsRequest(agency_id=str(self.unit.agency_id), **filters)
        return list(call_as(self.stub.ListInvoiceExceptions, request, self.unit.token(by)).invoice_exceptions)

    def of(self, invoice: payables_pb2.Invoice) -> pb.InvoiceException:
        (found,) = [one for one in self.list() if one.invoice_id == invoice.invoice_id]
        return found

    def assigned(self, one: pb.InvoiceException, owner: str, by: str = "budget_user") -> pb.InvoiceException:
        request = pb.AssignInvoiceExceptionRequest(name=one.name, owner_person_id=owner, request_id=rid())
        return call_as(self.stub.AssignInvoiceException, request, self.unit.token(by)).invoice_exception

    def decision(self, one: pb.InvoiceException, decision: int) -> pb.DecideInvoiceExceptionRequest:
        return pb.DecideInvoiceExceptionRequest(
            name=one.name, decision=decision, explanation="seen with the supplier", request_id=rid()
        )

    def decided(self, one: pb.InvoiceException, decision: int) -> pb.InvoiceException:
        request = self.decision(one, decision)
        token = self.unit.token("budget_user")
        return call_as(self.stub.DecideInvoiceException, request, token).invoice_exception

    def refused(self, one: pb.InvoiceException, decision: int, token: str = "") -> Refusal:
        request = self.decision(one, decision)
        return refused(self.stub.DecideInvoiceException, request, token or self.unit.token("budget_user"))

    def made_older(self, one: pb.InvoiceException, days: int) -> None:
        """Moved into the past, opening and deadline alike."""
        with psycopg.connect(self.unit.books.superuser_url, autocommit=True) as connection:
            connection.execute(
                "update invoice_exception set opened_at = opened_at - make_interval(days => %s),"
                " due_at = due_at - make_interval(days => %s) where invoice_exception_id = %s",
                (days, days, one.invoice_exception_id),
            )


@pytest.fixture
def queue(books: Books) -> Queue:
    return Queue(books)


def actions(one: pb.InvoiceException) -> list[str]:
    return [pb.InvoiceExceptionAction.Name(s.action).removeprefix("INVOICE_EXCEPTION_ACTION_") for s in one.steps]


def days_to_decide(one: pb.InvoiceException) -> float:
    return (one.due_time.ToDatetime() - one.open_time.ToDatetime()).total_seconds() / SECONDS_A_DAY


def test_a_held_invoice_opens_an_exception_whose_owner_and_deadline_are_the_packs(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)

    held = queue.of(purchase.invoiced(100, 50_000))
    twin = queue.of(queue.twins())

    assert list(held.reasons) == [QUANTITY]
    assert (held.owner_person_id, days_to_decide(held)) == (queue.clerk, 14)
    assert list(twin.reasons) == [DUPLICATE]
    assert (twin.owner_person_id, days_to_decide(twin)) == ("", 3)
    assert actions(held) == ["OPENED"]


def test_an_invoice_held_for_two_reasons_is_one_exception_with_the_shorter_deadline(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)

    held = queue.of(purchase.invoiced(100, 50_900))

    assert list(held.reasons) == [QUANTITY, PRICE]
    assert days_to_decide(held) == 7


def test_a_matched_invoice_is_no_exception(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)

    purchase.invoiced(90, 50_000)

    assert queue.list() == []


def test_a_receipt_that_puts_the_invoice_right_closes_its_exception(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)
    held = queue.of(purchase.invoiced(100, 50_000))

    purchase.accepted(10)

    (closed,) = queue.list()
    assert closed.invoice_exception_id == held.invoice_exception_id
    assert closed.outcome == pb.INVOICE_EXCEPTION_OUTCOME_RESOLVED
    assert (closed.closed_by_person_id, actions(closed)) == ("", ["OPENED", "CLOSED"])


def test_an_exception_is_taken_given_on_and_keeps_who_had_it(queue: Queue):
    one = queue.of(queue.twins())
    deputy = str(uuid4())

    queue.assigned(one, queue.approver)
    again = pb.AssignInvoiceExceptionRequest(name=one.name, owner_person_id=queue.approver, request_id=rid())
    twice = refused(queue.stub.AssignInvoiceException, again, queue.unit.token("budget_user"))
    given = queue.assigned(one, deputy, by="invoice_clerk")

    assert twice.reason == "INVOICE_EXCEPTION_ALREADY_OWNED"
    assert given.owner_person_id == deputy
    assert [step.owner_person_id for step in given.steps] == ["", queue.approver, deputy]
    assert [step.by_person_id for step in given.steps] == ["", queue.approver, queue.clerk]


def test_a_duplicate_is_released_by_its_owner_and_nobody_else(queue: Queue):
    twin = queue.twins()
    one = queue.of(twin)
    unowned = queue.refused(one, RELEASE)
    queue.assigned(one, queue.approver)

    released = queue.decided(one, RELEASE)

    assert unowned.reason == "INVOICE_EXCEPTION_NOT_OWNED"
    assert released.outcome == pb.INVOICE_EXCEPTION_OUTCOME_RELEASED
    assert released.closed_by_person_id == queue.approver
    assert released.steps[-1].explanation == "seen with the supplier"
    seen = call_as(
        queue.unit.payables.GetInvoice,
        payables_pb2.GetInvoiceRequest(name=twin.name),
        queue.unit.token("invoice_clerk"),
    )
    assert seen.status == payables_pb2.INVOICE_STATUS_MATCHED


def test_whoever_registered_the_invoice_decides_nothing_of_its_hold(queue: Queue):
    one = queue.of(queue.twins())
    queue.assigned(one, queue.clerk)
    same = queue.unit.books.token(
        [queue.unit.agency_id], OFFICERS["budget_user"], person_id=queue.unit.persons["invoice_clerk"]
    )

    assert queue.refused(one, RELEASE, same).reason == "SAME_PERSON"
    assert queue.refused(one, REJECT, same).reason == "SAME_PERSON"


def test_a_hold_of_figures_is_not_released_by_a_word_but_may_be_rejected(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)
    invoice = purchase.invoiced(100, 50_000)
    one = queue.of(invoice)
    queue.assigned(one, queue.approver)

    word = queue.refused(one, RELEASE)
    rejected = queue.decided(one, REJECT)

    assert word.reason == "HOLD_NOT_RELEASABLE"
    assert rejected.outcome == pb.INVOICE_EXCEPTION_OUTCOME_REJECTED
    assert purchase.seen(invoice).status == payables_pb2.INVOICE_STATUS_VOID
    assert queue.refused(one, REJECT).reason == "INVOICE_EXCEPTION_CLOSED"


def test_an_invoice_that_its_clerk_withdraws_leaves_the_queue(queue: Queue):
    twin = queue.twins()
    request = payables_pb2.VoidInvoiceRequest(name=twin.name, explanation="sent twice", request_id=rid())

    call_as(queue.unit.payables.VoidInvoice, request, queue.unit.token("invoice_clerk"))

    assert queue.of(twin).outcome == pb.INVOICE_EXCEPTION_OUTCOME_WITHDRAWN


def test_a_question_to_the_supplier_moves_the_deadline_and_is_the_owners_to_ask(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)
    one = queue.of(purchase.invoiced(100, 50_000))
    request = pb.AskSupplierRequest(name=one.name, explanation="where are ten units?", answer_days=30, request_id=rid())

    other = refused(queue.stub.AskSupplier, request, queue.unit.token("budget_user"))
    asked = call_as(queue.stub.AskSupplier, request, queue.unit.token("invoice_clerk")).invoice_exception

    assert other.reason == "INVOICE_EXCEPTION_NOT_OWNED"
    assert asked.supplier_ask_time.seconds > 0
    assert 29 < days_to_decide(asked) < 31
    assert actions(asked) == ["OPENED", "SUPPLIER_ASKED"]


def test_the_queue_is_asked_by_owner_reason_age_and_overdue(queue: Queue):
    purchase = queue.purchase()
    purchase.accepted(90)
    held = queue.of(purchase.invoiced(100, 50_000))
    twin = queue.of(queue.twins())
    queue.made_older(twin, 4)

    def ids(**filters: Any) -> set[str]:
        return {one.invoice_exception_id for one in queue.list(**filters)}

    both, late, mine = (
        {held.invoice_exception_id, twin.invoice_exception_id},
        {twin.invoice_exception_id},
        {held.invoice_exception_id},
    )
    assert ids() == both
    assert ids(overdue=True) == ids(age_days_min=4) == ids(unassigned=True) == ids(reason=DUPLICATE) == late
    assert ids(owner_person_id=queue.clerk) == ids(reason=QUANTITY) == mine
    assert ids(age_days_min=5) == set()
    (shown,) = queue.list(overdue=True)
    assert (shown.age_days, shown.overdue) == (4, True)


def test_a_page_of_the_queue_goes_on_where_the_one_before_ended(queue: Queue):
    first, second = queue.of(queue.twins("A/1")), queue.of(queue.twins("B/1"))
    request = pb.ListInvoiceExceptionsRequest(agency_id=str(queue.unit.agency_id), page_size=1)
    token = queue.unit.token("budget_user")

    page = call_as(queue.stub.ListInvoiceExceptions, request, token)
    request.page_token = page.next_page_token
    rest = call_as(queue.stub.ListInvoiceExceptions, request, token)

    seen = [one.invoice_exception_id for one in (*page.invoice_exceptions, *rest.invoice_exceptions)]
    assert seen == [first.invoice_exception_id, second.invoice_exception_id]
    assert rest.next_page_token == ""


def test_each_version_of_an_exception_is_told_once(queue: Queue):
    one = queue.of(queue.twins())
    queue.assigned(one, queue.approver)
    queue.decided(one, RELEASE)

    with psycopg.connect(queue.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select sequence from outbox where type = 'kelola.finance.v1.InvoiceExceptionChanged' and key = %s"
            " order by sequence",
            (one.invoice_exception_id,),
        ).fetchall()

    assert told == [(1,), (2,), (3,)]
