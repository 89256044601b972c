"""The second government's later acts of payables: a supplier's XML, a split invoice that stays held and is decided,
credit notes, a refund, slips, a remittance, late interest, a penalty for late delivery, an offset."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from kelola.finance.v1 import (
    credit_note_pb2,
    credit_offset_pb2,
    invoice_document_pb2,
    invoice_exception_pb2,
    late_interest_charge_pb2,
    late_interest_pb2,
    payables_pb2,
    penalty_pb2,
    uninvoiced_receipt_pb2,
    withholding_remittance_pb2,
    withholding_slip_pb2,
)
from tests.system import rehearsal_logistics
from tests.system.rehearsal import TODAY, Company, decimal, rupiah
from tests.system.rehearsal_logistics import statement
from tests.unit.finance.ubl_samples import BilledLine, document

_PRICE, _CLERK, _APPROVER, _TREASURER = 100_000, "invoice_clerk", "budget_user", "treasurer"
# Received so long ago that it is late today, whatever the terms of payment are.
_LONG_AGO = to_date(date(TODAY.year, TODAY.month, TODAY.day) - timedelta(days=90))


def take_back(company: Company, budget_line_id: str) -> None:
    """Call every RPC of credit notes, documents, exceptions, slips, remittances, interest, penalties on purchases.

    The budget line bears the interest.
    """
    agency_id = company.agencies["unit"]
    listed = company.read(
        payables_pb2.ListInvoicesRequest(agency_id=agency_id, status=payables_pb2.INVOICE_STATUS_PAID), by=_CLERK
    )
    paid = listed.invoices[0]
    _refunded(company, paid)
    invoice = _as_document(company, paid)
    _split(company, paid)
    _decide(company, agency_id)
    approve = payables_pb2.ApproveInvoiceRequest(name=invoice.name, effective_on=TODAY)
    payable = company.act(approve, by="invoice_approver").payable
    unwanted = company.act(_credit(invoice, 5_000, "NK-UJI-2"), by=_CLERK)
    company.act(credit_note_pb2.WithdrawCreditNoteRequest(name=unwanted.name, explanation="Salah"), by=_CLERK)
    _remit(company, _slips(company))
    _charge(company, payable.payable_id, budget_line_id)
    _penalise(company, payable.payable_id)
    _set_off(company, paid, payable.payable_id)
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
            received_on=_LONG_AGO,
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


def _decide(company: Company, agency_id: str) -> None:
    """What was left of the split invoice is held: its owner asks the supplier, another person rejects it."""
    queue = invoice_exception_pb2.ListInvoiceExceptionsRequest(
        agency_id=agency_id, status=invoice_exception_pb2.INVOICE_EXCEPTION_STATUS_OPEN, page_size=3
    )
    held = company.read(queue, by="auditor").invoice_exceptions[0]
    company.read(uninvoiced_receipt_pb2.ListUninvoicedReceiptsRequest(agency_id=agency_id, page_size=3), by=_CLERK)
    company.read(invoice_exception_pb2.GetInvoiceExceptionRequest(name=held.name), by=_CLERK)
    company.act(
        invoice_exception_pb2.AskSupplierRequest(name=held.name, explanation="Kapan dikirim?", answer_days=7), by=_CLERK
    )
    decide = invoice_exception_pb2.DecideInvoiceExceptionRequest(
        name=held.name,
        decision=invoice_exception_pb2.INVOICE_EXCEPTION_DECISION_REJECT,
        explanation="Minta faktur yang benar",
    )
    company.refused_to_its_maker(decide, maker=_CLERK, checker=_APPROVER)
    company.act(
        invoice_exception_pb2.AssignInvoiceExceptionRequest(
            name=held.name, owner_person_id=company.persons[_APPROVER], explanation="Diputus"
        ),
        by=_APPROVER,
    )
    company.act(decide, by=_APPROVER)


def _remit(company: Company, withholding_code: str) -> None:
    """What the claim's payment withheld goes to whom it is owed, at the third attempt."""
    request = withholding_remittance_pb2.CreateWithholdingRemittanceRequest(
        withholding_remittance=withholding_remittance_pb2.WithholdingRemittance(
            agency_id=company.agencies["treasury"],
            withholding_code=withholding_code,
            fund_code=FUND,
            currency_code="IDR",
            withheld_to=TODAY,
        )
    )
    first = company.act(request, by=_TREASURER)
    company.act(
        withholding_remittance_pb2.RecallWithholdingRemittanceRequest(name=first.name, explanation="Salah masa"),
        by=_TREASURER,
    )
    second = company.act(request, by=_TREASURER)
    reject = withholding_remittance_pb2.RejectWithholdingRemittanceRequest(name=second.name, explanation="Cek lagi")
    company.refused_to_its_maker(reject, maker=_TREASURER, checker="treasury_head")
    company.act(reject, by="treasury_head")
    third = company.act(request, by=_TREASURER)
    approve = withholding_remittance_pb2.ApproveWithholdingRemittanceRequest(name=third.name)
    company.refused_to_its_maker(approve, maker=_TREASURER, checker="treasury_head")
    payable_id = company.act(approve, by="treasury_head").withholding_remittance.payable_id
    rehearsal_logistics.pay_at_once(company, payable_id, "treasury")
    company.act(
        withholding_remittance_pb2.RecordWithholdingRemittanceReceiptRequest(
            name=third.name, receipt_number="9F3A27C1D05B8E64", received_on=TODAY
        ),
        by=_TREASURER,
    )
    company.read(withholding_remittance_pb2.GetWithholdingRemittanceRequest(name=third.name), by=_TREASURER)
    listed = withholding_remittance_pb2.ListWithholdingRemittancesRequest(agency_id=company.agencies["treasury"])
    company.read(listed, by="auditor")


