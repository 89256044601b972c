"""Works contracts of a unit, paid in advance and by bills, all through the public API."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

from google.type import money_pb2

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import billing_pb2, billing_pb2_grpc, budget_pb2, payables_pb2
from tests.integration.finance.books import YEAR, minor, rid
from tests.integration.finance.funds import Unit, a_document

WORKS = "5.2.04.01"
SIGNED, DONE = date(YEAR, 1, 15), date(YEAR, 2, 10)
MAINTAINED = date(YEAR, 9, 30)


class Contract:
    """A works contract of one line, in whole rupiah or whole units of another currency; on a line of its own, released
    whole, unless one is named."""

    def __init__(
        self,
        unit: Unit,
        price: int,
        *,
        account: str = WORKS,
        currency: str = "IDR",
        budget: int = 0,
        line: str = "",
        **terms: Any,
    ) -> None:
        self.unit, self.price, self.currency, self.line = unit, price, currency, line
        if not line:
            (self.line,) = unit.lines(budget or price, account=account)
            unit.allotted()
        self.contract_id, self.line_id = str(uuid4()), str(uuid4())
        self.billing = billing_pb2_grpc.BillingServiceStub(unit.books.service.channel)
        unit.did(
            "ObligateFunds",
            [budget_pb2.FundsItem(document_line_id=self.line_id, budget_line_id=self.line, amount=self.money(price))],
            document=a_document(
                budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT,
                document_id=self.contract_id,
                document_number=f"SPK/{self.contract_id[:6]}",
            ),
            effective_on=to_date(SIGNED),
        )
        self.terms = call_as(self.billing.CreateContractTerms, self.terms_request(**terms), unit.token("invoice_clerk"))

    def money(self, amount: int) -> money_pb2.Money:
        """Whole units of the contract's currency."""
        return money_pb2.Money(currency_code=self.currency, units=amount)

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
                    "amount": self.money(amount),
                    "claimed_on": to_date(SIGNED),
                    "guarantee_number": "BG-1",
                    "guarantee_amount": self.money(amount),
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
                    "lines": [billing_pb2.BillLine(document_line_id=self.line_id, gross=self.money(gross))],
                    **values,
                }
            ),
            request_id=rid(),
        )

    def billed(self, gross: int, **values: Any) -> billing_pb2.Bill:
        """A registered bill."""
        return call_as(self.billing.CreateBill, self.bill_request(gross, **values), self.unit.token("invoice_clerk"))

    def certification(self, bill: billing_pb2.Bill) -> billing_pb2.CertifyBillRequest:
        return billing_pb2.CertifyBillRequest(name=bill.name, certified_on=bill.billed_on, request_id=rid())

    def certified(self, gross: int, **values: Any) -> billing_pb2.CertifyBillResponse:
        """A bill registered by one person and certified by another."""
        request = self.certification(self.billed(gross, **values))
        return call_as(self.billing.CertifyBill, request, self.unit.token("budget_user"))

    def paid(self, payable_id: str, on: date = date(YEAR, 3, 20)) -> payables_pb2.PaymentOrder:
        """The whole payment chain of one payable."""
        return self.unit.debited(self.unit.ordered([payable_id], on), value_date=to_date(on))

    def figures(self, line: str = "") -> dict[str, int]:
        """O, V, E, S, P, available of the contract's line, or of the one named, in whole rupiah."""
        shown = self.unit.line(line or self.line).figures
        names = {"O": "obligated", "V": "advanced", "E": "expended", "S": "ordered", "P": "paid", "left": "available"}
        return {letter: minor(getattr(shown, name)) // 100 for letter, name in names.items()}

    def refused(self, rpc: str, request: Any, *, by: str = "invoice_clerk", person_id: UUID | None = None) -> Refusal:
        return refused(getattr(self.billing, rpc), request, self.unit.token(by, person_id=person_id))
