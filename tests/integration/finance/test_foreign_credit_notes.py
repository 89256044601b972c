"""Credit notes on invoices in a foreign currency, from the unpaid invoice to the refund: figures by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.money import Money
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date, to_money
from kelola.finance.v1 import (
    account_pb2,
    credit_note_pb2,
    credit_offset_pb2,
    credit_offset_pb2_grpc,
    payables_pb2,
)
from services.finance.payables import verify
from tests.integration.finance.abroad import Abroad, ForeignPurchase, unused_currency
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.funds import GOODS
from tests.integration.finance.purchase import EXPENSE, STOCK, Purchase, stock_moved
from tests.integration.finance.test_payables_credit_notes import PRICE, RETURN, Credits

# Travel: an expenditure of which the pack withholds nothing.
TRAVEL, EXP = "5.1.02.04.01", "8.1.02.04"
INV, GRNI, AP, RK_A, FXD, RECEIVABLE = "1.1.12", "2.1.06.90", "2.1.06.02", "3.1.03.01", "8.5.03.90", "1.1.09.90"
RK_T, CASH, REVENUE, WHT_PPH22 = "1.1.13.01", "1.1.01.01", "4.1.04.15", "2.1.01.05.02"
ORDERED, ACCEPTED, INVOICED, FEBRUARY = (date(YEAR, 1, 20), date(YEAR, 2, 10), date(YEAR, 2, 15), date(YEAR, 2, 28))
CREDITED, PAID, OWED, MARCH, CAME = (
    *(date(YEAR, 3, 5), date(YEAR, 3, 10), date(YEAR, 3, 12), date(YEAR, 3, 31), date(YEAR, 4, 2)),
)
RATES = {ORDERED: "15000", ACCEPTED: "15300", FEBRUARY: "15400"}


class Invoiced:
    """10 units at 100 of a currency, ordered at 15 000, `accepted` of them accepted at 15 300 and invoiced."""

    def __init__(
        self,
        books: Books,
        *,
        accepted: int = 10,
        price: Any = 100,
        treatment: int = EXPENSE,
        currency: str = "",
        budget: int = 20_000_000,
        own_treasury: bool = False,
        rounding: int = 0,
        account: str = TRAVEL,
    ) -> None:
        self.unit = Abroad(books)
        if own_treasury:
            self.unit.treasury = self.unit.agency
        self.currency = currency or unused_currency()
        (self.line,) = self.unit.lines(budget, account=account)
        self.unit.allotted()
        for day, rate in RATES.items():
            self.unit.rated(self.currency, day, rate)
        purchase = ForeignPurchase(self.unit, self.line, 10, 100, treatment=treatment, currency=self.currency)
        self.purchase = purchase.ordered_on(ORDERED)
        purchase.accepted_on(ACCEPTED, accepted, stock_number=1 if treatment == STOCK else 0)
        request = purchase.invoice(accepted, price, currency=self.currency)
        if rounding:
            _round(request.invoice, rounding, self.currency)
        self.invoice = call_as(self.unit.payables.CreateInvoice, request, self.unit.token("invoice_clerk"))
        approval = purchase.approval(self.invoice, effective_on=to_date(INVOICED))
        reply = call_as(self.unit.payables.ApproveInvoice, approval, self.unit.token("budget_user"))
        self.payable = reply.payable
        self.credits = Credits(purchase)

    def revalued(self) -> Invoiced:
        """The month's end, at 15 400."""
        self.unit.books_revalued(2)
        return self

    def paid(self) -> Invoiced:
        """Revalued, ordered, and debited with 15 350 000."""
        self.revalued()
        self.unit.debited_at(self.unit.ordered([self.payable.payable_id], CREDITED), 15_350_000, PAID)
        return self

    def credited(
        self, on: date, kind: int, total: int, *, rounding: int = 0, **values: Any
    ) -> credit_note_pb2.CreditNote:
        """A credit note registered and approved on a day, amounts in whole units of the currency."""
        request = self.credits.request(self.invoice, kind, total, **values)
        if rounding:
            _round(request.credit_note, rounding, self.currency)
        note = call_as(self.credits.stub.CreateCreditNote, request, self.unit.token("invoice_clerk"))
        approval = self.credits.approval(note, effective_on=to_date(on))
        done = call_as(self.credits.stub.ApproveCreditNote, approval, self.unit.token("budget_user")).credit_note
        assert self.unit.all_problems() == []
        return done

    def not_credited(self, on: date, kind: int, total: int, **values: Any) -> Refusal:
        note = self.credits.registered(self.invoice, kind, total, **values)
        approval = self.credits.approval(note, effective_on=to_date(on))
        return refused(self.credits.stub.ApproveCreditNote, approval, self.unit.token("budget_user"))

    def came(self, note: credit_note_pb2.CreditNote, amount: int, currency: str = "IDR") -> credit_note_pb2.CreditNote:
        """The refund of a note in whole units."""
        amount_message = to_money(Money(amount * 100, currency))
        done = self.credits.refunded(note, amount=amount_message, refunded_on=to_date(CAME))
        assert self.unit.all_problems() == []
        return done

    def not_refunded(self, note: credit_note_pb2.CreditNote, amount: int, currency: str) -> Refusal:
        request = self.credits.refund(note, amount=to_money(Money(amount * 100, currency)), refunded_on=to_date(CAME))
        return refused(self.credits.stub.RecordCreditNoteRefund, request, self.unit.token("treasurer"))

    def figures(self) -> tuple[int, ...]:
        """R, O, E, S, P and available in whole rupiah."""
        return self.unit.figures(self.line)

    def owed(self) -> tuple[int, int]:
        """The payable in whole rupiah, and in its own currency."""
        payable = self.credits.payable(self.payable)
        return minor(payable.amount) // 100, minor(payable.foreign_amount) // 100