def _charge(company: Company, payable_id: str, budget_line_id: str) -> None:
    """Interest on an invoice that nobody paid in time, at the third attempt."""
    request = late_interest_charge_pb2.CreateLateInterestChargeRequest(
        late_interest_charge=late_interest_charge_pb2.LateInterestCharge(
            agency_id=company.agencies["unit"],
            late_payable_id=payable_id,
            budget_line_id=budget_line_id,
            until_on=TODAY,
        )
    )
    first = company.act(request, by=_CLERK)
    company.act(
        late_interest_charge_pb2.RecallLateInterestChargeRequest(name=first.name, explanation="Salah rekening"),
        by=_CLERK,
    )
    second = company.act(request, by=_CLERK)
    reject = late_interest_charge_pb2.RejectLateInterestChargeRequest(name=second.name, explanation="Hitung lagi")
    company.refused_to_its_maker(reject, maker=_CLERK, checker=_APPROVER)
    company.act(reject, by=_APPROVER)
    third = company.act(request, by=_CLERK)
    approve = late_interest_charge_pb2.ApproveLateInterestChargeRequest(name=third.name, effective_on=TODAY)
    company.refused_to_its_maker(approve, maker=_CLERK, checker=_APPROVER)
    company.act(approve, by=_APPROVER)
    company.read(late_interest_charge_pb2.GetLateInterestChargeRequest(name=third.name), by=_CLERK)
    listed = late_interest_charge_pb2.ListLateInterestChargesRequest(agency_id=company.agencies["unit"])
    company.read(listed, by="auditor")


