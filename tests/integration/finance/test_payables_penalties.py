"""Penalties for late delivery on PostgreSQL: kept from the payment, revenue on both bases, expenditure as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import account_pb2, payables_pb2, penalty_pb2_grpc
from kelola.finance.v1 import penalty_pb2 as pb
from services.finance.payables import verify as payables_verify
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import GOODS, OFFICERS, Unit, new_line
from tests.integration.finance.purchase import EXPENSE, Purchase, rupiah_of
from tests.integration.finance.test_payables_credit_notes import RETURN, bought
from tests.integration.finance.test_payables_offsets import Offsets
from tests.integration.finance.works import Contract

DUE, DELIVERED = date(YEAR, 3, 5), date(YEAR, 3, 12)
# N12: 11 100 000 owed, of which VAT and income tax are withheld; a week late costs 7/1000 of 10 000 000.
OWED, PRICE, WITHHELD, PENALTY = 11_100_000, 10_000_000, 1_250_000, 70_000
TRAVEL = "5.1.02.04.01"
CASH, TRANSIT, SAL, APPROPRIATION = "1.1.01.01", "2.1.07.90", "3.1.02.05", "3.1.02.03"
REVENUE_LO, REVENUE_LRA = "7.1.04.11", "4.1.04.11"
BUDGET = account_pb2.BASIS_BUDGET


class Penalties:
    """What is done about a payable whose goods came late."""

    def __init__(self, unit: Unit, payable: payables_pb2.Payable) -> None:
        self.unit, self.payable = unit, payable
        self.stub = penalty_pb2_grpc.LateDeliveryPenaltyServiceStub(unit.books.service.channel)

    def late(self, **values: Any) -> pb.LateDeliveryPenalty:
        return pb.LateDeliveryPenalty(
            **{
                "agency_id": str(self.unit.agency_id),
                "payable_id": self.payable.payable_id,
                "base": pb.PENALTY_BASE_LATE_PART,
                "base_amount": rupiah(PRICE),
                "due_on": to_date(DUE),
                "delivered_on": to_date(DELIVERED),
                "explanation": "handed over on 12 March by the receipt",
                **values,
            }
        )

    def assessment(self, **values: Any) -> pb.CreateLateDeliveryPenaltyRequest:
        return pb.CreateLateDeliveryPenaltyRequest(late_delivery_penalty=self.late(**values), request_id=rid())

    def assessed(self, **values: Any) -> pb.LateDeliveryPenalty:
        token = self.unit.token("invoice_clerk")
        return call_as(self.stub.CreateLateDeliveryPenalty, self.assessment(**values), token)

    def refused(self, **values: Any) -> Refusal:
        request = self.assessment(**values)
        return refused(self.stub.CreateLateDeliveryPenalty, request, self.unit.token("invoice_clerk"))

    def approval(self, one: pb.LateDeliveryPenalty) -> pb.ApproveLateDeliveryPenaltyRequest:
        return pb.ApproveLateDeliveryPenaltyRequest(name=one.name, request_id=rid())

    def approved(self, one: pb.LateDeliveryPenalty) -> pb.LateDeliveryPenalty:
        token = self.unit.token("budget_user")
        return call_as(self.stub.ApproveLateDeliveryPenalty, self.approval(one), token).late_delivery_penalty

    def reduction(self, one: pb.LateDeliveryPenalty, left: int) -> pb.ReduceLateDeliveryPenaltyRequest:
        return pb.ReduceLateDeliveryPenaltyRequest(
            name=one.name, amount=rupiah(left), explanation="the bridge was closed", request_id=rid()
        )

    def reduced(self, one: pb.LateDeliveryPenalty, left: int) -> pb.LateDeliveryPenalty:
        token = self.unit.token("budget_user")
        return call_as(self.stub.ReduceLateDeliveryPenalty, self.reduction(one, left), token).late_delivery_penalty

    def by_the_maker(self) -> str:
        """The approver's role, held by who assessed."""
        unit = self.unit
        return unit.books.token([unit.agency_id], OFFICERS["budget_user"], person_id=unit.persons["invoice_clerk"])

    def revenue(self) -> tuple[int, int]:
        """Penalty revenue of the treasury in whole rupiah, accrual and budget."""
        treasury = self.unit.treasury
        return (
            -treasury.balances().get(REVENUE_LO, 0) // 100,
            -treasury.balances(basis=BUDGET).get(REVENUE_LRA, 0) // 100,
        )


class Delivered(Penalties):
    """A unit that owes an invoice of N12, whose goods came a week late."""

    def __init__(self, books: Books, *, account: str = GOODS, treatment: int = EXPENSE) -> None:
        self.unit, self.treatment = Unit(books), treatment
        (self.line,) = self.unit.lines(40_000_000, account=account)
        self.unit.allotted()
        super().__init__(self.unit, self.owed())

    def owed(self) -> payables_pb2.Payable:
        """One more payable of N12."""
        purchase = Purchase(self.unit, self.line, 10, 1_000_000, vat="0.11", treatment=self.treatment).issued()
        purchase.accepted(10)
        return purchase.approved(purchase.invoiced(10, 1_000_000))


def a_second_fund(books: Books) -> None:
    """The fund DAK beside the general one."""
    fund = dimension_value("FUND", "DAK", "Dana Alokasi Khusus", date(2021, 1, 1))
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[fund], request_id=rid())
    call_as(books.accounts.BatchCreateDimensionValues, request, books.token([]))


@pytest.fixture
def delivered(books: Books) -> Delivered:
    return Delivered(books)


def test_the_bank_pays_less_expenditure_stays_gross_and_the_rest_is_revenue_on_both_bases(delivered: Delivered):
    unit = delivered.unit
    delivered.approved(delivered.assessed())

    order = unit.ordered([delivered.payable.payable_id])

    assert (rupiah_of(order.gross), rupiah_of(order.penalties)) == (OWED, PENALTY)
    assert rupiah_of(order.net) == OWED - WITHHELD - PENALTY
    assert unit.figures(delivered.line) == (0, 0, 0, OWED, 0, 40_000_000 - OWED)
    # Earned when the payment is ordered, realised when it is debited.
    assert delivered.revenue() == (PENALTY, 0)

    unit.debited(order)

    assert unit.figures(delivered.line) == (0, 0, 0, 0, OWED, 40_000_000 - OWED)
    assert delivered.revenue() == (PENALTY, PENALTY)
    treasury, realised = unit.treasury.balances(), unit.treasury.balances(basis=BUDGET)
    assert treasury[CASH] == -(OWED - WITHHELD - PENALTY) * 100
    assert treasury.get(TRANSIT, 0) == 0
    assert realised == {SAL: PENALTY * 100, REVENUE_LRA: -PENALTY * 100}
    # The agency's own expenditure on both bases is what it bought, without a word of the penalty.
    assert sum(amount for code, amount in unit.agency.balances().items() if code.startswith("8.1")) == OWED * 100
    agency = unit.agency.balances(basis=BUDGET)
    assert (agency[GOODS], agency[SAL] + agency[APPROPRIATION]) == (OWED * 100, -OWED * 100)
    assert REVENUE_LRA not in agency
    assert unit.problems() == []


def test_an_agency_that_is_its_own_treasury_has_cost_and_revenue_in_one_set_of_books(delivered: Delivered):
    unit = delivered.unit
    delivered.approved(delivered.assessed())
    issue = unit.issue(unit.payment_authorised([delivered.payable.payable_id]))
    issue.treasury_agency_id = str(unit.agency_id)
    issued = call_as(unit.payables.IssuePaymentOrder, issue, unit.token("treasurer")).payment_order

    order = unit.debited(unit.numbered(issued.name))

    accrual, budget = unit.agency.balances(), unit.agency.balances(basis=BUDGET)
    assert rupiah_of(order.net) == OWED - WITHHELD - PENALTY
    assert (accrual[REVENUE_LO], budget[REVENUE_LRA], budget[GOODS]) == (-PENALTY * 100, -PENALTY * 100, OWED * 100)
    assert accrual[CASH] == -(OWED - WITHHELD - PENALTY) * 100
    assert unit.problems() == []


def test_a_penalty_is_not_withheld_for_others_and_has_no_slip(delivered: Delivered):
    unit = delivered.unit
    delivered.approved(delivered.assessed())

    order = unit.debited(unit.ordered([delivered.payable.payable_id]))

    assert {one.withholding_code for one in order.withholdings} == {"VAT", "PPH22"}
    with psycopg.connect(unit.books.superuser_url) as connection:
        slips = connection.execute(
            "select sum(amount_minor) from withholding_slip where payment_order_id = %s", (order.payment_order_id,)
        ).fetchone()
    assert slips == (WITHHELD * 100,)
    assert unit.treasury.balances()["2.1.01.06.01"] == -1_100_000 * 100


def test_the_amount_is_shown_before_anything_is_written(delivered: Delivered):
    request = pb.CheckLateDeliveryPenaltyRequest(late_delivery_penalty=delivered.late())

    shown = call_as(delivered.stub.CheckLateDeliveryPenalty, request, delivered.unit.token("invoice_clerk"))

    assert (shown.days_late, shown.daily_rate, rupiah_of(shown.amount)) == (7, "1/1000", PENALTY)
    assert delivered.assessed().assessed_amount == shown.amount


def test_a_rejected_payment_reopens_with_its_penalty_and_the_next_keeps_it_again(delivered: Delivered):
    unit = delivered.unit
    one = delivered.approved(delivered.assessed())
    order = unit.ordered([delivered.payable.payable_id])
    call_as(unit.payables.RejectPaymentOrder, unit.rejection(order), unit.token("treasurer"))

    nothing = delivered.revenue()
    twice = delivered.refused()
    again = unit.debited(
        unit.ordered([delivered.payable.payable_id], date(YEAR, 3, 22)), value_date=to_date(date(YEAR, 3, 23))
    )

    assert nothing == (0, 0)
    assert (twice.reason, one.status) == ("PENALTY_ASSESSED", pb.LATE_DELIVERY_PENALTY_STATUS_APPROVED)
    assert rupiah_of(again.net) == OWED - WITHHELD - PENALTY
    assert delivered.revenue() == (PENALTY, PENALTY)
    assert unit.problems() == []


def test_whoever_assessed_it_neither_approves_nor_rejects_nor_reduces_it(delivered: Delivered):
    stub, maker = delivered.stub, delivered.by_the_maker()
    one = delivered.assessed()
    reject = pb.RejectLateDeliveryPenaltyRequest(name=one.name, explanation="no", request_id=rid())

    before = [
        refused(stub.ApproveLateDeliveryPenalty, delivered.approval(one), maker).reason,
        refused(stub.RejectLateDeliveryPenalty, reject, maker).reason,
    ]
    delivered.approved(one)
    after = refused(stub.ReduceLateDeliveryPenalty, delivered.reduction(one, 1), maker).reason
    # The clerk's own role lets nobody approve.
    clerk = refused(stub.ApproveLateDeliveryPenalty, delivered.approval(one), delivered.unit.token("invoice_clerk"))

    assert [*before, after] == ["SAME_PERSON"] * 3
    assert clerk.code is grpc.StatusCode.PERMISSION_DENIED


def test_a_delivery_is_penalised_once_until_its_proposal_ends(delivered: Delivered):
    stub, unit = delivered.stub, delivered.unit
    one = delivered.assessed()
    twice = delivered.refused()
    recall = pb.RecallLateDeliveryPenaltyRequest(name=one.name, explanation="another day", request_id=rid())
    call_as(stub.RecallLateDeliveryPenalty, recall, unit.token("invoice_clerk"))

    assert twice.reason == "PENALTY_ASSESSED"
    assert delivered.approved(delivered.assessed()).status == pb.LATE_DELIVERY_PENALTY_STATUS_APPROVED


def test_two_who_assess_the_same_delivery_at_once_make_one_penalty(delivered: Delivered):
    def attempt(_: int) -> str:
        try:
            return str(delivered.assessed().name)
        except grpc.RpcError as error:
            return str(error.code())

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(attempt, range(2)))

    assert sorted(one.startswith("lateDeliveryPenalties/") for one in answers) == [False, True]


def test_what_cannot_be_a_penalty_is_refused(delivered: Delivered):
    assert delivered.refused(delivered_on=to_date(DUE)).reason == "DELIVERY_NOT_LATE"
    assert delivered.refused(base_amount=rupiah(PRICE + 1)).reason == "PENALTY_BASE_TOO_HIGH"
    # 985 days late: 9 850 000, which is all that would be left of 11 100 000 after 1 250 000 withheld.
    everything = delivered.refused(due_on=to_date(date(YEAR - 3, 7, 1)))
    assert everything.reason == "PENALTY_ABOVE_PAYABLE"
    assert delivered.refused(payable_id=rid()).reason == "NOT_FOUND"
    assert delivered.refused(base_amount=rupiah(0)).reason == "INVALID_ARGUMENT"
    # Nobody knows yet how late it comes.
    assert delivered.refused(delivered_on=to_date(date(YEAR + 40, 3, 12))).reason == "INVALID_ARGUMENT"


def test_a_penalty_is_decided_before_the_payment_is_requested(delivered: Delivered):
    unit = delivered.unit
    one = delivered.assessed()
    request = unit.payment_request([delivered.payable.payable_id])

    undecided = refused(unit.payables.CreatePaymentRequest, request, unit.token("expenditure_treasurer"))
    delivered.approved(one)
    unit.requested([delivered.payable.payable_id])
    late = delivered.refused(due_on=to_date(date(YEAR, 3, 6)))
    reduction = refused(
        delivered.stub.ReduceLateDeliveryPenalty, delivered.reduction(one, 1), unit.token("budget_user")
    )

    assert undecided.reason == "PENALTY_UNDECIDED"
    assert (late.reason, reduction.reason) == ("PENALTY_PAYABLE_NOT_OPEN", "PENALTY_PAYABLE_NOT_OPEN")


def test_what_a_reduction_left_is_kept_and_a_waived_penalty_keeps_nothing(delivered: Delivered):
    unit, other = delivered.unit, delivered.owed()
    left = delivered.reduced(delivered.approved(delivered.assessed()), 20_000)
    more = refused(
        delivered.stub.ReduceLateDeliveryPenalty, delivered.reduction(left, 10_000), unit.token("budget_user")
    )
    waived = delivered.reduced(delivered.approved(delivered.assessed(payable_id=other.payable_id)), 0)

    order = unit.debited(unit.ordered([delivered.payable.payable_id]))
    whole = unit.debited(unit.ordered([other.payable_id]))

    assert (rupiah_of(left.assessed_amount), rupiah_of(left.amount)) == (PENALTY, 20_000)
    assert left.reduction_explanation == "the bridge was closed"
    assert UUID(left.reduced_by_person_id) == unit.persons["budget_user"]
    assert more.reason == "PENALTY_NOT_LESS"
    assert waived.status == pb.LATE_DELIVERY_PENALTY_STATUS_WAIVED
    assert [rupiah_of(one.penalties) for one in (order, whole)] == [20_000, 0]
    assert delivered.revenue() == (20_000, 20_000)
    assert unit.problems() == []


def test_a_credit_note_after_the_approval_leaves_too_little_and_the_order_says_so(books: Books):
    unit = Unit(books)
    credits, invoice, payable = bought(unit)
    penalties = Penalties(unit, payable)
    # 500 000 owed, 450 days late: 225 000; then all but 200 000 goes back.
    early = to_date(DUE - timedelta(days=443))
    one = penalties.approved(penalties.assessed(base_amount=rupiah(500_000), due_on=early))
    credits.approved(invoice, RETURN, 300_000, units=6)
    name = unit.payment_authorised([payable.payable_id])
    too_little = refused(unit.payables.IssuePaymentOrder, unit.issue(name), unit.token("treasurer"))
    withdrawal = payables_pb2.WithdrawPaymentRequestRequest(name=name, explanation="the penalty", request_id=rid())
    call_as(unit.payables.WithdrawPaymentRequest, withdrawal, unit.token("expenditure_treasurer"))

    penalties.reduced(one, 90_000)
    order = unit.debited(unit.ordered([payable.payable_id]))

    assert rupiah_of(one.amount) == 225_000
    assert (too_little.reason, too_little.metadata["owed_minor"]) == ("PENALTY_ABOVE_PAYABLE", "20000000")
    assert rupiah_of(order.net) == 110_000
    assert unit.problems() == []


def test_what_a_credit_note_took_back_of_an_invoice_is_no_base_of_a_penalty(books: Books):
    unit = Unit(books)
    credits, invoice, payable = bought(unit)
    credits.approved(invoice, RETURN, 300_000, units=6)

    above = Penalties(unit, payable).refused(base_amount=rupiah(200_001))

    assert (above.reason, above.metadata["price_minor"]) == ("PENALTY_BASE_TOO_HIGH", "20000000")


def test_what_is_kept_as_a_penalty_is_not_set_off_against_what_the_supplier_owes(books: Books):
    offsets = Offsets(books)
    penalties = Penalties(offsets.unit, offsets.payable)
    proposal = offsets.proposed(offsets.note())
    # 10 100 000 owed: 980 days late leave 202 000, of which income tax is withheld; 100 000 cannot be set off too.
    early = to_date(DELIVERED - timedelta(days=980))
    penalties.approved(penalties.assessed(base_amount=rupiah(10_100_000), due_on=early))

    assert offsets.not_approved(proposal).reason == "OFFSET_EXCEEDS_PAYABLE"


def test_a_bill_is_penalised_by_the_whole_contract_once(books: Books):
    delivered = Delivered(books)
    contract = Contract(delivered.unit, 100_000_000)
    payable = contract.certified(40_000_000).bill.payable_id
    whole = {"base": pb.PENALTY_BASE_CONTRACT, "base_amount": rupiah(100_000_000), "payable_id": payable}

    above = delivered.refused(**{**whole, "base_amount": rupiah(100_000_001)})
    one = delivered.assessed(**whole)
    part = delivered.refused(payable_id=payable, base_amount=rupiah(1_000_000), due_on=to_date(date(YEAR, 3, 1)))

    assert above.reason == "PENALTY_BASE_TOO_HIGH"
    assert rupiah_of(one.amount) == 700_000
    assert part.reason == "PENALTY_ASSESSED"


def test_a_penalty_near_the_whole_of_one_fund_is_refused_by_name_beside_what_another_fund_withholds(books: Books):
    """Travel of 1 000 000 from one fund, goods of N12 from another: 1 250 000 are withheld from both by gross."""
    a_second_fund(books)
    unit = Unit(books)
    draft = unit.import_request([new_line(5_000_000, account=TRAVEL), new_line(20_000_000, line_no=2, fund_code="DAK")])
    imported = call_as(unit.budget.ImportAppropriation, draft, unit.token("budget_officer"))
    unit.activated(imported.appropriation)
    unit.allotted()
    travel, goods = imported.budget_line_ids
    trip = Purchase(unit, travel, 1, 1_000_000).issued()
    bought_goods = Purchase(unit, goods, 10, 1_000_000, vat="0.11", supplier_id=trip.supplier_id).issued()
    trip.accepted(1)
    bought_goods.accepted(10)
    late, other = (
        trip.approved(trip.invoiced(1, 1_000_000)),
        bought_goods.approved(bought_goods.invoiced(10, 1_000_000)),
    )
    penalties = Penalties(unit, late)
    # 950 days late cost 950 000; the fund has 1 000 000 less its share of what is withheld, 103 305.78.
    penalties.approved(
        penalties.assessed(base_amount=rupiah(1_000_000), due_on=to_date(DELIVERED - timedelta(days=950)))
    )
    both = unit.payment_authorised([late.payable_id, other.payable_id])

    too_little = refused(unit.payables.IssuePaymentOrder, unit.issue(both), unit.token("treasurer"))
    withdrawal = payables_pb2.WithdrawPaymentRequestRequest(name=both, explanation="one by one", request_id=rid())
    call_as(unit.payables.WithdrawPaymentRequest, withdrawal, unit.token("expenditure_treasurer"))
    apart = [unit.debited(unit.ordered([one.payable_id])) for one in (late, other)]

    assert (too_little.reason, too_little.metadata) == (
        "PENALTY_ABOVE_FUND",
        {"penalty_minor": "95000000", "left_minor": "89669422", "funds": "UMUM"},
    )
    assert [rupiah_of(one.net) for one in apart] == [50_000, OWED - WITHHELD]
    assert penalties.revenue() == (950_000, 950_000)
    assert unit.problems() == []


def test_a_penalty_of_the_whole_contract_leaves_no_late_part_on_its_other_bills(books: Books):
    delivered = Delivered(books)
    contract = Contract(delivered.unit, 100_000_000)
    first, second = (contract.certified(40_000_000).bill.payable_id for _ in range(2))
    part = {"payable_id": second, "base_amount": rupiah(1_000_000)}
    whole = {"payable_id": first, "base": pb.PENALTY_BASE_CONTRACT, "base_amount": rupiah(100_000_000)}

    late_part = delivered.assessed(**part)
    within = delivered.refused(**whole)
    reject = pb.RejectLateDeliveryPenaltyRequest(name=late_part.name, explanation="all of it", request_id=rid())
    call_as(delivered.stub.RejectLateDeliveryPenalty, reject, delivered.unit.token("budget_user"))
    delivered.assessed(**whole)

    assert (within.reason, delivered.refused(**part).reason) == ("PENALTY_ASSESSED", "PENALTY_ASSESSED")
    # What was due on another day is another delay.
    assert delivered.assessed(**part, due_on=to_date(date(YEAR, 3, 6))).days_late == 6


def test_a_whole_contract_and_a_late_part_of_it_assessed_at_once_make_one_penalty(books: Books):
    delivered = Delivered(books)
    contract = Contract(delivered.unit, 100_000_000)
    first, second = (contract.certified(40_000_000).bill.payable_id for _ in range(2))
    both = [
        {"payable_id": first, "base": pb.PENALTY_BASE_CONTRACT, "base_amount": rupiah(100_000_000)},
        {"payable_id": second, "base_amount": rupiah(1_000_000)},
    ]

    def attempt(late: dict[str, Any]) -> str:
        try:
            return delivered.assessed(**late).name.partition("/")[0]
        except grpc.RpcError as error:
            return str(error.details()).partition(",")[0]

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(attempt, both))

    assert answers[0] == "lateDeliveryPenalties"
    assert answers[1].startswith(f"what the contract had due on {DUE} is penalised on ")


def test_all_is_told(delivered: Delivered):
    one = delivered.reduced(delivered.approved(delivered.assessed()), 1)

    with psycopg.connect(delivered.unit.books.superuser_url) as connection:
        rows = connection.execute(
            "select type from outbox where key = %s order by id", (one.late_delivery_penalty_id,)
        ).fetchall()
    assert [row[0].rpartition(".LateDeliveryPenalty")[2] for row in rows] == ["Assessed", "Approved", "Reduced"]


BROKEN = {
    "penalty revenue-LO is": "update journal_line set credit_minor = credit_minor + 1"
    " where account_code = '7.1.04.11' and credit_minor > 0",
    "net": "delete from payment_order_penalty where payment_order_id = :order",
    "does not keep its penalty": "delete from payment_order_penalty where payment_order_id = :order",
    "keeps 7000000 of penalty": "update late_delivery_penalty set status = 'WAIVED', amount_minor = 0,"
    " reduced_by_person_id = gen_random_uuid(), reduction_explanation = 'x' where late_delivery_penalty_id = :penalty",
    "was approved or reduced by who assessed it": "alter table late_delivery_penalty"
    " drop constraint ck_late_delivery_penalty_maker_is_not_checker;"
    " update late_delivery_penalty set approved_by_person_id = created_by_person_id"
    " where late_delivery_penalty_id = :penalty",
}


@pytest.fixture(scope="module")
def kept(books: Books) -> dict[str, str]:
    """A penalty that a debited order kept; ids by name."""
    delivered = Delivered(books)
    one = delivered.approved(delivered.assessed())
    order = delivered.unit.debited(delivered.unit.ordered([delivered.payable.payable_id]))
    return {"penalty": one.late_delivery_penalty_id, "order": order.payment_order_id}


@pytest.mark.parametrize("said", BROKEN)
def test_verify_finds_what_was_broken(books: Books, kept: dict[str, str], said: str):
    engine = create_engine(sqlalchemy_url(books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        for statement in BROKEN[said].split(";"):
            connection.execute(
                text(statement), {name: value for name, value in kept.items() if f":{name}" in statement}
            )
        found = [problem.what for problem in payables_verify.problems(connection)]
        connection.rollback()

    assert [what for what in found if said in what and (kept["order"] in what or kept["penalty"] in what)], found
