"""Imprests on PostgreSQL: cash that is no expenditure until vouchers are validated, and never more than the budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import pytest

from chassis.testing import Refusal, call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import imprest_pb2, imprest_pb2_grpc, payables_pb2
from tests.integration.finance.books import FUND, YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit

JANUARY = date(YEAR, 1, 10)
MARCH = date(YEAR, 3, 20)
DECEMBER = date(YEAR, 12, 30)
IMPREST_ACCOUNT = "1.1.01.03"


class Cash:
    """A unit's imprest, in whole rupiah; its holder is the expenditure treasurer."""

    def __init__(self, unit: Unit, amount: int, *, budget: int = 1_000, **values: Any) -> None:
        self.unit = unit
        self.stub = imprest_pb2_grpc.ImprestServiceStub(unit.books.service.channel)
        self.line, self.other = unit.lines(budget, 500)
        unit.allotted()
        self.imprest = call_as(self.stub.CreateImprest, self.request(amount, **values), self.holder)

    @property
    def holder(self) -> str:
        return self.unit.token("expenditure_treasurer")

    def request(self, amount: int, **values: Any) -> imprest_pb2.CreateImprestRequest:
        return imprest_pb2.CreateImprestRequest(
            imprest=imprest_pb2.Imprest(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "kind": imprest_pb2.IMPREST_KIND_STANDING,
                    "fiscal_year": YEAR,
                    "fund_code": FUND,
                    "holder_person_id": str(self.unit.persons["expenditure_treasurer"]),
                    "amount": rupiah(amount),
                    "claimed_on": to_date(JANUARY),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def brought(self, payable_id: str, on: date = JANUARY) -> payables_pb2.PaymentOrder:
        """The whole payment chain, to the bank's debit."""
        return self.unit.debited(self.unit.ordered([payable_id], on), value_date=to_date(on))

    def opened(self) -> Cash:
        """With its cash in hand."""
        self.brought(self.imprest.payable_id)
        return self

    def purchase_request(self, amount: int, **values: Any) -> imprest_pb2.CreateImprestVoucherRequest:
        return imprest_pb2.CreateImprestVoucherRequest(
            imprest_voucher=imprest_pb2.ImprestVoucher(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "imprest_id": self.imprest.imprest_id,
                    "budget_line_id": self.line,
                    "amount": rupiah(amount),
                    "payee": "Toko Uji",
                    "description": "stamps",
                    "approved_on": to_date(MARCH),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def approved(self, amount: int, **values: Any) -> imprest_pb2.ImprestVoucher:
        """An approved purchase."""
        return call_as(
            self.stub.CreateImprestVoucher, self.purchase_request(amount, **values), self.unit.token("budget_user")
        )

    def payment(self, voucher: imprest_pb2.ImprestVoucher, paid: int) -> imprest_pb2.PayImprestVoucherRequest:
        return imprest_pb2.PayImprestVoucherRequest(
            name=voucher.name, paid=rupiah(paid), paid_on=to_date(MARCH), request_id=rid()
        )

    def bought(self, amount: int, paid: int | None = None) -> imprest_pb2.ImprestVoucher:
        """A purchase approved by one person and paid by the holder."""
        request = self.payment(self.approved(amount), amount if paid is None else paid)
        return call_as(self.stub.PayImprestVoucher, request, self.holder).imprest_voucher

    def replenished(self) -> str:
        """The payable of the claimed vouchers."""
        request = imprest_pb2.ReplenishImprestRequest(
            name=self.imprest.name, claimed_on=to_date(MARCH), request_id=rid()
        )
        return call_as(self.stub.ReplenishImprest, request, self.holder).payable_id

    def settlement(self, **values: Any) -> imprest_pb2.SettleImprestRequest:
        return imprest_pb2.SettleImprestRequest(
            **{
                "name": self.imprest.name,
                "treasury_agency_id": str(self.unit.treasury.agency_id),
                "settled_on": to_date(DECEMBER),
                "bank_reference": "RET-1",
                "request_id": rid(),
                **values,
            }
        )

    def settled(self) -> imprest_pb2.SettleImprestResponse:
        return call_as(self.stub.SettleImprest, self.settlement(), self.unit.token("treasurer"))

    def funds(self) -> tuple[int, ...]:
        """R, S, P, available of the line in whole rupiah."""
        shown = self.unit.line(self.line).figures
        return tuple(minor(getattr(shown, name)) // 100 for name in ("reserved", "ordered", "paid", "available"))

    def in_hand(self) -> tuple[int, int]:
        """Cash in hand and vouchers not validated."""
        request = imprest_pb2.GetImprestRequest(name=self.imprest.name)
        shown = call_as(self.stub.GetImprest, request, self.holder)
        return minor(shown.cash_in_hand) // 100, minor(shown.not_validated) // 100

    def booked(self, account: str = IMPREST_ACCOUNT) -> int:
        """An account's balance in the unit's books, debit above zero, in whole rupiah."""
        return balance(self.unit, account)


def balance(unit: Unit, account: str) -> int:
    return unit.agency.balances().get(account, 0) // 100


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_n13_opening_vouchers_replenishment_settlement(unit: Unit):
    cash = Cash(unit, 20)
    before = cash.funds()
    cash.opened()
    opened = (cash.funds() == before, cash.booked())

    cash.bought(5)
    cash.bought(10)
    spent = (cash.funds()[1], cash.booked(), cash.in_hand())
    cash.brought(cash.replenished(), MARCH)
    replenished = (cash.funds()[2], cash.booked(), cash.in_hand())
    cash.bought(8)
    settled = cash.settled()

    assert opened == (True, 20)
    assert spent == (15, 5, (5, 15))
    assert replenished == (15, 20, (20, 0))
    assert [minor(settled.validated) // 100, minor(settled.returned) // 100] == [8, 12]
    assert cash.funds() == (0, 0, 23, 977)
    assert (cash.booked(), cash.in_hand(), cash.booked("3.1.03.01")) == (0, (0, 0), -23)
    assert unit.problems() == []


def test_cash_cannot_overspend_the_budget_nor_itself(unit: Unit):
    cash = Cash(unit, 2_000, budget=100).opened()
    cash.approved(60)

    beyond_budget = cash_refused(cash, 41)
    cash.approved(40)
    small = Cash(Unit(unit.books), 20).opened()
    small.approved(15)
    beyond_cash = cash_refused(small, 6)

    assert beyond_budget.reason == "BUDGET_EXCEEDED"
    assert (beyond_cash.reason, beyond_cash.metadata["free"]) == ("IMPREST_EXHAUSTED", "IDR 5")


def cash_refused(cash: Cash, amount: int) -> Refusal:
    return refused(cash.stub.CreateImprestVoucher, cash.purchase_request(amount), cash.unit.token("budget_user"))


def test_no_cash_is_spent_before_the_bank_has_brought_it(unit: Unit):
    assert cash_refused(Cash(unit, 20), 1).reason == "IMPREST_EXHAUSTED"


def test_what_was_cheaper_than_approved_is_available_again(unit: Unit):
    cash = Cash(unit, 20, budget=100).opened()

    cash.bought(10, paid=7)

    assert cash.funds() == (0, 7, 0, 93)
    assert cash.in_hand() == (13, 7)


def test_a_cancelled_purchase_frees_budget_and_cash(unit: Unit):
    cash = Cash(unit, 20, budget=100).opened()
    voucher = cash.approved(20)
    request = imprest_pb2.CancelImprestVoucherRequest(name=voucher.name, explanation="not delivered", request_id=rid())

    call_as(cash.stub.CancelImprestVoucher, request, unit.token("budget_user"))
    late = refused(cash.stub.PayImprestVoucher, cash.payment(voucher, 20), cash.holder)

    assert late.reason == "IMPREST_VOUCHER_OUT_OF_TURN"
    assert cash.funds() == (0, 0, 0, 100)
    cash.approved(20)


def test_only_the_holder_pays_and_not_what_he_approved(unit: Unit):
    cash = Cash(unit, 20).opened()
    voucher = cash.approved(5)
    holder = unit.persons["expenditure_treasurer"]
    both = unit.books.token([unit.agency_id], "finance.budget_user", "finance.expenditure_treasurer", person_id=holder)
    own = call_as(cash.stub.CreateImprestVoucher, cash.purchase_request(5), both)

    stranger = refused(
        cash.stub.PayImprestVoucher,
        cash.payment(voucher, 5),
        unit.token("expenditure_treasurer", person_id=uuid4()),
    )
    maker = refused(cash.stub.PayImprestVoucher, cash.payment(own, 5), both)

    assert [stranger.reason, maker.reason] == ["NOT_THE_IMPREST_HOLDER", "SAME_PERSON"]


def test_the_holder_never_checks_his_own_cash(unit: Unit):
    """Another treasurer of the unit asks; the holder may then not verify, authorise or issue."""
    cash = Cash(unit, 20, holder_person_id=str(unit.persons["verifier"]))
    request = unit.requested([cash.imprest.payable_id], JANUARY)

    own = refused(
        unit.payables.VerifyPaymentRequest,
        payables_pb2.VerifyPaymentRequestRequest(name=request.name, request_id=rid()),
        unit.token("verifier"),
    )

    assert own.reason == "SAME_PERSON"


def test_a_replenishment_that_the_bank_rejects_validates_nothing(unit: Unit):
    cash = Cash(unit, 20).opened()
    cash.bought(5)
    payable = cash.replenished()

    order = unit.ordered([payable], MARCH)
    ordered = (cash.funds(), cash.booked())
    call_as(
        unit.payables.RejectPaymentOrder,
        payables_pb2.RejectPaymentOrderRequest(
            name=order.name,
            bank_reference="NO-1",
            explanation="account closed",
            rejected_on=to_date(MARCH),
            request_id=rid(),
        ),
        unit.token("treasurer"),
    )
    rejected = (cash.funds(), cash.booked())

    assert ordered == ((0, 0, 5, 995), 20)
    assert rejected == ((0, 5, 0, 995), 15)
    assert unit.problems() == []
    cash.brought(payable, MARCH)
    assert cash.in_hand() == (20, 0)
    assert unit.problems() == []


def test_a_unit_has_one_standing_imprest_a_year(unit: Unit):
    cash = Cash(unit, 20)

    second = refused(cash.stub.CreateImprest, cash.request(30), cash.holder)

    assert second.reason == "IMPREST_KNOWN"


def test_an_additional_imprest_reserves_its_lines_and_frees_the_rest(unit: Unit):
    cash = Cash(unit, 20)
    other, cash.line = cash.line, cash.other
    additional = cash.request(
        300,
        kind=imprest_pb2.IMPREST_KIND_ADDITIONAL,
        lines=[imprest_pb2.ImprestLine(budget_line_id=cash.line, amount=rupiah(300))],
    )
    cash.brought(cash.imprest.payable_id)
    cash.imprest = call_as(cash.stub.CreateImprest, additional, cash.holder)
    asked = cash.funds()
    cash.opened()

    elsewhere = refused(
        cash.stub.CreateImprestVoucher, cash.purchase_request(1, budget_line_id=other), unit.token("budget_user")
    )
    second = refused(
        cash.stub.CreateImprest,
        cash.request(
            10,
            kind=imprest_pb2.IMPREST_KIND_ADDITIONAL,
            lines=[imprest_pb2.ImprestLine(budget_line_id=other, amount=rupiah(10))],
        ),
        cash.holder,
    )
    cash.bought(250, paid=240)
    beyond = cash_refused(cash, 61)
    spent = cash.funds()
    cash.settled()

    assert cash.imprest.due_on == to_date(date(YEAR, 2, 10))
    assert asked == (300, 0, 0, 200)
    assert elsewhere.fields == ("imprest_voucher.budget_line_id",)
    assert second.reason == "IMPREST_OPEN"
    assert beyond.reason == "IMPREST_EXHAUSTED"
    assert spent == (60, 240, 0, 200)
    assert cash.funds() == (0, 0, 240, 260)
    # The standing imprest of 20 is still in hand.
    assert cash.booked() == 20
    assert unit.problems() == []


def test_an_imprest_is_settled_when_nothing_of_it_is_under_way(unit: Unit):
    cash = Cash(unit, 20).opened()
    cash.approved(3)
    cash.bought(5)
    cash.replenished()

    waiting = refused(cash.stub.SettleImprest, cash.settlement(), unit.token("treasurer"))
    elsewhere = refused(
        cash.stub.SettleImprest, cash.settlement(treasury_agency_id=str(uuid4())), unit.token("treasurer")
    )

    assert waiting.reason == "IMPREST_NOT_READY"
    assert "approved and not paid" in waiting.message
    assert "a replenishment is OPEN" in waiting.message
    assert elsewhere.code is grpc.StatusCode.PERMISSION_DENIED


def test_purchases_at_once_never_pass_the_cash(unit: Unit):
    cash = Cash(unit, 20).opened()
    token = unit.token("budget_user")

    def approve(_: int) -> str:
        try:
            return call_as(cash.stub.CreateImprestVoucher, cash.purchase_request(3), token).imprest_voucher_id
        except grpc.RpcError as failure:
            return refusal(failure).reason

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(approve, range(12)))

    assert answers.count("IMPREST_EXHAUSTED") == 6
    assert cash.funds()[0] == 18


def test_vouchers_are_listed_by_state_and_page(unit: Unit):
    cash = Cash(unit, 20).opened()
    paid = [cash.bought(1).imprest_voucher_id for _ in range(3)]
    cash.approved(1)

    def listed(**values: Any) -> imprest_pb2.ListImprestVouchersResponse:
        request = imprest_pb2.ListImprestVouchersRequest(
            imprest_id=cash.imprest.imprest_id, status=imprest_pb2.IMPREST_VOUCHER_STATUS_PAID, **values
        )
        return call_as(cash.stub.ListImprestVouchers, request, cash.holder)

    first = listed(page_size=2)
    rest = listed(page_size=2, page_token=first.next_page_token)

    shown = [one.imprest_voucher_id for one in [*first.imprest_vouchers, *rest.imprest_vouchers]]
    assert shown == sorted(paid, reverse=True)
    assert rest.next_page_token == ""
