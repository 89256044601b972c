"""ReceiptService: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, resource_id
from kelola.logistics.v1 import receipt_pb2
from services.logistics.receiving import store, usecases, wire

RECEIPT = receipt_pb2.DESCRIPTOR.services_by_name["ReceiptService"]


class ReceivingEntrypoints:
    """The RPCs of ReceiptService. Acceptance makes stock and expenditure in one transaction."""

    @rpc(RECEIPT)
    def create_receipt(self, request, call):
        delivery = wire.delivery(request.receipt)
        by, today = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            receipt = usecases.create_receipt(work.session, delivery, by=by, at=self.clock.now(), today=today)
            work.reply(wire.receipt_message(receipt))
        return work.answer

    @rpc(RECEIPT)
    def get_receipt(self, request, call):
        with self.db.read(call) as session:
            return wire.receipt_message(store.receipt_by_id(session, resource_id(wire.RECEIPTS, request.name)))

    @rpc(RECEIPT)
    def list_receipts(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "purchase_order_id": optional_uuid(request.purchase_order_id, "purchase_order_id"),
        }
        page = Page.of(request, filters=filters)
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            found = store.receipts_after(session, after, page.size + 1, **filters)
        more = len(found) > page.size
        return receipt_pb2.ListReceiptsResponse(
            receipts=[wire.receipt_message(receipt) for receipt in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].receipt_id]) if more else "",
        )

    @rpc(RECEIPT)
    def accept_receipt(self, request, call):
        receipt_id = resource_id(wire.RECEIPTS, request.name)
        accepted_on = from_date(request.accepted_on, "accepted_on")
        inspections = wire.inspections(request)
        by, today = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            receipt = usecases.accept_receipt(
                work.session,
                receipt_id,
                inspections,
                by=by,
                at=self.clock.now(),
                on=accepted_on,
                today=today,
                etag=request.etag,
            )
            message = receipt_pb2.AcceptReceiptResponse(receipt=wire.receipt_message(receipt))
            work.reply(message, resource=request.name, agency_id=receipt.agency_id)
        return work.answer
