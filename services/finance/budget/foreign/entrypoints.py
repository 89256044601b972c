"""FundsRevaluationService, the ledger's revaluation that funds follow, and the service's own round."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog

from chassis.container import every
from chassis.errors import KelolaError
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import exchange_rate_pb2, funds_revaluation_pb2
from services.finance.budget.foreign import store, usecases, wire
from services.finance.jobs import usecases as jobs
from services.finance.jobs.domain import JobKind
from services.finance.ledger.rates import wire as rate_wire
from services.finance.payables import exchange

REVALUATION = funds_revaluation_pb2.DESCRIPTOR.services_by_name["FundsRevaluationService"]
EXCHANGE_RATE = exchange_rate_pb2.DESCRIPTOR.services_by_name["ExchangeRateService"]
# A month's end is a civil day: within the hour is soon enough, and a missing rate is not asked for too often.
ROUND_SECONDS = 3_600.0
_SUBJECT = "service:finance"

log = structlog.get_logger("finance.foreign")


class FundsRevaluationEntrypoints:
    """The RPCs of FundsRevaluationService, RevalueForeignBalances, and the round of month ends."""

    db: Any
    clock: Any

    @rpc(REVALUATION)
    def revalue_funds(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            done = usecases.revalue(
                work.session,
                agency_id=agency_id,
                on=from_date(request.revalued_on, "revalued_on"),
                budget_line_id=optional_uuid(request.budget_line_id, "budget_line_id"),
                owner=optional_uuid(request.owner_person_id, "owner_person_id"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                funds_revaluation_pb2.RevalueFundsResponse(
                    funds_revaluation=wire.revaluation_message(done), item_count=len(done.items)
                ),
                agency_id=agency_id,
            )
        return work.answer

    @rpc(REVALUATION)
    def get_funds_revaluation(self, request, call):
        with self.db.read(call) as session:
            return wire.revaluation_message(usecases.get(session, wire.revaluation_id(request.name)))

    @rpc(REVALUATION)
    def list_funds_revaluations(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.revaluations(session, agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return funds_revaluation_pb2.ListFundsRevaluationsResponse(
            funds_revaluations=[wire.revaluation_message(one) for one in shown],
            next_page_token=page.token([shown[-1].funds_revaluation_id]) if len(found) > page.size else "",
        )

    @rpc(REVALUATION)
    def list_funds_revaluation_items(self, request, call):
        revaluation_id = to_uuid(request.funds_revaluation_id, "funds_revaluation_id")
        page = Page.of(request, filters={"funds_revaluation_id": revaluation_id})
        with self.db.read(call) as session:
            usecases.get(session, revaluation_id)
            found = store.items(session, revaluation_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        last = shown[-1].key if len(found) > page.size else None
        return funds_revaluation_pb2.ListFundsRevaluationItemsResponse(
            items=[wire.item_message(one) for one in shown],
            next_page_token=page.token([last.budget_line_id, last.document_line_id]) if last else "",
        )

    @rpc(EXCHANGE_RATE)
    def revalue_foreign_balances(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            done = exchange.revalue_balances(
                work.session,
                agency_id=agency_id,
                year=request.year,
                number=request.number,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                exchange_rate_pb2.RevalueForeignBalancesResponse(
                    foreign_revaluation=rate_wire.revaluation_message(done)
                ),
                resource=f"foreignRevaluations/{done.foreign_revaluation_id}",
                agency_id=agency_id,
            )
        return work.answer

    @every(ROUND_SECONDS)
    def revalue_commitments(self):
        now = self.clock.now()
        # A month's end is revalued once it is over.
        with self.db.work((), subject=_SUBJECT) as session:
            due = store.due(session, now.date() - timedelta(days=1))
        for agency_id, due_on in due:
            # Each agency in a transaction of its own: what stops one of them does not stop the next.
            try:
                jobs.run_by_service(self.db, JobKind.FUNDS_REVALUATION, agency_id, due_on, at=now)
            except KelolaError as failure:
                log.warning("commitments wait for the next round", agency=str(agency_id), error=failure.message)
