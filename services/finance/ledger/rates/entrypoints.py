"""ExchangeRateService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_timestamp, to_timestamp, to_uuid
from kelola.finance.v1 import exchange_rate_pb2
from services.finance.ledger.rates import store, usecases, wire
from services.finance.ledger.report_store import known_horizon

EXCHANGE_RATE = exchange_rate_pb2.DESCRIPTOR.services_by_name["ExchangeRateService"]


class RateEntrypoints:
    """The RPCs of ExchangeRateService; the revaluation, which funds follow, stands in budget/foreign/."""

    db: Any

    @rpc(EXCHANGE_RATE)
    def batch_create_exchange_rates(self, request, call):
        wanted = [wire.rate(one, f"exchange_rates[{i}]") for i, one in enumerate(request.exchange_rates)]
        with self.db.begin(call) as work:
            recorded = usecases.record(work.session, wanted, person_id=call.principal.acting_person())
            work.reply(
                exchange_rate_pb2.BatchCreateExchangeRatesResponse(
                    exchange_rates=[wire.rate_message(one.rate) for one in recorded],
                    existing_count=sum(not one.is_new for one in recorded),
                    correcting_count=sum(one.corrects is not None for one in recorded),
                )
            )
        return work.answer

    @rpc(EXCHANGE_RATE)
    def get_exchange_rate(self, request, call):
        asked = from_timestamp(request.known_at, "known_at") if request.HasField("known_at") else None
        with self.db.read(call) as session:
            known_at = None if asked is None else known_horizon(session, asked)
            rate, age_days = usecases.rate_on(
                session,
                currency=request.currency,
                functional_currency=request.functional_currency,
                on=from_date(request.on, "on"),
                kind=wire.kind(request.kind),
                known_at=known_at,
            )
        answer = exchange_rate_pb2.GetExchangeRateResponse(exchange_rate=wire.rate_message(rate), age_days=age_days)
        if known_at is not None:
            answer.known_at.CopyFrom(to_timestamp(known_at))
        return answer

    @rpc(EXCHANGE_RATE)
    def list_exchange_rates(self, request, call):
        filters = {
            "currency": request.currency,
            "rated_from": from_date(request.rated_from, "rated_from") if request.HasField("rated_from") else None,
            "rated_to": from_date(request.rated_to, "rated_to") if request.HasField("rated_to") else None,
            "with_corrected": request.with_corrected,
        }
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            found = store.rates(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        last = shown[-1] if len(found) > page.size else None
        return exchange_rate_pb2.ListExchangeRatesResponse(
            exchange_rates=[wire.rate_message(one) for one in shown],
            next_page_token=page.token([last.rated_on, last.currency, last.exchange_rate_id]) if last else "",
        )

    @rpc(EXCHANGE_RATE)
    def list_foreign_revaluations(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.revaluations(session, agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return exchange_rate_pb2.ListForeignRevaluationsResponse(
            foreign_revaluations=[wire.revaluation_message(one) for one in shown],
            next_page_token=page.token([shown[-1].foreign_revaluation_id]) if len(found) > page.size else "",
        )
