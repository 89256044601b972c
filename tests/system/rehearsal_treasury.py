"""The second government's bank: accounts, a run and its file, the bank's answers, a return, a re-issue, a fee."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from kelola.finance.v1 import bank_charge_pb2, payables_pb2, treasury_pb2
from tests.system.rehearsal import TODAY, Company
from tests.system.rehearsal_hr import FOREIGN_PAYROLL
from tests.system.rehearsal_logistics import order_numbered
from tests.unit.finance import bank_samples

_ACCOUNT = "8800700001"
_DAY = date(TODAY.year, TODAY.month, TODAY.day)
_YEAR_END = to_date(date(TODAY.year, 12, 31))
TREASURER, HEAD, RECONCILER = "treasurer", "treasury_head", "reconciler"


def go_to_the_bank(company: Company) -> None:
    """Call every RPC of TreasuryService on the pay that the bank rejected before."""
    account = _bank_account(company)
    payee = _payee_account(company)
    payables = _open_pay(company)
    _stop(company, order_numbered(company, payables))
    order = order_numbered(company, payables)
    run = _run(company, account, order)
    _import(company, [bank_samples.entry(order.net.units, e2e=_end_to_end(run, order), on=_DAY)])
    returned = company.act(
        treasury_pb2.RecordPaymentReturnRequest(
            payment_order=order.name,
            bank_reference="RETUR-UJI",
            explanation="Rekening tutup",
            returned_on=TODAY,
            amount=order.net,
        ),
        by=RECONCILER,
    ).payment_return
    company.act(
        treasury_pb2.ReissuePaymentRequest(name=returned.name, payee_account=payee.name, reissued_on=TODAY),
        by=TREASURER,
    )
    _run(company, account, order)
    _by_hand(company, account, order)
    _read(company, account, payee, returned)


def _bank_account(company: Company) -> Any:
    def account(number: str, code: str) -> treasury_pb2.CreateBankAccountRequest:
        return treasury_pb2.CreateBankAccountRequest(
            bank_account=treasury_pb2.BankAccount(
                agency_id=company.agencies["treasury"],
                account_code=code,
                display_name="Bank Uji",
                holder_name="RKUD Uji",
                account_number=number,
                account_number_kind=treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
                bic="PDJBIDJAXXX",
                currency_code="IDR",
                valid_from=TODAY,
            )
        )

    made = company.act(account(_ACCOUNT, "1.1.01.01"), by=HEAD)
    unused = company.act(account("8800700002", "1.1.01.07"), by=HEAD)
    company.act(treasury_pb2.CloseBankAccountRequest(name=unused.name, valid_to=_YEAR_END), by=HEAD)
    return made


def _payee_account(company: Company) -> Any:
    request = treasury_pb2.CreatePayeeAccountRequest(
        payee_account=treasury_pb2.PayeeAccount(
            agency_id=company.agencies["unit"],
            creditor="EMPLOYEES",
            holder_name="Bendahara Gaji Uji",
            account_number="1200700001",
            account_number_kind=treasury_pb2.ACCOUNT_NUMBER_KIND_LOCAL,
            clearing_code="008",
            currency_code="IDR",
            valid_from=TODAY,
        )
    )
    unused = company.act(request, by=TREASURER)
    company.act(treasury_pb2.ClosePayeeAccountRequest(name=unused.name, valid_to=_YEAR_END), by=TREASURER)
    made = company.act(request, by=TREASURER)
    approve = treasury_pb2.ApprovePayeeAccountRequest(name=made.name)
    company.refused_to_its_maker(approve, maker=TREASURER, checker=HEAD)
    return company.act(approve, by=HEAD).payee_account


def _open_pay(company: Company) -> list[str]:
    request = payables_pb2.ListPayablesRequest(
        agency_id=company.agencies["unit"], status=payables_pb2.PAYABLE_STATUS_OPEN, page_size=500
    )
    listed = company.read(request, by="expenditure_treasurer").payables
    # Not that of the run which hr never heard of.
    return [
        next(
            each.payable_id
            for each in listed
            if each.creditor == "EMPLOYEES" and each.source_document_number != FOREIGN_PAYROLL
        )
    ]


def _stop(company: Company, order: Any) -> None:
    company.act(
        treasury_pb2.StopPaymentOrderRequest(name=order.name, explanation="Salah rekening", stopped_on=TODAY),
        by=TREASURER,
    )


def _run(company: Company, account: Any, order: Any) -> Any:
    request = treasury_pb2.CreatePaymentRunRequest(
        payment_run=treasury_pb2.PaymentRun(
            agency_id=company.agencies["treasury"], bank_account_id=account.bank_account_id, execution_on=TODAY
        ),
        payment_order_ids=[order.payment_order_id],
    )
    unwanted = company.act(request, by=TREASURER)
    company.act(treasury_pb2.CancelPaymentRunRequest(name=unwanted.name, explanation="Batal"), by=TREASURER)
    run = company.act(request, by=TREASURER)
    approve = treasury_pb2.ApprovePaymentRunRequest(
        name=run.name, control_count=run.instruction_count, control_total=run.total
    )
    company.refused_to_its_maker(approve, maker=TREASURER, checker=HEAD)
    company.act(approve, by=HEAD)
    company.act(
        treasury_pb2.ExportPaymentRunRequest(
            name=run.name, file_format=treasury_pb2.PAYMENT_FILE_FORMAT_PAIN_001_001_09
        ),
        by=TREASURER,
    )
    company.read(treasury_pb2.GetPaymentRunRequest(name=run.name), by=TREASURER)
    return run


def _end_to_end(run: Any, order: Any) -> str:
    (one,) = [each for each in run.instructions if each.payment_order_id == order.payment_order_id]
    return str(one.payment_instruction_id).replace("-", "")


def _import(company: Company, entries: list[str], closing: int | None = None) -> Any:
    said: dict[str, Any] = {"account": _ACCOUNT, "on": _DAY}
    file = (
        bank_samples.camt_054(entries, **said)
        if closing is None
        else bank_samples.camt_053(entries, closing=closing, **said)
    )
    request = treasury_pb2.ImportBankFileRequest(
        agency_id=company.agencies["treasury"], file_name=f"{uuid4().hex}.xml", content=file.encode()
    )
    return company.act(request, by=RECONCILER).bank_file


def _by_hand(company: Company, account: Any, order: Any) -> None:
    """A debit that names nothing, on a statement, matched by a person."""
    amount = order.net.units
    file = _import(company, [bank_samples.entry(amount, text="transfer", on=_DAY)], closing=-amount)
    company.read(treasury_pb2.GetBankFileRequest(name=file.name), by=RECONCILER)
    statement = f"bankStatements/{file.bank_statement_ids[0]}"
    company.read(treasury_pb2.GetBankStatementRequest(name=statement), by=RECONCILER)
    company.read(
        treasury_pb2.ListBankStatementsRequest(
            agency_id=company.agencies["treasury"], bank_account_id=account.bank_account_id
        ),
        by=RECONCILER,
    )
    waiting = company.read(
        treasury_pb2.ListUnmatchedBankEntriesRequest(agency_id=company.agencies["treasury"], page_size=3),
        by=RECONCILER,
    ).bank_entries
    company.act(
        treasury_pb2.MatchBankEntryRequest(
            name=waiting[0].name, payment_order=order.name, explanation="Slip dari bank"
        ),
        by=RECONCILER,
    )
    company.read(treasury_pb2.ListBankEntriesRequest(bank_account_id=account.bank_account_id), by=RECONCILER)


def book_charges(company: Company, budget_line_id: str) -> None:
    """The bank takes a fee, which is rejected once and then borne by the line, and pays interest."""
    file = _import(
        company,
        [
            bank_samples.entry(5_000, code="ACMT/MDOP/CHRG", reference="BIAYA-UJI", on=_DAY),
            bank_samples.entry(7_000, code="ACMT/MCOP/INTR", reference="JASA-GIRO-UJI", debit=False, on=_DAY),
        ],
    )
    entry_ids = [answer.bank_entry_id for answer in file.answers]
    waiting = company.read(
        treasury_pb2.ListUnmatchedBankEntriesRequest(agency_id=company.agencies["treasury"], page_size=500),
        by=RECONCILER,
    ).bank_entries
    by_code = {one.transaction_code: one.bank_entry_id for one in waiting if one.bank_entry_id in entry_ids}
    fee = bank_charge_pb2.CreateBankChargeRequest(
        bank_charge=bank_charge_pb2.BankCharge(
            agency_id=company.agencies["treasury"],
            bank_entry_id=by_code["ACMT/MDOP/CHRG"],
            kind=bank_charge_pb2.BANK_CHARGE_KIND_FEE,
            bearing_agency_id=company.agencies["unit"],
            budget_line_id=budget_line_id,
            explanation="Biaya administrasi",
        )
    )
    unwanted = company.act(fee, by=RECONCILER)
    reject = bank_charge_pb2.RejectBankChargeRequest(name=unwanted.name, explanation="Cek lagi")
    company.refused_to_its_maker(reject, maker=RECONCILER, checker=HEAD)
    company.act(reject, by=HEAD)
    wanted = company.act(fee, by=RECONCILER)
    approve = bank_charge_pb2.ApproveBankChargeRequest(name=wanted.name)
    company.refused_to_its_maker(approve, maker=RECONCILER, checker=HEAD)
    company.act(approve, by=HEAD)
    interest = company.act(
        bank_charge_pb2.CreateBankChargeRequest(
            bank_charge=bank_charge_pb2.BankCharge(
                agency_id=company.agencies["treasury"],
                bank_entry_id=by_code["ACMT/MCOP/INTR"],
                kind=bank_charge_pb2.BANK_CHARGE_KIND_INTEREST,
                fund_code=FUND,
                explanation="Jasa giro",
            )
        ),
        by=RECONCILER,
    )
    company.act(bank_charge_pb2.ApproveBankChargeRequest(name=interest.name), by=HEAD)
    company.read(bank_charge_pb2.GetBankChargeRequest(name=wanted.name), by=RECONCILER)
    company.read(bank_charge_pb2.ListBankChargesRequest(agency_id=company.agencies["treasury"]), by="auditor")


def _read(company: Company, account: Any, payee: Any, returned: Any) -> None:
    treasury, unit = company.agencies["treasury"], company.agencies["unit"]
    company.read(treasury_pb2.GetBankAccountRequest(name=account.name), by=TREASURER)
    company.read(treasury_pb2.ListBankAccountsRequest(agency_id=treasury), by=TREASURER)
    company.read(treasury_pb2.GetPayeeAccountRequest(name=payee.name), by=TREASURER)
    company.read(treasury_pb2.ListPayeeAccountsRequest(agency_id=unit), by=TREASURER)
    company.read(treasury_pb2.ListPaymentRunsRequest(agency_id=treasury), by=TREASURER)
    company.read(treasury_pb2.GetPaymentReturnRequest(name=returned.name), by=RECONCILER)
    company.read(treasury_pb2.ListPaymentReturnsRequest(agency_id=treasury), by=RECONCILER)
    company.read(
        treasury_pb2.GetBankReconciliationRequest(bank_account_id=account.bank_account_id, as_of=TODAY),
        by=RECONCILER,
    )
