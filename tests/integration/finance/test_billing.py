"""Contracts paid by bills on PostgreSQL: prepayment, recovery, retention, through the whole payment chain."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import billing_pb2, billing_pb2_grpc, budget_pb2, payables_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit, a_document, an_item

WORKS = "5.2.03.01.01"
SIGNED, DONE = date(YEAR, 1, 15), date(YEAR, 2, 10)
MAINTAINED = date(YEAR, 9, 30)


class Contract:
    """A works contract of one line, in whole rupiah."""

    def __init__(self, unit: Unit, price: int, *, account: str = WORKS, **terms: Any) -> None:
        self.unit, self.price = unit, price
        (self.line,) = unit.lines(price, account=account)
        unit.allotted()
        self.contract_id, self.line_id = str(uuid4()), str(uuid4())
        self.billing = billing_pb2_grpc.BillingServiceStub(unit.books.service.channel)
        unit.did(
            "ObligateFunds",
            [an_item(self.line, price, document_line_id=self.line_id)],
            document=a_document(
                budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT,
                document_id=self.contract_id,
                document_number=f"SPK/{self.contract_id[:6]}",
            ),
            effective_on=to_date(SIGNED),
        )
        self.terms = call_as(self.billing.CreateContractTerms, self.terms_request(**terms), unit.token("invoice_clerk"))

    def terms_request(self, **values: Any) -> billing_pb2.CreateContractTermsRequest:
        return billing_pb2.CreateContractTermsRequest(
            contract_terms=billing_pb2.ContractTerms(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "contract_id": self.contract_id,
                    "supplier_id": str(uuid4()),
                    "supplier_class": billing_pb2.SUPPLIER_CLASS_OTHER,
                    "retention_kind": billing_pb2.RETENTION_KIND_WITHHELD,
                    "signed_on": to_date(SIGNED),
                    "maintenance_until": to_date(MAINTAINED),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def prepayment_request(self, amount: int, **values: Any) -> billing_pb2.CreatePrepaymentRequest:
        return billing_pb2.CreatePrepaymentRequest(
            prepayment=billing_pb2.Prepayment(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "contract_id": self.contract_id,
                    "amount": rupiah(amount),
                    "claimed_on": to_date(SIGNED),
                    "guarantee_number": "BG-1",
                    "guarantee_amount": rupiah(amount),
                    "guarantee_valid_until": to_date(MAINTAINED),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def prepaid(self, amount: int) -> billing_pb2.Prepayment:
        """An advance, as a payable."""
        return call_as(self.billing.CreatePrepayment, self.prepayment_request(amount), self.unit.token("invoice_clerk"))

    def bill_request(self, gross: int, **values: Any) -> billing_pb2.CreateBillRequest:
        return billing_pb2.CreateBillRequest(
            bill=billing_pb2.Bill(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "contract_id": self.contract_id,
                    "bill_number": f"MC-{rid()[:6]}",
                    "billed_on": to_date(DONE),
                    "lines": [billing_pb2.BillLine(document_line_id=self.line_id, gross=rupiah(gross))],
                    **values,
                }
            ),
            request_id=rid(),
        )

    def billed(self, gross: int, **values: Any) -> billing_pb2.Bill:
        """A registered bill."""
        return call_as(self.billing.CreateBill, self.bill_request(gross, **values), self.unit.token("invoice_clerk"))

    def certification(self, bill: billing_pb2.Bill) -> billing_pb2.CertifyBillRequest:
        return billing_pb2.CertifyBillRequest(name=bill.name, certified_on=to_date(DONE), request_id=rid())

    def certified(self, gross: int, **values: Any) -> billing_pb2.CertifyBillResponse:
        """A bill registered by one person and certified by another."""
        request = self.certification(self.billed(gross, **values))
        return call_as(self.billing.CertifyBill, request, self.unit.token("budget_user"))

    def paid(self, payable_id: str, on: date = date(YEAR, 3, 20)) -> payables_pb2.PaymentOrder:
        """The whole payment chain of one payable."""
        return self.unit.debited(self.unit.ordered([payable_id], on), value_date=to_date(on))

    def figures(self) -> dict[str, int]:
        """O, V, E, S, P, available of the line in whole rupiah."""
        shown = self.unit.line(self.line).figures
        names = "obligated advanced expended ordered paid available".split()
        return {name[0].upper() if name != "advanced" else "V": minor(getattr(shown, name)) // 100 for name in names}

    def refusal(self, rpc: str, request: Any, *, by: str = "invoice_clerk", person_id: UUID | None = None) -> Refusal:
        return refused(getattr(self.billing, rpc), request, self.unit.token(by, person_id=person_id))


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_n10_advance_two_bills_and_retention(unit: Unit):
    contract = Contract(unit, 1_000)
    stages = []

    advance = contract.prepaid(200)
    contract.paid(advance.payable_id)
    stages.append(contract.figures())
    first = contract.certified(400)
    stages.append(contract.figures())
    contract.paid(first.bill.payable_id)
    stages.append(contract.figures())
    last = contract.certified(600, final=True)
    stages.append(contract.figures())
    contract.paid(last.bill.payable_id)
    stages.append(contract.figures())
    for bill in (first, last):
        contract.paid(bill.bill.retention_payable_id, MAINTAINED)
    stages.append(contract.figures())

    columns = ("O", "V", "E", "S", "P")
    assert [tuple(stage[name] for name in columns) for stage in stages] == [
        (800, 200, 0, 0, 0),
        (480, 120, 320, 0, 80),
        (480, 120, 20, 0, 380),
        (0, 0, 500, 0, 500),
        (0, 0, 50, 0, 950),
        (0, 0, 0, 0, 1_000),
    ]
    assert [
        (minor(bill.bill.lines[0].recovered) // 100, minor(bill.bill.lines[0].retained) // 100, owed(bill))
        for bill in (first, last)
    ] == [(80, 20, [300, 20]), (120, 30, [450, 30])]
    assert unit.problems() == []


def owed(certified: billing_pb2.CertifyBillResponse) -> list[int]:
    return [minor(payable.amount) // 100 for payable in certified.payables]
