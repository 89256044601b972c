"""WithholdingRemittanceService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid
from kelola.finance.v1 import withholding_remittance_pb2
from services.finance.payables.remittances import store, usecases, wire
from services.finance.payables.wire import status_filter

REMITTANCES = withholding_remittance_pb2.DESCRIPTOR.services_by_name["WithholdingRemittanceService"]


class WithholdingRemittanceEntrypoints:
    """The RPCs of WithholdingRemittanceService."""

    db: Any

    @rpc(REMITTANCES)
    def create_withholding_remittance(self, request, call):
        new = wire.new_remittance(request.withholding_remittance)
        with self.db.begin(call) as work:
            row = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(_message(work.session, row))
        return work.answer

    @rpc(REMITTANCES)
    def get_withholding_remittance(self, request, call):
        with self.db.read(call) as session:
            return _message(session, store.get(session, wire.remittance_id(request.name)))

    @rpc(REMITTANCES)
    def list_withholding_remittances(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "withholding_code": request.withholding_code,
            "status": status_filter(
                withholding_remittance_pb2.WithholdingRemittanceStatus,
                "WITHHOLDING_REMITTANCE_STATUS_",
                request.status,
            ),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return withholding_remittance_pb2.ListWithholdingRemittancesResponse(
            withholding_remittances=[wire.remittance_message(row, ()) for row in shown],
            next_page_token=page.token([shown[-1].withholding_remittance_id]) if len(found) > page.size else "",
        )

    @rpc(REMITTANCES)
    def approve_withholding_remittance(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.approve(
                work.session,
                wire.remittance_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                withholding_remittance_pb2.ApproveWithholdingRemittanceResponse(
                    withholding_remittance=_message(work.session, row)
                ),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(REMITTANCES)
    def reject_withholding_remittance(self, request, call):
        return self._end_remittance(
            request, call, usecases.reject, withholding_remittance_pb2.RejectWithholdingRemittanceResponse
        )

    @rpc(REMITTANCES)
    def recall_withholding_remittance(self, request, call):
        return self._end_remittance(
            request, call, usecases.recall, withholding_remittance_pb2.RecallWithholdingRemittanceResponse
        )

    @rpc(REMITTANCES)
    def record_withholding_remittance_receipt(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.record_receipt(
                work.session,
                wire.remittance_id(request.name),
                receipt_number=request.receipt_number,
                received_on=from_date(request.received_on, "received_on"),
                person_id=call.principal.acting_person(),
            )
            work.reply(
                withholding_remittance_pb2.RecordWithholdingRemittanceReceiptResponse(
                    withholding_remittance=_message(work.session, row)
                ),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    def _end_remittance(self, request, call, act, response):
        with self.db.begin(call) as work:
            row = act(
                work.session,
                wire.remittance_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                response(withholding_remittance=_message(work.session, row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer


def _message(session, row):
    items = store.items(session, [row.withholding_remittance_id]).get(row.withholding_remittance_id, [])
    return wire.remittance_message(row, items)
