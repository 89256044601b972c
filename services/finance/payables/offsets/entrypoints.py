"""CreditOffsetService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid
from kelola.finance.v1 import credit_offset_pb2
from services.finance.payables.offsets import store, usecases, wire
from services.finance.payables.wire import status_filter

OFFSETS = credit_offset_pb2.DESCRIPTOR.services_by_name["CreditOffsetService"]


class CreditOffsetEntrypoints:
    """The RPCs of CreditOffsetService."""

    db: Any

    @rpc(OFFSETS)
    def create_credit_offset(self, request, call):
        new = wire.new_offset(request.credit_offset)
        with self.db.begin(call) as work:
            row = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.offset_message(row))
        return work.answer

    @rpc(OFFSETS)
    def get_credit_offset(self, request, call):
        with self.db.read(call) as session:
            return wire.offset_message(store.get(session, wire.offset_id(request.name)))

    @rpc(OFFSETS)
    def list_credit_offsets(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "payable_id": optional_uuid(request.payable_id, "payable_id"),
            "status": status_filter(credit_offset_pb2.CreditOffsetStatus, "CREDIT_OFFSET_STATUS_", request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return credit_offset_pb2.ListCreditOffsetsResponse(
            credit_offsets=[wire.offset_message(row) for row in shown],
            next_page_token=page.token([shown[-1].credit_offset_id]) if len(found) > page.size else "",
        )

    @rpc(OFFSETS)
    def approve_credit_offset(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.approve(
                work.session,
                wire.offset_id(request.name),
                effective_on=from_date(request.effective_on, "effective_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                credit_offset_pb2.ApproveCreditOffsetResponse(credit_offset=wire.offset_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(OFFSETS)
    def reject_credit_offset(self, request, call):
        return self._end_offset(request, call, usecases.reject, credit_offset_pb2.RejectCreditOffsetResponse)

    @rpc(OFFSETS)
    def recall_credit_offset(self, request, call):
        return self._end_offset(request, call, usecases.recall, credit_offset_pb2.RecallCreditOffsetResponse)

    def _end_offset(self, request, call, act, response):
        with self.db.begin(call) as work:
            row = act(
                work.session,
                wire.offset_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                response(credit_offset=wire.offset_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer
