"""UninvoicedReceiptService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import to_uuid
from kelola.finance.v1 import uninvoiced_receipt_pb2
from services.finance.payables.uninvoiced import pack, store, wire

UNINVOICED = uninvoiced_receipt_pb2.DESCRIPTOR.services_by_name["UninvoicedReceiptService"]


class UninvoicedReceiptEntrypoints:
    """The RPC of UninvoicedReceiptService."""

    db: Any

    @rpc(UNINVOICED)
    def list_uninvoiced_receipts(self, request, call):
        agency_id, today = to_uuid(request.agency_id, "agency_id"), call.now.date()
        page, rule = Page.of(request, {"agency_id": agency_id}), pack.rule(today)
        with self.db.read(call) as session:
            found = store.page(
                session, agency_id=agency_id, last_day=rule.last_day(today), after=page.after, limit=page.size + 1
            )
        shown = found[: page.size]
        last = shown[-1] if len(found) > page.size else None
        return uninvoiced_receipt_pb2.ListUninvoicedReceiptsResponse(
            uninvoiced_receipts=[wire.uninvoiced_message(row, rule, today) for row in shown],
            next_page_token="" if last is None else page.token([last.accepted_on, last.purchase_order_line_id]),
        )
