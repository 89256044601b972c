"""CarryOverService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import to_uuid
from kelola.finance.v1 import carry_over_pb2
from services.finance.classification.carryover import store, usecases, wire
from services.finance.classification.segment_wire import optional_segment
from services.finance.ledger.yearend import runs

CARRY_OVER = carry_over_pb2.DESCRIPTOR.services_by_name["CarryOverService"]


class CarryOverEntrypoints:
    """The RPCs of CarryOverService."""

    db: Any

    @rpc(CARRY_OVER)
    def batch_create_code_successions(self, request, call):
        wanted = [wire.succession(one, f"code_successions[{nth}]") for nth, one in enumerate(request.code_successions)]
        with self.db.begin(call) as work:
            outcome = usecases.create_successions(work.session, wanted)
            work.reply(
                carry_over_pb2.BatchCreateCodeSuccessionsResponse(
                    code_successions=[wire.succession_message(one) for one, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                )
            )
        return work.answer

    @rpc(CARRY_OVER)
    def list_code_successions(self, request, call):
        segment = optional_segment(request.segment)
        page = Page.of(request, {"segment": segment})
        with self.db.read(call) as session:
            found = store.successions(session, segment=segment, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        last = shown[-1] if len(found) > page.size else None
        return carry_over_pb2.ListCodeSuccessionsResponse(
            code_successions=[wire.succession_message(one) for one in shown],
            next_page_token=page.token([last.segment.value, last.effective_on, last.old_code, last.new_code])
            if last
            else "",
        )

    @rpc(CARRY_OVER)
    def list_uncarried_codes(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id, "year": request.year})
        with self.db.read(call, snapshot=True) as session:
            uncarried = usecases.uncarried(session, agency_id, request.year)
        found = [one for one in uncarried if page.after is None or (one.segment.value, one.code) > page.after]
        shown = found[: page.size]
        return carry_over_pb2.ListUncarriedCodesResponse(
            uncarried_codes=[wire.uncarried_message(one) for one in shown],
            next_page_token=page.token([shown[-1].segment.value, shown[-1].code]) if len(found) > page.size else "",
        )

    @rpc(CARRY_OVER)
    def carry_over_balances(self, request, call):
        return runs.start(
            self.db, request, call, act=usecases.carry_over, reply=_carried, collection="balanceCarryOvers"
        )

    @rpc(CARRY_OVER)
    def list_balance_carry_overs(self, request, call):
        shown, next_page_token = runs.page(self.db, request, call, found=store.carry_overs)
        return carry_over_pb2.ListBalanceCarryOversResponse(
            balance_carry_overs=[wire.carry_over_message(one) for one in shown], next_page_token=next_page_token
        )


def _carried(done):
    return carry_over_pb2.CarryOverBalancesResponse(balance_carry_over=wire.carry_over_message(done))
