"""Penalties on payables in a foreign currency on PostgreSQL: kept in it, revenue at the rate of the order's day.

The example, by hand: USD 1 000 ordered at 15 000 (O 15 000 000) are accepted at 15 100 (E 15 100 000). 50 days late
cost 5 %, USD 50. The order, at 15 200, is at what the debt stands at: S 15 100 000, of which 50 x 15 200 = 760 000 are
penalty revenue and 14 340 000 in transit for USD 950. The debit, at 15 350, takes 950 x 15 350 = 14 582 500, that is
242 500 more: P = 15 342 500 = 950 x 15 350 + 50 x 15 200, and the loss by exchange 242 500 = 950 x 250 + 50 x 100.
"""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.money import Money
from chassis.testing import call_as, refused
from chassis.wire import to_date, to_money
from kelola.finance.v1 import account_pb2, credit_offset_pb2, credit_offset_pb2_grpc, exchange_rate_pb2, payables_pb2
from kelola.finance.v1 import penalty_pb2 as pb
from services.finance.payables.penalties import verify as penalties_verify
from tests.integration.finance.abroad import Abroad, ForeignPurchase
from tests.integration.finance.bank import end_to_end, minor
from tests.integration.finance.books import YEAR, Books, rid
from tests.integration.finance.test_foreign_credit_notes import CAME, OWED, Invoiced, proposal
from tests.integration.finance.test_payables_credit_notes import RETURN
from tests.integration.finance.test_payables_penalties import REVENUE_LO, REVENUE_LRA, Penalties, a_second_fund
from tests.integration.finance.test_treasury_abroad import DOLLARS, RTN, TRAVEL, DollarBank, dollars
from tests.integration.finance.test_treasury_returns import BACK, reissued
from tests.integration.finance.works import DONE, SIGNED, Contract

TRANSIT, FXD, AP, SAL, CASH = "2.1.07.90", "8.5.03.90", "2.1.06.02", "3.1.02.05", "1.1.01.01"
ORDERED, ACCEPTED, ISSUED, DEBITED = date(YEAR, 1, 20), date(YEAR, 3, 15), date(YEAR, 3, 20), date(YEAR, 3, 21)
DUE = ACCEPTED - timedelta(days=50)
RATES = {
    ORDERED: "15000",
    ACCEPTED: "15100",
    ISSUED: "15200",
    DEBITED: "15350",
    BACK: "15360",
    date(YEAR, 3, 25): "15370",
    date(YEAR, 3, 28): "15390",
    date(YEAR, 3, 31): "15400",
}
BUDGET = account_pb2.BASIS_BUDGET
LINE = 40_000_000


@pytest.fixture
def unit(books: Books) -> Abroad:
    made = Abroad(books)
    for day, rate in RATES.items():
        made.rated("USD", day, rate)
    return made


def usd(amount: int) -> dict[str, object]:
    return {"base_amount": to_money(Money(amount * 100, "USD"))}


class Late(Penalties):
    """A payable over USD 1 000 whose goods came 50 days late, at 15 100."""

    unit: Abroad

    def __init__(self, unit: Abroad, *, account: str = TRAVEL) -> None:
        (self.line,) = unit.lines(LINE, account=account)
        unit.allotted()
        purchase = ForeignPurchase(unit, self.line, 10, 100, currency="USD").ordered_on(ORDERED)
        purchase.accepted_on(ACCEPTED, 10)
        super().__init__(unit, purchase.approved_on(ACCEPTED, 10, 100))

    def kept(self) -> None:
        """5 % of USD 1 000, approved."""
        self.approved(self.assessed(**usd(1_000), due_on=to_date(DUE), delivered_on=to_date(ACCEPTED)))

    def figures(self) -> tuple[int, ...]:
        return self.unit.figures(self.line)

    def ordered(self, on: date = ISSUED) -> payables_pb2.PaymentOrder:
        return self.unit.ordered([self.payable.payable_id], on)