def _round(document: Any, cents: int, currency: str) -> None:
    """An invoice or a credit note whose total is rounded up by less than one unit."""
    document.total.nanos += cents * 10**7
    document.rounding.CopyFrom(to_money(Money(cents, currency)))


@pytest.fixture(scope="module")
def owed(books: Books) -> tuple[Invoiced, str]:
    """USD 200 that the creditor of a paid invoice owes, and the credit note's id."""
    one = Invoiced(books).paid()
    one.unit.rated(one.currency, OWED, "15500")
    return one, one.credited(OWED, RETURN, 200, units=2).credit_note_id


# --- while the invoice is unpaid -----------------------------------------------------------------------------------


def test_before_a_month_end_everything_goes_back_at_the_invoices_own_rate(books: Books):
    one = Invoiced(books)

    note = one.credited(date(YEAR, 2, 20), RETURN, 200, units=2)

    assert note.status == credit_note_pb2.CREDIT_NOTE_STATUS_APPROVED
    assert (minor(note.carrying_amount), note.carrying_amount.currency_code) == (3_060_000_00, "IDR")
    assert one.owed() == (12_240_000, 800)
    assert one.figures() == (0, 0, 12_240_000, 0, 0, 7_760_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 12_240_000, AP: -12_240_000}
    one.revalued()
    assert one.owed() == (12_320_000, 800)
    assert one.figures() == (0, 0, 12_320_000, 0, 0, 7_680_000)
    assert one.unit.all_problems() == []


def test_after_a_month_end_the_difference_of_the_credited_share_is_undone(books: Books):
    one = Invoiced(books).revalued()

    one.credited(CREDITED, RETURN, 200, units=2)

    # USD 200: the debt stood at 3 080 000, the expense at 3 060 000; of 100 000 lost 80 000 are the rest's.
    assert one.owed() == (12_320_000, 800)
    assert one.figures() == (0, 0, 12_320_000, 0, 0, 7_680_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 12_240_000, AP: -12_320_000, FXD: 80_000}
    release, revalue = (minor(move.expended_change) for move in one.unit.movements(one.line)[:2])
    assert (release, revalue) == (-3_060_000_00, -20_000_00)
    assert list(one.unit.books_revalued(2).items) == [], "what is left stands at the month end's rate already"
    # What is left is paid as ever: 800 at 15 350.
    one.unit.debited_at(one.unit.ordered([one.payable.payable_id], PAID), 12_280_000, PAID)
    assert one.figures() == (0, 0, 0, 0, 12_280_000, 7_720_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 12_240_000, RK_A: -12_280_000, FXD: 40_000}
    assert one.unit.all_problems() == []


