"""BudgetPreparationService, units' requests: what each RPC does, in order."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from chassis.grpc import rpc
from chassis.money import Money
from chassis.paging import Page
from chassis.wire import from_money, optional_uuid, to_money, to_uuid
from kelola.finance.v1 import budget_preparation_pb2 as pb
from services.finance.budget.preparation import store, usecases, wire

PREPARATION = pb.DESCRIPTOR.services_by_name["BudgetPreparationService"]


class BudgetRequestEntrypoints:
    """The RPCs of BudgetPreparationService about units' requests."""

    db: Any

    @rpc(PREPARATION)
    def create_budget_request(self, request, call):
        wanted = wire.request(
            request.budget_request,
            medium_term_years=usecases.medium_term_years(request.budget_request.fiscal_year),
            by=call.principal.acting_person(),
            at=call.now,
        )
        with self.db.begin(call) as work:
            work.reply(wire.request_message(usecases.create(work.session, wanted)))
        return work.answer

    @rpc(PREPARATION)
    def get_budget_request(self, request, call):
        with self.db.read(call) as session:
            return wire.request_message(usecases.get(session, wire.request_id(request.name)))

    @rpc(PREPARATION)
    def list_budget_requests(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
            "organisation_code": request.organisation_code,
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.requests(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListBudgetRequestsResponse(
            budget_requests=[wire.request_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_request_id]) if len(found) > page.size else "",
        )

    @rpc(PREPARATION)
    def list_budget_request_versions(self, request, call):
        page = Page.of(request, {"budget_request": request.budget_request})
        with self.db.read(call) as session:
            present = usecases.get(session, wire.request_id(request.budget_request))
            found = store.versions(session, present.budget_request_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListBudgetRequestVersionsResponse(
            budget_request_versions=[wire.version_message(one, present.currency) for one in shown],
            next_page_token=page.token([shown[-1].version_number]) if len(found) > page.size else "",
        )

    @rpc(PREPARATION)
    def list_budget_request_lines(self, request, call):
        page = Page.of(request, {"budget_request": request.budget_request, "version": request.version_number})
        with self.db.read(call) as session:
            present = usecases.get(session, wire.request_id(request.budget_request))
            number = usecases.known_version(present, request.version_number)
            found = store.lines(session, present.budget_request_id, number, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListBudgetRequestLinesResponse(
            budget_request_lines=[wire.line_message(one, present.currency) for one in shown],
            next_page_token=page.token(astuple(shown[-1].key)) if len(found) > page.size else "",
        )

    @rpc(PREPARATION)
    def list_budget_request_differences(self, request, call):
        page = Page.of(
            request,
            {
                "budget_request": request.budget_request,
                "from": request.from_version_number,
                "to": request.to_version_number,
            },
        )
        with self.db.read(call) as session:
            present = usecases.get(session, wire.request_id(request.budget_request))
            found = store.differences(
                session,
                present.budget_request_id,
                usecases.known_version(present, request.from_version_number),
                usecases.known_version(present, request.to_version_number),
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return pb.ListBudgetRequestDifferencesResponse(
            budget_request_differences=[wire.difference_message(one, present.currency) for one in shown],
            next_page_token=page.token(astuple(shown[-1].key)) if len(found) > page.size else "",
        )

    @rpc(PREPARATION)
    def set_budget_request_lines(self, request, call):
        lines, currencies = wire.lines(request)
        with self.db.begin(call) as work:
            draft = usecases.set_lines(
                work.session,
                wire.request_id(request.name),
                lines,
                [to_uuid(one, "removed_budget_request_line_ids") for one in request.removed_budget_request_line_ids],
                currencies=currencies,
                person_id=call.principal.acting_person(),
                on=call.now.date(),
            )
            _answer(work, request, pb.SetBudgetRequestLinesResponse, draft)
        return work.answer

    @rpc(PREPARATION)
    def submit_budget_request(self, request, call):
        with self.db.begin(call) as work:
            submitted = usecases.submit(
                work.session,
                wire.request_id(request.name),
                control_line_count=request.control_line_count,
                control_total=from_money(request.control_total, "control_total"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            _answer(work, request, pb.SubmitBudgetRequestResponse, submitted)
        return work.answer

    @rpc(PREPARATION)
    def review_budget_request(self, request, call):
        with self.db.begin(call) as work:
            reviewed = usecases.review(
                work.session,
                wire.request_id(request.name),
                person_id=call.principal.acting_person(),
                remark=request.remark,
                at=call.now,
            )
            _answer(work, request, pb.ReviewBudgetRequestResponse, reviewed)
        return work.answer

    @rpc(PREPARATION)
    def return_budget_request(self, request, call):
        with self.db.begin(call) as work:
            returned = usecases.give_back(
                work.session,
                wire.request_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            _answer(work, request, pb.ReturnBudgetRequestResponse, returned)
        return work.answer

    @rpc(PREPARATION)
    def recall_budget_request(self, request, call):
        with self.db.begin(call) as work:
            recalled = usecases.recall(
                work.session,
                wire.request_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            _answer(work, request, pb.RecallBudgetRequestResponse, recalled)
        return work.answer

    @rpc(PREPARATION)
    def approve_budget_request(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session, wire.request_id(request.name), person_id=call.principal.acting_person(), at=call.now
            )
            _answer(work, request, pb.ApproveBudgetRequestResponse, approved)
        return work.answer

    @rpc(PREPARATION)
    def open_budget_request_version(self, request, call):
        with self.db.begin(call) as work:
            opened = usecases.open_version(
                work.session,
                wire.request_id(request.name),
                wire.stage(request.stage),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            _answer(work, request, pb.OpenBudgetRequestVersionResponse, opened)
        return work.answer

    @rpc(PREPARATION)
    def appropriate_budget_request(self, request, call):
        with self.db.begin(call) as work:
            final, draft = usecases.appropriate(
                work.session,
                wire.request_id(request.name),
                document_number=request.document_number,
                control_line_count=request.control_line_count,
                control_total=from_money(request.control_total, "control_total"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                pb.AppropriateBudgetRequestResponse(
                    budget_request=wire.request_message(final),
                    appropriation_id=str(draft.appropriation_id),
                    line_count=draft.line_count,
                    total=to_money(Money(draft.total_minor, draft.currency)),
                ),
                resource=request.name,
                agency_id=final.agency_id,
            )
        return work.answer


def _answer(work, request, response, present):
    work.reply(
        response(budget_request=wire.request_message(present)),
        resource=request.name,
        agency_id=present.agency_id,
    )
