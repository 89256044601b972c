"""The bank's answers between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis.wire import resource_id, resource_name, to_date, to_timestamp
from kelola.finance.v1 import treasury_pb2 as pb
from services.finance.treasury.bank_rules import Reconciliation, Suggestion
from services.finance.treasury.wire import money

FILES, STATEMENTS, ENTRIES, RETURNS, ORDERS = (
    "bankFiles",
    "bankStatements",
    "bankEntries",
    "paymentReturns",
    "paymentOrders",
)


def file_id(name: str) -> UUID:
    """The id in `bankFiles/{uuid}`."""
    return resource_id(FILES, name)


def statement_id(name: str) -> UUID:
    """The id in `bankStatements/{uuid}`."""
    return resource_id(STATEMENTS, name)


def entry_id(name: str) -> UUID:
    """The id in `bankEntries/{uuid}`."""
    return resource_id(ENTRIES, name)


def return_id(name: str) -> UUID:
    """The id in `paymentReturns/{uuid}`."""
    return resource_id(RETURNS, name)


def order_id(name: str, field: str = "name") -> UUID:
    """The id in `paymentOrders/{uuid}`."""
    return resource_id(ORDERS, name, field)


def _outcome(name: str) -> Any:
    return pb.BankAnswerOutcome.Value(f"BANK_ANSWER_OUTCOME_{name}")


def file_message(row: Row[Any], statement_ids: Sequence[UUID], answers: Sequence[Row[Any]]) -> pb.BankFile:
    """One bank file with what came of it."""
    return pb.BankFile(
        name=resource_name(FILES, row.bank_file_id),
        bank_file_id=str(row.bank_file_id),
        agency_id=str(row.agency_id),
        format=pb.BankFileFormat.Value(f"BANK_FILE_FORMAT_{row.format}"),
        message_id=row.message_id,
        file_name=row.file_name,
        file_sha256=row.sha256,
        byte_count=row.byte_count,
        imported_at=to_timestamp(row.imported_at),
        bank_statement_ids=[str(one) for one in statement_ids],
        answers=[
            pb.BankAnswer(
                end_to_end_id=one.end_to_end_id,
                payment_order_id=str(one.payment_order_id or ""),
                bank_entry_id=str(one.bank_entry_id or ""),
                status_code=one.status_code,
                reason_code=one.reason_code,
                outcome=_outcome(one.outcome),
                explanation=one.explanation,
            )
            for one in answers
        ],
        ignored_count=row.ignored_count,
    )


def statement_message(row: Row[Any]) -> pb.BankStatement:
    """One statement."""
    return pb.BankStatement(
        name=resource_name(STATEMENTS, row.bank_statement_id),
        bank_statement_id=str(row.bank_statement_id),
        agency_id=str(row.agency_id),
        bank_account_id=str(row.bank_account_id),
        bank_file_id=str(row.bank_file_id),
        statement_reference=row.statement_reference,
        sequence_number=row.sequence_number or "",
        position=row.position,
        opened_on=to_date(row.opened_on),
        closed_on=to_date(row.closed_on),
        opening_balance=money(row.opening_minor, row.currency),
        closing_balance=money(row.closing_minor, row.currency),
        entry_count=row.entry_count,
    )


def entry_message(row: Row[Any], suggestions: Sequence[Suggestion] = ()) -> pb.BankEntry:
    """One entry."""
    return pb.BankEntry(
        name=resource_name(ENTRIES, row.bank_entry_id),
        bank_entry_id=str(row.bank_entry_id),
        agency_id=str(row.agency_id),
        bank_account_id=str(row.bank_account_id),
        bank_statement_id=str(row.bank_statement_id or ""),
        direction=pb.BankEntryDirection.Value(f"BANK_ENTRY_DIRECTION_{row.direction}"),
        amount=money(row.amount_minor, row.currency),
        booked_on=to_date(row.booked_on),
        value_on=to_date(row.value_on),
        bank_reference=row.bank_reference,
        end_to_end_id=row.end_to_end_id,
        remittance=row.remittance,
        status=pb.BankEntryStatus.Value(f"BANK_ENTRY_STATUS_{row.status}"),
        outcome=_outcome(row.outcome),
        explanation=row.explanation,
        payment_order_id=str(row.payment_order_id or ""),
        payment_return_id=str(row.payment_return_id or ""),
        journal_entry_id=str(row.journal_entry_id or ""),
        transaction_code=row.transaction_code,
        suggestions=[
            pb.MatchSuggestion(
                payment_order_id=str(one.order.payment_order_id),
                order_number=one.order.order_number,
                agency_id=str(one.order.agency_id),
                amount_difference=money(one.amount_difference, row.currency),
                day_distance=one.day_distance,
                reference_matches=one.reference_matches,
            )
            for one in suggestions
        ],
    )


def return_message(row: Row[Any]) -> pb.PaymentReturn:
    """One returned payment."""
    return pb.PaymentReturn(
        name=resource_name(RETURNS, row.payment_return_id),
        payment_return_id=str(row.payment_return_id),
        treasury_agency_id=str(row.agency_id),
        agency_id=str(row.paying_agency_id),
        payment_order_id=str(row.payment_order_id),
        order_number=row.order_number,
        amount=money(row.amount_minor, row.currency),
        returned_on=to_date(row.returned_on),
        explanation=row.explanation,
        bank_reference=row.bank_reference,
        status=pb.PaymentReturnStatus.Value(f"PAYMENT_RETURN_STATUS_{row.status}"),
        payee_account_id=str(row.payee_account_id or ""),
        reissued_on=to_date(row.reissued_on) if row.reissued_on else None,
        etag=str(row.version),
    )


def reconciliation_message(
    account_code: str,
    currency: str,
    found: Reconciliation,
    bank_statement_id: UUID | None,
    items: Sequence[Row[Any]],
    item_count: int,
) -> pb.GetBankReconciliationResponse:
    """Books and bank, and what lies between."""
    return pb.GetBankReconciliationResponse(
        account_code=account_code,
        ledger_balance=money(found.ledger, currency),
        bank_statement_id=str(bank_statement_id or ""),
        statement_balance=money(found.statement, currency),
        difference=money(found.difference, currency),
        opening_balance=money(found.opening, currency),
        in_books_only=money(found.in_books_only, currency),
        on_statement_only=money(found.on_statement_only, currency),
        unexplained=money(found.unexplained, currency),
        items=[
            pb.ReconcilingItem(
                bank_entry_id=str(one.bank_entry_id or ""),
                journal_entry_id=str(one.journal_entry_id or ""),
                on=to_date(one.day),
                amount=money(one.signed_minor, currency),
                description=one.description,
            )
            for one in items
        ],
        items_omitted=item_count - len(items),
    )
