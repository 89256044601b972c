"""The second government's commitment in another currency, revalued."""

from __future__ import annotations

from uuid import uuid4

from google.type import money_pb2

from kelola.finance.v1 import budget_pb2, exchange_rate_pb2, funds_revaluation_pb2
from tests.system.rehearsal import TODAY, Company, decimal

ACCOUNTANT, OFFICER = "accountant", "budget_officer"


def commit_abroad(company: Company, budget_line_id: str) -> None:
    """Call every RPC of FundsRevaluationService over a reservation that is freed again."""
    agency_id = company.agencies["unit"]
    rate = exchange_rate_pb2.ExchangeRate(
        currency="AUD",
        functional_currency="IDR",
        rated_on=TODAY,
        kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
        rate=decimal("10200"),
        source="kurs uji",
    )
    company.act(exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=[rate]), by=ACCOUNTANT)
    document = budget_pb2.FundsDocument(
        kind=budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION, document_id=str(uuid4()), document_number="PR-UJI-AUD"
    )
    item = budget_pb2.FundsItem(
        document_line_id=str(uuid4()),
        budget_line_id=budget_line_id,
        amount=money_pb2.Money(currency_code="AUD", units=10),
    )
    asked = {"agency_id": agency_id, "document": document, "effective_on": TODAY}
    company.act(budget_pb2.ReserveFundsRequest(items=[item], **asked), by=OFFICER)
    rate.rate.CopyFrom(decimal("10250"))
    company.act(exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=[rate]), by=ACCOUNTANT)
    done = company.act(
        funds_revaluation_pb2.RevalueFundsRequest(agency_id=agency_id, revalued_on=TODAY), by=ACCOUNTANT
    ).funds_revaluation
    company.read(funds_revaluation_pb2.GetFundsRevaluationRequest(name=done.name), by="auditor")
    company.read(funds_revaluation_pb2.ListFundsRevaluationsRequest(agency_id=agency_id, page_size=3), by="auditor")
    company.read(
        funds_revaluation_pb2.ListFundsRevaluationItemsRequest(funds_revaluation_id=done.funds_revaluation_id),
        by="auditor",
    )
    whole = budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=budget_line_id, final=True)
    company.act(budget_pb2.ReleaseFundsRequest(items=[whole], **asked), by=OFFICER)
