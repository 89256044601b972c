"""WithholdingSlipService: what happens, in order. Slips are written by the bank's debit, not by a call."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import withholding_slip_pb2
from services.finance.payables.slips import store, wire

SLIPS = withholding_slip_pb2.DESCRIPTOR.services_by_name["WithholdingSlipService"]


class WithholdingSlipEntrypoints:
    """The RPCs of WithholdingSlipService."""

    db: Any

    @rpc(SLIPS)
    def get_withholding_slip(self, request, call):
        with self.db.read(call) as session:
            return wire.slip_message(store.get(session, wire.slip_id(request.name)))

    @rpc(SLIPS)
    def list_withholding_slips(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        order_id = optional_uuid(request.payment_order_id, "payment_order_id")
        filters = {"agency_id": agency_id, "order_id": order_id, "code": request.withholding_code}
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(
                session,
                agency_id=agency_id,
                payment_order_id=order_id,
                withholding_code=request.withholding_code,
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return withholding_slip_pb2.ListWithholdingSlipsResponse(
            withholding_slips=[wire.slip_message(row) for row in shown],
            next_page_token=page.token([shown[-1].withholding_slip_id]) if len(found) > page.size else "",
        )
