"""PurchaseOrderService, its sagas with finance, and what finance tells of invoices and payments."""

from __future__ import annotations

from datetime import date

from chassis.events import on_event
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.saga import Refused, saga_step
from chassis.wire import optional_uuid, resource_id, to_uuid
from kelola.finance.v1 import budget_pb2_grpc, credit_note_events_pb2, payables_events_pb2
from kelola.logistics.v1 import purchase_order_pb2
from services.logistics.ordering import store, usecases, wire
from services.logistics.ordering.variance import credit_receipts, value_receipts_anew
from services.logistics.requisition.domain import ReleaseRefused
from services.logistics.wire import refusal_of

PURCHASE_ORDER = purchase_order_pb2.DESCRIPTOR.services_by_name["PurchaseOrderService"]


class OrderingEntrypoints:
    """The RPCs of PurchaseOrderService. Signing answers PENDING; finance's answer is recorded by the saga."""

    @rpc(PURCHASE_ORDER)
    def create_purchase_order(self, request, call):
        asked = wire.asked_order(request.purchase_order)
        by, on = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            order = usecases.create_order(work.session, asked, by=by, at=self.clock.now(), on=on)
            work.reply(wire.order_message(order))
        return work.answer

    @rpc(PURCHASE_ORDER)
    def get_purchase_order(self, request, call):
        purchase_order_id = resource_id(wire.PURCHASE_ORDERS, request.name)
        with self.db.read(call) as session:
            return wire.order_message(store.order_by_id(session, purchase_order_id))

    @rpc(PURCHASE_ORDER)
    def list_purchase_orders(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "status": wire.status_filter(request.status),
            "supplier_id": optional_uuid(request.supplier_id, "supplier_id"),
        }
        page = Page.of(request, filters=filters)
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            found = store.orders_after(session, after, page.size + 1, **filters)
        more = len(found) > page.size
        return purchase_order_pb2.ListPurchaseOrdersResponse(
            purchase_orders=[wire.order_message(order) for order in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].purchase_order_id]) if more else "",
        )

    @rpc(PURCHASE_ORDER)
    def approve_purchase_order(self, request, call):
        purchase_order_id = resource_id(wire.PURCHASE_ORDERS, request.name)
        by, on = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            signed = usecases.approve_order(
                work.session, purchase_order_id, by=by, at=self.clock.now(), on=on, etag=request.etag
            )
            message = purchase_order_pb2.ApprovePurchaseOrderResponse(purchase_order=wire.order_message(signed))
            work.reply(message, resource=request.name, agency_id=signed.agency_id)
        return work.answer

    @saga_step(usecases.OBLIGATE)
    def obligate_purchase_order(self, step):
        with self.db.work([step.agency_id], subject="service:logistics") as session:
            request = wire.obligate_request(store.order_by_id(session, step.document_id))
        outcome = step.ask(self.finance.stub(budget_pb2_grpc.BudgetServiceStub).ObligateFunds, request)
        refusal = refusal_of(outcome, self.clock.now())
        with self.db.step(step) as session:
            usecases.record_obligation(session, step.document_id, refusal=refusal)
            step.finish(session)

    @rpc(PURCHASE_ORDER)
    def cancel_purchase_order(self, request, call):
        purchase_order_id = resource_id(wire.PURCHASE_ORDERS, request.name)
        by, on = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            cancelled = usecases.cancel_order(
                work.session, purchase_order_id, by=by, cause=request.cause, on=on, etag=request.etag
            )
            message = purchase_order_pb2.CancelPurchaseOrderResponse(purchase_order=wire.order_message(cancelled))
            work.reply(message, resource=request.name, agency_id=cancelled.agency_id)
        return work.answer

    @saga_step(usecases.RELEASE)
    def release_purchase_order(self, step):
        with self.db.work([step.agency_id], subject="service:logistics") as session:
            order = store.order_by_id(session, step.document_id)
        request = wire.release_request(
            order,
            date.fromisoformat(step.state["effective_on"]),
            restore_liquidated=step.state["restore_liquidated"],
        )
        if request is not None:
            outcome = step.ask(self.finance.stub(budget_pb2_grpc.BudgetServiceStub).ReleaseFunds, request)
            if isinstance(outcome, Refused):
                raise ReleaseRefused(f"finance refused to free the order's funds: {outcome.message}")
        with self.db.step(step) as session:
            usecases.record_release(session, step.document_id)
            step.finish(session)

    @on_event(payables_events_pb2.InvoiceApproved)
    def on_invoice_approved(self, event, session):
        invoice = event.message
        purchase_order_id = to_uuid(invoice.purchase_order_id, "purchase_order_id")
        before, _ = usecases.record_invoice(session, purchase_order_id, wire.invoiced_lines(invoice))
        value_receipts_anew(
            session,
            before,
            wire.invoiced_lines(invoice),
            wire.variances(invoice),
            invoice_id=to_uuid(invoice.invoice_id, "invoice_id"),
        )

    @on_event(credit_note_events_pb2.CreditNoteApproved)
    def on_credit_note_approved(self, event, session):
        note, lines = event.message, wire.credited_lines(event.message)
        order = usecases.record_credit(
            session, to_uuid(note.purchase_order_id, "purchase_order_id"), lines, replaced=note.replaced
        )
        credit_receipts(session, order, lines, credit_note_id=to_uuid(note.credit_note_id, "credit_note_id"))

    @on_event(payables_events_pb2.PaymentMade)
    def on_payment_made(self, event, session):
        for purchase_order_id, amount in wire.paid_orders(event.message):
            usecases.record_payment(session, purchase_order_id, amount)
