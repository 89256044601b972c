"""Foreign commitments from delivery to debit: too little available, parts, taxes, releases, services."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    budget_override_pb2,
    budget_pb2,
    payables_pb2,
)
from services.finance.ledger.rates.domain import ExchangeRateMissing
from tests.integration.finance.abroad import Abroad, ForeignPurchase, unused_currency
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.changing import SUPPLEMENTARY, changed
from tests.integration.finance.funds import a_document, an_item, quantity
from tests.integration.finance.purchase import Purchase

# Travel: an expenditure of which the pack withholds nothing.
TRAVEL = "5.1.02.04.01"
INV, GRNI, AP, RK_A, FXD = "1.1.12", "2.1.06.90", "2.1.06.02", "3.1.03.01", "8.5.03.90"
RK_T, TRANSIT, CASH = "1.1.13.01", "2.1.07.90", "1.1.01.01"
BEL, SAL, APR = TRAVEL, "3.1.02.05", "3.1.02.03"
JANUARY, FEBRUARY, MARCH, APRIL = (date(YEAR, 1, 31), date(YEAR, 2, 28), date(YEAR, 3, 31), date(YEAR, 4, 30))


@pytest.fixture
def unit(books: Books) -> Abroad:
    return Abroad(books)


# --- too little available ------------------------------------------------------------------------------------------


def test_a_difference_beyond_the_budget_is_recorded_and_stops_payments_until_it_is_covered(unit: Abroad):
    line, giving = unit.lines_of((TRAVEL, 15_500_000), ("5.1.02.04.02", 5_000_000))
    unit.allotted()
    for day, rate in ((date(YEAR, 1, 20), "15000"), (JANUARY, "16000")):
        unit.rated("USD", day, rate)
    domestic = Purchase(unit, line, 1, 100_000).issued()
    domestic.accepted(1)
    payable = domestic.approved(domestic.invoiced(1, 100_000))
    early = unit.requested([payable.payable_id])
    ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 1, 20))

    done = unit.revalued(JANUARY)

    assert unit.figures(line) == (0, 16_000_000, 100_000, 0, 0, 0)
    (override,) = unit.exchange_overrides()
    assert override.budget_override_id == done.funds_revaluation.budget_override_id
    assert override.owner_person_id == str(unit.persons["budget_officer"]), "who bound the funds"
    assert unit.given(override) == [(600_000, 600_000)]
    assert unit.all_problems() == []
    # A request of before, and a new one, for whatever is owed on the line.
    call_as(
        unit.payables.VerifyPaymentRequest,
        payables_pb2.VerifyPaymentRequestRequest(name=early.name, request_id=rid()),
        unit.token("verifier"),
    )
    authorise = payables_pb2.AuthorisePaymentRequestRequest(name=early.name, request_id=rid())
    stopped = refused(unit.payables.AuthorisePaymentRequest, authorise, unit.token("budget_user"))
    assert (stopped.reason, stopped.metadata["uncovered"]) == ("EXCHANGE_DIFFERENCE_UNCOVERED", "IDR 600 000")
    withdraw = payables_pb2.WithdrawPaymentRequestRequest(name=early.name, explanation="later", request_id=rid())
    call_as(unit.payables.WithdrawPaymentRequest, withdraw, unit.token("expenditure_treasurer"))
    again = unit.request_refused([payable.payable_id])
    assert (again.reason, again.metadata["override"]) == ("EXCHANGE_DIFFERENCE_UNCOVERED", override.document_number)

    unit.done(unit.transfer(giving, line, 700_000), unit.token("budget_authority"))

    (covered,) = unit.exchange_overrides()
    assert covered.status == budget_override_pb2.BUDGET_OVERRIDE_STATUS_CLOSED
    assert unit.figures(line) == (0, 16_000_000, 100_000, 0, 0, 100_000)
    unit.debited(unit.ordered([payable.payable_id]))
    assert unit.all_problems() == []


def test_a_rate_that_falls_covers_the_difference_again_and_the_asker_may_name_its_owner(unit: Abroad):
    (line,) = unit.lines(1_500_000)
    currency, owner = unused_currency(), str(uuid4())
    for day, rate in ((date(YEAR, 3, 10), "15000"), (MARCH, "15500"), (APRIL, "14900")):
        unit.rated(currency, day, rate)
    unit.did("ReserveFunds", [unit.foreign_item(line, 100, currency)])

    unit.revalued(MARCH, owner_person_id=owner)
    (override,) = unit.exchange_overrides()
    assert (override.owner_person_id, unit.given(override)) == (owner, [(50_000, 50_000)])
    unit.revalued(APRIL)

    assert unit.override_now(override).status == budget_override_pb2.BUDGET_OVERRIDE_STATUS_CLOSED
    assert unit.figures(line) == (1_490_000, 0, 0, 0, 0, 10_000)
    assert unit.all_problems() == []


def test_a_delivery_and_a_debit_at_higher_rates_are_facts_that_no_budget_refuses(unit: Abroad):
    (line,) = unit.lines(15_000_000, account=TRAVEL)
    unit.allotted()
    for day, rate in ((date(YEAR, 1, 20), "15000"), (date(YEAR, 2, 10), "15300")):
        unit.rated("USD", day, rate)
    purchase = ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 1, 20))

    purchase.accepted_on(date(YEAR, 2, 10), 10)

    assert unit.figures(line) == (0, 0, 15_300_000, 0, 0, 0)
    (delivery,) = unit.exchange_overrides()
    assert unit.given(delivery) == [(300_000, 300_000)]
    payable = purchase.approved_on(date(YEAR, 2, 15), 10, 100)
    supplement = unit.change(SUPPLEMENTARY, lines=[changed(line, 300_000)])
    unit.done(supplement)
    unit.allotted()
    order = unit.ordered([payable.payable_id])
    unit.debited_at(order, 15_450_000, date(YEAR, 3, 25))
    assert unit.figures(line) == (0, 0, 0, 0, 15_450_000, 0)
    debit, delivery = unit.exchange_overrides()
    assert (unit.given(debit), unit.given(delivery)) == ([(150_000, 150_000)], [(0, 0)])
    assert unit.all_problems() == []


def test_a_delivery_waits_until_its_days_rate_is_known(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 1, 20), "15000")
    purchase = ForeignPurchase(unit, line, 10, 100, currency=currency).ordered_on(date(YEAR, 1, 20))
    event = purchase.accepted_event(10)

    with pytest.raises(ExchangeRateMissing, match=f"no MIDDLE rate of {currency}"):
        purchase.take_in(event)
    assert unit.figures(line) == (0, 15_000_000, 0, 0, 0, 5_000_000)
    unit.rated(currency, date(YEAR, 3, 12), "15500")
    purchase.take_in(event)

    assert unit.figures(line) == (0, 0, 15_500_000, 0, 0, 4_500_000)
    assert unit.all_problems() == []


def test_a_price_beyond_the_budget_is_refused_as_ever_and_not_taken_for_an_exchange_difference(unit: Abroad):
    (line,) = unit.lines(1_500_000)
    currency = unused_currency()
    unit.rated(currency, date(YEAR, 3, 10), "15000")
    unit.rated(currency, date(YEAR, 3, 12), "15000")
    item = unit.foreign_item(line, 100, currency)
    unit.did("ReserveFunds", [item])
    order = unit.foreign_item(line, 101, currency, liquidates_document_line_id=item.document_line_id)

    refusal = unit.refused("ObligateFunds", [order], effective_on=to_date(date(YEAR, 3, 12)))

    assert refusal.reason == "BUDGET_EXCEEDED"
    assert unit.exchange_overrides() == []


# --- the chain in parts --------------------------------------------------------------------------------------------


def test_deliveries_invoices_and_payments_in_parts_keep_every_identity(unit: Abroad):
    """Two deliveries at two rates, month ends between, a price variance, a rejection, a debit with a loss."""
    (line,) = unit.lines(60_000_000, account=TRAVEL)
    unit.allotted()
    rates = {
        date(YEAR, 1, 20): "15000",
        date(YEAR, 2, 10): "15333.33",
        FEBRUARY: "15100.01",
        date(YEAR, 3, 12): "15777.77",
        date(YEAR, 3, 15): "15800",
        MARCH: "15650.5",
    }
    for day, rate in rates.items():
        unit.rated("USD", day, rate)
    purchase = ForeignPurchase(unit, line, 7, 100, currency="USD").ordered_on(date(YEAR, 1, 20))

    purchase.accepted_on(date(YEAR, 2, 10), 3)
    assert unit.figures(line)[1:3] == (6_000_000, 4_599_999)
    unit.revalued(FEBRUARY)
    unit.books_revalued(2)
    assert unit.figures(line)[1:3] == (6_040_004, 4_530_003), "O and received-not-invoiced at the month end's rate"
    assert unit.all_problems() == []

    first = purchase.approved_on(date(YEAR, 3, 2), 1, 100)
    assert (minor(first.amount), minor(first.foreign_amount)) == (1_510_001_00, 100_00)
    purchase.accepted_on(date(YEAR, 3, 12), 4)
    second = purchase.approved_on(date(YEAR, 3, 15), 6, Decimal("100.5"))
    assert minor(second.foreign_amount) == 603_00
    assert unit.all_problems() == []

    order = unit.ordered([first.payable_id], date(YEAR, 3, 20))
    call_as(unit.payables.RejectPaymentOrder, unit.rejection(order), unit.token("treasurer"))
    assert unit.all_problems() == []
    unit.books_revalued(3)
    assert unit.all_problems() == []
    assert minor(unit.line(line).figures.expended) == 11_002_301_50, "703 × 15 650.5"

    for payable, left in ((first, 1_600_001), (second, 9_400_000)):
        unit.debited_at(unit.ordered([payable.payable_id], APRIL), left, APRIL)
        assert unit.all_problems() == []
    assert unit.figures(line) == (0, 0, 0, 0, 11_000_001, 60_000_000 - 11_000_001)
    assert AP not in unit.functional(unit.agency)
    assert TRANSIT not in unit.functional(unit.treasury)


def test_a_withheld_tax_leaves_the_net_and_the_difference_is_the_nets(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    unit.rated("USD", date(YEAR, 1, 20), "15000")
    purchase = ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 1, 20))
    purchase.accepted_on(date(YEAR, 1, 21), 10)
    payable = purchase.approved_on(date(YEAR, 1, 22), 10, 100)

    order = unit.ordered([payable.payable_id])
    assert (minor(order.gross), minor(order.net)) == (15_000_000_00, 14_775_000_00)
    assert minor(order.foreign_amount) == 985_00
    unit.debited_at(order, 14_875_000, date(YEAR, 3, 21))

    assert unit.figures(line) == (0, 0, 0, 0, 15_100_000, 4_900_000)
    assert unit.all_problems() == []


def test_a_request_counts_what_it_counted_though_the_debt_was_revalued_since(unit: Abroad):
    """F3: the release to date is used by the amount of the request, and given back by the same amount."""
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    unit.allotted("0.75", months=(1, 3))
    for day, rate in ((date(YEAR, 1, 20), "15000"), (JANUARY, "15500")):
        unit.rated("USD", day, rate)
    purchase = ForeignPurchase(unit, line, 10, 100, currency="USD").ordered_on(date(YEAR, 1, 20))
    purchase.accepted_on(date(YEAR, 1, 21), 10)
    payable = purchase.approved_on(date(YEAR, 1, 22), 10, 100)
    request = unit.requested([payable.payable_id], date(YEAR, 1, 25))

    unit.books_revalued(1)
    withdraw = payables_pb2.WithdrawPaymentRequestRequest(name=request.name, explanation="rate", request_id=rid())
    call_as(unit.payables.WithdrawPaymentRequest, withdraw, unit.token("expenditure_treasurer"))

    assert unit.all_problems() == []
    again = unit.request_refused([payable.payable_id], date(YEAR, 2, 1))
    assert (again.reason, again.metadata["short_by"]) == ("ALLOTMENT_EXCEEDED", "IDR 500 000")


def test_services_are_accepted_at_the_rate_of_the_day_by_quantity_and_by_amount(unit: Abroad):
    (line,) = unit.lines(20_000_000, account=TRAVEL)
    currency = unused_currency()
    for day, rate in ((date(YEAR, 3, 10), "15000"), (date(YEAR, 3, 20), "15600")):
        unit.rated(currency, day, rate)
    contract = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT)
    by_units, by_amount = unit.foreign_item(line, 400, currency, 3), unit.foreign_item(line, 200, currency)
    unit.did("ObligateFunds", [by_units, by_amount], document=contract)
    assert unit.figures(line)[1] == 9_000_000

    third = an_item(line, None, 1, liquidates_document_line_id=by_units.document_line_id)
    half = unit.foreign_item(line, 100, currency, liquidates_document_line_id=by_amount.document_line_id)
    acceptance = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE)
    unit.did(
        "ExpendFunds", [third, half], by="budget_user", document=acceptance, effective_on=to_date(date(YEAR, 3, 20))
    )

    # A third of 400.00 is 133.33, at 15 600; what stays open stays at 15 000.
    assert unit.figures(line) == (0, 5_500_050, 3_639_948, 0, 0, 20_000_000 - 5_500_050 - 3_639_948)
    assert unit.all_problems() == []


def test_a_requisition_is_used_up_by_its_order_by_share_and_opened_again_when_that_is_cancelled(unit: Abroad):
    (line,) = unit.lines(20_000_000)
    currency = unused_currency()
    for day, rate in ((date(YEAR, 3, 10), "15000"), (date(YEAR, 3, 20), "15200")):
        unit.rated(currency, day, rate)
    wanted = unit.foreign_item(line, 1_000, currency, 10)
    unit.did("ReserveFunds", [wanted])
    order = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER)
    item = unit.foreign_item(line, 380, currency, 4, liquidates_document_line_id=wanted.document_line_id)
    item.liquidated_quantity.CopyFrom(quantity(4))

    unit.did("ObligateFunds", [item], document=order, effective_on=to_date(date(YEAR, 3, 20)))
    assert unit.figures(line)[:2] == (9_000_000, 5_776_000), "R 6 × 100 at 15 000, O 380 at 15 200"
    rest = budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=line, final=True)
    unit.did("ReleaseFunds", [rest], document=order, restore_liquidated=True)

    assert unit.figures(line)[:2] == (15_000_000, 0)
    assert unit.all_problems() == []
