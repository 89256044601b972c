"""YearEndService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from kelola.finance.v1 import year_end_pb2
from services.finance.ledger.yearend import runs, store, usecases, wire

YEAR_END = year_end_pb2.DESCRIPTOR.services_by_name["YearEndService"]


class YearEndEntrypoints:
    """The RPCs of YearEndService."""

    db: Any

    @rpc(YEAR_END)
    def close_fiscal_year(self, request, call):
        return runs.start(self.db, request, call, act=usecases.close, reply=_closed, collection="fiscalYearClosings")

    @rpc(YEAR_END)
    def list_fiscal_year_closings(self, request, call):
        shown, next_page_token = runs.page(self.db, request, call, found=store.closings)
        return year_end_pb2.ListFiscalYearClosingsResponse(
            fiscal_year_closings=[wire.closing_message(one) for one in shown], next_page_token=next_page_token
        )


def _closed(done):
    return year_end_pb2.CloseFiscalYearResponse(fiscal_year_closing=wire.closing_message(done))
