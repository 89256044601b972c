"""The second government's works contract: an advance, a bill that is sent back, a bill that is certified."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

from chassis.wire import to_date
from kelola.finance.v1 import billing_pb2, budget_pb2
from tests.system.rehearsal import TODAY, YEAR, Company, decimal, rupiah
from tests.system.rehearsal_finance import Budget

_PRICE = 6_000_000


def work_by_contract(company: Company, budget: Budget) -> str:
    """Obligate a contract by hand, then call every RPC of BillingService on it. The payable of its bill's claim."""
    agency_id, clerk, contract_id, line_id = company.agencies["unit"], "invoice_clerk", str(uuid4()), str(uuid4())
    company.act(
        budget_pb2.ObligateFundsRequest(
            agency_id=agency_id,
            effective_on=TODAY,
            document=budget_pb2.FundsDocument(
                kind=budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT, document_id=contract_id, document_number="SPK-UJI"
            ),
            items=[budget_pb2.FundsItem(document_line_id=line_id, budget_line_id=budget.goods, amount=rupiah(_PRICE))],
        ),
        by="budget_officer",
    )
    terms = company.act(
        billing_pb2.CreateContractTermsRequest(
            contract_terms=billing_pb2.ContractTerms(
                agency_id=agency_id,
                contract_id=contract_id,
                supplier_id=str(uuid4()),
                supplier_class=billing_pb2.SUPPLIER_CLASS_SMALL,
                retention_kind=billing_pb2.RETENTION_KIND_WITHHELD,
                signed_on=TODAY,
                maintenance_until=to_date(date(YEAR, 12, 1)),
                tax_rate=decimal("0.11"),
            )
        ),
        by=clerk,
    )
    company.read(billing_pb2.GetContractTermsRequest(name=terms.name), by=clerk)
    company.read(billing_pb2.ListContractTermsRequest(agency_id=agency_id, page_size=3), by="auditor")
    prepayment = company.act(
        billing_pb2.CreatePrepaymentRequest(
            prepayment=billing_pb2.Prepayment(
                agency_id=agency_id,
                contract_id=contract_id,
                amount=rupiah(_PRICE // 5),
                claimed_on=TODAY,
                guarantee_number="BG-UJI",
                guarantee_amount=rupiah(_PRICE // 5),
                guarantee_valid_until=to_date(date(YEAR, 12, 1)),
            )
        ),
        by=clerk,
    )
    company.read(billing_pb2.GetPrepaymentRequest(name=prepayment.name), by=clerk)
    company.read(
        billing_pb2.ListPrepaymentsRequest(agency_id=company.agencies["unit"], contract_id=contract_id), by="auditor"
    )
    wrong = _bill(company, contract_id, line_id, "MC-UJI-1", _PRICE)
    company.act(billing_pb2.RejectBillRequest(name=wrong.name, explanation="Belum diukur"), by="budget_user")
    bill = _bill(company, contract_id, line_id, "MC-UJI-2", _PRICE // 2)
    certify = billing_pb2.CertifyBillRequest(name=bill.name, certified_on=TODAY)
    company.refused_to_its_maker(certify, maker=clerk, checker="budget_user")
    certified = company.act(certify, by="budget_user")
    company.read(billing_pb2.GetBillRequest(name=bill.name), by=clerk)
    company.read(billing_pb2.ListBillsRequest(agency_id=agency_id, page_size=3), by="auditor")
    return str(certified.bill.payable_id)


def _bill(company: Company, contract_id: str, line_id: str, number: str, gross: int) -> billing_pb2.Bill:
    answer: billing_pb2.Bill = company.act(
        billing_pb2.CreateBillRequest(
            bill=billing_pb2.Bill(
                agency_id=company.agencies["unit"],
                contract_id=contract_id,
                bill_number=number,
                description="Pekerjaan uji",
                billed_on=TODAY,
                lines=[billing_pb2.BillLine(document_line_id=line_id, gross=rupiah(gross))],
            )
        ),
        by="invoice_clerk",
    )
    return answer
