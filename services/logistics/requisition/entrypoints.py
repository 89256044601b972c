"""RequisitionService and its sagas with finance: what each method does, in order."""

from __future__ import annotations

from datetime import date

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.saga import Refused, saga_step
from chassis.wire import optional_uuid, resource_id
from kelola.finance.v1 import budget_pb2_grpc
from kelola.logistics.v1 import requisition_pb2
from services.logistics.requisition import store, usecases, wire
from services.logistics.requisition.domain import ReleaseRefused
from services.logistics.wire import refusal_of

REQUISITION = requisition_pb2.DESCRIPTOR.services_by_name["RequisitionService"]


class RequisitionEntrypoints:
    """The RPCs of RequisitionService. Approval answers PENDING; finance's answer is recorded by the saga."""

    @rpc(REQUISITION)
    def create_requisition(self, request, call):
        asked = wire.asked_requisition(request.requisition)
        by = call.principal.acting_person()
        with self.db.begin(call) as work:
            requisition = usecases.create_requisition(work.session, asked, by=by, at=self.clock.now())
            work.reply(wire.requisition_message(requisition))
        return work.answer

    @rpc(REQUISITION)
    def get_requisition(self, request, call):
        requisition_id = resource_id(wire.REQUISITIONS, request.name)
        with self.db.read(call) as session:
            return wire.requisition_message(store.requisition_by_id(session, requisition_id))

    @rpc(REQUISITION)
    def list_requisitions(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        status = wire.status_filter(request.status)
        page = Page.of(request, filters={"agency_id": agency_id, "status": status})
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            found = store.requisitions_after(session, after, page.size + 1, agency_id=agency_id, status=status)
        more = len(found) > page.size
        return requisition_pb2.ListRequisitionsResponse(
            requisitions=[wire.requisition_message(requisition) for requisition in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].requisition_id]) if more else "",
        )

    @rpc(REQUISITION)
    def approve_requisition(self, request, call):
        requisition_id = resource_id(wire.REQUISITIONS, request.name)
        by, on = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            approved = usecases.approve_requisition(
                work.session, requisition_id, by=by, at=self.clock.now(), on=on, etag=request.etag
            )
            message = requisition_pb2.ApproveRequisitionResponse(requisition=wire.requisition_message(approved))
            work.reply(message, resource=request.name, agency_id=approved.agency_id)
        return work.answer

    @saga_step(usecases.RESERVE)
    def reserve_requisition(self, step):
        with self.db.work([step.agency_id], subject="service:logistics") as session:
            requisition = store.requisition_by_id(session, step.document_id)
        request = wire.reserve_request(requisition, date.fromisoformat(step.state["effective_on"]))
        outcome = step.ask(self.finance.stub(budget_pb2_grpc.BudgetServiceStub).ReserveFunds, request)
        refusal = refusal_of(outcome, self.clock.now())
        with self.db.step(step) as session:
            usecases.record_reservation(session, step.document_id, refusal=refusal)
            step.finish(session)

    @rpc(REQUISITION)
    def cancel_requisition(self, request, call):
        requisition_id = resource_id(wire.REQUISITIONS, request.name)
        by, on = call.principal.acting_person(), self.clock.today()
        with self.db.begin(call) as work:
            cancelled = usecases.cancel_requisition(
                work.session, requisition_id, by=by, cause=request.cause, on=on, etag=request.etag
            )
            message = requisition_pb2.CancelRequisitionResponse(requisition=wire.requisition_message(cancelled))
            work.reply(message, resource=request.name, agency_id=cancelled.agency_id)
        return work.answer

    @saga_step(usecases.RELEASE)
    def release_requisition(self, step):
        with self.db.work([step.agency_id], subject="service:logistics") as session:
            requisition = store.requisition_by_id(session, step.document_id)
        request = wire.release_request(requisition, date.fromisoformat(step.state["effective_on"]))
        if request is not None:
            outcome = step.ask(self.finance.stub(budget_pb2_grpc.BudgetServiceStub).ReleaseFunds, request)
            if isinstance(outcome, Refused):
                raise ReleaseRefused(f"finance refused to free the requisition's funds: {outcome.message}")
        with self.db.step(step) as session:
            usecases.record_release(session, step.document_id)
            step.finish(session)