def _penalise(company: Company, payable_id: str) -> None:
    """What was delivered late has its penalty at the third attempt; a part of it is taken off."""
    today = date(TODAY.year, TODAY.month, TODAY.day)
    late = penalty_pb2.LateDeliveryPenalty(
        agency_id=company.agencies["unit"],
        payable_id=payable_id,
        base=penalty_pb2.PENALTY_BASE_LATE_PART,
        base_amount=rupiah(_PRICE // 2),
        due_on=to_date(today - timedelta(days=20)),
        delivered_on=to_date(today - timedelta(days=10)),
        explanation="Terlambat menurut berita acara serah terima",
    )
    request = penalty_pb2.CreateLateDeliveryPenaltyRequest(late_delivery_penalty=late)
    first = company.act(request, by=_CLERK)
    company.act(penalty_pb2.RecallLateDeliveryPenaltyRequest(name=first.name, explanation="Salah tanggal"), by=_CLERK)
    second = company.act(request, by=_CLERK)
    reject = penalty_pb2.RejectLateDeliveryPenaltyRequest(name=second.name, explanation="Hitung lagi")
    company.refused_to_its_maker(reject, maker=_CLERK, checker=_APPROVER)
    company.act(reject, by=_APPROVER)
    third = company.act(request, by=_CLERK)
    approve = penalty_pb2.ApproveLateDeliveryPenaltyRequest(name=third.name)
    company.refused_to_its_maker(approve, maker=_CLERK, checker=_APPROVER)
    company.act(approve, by=_APPROVER)
    reduce = penalty_pb2.ReduceLateDeliveryPenaltyRequest(
        name=third.name, amount=rupiah(250), explanation="Lima hari karena keadaan kahar"
    )
    company.refused_to_its_maker(reduce, maker=_CLERK, checker=_APPROVER)
    company.act(reduce, by=_APPROVER)
    # The other half came a day earlier: asked about, and not penalised.
    late.delivered_on.CopyFrom(to_date(today - timedelta(days=11)))
    company.read(penalty_pb2.CheckLateDeliveryPenaltyRequest(late_delivery_penalty=late), by=_CLERK)
    company.read(penalty_pb2.GetLateDeliveryPenaltyRequest(name=third.name), by=_CLERK)
    listed = penalty_pb2.ListLateDeliveryPenaltiesRequest(agency_id=company.agencies["unit"])
    company.read(listed, by="auditor")


def _set_off(company: Company, paid: Any, payable_id: str) -> None:
    """Another credit on the paid invoice is set off against what its supplier is owed, at the third attempt."""
    note = company.act(_credit(paid, 5_000, "NK-UJI-3"), by=_CLERK)
    company.act(credit_note_pb2.ApproveCreditNoteRequest(name=note.name, effective_on=TODAY), by=_APPROVER)
    request = credit_offset_pb2.CreateCreditOffsetRequest(
        credit_offset=credit_offset_pb2.CreditOffset(
            agency_id=company.agencies["unit"],
            credit_note_id=note.credit_note_id,
            payable_id=payable_id,
            explanation="Disepakati dengan penyedia",
        )
    )
    first = company.act(request, by=_CLERK)
    company.act(credit_offset_pb2.RecallCreditOffsetRequest(name=first.name, explanation="Tunggu dulu"), by=_CLERK)
    second = company.act(request, by=_CLERK)
    reject = credit_offset_pb2.RejectCreditOffsetRequest(name=second.name, explanation="Hitung lagi")
    company.refused_to_its_maker(reject, maker=_CLERK, checker=_APPROVER)
    company.act(reject, by=_APPROVER)
    third = company.act(request, by=_CLERK)
    approve = credit_offset_pb2.ApproveCreditOffsetRequest(name=third.name, effective_on=TODAY)
    company.refused_to_its_maker(approve, maker=_CLERK, checker=_APPROVER)
    company.act(approve, by=_APPROVER)
    company.read(credit_offset_pb2.GetCreditOffsetRequest(name=third.name), by=_CLERK)
    listed = credit_offset_pb2.ListCreditOffsetsRequest(agency_id=company.agencies["unit"])
    company.read(listed, by="auditor")


def _slips(company: Company) -> str:
    """The contract's claim, whose request was approved before, is paid: what it withheld has its slips. One's code."""
    agency_id = company.agencies["unit"]
    request = company.read(
        payables_pb2.ListPaymentRequestsRequest(
            agency_id=agency_id, status=payables_pb2.PAYMENT_REQUEST_STATUS_REQUESTED
        ),
        by="verifier",
    ).payment_requests[0]
    company.act(payables_pb2.VerifyPaymentRequestRequest(name=request.name), by="verifier")
    company.act(
        payables_pb2.AuthorisePaymentRequestRequest(
            name=request.name, statement_of_responsibility=statement(request.name)
        ),
        by=_APPROVER,
    )
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
    return str(slips[0].withholding_code)
