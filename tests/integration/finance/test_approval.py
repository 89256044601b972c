"""The approval matrix on PostgreSQL: requests take their route, persons and deputies decide, a clock escalates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import approval_pb2, approval_pb2_grpc, payables_pb2
from kelola.logistics.v1 import catalog_pb2
from services.finance.approval import usecases
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import Unit, a_statement
from tests.integration.finance.purchase import Purchase, transactions
from tests.integration.finance.routing import OFFICER, Routes, under

# An account of its own, so that the government-wide rules of these tests meet no other test's payments.
ACCOUNT = "5.2.02.16"
CHIEF, HEAD = "finance.budget_authority", "finance.accountant"


class Desk:
    """A unit whose payments under one account need approvals, and the people who give them."""

    def __init__(self, books: Books) -> None:
        self.unit = Unit(books)
        self.stub = approval_pb2_grpc.ApprovalServiceStub(books.service.channel)
        self.matrix = Routes.of(self.unit)
        self.payments = self.unit.payables
        (self.line,) = self.unit.lines(50_000_000, account=ACCOUNT)
        self.unit.allotted()

    def token(self, *roles: str, person_id: UUID | None = None) -> str:
        agencies = [self.unit.agency_id, self.unit.treasury.agency_id]
        return self.unit.books.token(agencies, *roles, person_id=person_id or uuid4())

    def rule(self, step_number: int, role: str, amount: int, **values: Any) -> approval_pb2.ApprovalRule:
        return approval_pb2.ApprovalRule(
            **{
                "document_kind": approval_pb2.APPROVAL_DOCUMENT_KIND_PAYMENT_REQUEST,
                "step_number": step_number,
                "display_name": f"Step {step_number}",
                "role": role,
                "amount_from": rupiah(amount),
                "nodes": under(account=ACCOUNT),
                "legal_source": "a made-up regulation of these tests",
                "valid_from": to_date(date(YEAR, 1, 1)),
                **values,
            }
        )

    def ruled(self, *rules: approval_pb2.ApprovalRule) -> list[approval_pb2.ApprovalRule]:
        return list(self.matrix.changed(additions=rules).additions)

    def requested(self, units: int) -> payables_pb2.PaymentRequest:
        """A payment request over `units` hundred thousand, verified."""
        purchase = Purchase(self.unit, self.line, units, 100_000, treatment=catalog_pb2.GOODS_TREATMENT_ASSET).issued()
        purchase.accepted(units)
        payable = purchase.approved(purchase.invoiced(units, 100_000))
        request = self.unit.requested([payable.payable_id])
        call_as(
            self.payments.VerifyPaymentRequest,
            payables_pb2.VerifyPaymentRequestRequest(name=request.name, request_id=rid()),
            self.unit.token("verifier"),
        )
        return request

    def authorisation(self, request: payables_pb2.PaymentRequest) -> payables_pb2.AuthorisePaymentRequestRequest:
        return payables_pb2.AuthorisePaymentRequestRequest(
            name=request.name, request_id=rid(), statement_of_responsibility=a_statement()
        )

    def approval(self, request: payables_pb2.PaymentRequest, **values: Any) -> approval_pb2.ApproveStepRequest:
        return approval_pb2.ApproveStepRequest(name=name_of(request), request_id=rid(), **values)

    def approved(self, request: payables_pb2.PaymentRequest, token: str) -> approval_pb2.Approval:
        return call_as(self.stub.ApproveStep, self.approval(request), token).approval

    def open_for(self, token: str) -> list[str]:
        request = approval_pb2.ListApprovalsRequest(agency_id=str(self.unit.agency_id), open_for_caller=True)
        return [one.approval_id for one in call_as(self.stub.ListApprovals, request, token).approvals]

    def delegation(self, role: str, to_person_id: UUID, **values: Any) -> approval_pb2.CreateApprovalDelegationRequest:
        today = datetime.now(UTC).date()
        return approval_pb2.CreateApprovalDelegationRequest(
            approval_delegation=approval_pb2.ApprovalDelegation(
                **{
                    "agency_id": str(self.unit.agency_id),
                    "role": role,
                    "to_person_id": str(to_person_id),
                    "valid_from": to_date(today - timedelta(days=1)),
                    "valid_until": to_date(today + timedelta(days=7)),
                    "explanation": "leave",
                    **values,
                }
            ),
            request_id=rid(),
        )


def name_of(request: payables_pb2.PaymentRequest) -> str:
    return f"approvals/{request.payment_request_id}"


@pytest.fixture
def desk(books: Books) -> Desk:
    made = Desk(books)
    made.ruled(
        made.rule(1, CHIEF, 1_000_000, deadline_days=2, escalation_role=HEAD),
        made.rule(2, HEAD, 2_000_000),
    )
    return made


def test_a_large_payment_is_authorised_only_after_its_route(desk: Desk):
    small, large = desk.requested(9), desk.requested(20)
    budget_user = desk.unit.token("budget_user")

    call_as(desk.payments.AuthorisePaymentRequest, desk.authorisation(small), budget_user)
    early = refused(desk.payments.AuthorisePaymentRequest, desk.authorisation(large), budget_user)
    desk.approved(large, desk.token(CHIEF))
    still = refused(desk.payments.AuthorisePaymentRequest, desk.authorisation(large), budget_user)
    route = desk.approved(large, desk.token(HEAD))
    call_as(desk.payments.AuthorisePaymentRequest, desk.authorisation(large), budget_user)

    assert early.reason == still.reason == "APPROVAL_ROUTE_OPEN"
    assert "Step 1: finance.budget_authority since" in early.message
    assert "Step 2" in still.metadata["open_steps"]
    assert route.status == approval_pb2.APPROVAL_STATUS_APPROVED
    assert [step.decisions[0].act for step in route.steps] == [approval_pb2.APPROVAL_ACT_APPROVE] * 2


def test_the_same_rules_again_change_nothing_and_an_ended_rule_is_not_taken_but_by_papers_dated_back(desk: Desk):
    large, since = 10_000_000, to_date(date(2022, 1, 1))
    again = desk.ruled(desk.rule(2, HEAD, 2_000_000))
    over, long = desk.ruled(
        desk.rule(3, HEAD, large, valid_from=since, valid_to=to_date(date(YEAR, 1, 1))),
        desk.rule(4, HEAD, large, valid_from=since),
    )
    # Ended for good today, whatever earlier day was asked: the paper of March escapes it no more than one of March did.
    ended = desk.matrix.changed(**desk.matrix.ending(long, date(YEAR, 1, 1)))

    request = desk.requested(100)
    route = call_as(desk.stub.GetApproval, approval_pb2.GetApprovalRequest(name=name_of(request)), desk.token(HEAD))

    assert again == desk.ruled(desk.rule(2, HEAD, 2_000_000)), "the rule that was there"
    assert over.valid_to == to_date(date(YEAR, 1, 1))
    assert ended.endings[0].valid_to == to_date(datetime.now(UTC).date())
    assert [step.step_number for step in route.steps] == [1, 2, 4]
    assert route.steps[0].status == approval_pb2.APPROVAL_STEP_STATUS_OPEN


def test_nobody_decides_on_what_he_touched_before(desk: Desk):
    request, persons = desk.requested(20), desk.unit.persons
    requester = desk.token(CHIEF, person_id=persons["expenditure_treasurer"])
    verifier = desk.token(CHIEF, person_id=persons["verifier"])
    approver = uuid4()

    by_requester = refused(desk.stub.ApproveStep, desk.approval(request), requester)
    by_verifier = refused(desk.stub.ApproveStep, desk.approval(request), verifier)
    desk.approved(request, desk.token(CHIEF, person_id=approver))
    twice = refused(desk.stub.ApproveStep, desk.approval(request), desk.token(HEAD, person_id=approver))
    desk.approved(request, desk.token(HEAD))
    authoriser = refused(
        desk.payments.AuthorisePaymentRequest,
        desk.authorisation(request),
        desk.token("finance.budget_user", person_id=approver),
    )

    assert {one.reason for one in (by_requester, by_verifier, twice, authoriser)} == {"SAME_PERSON"}


def test_a_role_that_is_not_asked_and_another_agency_decide_nothing(desk: Desk):
    request = desk.requested(20)

    not_asked = refused(desk.stub.ApproveStep, desk.approval(request), desk.token(HEAD))
    stranger = desk.unit.books.token([uuid4()], CHIEF, person_id=uuid4())
    elsewhere = refused(desk.stub.ApproveStep, desk.approval(request), stranger)

    assert not_asked.reason == "APPROVAL_ROLE_NOT_HELD"
    assert elsewhere.code is grpc.StatusCode.NOT_FOUND


def test_a_deputy_decides_while_the_delegation_holds(desk: Desk):
    chief, deputy = uuid4(), uuid4()
    first, second = desk.requested(10), desk.requested(11)
    as_deputy = desk.token("finance.invoice_clerk", person_id=deputy)

    not_own = refused(
        desk.stub.CreateApprovalDelegation, desk.delegation(CHIEF, deputy), desk.token(HEAD, person_id=chief)
    )
    before = refused(desk.stub.ApproveStep, desk.approval(first), as_deputy)
    made = call_as(
        desk.stub.CreateApprovalDelegation, desk.delegation(CHIEF, deputy), desk.token(CHIEF, person_id=chief)
    )
    waiting = desk.open_for(as_deputy)
    route = desk.approved(first, as_deputy)
    ended = approval_pb2.EndApprovalDelegationRequest(name=made.name, request_id=rid())
    call_as(desk.stub.EndApprovalDelegation, ended, desk.token(CHIEF, person_id=chief))
    after = refused(desk.stub.ApproveStep, desk.approval(second), as_deputy)

    assert not_own.reason == "DELEGATION_NOT_YOURS"
    assert before.reason == after.reason == "APPROVAL_ROLE_NOT_HELD"
    assert sorted(waiting) == sorted([first.payment_request_id, second.payment_request_id])
    assert route.steps[0].decisions[0].on_behalf_of_person_id == str(chief)
    assert desk.open_for(as_deputy) == []


def test_a_request_that_is_dated_back_escapes_no_rule(desk: Desk):
    today = datetime.now(UTC).date()
    desk.ruled(desk.rule(3, HEAD, 5_000_000, valid_from=to_date(today), display_name="New rule"))

    request = desk.requested(50)
    route = call_as(desk.stub.GetApproval, approval_pb2.GetApprovalRequest(name=name_of(request)), desk.token(HEAD))

    assert request.requested_on == to_date(date(YEAR, 3, 20))
    assert [step.display_name for step in route.steps] == ["Step 1", "Step 2", "New rule"]


def test_a_rejected_request_goes_no_further(desk: Desk):
    request = desk.requested(20)
    reject = approval_pb2.RejectStepRequest(name=name_of(request), explanation="too early", request_id=rid())

    call_as(desk.stub.RejectStep, reject, desk.token(CHIEF))
    authorised = refused(
        desk.payments.AuthorisePaymentRequest, desk.authorisation(request), desk.unit.token("budget_user")
    )
    late = refused(desk.stub.ApproveStep, desk.approval(request), desk.token(CHIEF))

    assert (authorised.reason, authorised.metadata["status"]) == ("APPROVAL_ROUTE_ENDED", "REJECTED")
    assert late.reason == "APPROVAL_OUT_OF_TURN"


def test_a_withdrawn_request_is_recalled(desk: Desk):
    request = desk.requested(20)
    withdraw = payables_pb2.WithdrawPaymentRequestRequest(name=request.name, explanation="wrong", request_id=rid())

    call_as(desk.payments.WithdrawPaymentRequest, withdraw, desk.unit.token("expenditure_treasurer"))
    route = call_as(desk.stub.GetApproval, approval_pb2.GetApprovalRequest(name=name_of(request)), desk.token(HEAD))

    assert route.status == approval_pb2.APPROVAL_STATUS_RECALLED


def test_an_overdue_step_passes_to_the_escalation_role_once(desk: Desk):
    request = desk.requested(10)
    now = datetime.now(UTC)
    database = transactions(desk.unit)

    usecases.escalate_overdue(database, now=now + timedelta(days=1, hours=23))
    early = desk.open_for(desk.token(HEAD))
    usecases.escalate_overdue(database, now=now + timedelta(days=2, minutes=1))
    usecases.escalate_overdue(database, now=now + timedelta(days=3))
    late = desk.open_for(desk.token(HEAD))
    route = desk.approved(request, desk.token(HEAD))

    assert (early, late) == ([], [request.payment_request_id])
    assert [one.act for one in route.steps[0].decisions] == [
        approval_pb2.APPROVAL_ACT_ESCALATE,
        approval_pb2.APPROVAL_ACT_APPROVE,
    ]


def test_two_approvals_at_once_count_once_each(desk: Desk):
    request = desk.requested(10)
    tokens = [desk.token(CHIEF) for _ in range(6)]

    def approve(token: str) -> str:
        try:
            call_as(desk.stub.ApproveStep, desk.approval(request), token)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "approved"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(approve, tokens))

    assert sorted(answers) == ["APPROVAL_OUT_OF_TURN"] * 5 + ["approved"]


@pytest.mark.parametrize(
    ("field", "values"),
    [("amount_from", {"amount_from": rupiah(-1)}), ("valid_to", {"valid_to": to_date(date(YEAR, 1, 1))})],
)
def test_a_rule_that_could_never_be_met_is_refused(desk: Desk, field: str, values: dict[str, Any]):
    request = desk.matrix.changing(additions=[desk.rule(1, CHIEF, 0, **values)])

    why = refused(desk.matrix.rules.CreateApprovalRuleChange, request, desk.token(OFFICER))

    assert (why.code, f"additions[0].{field}" in why.message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
