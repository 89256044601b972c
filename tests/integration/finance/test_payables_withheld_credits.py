"""Tax that was withheld of what is credited, on PostgreSQL: N12's numbers, half of it taken back."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    account_pb2,
    credit_note_events_pb2,
    credit_note_pb2,
    credit_offset_pb2,
    credit_offset_pb2_grpc,
    payables_pb2,
    withholding_slip_pb2,
    withholding_slip_pb2_grpc,
)
from kelola.finance.v1 import withholding_remittance_pb2 as remittance_pb2
from services.finance.payables import verify
from tests.integration.finance.bank import CASH
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import GOODS
from tests.integration.finance.purchase import Purchase, rupiah_of
from tests.integration.finance.test_payables_credit_notes import PRICE, RETURN, Credits
from tests.integration.finance.test_payables_remittances import (
    MONTH_END,
    PPH22,
    VAT,
    WHT_PPH22,
    WHT_VAT,
    Remitting,
)

RECEIVABLE, HALF, HALF_WITHHELD = "1.1.09.90", 5_550_000, 625_000
NET = HALF - HALF_WITHHELD
CAME, NEXT_MONTH_END = date(YEAR, 4, 2), date(YEAR, 4, 30)


class Withheld(Remitting):
    """A treasury that has paid one invoice of N12: 9 850 000 to the supplier, 1 250 000 withheld."""

    def paid(self) -> payables_pb2.PaymentOrder:
        """One more invoice of N12, paid."""
        purchase, payable = self.owed()
        self.credits = Credits(purchase)
        return self.unit.debited(self.unit.ordered([payable.payable_id]))

    def owed(self, **values: Any) -> tuple[Purchase, payables_pb2.Payable]:
        """One more invoice of N12, approved."""
        purchase = Purchase(self.unit, self.line, 10, 1_000_000, vat="0.11", **values).issued()
        purchase.accepted(10)
        self.invoice = purchase.invoiced(10, 1_000_000)
        return purchase, purchase.approved(self.invoice)

    def credited(self, units: int = 5, **values: Any) -> credit_note_pb2.CreditNote:
        """Units that went back of the invoice that was paid last."""
        return self.credits.approved(self.invoice, RETURN, units * 1_110_000, units=units, **values)

    def refunded(self, note: credit_note_pb2.CreditNote, amount: int = NET) -> credit_note_pb2.CreditNote:
        return self.credits.refunded(note, amount=rupiah(amount))

    def offset(self, note: credit_note_pb2.CreditNote, payable: payables_pb2.Payable) -> credit_offset_pb2.CreditOffset:
        offset = credit_offset_pb2.CreditOffset(
            agency_id=str(self.unit.agency_id),
            credit_note_id=note.credit_note_id,
            payable_id=payable.payable_id,
            explanation="agreed with the supplier",
        )
        request = credit_offset_pb2.CreateCreditOffsetRequest(credit_offset=offset, request_id=rid())
        return call_as(self.offsets.CreateCreditOffset, request, self.unit.token("invoice_clerk"))

    @property
    def offsets(self) -> credit_offset_pb2_grpc.CreditOffsetServiceStub:
        return credit_offset_pb2_grpc.CreditOffsetServiceStub(self.unit.books.service.channel)

    def approval(self, offset: credit_offset_pb2.CreditOffset) -> credit_offset_pb2.ApproveCreditOffsetRequest:
        on = to_date(date(YEAR, 3, 26))
        return credit_offset_pb2.ApproveCreditOffsetRequest(name=offset.name, effective_on=on, request_id=rid())

    def slips(self) -> list[withholding_slip_pb2.WithholdingSlip]:
        stub = withholding_slip_pb2_grpc.WithholdingSlipServiceStub(self.unit.books.service.channel)
        request = withholding_slip_pb2.ListWithholdingSlipsRequest(agency_id=str(self.unit.agency_id))
        return list(call_as(stub.ListWithholdingSlips, request, self.unit.token("treasurer")).withholding_slips)

    def told(self, note: credit_note_pb2.CreditNote) -> credit_note_events_pb2.ExpenditureRefunded:
        """The event of a refund."""
        with psycopg.connect(self.unit.books.superuser_url) as connection:
            row = connection.execute(
                "select body from outbox where key = %s and type like %s", (note.credit_note_id, "%ExpenditureRefunded")
            ).fetchone()
        assert row is not None
        return credit_note_events_pb2.ExpenditureRefunded.FromString(bytes(row[0]))

    def kept(self) -> tuple[int, int]:
        """What the treasury owes of VAT and of income tax, in whole rupiah."""
        return -self.bank.balance(WHT_VAT), -self.bank.balance(WHT_PPH22)


@pytest.fixture
def withheld(books: Books) -> Withheld:
    return Withheld(books)


def test_n12_the_creditor_refunds_half_of_what_he_had_and_half_of_the_tax_is_owed_no_more(withheld: Withheld):
    unit, before, cash = withheld.unit, withheld.unit.figures(withheld.line), withheld.bank.balance(CASH)

    note = withheld.credited()
    gross = refused(
        withheld.credits.stub.RecordCreditNoteRefund, withheld.credits.refund(note), unit.token("treasurer")
    )
    refunded = withheld.refunded(note)

    assert (rupiah_of(note.total), rupiah_of(note.withheld_amount)) == (HALF, HALF_WITHHELD)
    assert (gross.reason, gross.metadata["owed"]) == ("REFUND_AMOUNT_MISMATCH", "IDR 4 925 000")
    assert refunded.status == credit_note_pb2.CREDIT_NOTE_STATUS_REFUNDED
    assert withheld.bank.balance(CASH) == cash + NET
    assert withheld.kept() == (VAT // 2, PPH22 // 2)
    # Gross on the funds and in the agency's books, as the payment was.
    after = unit.figures(withheld.line)
    assert (after[4] - before[4], after[-1] - before[-1]) == (-HALF, HALF)
    assert unit.agency.balances().get(RECEIVABLE, 0) == 0
    assert unit.agency.balances(basis=account_pb2.BASIS_BUDGET)[GOODS] == HALF * 100
    assert withheld.told(refunded).withheld == note.withheld_amount
    assert {one.withholding_code: rupiah_of(one.corrected_amount) for one in withheld.slips()} == {
        "VAT": VAT // 2,
        "PPH22": PPH22 // 2,
    }
    assert unit.problems() == withheld.bank.problems() == []


def test_in_a_later_year_the_whole_credit_is_other_revenue_and_the_tax_is_corrected_all_the_same(withheld: Withheld):
    unit, note = withheld.unit, withheld.credited()
    figures = unit.figures(withheld.line)
    for agency in (unit.agency, unit.treasury):
        agency.open_year(YEAR + 1)

    refunded = withheld.credits.refunded(note, amount=rupiah(NET), refunded_on=to_date(date(YEAR + 1, 1, 5)))

    assert refunded.earlier_year
    assert unit.figures(withheld.line) == figures
    realised = unit.agency.balances(basis=account_pb2.BASIS_BUDGET, as_of=to_date(date(YEAR + 1, 1, 31)))
    assert realised["4.1.04.15"] == -HALF * 100
    kept = unit.treasury.balances(as_of=to_date(date(YEAR + 1, 1, 31)))
    assert (kept[WHT_VAT], kept[WHT_PPH22]) == (-VAT * 50, -PPH22 * 50)
    assert unit.problems() == withheld.bank.problems() == []


def test_what_is_withheld_no_more_is_taken_off_the_remittance_of_its_kind(withheld: Withheld):
    withheld.refunded(withheld.credited())

    before_it = withheld.proposed("PPH22")
    vat = withheld.proposed(withheld_to=to_date(NEXT_MONTH_END))

    # In March nothing of it was known to come; in April it was.
    assert (rupiah_of(before_it.amount), rupiah_of(before_it.corrected_amount)) == (PPH22, 0)
    assert (rupiah_of(vat.amount), rupiah_of(vat.corrected_amount)) == (VAT // 2, VAT // 2)
    assert withheld.bank.problems() == []
    withheld.unit.debited(withheld.ordered(withheld.approved(vat)), value_date=to_date(CAME))
    assert withheld.kept()[0] == 0
    assert withheld.bank.problems() == []


def test_what_was_remitted_already_is_compensated_in_the_next_period(withheld: Withheld):
    withheld.unit.debited(withheld.ordered(withheld.approved(withheld.proposed())), value_date=to_date(MONTH_END))

    withheld.refunded(withheld.credited())
    claim = withheld.kept()[0]
    alone = withheld.refused(withheld_to=to_date(NEXT_MONTH_END))
    withheld.paid()
    after = withheld.proposed(withheld_to=to_date(NEXT_MONTH_END))

    assert claim == -VAT // 2, "a claim on the tax office until then"
    assert alone.reason == "NOTHING_TO_REMIT"
    assert (rupiah_of(after.amount), rupiah_of(after.corrected_amount)) == (VAT // 2, VAT // 2)
    assert withheld.bank.problems() == []


def test_a_recalled_remittance_leaves_what_it_was_less_by_to_another(withheld: Withheld):
    withheld.refunded(withheld.credited())
    first = withheld.proposed(withheld_to=to_date(NEXT_MONTH_END))
    recall = remittance_pb2.RecallWithholdingRemittanceRequest(name=first.name, explanation="x", request_id=rid())
    call_as(withheld.stub.RecallWithholdingRemittance, recall, withheld.bank.token("treasurer"))

    second = withheld.proposed(withheld_to=to_date(NEXT_MONTH_END))

    assert rupiah_of(second.corrected_amount) == rupiah_of(first.corrected_amount) == VAT // 2
    assert withheld.bank.problems() == []


def test_notes_in_any_steps_correct_all_that_was_withheld_and_no_more(withheld: Withheld):
    cash = withheld.bank.balance(CASH)
    notes = [withheld.credited(units) for units in (3, 3)]
    # A price of the rest, with its VAT: 7 rupiah make the shares uneven.
    notes.append(withheld.credits.approved(withheld.invoice, PRICE, 777, net=700))
    notes.append(withheld.credits.approved(withheld.invoice, RETURN, 4 * 1_110_000 - 777, units=4))

    for note in notes:
        withheld.credits.refunded(note, amount=rupiah_less(note), bank_reference=rid())

    assert withheld.kept() == (0, 0)
    assert withheld.bank.balance(CASH) == cash + 9_850_000
    assert withheld.unit.figures(withheld.line)[1:5] == (0, 0, 0, 0)
    assert withheld.unit.problems() == withheld.bank.problems() == []


def rupiah_less(note: credit_note_pb2.CreditNote) -> Any:
    """What the creditor refunds of a note."""
    units = note.total.units - note.withheld_amount.units
    nanos = note.total.nanos - note.withheld_amount.nanos
    if nanos < 0:
        units, nanos = units - 1, nanos + 10**9
    return type(note.total)(currency_code="IDR", units=units, nanos=nanos)


def test_n12_set_off_the_next_payment_withholds_less_so_that_the_creditor_has_what_he_is_owed(withheld: Withheld):
    supplier = withheld.credits.purchase.supplier_id
    note = withheld.credited()
    purchase, payable = withheld.owed(supplier_id=supplier)

    call_as(
        withheld.offsets.ApproveCreditOffset,
        withheld.approval(withheld.offset(note, payable)),
        withheld.unit.token("budget_user"),
    )
    order = withheld.unit.debited(
        withheld.unit.ordered([payable.payable_id], date(YEAR, 3, 27)), value_date=to_date(date(YEAR, 3, 28))
    )

    assert (rupiah_of(order.gross), rupiah_of(order.net)) == (HALF, NET)
    assert {one.withholding_code: rupiah_of(one.amount) for one in order.withholdings} == {
        "VAT": VAT // 2,
        "PPH22": PPH22 // 2,
    }
    assert withheld.kept() == (VAT * 3 // 2, PPH22 * 3 // 2)
    assert withheld.unit.problems() == withheld.bank.problems() == []
    # The whole of the second invoice is credited: all that was withheld of it is corrected, the offset's share too.
    withheld.credits = Credits(purchase)
    whole = withheld.credited(10)
    assert rupiah_of(whole.withheld_amount) == VAT + PPH22
    withheld.refunded(whole, 9_850_000)
    assert withheld.kept() == (VAT // 2, PPH22 // 2)
    assert withheld.unit.problems() == withheld.bank.problems() == []


def test_a_payable_of_which_less_is_withheld_does_not_bear_the_offset(withheld: Withheld):
    note = withheld.credited()
    untaxed = Purchase(
        withheld.unit, withheld.line, 10, 1_000_000, supplier_id=withheld.credits.purchase.supplier_id
    ).issued()
    untaxed.accepted(10)
    payable = untaxed.approved(untaxed.invoiced(10, 1_000_000))

    refusal = refused(
        withheld.offsets.ApproveCreditOffset,
        withheld.approval(withheld.offset(note, payable)),
        withheld.unit.token("budget_user"),
    )

    assert (refusal.reason, refusal.metadata["withholding_code"]) == ("WITHHOLDING_BELOW_CORRECTION", "VAT")


@pytest.fixture(scope="module")
def corrected(books: Books) -> tuple[Withheld, dict[str, str]]:
    """A refunded note that corrected N12, and a remittance of what is left: their ids."""
    withheld = Withheld(books)
    note, remittance = withheld.refunded(withheld.credited()), withheld.proposed()
    return withheld, {"note": note.credit_note_id, "remittance": remittance.withholding_remittance_id}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            "update credit_note_withholding set amount_minor = amount_minor + 1 where credit_note_id = :note",
            "what is withheld in IDR is",
        ),
        (
            "update credit_note_withholding set amount_minor = amount_minor * 3 where credit_note_id = :note",
            "credit notes took back",
        ),
        (
            "update credit_note set withheld_minor = withheld_minor - 1 where credit_note_id = :note",
            "of it is withheld no more",
        ),
        (
            "update withholding_remittance set corrected_minor = 1 where withholding_remittance_id = :remittance",
            "is less by 1",
        ),
    ],
)
def test_verify_finds_a_correction_that_the_books_hold_otherwise(
    corrected: tuple[Withheld, dict[str, str]], broken: str, said: str
):
    withheld, ids = corrected
    engine = create_engine(sqlalchemy_url(withheld.unit.books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        connection.execute(text(broken), {name: value for name, value in ids.items() if f":{name}" in broken})
        found = [problem.what for problem in verify.problems(connection)]

    assert any(said in what for what in found), found
