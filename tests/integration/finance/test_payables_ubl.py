"""Suppliers' XML on PostgreSQL: it becomes an invoice or a credit note like any other, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    billing_pb2,
    credit_note_pb2,
    credit_note_pb2_grpc,
    invoice_document_pb2,
    invoice_document_pb2_grpc,
    payables_pb2,
)
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit
from tests.integration.finance.purchase import Purchase, rupiah_of
from tests.integration.finance.test_payables_credit_notes import Credits
from tests.integration.finance.works import Contract
from tests.unit.finance.ubl_samples import Adjusted, BilledLine, document


class Inbox:
    """The documents that come for one purchase."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        channel = unit.books.service.channel
        self.stub = invoice_document_pb2_grpc.InvoiceDocumentServiceStub(channel)
        self.credit_notes = credit_note_pb2_grpc.CreditNoteServiceStub(channel)
        self.clerk = unit.token("invoice_clerk")

    def request(self, text: str | bytes, **values: Any) -> invoice_document_pb2.ImportInvoiceDocumentRequest:
        return invoice_document_pb2.ImportInvoiceDocumentRequest(
            **{
                "agency_id": str(self.unit.agency_id),
                "content": text.encode() if isinstance(text, str) else text,
                "received_on": to_date(date(YEAR, 3, 14)),
                "request_id": rid(),
                **values,
            }
        )

    def taken(self, text: str, **values: Any) -> invoice_document_pb2.ImportInvoiceDocumentResponse:
        return call_as(self.stub.ImportInvoiceDocument, self.request(text, **values), self.clerk)

    def refused(self, text: str | bytes, **values: Any) -> Refusal:
        return refused(self.stub.ImportInvoiceDocument, self.request(text, **values), self.clerk)

    def invoice(self, taken: invoice_document_pb2.ImportInvoiceDocumentResponse) -> payables_pb2.Invoice:
        return self.invoice_named(f"invoices/{taken.invoice_document.invoice_id}")

    def invoice_named(self, name: str) -> payables_pb2.Invoice:
        return call_as(self.unit.payables.GetInvoice, payables_pb2.GetInvoiceRequest(name=name), self.clerk)


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


@pytest.fixture
def purchase(unit: Unit) -> Purchase:
    """10 at 1 000 000 + 11 % ordered and accepted."""
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    made = Purchase(unit, line, 10, 1_000_000, vat="0.11").issued()
    made.accepted(10)
    return made


def billed(purchase: Purchase, units: int = 10, price: int = 1_000_000, **values: Any) -> str:
    line = BilledLine(str(units), str(price), "1")
    return document([line], **{"order": purchase.number, "seller": purchase.supplier_id, **values})


def test_a_document_becomes_a_matched_invoice_and_is_approved_and_paid(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)

    invoice = inbox.invoice(inbox.taken(billed(purchase)))
    order = unit.ordered([purchase.approved(invoice).payable_id])

    assert (invoice.status, invoice.supplier_invoice_number) == (payables_pb2.INVOICE_STATUS_MATCHED, "INV-2025-001")
    assert rupiah_of(invoice.total) == 11_100_000
    # N12: VAT whole, income tax 1.5 % of the net.
    assert rupiah_of(order.net) == 9_850_000
    unit.debited(order)
    assert unit.problems() == []


def test_the_same_document_again_is_the_same_invoice_also_at_the_same_instant(unit: Unit, purchase: Purchase):
    inbox, text = Inbox(unit), billed(purchase)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: inbox.taken(text), range(4)))

    assert len({one.invoice_document.invoice_id for one in answers}) == 1
    assert sorted(one.already_imported for one in answers) == [False, True, True, True]
    listed = call_as(
        inbox.stub.ListInvoiceDocuments,
        invoice_document_pb2.ListInvoiceDocumentsRequest(agency_id=str(unit.agency_id)),
        inbox.clerk,
    )
    assert len(listed.invoice_documents) == 1
    kept = call_as(
        inbox.stub.GetInvoiceDocument,
        invoice_document_pb2.GetInvoiceDocumentRequest(name=listed.invoice_documents[0].name),
        inbox.clerk,
    )
    assert kept.content == text.encode()


