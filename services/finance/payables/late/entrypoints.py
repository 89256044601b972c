"""LateInterestService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, to_uuid
from kelola.finance.v1 import late_interest_pb2
from services.finance.payables.late import domain, pack, store, wire

LATE = late_interest_pb2.DESCRIPTOR.services_by_name["LateInterestService"]


class LateInterestEntrypoints:
    """The RPCs of LateInterestService."""

    db: Any

    @rpc(LATE)
    def list_late_payments(self, request, call):
        agency_id, as_of = to_uuid(request.agency_id, "agency_id"), from_date(request.as_of, "as_of")
        page = Page.of(request, {"agency_id": agency_id, "as_of": as_of})
        with self.db.read(call) as session:
            found = store.page(session, agency_id=agency_id, as_of=as_of, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return late_interest_pb2.ListLatePaymentsResponse(
            late_payments=[
                wire.late_message(
                    row,
                    domain.interest(
                        row.amount_minor, due_on=row.due_on, until=row.until, rates=pack.rates(row.currency)
                    ),
                )
                for row in shown
            ],
            next_page_token=page.token([shown[-1].payable_id]) if len(found) > page.size else "",
        )
