"""Contracts paid by certified bills: obligated, an advance recovered by its bills, retention kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo_year import cast
from cli.demo_year.banking import Claim
from cli.demo_year.year import BUDGET, Year, document_id, rupiah, shown
from kelola.finance.v1 import billing_pb2, billing_pb2_grpc, budget_pb2

_BILLING = billing_pb2_grpc.BillingServiceStub
_NO_RETENTION, _RETENTION = billing_pb2.RETENTION_KIND_GUARANTEE, billing_pb2.RETENTION_KIND_WITHHELD


@dataclass(frozen=True)
class Contract:
    """One contract of one line; `price` is whole rupiah, tax included.

    `document_line_id` is the line under which its funds are bound, where another document than the contract binds them.
    """

    number: str
    key: tuple[str, int]
    supplier_id: str
    price: int
    signed_on: date
    maintenance_until: date
    retention: bool = False
    unit: str = cast.HEALTH
    document_line_id: str = ""

    @property
    def contract_id(self) -> str:
        """The id under which funds and bills name it."""
        return document_id(self.number)

    @property
    def line_id(self) -> str:
        """Its only line."""
        return self.document_line_id or document_id(self.number, "line")


def sign(year: Year, contract: Contract) -> None:
    """Bind the price, and register who is to be paid under which terms."""
    year.government.do(
        BUDGET,
        "ObligateFunds",
        budget_pb2.ObligateFundsRequest(
            agency_id=year.unit_id(contract.unit),
            effective_on=to_date(contract.signed_on),
            document=budget_pb2.FundsDocument(
                kind=budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT,
                document_id=contract.contract_id,
                document_number=contract.number,
            ),
            items=[
                budget_pb2.FundsItem(
                    document_line_id=contract.line_id,
                    budget_line_id=year.line(contract.key, unit=contract.unit),
                    amount=rupiah(contract.price),
                )
            ],
        ),
        by="budget_officer",
        step=f"{contract.number}/obligate",
    )
    register(year, contract)


def register(year: Year, contract: Contract) -> None:
    """Who is to be paid for a contract whose funds are bound, and under which terms."""
    year.government.do(
        _BILLING,
        "CreateContractTerms",
        billing_pb2.CreateContractTermsRequest(
            contract_terms=billing_pb2.ContractTerms(
                agency_id=year.unit_id(contract.unit),
                contract_id=contract.contract_id,
                supplier_id=contract.supplier_id,
                supplier_class=billing_pb2.SUPPLIER_CLASS_SMALL,
                retention_kind=_RETENTION if contract.retention else _NO_RETENTION,
                signed_on=to_date(contract.signed_on),
                maintenance_until=to_date(contract.maintenance_until),
            )
        ),
        by="invoice_clerk",
        step=f"{contract.number}/terms",
    )


def advance(year: Year, contract: Contract, amount: int, *, on: date) -> Claim:
    """An advance against a guarantee."""
    made = year.government.do(
        _BILLING,
        "CreatePrepayment",
        billing_pb2.CreatePrepaymentRequest(
            prepayment=billing_pb2.Prepayment(
                agency_id=year.unit_id(contract.unit),
                contract_id=contract.contract_id,
                amount=rupiah(amount),
                claimed_on=to_date(on),
                guarantee_number=f"BG-{contract.number}",
                guarantee_amount=rupiah(amount),
                guarantee_valid_until=to_date(contract.maintenance_until),
            )
        ),
        by="invoice_clerk",
        step=f"{contract.number}/advance",
    )
    return Claim(contract.unit, made.payable_id, f"{contract.number}/advance/pay")


def bill(
    year: Year, contract: Contract, gross: int, *, number: int, on: date, final: bool = False
) -> tuple[Claim, dict[str, Any]]:
    """A bill registered by one person and certified by another; what is claimed now, and how it divides."""
    step = f"{contract.number}/bill/{number}"
    made = year.government.do(
        _BILLING,
        "CreateBill",
        billing_pb2.CreateBillRequest(
            bill=billing_pb2.Bill(
                agency_id=year.unit_id(contract.unit),
                contract_id=contract.contract_id,
                bill_number=f"MC-{contract.number}-{number}",
                description="Pekerjaan sesuai berita acara",
                billed_on=to_date(on),
                lines=[billing_pb2.BillLine(document_line_id=contract.line_id, gross=rupiah(gross))],
                final=final,
            )
        ),
        by="invoice_clerk",
        step=step,
    )
    certified = year.government.do(
        _BILLING,
        "CertifyBill",
        billing_pb2.CertifyBillRequest(name=made.name, certified_on=to_date(on)),
        by="invoice_approver",
        step=f"{step}/certify",
    )
    line = certified.bill.lines[0]
    row = {
        "bill": certified.bill.bill_number,
        "gross": shown(certified.bill.gross),
        "recovered": shown(line.recovered),
        "retained": shown(line.retained),
        "claimed": shown(certified.payables[0].amount),
    }
    return Claim(contract.unit, certified.bill.payable_id, f"{step}/pay"), row