def test_a_whole_credit_leaves_nothing_in_the_books_and_the_line_as_it_was(books: Books):
    one = Invoiced(books).revalued()

    for units in (3, 7):
        one.credited(CREDITED, RETURN, units * 100, units=units)

    assert one.credits.payable(one.payable).status == payables_pb2.PAYABLE_STATUS_CREDITED
    assert one.owed() == (0, 0)
    assert one.figures() == (0, 0, 0, 0, 0, 20_000_000)
    assert one.unit.functional(one.unit.agency) == {}


def test_goods_that_come_again_are_obligated_at_the_days_rate_beside_what_is_not_delivered(books: Books):
    one = Invoiced(books, accepted=4)
    one.unit.rated(one.currency, CREDITED, "15500")

    one.credited(CREDITED, RETURN, 100, units=1, replaced=True)

    # O: 600 at 15 000 and 100 at 15 500; E: 300 at 15 300.
    assert one.figures() == (0, 10_550_000, 4_590_000, 0, 0, 4_860_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 4_590_000, AP: -4_590_000}
    one.unit.rated(one.currency, PAID, "15600")
    one.purchase.accepted_units -= 1
    one.purchase.accepted_minor -= 100_00
    event = one.purchase.accepted_event(7)
    event.accepted_on.CopyFrom(to_date(PAID))
    event.lines[0].cumulative_accepted_quantity.value = "11"
    event.lines[0].cumulative_value.CopyFrom(to_money(Money(1_100_00, one.currency)))
    one.purchase.take_in(event)
    assert one.figures() == (0, 0, 4_590_000 + 10_920_000, 0, 0, 20_000_000 - 15_510_000)
    assert one.unit.all_problems() == []


def test_a_price_that_falls_is_taken_back_at_the_rate_of_its_invoice(books: Books):
    """100.3 instead of 100: USD 3 at 15 300 are the difference in price, credited when the debt is at 15 400."""
    one = Invoiced(books, price=Decimal("100.3"), currency="USD").revalued()
    assert one.figures()[2] == 15_446_200

    one.credited(CREDITED, PRICE, 3, net=3)

    assert one.owed() == (15_400_000, 1_000)
    assert one.figures() == (0, 0, 15_400_000, 0, 0, 4_600_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 15_300_000, AP: -15_400_000, FXD: 100_000}


def test_stock_is_received_and_not_invoiced_again_at_what_its_debt_stood_at(books: Books):
    one = Invoiced(books, treatment=STOCK).revalued()
    stock_moved(one.unit, 1, "RECEIPT", 15_300_000_00, item_id=one.purchase.item_id)

    one.credited(CREDITED, RETURN, 200, units=2)

    assert one.figures() == (0, 0, 15_400_000, 0, 0, 4_600_000)
    assert one.unit.functional(one.unit.agency) == {INV: 15_300_000, AP: -12_320_000, GRNI: -3_080_000, FXD: 100_000}
    again = one.purchase.approved_on(CREDITED, 2, 100)
    assert (minor(again.amount), minor(again.foreign_amount)) == (3_080_000_00, 200_00)
    assert one.unit.all_problems() == []


def test_a_rounded_invoice_in_dollars_is_credited_to_the_last_cent(books: Books):
    """USD 1 000 rounded up by 0.40: 6 120 rupiah more at the rate of the invoice, and back again."""
    one = Invoiced(books, currency="USD", rounding=40).revalued()
    assert (one.figures()[2], one.owed()) == (15_400_000 + 6_160, (15_406_160, 1_000))
    assert one.unit.functional(one.unit.agency)[EXP] == 15_300_000 + 6_120

    one.credited(CREDITED, RETURN, 300, units=3)
    one.credited(CREDITED, RETURN, 700, units=7, rounding=40)

    assert one.credits.payable(one.payable).status == payables_pb2.PAYABLE_STATUS_CREDITED
    assert one.figures() == (0, 0, 0, 0, 0, 20_000_000)
    assert one.unit.functional(one.unit.agency) == {}


