"""The treasury's accounts and runs between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis.money import Money
from chassis.wire import from_date, from_money, resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import treasury_pb2 as pb
from services.finance.treasury.accounts import NewBankAccount, NewPayeeAccount
from services.finance.treasury.domain import Account, NumberKind
from services.finance.treasury.pain001 import Format
from services.finance.treasury.runs import File, NewRun

BANK_ACCOUNTS, PAYEE_ACCOUNTS, RUNS = "bankAccounts", "payeeAccounts", "paymentRuns"


def bank_account_id(name: str) -> UUID:
    """The id in `bankAccounts/{uuid}`."""
    return resource_id(BANK_ACCOUNTS, name)


def payee_account_id(name: str, field: str = "name") -> UUID:
    """The id in `payeeAccounts/{uuid}`."""
    return resource_id(PAYEE_ACCOUNTS, name, field)


def run_id(name: str) -> UUID:
    """The id in `paymentRuns/{uuid}`."""
    return resource_id(RUNS, name)


def money(minor: int, currency: str) -> Any:
    """An amount on the wire."""
    return to_money(Money(minor, currency))


def _account(message: pb.BankAccount | pb.PayeeAccount) -> Account:
    kind = pb.AccountNumberKind.Name(message.account_number_kind).removeprefix("ACCOUNT_NUMBER_KIND_")
    return Account(
        holder_name=message.holder_name,
        account_number=message.account_number,
        number_kind=NumberKind(kind),
        bic=message.bic or None,
        clearing_code=message.clearing_code or None,
        currency=message.currency_code,
    )


def new_bank_account(message: pb.BankAccount) -> NewBankAccount:
    """The bank account to register."""
    return NewBankAccount(
        agency_id=to_uuid(message.agency_id, "bank_account.agency_id"),
        account_code=message.account_code,
        display_name=message.display_name,
        account=_account(message),
        valid_from=from_date(message.valid_from, "bank_account.valid_from"),
    )


def new_payee_account(message: pb.PayeeAccount) -> NewPayeeAccount:
    """The payee account to propose."""
    return NewPayeeAccount(
        agency_id=to_uuid(message.agency_id, "payee_account.agency_id"),
        creditor=message.creditor,
        account=_account(message),
        valid_from=from_date(message.valid_from, "payee_account.valid_from"),
    )


def _account_fields(row: Row[Any]) -> dict[str, Any]:
    return {
        "agency_id": str(row.agency_id),
        "holder_name": row.holder_name,
        "account_number": row.account_number,
        "account_number_kind": pb.AccountNumberKind.Value(f"ACCOUNT_NUMBER_KIND_{row.number_kind}"),
        "bic": row.bic or "",
        "clearing_code": row.clearing_code or "",
        "currency_code": row.currency,
        "valid_from": to_date(row.valid_from),
        "valid_to": to_date(row.valid_to) if row.valid_to else None,
        "etag": str(row.version),
    }


def bank_account_message(row: Row[Any]) -> pb.BankAccount:
    """One bank account."""
    return pb.BankAccount(
        name=resource_name(BANK_ACCOUNTS, row.bank_account_id),
        bank_account_id=str(row.bank_account_id),
        account_code=row.account_code,
        display_name=row.display_name,
        **_account_fields(row),
    )


def payee_account_message(row: Row[Any]) -> pb.PayeeAccount:
    """One payee account."""
    return pb.PayeeAccount(
        name=resource_name(PAYEE_ACCOUNTS, row.payee_account_id),
        payee_account_id=str(row.payee_account_id),
        creditor=row.creditor,
        status=pb.PayeeAccountStatus.Value(f"PAYEE_ACCOUNT_STATUS_{row.status}"),
        **_account_fields(row),
    )


def new_run(request: pb.CreatePaymentRunRequest) -> NewRun:
    """The run to make."""
    message = request.payment_run
    limit = from_money(message.cash_limit, "payment_run.cash_limit") if message.HasField("cash_limit") else None
    return NewRun(
        agency_id=to_uuid(message.agency_id, "payment_run.agency_id"),
        bank_account_id=to_uuid(message.bank_account_id, "payment_run.bank_account_id"),
        execution_on=from_date(message.execution_on, "payment_run.execution_on"),
        cash_limit=limit,
        payment_order_ids=tuple(
            to_uuid(one, f"payment_order_ids[{nth}]") for nth, one in enumerate(request.payment_order_ids)
        ),
        urgent_payment_order_ids=frozenset(
            to_uuid(one, f"urgent_payment_order_ids[{nth}]") for nth, one in enumerate(request.urgent_payment_order_ids)
        ),
    )


def edition(number: int) -> Format:
    """The format that a run is written in."""
    return Format[pb.PaymentFileFormat.Name(number).removeprefix("PAYMENT_FILE_FORMAT_")]


def run_message(
    row: Row[Any], instructions: Sequence[Row[Any]] = (), omissions: Sequence[Row[Any]] = ()
) -> pb.PaymentRun:
    """One run."""
    return pb.PaymentRun(
        name=resource_name(RUNS, row.payment_run_id),
        payment_run_id=str(row.payment_run_id),
        agency_id=str(row.agency_id),
        bank_account_id=str(row.bank_account_id),
        execution_on=to_date(row.execution_on),
        cash_limit=None if row.cash_limit_minor is None else money(row.cash_limit_minor, row.currency),
        status=pb.PaymentRunStatus.Value(f"PAYMENT_RUN_STATUS_{row.status}"),
        instruction_count=row.instruction_count,
        total=money(row.total_minor, row.currency),
        instructions=[_instruction_message(one) for one in instructions],
        omissions=[
            pb.PaymentOmission(
                payment_order_id=str(one.payment_order_id),
                order_number=one.order_number or "",
                amount=money(one.amount_minor, one.currency),
                reason=pb.PaymentOmissionReason.Value(f"PAYMENT_OMISSION_REASON_{one.reason}"),
            )
            for one in omissions
        ],
        file_format=pb.PaymentFileFormat.Value(f"PAYMENT_FILE_FORMAT_{row.file_format}") if row.file_format else 0,
        file_name=row.file_name or "",
        file_sha256=row.file_sha256 or "",
        etag=str(row.version),
    )


def _instruction_message(row: Row[Any]) -> pb.PaymentInstruction:
    return pb.PaymentInstruction(
        payment_instruction_id=str(row.payment_instruction_id),
        payment_order_id=str(row.payment_order_id),
        payment_return_id=str(row.payment_return_id or ""),
        agency_id=str(row.paying_agency_id),
        order_number=row.order_number,
        priority=row.priority,
        due_on=to_date(row.due_on),
        amount=money(row.amount_minor, row.currency),
        payee_account_id=str(row.payee_account_id),
        payee_name=row.payee_name,
        status=pb.PaymentInstructionStatus.Value(f"PAYMENT_INSTRUCTION_STATUS_{row.status}"),
        bank_reference=row.bank_reference or "",
    )


def export_message(run: pb.PaymentRun, file: File) -> pb.ExportPaymentRunResponse:
    """A run and its file."""
    return pb.ExportPaymentRunResponse(
        payment_run=run,
        file_name=file.name,
        message_id=file.message_id,
        file_sha256=file.sha256,
        content=file.content,
    )
