"""The second government's later acts of payables: a supplier's XML, a split invoice, credit notes, a refund, slips."""

from __future__ import annotations

from typing import Any

from kelola.finance.v1 import (
    credit_note_pb2,
    invoice_document_pb2,
    late_interest_pb2,
    payables_pb2,
    withholding_slip_pb2,
)
from tests.system.rehearsal import TODAY, Company, decimal, rupiah
from tests.unit.finance.ubl_samples import BilledLine, document

_PRICE, _CLERK, _APPROVER, _TREASURER = 100_000, "invoice_clerk", "budget_user", "treasurer"


def take_back(company: Company) -> None:
    """Call every RPC of credit notes, documents, slips and late payments on what was bought before."""
    agency_id = company.agencies["unit"]
    listed = company.read(
        payables_pb2.ListInvoicesRequest(agency_id=agency_id, status=payables_pb2.INVOICE_STATUS_PAID), by=_CLERK
    )
    paid = listed.invoices[0]
    _refunded(company, paid)
    invoice = _as_document(company, paid)
    _split(company, paid)
    company.act(payables_pb2.ApproveInvoiceRequest(name=invoice.name, effective_on=TODAY), by="invoice_approver")
    unwanted = company.act(_credit(invoice, 5_000, "NK-UJI-2"), by=_CLERK)
    company.act(credit_note_pb2.WithdrawCreditNoteRequest(name=unwanted.name, explanation="Salah"), by=_CLERK)
    _slips(company)
    company.read(late_interest_pb2.ListLatePaymentsRequest(agency_id=agency_id, as_of=TODAY, page_size=3), by="auditor")


def _credit(invoice: Any, amount: int, number: str) -> credit_note_pb2.CreateCreditNoteRequest:
    line = credit_note_pb2.CreditNoteLine(
        purchase_order_line_id=invoice.lines[0].purchase_order_line_id, net=rupiah(amount)
    )
    return credit_note_pb2.CreateCreditNoteRequest(
        credit_note=credit_note_pb2.CreditNote(
            agency_id=invoice.agency_id,
            invoice_id=invoice.invoice_id,
            credit_note_number=number,
            kind=credit_note_pb2.CREDIT_NOTE_KIND_PRICE,
            description="Potongan harga",
            credited_on=TODAY,
            lines=[line],
            total=rupiah(amount),
        )
    )


def _refunded(company: Company, paid: Any) -> None:
    note = company.act(_credit(paid, 10_000, "NK-UJI-1"), by=_CLERK)
    approve = credit_note_pb2.ApproveCreditNoteRequest(name=note.name, effective_on=TODAY)
    company.refused_to_its_maker(approve, maker=_CLERK, checker=_APPROVER)
    company.act(approve, by=_APPROVER)
    company.act(
        credit_note_pb2.RecordCreditNoteRefundRequest(
            name=note.name,
            treasury_agency_id=company.agencies["treasury"],
            bank_reference="KREDIT-UJI",
            refunded_on=TODAY,
            amount=note.total,
        ),
        by=_TREASURER,
    )
    company.read(credit_note_pb2.GetCreditNoteRequest(name=note.name), by=_CLERK)
    listed = credit_note_pb2.ListCreditNotesRequest(agency_id=paid.agency_id, invoice_id=paid.invoice_id)
    company.read(listed, by="auditor")


def _as_document(company: Company, paid: Any) -> Any:
    """Three of the order's other units, billed as UBL."""
    text = document(
        [BilledLine("3", str(_PRICE), rate="0")],
        number="INV-UJI-3",
        issued_on=f"{TODAY.year}-{TODAY.month:02d}-{TODAY.day:02d}",
    )
    taken = company.act(
        invoice_document_pb2.ImportInvoiceDocumentRequest(
            agency_id=paid.agency_id,
            content=text.encode(),
            received_on=TODAY,
            purchase_order_id=paid.purchase_order_id,
        ),
        by=_CLERK,
    ).invoice_document
    company.read(invoice_document_pb2.GetInvoiceDocumentRequest(name=taken.name), by=_CLERK)
    company.read(invoice_document_pb2.ListInvoiceDocumentsRequest(agency_id=paid.agency_id), by="auditor")
    return company.read(payables_pb2.GetInvoiceRequest(name=f"invoices/{taken.invoice_id}"), by=_CLERK)


def _split(company: Company, paid: Any) -> None:
    """Four units are billed where two are left: two go on."""
    made = company.act(
        payables_pb2.CreateInvoiceRequest(
            invoice=payables_pb2.Invoice(
                agency_id=paid.agency_id,
                purchase_order_id=paid.purchase_order_id,
                supplier_invoice_number="INV-UJI-4",
                invoiced_on=TODAY,
                received_on=TODAY,
                lines=[
                    payables_pb2.InvoiceLine(
                        purchase_order_line_id=paid.lines[0].purchase_order_line_id,
                        quantity=decimal(4),
                        unit_price=decimal(_PRICE),
                    )
                ],
                total=rupiah(4 * _PRICE),
            )
        ),
        by=_CLERK,
    )
    split = payables_pb2.SplitInvoiceRequest(name=made.name, explanation="Dua belum dikirim")
    company.refused_to_its_maker(split, maker=_CLERK, checker=_APPROVER)
    company.act(split, by=_APPROVER)


def _slips(company: Company) -> None:
    """The contract's claim, whose request was approved before, is paid: what it withheld has its slips."""
    agency_id = company.agencies["unit"]
    request = company.read(
        payables_pb2.ListPaymentRequestsRequest(
            agency_id=agency_id, status=payables_pb2.PAYMENT_REQUEST_STATUS_REQUESTED
        ),
        by="verifier",
    ).payment_requests[0]
    company.act(payables_pb2.VerifyPaymentRequestRequest(name=request.name), by="verifier")
    company.act(payables_pb2.AuthorisePaymentRequestRequest(name=request.name), by=_APPROVER)
    issued = company.act(
        payables_pb2.IssuePaymentOrderRequest(
            payment_request=request.name, treasury_agency_id=company.agencies["treasury"], issued_on=TODAY
        ),
        by=_TREASURER,
    ).payment_order
    order = company.until(
        lambda: company.read(payables_pb2.GetPaymentOrderRequest(name=issued.name), by=_TREASURER),
        lambda seen: bool(seen.order_number),
        "the number of the claim's payment order",
    )
    company.act(
        payables_pb2.RecordBankDebitRequest(
            name=order.name, bank_reference="BANK-KLAIM", value_date=TODAY, amount=order.net
        ),
        by=_TREASURER,
    )
    slips = company.until(
        lambda: company.read(withholding_slip_pb2.ListWithholdingSlipsRequest(agency_id=agency_id), by="auditor"),
        lambda seen: bool(seen.withholding_slips) and all(one.slip_number for one in seen.withholding_slips),
        "the numbers of the withholding slips",
    ).withholding_slips
    company.read(withholding_slip_pb2.GetWithholdingSlipRequest(name=slips[0].name), by="auditor")
