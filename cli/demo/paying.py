"""Request, verification, authorisation, order, the bank's debit: five papers, five persons."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo import cast
from cli.demo.acting import Government
from cli.demo.cast import TREASURY
from cli.demo.foundation import Foundation
from kelola.finance.v1 import payables_pb2, payables_pb2_grpc

_PAYABLES = payables_pb2_grpc.PayablesServiceStub
_PAID_ON = date(cast.FISCAL_YEAR, 1, 6)


def statement(request_name: str, on: date) -> payables_pb2.StatementOfResponsibility:
    """The budget user's statement of responsibility for a payment request, signed on a day."""
    paper = f"Surat Pernyataan Tanggung Jawab Mutlak: {request_name}".encode()
    return payables_pb2.StatementOfResponsibility(signed_on=to_date(on), sha256=hashlib.sha256(paper).hexdigest())


def issue(
    government: Government, foundation: Foundation, agency_id: str, payable_ids: list[str], step: str, *, on: date
) -> Any:
    """Request, verify, authorise and order the payment of these payables of one agency; the order, not numbered yet."""
    request = government.do(
        _PAYABLES,
        "CreatePaymentRequest",
        payables_pb2.CreatePaymentRequestRequest(
            payment_request=payables_pb2.PaymentRequest(
                agency_id=agency_id, payable_ids=payable_ids, requested_on=to_date(on)
            )
        ),
        by="expenditure_treasurer",
        step=f"{step}/request",
    )
    government.do(
        _PAYABLES,
        "VerifyPaymentRequest",
        payables_pb2.VerifyPaymentRequestRequest(name=request.name),
        by="verifier",
        step=f"{step}/verify",
    )
    government.do(
        _PAYABLES,
        "AuthorisePaymentRequest",
        payables_pb2.AuthorisePaymentRequestRequest(
            name=request.name, statement_of_responsibility=statement(request.name, on)
        ),
        by="budget_user",
        step=f"{step}/authorise",
    )
    return government.do(
        _PAYABLES,
        "IssuePaymentOrder",
        payables_pb2.IssuePaymentOrderRequest(
            payment_request=request.name,
            treasury_agency_id=foundation.agencies[TREASURY],
            issued_on=to_date(on),
        ),
        by="treasurer",
        step=f"{step}/order",
    ).payment_order


def numbered(government: Government, issued: Any, step: str) -> Any:
    """The order once it has its number: one writer gives numbers, after the commit."""
    return government.wait(
        lambda: government.read(
            _PAYABLES, "GetPaymentOrder", payables_pb2.GetPaymentOrderRequest(name=issued.name), by="treasurer"
        ),
        until=lambda seen: seen.status != payables_pb2.PAYMENT_ORDER_STATUS_UNNUMBERED,
        what=f"{step}: the number of the payment order",
    )


def pay(government: Government, foundation: Foundation, agency_id: str, payable_ids: list[str], step: str) -> Any:
    """Pay these payables of one agency by one order; returns the order as it stands after the debit."""
    issued = numbered(government, issue(government, foundation, agency_id, payable_ids, step, on=_PAID_ON), step)
    return government.do(
        _PAYABLES,
        "RecordBankDebit",
        payables_pb2.RecordBankDebitRequest(
            name=issued.name,
            bank_reference=f"BANK-{issued.order_number}",
            value_date=to_date(_PAID_ON),
            amount=issued.net,
        ),
        by="treasurer",
        step=f"{step}/debit",
    ).payment_order


def pay_payroll(government: Government, foundation: Foundation, label: str, payroll_run_id: str) -> Any:
    """Pay all that one payroll run owes: the net pay with what was withheld, and the employer's parts."""
    agency_id = foundation.agencies[label]
    payables = government.pages(
        _PAYABLES,
        "ListPayables",
        payables_pb2.ListPayablesRequest(agency_id=agency_id, source_document_id=payroll_run_id, page_size=500),
        by="expenditure_treasurer",
        rows="payables",
    )
    return pay(government, foundation, agency_id, [p.payable_id for p in payables], f"payroll/{label}/pay")
