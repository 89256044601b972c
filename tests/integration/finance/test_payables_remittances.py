"""Remittances of what was withheld, on PostgreSQL: collected once, approved by another, paid by the bank's file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import grpc
import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import payables_pb2, withholding_remittance_pb2_grpc
from kelola.finance.v1 import withholding_remittance_pb2 as pb
from services.finance.payables.remittances import domain
from tests.integration.finance.bank import CASH, Bank, end_to_end, entry, pain_002
from tests.integration.finance.books import FUND, YEAR, Books, rid
from tests.integration.finance.funds import Unit, a_statement
from tests.integration.finance.purchase import Purchase, rupiah_of

WHT_VAT, WHT_PPH22, TRANSIT = "2.1.01.06.01", "2.1.01.05.02", "2.1.07.90"
MONTH_END = date(YEAR, 3, 31)
# What N12 withholds of goods of 10 000 000 + 11 %.
VAT, PPH22 = 1_100_000, 150_000


class Remitting:
    """A treasury that has paid one invoice of N12, and remits what it withheld."""

    def __init__(self, books: Books) -> None:
        self.unit = Unit(books)
        self.bank = Bank(self.unit)
        self.stub = withholding_remittance_pb2_grpc.WithholdingRemittanceServiceStub(books.service.channel)
        (self.line,) = self.unit.lines(100_000_000)
        self.unit.allotted()
        self.paid()

    def paid(self) -> payables_pb2.PaymentOrder:
        """One more invoice of N12, paid."""
        purchase = Purchase(self.unit, self.line, 10, 1_000_000, vat="0.11").issued()
        purchase.accepted(10)
        return self.unit.debited(self.unit.ordered([purchase.approved(purchase.invoiced(10, 1_000_000)).payable_id]))

    def proposal(self, code: str = "VAT", **values: Any) -> pb.CreateWithholdingRemittanceRequest:
        remittance = pb.WithholdingRemittance(
            **{
                "agency_id": self.bank.treasury_id,
                "withholding_code": code,
                "fund_code": FUND,
                "currency_code": "IDR",
                "withheld_to": to_date(MONTH_END),
                **values,
            }
        )
        return pb.CreateWithholdingRemittanceRequest(withholding_remittance=remittance, request_id=rid())

    def proposed(self, code: str = "VAT", **values: Any) -> pb.WithholdingRemittance:
        request = self.proposal(code, **values)
        return call_as(self.stub.CreateWithholdingRemittance, request, self.bank.token("treasurer"))

    def refused(self, code: str = "VAT", **values: Any) -> Refusal:
        request = self.proposal(code, **values)
        return refused(self.stub.CreateWithholdingRemittance, request, self.bank.token("treasurer"))

    def approved(self, one: pb.WithholdingRemittance) -> pb.WithholdingRemittance:
        request = pb.ApproveWithholdingRemittanceRequest(name=one.name, request_id=rid())
        token = self.bank.token("head")
        return call_as(self.stub.ApproveWithholdingRemittance, request, token).withholding_remittance

    def seen(self, one: pb.WithholdingRemittance) -> pb.WithholdingRemittance:
        request = pb.GetWithholdingRemittanceRequest(name=one.name)
        return call_as(self.stub.GetWithholdingRemittance, request, self.bank.token("treasurer"))

    def ordered(self, one: pb.WithholdingRemittance) -> payables_pb2.PaymentOrder:
        """SPP, verification, SPM and SP2D of the remittance's payable, all in the treasury's own entity."""
        unit = self.unit
        request = payables_pb2.CreatePaymentRequestRequest(
            payment_request=payables_pb2.PaymentRequest(
                agency_id=self.bank.treasury_id, payable_ids=[one.payable_id], requested_on=to_date(MONTH_END)
            ),
            request_id=rid(),
        )
        name = call_as(unit.payables.CreatePaymentRequest, request, unit.token("expenditure_treasurer")).name
        verify = payables_pb2.VerifyPaymentRequestRequest(name=name, request_id=rid())
        call_as(unit.payables.VerifyPaymentRequest, verify, unit.token("verifier"))
        authorise = payables_pb2.AuthorisePaymentRequestRequest(
            name=name, request_id=rid(), statement_of_responsibility=a_statement(MONTH_END)
        )
        call_as(unit.payables.AuthorisePaymentRequest, authorise, unit.token("budget_user"))
        issue = unit.issue(name, MONTH_END)
        return unit.numbered(
            call_as(unit.payables.IssuePaymentOrder, issue, unit.token("treasurer")).payment_order.name
        )

    def at_the_bank(self, one: pb.WithholdingRemittance) -> tuple[Any, payables_pb2.PaymentOrder]:
        """The remittance's payment order in a run whose file the bank has."""
        self.bank.payee(one.creditor, agency_id=self.bank.treasury_id, holder_name="Kas Negara")
        order = self.ordered(one)
        return self.bank.sent(order), order


