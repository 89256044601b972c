"""Invoices on PostgreSQL: holds, waiting, duplicates, persons, events in any order."""

from __future__ import annotations

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refused
from kelola.finance.v1 import payables_pb2
from services.finance.payables import event_wire, receiving
from tests.integration.finance.books import Books, rid
from tests.integration.finance.funds import OFFICERS, Unit
from tests.integration.finance.purchase import (
    STOCK,
    Purchase,
    event_transaction,
    rupiah_of,
    stock_moved,
)

HELD = payables_pb2.INVOICE_STATUS_HELD
MATCHED = payables_pb2.INVOICE_STATUS_MATCHED
WAITING = payables_pb2.INVOICE_STATUS_WAITING_RECEIPT


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


@pytest.fixture
def purchase(unit: Unit) -> Purchase:
    """N9: 100 at 50 000 ordered."""
    (line,) = unit.lines(6_000_000)
    return Purchase(unit, line, 100, 50_000).issued()


def reasons(invoice: payables_pb2.Invoice) -> list[int]:
    return [hold.reason for hold in invoice.holds]


def test_n09_a_variance_within_tolerance_moves_funds_and_a_cumulative_excess_is_held(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    before = unit.figures(purchase.budget_line_id)

    first = purchase.invoiced(45, 50_500)
    payable = purchase.approved(first)
    second = purchase.invoiced(45, 50_800)

    assert rupiah_of(payable.amount) == 45 * 50_500
    assert rupiah_of(purchase.seen(first).lines[0].variance) == 22_500
    after = unit.figures(purchase.budget_line_id)
    assert (after[2] - before[2], after[-1] - before[-1]) == (22_500, -22_500)
    assert second.status == HELD
    assert reasons(second) == [payables_pb2.INVOICE_HOLD_REASON_PRICE]
    assert rupiah_of(second.holds[0].excess_amount) == 58_500


def test_n09_a_lower_price_gives_back_to_available(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    before = unit.figures(purchase.budget_line_id)[-1]

    purchase.approved(purchase.invoiced(90, 48_000))

    assert unit.figures(purchase.budget_line_id)[-1] - before == 180_000
    assert unit.problems() == []


def test_n09_another_currency_is_held(purchase: Purchase):
    purchase.accepted(90)

    invoice = purchase.invoiced(90, 50_000, currency="USD")

    assert reasons(invoice) == [payables_pb2.INVOICE_HOLD_REASON_CURRENCY_MISMATCH]


def test_an_invoice_before_the_receipt_waits_without_a_journal_and_is_matched_when_it_comes(
    unit: Unit, purchase: Purchase
):
    invoice = purchase.invoiced(90, 50_000)
    early = refused(unit.payables.ApproveInvoice, purchase.approval(invoice), unit.token("budget_user"))

    purchase.accepted(90)

    assert invoice.status == WAITING
    assert early.reason == "INVOICE_NOT_MATCHED"
    assert purchase.seen(invoice).status == MATCHED


def test_an_invoice_held_for_quantity_is_matched_when_the_rest_is_accepted(purchase: Purchase):
    purchase.accepted(90)
    invoice = purchase.invoiced(100, 50_000)

    purchase.accepted(10)

    assert invoice.status == HELD
    seen = purchase.seen(invoice)
    assert (seen.status, list(seen.holds)) == (MATCHED, [])


def test_held_invoices_are_published_with_their_reasons(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    invoice = purchase.invoiced(100, 50_900)

    with psycopg.connect(unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.InvoiceHeld' and key = %s",
            (invoice.invoice_id,),
        ).fetchone()

    assert reasons(invoice) == [
        payables_pb2.INVOICE_HOLD_REASON_QUANTITY,
        payables_pb2.INVOICE_HOLD_REASON_PRICE,
    ]
    assert told == (1,)


def test_a_duplicate_number_is_held_until_another_person_says_that_it_is_none(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    purchase.invoiced(10, 50_000, number="INV/2025-007")
    twin = purchase.invoiced(20, 50_000, number="inv 2025.007")
    request = payables_pb2.ReleaseInvoiceHoldRequest(
        name=twin.name, explanation="the supplier numbered two deliveries alike", request_id=rid()
    )
    maker = unit.books.token([unit.agency_id], OFFICERS["budget_user"], person_id=unit.persons["invoice_clerk"])

    by_the_maker = refused(unit.payables.ReleaseInvoiceHold, request, maker)
    request.request_id = rid()
    released = call_as(unit.payables.ReleaseInvoiceHold, request, unit.token("budget_user")).invoice

    assert reasons(twin) == [payables_pb2.INVOICE_HOLD_REASON_DUPLICATE]
    assert by_the_maker.reason == "SAME_PERSON"
    assert released.status == MATCHED


def test_whoever_registered_an_invoice_does_not_approve_it(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    invoice = purchase.invoiced(90, 50_000)
    same = unit.books.token([unit.agency_id], OFFICERS["budget_user"], person_id=unit.persons["invoice_clerk"])

    assert refused(unit.payables.ApproveInvoice, purchase.approval(invoice), same).reason == "SAME_PERSON"


def test_an_invoice_is_approved_once_and_a_stale_etag_is_aborted(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    invoice = purchase.invoiced(90, 50_000)
    token = unit.token("budget_user")

    stale = refused(unit.payables.ApproveInvoice, purchase.approval(invoice, etag="99"), token)
    request = purchase.approval(invoice, etag=invoice.etag)
    first = call_as(unit.payables.ApproveInvoice, request, token)
    repeated = call_as(unit.payables.ApproveInvoice, request, token)
    again = refused(unit.payables.ApproveInvoice, purchase.approval(invoice), token)

    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert repeated == first
    assert again.reason == "OUT_OF_TURN"


def test_a_variance_that_the_line_cannot_bear_is_refused_with_the_figures(unit: Unit):
    (line,) = unit.lines(5_000_000)
    purchase = Purchase(unit, line, 100, 50_000).issued()
    purchase.accepted(100)
    invoice = purchase.invoiced(100, 50_100)

    refusal = refused(unit.payables.ApproveInvoice, purchase.approval(invoice), unit.token("budget_user"))

    assert invoice.status == MATCHED
    assert (refusal.reason, refusal.metadata["short_by"]) == ("BUDGET_EXCEEDED", "10000")
    assert purchase.seen(invoice).status == MATCHED


def test_an_approved_invoice_cannot_be_withdrawn(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    invoice = purchase.invoiced(90, 50_000)
    purchase.approved(invoice)
    void = payables_pb2.VoidInvoiceRequest(name=invoice.name, explanation="wrong", request_id=rid())

    assert refused(unit.payables.VoidInvoice, void, unit.token("invoice_clerk")).reason == "OUT_OF_TURN"


def test_an_invoice_on_an_order_that_is_not_known_is_not_found(unit: Unit):
    (line,) = unit.lines(6_000_000)
    unknown = Purchase(unit, line, 100, 50_000)

    refusal = refused(unit.payables.CreateInvoice, unknown.invoice(1, 1), unit.token("invoice_clerk"))

    assert refusal.code is grpc.StatusCode.NOT_FOUND


def test_an_acceptance_may_come_before_its_order_and_twice_and_has_one_effect(unit: Unit):
    (line,) = unit.lines(6_000_000)
    purchase = Purchase(unit, line, 100, 50_000).obligated()

    event = purchase.accepted(90)
    purchase.take_in(event)
    with event_transaction(unit) as session:
        receiving.register_order(session, event_wire.order(purchase.issued_event()))
    invoice = purchase.invoiced(90, 50_000)

    assert unit.figures(line) == (0, 500_000, 4_500_000, 0, 0, 1_000_000)
    assert unit.agency.balances() == {"8.1.02.01": 4_500_000_00, "2.1.06.90": -4_500_000_00}
    assert invoice.status == MATCHED


def test_stock_movements_are_posted_in_the_order_of_their_numbers(unit: Unit):
    (line,) = unit.lines(6_000_000)
    purchase = Purchase(unit, line, 100, 50_000, treatment=STOCK).issued()
    purchase.accepted(10, stock_number=1)
    stock_moved(unit, 1, "RECEIPT", 500_000_00, item_id=purchase.item_id)

    with pytest.raises(receiving.StockNumberGap):
        stock_moved(unit, 3, "ISSUE", -100_00, item_id=purchase.item_id)
    stock_moved(unit, 2, "ISSUE", -100_000_00, item_id=purchase.item_id)
    stock_moved(unit, 2, "ISSUE", -100_000_00, item_id=purchase.item_id)

    assert unit.agency.balances()["1.1.12"] == 400_000_00
    assert unit.problems() == []


def test_a_receipt_that_is_accrued_late_moves_the_cut_when_it_comes(unit: Unit):
    (line,) = unit.lines(6_000_000)
    purchase = Purchase(unit, line, 100, 50_000, treatment=STOCK).issued()

    def cut() -> tuple[int, int]:
        control = call_as(
            unit.payables.GetStockControl,
            payables_pb2.GetStockControlRequest(agency_id=str(unit.agency_id)),
            unit.token("invoice_clerk"),
        )
        return control.stock_movement_number, rupiah_of(control.balance)

    # Logistics' stock topic is ahead: receipt 1 has not been accrued, a count found goods worth 7 000.
    stock_moved(unit, 1, "RECEIPT", 500_000_00, item_id=purchase.item_id)
    stock_moved(unit, 2, "COUNT_GAIN", 7_000_00, item_id=purchase.item_id)
    ahead = cut()
    purchase.accepted(10, stock_number=1)

    assert ahead == (0, 0)
    assert cut() == (2, 507_000)


def test_lists_narrow_by_state_and_page(unit: Unit, purchase: Purchase):
    purchase.accepted(90)
    made = [purchase.invoiced(1, 50_000 + nth) for nth in range(3)]
    purchase.invoiced(90, 50_000)
    token = unit.token("invoice_clerk")

    seen, request = (
        [],
        payables_pb2.ListInvoicesRequest(agency_id=str(unit.agency_id), status=MATCHED, page_size=2),
    )
    while True:
        page = call_as(unit.payables.ListInvoices, request, token)
        seen += [invoice.name for invoice in page.invoices]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert seen == [invoice.name for invoice in reversed(made)]
