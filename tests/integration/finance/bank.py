"""A treasury with its bank: accounts, runs, and the files that a bank would send, as text. All calls are public API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import payables_pb2, treasury_pb2, treasury_pb2_grpc
from services.finance.treasury import verify as treasury_verify
from tests.integration.finance.books import YEAR, minor, rid, rupiah
from tests.integration.finance.funds import Unit
from tests.integration.finance.purchase import Purchase
from tests.unit.finance import bank_samples

CASH = "1.1.01.01"
DAY = date(YEAR, 3, 21)
ROLES = {
    "treasurer": "finance.treasurer",
    "head": "finance.treasury_head",
    "reconciler": "finance.reconciler",
}
P09 = treasury_pb2.PAYMENT_FILE_FORMAT_PAIN_001_001_09
P03 = treasury_pb2.PAYMENT_FILE_FORMAT_PAIN_001_001_03
_numbers = count(1)


@dataclass
class Bank:
    """The treasury of one unit, its officers, and its account at a bank."""

    unit: Unit
    account_number: str = field(default_factory=lambda: f"88{next(_numbers):010d}")
    account_code: str = CASH
    persons: dict[str, UUID] = field(default_factory=lambda: {label: uuid4() for label in ROLES})
    stub: Any = field(init=False)
    account: treasury_pb2.BankAccount = field(init=False)

    def __post_init__(self) -> None:
        self.stub = treasury_pb2_grpc.TreasuryServiceStub(self.unit.books.service.channel)
        self.account = self.opened()

    # --- who -----------------------------------------------------------------------------------------------------

    @property
    def treasury_id(self) -> str:
        return str(self.unit.treasury.agency_id)

    def token(self, label: str, *, person_id: UUID | None = None, agencies: Sequence[UUID] | None = None) -> str:
        """An officer of the treasury; of another person with the same role if named."""
        held = agencies if agencies is not None else [self.unit.agency_id, self.unit.treasury.agency_id]
        return self.unit.books.token(held, ROLES[label], person_id=person_id or self.persons[label])

    def did(self, name: str, request: Any, by: str, **who: Any) -> Any:
        """A call that must pass."""
        return call_as(getattr(self.stub, name), request, self.token(by, **who))

    def refused(self, name: str, request: Any, by: str, **who: Any) -> Refusal:
        """A call that must be refused."""
        return refused(getattr(self.stub, name), request, self.token(by, **who))

    # --- accounts ------------------------------------------------------------------------------------------------

    def bank_account(self, **values: Any) -> treasury_pb2.CreateBankAccountRequest:
        account = treasury_pb2.BankAccount(
            **{
                "agency_id": self.treasury_id,
                "account_code": self.account_code,
                "display_name": "Bank Jawa Barat",
                "holder_name": "RKUD Provinsi",
                "account_number": self.account_number,
                "account_number_kind": treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
                "bic": "PDJBIDJAXXX",
                "currency_code": "IDR",
                "valid_from": to_date(date(YEAR, 1, 1)),
                **values,
            }
        )
        return treasury_pb2.CreateBankAccountRequest(bank_account=account, request_id=rid())

    def opened(self, **values: Any) -> treasury_pb2.BankAccount:
        return self.did("CreateBankAccount", self.bank_account(**values), "head")

    def payee_account(self, creditor: str, **values: Any) -> treasury_pb2.CreatePayeeAccountRequest:
        account = treasury_pb2.PayeeAccount(
            **{
                "agency_id": str(self.unit.agency_id),
                "creditor": creditor,
                "holder_name": "CV Maju Jaya",
                "account_number": f"12{next(_numbers):08d}",
                "account_number_kind": treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
                "clearing_code": "008",
                "currency_code": "IDR",
                "valid_from": to_date(date(YEAR, 1, 1)),
                **values,
            }
        )
        return treasury_pb2.CreatePayeeAccountRequest(payee_account=account, request_id=rid())

    def approval(self, account: treasury_pb2.PayeeAccount) -> treasury_pb2.ApprovePayeeAccountRequest:
        return treasury_pb2.ApprovePayeeAccountRequest(name=account.name, request_id=rid())

    def payee(self, creditor: str, **values: Any) -> treasury_pb2.PayeeAccount:
        """An approved payee account."""
        proposed = self.did("CreatePayeeAccount", self.payee_account(creditor, **values), "treasurer")
        return self.did("ApprovePayeeAccount", self.approval(proposed), "head").payee_account

    # --- orders and runs -----------------------------------------------------------------------------------------

    def order(
        self, line: str, units: int = 1, price: int = 100_000, *, payee: bool = True
    ) -> payables_pb2.PaymentOrder:
        """A numbered payment order over units × price rupiah (nothing withheld below the thresholds)."""
        purchase = Purchase(self.unit, line, units, price).issued()
        purchase.accepted(units)
        payable = purchase.approved(purchase.invoiced(units, price))
        if payee:
            self.payee(payable.creditor)
        return self.unit.ordered([payable.payable_id])

    def run_request(
        self, orders: Sequence[payables_pb2.PaymentOrder] = (), *, urgent: Sequence[str] = (), **values: Any
    ) -> treasury_pb2.CreatePaymentRunRequest:
        run = treasury_pb2.PaymentRun(
            **{
                "agency_id": self.treasury_id,
                "bank_account_id": self.account.bank_account_id,
                "execution_on": to_date(DAY),
                **values,
            }
        )
        return treasury_pb2.CreatePaymentRunRequest(
            payment_run=run,
            payment_order_ids=[order.payment_order_id for order in orders],
            urgent_payment_order_ids=urgent,
            request_id=rid(),
        )

    def run(self, *orders: payables_pb2.PaymentOrder, **values: Any) -> treasury_pb2.PaymentRun:
        return self.did("CreatePaymentRun", self.run_request(orders, **values), "treasurer")

    def approve_request(self, run: treasury_pb2.PaymentRun) -> treasury_pb2.ApprovePaymentRunRequest:
        return treasury_pb2.ApprovePaymentRunRequest(
            name=run.name, control_count=run.instruction_count, control_total=run.total, request_id=rid()
        )

    def approved(self, run: treasury_pb2.PaymentRun) -> treasury_pb2.PaymentRun:
        return self.did("ApprovePaymentRun", self.approve_request(run), "head").payment_run

    def export_request(self, run: treasury_pb2.PaymentRun, form: int = P09) -> treasury_pb2.ExportPaymentRunRequest:
        return treasury_pb2.ExportPaymentRunRequest(name=run.name, file_format=form, request_id=rid())

    def exported(self, run: treasury_pb2.PaymentRun, form: int = P09) -> treasury_pb2.ExportPaymentRunResponse:
        return self.did("ExportPaymentRun", self.export_request(run, form), "treasurer")

    def sent(self, *orders: payables_pb2.PaymentOrder, **values: Any) -> treasury_pb2.PaymentRun:
        """A run of these orders whose file the bank has."""
        run = self.run(*orders, **values)
        self.approved(run)
        self.exported(run)
        return self.seen_run(run)

    def seen_run(self, run: treasury_pb2.PaymentRun) -> treasury_pb2.PaymentRun:
        return self.did("GetPaymentRun", treasury_pb2.GetPaymentRunRequest(name=run.name), "treasurer")

    # --- what the bank sends -------------------------------------------------------------------------------------

    def import_request(self, content: bytes | str, **values: Any) -> treasury_pb2.ImportBankFileRequest:
        body = content.encode() if isinstance(content, str) else content
        return treasury_pb2.ImportBankFileRequest(
            **{"agency_id": self.treasury_id, "file_name": "bank.xml", "content": body, "request_id": rid(), **values}
        )

    def imported(self, content: bytes | str) -> treasury_pb2.ImportBankFileResponse:
        return self.did("ImportBankFile", self.import_request(content), "reconciler")

    def outcomes(self, content: bytes | str) -> list[str]:
        """What each status or entry of a file came to."""
        answers = self.imported(content).bank_file.answers
        name = treasury_pb2.BankAnswerOutcome.Name
        return [name(one.outcome).removeprefix("BANK_ANSWER_OUTCOME_") for one in answers]

    def statement(self, entries: Sequence[str], **values: Any) -> str:
        return bank_samples.camt_053(entries, account=self.account_number, **{"on": DAY, **values})

    def notification(self, entries: Sequence[str], **values: Any) -> str:
        return bank_samples.camt_054(entries, account=self.account_number, **{"on": DAY, **values})

    def unmatched(self) -> list[treasury_pb2.BankEntry]:
        request = treasury_pb2.ListUnmatchedBankEntriesRequest(agency_id=self.treasury_id)
        return list(self.did("ListUnmatchedBankEntries", request, "reconciler").bank_entries)

    def match(
        self, entry: treasury_pb2.BankEntry, order: payables_pb2.PaymentOrder
    ) -> treasury_pb2.MatchBankEntryRequest:
        return treasury_pb2.MatchBankEntryRequest(
            name=entry.name, payment_order=order.name, explanation="seen on the paper slip", request_id=rid()
        )

    def returns(self) -> list[treasury_pb2.PaymentReturn]:
        request = treasury_pb2.ListPaymentReturnsRequest(agency_id=self.treasury_id)
        return list(self.did("ListPaymentReturns", request, "reconciler").payment_returns)

    def reconciled(self, as_of: date = date(YEAR, 12, 31)) -> treasury_pb2.GetBankReconciliationResponse:
        request = treasury_pb2.GetBankReconciliationRequest(
            bank_account_id=self.account.bank_account_id, as_of=to_date(as_of)
        )
        return self.did("GetBankReconciliation", request, "reconciler")

    # --- what the books say --------------------------------------------------------------------------------------

    def status(self, order: payables_pb2.PaymentOrder) -> str:
        name = payables_pb2.PaymentOrderStatus.Name(self.unit.order(order.name).status)
        return name.removeprefix("PAYMENT_ORDER_STATUS_")

    def balance(self, account_code: str) -> int:
        """A balance of the treasury in whole rupiah, debit above zero."""
        return self.unit.treasury.balances().get(account_code, 0) // 100

    def problems(self) -> list[str]:
        """What budget, payables and treasury find wrong in the database."""
        engine = create_engine(sqlalchemy_url(self.unit.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            own = [f"{one.invariant} {one.what}" for one in treasury_verify.problems(connection)]
        return [*self.unit.problems(), *own]

    def row(self, query: str, *values: Any) -> tuple[Any, ...]:
        """One row of the database, past row-level security."""
        with psycopg.connect(self.unit.books.superuser_url, autocommit=True) as connection:
            found = connection.execute(query, values).fetchone()
        assert found is not None
        return found


def entry(amount: int, **values: Any) -> str:
    """A booked entry of the day."""
    return bank_samples.entry(amount, **{"on": DAY, **values})


def pain_002(run: treasury_pb2.PaymentRun, statuses: Sequence[tuple[str, str]] = (), **values: Any) -> str:
    """A status report on a run."""
    message_id = run.payment_run_id.replace("-", "")
    return bank_samples.pain_002(message_id, statuses, **{"on": DAY, **values})


def end_to_end(run: treasury_pb2.PaymentRun, order: payables_pb2.PaymentOrder) -> str:
    """The name under which the bank knows an order of a run."""
    (one,) = [each for each in run.instructions if each.payment_order_id == order.payment_order_id]
    return one.payment_instruction_id.replace("-", "")


__all__ = ["CASH", "DAY", "P03", "P09", "Bank", "end_to_end", "entry", "minor", "pain_002", "rupiah"]
