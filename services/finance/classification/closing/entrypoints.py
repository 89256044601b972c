"""FiscalClosingService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, to_uuid
from kelola.finance.v1 import fiscal_closing_pb2
from services.finance.classification import wire as calendar
from services.finance.classification.closing import store, usecases, wire

CLOSING = fiscal_closing_pb2.DESCRIPTOR.services_by_name["FiscalClosingService"]


class ClosingEntrypoints:
    """The RPCs of FiscalClosingService."""

    db: Any

    @rpc(CLOSING)
    def create_fiscal_period_reopening(self, request, call):
        wanted = wire.reopening(request.fiscal_period_reopening, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.reopening_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(CLOSING)
    def get_fiscal_period_reopening(self, request, call):
        with self.db.read(call) as session:
            return wire.reopening_message(usecases.get(session, wire.reopening_id(request.name)))

    @rpc(CLOSING)
    def list_fiscal_period_reopenings(self, request, call):
        filters = {
            "agency_id": to_uuid(request.agency_id, "agency_id"),
            "year": request.year,
            "status": wire.status(request.status),
        }
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            found = store.reopenings(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return fiscal_closing_pb2.ListFiscalPeriodReopeningsResponse(
            fiscal_period_reopenings=[wire.reopening_message(one) for one in shown],
            next_page_token=page.token([shown[-1].fiscal_period_reopening_id]) if len(found) > page.size else "",
        )

    @rpc(CLOSING)
    def approve_fiscal_period_reopening(self, request, call):
        with self.db.begin(call) as work:
            approved, periods = usecases.approve(
                work.session,
                wire.reopening_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                fiscal_closing_pb2.ApproveFiscalPeriodReopeningResponse(
                    fiscal_period_reopening=wire.reopening_message(approved),
                    fiscal_periods=[calendar.period_message(period) for period in periods],
                ),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(CLOSING)
    def reject_fiscal_period_reopening(self, request, call):
        return self._settle(request, call, usecases.reject, fiscal_closing_pb2.RejectFiscalPeriodReopeningResponse)

    @rpc(CLOSING)
    def recall_fiscal_period_reopening(self, request, call):
        return self._settle(request, call, usecases.recall, fiscal_closing_pb2.RecallFiscalPeriodReopeningResponse)

    def _settle(self, request, call, act, response):
        with self.db.begin(call) as work:
            settled = act(
                work.session,
                wire.reopening_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                response(fiscal_period_reopening=wire.reopening_message(settled)),
                resource=request.name,
                agency_id=settled.agency_id,
            )
        return work.answer

    @rpc(CLOSING)
    def list_fiscal_period_blockers(self, request, call):
        filters = {
            "agency_id": to_uuid(request.agency_id, "agency_id"),
            "year": request.year,
            "number": request.number,
            "areas": calendar.areas(request.areas),
        }
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            found = usecases.blockers(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return fiscal_closing_pb2.ListFiscalPeriodBlockersResponse(
            blockers=[wire.blocker_message(one) for one in shown],
            next_page_token=page.token([shown[-1].kind.value, shown[-1].subject]) if len(found) > page.size else "",
        )

    @rpc(CLOSING)
    def issue_financial_statements(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            issued = usecases.issue_statements(
                work.session,
                agency_id=agency_id,
                year=request.year,
                issued_on=from_date(request.issued_on, "issued_on"),
                document_number=request.document_number,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = calendar.fiscal_year_message(issued)
            work.reply(
                fiscal_closing_pb2.IssueFinancialStatementsResponse(fiscal_year=message),
                resource=message.name,
                agency_id=agency_id,
            )
        return work.answer
