"""ReportingClassService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_timestamp, optional_uuid
from kelola.finance.v1 import reporting_class_pb2
from services.finance.budget.report_store import Filter
from services.finance.classification.classes import store, usecases, wire
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.reports import Scope
from services.finance.ledger.wire import basis

REPORTING_CLASS = reporting_class_pb2.DESCRIPTOR.services_by_name["ReportingClassService"]


class ReportingClassEntrypoints:
    """The RPCs of ReportingClassService."""

    db: Any

    @rpc(REPORTING_CLASS)
    def batch_create_reporting_classes(self, request, call):
        wanted = [wire.reporting_class(one) for one in request.reporting_classes]
        with self.db.begin(call) as work:
            outcome = usecases.create_classes(work.session, wanted)
            work.reply(
                reporting_class_pb2.BatchCreateReportingClassesResponse(
                    reporting_classes=[wire.class_message(one) for one, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                )
            )
        return work.answer

    @rpc(REPORTING_CLASS)
    def list_reporting_classes(self, request, call):
        page = Page.of(request, {"scheme": request.scheme})
        with self.db.read(call) as session:
            found = store.classes(session, request.scheme, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return reporting_class_pb2.ListReportingClassesResponse(
            reporting_classes=[wire.class_message(one) for one in shown],
            next_page_token=page.token([shown[-1].code]) if len(found) > page.size else "",
        )

    @rpc(REPORTING_CLASS)
    def batch_create_class_mappings(self, request, call):
        wanted = [wire.mapping(one, f"class_mappings[{nth}]") for nth, one in enumerate(request.class_mappings)]
        with self.db.begin(call) as work:
            outcome = usecases.create_mappings(work.session, wanted)
            work.reply(
                reporting_class_pb2.BatchCreateClassMappingsResponse(
                    class_mappings=[wire.mapping_message(one) for one, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                )
            )
        return work.answer

    @rpc(REPORTING_CLASS)
    def list_class_mappings(self, request, call):
        page = Page.of(request, {"scheme": request.scheme})
        with self.db.read(call) as session:
            found = store.mappings(session, request.scheme, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return reporting_class_pb2.ListClassMappingsResponse(
            class_mappings=[wire.mapping_message(one) for one in shown],
            next_page_token=page.token([shown[-1].segment_code, shown[-1].valid_from])
            if len(found) > page.size
            else "",
        )

    @rpc(REPORTING_CLASS)
    def get_execution_by_class(self, request, call):
        wanted = Filter(agency_id=optional_uuid(request.agency_id, "agency_id"), fiscal_year=request.fiscal_year)
        last_day = fiscal_calendar().last_day(request.fiscal_year)
        on = from_date(request.mapped_on, "mapped_on") if request.HasField("mapped_on") else last_day
        shown = wire.rows(request)
        page = Page.of(request, {**wanted.values(), **vars(shown), "on": on})
        with self.db.read(call, snapshot=True) as session:
            report = usecases.execution(session, wanted, shown, on=on, after=page.after, limit=page.size + 1)
        last = report.rows[page.size - 1] if len(report.rows) > page.size else None
        token = page.token([last.class_code, last.currency]) if last else ""
        return wire.execution_message(report, page.size, token)

    @rpc(REPORTING_CLASS)
    def get_turnover_by_class(self, request, call):
        scope = Scope(
            basis=basis(request.basis),
            agency_id=optional_uuid(request.agency_id, "agency_id"),
            as_of=from_date(request.as_of, "as_of") if request.HasField("as_of") else None,
            known_at=from_timestamp(request.known_at, "known_at") if request.HasField("known_at") else None,
            without_adjustments=request.without_adjustments,
            without_closing=request.without_closing,
        )
        shown = wire.rows(request)
        page = Page.of(request, {**vars(scope), **vars(shown)})
        with self.db.read(call) as session:
            report = usecases.turnover(
                session,
                scope,
                shown,
                on=scope.as_of or call.now.date(),
                after=page.after,
                limit=page.size + 1,
            )
        last = report.rows[page.size - 1] if len(report.rows) > page.size else None
        token = page.token([last.account_code, last.currency, report.known_at]) if last else ""
        return wire.turnover_message(report, page.size, token)
