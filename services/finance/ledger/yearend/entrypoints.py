"""YearEndService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import to_uuid
from kelola.finance.v1 import year_end_pb2
from services.finance.ledger.yearend import store, usecases, wire

YEAR_END = year_end_pb2.DESCRIPTOR.services_by_name["YearEndService"]


class YearEndEntrypoints:
    """The RPCs of YearEndService."""

    db: Any

    @rpc(YEAR_END)
    def close_fiscal_year(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            done = usecases.close(
                work.session,
                agency_id=agency_id,
                year=request.year,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                year_end_pb2.CloseFiscalYearResponse(fiscal_year_closing=wire.closing_message(done)),
                resource=f"fiscalYearClosings/{done.fiscal_year_closing_id}",
                agency_id=agency_id,
            )
        return work.answer

    @rpc(YEAR_END)
    def list_fiscal_year_closings(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.closings(session, agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return year_end_pb2.ListFiscalYearClosingsResponse(
            fiscal_year_closings=[wire.closing_message(one) for one in shown],
            next_page_token=page.token([shown[-1].fiscal_year_closing_id]) if len(found) > page.size else "",
        )