# --- once it is paid -----------------------------------------------------------------------------------------------


def test_a_refund_counts_as_what_really_came_and_the_line_gains_the_difference(books: Books):
    one = Invoiced(books).paid()
    one.unit.rated(one.currency, OWED, "15500")
    one.unit.rated(one.currency, MARCH, "15450")
    before = one.figures()

    note = one.credited(OWED, RETURN, 200, units=2)

    # Owed back at the day's rate; the goods leave at what they were recorded at; no funds move.
    assert note.status == credit_note_pb2.CREDIT_NOTE_STATUS_RECEIVABLE
    assert one.figures() == before == (0, 0, 0, 0, 15_350_000, 4_650_000)
    assert one.unit.functional(one.unit.agency) == {
        EXP: 12_240_000,
        RECEIVABLE: 3_100_000,
        RK_A: -15_350_000,
        FXD: 10_000,
    }
    one.unit.books_revalued(3)
    assert one.figures() == before, "a receivable moves no funds"
    assert one.unit.functional(one.unit.agency)[RECEIVABLE] == 3_090_000
    assert one.unit.all_problems() == []

    refunded = one.came(note, 3_120_000)

    assert (minor(refunded.refunded_amount), refunded.refunded_amount.currency_code) == (3_120_000_00, "IDR")
    assert one.figures() == (0, 0, 0, 0, 12_230_000, 7_770_000)
    assert one.unit.functional(one.unit.agency) == {EXP: 12_240_000, RK_A: -12_230_000, FXD: -10_000}
    assert one.unit.functional(one.unit.treasury) == {RK_T: 12_230_000, CASH: -12_230_000}
    budget = one.unit.functional(one.unit.agency, basis=account_pb2.BASIS_BUDGET)
    assert budget[TRAVEL] == 12_230_000
    assert list(one.unit.books_revalued(4).items) == [], "what came back is not revalued"


@pytest.mark.parametrize("own_treasury", [False, True])
def test_what_was_withheld_is_corrected_at_the_rate_that_it_was_withheld_at(books: Books, own_treasury: bool):
    """USD 1 000 of goods at 15 400: 1.5 % = 231 000 withheld, USD 985 paid. USD 200 credited: 46 200, USD 3."""
    one = Invoiced(books, account=GOODS, own_treasury=own_treasury).revalued()
    order = one.unit.ordered([one.payable.payable_id], CREDITED)
    one.unit.debited(order, value_date=to_date(PAID))
    one.unit.rated(one.currency, OWED, "15500")
    one.unit.rated(one.currency, CAME, "15200")
    paid, kept = one.figures()[4], one.unit.functional(one.unit.treasury)[WHT_PPH22]

    note = one.credited(OWED, RETURN, 200, units=2)
    whole = one.not_refunded(note, 200, one.currency)
    refunded = one.came(note, 197, one.currency)

    assert (minor(order.foreign_amount), paid, kept) == (985_00, 15_400_000, -231_000)
    assert (minor(note.withheld_amount), note.withheld_amount.currency_code) == (3_00, one.currency)
    assert whole.reason == "REFUND_AMOUNT_MISMATCH"
    # USD 197 at 15 200 came.
    assert minor(refunded.refunded_amount) == 2_994_400_00
    assert one.figures()[4] == paid - 2_994_400 - 46_200
    assert one.unit.functional(one.unit.treasury)[WHT_PPH22] == -231_000 + 46_200
    assert one.unit.functional(one.unit.agency).get(RECEIVABLE, 0) == 0


def test_what_comes_beyond_all_that_was_paid_is_revenue(books: Books):
    one = Invoiced(books).paid()
    one.unit.rated(one.currency, OWED, "15500")

    one.came(one.credited(OWED, RETURN, 1_000, units=10), 15_600_000)

    assert one.figures() == (0, 0, 0, 0, 0, 20_000_000)
    budget = one.unit.functional(one.unit.agency, basis=account_pb2.BASIS_BUDGET)
    assert TRAVEL not in budget
    assert budget[REVENUE] == -250_000
    assert one.unit.functional(one.unit.agency) == {RK_A: 250_000, FXD: -250_000}


