"""InvoiceExceptionService: what happens, in order. Exceptions are opened by the match, not by a call."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid, to_uuid
from kelola.finance.v1 import invoice_exception_pb2, payables_pb2
from services.finance.payables.exceptions import store, usecases, wire
from services.finance.payables.wire import status_filter

EXCEPTIONS = invoice_exception_pb2.DESCRIPTOR.services_by_name["InvoiceExceptionService"]


class InvoiceExceptionEntrypoints:
    """The RPCs of InvoiceExceptionService."""

    db: Any

    @rpc(EXCEPTIONS)
    def get_invoice_exception(self, request, call):
        with self.db.read(call) as session:
            return _message(session, store.get(session, wire.exception_id(request.name)))

    @rpc(EXCEPTIONS)
    def list_invoice_exceptions(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "owner_person_id": optional_uuid(request.owner_person_id, "owner_person_id"),
            "unassigned": request.unassigned,
            "reason": status_filter(payables_pb2.InvoiceHoldReason, "INVOICE_HOLD_REASON_", request.reason),
            "status": status_filter(
                invoice_exception_pb2.InvoiceExceptionStatus, "INVOICE_EXCEPTION_STATUS_", request.status
            ),
            "age_days_min": request.age_days_min,
            "overdue": request.overdue,
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, after=page.after, limit=page.size + 1)
            shown = found[: page.size]
            steps = store.steps(session, [row.invoice_exception_id for row in shown])
            now = store.now(session)
        return invoice_exception_pb2.ListInvoiceExceptionsResponse(
            invoice_exceptions=[wire.exception_message(row, steps[row.invoice_exception_id], now) for row in shown],
            next_page_token=page.token([shown[-1].invoice_exception_id]) if len(found) > page.size else "",
        )

    @rpc(EXCEPTIONS)
    def assign_invoice_exception(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.assign(
                work.session,
                wire.exception_id(request.name),
                owner_person_id=to_uuid(request.owner_person_id, "owner_person_id"),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                invoice_exception_pb2.AssignInvoiceExceptionResponse(invoice_exception=_message(work.session, row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(EXCEPTIONS)
    def ask_supplier(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.ask_supplier(
                work.session,
                wire.exception_id(request.name),
                explanation=request.explanation,
                answer_days=request.answer_days,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                invoice_exception_pb2.AskSupplierResponse(invoice_exception=_message(work.session, row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(EXCEPTIONS)
    def decide_invoice_exception(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.decide(
                work.session,
                wire.exception_id(request.name),
                outcome=wire.decided(request.decision),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                invoice_exception_pb2.DecideInvoiceExceptionResponse(invoice_exception=_message(work.session, row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer


def _message(session, row):
    steps = store.steps(session, [row.invoice_exception_id])[row.invoice_exception_id]
    return wire.exception_message(row, steps, store.now(session))
