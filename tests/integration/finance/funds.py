"""A unit with a budget, its treasury and its officers, all through the public API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from google.type import decimal_pb2, money_pb2
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused, wait_until
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc, payables_pb2, payables_pb2_grpc
from services.finance.billing import verify as billing_verify
from services.finance.budget import verify as budget_verify
from services.finance.documents import verify as documents_verify
from services.finance.imprest import verify as imprest_verify
from services.finance.ledger.joint import verify as joint_verify
from services.finance.ledger.yearend import verify as year_end_verify
from services.finance.payables import verify as payables_verify
from tests.integration.finance.books import FUND, YEAR, Agency, Books, minor, rid, rupiah

GOODS = "5.1.02.01.01"
SALARY = "5.1.01.01.01"
UNIT = "1.02.01"


def a_statement(on: date = date(YEAR, 3, 20)) -> payables_pb2.StatementOfResponsibility:
    """The budget user's statement of responsibility for a payment, signed on a day."""
    paper = hashlib.sha256(b"I answer for this payment")
    return payables_pb2.StatementOfResponsibility(signed_on=to_date(on), sha256=paper.hexdigest())


OFFICERS = {
    "budget_officer": "finance.budget_officer",
    "budget_authority": "finance.budget_authority",
    "invoice_clerk": "finance.invoice_clerk",
    "expenditure_treasurer": "finance.expenditure_treasurer",
    "verifier": "finance.verifier",
    "budget_user": "finance.budget_user",
    "treasurer": "finance.treasurer",
}


def quantity(value: Any) -> decimal_pb2.Decimal:
    """A quantity on the wire."""
    return decimal_pb2.Decimal(value=str(value))