def test_a_refund_in_the_creditors_currency_is_at_the_rate_of_its_day_and_in_no_third_one(books: Books):
    one = Invoiced(books).paid()
    unknown = one.not_credited(date(YEAR, 3, 15), RETURN, 200, units=2)
    one.unit.rated(one.currency, OWED, "15500")
    note = one.credited(OWED, RETURN, 300, units=3, replaced=True)

    third = one.not_refunded(note, 300, unused_currency())
    short = one.not_refunded(note, 299, one.currency)
    early = one.not_refunded(note, 300, one.currency)
    one.unit.rated(one.currency, CAME, "15200")
    with psycopg.connect(one.unit.books.superuser_url) as connection:
        # Nothing is obligated any more, so the round would come by at no month's end.
        never = "update foreign_commitment_clock set due_on = %s where committed_agency_id = %s"
        connection.execute(never, (date.max, one.unit.agency_id))
    one.came(note, 300, one.currency)

    assert (unknown.reason, unknown.metadata["currency"]) == ("EXCHANGE_RATE_MISSING", one.currency)
    assert third.reason == "REFUND_AMOUNT_MISMATCH"
    assert "in IDR" in third.message
    assert short.reason == "REFUND_AMOUNT_MISMATCH"
    assert early.reason == "EXCHANGE_RATE_MISSING"
    with psycopg.connect(one.unit.books.superuser_url) as connection:
        asked = "select due_on from foreign_commitment_clock where committed_agency_id = %s"
        due = connection.execute(asked, (one.unit.agency_id,)).fetchone()
    assert due == (date(YEAR, 4, 30),), "what is obligated again is revalued at the next month's end"
    # 300 at 15 200 leave P; the goods come again, so they are bound at that.
    assert one.figures() == (0, 4_560_000, 0, 0, 10_790_000, 4_650_000)
    # Received 4 560 000 for 4 650 000 owed; the goods had cost 4 590 000.
    assert one.unit.functional(one.unit.agency) == {EXP: 10_710_000, RK_A: -10_790_000, FXD: 80_000}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("update credit_note_line set carried_minor = carried_minor + 1 where credit_note_id = :id", "account holds 3"),
        ("update credit_note set currency = 'XTS' where credit_note_id = :id", "in XTS, its credit notes await 20000"),
    ],
)
def test_verify_finds_a_credit_that_the_books_hold_otherwise(owed: tuple[Invoiced, str], broken: str, said: str):
    one, credit_note_id = owed
    engine = create_engine(sqlalchemy_url(one.unit.books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        connection.execute(text(broken), {"id": credit_note_id})
        found = [problem.what for problem in verify.problems(connection)]
        connection.rollback()

    assert [what for what in found if said in what], found


def test_an_agency_that_is_its_own_treasury_has_no_pair_with_itself(books: Books):
    one = Invoiced(books, own_treasury=True).paid()
    one.unit.rated(one.currency, OWED, "15500")
    assert one.unit.functional(one.unit.agency) == {EXP: 15_300_000, CASH: -15_350_000, FXD: 50_000}

    one.came(one.credited(OWED, RETURN, 200, units=2), 3_120_000)

    assert one.unit.functional(one.unit.agency) == {EXP: 12_240_000, CASH: -12_230_000, FXD: -10_000}
    assert one.figures() == (0, 0, 0, 0, 12_230_000, 7_770_000)


def test_a_credit_note_in_another_currency_than_its_invoice_is_refused_by_name(books: Books):
    one = Invoiced(books)

    request = one.credits.request(one.invoice, RETURN, 200, units=2)
    request.credit_note.total.CopyFrom(to_money(Money(3_060_000_00, "IDR")))

    refusal = refused(one.credits.stub.CreateCreditNote, request, one.unit.token("invoice_clerk"))

    assert f"in {one.currency}, as the invoice" in refusal.message


# --- set off -------------------------------------------------------------------------------------------------------


def test_an_offset_counts_at_the_rate_of_its_day_on_both_lines_and_realises_what_differs(books: Books):
    """USD 100 owed back at 15 500 against USD 300 owed at 15 450, on a day at 15 200."""
    one = Invoiced(books, budget=40_000_000).paid()
    unit = one.unit
    for day, rate in ((OWED, "15500"), (MARCH, "15450"), (date(YEAR, 4, 1), "15500"), (CAME, "15200")):
        unit.rated(one.currency, day, rate)
    second = ForeignPurchase(unit, one.line, 3, 100, currency=one.currency, supplier_id=one.purchase.supplier_id)
    second.ordered_on(OWED).accepted_on(OWED, 3)
    payable = second.approved_on(OWED, 3, 100)
    unit.books_revalued(3)
    note = one.credited(date(YEAR, 4, 1), RETURN, 100, units=1)
    assert (minor(note.carrying_amount), minor(one.credits.payable(payable).amount)) == (1_550_000_00, 4_635_000_00)

    set_off(one, note, payable.payable_id)

    # P 15 350 000 - 1 520 000 of the first order, + 1 520 000 of the second; E 200 at 15 450.
    assert one.figures() == (0, 0, 3_090_000, 0, 15_350_000, 21_560_000)
    assert unit.functional(unit.agency) == {EXP: 18_420_000, AP: -3_090_000, RK_A: -15_350_000, FXD: 20_000}
    assert unit.functional(unit.agency, basis=account_pb2.BASIS_BUDGET)[TRAVEL] == 15_350_000
    left = one.credits.payable(payable)
    assert (minor(left.amount), minor(left.foreign_amount)) == (3_090_000_00, 200_00)
    assert (minor(left.offset_amount), left.offset_amount.currency_code) == (1_545_000_00, "IDR")
    assert unit.all_problems() == []
    unit.rated(one.currency, date(YEAR, 4, 30), "15300")
    unit.books_revalued(4)
    unit.debited_at(unit.ordered([payable.payable_id], date(YEAR, 5, 4)), 3_040_000, date(YEAR, 5, 5))
    assert one.figures() == (0, 0, 0, 0, 18_390_000, 21_610_000)
    assert unit.all_problems() == []


def test_nothing_is_set_off_against_a_payable_in_another_currency(books: Books):
    one = Invoiced(books, budget=40_000_000).paid()
    one.unit.rated(one.currency, OWED, "15500")
    note = one.credited(OWED, RETURN, 100, units=1)
    domestic = Purchase(one.unit, one.line, 1, 5_000_000, supplier_id=one.purchase.supplier_id).issued()
    domestic.accepted(1)
    payable = domestic.approved(domestic.invoiced(1, 5_000_000))

    refusal = refused(
        credit_offset_pb2_grpc.CreditOffsetServiceStub(books.service.channel).CreateCreditOffset,
        proposal(one, note, payable.payable_id),
        one.unit.token("invoice_clerk"),
    )

    assert refusal.reason == "OFFSET_NOT_ALLOWED"
    assert f"the credit note is in {one.currency}, the payable in IDR" in refusal.message


def proposal(
    one: Invoiced, note: credit_note_pb2.CreditNote, payable_id: str
) -> credit_offset_pb2.CreateCreditOffsetRequest:
    offset = credit_offset_pb2.CreditOffset(
        agency_id=str(one.unit.agency_id),
        credit_note_id=note.credit_note_id,
        payable_id=payable_id,
        explanation="agreed with the supplier",
    )
    return credit_offset_pb2.CreateCreditOffsetRequest(credit_offset=offset, request_id=rid())


def set_off(one: Invoiced, note: credit_note_pb2.CreditNote, payable_id: str) -> None:
    """Proposed and approved on the day that rates are of."""
    stub = credit_offset_pb2_grpc.CreditOffsetServiceStub(one.unit.books.service.channel)
    made = call_as(stub.CreateCreditOffset, proposal(one, note, payable_id), one.unit.token("invoice_clerk"))
    request = credit_offset_pb2.ApproveCreditOffsetRequest(name=made.name, effective_on=to_date(CAME), request_id=rid())
    call_as(stub.ApproveCreditOffset, request, one.unit.token("budget_user"))
