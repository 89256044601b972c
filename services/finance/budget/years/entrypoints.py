"""MultiYearService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import budget_years_pb2
from services.finance.budget.years import store, usecases, wire

MULTI_YEAR = budget_years_pb2.DESCRIPTOR.services_by_name["MultiYearService"]


class MultiYearEntrypoints:
    """The RPCs of MultiYearService."""

    db: Any

    @rpc(MULTI_YEAR)
    def create_multi_year_authorisation(self, request, call):
        wanted = wire.authorisation(request.multi_year_authorisation, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.authorisation_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(MULTI_YEAR)
    def get_multi_year_authorisation(self, request, call):
        with self.db.read(call) as session:
            return wire.authorisation_message(usecases.get(session, wire.authorisation_id(request.name)))

    @rpc(MULTI_YEAR)
    def list_multi_year_authorisations(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "waiting_year": request.waiting_year,
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.authorisations(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_years_pb2.ListMultiYearAuthorisationsResponse(
            multi_year_authorisations=[wire.authorisation_message(one) for one in shown],
            next_page_token=page.token([shown[-1].multi_year_authorisation_id]) if len(found) > page.size else "",
        )

    @rpc(MULTI_YEAR)
    def approve_multi_year_authorisation(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session,
                wire.authorisation_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                budget_years_pb2.ApproveMultiYearAuthorisationResponse(
                    multi_year_authorisation=wire.authorisation_message(approved)
                ),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(MULTI_YEAR)
    def reject_multi_year_authorisation(self, request, call):
        with self.db.begin(call) as work:
            rejected = usecases.reject(
                work.session,
                wire.authorisation_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_years_pb2.RejectMultiYearAuthorisationResponse(
                    multi_year_authorisation=wire.authorisation_message(rejected)
                ),
                resource=request.name,
                agency_id=rejected.agency_id,
            )
        return work.answer

    @rpc(MULTI_YEAR)
    def recall_multi_year_authorisation(self, request, call):
        with self.db.begin(call) as work:
            recalled = usecases.recall(
                work.session,
                wire.authorisation_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_years_pb2.RecallMultiYearAuthorisationResponse(
                    multi_year_authorisation=wire.authorisation_message(recalled)
                ),
                resource=request.name,
                agency_id=recalled.agency_id,
            )
        return work.answer

    @rpc(MULTI_YEAR)
    def open_multi_year_slices(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            looked_at = usecases.open_year(
                work.session,
                agency_id,
                request.fiscal_year,
                on=from_date(request.effective_on, "effective_on"),
                person_id=call.principal.acting_person(),
            )
            work.reply(
                budget_years_pb2.OpenMultiYearSlicesResponse(
                    multi_year_authorisations=[wire.authorisation_message(one) for one in looked_at]
                ),
                resource=f"multiYearSlices/{request.fiscal_year}",
                agency_id=agency_id,
            )
        return work.answer