def test_another_document_under_the_same_number_is_held_as_a_duplicate(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    inbox.taken(billed(purchase, units=4))

    second = inbox.invoice(inbox.taken(billed(purchase, units=3)))

    assert [hold.reason for hold in second.holds] == [payables_pb2.INVOICE_HOLD_REASON_DUPLICATE]


def test_what_the_order_does_not_bear_is_held_like_a_clerks_invoice(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)

    invoice = inbox.invoice(inbox.taken(billed(purchase, price=1_020_000)))

    assert [hold.reason for hold in invoice.holds] == [payables_pb2.INVOICE_HOLD_REASON_PRICE]


def test_lines_of_one_order_line_are_added_up(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    lines = [BilledLine("4", "1000000", purchase.line_id), BilledLine("600", "100000000", "1", base="100")]

    invoice = inbox.invoice(inbox.taken(document(lines, order=purchase.number)))

    assert len(invoice.lines) == 1
    assert invoice.status == payables_pb2.INVOICE_STATUS_HELD
    assert rupiah_of(invoice.total) == 604 * 1_000_000 * 111 // 100


def test_each_mismatch_names_its_term(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    cases = {
        "BT-13": billed(purchase, order="PO/none"),
        "BT-29": billed(purchase, seller=str(uuid4())),
        "BT-132": document([BilledLine("1", "1000000", "2")], order=purchase.number),
        "BT-115": billed(purchase).replace('PayableAmount currencyID="IDR">', 'PayableAmount currencyID="IDR">1'),
        "BT-25": billed(purchase, credit=True, invoice="INV-none"),
    }

    for term, text in cases.items():
        refusal = inbox.refused(text)
        assert (refusal.reason, refusal.metadata["terms"]) == ("UBL_MISMATCH", term)
    other = inbox.refused(billed(purchase), purchase_order_id=str(uuid4()))
    assert other.metadata["terms"] == "BT-13"


def test_allowances_and_freight_are_shared_over_the_lines_and_are_a_part_of_the_price(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    line = BilledLine("10", "1000000", "1", adjusted=(Adjusted("30000", percent="0.3", base="10000000"),))
    cheaper = document([line], order=purchase.number, adjusted=[Adjusted("100000"), Adjusted("20000.01", charge=True)])

    invoice = inbox.invoice(inbox.taken(cheaper))
    payable = purchase.approved(invoice)

    (kept,) = invoice.lines
    # 10 000 000 less 30 000 on the line, less 100 000 and with 20 000.01 freight of the document.
    assert (invoice.status, minor(kept.adjustment)) == (payables_pb2.INVOICE_STATUS_MATCHED, -109_999_99)
    assert minor(payable.amount) == minor(invoice.total) == 989_000_001 + 108_790_000
    (approved,) = inbox.invoice_named(invoice.name).lines
    assert minor(approved.variance) == minor(invoice.total) - 1_110_000_000
    unit.debited(unit.ordered([payable.payable_id]))
    assert unit.problems() == []


def test_a_charge_beyond_the_tolerance_is_held_as_a_price(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    freight = document(
        [BilledLine("10", "1000000", "1")], order=purchase.number, adjusted=[Adjusted("250000", charge=True)]
    )

    invoice = inbox.invoice(inbox.taken(freight))

    assert [hold.reason for hold in invoice.holds] == [payables_pb2.INVOICE_HOLD_REASON_PRICE]
    assert minor(invoice.holds[0].excess_amount) == 250_000_00


def test_a_rounded_total_is_owed_as_rounded_and_withheld_as_priced(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)

    invoice = inbox.invoice(inbox.taken(billed(purchase, rounding="40")))
    payable = purchase.approved(invoice)
    order = unit.ordered([payable.payable_id])

    assert (invoice.status, rupiah_of(invoice.rounding)) == (payables_pb2.INVOICE_STATUS_MATCHED, 40)
    assert rupiah_of(payable.amount) == rupiah_of(invoice.total) == 11_100_040
    # What the order obligated was 11 100 000: 40 came from available.
    assert minor(inbox.invoice_named(invoice.name).lines[0].variance) == 40_00
    # N12: of 10 000 000 and 1 100 000, not of 10 000 040.
    assert rupiah_of(order.net) == 9_850_040
    unit.debited(order)
    assert unit.problems() == []


def test_credit_notes_take_back_of_a_rounded_invoice_what_they_say(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    payable = purchase.approved(inbox.invoice(inbox.taken(billed(purchase, rounding="-40"))))
    credits = Credits(purchase)

    def approved(units: int, rounding: str) -> credit_note_pb2.CreditNote:
        text = billed(
            purchase, units=units, credit=True, invoice="INV-2025-001", number=f"CN-{units}", rounding=rounding
        )
        name = f"creditNotes/{inbox.taken(text).invoice_document.credit_note_id}"
        note = call_as(inbox.credit_notes.GetCreditNote, credit_note_pb2.GetCreditNoteRequest(name=name), inbox.clerk)
        call_as(inbox.credit_notes.ApproveCreditNote, credits.approval(note), unit.token("budget_user"))
        return note

    assert rupiah_of(approved(2, "").total) == 2_220_000
    beyond = inbox.refused(billed(purchase, units=8, credit=True, invoice="INV-2025-001", number="CN-8"))
    assert rupiah_of(credits.payable(payable).amount) == 8_879_960
    assert (beyond.reason, beyond.metadata["rounding_minor"]) == ("CREDIT_EXCEEDS_INVOICE", "-4000")
    assert unit.problems() == []
    last = approved(8, "-40")

    assert (rupiah_of(last.total), rupiah_of(last.rounding)) == (8_879_960, -40)
    assert credits.payable(payable).status == payables_pb2.PAYABLE_STATUS_CREDITED
    assert unit.figures(purchase.budget_line_id)[1:] == (0, 0, 0, 0, 20_000_000)
    assert unit.problems() == []


def test_a_rounding_beyond_the_laws_cap_is_refused_by_its_term(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    by_hand = purchase.invoice(10, 1_000_000)
    by_hand.invoice.total.units += 51
    by_hand.invoice.rounding.CopyFrom(rupiah(51))

    refusal = inbox.refused(billed(purchase, rounding="50.01"))
    typed = refused(unit.payables.CreateInvoice, by_hand, unit.token("invoice_clerk"))

    assert (refusal.reason, refusal.metadata["terms"]) == ("UBL_MISMATCH", "BT-114")
    assert "IDR 50.01 of rounding, at most IDR 50 either way" in refusal.message
    assert "IDR 51 of rounding, at most IDR 50 either way" in typed.message


def test_a_bill_is_of_the_rounded_total(unit: Unit):
    inbox, contract = Inbox(unit), Contract(unit, 1_000)
    wanted = {"contract": contract.terms.contract_number, "seller": contract.terms.supplier_id}

    taken = inbox.taken(document([BilledLine("4", "100.10", rate="0")], rounding="-0.40", **wanted))

    request = billing_pb2.GetBillRequest(name=f"bills/{taken.invoice_document.bill_id}")
    bill = call_as(contract.billing.GetBill, request, inbox.clerk)
    assert minor(bill.gross) == 400_00
    call_as(contract.billing.CertifyBill, contract.certification(bill), unit.token("budget_user"))
    assert unit.problems() == []


def test_what_is_prepaid_is_what_the_bill_recovers_of_the_contracts_advance(unit: Unit):
    inbox, contract = Inbox(unit), Contract(unit, 1_000)
    contract.paid(contract.prepaid(200).payable_id)
    number = contract.terms.contract_number
    wanted = {"contract": number, "seller": contract.terms.supplier_id}
    line = [BilledLine("4", "100", rate="0")]

    without = inbox.refused(document(line, **wanted))
    other = inbox.refused(document(line, prepaid="79", **wanted))
    unknown = inbox.refused(document(line, contract="SPK/none"))
    taken = inbox.taken(document(line, prepaid="80", **wanted))

    assert [one.metadata["terms"] for one in (without, other, unknown)] == ["BT-113", "BT-113", "BT-12"]
    assert f"the advance of contract {number} (IDR 200 not recovered) this bill recovers IDR 80" in other.message
    request = billing_pb2.GetBillRequest(name=f"bills/{taken.invoice_document.bill_id}")
    bill = call_as(contract.billing.GetBill, request, inbox.clerk)
    assert (bill.bill_number, minor(bill.gross)) == ("INV-2025-001", 400_00)
    certified = call_as(contract.billing.CertifyBill, contract.certification(bill), unit.token("budget_user")).bill
    assert minor(certified.lines[0].recovered) == 80_00
    assert unit.problems() == []


def test_a_prepaid_amount_on_an_order_is_refused_with_what_to_do(unit: Unit, purchase: Purchase):
    refusal = Inbox(unit).refused(billed(purchase, prepaid="1000000"))

    assert refusal.metadata["terms"] == "BT-113"
    assert "name the contract (BT-12)" in refusal.message


def test_unsafe_wrong_or_huge_documents_are_refused_by_name(unit: Unit, purchase: Purchase):
    inbox, text = Inbox(unit), billed(purchase)

    bomb = inbox.refused(text.replace("?>", '?><!DOCTYPE x [<!ENTITY a "b">]>', 1))
    latin = inbox.refused(text.encode("latin-1"))
    broken = inbox.refused(text[:-9])
    huge = inbox.refused(b" " * (1024 * 1024 + 1))

    assert [one.reason for one in (bomb, latin, broken)] == ["UBL_UNSAFE", "UBL_ENCODING", "UBL_INVALID"]
    assert huge.code == grpc.StatusCode.INVALID_ARGUMENT
    assert unit.problems() == []


def test_a_credit_note_as_a_document_returns_goods_or_lowers_the_price(unit: Unit, purchase: Purchase):
    inbox = Inbox(unit)
    purchase.approved(inbox.invoice(inbox.taken(billed(purchase))))

    back = inbox.taken(billed(purchase, units=2, credit=True, invoice="INV-2025-001", number="CN-1"))
    cheaper = inbox.taken(billed(purchase, units=8, price=1_000, credit=True, invoice="inv 2025 001", number="CN-2"))

    notes = [
        call_as(
            inbox.credit_notes.GetCreditNote,
            credit_note_pb2.GetCreditNoteRequest(name=f"creditNotes/{one.invoice_document.credit_note_id}"),
            inbox.clerk,
        )
        for one in (back, cheaper)
    ]
    assert [note.kind for note in notes] == [
        credit_note_pb2.CREDIT_NOTE_KIND_RETURN,
        credit_note_pb2.CREDIT_NOTE_KIND_PRICE,
    ]
    assert [rupiah_of(note.total) for note in notes] == [2_220_000, 8_880]
