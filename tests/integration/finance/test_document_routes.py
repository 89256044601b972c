"""Every kind of document takes the route that the matrix asks for, on PostgreSQL, and none gets past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.type import decimal_pb2, money_pb2

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    approval_pb2,
    budget_change_pb2,
    budget_years_pb2,
    exchange_rate_pb2,
    exchange_rate_pb2_grpc,
    payables_pb2,
    treasury_pb2,
    treasury_pb2_grpc,
)
from services.finance.approval import usecases
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.changing import Changing
from tests.integration.finance.funds import Unit, new_line
from tests.integration.finance.purchase import transactions
from tests.integration.finance.routed import (
    CASES,
    INSURANCE,
    OBJECT,
    OFFICE,
    SAFETY,
    Case,
    bill,
    bought,
    invoice,
    payment_run,
    supplementary,
    virement,
    voucher,
)
from tests.integration.finance.routing import HEAD, Routes, under
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.test_document_status import problems


@pytest.fixture
def routes(books: Books) -> Routes:
    return Routes.of(Unit(books))


@pytest.fixture
def ruled(routes: Routes) -> Iterator[Callable[..., None]]:
    """Adds rules that end with the test."""
    added: list[approval_pb2.ApprovalRule] = []

    def add(document_kind: str, role: str = HEAD, **values: Any) -> None:
        added.append(routes.rule(document_kind, role, **values))

    yield add
    if added:
        routes.ended(*added)


def step_token(case: Case, person_id: UUID | None = None, role: str = HEAD) -> str:
    return case.books.token(case.agencies, role, person_id=person_id or uuid4())


@pytest.mark.parametrize(("document_kind", "build", "prefix"), CASES, ids=[one[0] for one in CASES])
def test_a_document_is_put_in_force_only_after_its_route_and_by_others_than_its_approvers(
    routes: Routes,
    ruled: Callable[..., None],
    books: Books,
    document_kind: str,
    build: Callable[[Books], Case],
    prefix: str,
):
    ruled(document_kind, nodes=under(account=prefix))
    one = build(books)
    step, approver = routes.step(one.document_id), uuid4()

    early = one.refused()
    by_maker = refused(routes.approvals.ApproveStep, step, step_token(one, one.maker_id))
    call_as(routes.approvals.ApproveStep, routes.step(one.document_id), step_token(one, approver))
    twice = one.refused(approver)
    own = one.refused(one.maker_id)
    one.act()

    assert early.reason == "APPROVAL_ROUTE_OPEN"
    assert f"Step: {HEAD} since" in early.message
    assert by_maker.reason == "SAME_PERSON"
    # A purchase is paid by the holder of the imprest, and by nobody else whoever he is.
    wanted = "NOT_THE_IMPREST_HOLDER" if document_kind == "IMPREST_VOUCHER" else "SAME_PERSON"
    assert (twice.reason, own.reason) == (wanted, wanted)


@pytest.mark.parametrize(("document_kind", "build", "prefix"), CASES[:4], ids=[one[0] for one in CASES[:4]])
def test_without_a_rule_that_matches_the_two_fixed_persons_hold(
    routes: Routes,
    ruled: Callable[..., None],
    books: Books,
    document_kind: str,
    build: Callable[[Books], Case],
    prefix: str,
):
    ruled(document_kind, nodes=under(account=prefix), amount_from=rupiah(11))
    one = build(books)

    route = refused(routes.approvals.GetApproval, _get(one.document_id), step_token(one))
    own = one.refused(one.maker_id)
    one.act()

    assert route.code is grpc.StatusCode.NOT_FOUND
    assert own.reason == "SAME_PERSON"


def _get(document_id: str) -> approval_pb2.GetApprovalRequest:
    return approval_pb2.GetApprovalRequest(name=f"approvals/{document_id}")


def test_a_rule_that_comes_later_neither_frees_a_document_nor_asks_it(ruled: Callable[..., None], books: Books):
    one = supplementary(books)
    ruled("SUPPLEMENTARY_BUDGET", nodes=under(account=OBJECT))

    own = one.refused(one.maker_id)
    one.act()

    assert own.reason == "SAME_PERSON"


def test_a_document_whose_route_was_rejected_can_only_be_taken_back(
    routes: Routes, ruled: Callable[..., None], books: Books
):
    ruled("VIREMENT", nodes=under(account=OBJECT))
    unit = Changing(books)
    giving, receiving = unit.lines_of((OFFICE, 1_000), (INSURANCE, 500))
    change = unit.proposed(unit.transfer(giving, receiving, 10))
    here = Routes.of(unit)

    here.rejected(change.budget_change_id, here.token(HEAD))
    why = unit.not_approved(change)
    status = here.status(change.budget_change_id)
    recall = budget_change_pb2.RecallBudgetChangeRequest(name=change.name, reason="as advised", request_id=rid())
    call_as(unit.changes.RecallBudgetChange, recall, unit.token("budget_officer"))

    assert (why.reason, why.metadata["status"]) == ("APPROVAL_ROUTE_ENDED", "REJECTED")
    assert {one.display_name for one in status.holders} == {"RejectBudgetChange", "RecallBudgetChange"}
    assert here.route(change.budget_change_id).status == approval_pb2.APPROVAL_STATUS_REJECTED
    assert here.status(change.budget_change_id).holders == []


def test_a_recalled_document_takes_its_route_with_it(ruled: Callable[..., None], books: Books):
    ruled("VIREMENT", nodes=under(account=OBJECT))
    unit = Changing(books)
    giving, receiving = unit.lines_of((OFFICE, 1_000), (INSURANCE, 500))
    change = unit.proposed(unit.transfer(giving, receiving, 10))
    here = Routes.of(unit)

    recall = budget_change_pb2.RecallBudgetChangeRequest(name=change.name, reason="wrong", request_id=rid())
    call_as(unit.changes.RecallBudgetChange, recall, unit.token("budget_officer"))
    late = here.not_approved(change.budget_change_id, here.token(HEAD))

    assert here.route(change.budget_change_id).status == approval_pb2.APPROVAL_STATUS_RECALLED
    assert late.reason == "APPROVAL_OUT_OF_TURN"


def test_an_override_of_a_node_takes_the_rules_of_the_lines_below_it(ruled: Callable[..., None], books: Books):
    ruled("BUDGET_OVERRIDE", nodes=under(account=OBJECT))
    unit = Changing(books)
    officer = unit.token("budget_officer")
    top = call_as(unit.budget.ImportAppropriation, unit.import_request([new_line(0, line_no=9)]), officer)
    node = top.budget_line_ids[0]
    below = unit.import_request(
        [new_line(60, account=OFFICE, parent_budget_line_id=node)],
        appropriation_id=top.appropriation.appropriation_id,
    )
    unit.activated(call_as(unit.budget.ImportAppropriation, below, officer).appropriation)

    made = call_as(unit.overrides.CreateBudgetOverride, unit.override((node, 10)), officer)

    assert len(Routes.of(unit).route(made.budget_override_id).steps) == 1


def test_what_is_split_off_an_invoice_takes_the_route_of_the_whole(ruled: Callable[..., None], books: Books):
    ruled("INVOICE", nodes=under(account=SAFETY), amount_from=rupiah(500_000))
    purchase, whole = bought(books, units=4)
    unit, here = purchase.unit, Routes.of(purchase.unit)
    request = payables_pb2.SplitInvoiceRequest(name=whole.name, explanation="six are missing", request_id=rid())

    part = call_as(unit.payables.SplitInvoice, request, unit.token("budget_user")).matched
    early = refused(unit.payables.ApproveInvoice, purchase.approval(part), unit.token("budget_user"))
    route = here.approved(part.invoice_id, here.token(HEAD))
    purchase.approved(part)

    assert early.reason == "APPROVAL_ROUTE_OPEN"
    assert route.amount.units == 500_000


def test_a_foreign_amount_counts_in_the_currency_of_the_books(ruled: Callable[..., None], books: Books):
    ruled("MULTI_YEAR_AUTHORISATION", nodes=under(account=OBJECT), amount_from=rupiah(1_500_000))
    unit = Building(books)
    (line,) = unit.lines_of((OFFICE, 9_000_000))
    rates = exchange_rate_pb2_grpc.ExchangeRateServiceStub(books.service.channel)
    rate = exchange_rate_pb2.ExchangeRate(
        currency="SGD",
        functional_currency="IDR",
        rated_on=to_date(datetime.now(UTC).date()),
        kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
        rate=decimal_pb2.Decimal(value="16000"),
        source="a made-up bank",
    )
    request = exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=[rate], request_id=rid())
    call_as(rates.BatchCreateExchangeRates, request, unit.agency.accountant)

    def dollars(amount: int) -> str:
        price, dollar = (money_pb2.Money(currency_code="SGD", units=units) for units in (amount, 1))
        slices = [
            budget_years_pb2.MultiYearSlice(fiscal_year=YEAR + n, amount=part, budget_line_id="" if n else line)
            for n, part in enumerate([money_pb2.Money(currency_code="SGD", units=amount - 1), dollar])
        ]
        request = unit.contract(line, 1, 1, ceiling=price, price=price, slices=slices)
        made = call_as(unit.years.CreateMultiYearAuthorisation, request, unit.token("budget_officer"))
        return str(made.multi_year_authorisation_id)

    small, large = dollars(93), dollars(94)
    here = Routes.of(unit)

    missing = refused(here.approvals.GetApproval, _get(small), here.token(HEAD))
    assert missing.code is grpc.StatusCode.NOT_FOUND
    assert here.route(large).amount.units == 94 * 16_000


def test_the_holder_of_an_imprest_approves_no_route_of_his_own_purchases(ruled: Callable[..., None], books: Books):
    ruled("IMPREST_VOUCHER", nodes=under(account=OBJECT))
    one = voucher(books)
    here = Routes(books, one.agencies)

    why = refused(here.approvals.ApproveStep, here.step(one.document_id), step_token(one, one.approver_id))

    assert why.reason == "SAME_PERSON"


def test_who_decided_on_the_route_of_an_invoice_releases_no_hold_of_it(ruled: Callable[..., None], books: Books):
    ruled("INVOICE", nodes=under(account=SAFETY))
    purchase, first = bought(books, units=4)
    unit, person = purchase.unit, uuid4()
    here = Routes.of(unit)
    twin = purchase.invoiced(2, 50_000, number=first.supplier_invoice_number.lower())
    here.approved(twin.invoice_id, here.token(HEAD, person_id=person))

    def release(person_id: UUID | None = None) -> tuple[Any, payables_pb2.ReleaseInvoiceHoldRequest, str]:
        request = payables_pb2.ReleaseInvoiceHoldRequest(name=twin.name, explanation="two alike", request_id=rid())
        return unit.payables.ReleaseInvoiceHold, request, unit.token("budget_user", person_id=person_id)

    why = refused(*release(person))
    call_as(*release())

    assert why.reason == "SAME_PERSON"


def test_who_decided_on_the_route_of_a_run_may_bring_its_file_to_the_bank(ruled: Callable[..., None], books: Books):
    """What follows once a document is in force is no separated step: verify (D2) finds nothing in it."""
    ruled("PAYMENT_RUN", "finance.treasurer")
    one = payment_run(books)
    here, person = Routes(books, one.agencies), uuid4()
    as_treasurer = step_token(one, person, "finance.treasurer")
    here.approved(one.document_id, as_treasurer)
    one.act()
    bank = treasury_pb2_grpc.TreasuryServiceStub(books.service.channel)
    request = treasury_pb2.ExportPaymentRunRequest(
        name=f"paymentRuns/{one.document_id}",
        file_format=treasury_pb2.PAYMENT_FILE_FORMAT_PAIN_001_001_09,
        request_id=rid(),
    )

    call_as(bank.ExportPaymentRun, request, as_treasurer)

    assert problems(books, one.document_id) == []


# --- who left, and who was faster -------------------------------------------------------------------------------------


def test_a_step_of_an_approver_who_left_goes_to_the_deputy(routes: Routes, ruled: Callable[..., None], books: Books):
    ruled("VIREMENT", "finance.verifier", nodes=under(account=OBJECT))
    one = virement(books)
    here = Routes(books, one.agencies)
    gone, deputy = uuid4(), uuid4()
    here.delegated("finance.verifier", gone, deputy)
    as_deputy = step_token(one, deputy, "finance.invoice_clerk")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    old = books.keys.token(
        gone, grants=[("finance.verifier", one.agencies)], audience="finance", lifetime_seconds=300, now=yesterday
    )

    with_old_token = here.not_approved(one.document_id, old)
    with_what_is_left = here.not_approved(one.document_id, step_token(one, gone, "finance.invoice_clerk"))
    status = here.status(one.document_id)
    waiting = here.desk(as_deputy)
    route = here.approved(one.document_id, as_deputy)

    assert (with_old_token.code, with_old_token.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert with_what_is_left.reason == "APPROVAL_ROLE_NOT_HELD"
    assert list(status.holders[0].deputy_person_ids) == [str(deputy)]
    assert one.document_id in waiting
    assert route.steps[0].decisions[0].on_behalf_of_person_id == str(gone)


def test_a_step_of_an_approver_who_left_without_a_deputy_goes_to_the_escalation_role(
    ruled: Callable[..., None], books: Books
):
    ruled("VIREMENT", "finance.verifier", nodes=under(account=OBJECT), deadline_days=2, escalation_role=HEAD)
    one = virement(books)
    here = Routes(books, one.agencies)
    now = datetime.now(UTC)

    before = here.not_approved(one.document_id, step_token(one))
    usecases.escalate_overdue(transactions(Unit(books)), now=now + timedelta(days=2, minutes=1))
    status = here.status(one.document_id)
    route = here.approved(one.document_id, step_token(one))

    assert before.reason == "APPROVAL_ROLE_NOT_HELD"
    assert list(status.holders[0].roles) == ["finance.verifier", HEAD]
    assert route.status == approval_pb2.APPROVAL_STATUS_APPROVED
    assert [act.act for act in here.history(one.document_id).document_acts] == [
        "CreateBudgetChange",
        "EscalateStep",
        "ApproveStep",
    ]


@pytest.mark.parametrize("build", [virement, invoice, bill])
def test_of_approvals_at_once_one_wins_and_the_others_are_told(build: Callable[[Books], Case], books: Books):
    one = build(books)

    def approve(person_id: UUID) -> str:
        try:
            one.act(person_id)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "approved"

    with ThreadPoolExecutor(5) as pool:
        answers = sorted(pool.map(approve, [uuid4() for _ in range(5)]))

    assert answers.count("approved") == 1
    assert len(set(answers)) == 2
    assert {answer for answer in answers if answer != "approved"} <= {
        "BUDGET_CHANGE_NOT_PROPOSED",
        "OUT_OF_TURN",
        "BILL_OUT_OF_TURN",
    }


def test_one_person_does_not_take_two_parts_at_once(routes: Routes, ruled: Callable[..., None], books: Books):
    """He approves the last step and puts the document in force in the same instant: one of the two is refused."""
    ruled("VIREMENT", "finance.budget_authority", nodes=under(account=OBJECT))
    for _ in range(6):
        one = virement(books)
        here = Routes(books, one.agencies)
        person = uuid4()
        token = step_token(one, person, "finance.budget_authority")

        def step(token: str = token, one: Case = one, here: Routes = here) -> str:
            try:
                here.approved(one.document_id, token)
            except grpc.RpcError as failure:
                return refusal(failure).reason
            return "approved"

        def act(person: UUID = person, one: Case = one) -> str:
            try:
                one.act(person)
            except grpc.RpcError as failure:
                return refusal(failure).reason
            return "in force"

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(step), pool.submit(act)
            answers = {first.result(), second.result()}

        assert answers in ({"approved", "APPROVAL_ROUTE_OPEN"}, {"approved", "SAME_PERSON"}), answers
