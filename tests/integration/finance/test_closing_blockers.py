"""What is explained does not keep a month open: goods that went back, and what is owed in another currency."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chassis.testing import call_as
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2
from tests.integration.finance.abroad import Abroad, ForeignPurchase, unused_currency
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.changing import TRAVEL
from tests.integration.finance.funds import Unit, a_document
from tests.integration.finance.test_ledger_closing import Closing
from tests.integration.finance.test_payables_credit_notes import RETURN, bought

JANUARY, ACCEPTED, FEBRUARY = date(YEAR, 1, 20), date(YEAR, 2, 10), date(YEAR, 2, 28)


@pytest.fixture
def abroad(books: Books) -> Abroad:
    return Abroad(books)


def rated(unit: Abroad) -> str:
    """A currency that is worth more each time something happens in it."""
    currency = unused_currency()
    for day, rate in ((JANUARY, "15000"), (ACCEPTED, "15333.33"), (FEBRUARY, "15400")):
        unit.rated(currency, day, rate)
    return currency


def test_goods_that_went_back_after_their_invoice_do_not_keep_the_month_open(books: Books):
    unit = Unit(books)
    credits, invoice, _ = bought(unit)

    credits.approved(invoice, RETURN, 100_000, units=2)

    assert Closing(unit.agency).kinds(3) == []


def test_a_delivery_in_another_currency_that_waits_for_its_invoice_is_explained(abroad: Abroad):
    (line,) = abroad.lines(60_000_000, account=TRAVEL)
    purchase = ForeignPurchase(abroad, line, 7, 100, currency=rated(abroad)).ordered_on(JANUARY)
    purchase.accepted_on(ACCEPTED, 3)
    closing = Closing(abroad.agency)

    before = closing.kinds(2)
    abroad.books_revalued(2)

    assert (before, closing.kinds(2)) == ([], [])
    assert abroad.all_problems() == []


def test_a_service_in_another_currency_is_explained_by_its_movements_at_each_rate(abroad: Abroad):
    (line,) = abroad.lines(60_000_000, account=TRAVEL)
    item: Any = abroad.foreign_item(line, 100, rated(abroad))
    document = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE)
    request = abroad.funds("ExpendFunds", [item], document=document, effective_on=to_date(ACCEPTED))
    call_as(abroad.budget.ExpendFunds, request, abroad.token("budget_user"))
    closing = Closing(abroad.agency)

    before = closing.kinds(2)
    abroad.books_revalued(2)

    assert (before, closing.kinds(2)) == ([], [])
