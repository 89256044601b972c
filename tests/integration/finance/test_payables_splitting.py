"""Splitting held invoices on PostgreSQL: the matched part goes on, the rest stays held."""

from __future__ import annotations

import psycopg
import pytest

from chassis.testing import call_as, refused
from kelola.finance.v1 import payables_pb2
from tests.integration.finance.books import Books, rid
from tests.integration.finance.funds import OFFICERS, Unit
from tests.integration.finance.purchase import Purchase, rupiah_of


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


@pytest.fixture
def purchase(unit: Unit) -> Purchase:
    """N9: 100 at 50 000 ordered, 90 accepted."""
    (line,) = unit.lines(6_000_000)
    unit.allotted()
    made = Purchase(unit, line, 100, 50_000).issued()
    made.accepted(90)
    return made


def splitting(invoice: payables_pb2.Invoice) -> payables_pb2.SplitInvoiceRequest:
    return payables_pb2.SplitInvoiceRequest(name=invoice.name, explanation="ten are missing", request_id=rid())


def test_n09_the_matched_part_is_approved_and_paid_and_the_rest_when_its_goods_come(unit: Unit, purchase: Purchase):
    invoice = purchase.invoiced(100, 50_000)

    reply = call_as(unit.payables.SplitInvoice, splitting(invoice), unit.token("budget_user"))

    assert (reply.matched.status, reply.rest.status) == (
        payables_pb2.INVOICE_STATUS_MATCHED,
        payables_pb2.INVOICE_STATUS_HELD,
    )
    assert (rupiah_of(reply.matched.total), rupiah_of(reply.rest.total)) == (4_500_000, 500_000)
    assert reply.matched.supplier_invoice_number == invoice.supplier_invoice_number
    assert reply.matched.split_from_invoice_id == invoice.invoice_id
    payable = purchase.approved(reply.matched)
    unit.debited(unit.ordered([payable.payable_id]))
    purchase.accepted(10)
    assert purchase.seen(reply.rest).status == payables_pb2.INVOICE_STATUS_MATCHED
    purchase.approved(purchase.seen(reply.rest))
    assert unit.problems() == []


def test_a_split_is_told_once_with_both_parts(unit: Unit, purchase: Purchase):
    invoice = purchase.invoiced(100, 50_000)
    request = splitting(invoice)

    first = call_as(unit.payables.SplitInvoice, request, unit.token("budget_user"))
    again = call_as(unit.payables.SplitInvoice, request, unit.token("budget_user"))

    with psycopg.connect(unit.books.superuser_url) as connection:
        told = connection.execute(
            "select type from outbox where key = %s order by id", (first.matched.invoice_id,)
        ).fetchall()
    assert again == first
    assert told == [("kelola.finance.v1.InvoiceSplit",)]


def test_who_registered_an_invoice_neither_splits_it_nor_approves_its_part(unit: Unit, purchase: Purchase):
    invoice = purchase.invoiced(100, 50_000)
    own = unit.books.token([unit.agency_id], OFFICERS["budget_user"], person_id=unit.persons["invoice_clerk"])

    split = refused(unit.payables.SplitInvoice, splitting(invoice), own)
    part = call_as(unit.payables.SplitInvoice, splitting(invoice), unit.token("budget_user")).matched
    approve = refused(unit.payables.ApproveInvoice, purchase.approval(part), own)

    assert (split.reason, approve.reason) == ("SAME_PERSON", "SAME_PERSON")


def test_what_cannot_be_split_says_why(unit: Unit, purchase: Purchase):
    dear = purchase.invoiced(90, 50_900)
    token = unit.token("budget_user")
    price = refused(unit.payables.SplitInvoice, splitting(dear), token)
    call_as(
        unit.payables.VoidInvoice,
        payables_pb2.VoidInvoiceRequest(name=dear.name, explanation="too dear", request_id=rid()),
        unit.token("invoice_clerk"),
    )
    total = refused(unit.payables.SplitInvoice, splitting(purchase.invoiced(90, 50_000, total=4_600_000)), token)
    right = purchase.invoiced(80, 50_000)
    matched = refused(unit.payables.SplitInvoice, splitting(right), token)

    assert {one.reason for one in (price, total, matched)} == {"INVOICE_NOT_SPLITTABLE"}
    assert "TOTAL" in total.message
    assert "MATCHED" in matched.message
