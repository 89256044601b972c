"""Commitments in foreign currencies: a unit that buys in one, the day's rates, and revaluations."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

from google.type import decimal_pb2
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.money import Money
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date, to_money
from kelola.finance.v1 import (
    budget_override_pb2,
    budget_pb2,
    exchange_rate_pb2,
    exchange_rate_pb2_grpc,
    funds_revaluation_pb2,
    funds_revaluation_pb2_grpc,
    ledger_pb2,
    payables_pb2,
)
from services.finance import verify
from services.finance.budget import verify as budget_verify
from services.finance.payables import event_wire, receiving
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.changing import Changing
from tests.integration.finance.funds import a_document, an_item, quantity
from tests.integration.finance.purchase import Purchase, event_transaction

# Rates belong to the whole government, so each test has currencies of its own.
_unused = ("Y" + "".join(letters) for letters in itertools.product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=2))


def unused_currency() -> str:
    """A currency of the caller's test alone."""
    return next(_unused)


class Abroad(Changing):
    """A unit with the stubs of rates and revaluations."""

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        channel = books.service.channel
        self.rates = exchange_rate_pb2_grpc.ExchangeRateServiceStub(channel)
        self.revaluations = funds_revaluation_pb2_grpc.FundsRevaluationServiceStub(channel)

    def rated(self, currency: str, on: date, rate: str) -> None:
        """The rate of a day."""
        one = exchange_rate_pb2.ExchangeRate(
            currency=currency,
            functional_currency="IDR",
            rated_on=to_date(on),
            kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
            rate=decimal_pb2.Decimal(value=rate),
            source="BI",
        )
        request = exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=[one], request_id=rid())
        call_as(self.rates.BatchCreateExchangeRates, request, self.agency.accountant)

    def revaluing(self, on: date, **values: Any) -> funds_revaluation_pb2.RevalueFundsRequest:
        """The request to revalue commitments."""
        return funds_revaluation_pb2.RevalueFundsRequest(
            **{"agency_id": str(self.agency_id), "revalued_on": to_date(on), "request_id": rid(), **values}
        )

    def revalued(self, on: date, **values: Any) -> funds_revaluation_pb2.RevalueFundsResponse:
        """Commitments at the rates of a day."""
        return call_as(self.revaluations.RevalueFunds, self.revaluing(on, **values), self.agency.accountant)

    def items(self, done: funds_revaluation_pb2.RevalueFundsResponse, size: int = 50) -> list[Any]:
        """Every item of a revaluation, page by page."""
        request = funds_revaluation_pb2.ListFundsRevaluationItemsRequest(
            funds_revaluation_id=done.funds_revaluation.funds_revaluation_id, page_size=size
        )
        found: list[Any] = []
        while True:
            page = call_as(self.revaluations.ListFundsRevaluationItems, request, self.agency.accountant)
            found += page.items
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    def books_revalued(self, number: int, *, year: int = YEAR) -> exchange_rate_pb2.ForeignRevaluation:
        """The ledger's foreign balances at the end of a month."""
        request = exchange_rate_pb2.RevalueForeignBalancesRequest(
            agency_id=str(self.agency_id), year=year, number=number, request_id=rid()
        )
        return call_as(self.rates.RevalueForeignBalances, request, self.agency.accountant).foreign_revaluation

    def foreign_item(
        self, budget_line_id: str, amount: int, currency: str, units: Any = None, **values: Any
    ) -> budget_pb2.FundsItem:
        """One item in whole units of a currency."""
        item = an_item(budget_line_id, None, units, **values)
        item.amount.CopyFrom(to_money(Money(amount * 100, currency)))
        return item

    def exchange_overrides(self) -> list[budget_override_pb2.BudgetOverride]:
        """The automatic overrides of the unit, the newest first."""
        request = budget_override_pb2.ListBudgetOverridesRequest(agency_id=str(self.agency_id))
        found = call_as(self.overrides.ListBudgetOverrides, request, self.token("budget_officer")).budget_overrides
        return [one for one in found if one.kind == budget_override_pb2.BUDGET_OVERRIDE_KIND_EXCHANGE]

    def request_refused(self, payable_ids: list[str], on: date = date(YEAR, 3, 20)) -> Refusal:
        """SPP; it must be refused."""
        request = self.payment_request(payable_ids, on)
        return refused(self.payables.CreatePaymentRequest, request, self.token("expenditure_treasurer"))

    def debited_at(self, order: payables_pb2.PaymentOrder, rupiah: int, on: date) -> payables_pb2.PaymentOrder:
        """The order debited with what really left."""
        return self.debited(order, amount=to_money(Money(rupiah * 100, "IDR")), value_date=to_date(on))

    def functional(self, agency: Any, **scope: Any) -> dict[str, int]:
        """Debit less credit in whole rupiah by account, in whatever currency its lines are; without what is nil."""
        request = ledger_pb2.GetTrialBalanceRequest(
            **{"agency_id": str(agency.agency_id), "basis": 2, "page_size": 500, **scope}
        )
        reply = call_as(self.books.ledger.GetTrialBalance, request, agency.accountant)
        sums: dict[str, int] = {}
        for row in reply.rows:
            sums[row.account_code] = sums.get(row.account_code, 0) + minor(row.functional_balance)
        return {code: amount // 100 for code, amount in sums.items() if amount}

    def all_problems(self) -> list[str]:
        """Everything that `kelola verify` finds wrong in finance's database, and movements of funds not told once."""
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            found = [*verify.problems(connection), *budget_verify.movements_told(connection).problems]
        return [f"{problem.invariant} {problem.what}" for problem in found]


class ForeignPurchase(Purchase):
    """An order in a foreign currency, priced in whole units of it."""

    def ordered_on(self, on: date, **values: Any) -> ForeignPurchase:
        """ObligateFunds in the order's own currency on a day, and PurchaseOrderIssued taken in."""
        item = an_item(self.budget_line_id, None, self.units, document_line_id=self.line_id, **values)
        item.amount.CopyFrom(self.money(self.amount_minor))
        if self.requisition_line_id:
            item.liquidates_document_line_id = self.requisition_line_id
            item.liquidated_quantity.CopyFrom(quantity(self.units))
        document = a_document(
            budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER,
            document_id=self.purchase_order_id,
            document_number=self.number,
        )
        self.unit.did("ObligateFunds", [item], document=document, effective_on=to_date(on))
        with event_transaction(self.unit) as session:
            receiving.register_order(session, event_wire.order(self.issued_event()))
        return self

    def accepted_on(self, on: date, units: int, *, stock_number: int = 0) -> None:
        """GoodsAccepted on a day, taken in."""
        event = self.accepted_event(units, stock_number=stock_number)
        event.accepted_on.CopyFrom(to_date(on))
        self.take_in(event)

    def approved_on(self, on: date, units: int, price: Any, **values: Any) -> payables_pb2.Payable:
        """An invoice in the order's currency, approved on a day."""
        invoice = self.invoiced(units, price, currency=self.currency, **values)
        assert invoice.status == payables_pb2.INVOICE_STATUS_MATCHED, invoice
        request = self.approval(invoice, effective_on=to_date(on))
        return call_as(self.unit.payables.ApproveInvoice, request, self.unit.token("budget_user")).payable