@pytest.fixture
def remitting(books: Books) -> Remitting:
    return Remitting(books)


def test_a_remittance_collects_what_paid_orders_withheld_of_its_kind(remitting: Remitting):
    remitting.paid()

    one = remitting.proposed()

    assert rupiah_of(one.amount) == 2 * VAT
    assert [rupiah_of(item.amount) for item in one.items] == [VAT, VAT]
    assert (one.creditor, one.due_on) == ("STATE_TREASURY", to_date(date(YEAR, 4, 15)))
    assert remitting.bank.problems() == []


def test_a_remittance_takes_the_oldest_up_to_its_limit_and_the_next_one_the_rest(
    remitting: Remitting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(domain, "ITEMS_MAX", 1)
    remitting.paid()

    first, second = remitting.proposed(), remitting.proposed()

    orders = [item.payment_order_id for one in (first, second) for item in one.items]
    assert len(set(orders)) == 2
    assert remitting.refused().reason == "NOTHING_TO_REMIT"
    assert remitting.bank.problems() == []


def test_it_leaves_through_the_banks_file_and_moves_no_funds(remitting: Remitting):
    figures = remitting.unit.figures(remitting.line)
    one = remitting.approved(remitting.proposed())
    run, order = remitting.at_the_bank(one)
    on_the_way = {code: remitting.bank.balance(code) for code in (WHT_VAT, TRANSIT)}
    cash = remitting.bank.balance(CASH)

    outcomes = remitting.bank.outcomes(
        remitting.bank.statement([entry(VAT, e2e=end_to_end(run, order), on=MONTH_END)], closing=-VAT, on=MONTH_END)
    )

    assert on_the_way == {WHT_VAT: 0, TRANSIT: -VAT}
    assert outcomes == ["DEBITED"]
    assert remitting.bank.balance(CASH) == cash - VAT
    assert remitting.bank.balance(TRANSIT) == 0
    assert remitting.seen(one).status == pb.WITHHOLDING_REMITTANCE_STATUS_REMITTED
    assert remitting.unit.figures(remitting.line) == figures
    assert remitting.bank.problems() == []


def test_a_receipt_is_recorded_once_after_the_debit_and_is_of_one_remittance(remitting: Remitting):
    one, other = (remitting.approved(remitting.proposed(code)) for code in ("VAT", "PPH22"))
    token = remitting.bank.token("treasurer")

    def receipt(of: pb.WithholdingRemittance, number: str, on: date = MONTH_END) -> Any:
        return pb.RecordWithholdingRemittanceReceiptRequest(
            name=of.name, receipt_number=number, received_on=to_date(on), request_id=rid()
        )

    record = remitting.stub.RecordWithholdingRemittanceReceipt
    before = refused(record, receipt(one, "9F3A27C1D05B8E64"), token)
    for remittance in (one, other):
        remitting.unit.debited(remitting.ordered(remittance), value_date=to_date(MONTH_END))
    early = refused(record, receipt(one, "9F3A27C1D05B8E64", date(YEAR, 3, 30)), token)
    done = call_as(record, receipt(one, "9F3A27C1D05B8E64"), token).withholding_remittance
    again = call_as(record, receipt(one, "9F3A27C1D05B8E64"), token).withholding_remittance
    second = refused(record, receipt(one, "0000000000000001"), token)
    taken = refused(record, receipt(other, "9F3A27C1D05B8E64"), token)

    assert (before.reason, early.reason) == ("OUT_OF_TURN", "INVALID_ARGUMENT")
    assert (done.receipt_number, done.received_on) == ("9F3A27C1D05B8E64", to_date(MONTH_END))
    assert again == done
    assert second.reason == "REMITTANCE_RECEIPT_RECORDED"
    assert (taken.reason, taken.metadata["withholding_remittance_id"]) == (
        "REMITTANCE_RECEIPT_KNOWN",
        one.withholding_remittance_id,
    )
    with psycopg.connect(remitting.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.WithholdingReceiptRecorded' and key = any(%s)",
            ([one.withholding_remittance_id, other.withholding_remittance_id],),
        ).fetchone()
    assert told == (1,)
    assert remitting.bank.problems() == []


def test_what_the_bank_rejects_is_withheld_again_and_may_be_paid_anew(remitting: Remitting):
    one = remitting.approved(remitting.proposed())
    run, order = remitting.at_the_bank(one)

    answers = remitting.bank.imported(pain_002(run, [(end_to_end(run, order), "RJCT")], on=MONTH_END)).bank_file.answers

    assert [one.explanation for one in answers] == ["rejected before the debit"]
    assert remitting.bank.status(order) == "REJECTED"
    assert remitting.bank.balance(WHT_VAT) == -VAT
    assert remitting.bank.balance(TRANSIT) == 0
    assert remitting.seen(one).status == pb.WITHHOLDING_REMITTANCE_STATUS_APPROVED
    assert remitting.refused().reason == "NOTHING_TO_REMIT"
    again = remitting.ordered(one)
    remitting.unit.debited(again, value_date=to_date(date(YEAR, 4, 2)))
    assert remitting.seen(one).remitted_on == to_date(date(YEAR, 4, 2))
    assert remitting.bank.problems() == []


def test_an_amount_is_remitted_once(remitting: Remitting):
    remitting.proposed()

    refusal = remitting.refused()
    later = remitting.paid()
    rest = remitting.proposed()

    assert refusal.reason == "NOTHING_TO_REMIT"
    assert [item.payment_order_id for item in rest.items] == [later.payment_order_id]
    assert rupiah_of(remitting.proposed("PPH22").amount) == 2 * PPH22


def test_two_proposals_at_once_do_not_collect_the_same_amount(remitting: Remitting):
    def attempt(_: int) -> bool:
        try:
            remitting.proposed()
        except grpc.RpcError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(attempt, range(4)))

    assert made.count(True) == 1


