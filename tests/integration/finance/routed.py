"""A document of every kind that takes routes, made by one person and waiting for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from chassis.testing import Refusal, call_as, refused
from kelola.finance.v1 import (
    budget_override_pb2,
    budget_preparation_pb2,
    budget_year_end_pb2,
    payables_pb2,
    withholding_remittance_pb2,
)
from kelola.logistics.v1 import catalog_pb2
from tests.integration.finance.bank import Bank
from tests.integration.finance.books import Books, rid
from tests.integration.finance.changing import FREEZE, SUPPLEMENTARY, Changing, changed
from tests.integration.finance.ending import Ending
from tests.integration.finance.funds import OFFICERS, Unit, activation
from tests.integration.finance.preparing import Preparing, asked, head
from tests.integration.finance.purchase import Purchase
from tests.integration.finance.routing import HEAD
from tests.integration.finance.test_budget_controls import WARNING, Controlled
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.test_imprest import Cash
from tests.integration.finance.test_ledger_closing import Closing
from tests.integration.finance.test_payables_credit_notes import RETURN, Credits
from tests.integration.finance.test_payables_late_interest import INTEREST, TEN_LATE, Late
from tests.integration.finance.test_payables_offsets import Offsets
from tests.integration.finance.test_payables_penalties import Delivered
from tests.integration.finance.test_payables_remittances import Remitting
from tests.integration.finance.test_treasury_charges import Charges
from tests.integration.finance.works import Contract

# Accounts of their own, so that the government-wide rules of these tests meet no other test's documents.
OFFICE, INSURANCE = "5.1.02.02.01", "5.1.02.02.02"
OBJECT = "5.1.02.02"
SAFETY = "5.2.02.15"
WATERWORKS = "5.2.04.02"


@dataclass
class Case:
    """A document that waits: who made it, and the act that puts it in force."""

    document_id: str
    maker_id: UUID
    method: Any
    request: Callable[[], Any]
    approver: str
    agencies: list[UUID]
    books: Books
    approver_id: UUID

    def act(self, person_id: UUID | None = None) -> Any:
        return call_as(self.method, self.request(), self._token(person_id))

    def refused(self, person_id: UUID | None = None) -> Refusal:
        return refused(self.method, self.request(), self._token(person_id))

    def _token(self, person_id: UUID | None) -> str:
        return self.books.token(self.agencies, self.approver, person_id=person_id or self.approver_id)


def case(unit: Unit, document_id: str, maker: str, method: Any, request: Callable[[], Any], approver: str) -> Case:
    return Case(
        document_id,
        unit.persons[maker],
        method,
        request,
        OFFICERS[approver],
        [unit.agency_id, unit.treasury.agency_id],
        unit.books,
        unit.persons[approver],
    )


def _change(unit: Changing, request: Any) -> Case:
    made = unit.proposed(request)
    return case(
        unit,
        made.budget_change_id,
        "budget_officer",
        unit.changes.ApproveBudgetChange,
        lambda: unit.approval(made),
        "budget_authority",
    )


def supplementary(books: Books) -> Case:
    unit = Changing(books)
    (line,) = unit.lines_of((OFFICE, 1_000))
    return _change(unit, unit.change(SUPPLEMENTARY, lines=[changed(line, 10)]))


def virement(books: Books) -> Case:
    unit = Changing(books)
    giving, receiving = unit.lines_of((OFFICE, 1_000), (INSURANCE, 500))
    return _change(unit, unit.transfer(giving, receiving, 10))


def freeze(books: Books) -> Case:
    unit = Changing(books)
    (line,) = unit.lines_of((OFFICE, 1_000))
    return _change(unit, unit.change(FREEZE, lines=[changed(line, 10)]))


def override(books: Books) -> Case:
    unit = Changing(books)
    (line,) = unit.lines_of((OFFICE, 1_000))
    made = call_as(unit.overrides.CreateBudgetOverride, unit.override((line, 10)), unit.token("budget_officer"))
    return case(
        unit,
        made.budget_override_id,
        "budget_officer",
        unit.overrides.ApproveBudgetOverride,
        lambda: budget_override_pb2.ApproveBudgetOverrideRequest(name=made.name, request_id=rid()),
        "budget_authority",
    )


def control_change(books: Books) -> Case:
    unit = Controlled(books)
    (line,) = unit.lines_of((OFFICE, 1_000))
    made = unit.proposed_control((line, WARNING))
    return case(
        unit,
        made.budget_control_change_id,
        "budget_officer",
        unit.controls.ApproveBudgetControlChange,
        lambda: unit.control_approval(made),
        "budget_authority",
    )


def ceiling(books: Books) -> Case:
    unit = Preparing(books)
    made = unit.proposed_ceiling(head(1_000, account_code="5.1"))
    return case(
        unit,
        made.budget_ceiling_id,
        "budget_officer",
        unit.preparation.ApproveBudgetCeiling,
        lambda: budget_preparation_pb2.ApproveBudgetCeilingRequest(name=made.name, request_id=rid()),
        "budget_authority",
    )


def year_end(books: Books) -> Case:
    unit = Ending(books)
    unit.lines(100, account=OFFICE)
    made = unit.proposed_end()
    return case(
        unit,
        made.budget_year_end_id,
        "budget_officer",
        unit.ends.ApproveBudgetYearEnd,
        lambda: budget_year_end_pb2.ApproveBudgetYearEndRequest(name=made.name, request_id=rid()),
        "budget_authority",
    )


def multi_year(books: Books) -> Case:
    unit = Building(books)
    (line,) = unit.lines_of((OFFICE, 1_000))
    request = unit.contract(line, 100, 100)
    made = call_as(unit.years.CreateMultiYearAuthorisation, request, unit.token("budget_officer"))
    return case(
        unit,
        made.multi_year_authorisation_id,
        "budget_officer",
        unit.years.ApproveMultiYearAuthorisation,
        lambda: unit.approve_request(made),
        "budget_authority",
    )


def bought(books: Books, *, units: int = 10) -> tuple[Purchase, payables_pb2.Invoice]:
    """Ten ordered and accepted at 50 000 on an account of these tests, and invoiced."""
    unit = Unit(books)
    (line,) = unit.lines(6_000_000, account=SAFETY)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 50_000, treatment=catalog_pb2.GOODS_TREATMENT_ASSET).issued()
    purchase.accepted(units)
    return purchase, purchase.invoiced(10, 50_000)


def invoice(books: Books) -> Case:
    purchase, made = bought(books)
    unit = purchase.unit
    return case(
        unit,
        made.invoice_id,
        "invoice_clerk",
        unit.payables.ApproveInvoice,
        lambda: purchase.approval(made),
        "budget_user",
    )


def credit_note(books: Books) -> Case:
    purchase, made = bought(books)
    purchase.approved(made)
    credits = Credits(purchase)
    note = credits.registered(made, RETURN, 100_000, units=2)
    return case(
        purchase.unit,
        note.credit_note_id,
        "invoice_clerk",
        credits.stub.ApproveCreditNote,
        lambda: credits.approval(note),
        "budget_user",
    )


def bill(books: Books) -> Case:
    unit = Unit(books)
    contract = Contract(unit, 1_000, account=WATERWORKS)
    made = contract.billed(100)
    return case(
        unit,
        made.bill_id,
        "invoice_clerk",
        contract.billing.CertifyBill,
        lambda: contract.certification(made),
        "budget_user",
    )


def voucher(books: Books) -> Case:
    unit = Unit(books)
    cash = Cash(unit, 300).opened()
    (line,) = unit.lines(1_000, account=OFFICE)
    unit.allotted()
    made = cash.approved(50, budget_line_id=line)
    return case(
        unit,
        made.imprest_voucher_id,
        "budget_user",
        cash.stub.PayImprestVoucher,
        lambda: cash.payment(made, 50),
        "expenditure_treasurer",
    )


def _bank_case(bank: Bank, document_id: str, method: Any, request: Callable[[], Any]) -> Case:
    unit = bank.unit
    return Case(
        document_id,
        bank.persons["treasurer"],
        method,
        request,
        "finance.treasury_head",
        [unit.agency_id, unit.treasury.agency_id],
        unit.books,
        bank.persons["head"],
    )


def payee_account(books: Books) -> Case:
    bank = Bank(Unit(books))
    made = bank.did("CreatePayeeAccount", bank.payee_account(str(uuid4())), "treasurer")
    return _bank_case(bank, made.payee_account_id, bank.stub.ApprovePayeeAccount, lambda: bank.approval(made))


def payment_run(books: Books) -> Case:
    bank = Bank(Unit(books))
    (line,) = bank.unit.lines(1_000_000)
    bank.unit.allotted()
    made = bank.run(bank.order(line))
    return _bank_case(bank, made.payment_run_id, bank.stub.ApprovePaymentRun, lambda: bank.approve_request(made))


def remittance(books: Books) -> Case:
    remitting = Remitting(books)
    made = remitting.proposed()
    return _bank_case(
        remitting.bank,
        made.withholding_remittance_id,
        remitting.stub.ApproveWithholdingRemittance,
        lambda: withholding_remittance_pb2.ApproveWithholdingRemittanceRequest(name=made.name, request_id=rid()),
    )


def late_interest(books: Books) -> Case:
    late = Late(books)
    made = late.proposed(TEN_LATE)
    return case(
        late.unit,
        made.late_interest_charge_id,
        "invoice_clerk",
        late.stub.ApproveLateInterestCharge,
        lambda: late.approval(made),
        "budget_user",
    )


def penalty(books: Books) -> Case:
    delivered = Delivered(books, account=SAFETY, treatment=catalog_pb2.GOODS_TREATMENT_ASSET)
    made = delivered.assessed()
    return case(
        delivered.unit,
        made.late_delivery_penalty_id,
        "invoice_clerk",
        delivered.stub.ApproveLateDeliveryPenalty,
        lambda: delivered.approval(made),
        "budget_user",
    )


def offset(books: Books) -> Case:
    offsets = Offsets(books)
    made = offsets.proposed(offsets.note())
    return case(
        offsets.unit,
        made.credit_offset_id,
        "invoice_clerk",
        offsets.stub.ApproveCreditOffset,
        lambda: offsets.approval(made),
        "budget_user",
    )


def bank_charge(books: Books) -> Case:
    charges = Charges(books)
    made = charges.proposed(charges.entry())
    one = _bank_case(charges.bank, made.bank_charge_id, charges.stub.ApproveBankCharge, lambda: charges.approval(made))
    one.maker_id = charges.bank.persons["reconciler"]
    return one


def reopening(books: Books) -> Case:
    unit = Unit(books)
    unit.agency.close(1)
    closing = Closing(unit.agency)
    maker = uuid4()
    made = closing.proposed(1, token=closing.officer(HEAD, person_id=maker))
    return Case(
        made.fiscal_period_reopening_id,
        maker,
        closing.stub.ApproveFiscalPeriodReopening,
        lambda: closing.approve(made),
        "finance.budget_authority",
        [unit.agency_id, unit.treasury.agency_id],
        books,
        uuid4(),
    )


def appropriation(books: Books) -> Case:
    unit = Unit(books)
    made = unit.imported(1_000, account=OFFICE).appropriation
    return case(
        unit,
        made.appropriation_id,
        "budget_officer",
        unit.budget.ActivateAppropriation,
        lambda: activation(made),
        "budget_authority",
    )


def budget_request(books: Books) -> Case:
    unit = Preparing(books)
    unit.ceiling(head(1_000))
    made = unit.reviewed(unit.submitted(unit.opened(asked(1_000, account=OFFICE))))
    return case(
        unit,
        made.budget_request_id,
        "budget_user",
        unit.preparation.ApproveBudgetRequest,
        lambda: unit.approving(made),
        "budget_authority",
    )


CASES = [
    ("SUPPLEMENTARY_BUDGET", supplementary, OBJECT),
    ("VIREMENT", virement, OBJECT),
    ("BUDGET_FREEZE", freeze, OBJECT),
    ("BUDGET_OVERRIDE", override, OBJECT),
    ("BUDGET_CONTROL_CHANGE", control_change, OBJECT),
    ("BUDGET_CEILING", ceiling, OBJECT),
    ("BUDGET_YEAR_END", year_end, OBJECT),
    ("MULTI_YEAR_AUTHORISATION", multi_year, OBJECT),
    ("INVOICE", invoice, SAFETY),
    ("CREDIT_NOTE", credit_note, SAFETY),
    ("BILL", bill, WATERWORKS),
    ("IMPREST_VOUCHER", voucher, OBJECT),
    ("PAYEE_ACCOUNT", payee_account, ""),
    ("PAYMENT_RUN", payment_run, ""),
    ("FISCAL_PERIOD_REOPENING", reopening, ""),
    ("WITHHOLDING_REMITTANCE", remittance, ""),
    ("LATE_INTEREST_CHARGE", late_interest, INTEREST),
    ("BANK_CHARGE", bank_charge, ""),
    ("LATE_DELIVERY_PENALTY", penalty, SAFETY),
    ("CREDIT_OFFSET", offset, ""),
    ("APPROPRIATION", appropriation, OBJECT),
    ("BUDGET_REQUEST", budget_request, OBJECT),
]