def shown(order: payables_pb2.PaymentOrder) -> tuple[int, ...]:
    """Gross, penalties and net in whole rupiah, and the payee's own cents."""
    return (*(minor(one) // 100 for one in (order.gross, order.penalties, order.net)), minor(order.foreign_amount))


def test_a_penalty_in_dollars_from_the_order_to_its_debit_return_and_second_payment(unit: Abroad):
    late, bank = Late(unit), DollarBank(unit, account_code=DOLLARS)
    assert late.figures() == (0, 0, 15_100_000, 0, 0, LINE - 15_100_000)
    late.kept()
    bank.payee(late.payable.creditor)

    order = late.ordered()
    assert shown(order) == (15_100_000, 760_000, 14_340_000, 950_00)
    assert late.figures() == (0, 0, 0, 15_100_000, 0, LINE - 15_100_000), "the order is at what the debt stood at"
    assert (late.revenue(), bank.balance(TRANSIT)) == ((760_000, 0), -14_340_000)
    assert unit.all_problems() == []

    run = bank.sent(order)
    assert minor(run.total) == 950_00
    assert bank.outcomes(bank.statement([dollars(950, e2e=end_to_end(run, order))], closing=-950)) == ["DEBITED"]
    paid = (0, 0, 0, 0, 15_342_500, LINE - 15_342_500)
    assert late.figures() == paid, "950 x 15 350 + 50 x 15 200"
    assert late.revenue() == (760_000, 760_000)
    treasury, agency = unit.functional(unit.treasury), unit.functional(unit.agency)
    assert (treasury[DOLLARS], agency[FXD], AP in agency, TRANSIT in treasury) == (-14_582_500, 242_500, False, False)
    realised = unit.treasury.balances(basis=BUDGET)
    assert (realised[SAL], realised[REVENUE_LRA]) == (760_000_00, -760_000_00)
    assert unit.agency.balances(basis=BUDGET)[TRAVEL] == 15_342_500_00, "expenditure is gross"
    assert unit.all_problems() == []

    back = dollars(950, debit=False, e2e=end_to_end(run, order), on=BACK)
    assert bank.outcomes(bank.statement([back], opening=-950, closing=0, on=BACK)) == ["RETURNED"]
    assert unit.functional(unit.treasury)[RTN] == -14_592_000, "950 x 15 360"
    assert (late.figures(), late.revenue()) == (paid, (760_000, 760_000))
    assert unit.all_problems() == []

    reissued(bank, order)
    second = bank.sent(order, execution_on=to_date(date(YEAR, 3, 28)))
    again = dollars(950, e2e=end_to_end(second, order), on=date(YEAR, 3, 28))
    assert bank.outcomes(bank.statement([again], closing=-950, on=date(YEAR, 3, 28))) == ["DEBITED"]
    revalue = exchange_rate_pb2.RevalueForeignBalancesRequest(
        agency_id=str(unit.treasury.agency_id), year=YEAR, number=3, request_id=rid()
    )
    call_as(unit.rates.RevalueForeignBalances, revalue, unit.treasury.accountant)

    books = unit.functional(unit.treasury)
    assert (books[DOLLARS], RTN in books, TRANSIT in books) == (-950 * 15_400, False, False)
    assert (late.figures(), late.revenue()) == (paid, (760_000, 760_000)), "neither is charged twice"
    assert unit.all_problems() == []


def test_a_rejected_order_leaves_no_trace_and_the_next_one_keeps_the_penalty_at_its_own_days_rate(unit: Abroad):
    late = Late(unit)
    late.kept()
    first = late.ordered()

    call_as(unit.payables.RejectPaymentOrder, unit.rejection(first), unit.token("treasurer"))

    assert late.figures() == (0, 0, 15_100_000, 0, 0, LINE - 15_100_000)
    assert late.revenue() == (0, 0)
    assert (unit.functional(unit.agency)[AP], TRANSIT in unit.functional(unit.treasury)) == (-15_100_000, False)
    assert unit.all_problems() == []

    # The month's end brings the debt to 15 400; a new order of the 28th of April is at that, its penalty at 15 500.
    unit.books_revalued(3)
    later = date(YEAR, 4, 28)
    unit.rated("USD", later, "15500")
    second = late.ordered(later)
    assert shown(second) == (15_400_000, 775_000, 14_625_000, 950_00)
    unit.debited_at(second, 14_800_000, later)

    # From the account in rupiah what really left counts: P = 14 800 000 + 775 000.
    assert late.figures() == (0, 0, 0, 0, 15_575_000, LINE - 15_575_000)
    assert late.revenue() == (775_000, 775_000)
    assert unit.all_problems() == []


def test_what_is_withheld_and_the_penalty_leave_the_net_of_an_agency_that_pays_for_itself(unit: Abroad):
    late = Late(unit, account="5.1.02.01.01")
    late.kept()
    request = unit.issue(unit.payment_authorised([late.payable.payable_id], ISSUED), ISSUED)
    request.treasury_agency_id = str(unit.agency_id)
    issued = call_as(unit.payables.IssuePaymentOrder, request, unit.token("treasurer")).payment_order
    order = unit.numbered(issued.name)

    # PPh 22, 1.5 % of 15 100 000, is kept back at the order's own rate, USD 15; the penalty is USD 50.
    assert shown(order) == (15_100_000, 760_000, 15_100_000 - 226_500 - 760_000, 935_00)
    unit.debited(order, amount=order.foreign_amount, value_date=to_date(DEBITED))

    # 935 x 15 350 left; the line bears what that is above the order.
    left = 14_352_250
    assert late.figures() == (0, 0, 0, 0, left + 226_500 + 760_000, LINE - left - 226_500 - 760_000)
    books, realised = unit.functional(unit.agency), unit.agency.balances(basis=BUDGET)
    assert (books[CASH], books[REVENUE_LO], realised[REVENUE_LRA]) == (-left, -760_000, -760_000_00)
    assert books[FXD] == left - (15_100_000 - 226_500 - 760_000)
    assert unit.all_problems() == []


def test_a_penalty_is_in_the_currency_that_the_payable_is_owed_in_and_leaves_something_of_it(unit: Abroad):
    late = Late(unit, account="5.1.02.01.01")
    days = {"due_on": to_date(DUE), "delivered_on": to_date(ACCEPTED)}

    assert late.refused(**days).reason == "INVALID_ARGUMENT"
    above = late.refused(**days, base_amount=to_money(Money(1_000_01, "USD")))
    assert (above.reason, above.metadata["price_minor"]) == ("PENALTY_BASE_TOO_HIGH", "100000")
    # 985 days: USD 985, which is all that PPh 22 leaves of USD 1 000.
    everything = late.refused(
        **usd(1_000), due_on=to_date(ACCEPTED - timedelta(days=985)), delivered_on=days["delivered_on"]
    )
    assert (everything.reason, everything.metadata["withheld_minor"]) == ("PENALTY_ABOVE_PAYABLE", "1500")


def test_a_bill_of_a_contract_in_dollars_is_penalised_by_the_whole_contract(unit: Abroad):
    for day in (SIGNED, DONE):
        unit.rated("USD", day, "15100")
    contract = Contract(unit, 1_000, currency="USD", budget=20_000_000)
    bill = contract.certified(400)
    (owed,) = [one for one in bill.payables if minor(one.foreign_amount) == 380_00]
    penalties = Penalties(unit, owed)
    whole = {**usd(1_000), "base": pb.PENALTY_BASE_CONTRACT, "delivered_on": to_date(DONE)}
    penalties.approved(penalties.assessed(**whole, due_on=to_date(DONE - timedelta(days=20))))

    order = unit.ordered([owed.payable_id], ISSUED)
    unit.debited(order, amount=order.foreign_amount, value_date=to_date(DEBITED))

    # A fiftieth of USD 1 000, at 15 200, of USD 380, of which 1.5 % are withheld: 86 070 of 5 738 000.
    assert (minor(order.penalties), minor(order.foreign_amount)) == (304_000_00, 380_00 - 20_00 - 5_70)
    assert penalties.revenue() == (304_000, 304_000)
    assert contract.figures()["P"] == 5_438_505 + 86_070 + 304_000, "354.30 x 15 350 left"
    assert unit.all_problems() == []


def test_two_payables_of_two_funds_keep_the_penalty_of_one_from_its_own_fund(unit: Abroad):
    a_second_fund(unit.books)
    (first,) = unit.lines(LINE, account=TRAVEL)
    (second,) = unit.lines_of((TRAVEL, LINE), fund_code="DAK")
    unit.allotted()
    supplier = str(uuid4())
    payables = []
    for line, price in ((first, 10), (second, 100)):
        purchase = ForeignPurchase(unit, line, 10, price, currency="USD", supplier_id=supplier).ordered_on(ORDERED)
        purchase.accepted_on(ACCEPTED, 10)
        payables.append(purchase.approved_on(ACCEPTED, 10, price))
    late = Penalties(unit, payables[0])
    days = {"due_on": to_date(ACCEPTED - timedelta(days=900)), "delivered_on": to_date(ACCEPTED)}
    late.approved(late.assessed(**usd(100), **days))

    order = unit.ordered([one.payable_id for one in payables], ISSUED)
    # USD 90 of USD 100, at 15 200, are kept from the first fund alone.
    assert shown(order) == (16_610_000, 1_368_000, 15_242_000, 1_010_00)
    assert unit.treasury.balances(fund_code="DAK").get(REVENUE_LO, 0) == 0
    unit.debited(order, amount=order.foreign_amount, value_date=to_date(DEBITED))

    paid = sum(minor(unit.line(line).figures.paid) for line in (first, second))
    assert paid == (1_010 * 15_350 + 1_368_000) * 100
    assert late.revenue() == (1_368_000, 1_368_000)
    assert unit.all_problems() == []


def test_what_is_kept_as_a_penalty_in_dollars_is_not_set_off_against_what_the_supplier_owes(books: Books):
    one = Invoiced(books, budget=LINE).paid()
    for day, rate in ((OWED, "15500"), (date(YEAR, 4, 1), "15500"), (CAME, "15200")):
        one.unit.rated(one.currency, day, rate)
    purchase = ForeignPurchase(one.unit, one.line, 3, 100, currency=one.currency, supplier_id=one.purchase.supplier_id)
    purchase.ordered_on(OWED).accepted_on(OWED, 3)
    late = Penalties(one.unit, purchase.approved_on(OWED, 3, 100))
    days = {"due_on": to_date(OWED - timedelta(days=700)), "delivered_on": to_date(OWED)}
    whole = late.approved(late.assessed(**days, base_amount=to_money(Money(300_00, one.currency))))
    note = one.credited(date(YEAR, 4, 1), RETURN, 100, units=1)
    offsets = credit_offset_pb2_grpc.CreditOffsetServiceStub(books.service.channel)
    token = one.unit.token("budget_user")
    made = call_as(
        offsets.CreateCreditOffset, proposal(one, note, late.payable.payable_id), one.unit.token("invoice_clerk")
    )
    request = credit_offset_pb2.ApproveCreditOffsetRequest(name=made.name, effective_on=to_date(CAME), request_id=rid())

    # 200 of 300 would be left, at 15 500; 210 are kept, at the 15 200 of the day.
    refusal = refused(offsets.ApproveCreditOffset, request, token)
    less = late.reduction(whole, 0)
    less.amount.CopyFrom(to_money(Money(190_00, one.currency)))
    call_as(late.stub.ReduceLateDeliveryPenalty, less, token)
    request.request_id = rid()
    call_as(offsets.ApproveCreditOffset, request, token)
    order = one.unit.ordered([late.payable.payable_id], date(YEAR, 4, 3))

    assert (refusal.reason, refusal.metadata["left_minor"]) == ("OFFSET_EXCEEDS_PAYABLE", "310000000")
    assert refusal.metadata["withheld_minor"] == str(210 * 15_200 * 100)
    assert (minor(order.penalties), minor(order.foreign_amount)) == (190 * 15_200 * 100, 10_00)
    assert one.unit.all_problems() == []


def test_verify_finds_a_payment_abroad_that_is_not_what_is_left_of_the_debt(unit: Abroad):
    late = Late(unit)
    late.kept()
    order = late.ordered()
    engine = create_engine(sqlalchemy_url(unit.books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        change = text("update payment_order set foreign_minor = foreign_minor + 1 where payment_order_id = :id")
        connection.execute(change, {"id": order.payment_order_id})
        found = [problem.what for problem in penalties_verify.problems(connection)]
        connection.rollback()

    said = f"payment order {order.payment_order_id} pays 95001 USD, of 100000 owed, and keeps penalties of 5000"
    assert said in found