@dataclass
class Unit:
    """One spending agency of a test, with the treasury that pays for it."""

    books: Books
    agency: Agency = field(init=False)
    treasury: Agency = field(init=False)
    budget: Any = field(init=False)
    payables: Any = field(init=False)
    persons: dict[str, UUID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agency, self.treasury = self.books.agency(), self.books.agency()
        self.budget = budget_pb2_grpc.BudgetServiceStub(self.books.service.channel)
        self.payables = payables_pb2_grpc.PayablesServiceStub(self.books.service.channel)
        self.persons = {label: uuid4() for label in OFFICERS}

    @property
    def agency_id(self) -> UUID:
        return self.agency.agency_id

    def token(self, label: str, *, person_id: UUID | None = None) -> str:
        """The token of an officer, in the unit and its treasury; of another person with the same role if named."""
        return self.books.token(
            [self.agency_id, self.treasury.agency_id],
            OFFICERS[label],
            person_id=person_id or self.persons[label],
        )

    def service_token(self, service: str, person_id: UUID | None = None) -> str:
        """The token of another service, acting for a person."""
        return self.books.keys.service_token(
            service, audience="finance", person_id=person_id or uuid4(), agencies=[self.agency_id]
        )

    # --- budget --------------------------------------------------------------------------------------------------

    def imported(self, *amounts: int, account: str = GOODS, **request: Any) -> budget_pb2.ImportAppropriationResponse:
        """A draft of lines of these whole rupiah."""
        lines = [new_line(amount, line_no=number, account=account) for number, amount in enumerate(amounts, start=1)]
        return call_as(
            self.budget.ImportAppropriation, self.import_request(lines, **request), self.token("budget_officer")
        )

    def import_request(
        self, lines: Sequence[budget_pb2.AppropriationLine], **values: Any
    ) -> budget_pb2.ImportAppropriationRequest:
        """The request to import `lines`, with the right control total unless one is given."""
        total = sum(minor(line.original) for line in lines)
        return budget_pb2.ImportAppropriationRequest(
            **{
                "agency_id": str(self.agency_id),
                "fiscal_year": YEAR,
                "document_number": f"DPA/{uuid4().hex[:8]}",
                "lines": lines,
                "control_total": money_pb2.Money(currency_code="IDR", units=total // 100, nanos=total % 100 * 10**7),
                "request_id": rid(),
                **values,
            }
        )

    def activated(self, draft: budget_pb2.Appropriation, token: str | None = None) -> budget_pb2.Appropriation:
        """The draft in force from the first of January."""
        return call_as(
            self.budget.ActivateAppropriation, activation(draft), token or self.token("budget_authority")
        ).appropriation

    def lines(self, *amounts: int, account: str = GOODS) -> list[str]:
        """Ids of active budget lines of these whole rupiah."""
        draft = self.imported(*amounts, account=account)
        self.activated(draft.appropriation)
        return list(draft.budget_line_ids)

    def allotted(self, share: str = "1", months: tuple[int, int] = (1, 12)) -> budget_pb2.AllotFundsResponse:
        """A release of a cumulative share of everything."""
        return call_as(
            self.budget.AllotFunds,
            budget_pb2.AllotFundsRequest(
                agency_id=str(self.agency_id),
                fiscal_year=YEAR,
                document_number=f"SPD/{uuid4().hex[:8]}",
                month_from=months[0],
                month_to=months[1],
                cumulative_share=quantity(share),
                effective_on=to_date(date(YEAR, months[0], 1)),
                request_id=rid(),
            ),
            self.token("budget_authority"),
        )

    def line(self, budget_line_id: str) -> budget_pb2.BudgetLine:
        """The line as it stands."""
        return call_as(
            self.budget.GetBudgetLine,
            budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{budget_line_id}"),
            self.token("budget_officer"),
        )

    def figures(self, budget_line_id: str) -> tuple[int, ...]:
        """R, O, E, S, P, available in whole rupiah."""
        shown = self.line(budget_line_id).figures
        names = "reserved obligated expended ordered paid available".split()
        return tuple(minor(getattr(shown, name)) // 100 for name in names)

    def funds(self, kind: str, items: Sequence[budget_pb2.FundsItem], **values: Any) -> Any:
        """A request of one of the funds RPCs, in the name of a fresh document unless one is given."""
        request = {
            "ReserveFunds": budget_pb2.ReserveFundsRequest,
            "ObligateFunds": budget_pb2.ObligateFundsRequest,
            "ReleaseFunds": budget_pb2.ReleaseFundsRequest,
            "ExpendFunds": budget_pb2.ExpendFundsRequest,
            "AdjustObligation": budget_pb2.AdjustObligationRequest,
        }[kind]
        return request(
            **{
                "agency_id": str(self.agency_id),
                "document": a_document(),
                "items": items,
                "effective_on": to_date(date(YEAR, 3, 10)),
                "request_id": rid(),
                **values,
            }
        )

    def did(
        self, kind: str, items: Sequence[budget_pb2.FundsItem], *, by: str = "budget_officer", **values: Any
    ) -> Any:
        """One funds RPC; it must pass."""
        return call_as(getattr(self.budget, kind), self.funds(kind, items, **values), self.token(by))

    def refused(
        self, kind: str, items: Sequence[budget_pb2.FundsItem], *, by: str = "budget_officer", **values: Any
    ) -> Refusal:
        """One funds RPC; it must be refused."""
        return refused(getattr(self.budget, kind), self.funds(kind, items, **values), self.token(by))

    def problems(self) -> list[str]:
        """What budget, payables, billing, imprests and documents find wrong in the database."""
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            found = [
                problem
                for area in (
                    *(budget_verify, payables_verify, billing_verify, imprest_verify, documents_verify),
                    joint_verify,
                    year_end_verify,
                )
                for problem in area.problems(connection)
            ]
        return [f"{problem.invariant} {problem.what}" for problem in found]

    # --- the payment chain ---------------------------------------------------------------------------------------

    def requested(self, payable_ids: Sequence[str], on: date = date(YEAR, 3, 20)) -> payables_pb2.PaymentRequest:
        """SPP."""
        return call_as(
            self.payables.CreatePaymentRequest,
            self.payment_request(payable_ids, on),
            self.token("expenditure_treasurer"),
        )

    def payment_request(
        self, payable_ids: Sequence[str], on: date = date(YEAR, 3, 20)
    ) -> payables_pb2.CreatePaymentRequestRequest:
        """The request for SPP."""
        return payables_pb2.CreatePaymentRequestRequest(
            payment_request=payables_pb2.PaymentRequest(
                agency_id=str(self.agency_id), payable_ids=payable_ids, requested_on=to_date(on)
            ),
            request_id=rid(),
        )

    def ordered(self, payable_ids: Sequence[str], on: date = date(YEAR, 3, 20)) -> payables_pb2.PaymentOrder:
        """SPP, verification, SPM and SP2D by four persons; numbered."""
        name = self.payment_authorised(payable_ids, on)
        issued = call_as(self.payables.IssuePaymentOrder, self.issue(name, on), self.token("treasurer")).payment_order
        return self.numbered(issued.name)

    def payment_authorised(self, payable_ids: Sequence[str], on: date = date(YEAR, 3, 20)) -> str:
        """SPP, verification and SPM by three persons; the request's name."""
        name = self.requested(payable_ids, on).name
        call_as(
            self.payables.VerifyPaymentRequest,
            payables_pb2.VerifyPaymentRequestRequest(name=name, request_id=rid()),
            self.token("verifier"),
        )
        call_as(
            self.payables.AuthorisePaymentRequest,
            payables_pb2.AuthorisePaymentRequestRequest(
                name=name, request_id=rid(), statement_of_responsibility=a_statement(on)
            ),
            self.token("budget_user"),
        )
        return name

    def issue(self, name: str, on: date = date(YEAR, 3, 20)) -> payables_pb2.IssuePaymentOrderRequest:
        """The request for SP2D."""
        return payables_pb2.IssuePaymentOrderRequest(
            payment_request=name,
            treasury_agency_id=str(self.treasury.agency_id),
            issued_on=to_date(on),
            request_id=rid(),
        )

    def numbered(self, name: str) -> payables_pb2.PaymentOrder:
        """The order once the numberer came by."""

        def look() -> payables_pb2.PaymentOrder | None:
            seen = self.order(name)
            return seen if seen.order_number else None

        return wait_until(look, what="the number of the payment order")

    def order(self, name: str) -> payables_pb2.PaymentOrder:
        """The order as it stands."""
        return call_as(
            self.payables.GetPaymentOrder, payables_pb2.GetPaymentOrderRequest(name=name), self.token("treasurer")
        )

    def debit(self, order: payables_pb2.PaymentOrder, **values: Any) -> payables_pb2.RecordBankDebitRequest:
        """The bank's debit of an order's net."""
        return payables_pb2.RecordBankDebitRequest(
            **{
                "name": order.name,
                "bank_reference": f"BANK-{order.payment_order_id[:8]}",
                "value_date": to_date(date(YEAR, 3, 21)),
                "amount": order.net,
                "request_id": rid(),
                **values,
            }
        )

    def debited(self, order: payables_pb2.PaymentOrder, **values: Any) -> payables_pb2.PaymentOrder:
        """The order debited."""
        return call_as(
            self.payables.RecordBankDebit, self.debit(order, **values), self.token("treasurer")
        ).payment_order

    def rejection(self, order: payables_pb2.PaymentOrder, **values: Any) -> payables_pb2.RejectPaymentOrderRequest:
        """The bank's rejection of an order."""
        return payables_pb2.RejectPaymentOrderRequest(
            **{
                "name": order.name,
                "bank_reference": f"REJ-{order.payment_order_id[:8]}",
                "explanation": "account of the payee is closed",
                "rejected_on": to_date(date(YEAR, 3, 21)),
                "request_id": rid(),
                **values,
            }
        )


def new_line(amount: int, *, line_no: int = 1, account: str = GOODS, **values: Any) -> budget_pb2.AppropriationLine:
    """One line to import, in whole rupiah."""
    return budget_pb2.AppropriationLine(
        **{
            "fund_code": FUND,
            "organisation_code": UNIT,
            "account_code": account,
            "line_no": line_no,
            "original": rupiah(amount),
            **values,
        }
    )


def activation(draft: budget_pb2.Appropriation, **values: Any) -> budget_pb2.ActivateAppropriationRequest:
    """The request to put a draft in force, with its own totals."""
    return budget_pb2.ActivateAppropriationRequest(
        **{
            "name": draft.name,
            "control_line_count": draft.line_count,
            "control_total": draft.total,
            "effective_on": to_date(date(YEAR, 1, 1)),
            "request_id": rid(),
            **values,
        }
    )


def a_document(kind: int = budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION, **values: Any) -> budget_pb2.FundsDocument:
    """A document with an id of its own."""
    return budget_pb2.FundsDocument(
        **{"kind": kind, "document_id": str(uuid4()), "document_number": f"REQ/{uuid4().hex[:6]}", **values}
    )


def an_item(budget_line_id: str, amount: int | None = None, units: Any = None, **values: Any) -> budget_pb2.FundsItem:
    """One item, in whole rupiah."""
    item = budget_pb2.FundsItem(**{"document_line_id": str(uuid4()), "budget_line_id": budget_line_id, **values})
    if amount is not None:
        item.amount.CopyFrom(rupiah(amount))
    if units is not None:
        item.quantity.CopyFrom(quantity(units))
    return item
