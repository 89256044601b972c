"""The treasury and its bank: payees' accounts, payment orders, runs, the bank's answers. The files lie in one folder.

The bank is the demo's own: it rejects a payment before the debit when told to, and states every other one as debited.
Its statements begin with what the treasury had there before the story, which is in no books of it. The treasury has an
account in rupiah and one in dollars; a run pays from one account, so what is owed in dollars has runs of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from chassis.money import Money
from chassis.wire import from_money, to_date
from cli.demo import paying
from cli.demo.acting import DemoStopped
from cli.demo_year import bank_files, cast
from cli.demo_year.bank_files import ACCEPTED, REJECTED, WRONG_ACCOUNT, Debit, Status
from cli.demo_year.year import Year, day, shown
from kelola.finance.v1 import payables_pb2, payables_pb2_grpc, treasury_pb2, treasury_pb2_grpc

_TREASURY = treasury_pb2_grpc.TreasuryServiceStub
_PAYABLES = payables_pb2_grpc.PayablesServiceStub
_ANSWERED = {treasury_pb2.BANK_ANSWER_OUTCOME_REJECTED, treasury_pb2.BANK_ANSWER_OUTCOME_ACCEPTED}


@dataclass(frozen=True)
class Claim:
    """A payable that is to be paid, and the step that pays it."""

    unit: str
    payable_id: str
    step: str


@dataclass(frozen=True)
class Kept:
    """An account that the treasury keeps: where it stands in the books, its number, what was there before the story."""

    cash_account: str
    number: str
    name: str
    before: Money

    @property
    def currency(self) -> str:
        """The currency of the account."""
        return self.before.currency


RUPIAH = Kept("1.1.01.01", "8800120001", "Bank Aceh Syariah", Money(50_000_000_000_00, cast.CURRENCY))
DOLLARS = Kept("1.1.01.07", "8800120002", "Bank Aceh Syariah, dolar", Money(5_000_00, cast.DOLLAR))


@dataclass
class Bank:
    """One of the treasury's accounts, and what the bank knows of it."""

    year: Year
    folder: Path
    kept: Kept
    account: Any
    balance: Money
    statements: int = 0
    payees: dict[tuple[str, str], int] = field(default_factory=dict)  # (unit, creditor) -> accounts so far

    @classmethod
    def open(cls, year: Year, folder: Path, kept: Kept) -> Bank:
        """An account of the treasury, kept by its head."""
        account = year.government.do(
            _TREASURY,
            "CreateBankAccount",
            treasury_pb2.CreateBankAccountRequest(
                bank_account=treasury_pb2.BankAccount(
                    agency_id=year.treasury_id,
                    account_code=kept.cash_account,
                    display_name=kept.name,
                    holder_name="RKUD Pemerintah Aceh",
                    account_number=kept.number,
                    account_number_kind=treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
                    bic="PDACIDJ1XXX",
                    currency_code=kept.currency,
                    valid_from=day(1, 1),
                )
            ),
            by="treasury_head",
            step=f"bank-account/{kept.currency}",
        )
        return cls(year, folder, kept, account, kept.before)

    def payee(self, unit: str, creditor: str, *, since: date) -> None:
        """The creditor's account as one person proposes and another approves it; it follows the one before it."""
        number = self.payees[unit, creditor] = self.payees.get((unit, creditor), 0) + 1
        step = f"payee/{self.kept.currency}/{unit}/{creditor}/{number}"
        proposed = self.year.government.do(
            _TREASURY,
            "CreatePayeeAccount",
            treasury_pb2.CreatePayeeAccountRequest(
                payee_account=treasury_pb2.PayeeAccount(
                    agency_id=self.year.unit_id(unit),
                    creditor=creditor,
                    holder_name=f"Rekening {len(self.payees)}",
                    account_number=f"12{len(self.payees):04d}{number:04d}",
                    account_number_kind=treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
                    clearing_code="008",
                    currency_code=self.kept.currency,
                    valid_from=to_date(since),
                )
            ),
            by="treasurer",
            step=step,
        )
        self.year.government.do(
            _TREASURY,
            "ApprovePayeeAccount",
            treasury_pb2.ApprovePayeeAccountRequest(name=proposed.name),
            by="treasury_head",
            step=f"{step}/approve",
        )

    def pay(self, claims: Sequence[Claim], *, on: date, rejected: str = "") -> list[dict[str, Any]]:
        """One order for each claim, one run for all; what its bank makes of each. `rejected` names a step."""
        issued = {claim.step: self._issue(claim, on) for claim in claims}
        # The numbers come together: they are waited for when all orders are there.
        orders = {step: paying.numbered(self.year.government, order, step) for step, order in issued.items()}
        run = self._run(list(orders.values()), on)
        message_id = self._export(run, on)
        steps = {order.payment_order_id: step for step, order in orders.items()}
        refused = [one for one in run.instructions if steps[one.payment_order_id] == rejected]
        paid = [one for one in run.instructions if one not in refused]
        if refused:
            statuses = [Status(_end_to_end(one), REJECTED, WRONG_ACCOUNT) for one in refused]
            statuses += [Status(_end_to_end(one), ACCEPTED) for one in paid]
            self._import(
                f"pain.002-{self._named(on)}", bank_files.status_report(message_id, statuses, on=on), _ANSWERED
            )
        if paid:
            self._state(paid, on)
        return [self._outcome(step, order) for step, order in orders.items()]

    def reconciled(self, *, as_of: date) -> dict[str, Any]:
        """Books less statement, explained to the last minor unit; DemoStopped when it is not."""
        found = self.year.government.read(
            _TREASURY,
            "GetBankReconciliation",
            treasury_pb2.GetBankReconciliationRequest(
                bank_account_id=self.account.bank_account_id, as_of=to_date(as_of)
            ),
            by="reconciler",
        )
        if from_money(found.unexplained).minor or from_money(found.statement_balance) != self.balance:
            raise DemoStopped(f"the bank's statement is not explained by the books: {found}")
        return {
            "books": shown(found.ledger_balance),
            "statement": shown(found.statement_balance),
            "before_the_story": shown(found.opening_balance),
            "in_books_only": shown(found.in_books_only),
            "on_statement_only": shown(found.on_statement_only),
        }

    # --- the steps of a payment ----------------------------------------------------------------------------------

    def _named(self, on: date) -> str:
        return f"{self.kept.currency}-{on}"

    def _issue(self, claim: Claim, on: date) -> Any:
        payable = self.year.government.read(
            _PAYABLES,
            "GetPayable",
            payables_pb2.GetPayableRequest(name=f"payables/{claim.payable_id}"),
            by="expenditure_treasurer",
        )
        if (claim.unit, payable.creditor) not in self.payees:
            self.payee(claim.unit, payable.creditor, since=date(on.year, 1, 1))
        return paying.issue(
            self.year.government,
            self.year.foundation,
            self.year.unit_id(claim.unit),
            [claim.payable_id],
            claim.step,
            on=on,
        )

    def _run(self, orders: Sequence[Any], on: date) -> Any:
        run = self.year.government.do(
            _TREASURY,
            "CreatePaymentRun",
            treasury_pb2.CreatePaymentRunRequest(
                payment_run=treasury_pb2.PaymentRun(
                    agency_id=self.year.treasury_id,
                    bank_account_id=self.account.bank_account_id,
                    execution_on=to_date(on),
                ),
                payment_order_ids=[order.payment_order_id for order in orders],
            ),
            by="treasurer",
            step=f"run/{self._named(on)}",
        )
        if run.omissions:
            raise DemoStopped(f"the run of {on} leaves payments out: {run.omissions}")
        self.year.government.do(
            _TREASURY,
            "ApprovePaymentRun",
            treasury_pb2.ApprovePaymentRunRequest(
                name=run.name, control_count=run.instruction_count, control_total=run.total
            ),
            by="treasury_head",
            step=f"run/{self._named(on)}/approve",
        )
        return run

    def _export(self, run: Any, on: date) -> str:
        file = self.year.government.do(
            _TREASURY,
            "ExportPaymentRun",
            treasury_pb2.ExportPaymentRunRequest(
                name=run.name, file_format=treasury_pb2.PAYMENT_FILE_FORMAT_PAIN_001_001_09
            ),
            by="treasurer",
            step=f"run/{self._named(on)}/export",
        )
        (self.folder / f"pain.001-{self._named(on)}.xml").write_bytes(file.content)
        return str(file.message_id)

    def _state(self, paid: Sequence[Any], on: date) -> None:
        """The statement of the day: each payment debited."""
        debits = [
            Debit(_end_to_end(one), f"B{_end_to_end(one)[-16:]}", from_money(one.amount), one.order_number)
            for one in paid
        ]
        content, closing = bank_files.statement(
            self.kept.number, debits, number=self.statements + 1, opening=self.balance, on=on
        )
        self._import(f"camt.053-{self._named(on)}", content, {treasury_pb2.BANK_ANSWER_OUTCOME_DEBITED})
        self.statements, self.balance = self.statements + 1, closing

    def _import(self, name: str, content: bytes, outcomes: set[int]) -> None:
        (self.folder / f"{name}.xml").write_bytes(content)
        said = self.year.government.do(
            _TREASURY,
            "ImportBankFile",
            treasury_pb2.ImportBankFileRequest(
                agency_id=self.year.treasury_id, file_name=f"{name}.xml", content=content
            ),
            by="reconciler",
            step=f"bank/{name}",
        ).bank_file
        if {answer.outcome for answer in said.answers} != outcomes:
            raise DemoStopped(f"{name}: the bank's answers came to {said.answers}")

    def _outcome(self, step: str, order: Any) -> dict[str, Any]:
        seen = self.year.government.read(
            _PAYABLES, "GetPaymentOrder", payables_pb2.GetPaymentOrderRequest(name=order.name), by="treasurer"
        )
        abroad = {}
        if seen.HasField("foreign_amount"):
            abroad = {"paid": shown(seen.foreign_amount), "left the account": shown(seen.debited_amount)}
        return {
            "payment": step,
            "order": seen.order_number,
            "gross": shown(seen.gross),
            "net": shown(seen.net),
            **abroad,
            "status": payables_pb2.PaymentOrderStatus.Name(seen.status).removeprefix("PAYMENT_ORDER_STATUS_"),
        }


def _end_to_end(instruction: Any) -> str:
    return str(instruction.payment_instruction_id).replace("-", "")
