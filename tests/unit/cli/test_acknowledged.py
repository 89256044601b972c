"""I5 by descriptors: what the stored reply of each mutating RPC names, so that verify can look for it."""

from __future__ import annotations

from uuid import UUID

import pytest
from google.protobuf import message_factory

from cli.verify import acknowledged
from kelola.finance.v1 import ledger_pb2, payables_pb2
from kelola.hr.v1 import payroll_pb2

_ONE = UUID("018f0000-0000-7000-8000-000000000001")
_OTHER = UUID("018f0000-0000-7000-8000-000000000002")


def test_every_mutating_rpc_names_what_it_answers():
    nameless = {name for name, each in acknowledged.acknowledgements().items() if not each.named}

    assert nameless == acknowledged.WITHOUT_IDS


@pytest.mark.parametrize(
    ("method", "made"),
    [
        ("kelola.finance.v1.LedgerService.CreateJournalEntry", {"journal_entry_id"}),
        # An import adds lines to an appropriation that its request may name.
        ("kelola.finance.v1.BudgetService.ImportAppropriation", {"budget_line_id"}),
        ("kelola.finance.v1.BudgetService.AllotFunds", {"allotment_order_id"}),
        ("kelola.hr.v1.PayrollService.CreatePayrollRun", {"operation_id"}),
        ("kelola.identity.v1.OrganizationService.UpdateAgency", set()),
        ("kelola.finance.v1.PayablesService.ApproveInvoice", set()),
        # The year was made by CreateFiscalYear; the statements are issued on it.
        ("kelola.finance.v1.FiscalClosingService.IssueFinancialStatements", set()),
    ],
)
def test_an_rpc_makes_what_its_request_does_not_name(method, made):
    assert acknowledged.acknowledgements()[method].made == made


def test_a_message_of_a_stream_is_answered_with_its_own_resource():
    each = acknowledged.acknowledgements()["kelola.finance.v1.LedgerService.ImportJournalEntries"]

    assert each.reply == ledger_pb2.JournalEntry.DESCRIPTOR


def ids(method: str, reply) -> list[tuple[str, UUID]]:
    known = acknowledged.acknowledgements()[method]
    read = message_factory.GetMessageClass(known.reply).FromString(reply.SerializeToString())
    return [(named.column, found) for named in known.named for found in acknowledged.ids_in(read, named)]


def test_ids_are_found_in_nested_and_repeated_parts_and_in_names():
    approved = payables_pb2.ApproveInvoiceResponse(
        invoice=payables_pb2.Invoice(invoice_id=str(_ONE)), journal_entry_id=str(_OTHER)
    )
    batch = ledger_pb2.BatchCreateJournalEntriesResponse(
        results=[
            ledger_pb2.JournalEntryResult(journal_entry=ledger_pb2.JournalEntry(journal_entry_id=str(_ONE))),
            ledger_pb2.JournalEntryResult(),
        ]
    )
    method = payroll_pb2.DESCRIPTOR.services_by_name["PayrollService"].methods_by_name["CreatePayrollRun"]
    operation = message_factory.GetMessageClass(method.output_type)(name=f"operations/{_OTHER}")

    assert ids("kelola.finance.v1.PayablesService.ApproveInvoice", approved) == [
        ("invoice_id", _ONE),
        ("journal_entry_id", _OTHER),
    ]
    assert ids("kelola.finance.v1.LedgerService.BatchCreateJournalEntries", batch) == [("journal_entry_id", _ONE)]
    assert ids("kelola.hr.v1.PayrollService.CreatePayrollRun", operation) == [("operation_id", _OTHER)]


def test_what_may_have_been_there_before_is_not_made():
    assert acknowledged.acknowledgements()["kelola.finance.v1.AccountService.BatchCreateAccounts"].made == set()
