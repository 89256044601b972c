"""TreasuryService: accounts and payment runs, then the bank's answers and returned payments. What happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_money, optional_uuid, to_uuid
from kelola.finance.v1 import treasury_pb2
from services.finance.payables import payment_store
from services.finance.payables.wire import status_filter
from services.finance.treasury import (
    account_store,
    accounts,
    answer_store,
    answers,
    bank_file,
    bank_wire,
    event_wire,
    matching,
    reconciliation_store,
    returns,
    rows,
    run_store,
    runs,
    wire,
)
from services.finance.treasury.bank_rules import Reconciliation

TREASURY = treasury_pb2.DESCRIPTOR.services_by_name["TreasuryService"]

# Reconciling items that one answer shows; the oldest are the ones to look at.
ITEMS_MAX = 200

__all__ = ["BankEntrypoints", "TreasuryEntrypoints", "event_wire"]


class TreasuryEntrypoints:
    """The treasury's accounts, payees' accounts, payment runs."""

    db: Any

    # --- accounts ----------------------------------------------------------------------------------------------

    @rpc(TREASURY)
    def create_bank_account(self, request, call):
        new = wire.new_bank_account(request.bank_account)
        with self.db.begin(call) as work:
            account_id = accounts.create_bank_account(
                work.session, new, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(wire.bank_account_message(rows.get(work.session, "bank_account", account_id)))
        return work.answer

    @rpc(TREASURY)
    def get_bank_account(self, request, call):
        with self.db.read(call) as session:
            return wire.bank_account_message(rows.get(session, "bank_account", wire.bank_account_id(request.name)))

    @rpc(TREASURY)
    def list_bank_accounts(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id})
        with self.db.read(call) as session:
            found = rows.page(session, "bank_account", after=page.after, limit=page.size + 1, agency_id=agency_id)
        shown = found[: page.size]
        return treasury_pb2.ListBankAccountsResponse(
            bank_accounts=[wire.bank_account_message(row) for row in shown],
            next_page_token=page.token([shown[-1].bank_account_id]) if len(found) > page.size else "",
        )

    @rpc(TREASURY)
    def close_bank_account(self, request, call):
        account_id = wire.bank_account_id(request.name)
        with self.db.begin(call) as work:
            accounts.close_bank_account(work.session, account_id, valid_to=from_date(request.valid_to, "valid_to"))
            message = wire.bank_account_message(rows.get(work.session, "bank_account", account_id))
            work.reply(
                treasury_pb2.CloseBankAccountResponse(bank_account=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(TREASURY)
    def create_payee_account(self, request, call):
        new = wire.new_payee_account(request.payee_account)
        with self.db.begin(call) as work:
            account_id = accounts.propose_payee_account(
                work.session, new, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(wire.payee_account_message(rows.get(work.session, "payee_account", account_id)))
        return work.answer

    @rpc(TREASURY)
    def approve_payee_account(self, request, call):
        account_id = wire.payee_account_id(request.name)
        with self.db.begin(call) as work:
            accounts.approve_payee_account(
                work.session, account_id, person_id=call.principal.acting_person(), at=call.now
            )
            message = wire.payee_account_message(rows.get(work.session, "payee_account", account_id))
            work.reply(
                treasury_pb2.ApprovePayeeAccountResponse(payee_account=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(TREASURY)
    def close_payee_account(self, request, call):
        account_id = wire.payee_account_id(request.name)
        with self.db.begin(call) as work:
            accounts.close_payee_account(work.session, account_id, valid_to=from_date(request.valid_to, "valid_to"))
            message = wire.payee_account_message(rows.get(work.session, "payee_account", account_id))
            work.reply(
                treasury_pb2.ClosePayeeAccountResponse(payee_account=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(TREASURY)
    def get_payee_account(self, request, call):
        with self.db.read(call) as session:
            return wire.payee_account_message(rows.get(session, "payee_account", wire.payee_account_id(request.name)))

    @rpc(TREASURY)
    def list_payee_accounts(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        filters = {"agency_id": agency_id, "creditor": request.creditor}
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(session, "payee_account", after=page.after, limit=page.size + 1, **filters)
        shown = found[: page.size]
        return treasury_pb2.ListPayeeAccountsResponse(
            payee_accounts=[wire.payee_account_message(row) for row in shown],
            next_page_token=page.token([shown[-1].payee_account_id]) if len(found) > page.size else "",
        )

    # --- payment runs ------------------------------------------------------------------------------------------

    @rpc(TREASURY)
    def create_payment_run(self, request, call):
        new = wire.new_run(request)
        with self.db.begin(call) as work:
            run_id = runs.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(_run(work.session, run_id))
        return work.answer

    @rpc(TREASURY)
    def approve_payment_run(self, request, call):
        run_id = wire.run_id(request.name)
        with self.db.begin(call) as work:
            runs.approve(
                work.session,
                run_id,
                control_count=request.control_count,
                control_total=from_money(request.control_total, "control_total"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _run(work.session, run_id)
            work.reply(
                treasury_pb2.ApprovePaymentRunResponse(payment_run=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(TREASURY)
    def cancel_payment_run(self, request, call):
        run_id = wire.run_id(request.name)
        with self.db.begin(call) as work:
            runs.cancel(work.session, run_id, explanation=request.explanation, person_id=call.principal.acting_person())
            message = _run(work.session, run_id)
            work.reply(
                treasury_pb2.CancelPaymentRunResponse(payment_run=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(TREASURY)
    def export_payment_run(self, request, call):
        run_id = wire.run_id(request.name)
        with self.db.begin(call) as work:
            file = runs.export(
                work.session, run_id, wire.edition(request.file_format), person_id=call.principal.acting_person()
            )
            row = rows.get(work.session, "payment_run", run_id)
            work.reply(wire.export_message(wire.run_message(row), file), resource=request.name, agency_id=row.agency_id)
        return work.answer

    @rpc(TREASURY)
    def get_payment_run(self, request, call):
        with self.db.read(call) as session:
            return _run(session, wire.run_id(request.name))

    @rpc(TREASURY)
    def list_payment_runs(self, request, call):
        status = status_filter(treasury_pb2.PaymentRunStatus, "PAYMENT_RUN_STATUS_", request.status)
        filters = {"agency_id": optional_uuid(request.agency_id, "agency_id"), "status": status}
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(session, "payment_run", after=page.after, limit=page.size + 1, **filters)
        shown = found[: page.size]
        return treasury_pb2.ListPaymentRunsResponse(
            payment_runs=[wire.run_message(row) for row in shown],
            next_page_token=page.token([shown[-1].payment_run_id]) if len(found) > page.size else "",
        )


class BankEntrypoints:
    """Bank files, statements, entries, returns, reconciliation."""

    db: Any

    # --- files, statements, entries ----------------------------------------------------------------------------

    @rpc(TREASURY)
    def import_bank_file(self, request, call):
        # Read before the transaction: parsing a large file must not hold locks.
        new = answers.NewFile(
            agency_id=to_uuid(request.agency_id, "agency_id"),
            file_name=request.file_name,
            content=request.content,
            read=bank_file.read(request.content),
        )
        with self.db.begin(call) as work:
            file_id, repeated = answers.import_file(
                work.session, new, person_id=call.principal.acting_person(), at=call.now
            )
            message = _file(work.session, file_id)
            work.reply(
                treasury_pb2.ImportBankFileResponse(bank_file=message, already_imported=repeated),
                resource=message.name,
                agency_id=new.agency_id,
            )
        return work.answer

    @rpc(TREASURY)
    def get_bank_file(self, request, call):
        with self.db.read(call) as session:
            return _file(session, bank_wire.file_id(request.name))

    @rpc(TREASURY)
    def get_bank_statement(self, request, call):
        with self.db.read(call) as session:
            return bank_wire.statement_message(
                rows.get(session, "bank_statement", bank_wire.statement_id(request.name))
            )

    @rpc(TREASURY)
    def list_bank_statements(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "bank_account_id": optional_uuid(request.bank_account_id, "bank_account_id"),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(session, "bank_statement", after=page.after, limit=page.size + 1, **filters)
        shown = found[: page.size]
        return treasury_pb2.ListBankStatementsResponse(
            bank_statements=[bank_wire.statement_message(row) for row in shown],
            next_page_token=page.token([shown[-1].bank_statement_id]) if len(found) > page.size else "",
        )

    @rpc(TREASURY)
    def list_bank_entries(self, request, call):
        filters = {
            "bank_account_id": to_uuid(request.bank_account_id, "bank_account_id"),
            "bank_statement_id": optional_uuid(request.bank_statement_id, "bank_statement_id"),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(
                session, "bank_entry", after=page.after, limit=page.size + 1, oldest_first=True, **filters
            )
        shown = found[: page.size]
        return treasury_pb2.ListBankEntriesResponse(
            bank_entries=[bank_wire.entry_message(row) for row in shown],
            next_page_token=page.token([shown[-1].bank_entry_id]) if len(found) > page.size else "",
        )

    @rpc(TREASURY)
    def list_unmatched_bank_entries(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "bank_account_id": optional_uuid(request.bank_account_id, "bank_account_id"),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(
                session,
                "bank_entry",
                after=page.after,
                limit=page.size + 1,
                oldest_first=True,
                status="UNMATCHED",
                **filters,
            )
            shown = found[: page.size]
            suggestions = matching.suggestions(session, shown)
        return treasury_pb2.ListUnmatchedBankEntriesResponse(
            bank_entries=[bank_wire.entry_message(row, suggestions[row.bank_entry_id]) for row in shown],
            next_page_token=page.token([shown[-1].bank_entry_id]) if len(found) > page.size else "",
        )

    @rpc(TREASURY)
    def match_bank_entry(self, request, call):
        entry_id = bank_wire.entry_id(request.name)
        with self.db.begin(call) as work:
            matching.match(
                work.session,
                entry_id,
                bank_wire.order_id(request.payment_order, "payment_order"),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            row = rows.get(work.session, "bank_entry", entry_id)
            work.reply(
                treasury_pb2.MatchBankEntryResponse(bank_entry=bank_wire.entry_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(TREASURY)
    def get_bank_reconciliation(self, request, call):
        as_of = from_date(request.as_of, "as_of")
        with self.db.read(call, snapshot=True) as session:
            account = rows.get(session, "bank_account", to_uuid(request.bank_account_id, "bank_account_id"))
            sums = reconciliation_store.sums(session, account, as_of)
            ends = reconciliation_store.first_and_last_statement(session, account.bank_account_id, as_of)
            items = reconciliation_store.items(session, account, as_of, limit=ITEMS_MAX)
            cash = account_store.cash(session, account, as_of)
        found = Reconciliation(
            ledger=sums.ledger,
            statement=ends[1].closing_minor if ends else 0,
            opening=ends[0].opening_minor if ends else 0,
            in_books_only=sums.in_books_only,
            on_statement_only=sums.on_statement_only,
        )
        return bank_wire.reconciliation_message(
            cash.code,
            account.currency,
            found,
            ends[1].bank_statement_id if ends else None,
            items,
            sums.books_count + sums.statement_count,
        )

    # --- orders that do not go, payments that come back --------------------------------------------------------

    @rpc(TREASURY)
    def stop_payment_order(self, request, call):
        order_id = bank_wire.order_id(request.name)
        with self.db.begin(call) as work:
            returns.stop(
                work.session,
                order_id,
                explanation=request.explanation,
                stopped_on=from_date(request.stopped_on, "stopped_on"),
                person_id=call.principal.acting_person(),
            )
            row = payment_store.order(work.session, order_id)
            work.reply(
                treasury_pb2.StopPaymentOrderResponse(
                    payment_order_id=str(order_id), order_number=row.order_number, agency_id=str(row.agency_id)
                ),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(TREASURY)
    def record_payment_return(self, request, call):
        said = returns.BankReturn(
            request.bank_reference, request.explanation, from_date(request.returned_on, "returned_on")
        )
        with self.db.begin(call) as work:
            return_id = returns.record_by_hand(
                work.session,
                bank_wire.order_id(request.payment_order, "payment_order"),
                said,
                from_money(request.amount, "amount"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            row = rows.get(work.session, "payment_return", return_id)
            message = bank_wire.return_message(row)
            work.reply(
                treasury_pb2.RecordPaymentReturnResponse(payment_return=message),
                resource=message.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(TREASURY)
    def reissue_payment(self, request, call):
        return_id = bank_wire.return_id(request.name)
        with self.db.begin(call) as work:
            returns.reissue(
                work.session,
                return_id,
                payee_account_id=wire.payee_account_id(request.payee_account, "payee_account"),
                reissued_on=from_date(request.reissued_on, "reissued_on"),
                person_id=call.principal.acting_person(),
            )
            row = rows.get(work.session, "payment_return", return_id)
            work.reply(
                treasury_pb2.ReissuePaymentResponse(payment_return=bank_wire.return_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(TREASURY)
    def get_payment_return(self, request, call):
        with self.db.read(call) as session:
            return bank_wire.return_message(rows.get(session, "payment_return", bank_wire.return_id(request.name)))

    @rpc(TREASURY)
    def list_payment_returns(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "status": status_filter(treasury_pb2.PaymentReturnStatus, "PAYMENT_RETURN_STATUS_", request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = rows.page(session, "payment_return", after=page.after, limit=page.size + 1, **filters)
        shown = found[: page.size]
        return treasury_pb2.ListPaymentReturnsResponse(
            payment_returns=[bank_wire.return_message(row) for row in shown],
            next_page_token=page.token([shown[-1].payment_return_id]) if len(found) > page.size else "",
        )


def _run(session, payment_run_id):
    instructions = run_store.instructions(session, [payment_run_id])
    return wire.run_message(
        rows.get(session, "payment_run", payment_run_id),
        instructions.get(payment_run_id, []),
        run_store.omissions(session, payment_run_id),
    )


def _file(session, bank_file_id):
    return bank_wire.file_message(
        answer_store.file(session, bank_file_id),
        answer_store.statement_ids(session, bank_file_id),
        answer_store.answers(session, bank_file_id),
    )
