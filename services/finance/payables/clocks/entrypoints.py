"""PaymentClockService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import payment_clock_pb2
from services.finance.payables.clocks import store, wire

CLOCKS = payment_clock_pb2.DESCRIPTOR.services_by_name["PaymentClockService"]


class PaymentClockEntrypoints:
    """The RPC of PaymentClockService."""

    db: Any

    @rpc(CLOCKS)
    def list_payment_clocks(self, request, call):
        agency_id, today = optional_uuid(request.agency_id, "agency_id"), call.now.date()
        filters = {"agency_id": agency_id, "late": request.late, "running": request.running}
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, today=today, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        last = shown[-1] if len(found) > page.size else None
        return payment_clock_pb2.ListPaymentClocksResponse(
            payment_clocks=[wire.clock_message(row, today) for row in shown],
            next_page_token="" if last is None else page.token([last.due_on, last.payment_request_id, last.step]),
        )
