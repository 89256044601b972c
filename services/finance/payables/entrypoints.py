"""PayablesService, and what payables takes in from logistics: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.container import every
from chassis.events import on_event
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_money, optional_uuid, to_money, to_uuid
from kelola.finance.v1 import payables_pb2
from kelola.logistics.v1.ordering_events_pb2 import PurchaseOrderCancelled, PurchaseOrderIssued
from kelola.logistics.v1.receiving_events_pb2 import GoodsAccepted
from kelola.logistics.v1.stock_events_pb2 import StockMovementPosted
from services.finance.budget import usecases as budget
from services.finance.budget.domain import BudgetExceeded, Document, DocumentKind
from services.finance.payables import (
    event_wire,
    invoice_store,
    invoicing,
    numbering,
    payment,
    payment_order,
    payment_store,
    payroll,
    receiving,
    splitting,
    stock_control,
    wire,
)
from services.finance.payables.clocks import store as clock_store
from services.finance.payables.clocks import usecases as clocks

PAYABLES = payables_pb2.DESCRIPTOR.services_by_name["PayablesService"]
# How long a paper waits for its number at most, when the service is up.
NUMBERING_SECONDS = 1.0
ISSUE = "finance.payment_order.issue"


class PayablesEntrypoints:
    """The RPCs of PayablesService, the events of logistics, and the numberer."""

    db: Any
    clock: Any

    # --- invoices ----------------------------------------------------------------------------------------------

    @rpc(PAYABLES)
    def create_invoice(self, request, call):
        new = wire.new_invoice(request.invoice)
        with self.db.begin(call) as work:
            invoice = invoicing.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.invoice_message(invoice))
        return work.answer

    @rpc(PAYABLES)
    def get_invoice(self, request, call):
        with self.db.read(call) as session:
            return wire.invoice_message(invoice_store.get(session, wire.invoice_id(request.name)))

    @rpc(PAYABLES)
    def list_invoices(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        order_id = optional_uuid(request.purchase_order_id, "purchase_order_id")
        status = wire.status_filter(payables_pb2.InvoiceStatus, "INVOICE_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "order_id": order_id, "status": status})
        with self.db.read(call) as session:
            found = invoice_store.page(
                session,
                agency_id=agency_id,
                status=status,
                purchase_order_id=order_id,
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return payables_pb2.ListInvoicesResponse(
            invoices=[wire.invoice_message(invoice) for invoice in shown],
            next_page_token=page.token([shown[-1].row.invoice_id]) if len(found) > page.size else "",
        )

    @rpc(PAYABLES)
    def approve_invoice(self, request, call):
        invoice_id = wire.invoice_id(request.name)
        with self.db.begin(call) as work:
            invoice, payable_id, entry_id = invoicing.approve(
                work.session,
                invoice_id,
                etag=request.etag,
                effective_on=from_date(request.effective_on, "effective_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                payables_pb2.ApproveInvoiceResponse(
                    invoice=wire.invoice_message(invoice),
                    payable=wire.payable_message(payment_store.payable(work.session, payable_id), {}),
                    journal_entry_id=str(entry_id),
                ),
                resource=request.name,
                agency_id=invoice.row.agency_id,
            )
        return work.answer

    @rpc(PAYABLES)
    def void_invoice(self, request, call):
        with self.db.begin(call) as work:
            invoice = invoicing.void(
                work.session,
                wire.invoice_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                payables_pb2.VoidInvoiceResponse(invoice=wire.invoice_message(invoice)),
                resource=request.name,
                agency_id=invoice.row.agency_id,
            )
        return work.answer

    @rpc(PAYABLES)
    def release_invoice_hold(self, request, call):
        with self.db.begin(call) as work:
            invoice = invoicing.release_hold(
                work.session,
                wire.invoice_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                payables_pb2.ReleaseInvoiceHoldResponse(invoice=wire.invoice_message(invoice)),
                resource=request.name,
                agency_id=invoice.row.agency_id,
            )
        return work.answer

    @rpc(PAYABLES)
    def split_invoice(self, request, call):
        with self.db.begin(call) as work:
            matched, rest = splitting.split(
                work.session,
                wire.invoice_id(request.name),
                etag=request.etag,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                payables_pb2.SplitInvoiceResponse(
                    matched=wire.invoice_message(matched), rest=wire.invoice_message(rest)
                ),
                resource=request.name,
                agency_id=rest.row.agency_id,
            )
        return work.answer

    # --- payroll and payables ----------------------------------------------------------------------------------

    @rpc(PAYABLES)
    def accept_payroll(self, request, call):
        run, person_id = wire.payroll_run(request), call.principal.acting_person()
        try:
            with self.db.begin(call) as work:
                payable_ids, entry_id = payroll.accept(work.session, run, person_id=person_id)
                withheld = payment_store.withholdings_of(work.session, payable_ids)
                work.reply(
                    payables_pb2.AcceptPayrollResponse(
                        payables=[
                            wire.payable_message(
                                payment_store.payable(work.session, payable_id), withheld.get(payable_id, {})
                            )
                            for payable_id in payable_ids
                        ],
                        journal_entry_id=str(entry_id),
                    ),
                    resource=f"payrollRuns/{run.payroll_run_id}",
                    agency_id=run.agency_id,
                )
        except BudgetExceeded as refusal:
            document = Document(DocumentKind.PAYROLL_RUN, run.payroll_run_id, run.payroll_run_number)
            with self.db.work([run.agency_id], subject=call.principal.subject) as session:
                budget.record_refusal(
                    session,
                    run.agency_id,
                    document,
                    refusal,
                    subject=call.principal.subject,
                    request_id=str(call.request_id),
                    person_id=person_id,
                )
            raise
        return work.answer

    @rpc(PAYABLES)
    def get_payable(self, request, call):
        payable_id = wire.payable_id(request.name)
        with self.db.read(call) as session:
            withheld = payment_store.withholdings_of(session, [payable_id])
            return wire.payable_message(payment_store.payable(session, payable_id), withheld.get(payable_id, {}))

    @rpc(PAYABLES)
    def list_payables(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        source_id = optional_uuid(request.source_document_id, "source_document_id")
        status = wire.status_filter(payables_pb2.PayableStatus, "PAYABLE_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "source_id": source_id, "status": status})
        with self.db.read(call) as session:
            found = payment_store.page(
                session,
                "payable",
                agency_id=agency_id,
                status=status,
                source_document_id=source_id,
                after=page.after,
                limit=page.size + 1,
            )
            shown = found[: page.size]
            withheld = payment_store.withholdings_of(session, [row.payable_id for row in shown])
        return payables_pb2.ListPayablesResponse(
            payables=[wire.payable_message(row, withheld.get(row.payable_id, {})) for row in shown],
            next_page_token=page.token([shown[-1].payable_id]) if len(found) > page.size else "",
        )

    # --- payment requests (SPP, SPM) ---------------------------------------------------------------------------

    @rpc(PAYABLES)
    def create_payment_request(self, request, call):
        new = wire.new_request(request.payment_request)
        with self.db.begin(call) as work:
            request_id = payment.request_payment(
                work.session, new, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(_request(work.session, request_id))
        return work.answer

    @rpc(PAYABLES)
    def verify_payment_request(self, request, call):
        request_id = wire.request_id(request.name)
        with self.db.begin(call) as work:
            payment.verify(work.session, request_id, person_id=call.principal.acting_person(), at=call.now)
            message = _request(work.session, request_id)
            work.reply(
                payables_pb2.VerifyPaymentRequestResponse(payment_request=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def authorise_payment_request(self, request, call):
        request_id = wire.request_id(request.name)
        with self.db.begin(call) as work:
            payment.authorise(
                work.session,
                request_id,
                wire.statement(request),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _request(work.session, request_id)
            work.reply(
                payables_pb2.AuthorisePaymentRequestResponse(payment_request=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def return_payment_request(self, request, call):
        request_id = wire.request_id(request.name)
        with self.db.begin(call) as work:
            payment.send_back(
                work.session,
                request_id,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _request(work.session, request_id)
            work.reply(
                payables_pb2.ReturnPaymentRequestResponse(payment_request=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def withdraw_payment_request(self, request, call):
        request_id = wire.request_id(request.name)
        with self.db.begin(call) as work:
            payment.withdraw(
                work.session,
                request_id,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _request(work.session, request_id)
            work.reply(
                payables_pb2.WithdrawPaymentRequestResponse(payment_request=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def get_payment_request(self, request, call):
        with self.db.read(call) as session:
            return _request(session, wire.request_id(request.name))

    @rpc(PAYABLES)
    def list_payment_requests(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        status = wire.status_filter(payables_pb2.PaymentRequestStatus, "PAYMENT_REQUEST_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "status": status})
        with self.db.read(call) as session:
            found = payment_store.page(
                session,
                "payment_request",
                agency_id=agency_id,
                status=status,
                after=page.after,
                limit=page.size + 1,
            )
            shown = found[: page.size]
            ids = [row.payment_request_id for row in shown]
            payables, due = payment_store.request_payables(session, ids), clock_store.due_days(session, ids)
        return payables_pb2.ListPaymentRequestsResponse(
            payment_requests=[
                wire.request_message(row, payables.get(row.payment_request_id, []), due.get(row.payment_request_id))
                for row in shown
            ],
            next_page_token=page.token([shown[-1].payment_request_id]) if len(found) > page.size else "",
        )

    # --- payment orders (SP2D) ---------------------------------------------------------------------------------

    @rpc(PAYABLES)
    def issue_payment_order(self, request, call):
        treasury_agency_id = to_uuid(request.treasury_agency_id, "treasury_agency_id")
        call.principal.require(ISSUE, treasury_agency_id)
        with self.db.begin(call) as work:
            order_id = payment_order.issue(
                work.session,
                wire.request_id(request.payment_request, "payment_request"),
                treasury_agency_id=treasury_agency_id,
                issued_on=from_date(request.issued_on, "issued_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _order(work.session, order_id)
            work.reply(
                payables_pb2.IssuePaymentOrderResponse(payment_order=message),
                resource=message.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def get_payment_order(self, request, call):
        with self.db.read(call) as session:
            return _order(session, wire.order_id(request.name))

    @rpc(PAYABLES)
    def list_payment_orders(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        status = wire.status_filter(payables_pb2.PaymentOrderStatus, "PAYMENT_ORDER_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "status": status})
        with self.db.read(call) as session:
            found = payment_store.page(
                session,
                "payment_order",
                agency_id=agency_id,
                status=status,
                after=page.after,
                limit=page.size + 1,
            )
            shown = found[: page.size]
            ids = [row.payment_order_id for row in shown]
            items = payment_store.order_items(session, ids)
            withheld = payment_store.order_withholdings(session, ids)
        return payables_pb2.ListPaymentOrdersResponse(
            payment_orders=[
                wire.order_message(row, items.get(row.payment_order_id, []), withheld.get(row.payment_order_id, {}))
                for row in shown
            ],
            next_page_token=page.token([shown[-1].payment_order_id]) if len(found) > page.size else "",
        )

    @rpc(PAYABLES)
    def record_bank_debit(self, request, call):
        order_id = wire.order_id(request.name)
        with self.db.begin(call) as work:
            payment_order.record_debit(
                work.session,
                order_id,
                bank_reference=request.bank_reference,
                value_date=from_date(request.value_date, "value_date"),
                amount=from_money(request.amount, "amount"),
                person_id=call.principal.acting_person(),
            )
            message = _order(work.session, order_id)
            work.reply(
                payables_pb2.RecordBankDebitResponse(payment_order=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def reject_payment_order(self, request, call):
        order_id = wire.order_id(request.name)
        with self.db.begin(call) as work:
            payment_order.reject(
                work.session,
                order_id,
                bank_reference=request.bank_reference,
                explanation=request.explanation,
                rejected_on=from_date(request.rejected_on, "rejected_on"),
                person_id=call.principal.acting_person(),
            )
            message = _order(work.session, order_id)
            work.reply(
                payables_pb2.RejectPaymentOrderResponse(payment_order=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(PAYABLES)
    def get_stock_control(self, request, call):
        with self.db.read(call, snapshot=True) as session:
            control = stock_control.at_cut(session, to_uuid(request.agency_id, "agency_id"), on=self.clock.today())
        return payables_pb2.GetStockControlResponse(
            stock_movement_number=control.stock_movement_number,
            # An agency without books has no currency and no balance.
            balance=to_money(control.balance) if control.balance.currency else None,
            account_code=control.account_code,
        )

    # --- what logistics tells ----------------------------------------------------------------------------------

    @on_event(PurchaseOrderIssued)
    def on_purchase_order_issued(self, event, session):
        receiving.register_order(session, event_wire.order(event.message))

    @on_event(PurchaseOrderCancelled)
    def on_purchase_order_cancelled(self, event, session):
        receiving.cancel_order(
            session, to_uuid(event.message.purchase_order_id), event_wire.cancelled_lines(event.message)
        )

    @on_event(GoodsAccepted)
    def on_goods_accepted(self, event, session):
        receiving.accrue_delivery(session, event_wire.acceptance(event.message))

    @on_event(StockMovementPosted)
    def on_stock_movement_posted(self, event, session):
        receiving.post_stock_movement(session, event_wire.stock_movement(event.message))

    # --- the numberer ------------------------------------------------------------------------------------------

    @every(NUMBERING_SECONDS)
    def number_papers(self):
        numbering.number_waiting(self.db, today=self.clock.today())


def _request(session, payment_request_id):
    payables = payment_store.request_payables(session, [payment_request_id])
    row = payment_store.request(session, payment_request_id)
    due_on = clocks.due_on(session, payment_request_id)
    return wire.request_message(row, payables.get(payment_request_id, []), due_on)


def _order(session, payment_order_id):
    items = payment_store.order_items(session, [payment_order_id])
    withheld = payment_store.order_withholdings(session, [payment_order_id])
    return wire.order_message(
        payment_store.order(session, payment_order_id),
        items.get(payment_order_id, []),
        withheld.get(payment_order_id, {}),
    )