def test_what_is_not_debited_or_debited_later_is_not_collected(remitting: Remitting):
    purchase = Purchase(remitting.unit, remitting.line, 10, 1_000_000, vat="0.11").issued()
    purchase.accepted(10)
    remitting.unit.ordered([purchase.approved(purchase.invoiced(10, 1_000_000)).payable_id])

    before = remitting.refused(withheld_to=to_date(date(YEAR, 3, 20)))

    assert before.reason == "NOTHING_TO_REMIT"
    assert rupiah_of(remitting.proposed().amount) == VAT


def test_whoever_proposed_a_remittance_neither_approves_nor_rejects_it(remitting: Remitting):
    one = remitting.proposed()
    token = remitting.bank.token("head", person_id=remitting.bank.persons["treasurer"])
    approve = pb.ApproveWithholdingRemittanceRequest(name=one.name, request_id=rid())
    reject = pb.RejectWithholdingRemittanceRequest(name=one.name, explanation="mine", request_id=rid())

    assert refused(remitting.stub.ApproveWithholdingRemittance, approve, token).reason == "SAME_PERSON"
    assert refused(remitting.stub.RejectWithholdingRemittance, reject, token).reason == "SAME_PERSON"


@pytest.mark.parametrize(("verb", "by"), [("Reject", "head"), ("Recall", "treasurer")])
def test_a_rejected_or_recalled_proposal_frees_its_amounts(remitting: Remitting, verb: str, by: str):
    one = remitting.proposed()
    request = getattr(pb, f"{verb}WithholdingRemittanceRequest")(
        name=one.name, explanation="the wrong month", request_id=rid()
    )

    ended = call_as(getattr(remitting.stub, f"{verb}WithholdingRemittance"), request, remitting.bank.token(by))

    assert ended.withholding_remittance.end_explanation == "the wrong month"
    approve = pb.ApproveWithholdingRemittanceRequest(name=one.name, request_id=rid())
    late = refused(remitting.stub.ApproveWithholdingRemittance, approve, remitting.bank.token("head"))
    assert late.reason == "OUT_OF_TURN"
    assert rupiah_of(remitting.proposed().amount) == VAT
    assert remitting.bank.problems() == []


def test_a_kind_that_the_pack_sends_nowhere_is_refused_by_name(remitting: Remitting):
    assert remitting.refused("UNKNOWN").reason == "COUNTRY_PACK_INCOMPLETE"


def test_a_remittance_is_told_when_it_has_left(remitting: Remitting):
    one = remitting.approved(remitting.proposed())
    remitting.unit.debited(remitting.ordered(one), value_date=to_date(date(YEAR, 4, 2)))

    with psycopg.connect(remitting.unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where type = 'kelola.finance.v1.WithholdingRemitted' and key = %s",
            (one.withholding_remittance_id,),
        ).fetchone()

    assert told == (1,)


def test_remittances_are_listed_by_kind_and_state(remitting: Remitting):
    vat, pph22 = remitting.proposed(), remitting.proposed("PPH22")
    remitting.approved(pph22)

    def ids(**filters: Any) -> list[str]:
        request = pb.ListWithholdingRemittancesRequest(agency_id=remitting.bank.treasury_id, **filters)
        reply = call_as(remitting.stub.ListWithholdingRemittances, request, remitting.bank.token("treasurer"))
        return [one.name for one in reply.withholding_remittances]

    assert ids() == [pph22.name, vat.name]
    assert ids(withholding_code="VAT") == ids(status=pb.WITHHOLDING_REMITTANCE_STATUS_PROPOSED) == [vat.name]
