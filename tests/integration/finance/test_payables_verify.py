"""`verify` finds what a superuser breaks in the funds ledger and in payables, and nothing in sound books."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from kelola.finance.v1 import payables_pb2
from services.finance.budget import verify as budget_verify
from services.finance.payables import verify as payables_verify
from tests.integration.finance.books import Books
from tests.integration.finance.funds import Unit, an_item
from tests.integration.finance.purchase import STOCK, Purchase, stock_moved
from tests.integration.finance.test_payables_credit_notes import PRICE, Credits


@pytest.fixture(scope="module")
def lived(books: Books) -> dict[str, str]:
    """A unit that bought, paid and still holds something; ids by name."""
    unit = Unit(books)
    line, other = unit.lines(20_000_000, 1_000_000)
    unit.allotted()
    unit.did("ReserveFunds", [an_item(other, 300_000)])
    purchase = Purchase(unit, line, 10, 900_000, "0.11", STOCK).issued()
    purchase.accepted(6, stock_number=1)
    stock_moved(unit, 1, "RECEIPT", purchase.accepted_minor, item_id=purchase.item_id)
    paid = purchase.approved(purchase.invoiced(4, 900_000))
    owed = purchase.approved(purchase.invoiced(1, 900_000))
    order = unit.debited(unit.ordered([paid.payable_id]))
    credits = Credits(purchase)
    note = credits.approved(payables_pb2.Invoice(invoice_id=paid.source_document_id), PRICE, 1_110, net=1_000)
    assert unit.problems() == []
    return {
        "agency": str(unit.agency_id),
        "treasury": str(unit.treasury.agency_id),
        "line": line,
        "other": other,
        "order": order.payment_order_id,
        "request": order.payment_request_id,
        "owed": owed.payable_id,
        "note": note.credit_note_id,
        "order_line": purchase.line_id,
        "officer": str(unit.persons["budget_officer"]),
    }


BROKEN = {
    "a bucket without a movement": (
        "F4",
        "update budget_line set reserved_minor = reserved_minor + 1 where budget_line_id = :other",
    ),
    "authority without a movement": (
        "F4",
        "update budget_line set original_minor = original_minor + 1 where budget_line_id = :other",
    ),
    "a movement that is gone": ("F4", "delete from funds_movement where budget_line_id = :other and kind = 'RESERVE'"),
    "a document line that holds more than the line": (
        "F4",
        "update funds_position set reserved_minor = reserved_minor + 1, total_minor = total_minor + 1"
        " where budget_line_id = :other",
    ),
    "a schedule that is short": (
        "F4",
        "update funds_schedule set amount_minor = amount_minor - 1 where budget_line_id = :other",
    ),
    "more held than there is": (
        "F2",
        "alter table budget_line drop constraint ck_budget_line_available_not_negative;"
        " update budget_line set original_minor = 1 where budget_line_id = :other",
    ),
    "a request beyond the release": (
        "F3",
        "update allotment set amount_minor = 1 where budget_line_id = :line",
    ),
    "an expense that is owed to nobody": (
        "F5",
        "update journal_line set budget_line_id = null where budget_line_id = :line and credit_minor > 0"
        " and account_code like '2.1.06.%'",
    ),
    "a payment that was not realised": (
        "F6",
        "delete from journal_line where basis = 'BUDGET' and budget_line_id = :line",
    ),
    "received-not-invoiced of nothing": (
        "F5",
        "update purchase_order_line set cleared_minor = cleared_minor + 1 where purchase_order_line_id = :order_line",
    ),
    "a payable of another amount": (
        "F5",
        "update payable set amount_minor = amount_minor + 1 where payable_id = :owed",
    ),
    "a payable of another amount together with its part": (
        "F5",
        "update payable set amount_minor = amount_minor - 1 where payable_id = :owed;"
        " update payable_part set amount_minor = amount_minor - 1 where payable_id = :owed",
    ),
    "an order whose net is too high": (
        "I5",
        "update payment_order set net_minor = net_minor + 1, gross_minor = gross_minor + 1"
        " where payment_order_id = :order",
    ),
    "a credit note of another amount": (
        "I5",
        "update credit_note set total_minor = total_minor + 1 where credit_note_id = :note",
    ),
    "a refund that never came": (
        "I5",
        "update credit_note set status = 'REFUNDED', bank_reference = 'none' where credit_note_id = :note",
    ),
    "a credit note that its maker approved": (
        "I9",
        "alter table credit_note drop constraint ck_credit_note_maker_is_not_checker;"
        " update credit_note set approved_by_person_id = created_by_person_id where credit_note_id = :note",
    ),
    "a slip of another amount": (
        "I5",
        "update withholding_slip set amount_minor = amount_minor + 1 where payment_order_id = :order",
    ),
    "stock of another value": (
        "I7",
        "update stock_posting set value_minor = value_minor + 1 where agency_id = :agency",
    ),
    "a checker who was the maker": (
        "I9",
        "alter table payment_request drop constraint ck_payment_request_verifier_is_not_requester;"
        " update payment_request set verified_by_person_id = requested_by_person_id"
        " where payment_request_id = :request",
    ),
    "an issuer who requested": (
        "I9",
        "update payment_order set issued_by_person_id = (select requested_by_person_id from payment_request"
        " where payment_request_id = :request) where payment_order_id = :order",
    ),
    "an importer who activated": (
        "I9",
        "update appropriation set activated_by_person_id = :officer where agency_id = :agency",
    ),
    "a number that is missing": (
        "I10",
        "update number_queue set number = 7 where entity_id = :treasury and kind = 'PAYMENT_ORDER'",
    ),
    "a number that was never given": (
        "I10",
        "update number_series set last_number = last_number + 1 where entity_id = :treasury",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_verify_finds_what_was_broken(books: Books, lived: dict[str, str], what: str):
    invariant, statements = BROKEN[what]
    engine = create_engine(sqlalchemy_url(books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        for statement in statements.split(";"):
            names = {name: value for name, value in lived.items() if f":{name}" in statement}
            connection.execute(text(statement), names)
        found = [*budget_verify.problems(connection), *payables_verify.problems(connection)]
        connection.rollback()

    assert invariant in {problem.invariant for problem in found}, found
