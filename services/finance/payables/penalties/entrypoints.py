"""LateDeliveryPenaltyService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_money, optional_uuid, to_money
from kelola.finance.v1 import penalty_pb2
from services.finance.payables.penalties import store, usecases, wire
from services.finance.payables.wire import status_filter

PENALTIES = penalty_pb2.DESCRIPTOR.services_by_name["LateDeliveryPenaltyService"]


class LateDeliveryPenaltyEntrypoints:
    """The RPCs of LateDeliveryPenaltyService."""

    db: Any

    @rpc(PENALTIES)
    def check_late_delivery_penalty(self, request, call):
        new = wire.new_penalty(request.late_delivery_penalty)
        with self.db.read(call) as session:
            amount, assessed, rule = usecases.check(session, new, on=call.now.date())
        return penalty_pb2.CheckLateDeliveryPenaltyResponse(
            days_late=assessed.days,
            daily_rate=str(rule.daily_rate),
            capped=assessed.capped,
            amount=to_money(amount),
            legal_source=rule.legal_source,
        )

    @rpc(PENALTIES)
    def create_late_delivery_penalty(self, request, call):
        new = wire.new_penalty(request.late_delivery_penalty)
        with self.db.begin(call) as work:
            row = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.penalty_message(row))
        return work.answer

    @rpc(PENALTIES)
    def get_late_delivery_penalty(self, request, call):
        with self.db.read(call) as session:
            return wire.penalty_message(store.get(session, wire.penalty_id(request.name)))

    @rpc(PENALTIES)
    def list_late_delivery_penalties(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "payable_id": optional_uuid(request.payable_id, "payable_id"),
            "status": status_filter(
                penalty_pb2.LateDeliveryPenaltyStatus, "LATE_DELIVERY_PENALTY_STATUS_", request.status
            ),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return penalty_pb2.ListLateDeliveryPenaltiesResponse(
            late_delivery_penalties=[wire.penalty_message(row) for row in shown],
            next_page_token=page.token([shown[-1].late_delivery_penalty_id]) if len(found) > page.size else "",
        )

    @rpc(PENALTIES)
    def approve_late_delivery_penalty(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.approve(
                work.session,
                wire.penalty_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                penalty_pb2.ApproveLateDeliveryPenaltyResponse(late_delivery_penalty=wire.penalty_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(PENALTIES)
    def reduce_late_delivery_penalty(self, request, call):
        left = from_money(request.amount, "amount")
        with self.db.begin(call) as work:
            row = usecases.reduce(
                work.session,
                wire.penalty_id(request.name),
                left=left,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                penalty_pb2.ReduceLateDeliveryPenaltyResponse(late_delivery_penalty=wire.penalty_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer

    @rpc(PENALTIES)
    def reject_late_delivery_penalty(self, request, call):
        return self._end_penalty(request, call, usecases.reject, penalty_pb2.RejectLateDeliveryPenaltyResponse)

    @rpc(PENALTIES)
    def recall_late_delivery_penalty(self, request, call):
        return self._end_penalty(request, call, usecases.recall, penalty_pb2.RecallLateDeliveryPenaltyResponse)

    def _end_penalty(self, request, call, act, response):
        with self.db.begin(call) as work:
            row = act(
                work.session,
                wire.penalty_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                response(late_delivery_penalty=wire.penalty_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer
