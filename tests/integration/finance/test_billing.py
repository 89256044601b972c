"""Contracts paid by bills on PostgreSQL: prepayment, recovery, retention, through the whole payment chain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import billing_pb2, payables_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit
from tests.integration.finance.works import MAINTAINED, SIGNED, Contract


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_n10_advance_two_bills_and_retention(unit: Unit):
    contract = Contract(unit, 1_000)
    stages = []

    advance = contract.prepaid(200)
    contract.paid(advance.payable_id)
    stages.append(contract.figures())
    first = contract.certified(400)
    stages.append(contract.figures())
    contract.paid(first.bill.payable_id)
    stages.append(contract.figures())
    last = contract.certified(600, final=True)
    stages.append(contract.figures())
    contract.paid(last.bill.payable_id)
    stages.append(contract.figures())
    for bill in (first, last):
        contract.paid(bill.bill.retention_payable_id, MAINTAINED)
    stages.append(contract.figures())

    columns = ("O", "V", "E", "S", "P")
    assert [tuple(stage[name] for name in columns) for stage in stages] == [
        (800, 200, 0, 0, 0),
        (480, 120, 320, 0, 80),
        (480, 120, 20, 0, 380),
        (0, 0, 500, 0, 500),
        (0, 0, 50, 0, 950),
        (0, 0, 0, 0, 1_000),
    ]
    assert [
        (minor(bill.bill.lines[0].recovered) // 100, minor(bill.bill.lines[0].retained) // 100, owed(bill))
        for bill in (first, last)
    ] == [(80, 20, [300, 20]), (120, 30, [450, 30])]
    assert unit.problems() == []


def owed(certified: billing_pb2.CertifyBillResponse) -> list[int]:
    return [minor(payable.amount) // 100 for payable in certified.payables]


def test_an_advance_stays_within_the_law_and_its_guarantee(unit: Unit):
    contract = Contract(unit, 1_000)
    contract.prepaid(150)

    beyond = contract.refused("CreatePrepayment", contract.prepayment_request(51))
    uncovered = contract.refused("CreatePrepayment", contract.prepayment_request(50, guarantee_amount=rupiah(49)))
    lapsed = contract.refused(
        "CreatePrepayment", contract.prepayment_request(50, guarantee_valid_until=to_date(SIGNED))
    )
    foreign = contract.refused("CreatePrepayment", contract.prepayment_request(50, agency_id=str(uuid4())))

    assert (beyond.reason, beyond.metadata["limit"], beyond.metadata["prepaid"]) == (
        "PREPAYMENT_EXCEEDED",
        "IDR 200",
        "IDR 150",
    )
    assert [uncovered.reason, lapsed.reason] == ["GUARANTEE_INSUFFICIENT"] * 2
    assert foreign.code.name == "PERMISSION_DENIED"
    assert minor(contract.terms.prepayment_limit) == 200_00


def test_a_small_business_may_have_more_in_advance_and_a_guarantee_frees_the_retention(unit: Unit):
    contract = Contract(
        unit,
        1_000,
        supplier_class=billing_pb2.SUPPLIER_CLASS_SMALL,
        retention_kind=billing_pb2.RETENTION_KIND_GUARANTEE,
    )

    contract.prepaid(300)
    certified = contract.certified(100)

    assert minor(contract.terms.prepayment_limit) == 300_00
    assert certified.bill.retention_payable_id == ""
    # The advance has not been debited: nothing is recovered yet, the next bill catches up.
    assert owed(certified) == [100]


def test_an_advance_that_the_bank_rejects_leaves_the_contract_as_it_was(unit: Unit):
    contract = Contract(unit, 1_000)
    before = contract.figures()
    advance = contract.prepaid(200)

    order = unit.ordered([advance.payable_id])
    ordered = contract.figures()
    call_as(
        unit.payables.RejectPaymentOrder,
        payables_pb2.RejectPaymentOrderRequest(
            name=order.name,
            bank_reference="NO-1",
            explanation="account closed",
            rejected_on=to_date(date(YEAR, 3, 21)),
            request_id=rid(),
        ),
        unit.token("treasurer"),
    )

    assert (before["O"], ordered["O"], ordered["S"]) == (1_000, 800, 200)
    assert contract.figures() == before
    assert unit.problems() == []
    contract.paid(advance.payable_id)
    assert contract.figures()["V"] == 200


def test_bills_never_pass_the_price(unit: Unit):
    contract = Contract(unit, 1_000)
    contract.certified(700)

    beyond = contract.refused("CreateBill", contract.bill_request(301))
    first, second = contract.billed(200), contract.billed(200)
    call_as(contract.billing.CertifyBill, contract.certification(first), unit.token("budget_user"))
    too_much = contract.refused("CertifyBill", contract.certification(second), by="budget_user")

    assert [beyond.reason, too_much.reason] == ["BILL_EXCEEDS_CONTRACT"] * 2
    assert contract.figures()["O"] == 100


def test_a_bill_is_certified_or_sent_back_by_another_person_once(unit: Unit):
    contract = Contract(unit, 1_000)
    bill = contract.billed(400)
    clerk = unit.persons["invoice_clerk"]

    own = contract.refused("CertifyBill", contract.certification(bill), by="budget_user", person_id=clerk)
    by_clerk = contract.refused("CertifyBill", contract.certification(bill))
    sent_back = call_as(
        contract.billing.RejectBill,
        billing_pb2.RejectBillRequest(name=bill.name, explanation="not measured", request_id=rid()),
        unit.token("budget_user"),
    ).bill
    late = contract.refused("CertifyBill", contract.certification(bill), by="budget_user")
    again = contract.certified(400, bill_number=bill.bill_number)

    assert [own.reason, late.reason] == ["SAME_PERSON", "BILL_OUT_OF_TURN"]
    assert by_clerk.code.name == "PERMISSION_DENIED"
    assert sent_back.status == billing_pb2.BILL_STATUS_REJECTED
    assert again.bill.status == billing_pb2.BILL_STATUS_CERTIFIED


def test_retention_waits_for_the_end_of_maintenance(unit: Unit):
    contract = Contract(unit, 1_000)
    retained = contract.certified(1_000, final=True).bill.retention_payable_id

    early = refused(
        unit.payables.CreatePaymentRequest,
        unit.payment_request([retained], date(YEAR, 9, 29)),
        unit.token("expenditure_treasurer"),
    )
    contract.paid(retained, MAINTAINED)

    assert (early.reason, early.metadata["due_on"]) == ("RETENTION_NOT_DUE", str(MAINTAINED))
    assert contract.figures()["P"] == 50


def test_the_last_bill_frees_what_the_contract_does_not_need(unit: Unit):
    contract = Contract(unit, 1_000)
    contract.paid(contract.prepaid(200).payable_id)

    certified = contract.certified(900, final=True)

    assert minor(certified.bill.lines[0].recovered) == 200_00
    # 1 000 - 200 in advance - 700 owed: 100 of the obligation was not needed.
    assert contract.figures() == {"O": 0, "V": 0, "E": 700, "S": 0, "P": 200, "left": 100}
    assert unit.problems() == []


def test_tax_is_withheld_on_each_payment_of_a_contract(unit: Unit):
    contract = Contract(unit, 11_100_000, tax_rate={"value": "0.11"})

    first = contract.certified(11_100_000, final=True)
    order = unit.ordered([first.bill.payable_id])

    # 95 % of the bill is claimed: 10 545 000, of it VAT 1 045 000; income tax of capital goods is 1.5 % of 9 500 000.
    assert {one.withholding_code: minor(one.amount) // 100 for one in order.withholdings} == {
        "VAT": 1_045_000,
        "PPH22": 142_500,
    }


def test_two_certifiers_at_once_certify_once(unit: Unit):
    contract = Contract(unit, 1_000)
    bill = contract.billed(400)
    tokens = [unit.token("budget_user", person_id=uuid4()) for _ in range(6)]

    def certify(token: str) -> str:
        try:
            return str(call_as(contract.billing.CertifyBill, contract.certification(bill), token).bill.bill_id)
        except grpc.RpcError as failure:
            return refusal(failure).reason

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(certify, tokens))

    assert sorted(answers) == sorted([bill.bill_id, *["BILL_OUT_OF_TURN"] * 5])
    assert contract.figures()["E"] == 400


def test_a_contract_without_funds_has_no_terms(unit: Unit):
    contract = Contract(unit, 1_000)

    unknown = contract.refused("CreateContractTerms", contract.terms_request(contract_id=str(uuid4())))
    twice = contract.refused("CreateContractTerms", contract.terms_request())

    assert [unknown.reason, twice.reason] == ["CONTRACT_NOT_OBLIGATED", "CONTRACT_TERMS_KNOWN"]


def test_a_bill_has_a_number_of_its_own_until_it_is_rejected(unit: Unit):
    contract = Contract(unit, 1_000)
    bill = contract.billed(10, bill_number="MC-1")

    twice = contract.refused("CreateBill", contract.bill_request(20, bill_number="MC-1"))
    reject = billing_pb2.RejectBillRequest(name=bill.name, explanation="counted wrongly", request_id=rid())
    call_as(contract.billing.RejectBill, reject, unit.token("budget_user"))

    assert (twice.reason, twice.metadata["bill_number"]) == ("BILL_KNOWN", "MC-1")
    assert contract.billed(20, bill_number="MC-1").bill_id != bill.bill_id


def test_prepayments_of_a_contract_that_one_does_not_see_are_not_found(unit: Unit):
    contract = Contract(unit, 1_000)
    contract.prepaid(100)
    request = billing_pb2.ListPrepaymentsRequest(contract_id=contract.contract_id)
    stranger = unit.books.token([uuid4()], "finance.invoice_clerk")

    assert len(call_as(contract.billing.ListPrepayments, request, unit.token("invoice_clerk")).prepayments) == 1
    assert refused(contract.billing.ListPrepayments, request, stranger).code is grpc.StatusCode.NOT_FOUND


def test_lists_have_pages_and_filters(unit: Unit):
    contract = Contract(unit, 1_000)
    made = [contract.billed(10).bill_id for _ in range(5)]
    clerk = unit.token("invoice_clerk")

    def listed(**values: Any) -> billing_pb2.ListBillsResponse:
        request = billing_pb2.ListBillsRequest(agency_id=str(unit.agency_id), **values)
        return call_as(contract.billing.ListBills, request, clerk)

    first = listed(page_size=3)
    rest = listed(page_size=3, page_token=first.next_page_token)
    certified = listed(status=billing_pb2.BILL_STATUS_CERTIFIED)

    assert [bill.bill_id for bill in [*first.bills, *rest.bills]] == sorted(made, reverse=True)
    assert (rest.next_page_token, list(certified.bills)) == ("", [])
