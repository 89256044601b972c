"""InterfundService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, to_uuid
from kelola.finance.v1 import interfund_pb2
from services.finance.classification.store import functional_currencies
from services.finance.ledger.interfund import store, wire

INTERFUND = interfund_pb2.DESCRIPTOR.services_by_name["InterfundService"]


class InterfundEntrypoints:
    """The RPC of InterfundService."""

    db: Any

    @rpc(INTERFUND)
    def list_interfund_debts(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        as_of = from_date(request.as_of, "as_of") if request.HasField("as_of") else None
        page = Page.of(request, {"agency_id": agency_id, "as_of": as_of})
        with self.db.read(call) as session:
            found = store.debts(session, agency_id, as_of, after=page.after, limit=page.size + 1)
            currency = functional_currencies(session, [agency_id]).get(agency_id, "")
        shown = found[: page.size]
        last = shown[-1] if len(found) > page.size else None
        return interfund_pb2.ListInterfundDebtsResponse(
            interfund_debts=[wire.debt_message(one, currency) for one in shown],
            next_page_token=""
            if last is None
            else page.token([last.basis.value, last.debtor_fund_code, last.creditor_fund_code]),
        )
