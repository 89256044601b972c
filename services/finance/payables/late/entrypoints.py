"""LateInterestService and LateInterestChargeService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import late_interest_charge_pb2, late_interest_pb2
from services.finance.budget import usecases as budget
from services.finance.budget.domain import BudgetExceeded
from services.finance.payables.late import store, usecases, wire
from services.finance.payables.wire import status_filter

CHARGES = late_interest_charge_pb2.DESCRIPTOR.services_by_name["LateInterestChargeService"]
LATE = late_interest_pb2.DESCRIPTOR.services_by_name["LateInterestService"]


class LateInterestEntrypoints:
    """The RPCs of LateInterestService and LateInterestChargeService."""

    db: Any

    @rpc(LATE)
    def list_late_payments(self, request, call):
        agency_id, as_of = to_uuid(request.agency_id, "agency_id"), from_date(request.as_of, "as_of")
        page = Page.of(request, {"agency_id": agency_id, "as_of": as_of})
        with self.db.read(call) as session:
            found = usecases.late_payments(
                session, agency_id=agency_id, as_of=as_of, after=page.after, limit=page.size + 1
            )
        shown = found[: page.size]
        return late_interest_pb2.ListLatePaymentsResponse(
            late_payments=[wire.late_message(one) for one in shown],
            next_page_token=page.token([shown[-1].row.payable_id]) if len(found) > page.size else "",
        )

    @rpc(CHARGES)
    def create_late_interest_charge(self, request, call):
        new = wire.new_charge(request.late_interest_charge)
        with self.db.begin(call) as work:
            row = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.charge_message(row))
        return work.answer

    @rpc(CHARGES)
    def get_late_interest_charge(self, request, call):
        with self.db.read(call) as session:
            return wire.charge_message(store.get(session, wire.charge_id(request.name)))

    @rpc(CHARGES)
    def list_late_interest_charges(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "late_payable_id": optional_uuid(request.late_payable_id, "late_payable_id"),
            "status": status_filter(
                late_interest_charge_pb2.LateInterestChargeStatus, "LATE_INTEREST_CHARGE_STATUS_", request.status
            ),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.charges(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return late_interest_charge_pb2.ListLateInterestChargesResponse(
            late_interest_charges=[wire.charge_message(row) for row in shown],
            next_page_token=page.token([shown[-1].late_interest_charge_id]) if len(found) > page.size else "",
        )

    @rpc(CHARGES)
    def approve_late_interest_charge(self, request, call):
        charge_id, person_id = wire.charge_id(request.name), call.principal.acting_person()
        try:
            with self.db.begin(call) as work:
                row = usecases.approve(
                    work.session,
                    charge_id,
                    effective_on=from_date(request.effective_on, "effective_on"),
                    person_id=person_id,
                    at=call.now,
                )
                work.reply(
                    late_interest_charge_pb2.ApproveLateInterestChargeResponse(
                        late_interest_charge=wire.charge_message(row)
                    ),
                    resource=request.name,
                    agency_id=row.agency_id,
                )
        except BudgetExceeded as refusal:
            with self.db.read(call) as session:
                row = store.get(session, charge_id)
            with self.db.work([row.agency_id], subject=call.principal.subject) as session:
                budget.record_refusal(
                    session,
                    row.agency_id,
                    usecases.document(row),
                    refusal,
                    subject=call.principal.subject,
                    request_id=str(call.request_id),
                    person_id=person_id,
                )
            raise
        return work.answer

    @rpc(CHARGES)
    def reject_late_interest_charge(self, request, call):
        return self._end_charge(
            request, call, usecases.reject, late_interest_charge_pb2.RejectLateInterestChargeResponse
        )

    @rpc(CHARGES)
    def recall_late_interest_charge(self, request, call):
        return self._end_charge(
            request, call, usecases.recall, late_interest_charge_pb2.RecallLateInterestChargeResponse
        )

    def _end_charge(self, request, call, act, response):
        with self.db.begin(call) as work:
            row = act(
                work.session,
                wire.charge_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                response(late_interest_charge=wire.charge_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer
