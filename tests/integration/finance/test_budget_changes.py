"""Supplementary budgets, virement and freezes on PostgreSQL over gRPC: two persons, every limit, and 16 writers."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from cli.load.virement import virement_rules
from kelola.finance.v1 import account_pb2, budget_change_pb2, budget_events_pb2, budget_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.changing import (
    CLOTHING,
    CONTINGENCY,
    FREEZE,
    MATERIALS,
    PRINTING,
    SECRETARY,
    SUPPLEMENTARY,
    SUPPLIES,
    TRAVEL,
    UNFREEZE,
    VIREMENT,
    WORKWEAR,
    Changing,
    changed,
    moved,
)
from tests.integration.finance.funds import UNIT, an_item, new_line

BUDGET_BASIS = account_pb2.BASIS_BUDGET


@pytest.fixture
def unit(books: Books) -> Changing:
    return Changing(books)


def events(unit: Changing, change: budget_change_pb2.BudgetChange) -> list[tuple[str, int]]:
    """Type and sequence of what was published of a change, in order."""
    with psycopg.connect(unit.books.superuser_url) as connection:
        rows = connection.execute(
            "select type, sequence from outbox where key = %s order by id", (change.budget_change_id,)
        ).fetchall()
    return [(kind.rpartition(".")[2], sequence) for kind, sequence in rows]


# --- supplementary budgets -------------------------------------------------------------------------------------


def test_a_supplementary_budget_changes_lines_brings_a_new_one_and_posts_the_difference(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    new = budget_change_pb2.NewBudgetLine(fund_code="UMUM", organisation_code=UNIT, account_code=PRINTING, line_no=1)
    added = budget_change_pb2.BudgetChangeLine(new_line=new, amount=rupiah(300))
    before = unit.agency.balances(basis=BUDGET_BASIS)

    proposed = unit.proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, 200), changed(b, -150), added]))
    assert unit.authority(a) == (1_000, 1_000, 0, 1_000)
    in_force = unit.approved(proposed)

    new_id = in_force.lines[2].budget_line_id
    assert unit.authority(a) == (1_000, 1_200, 0, 1_200)
    assert unit.authority(b) == (500, 350, 0, 350)
    assert unit.authority(new_id) == (0, 300, 0, 300)
    assert (minor(in_force.increase), minor(in_force.decrease)) == (500_00, 150_00)
    after = unit.agency.balances(basis=BUDGET_BASIS)
    assert {code: after[code] - before[code] for code in after} == {"3.1.02.05": 350_00, "3.1.02.03": -350_00}
    (movement, _) = unit.movements(b)
    assert movement.kind == budget_pb2.FUNDS_MOVEMENT_KIND_APPROPRIATE
    assert minor(movement.authority_change) == -150_00
    assert movement.document.document_id == in_force.budget_change_id
    assert events(unit, in_force) == [("BudgetChangeProposed", 1), ("AppropriationChanged", 2)]
    unit.did("ReserveFunds", [an_item(new_id, 300)])
    assert unit.problems() == []


def test_a_cut_below_what_is_used_is_refused_with_the_biggest_users_at_both_steps(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    unit.did("ReserveFunds", [an_item(a, 600)])
    proposed = unit.proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, -400)]))

    unit.did("ReserveFunds", [an_item(a, 1)])
    at_proposal = unit.not_proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, -400)]))
    at_approval = unit.not_approved(proposed)

    for short in (at_proposal, at_approval):
        assert short.reason == "BUDGET_EXCEEDED"
        assert [short.metadata[name] for name in ("asked", "available", "short_by")] == ["400", "399", "1"]
        assert "REQUISITION" in short.metadata["biggest_users"]
    assert unit.authority(a) == (1_000, 1_000, 0, 399)
    assert unit.problems() == []


def test_a_cut_withdraws_releases_above_the_new_budget_but_not_what_was_requested(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    unit.allotted("0.5", (1, 3))
    unit.allotted("1", (4, 6))

    unit.done(unit.change(SUPPLEMENTARY, lines=[changed(a, -200)]))

    assert unit.released(a) == 800
    assert unit.agency.row(
        "select month_from, amount_minor from allotment where budget_line_id = %s and amount_minor < 0", a
    ) == (4, -200_00)
    assert unit.problems() == []


def test_a_supplementary_budget_names_its_law(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))

    assert (
        unit.not_proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, 1)], legal_reference="")).reason
        == "BUDGET_CHANGE_INVALID"
    )


def test_a_new_line_has_segments_of_its_own_and_an_account_of_the_chart(unit: Changing):
    unit.lines_of((SUPPLIES, 1_000))

    def refused_line(**values) -> str:
        new = budget_change_pb2.NewBudgetLine(
            **{"fund_code": "UMUM", "organisation_code": UNIT, "account_code": SUPPLIES, "line_no": 1, **values}
        )
        line = budget_change_pb2.BudgetChangeLine(new_line=new, amount=rupiah(1))
        return unit.not_proposed(unit.change(SUPPLEMENTARY, lines=[line])).reason

    assert refused_line() == "BUDGET_LINE_EXISTS"
    assert refused_line(account_code="8.1.02.01", line_no=2) == "ACCOUNT_UNKNOWN"
    assert refused_line(uncontrolled=True, line_no=2) == "PARENT_INVALID"


def test_the_line_of_another_agency_is_unknown_to_a_change(unit: Changing, books: Books):
    (foreign,) = Changing(books).lines(1_000)

    assert unit.not_proposed(unit.change(SUPPLEMENTARY, lines=[changed(foreign, 1)])).reason == "BUDGET_LINE_UNKNOWN"


# --- virement --------------------------------------------------------------------------------------------------


def test_f7_a_virement_moves_both_legs_at_once_and_posts_nothing(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    before = unit.agency.balances(basis=BUDGET_BASIS)

    in_force = unit.done(unit.transfer(a, b, 250))

    assert unit.authority(a) == (1_000, 750, 0, 750)
    assert unit.authority(b) == (500, 750, 0, 750)
    assert [minor(unit.movements(line)[0].authority_change) for line in (a, b)] == [-250_00, 250_00]
    assert in_force.journal_entry_id == ""
    assert unit.agency.balances(basis=BUDGET_BASIS) == before
    assert in_force.transfers[0].virement_rule_id != ""
    assert unit.problems() == []


def test_n08_over_grpc_what_comes_in_does_not_help_what_goes_out(unit: Changing):
    rule = virement_rules()[1]
    rule.code, rule.from_prefix, rule.legal_source = "N08-TENTH", CLOTHING, "a test's own law"
    rule.share_max.value = "0.1"
    request = budget_change_pb2.BatchCreateVirementRulesRequest(virement_rules=[rule], request_id=rid())
    call_as(unit.changes.BatchCreateVirementRules, request, unit.books.token([unit.agency_id]))
    giving, other = unit.lines_of((CLOTHING, 1_000), (SUPPLIES, 1_000))

    unit.done(unit.transfer(giving, other, 60))
    unit.done(unit.transfer(other, giving, 30))
    refused_ = unit.not_proposed(unit.transfer(giving, other, 50))
    unit.done(unit.transfer(giving, other, 40))

    assert refused_.reason == "VIREMENT_SHARE_EXCEEDED"
    assert (refused_.metadata["virement_out"], refused_.metadata["virement_rule"]) == ("IDR 60", "N08-TENTH")
    assert refused_.metadata["moved_by"].endswith(" IDR 60")
    assert unit.authority(giving) == (1_000, 930, 0, 930)
    assert unit.problems() == []


def test_n08_two_proposals_that_fit_alone_do_not_pass_together(unit: Changing):
    rule = virement_rules()[1]
    rule.code, rule.from_prefix, rule.legal_source = "N08-WORKWEAR", WORKWEAR, "a test's own law"
    rule.share_max.value = "0.1"
    request = budget_change_pb2.BatchCreateVirementRulesRequest(virement_rules=[rule], request_id=rid())
    call_as(unit.changes.BatchCreateVirementRules, request, unit.books.token([unit.agency_id]))
    giving, other = unit.lines_of((WORKWEAR, 1_000), (SUPPLIES, 1_000))
    first, second = (unit.proposed(unit.transfer(giving, other, 60)) for _ in range(2))

    unit.approved(first)

    assert unit.not_approved(second).reason == "VIREMENT_SHARE_EXCEEDED"
    assert unit.authority(giving)[1] == 940


@pytest.mark.parametrize(
    ("accounts", "role"),
    [
        ((SUPPLIES, SUPPLIES), "finance.budget_user"),
        ((SUPPLIES, MATERIALS), "finance.budget_authority"),
        ((SUPPLIES, TRAVEL), SECRETARY),
    ],
)
def test_the_approver_is_the_role_that_the_rule_of_the_level_names(unit: Changing, accounts, role):
    a, b = unit.lines_of(*((account, 1_000) for account in accounts))
    proposed = unit.proposed(unit.transfer(a, b, 10))
    others = {"finance.budget_user", "finance.budget_authority", SECRETARY} - {role}

    denied = [unit.not_approved(proposed, unit.as_role(other)) for other in sorted(others)]
    unit.approved(proposed, unit.as_role(role))

    assert {one.code for one in denied} == {grpc.StatusCode.PERMISSION_DENIED}
    assert {one.metadata["role"] for one in denied} == {role}
    assert unit.authority(b)[1] == 1_010


def test_between_types_or_units_no_rule_allows_a_virement(unit: Changing):
    a, salary = unit.lines_of((SUPPLIES, 1_000), ("5.1.01.01.01", 1_000))
    (elsewhere,) = unit.lines_of((MATERIALS, 1_000), organisation_code="1.03.01")

    refusals = [unit.not_proposed(unit.transfer(a, to_id, 1)) for to_id in (salary, elsewhere)]

    assert {one.reason for one in refusals} == {"VIREMENT_NOT_ALLOWED"}
    assert [one.metadata["differing_segments"] for one in refusals] == ["ACCOUNT", "ORGANISATION,ACCOUNT"]


def test_contingency_goes_to_the_unit_that_needs_it_and_never_comes_back(unit: Changing):
    (supplies,) = unit.lines_of((SUPPLIES, 100), organisation_code="1.03.01")
    (contingency,) = unit.lines_of((CONTINGENCY, 1_000))

    back = unit.not_proposed(unit.transfer(supplies, contingency, 1))
    unit.done(unit.transfer(contingency, supplies, 300), unit.as_role(SECRETARY))
    short = unit.not_proposed(unit.transfer(contingency, supplies, 701))

    assert (back.reason, short.reason) == ("VIREMENT_NOT_ALLOWED", "AUTHORITY_BELOW_ZERO")
    assert unit.authority(contingency) == (1_000, 700, 0, 700)
    assert unit.authority(supplies) == (100, 400, 0, 400)
    assert unit.problems() == []


def test_a_virement_needs_what_is_available_after_what_is_frozen(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    unit.did("ReserveFunds", [an_item(a, 300)])
    unit.done(unit.change(FREEZE, lines=[changed(a, 400)]))

    short = unit.not_proposed(unit.transfer(a, b, 301))
    unit.done(unit.transfer(a, b, 300))

    assert short.reason == "BUDGET_EXCEEDED"
    assert (short.metadata["available"], short.metadata["frozen"]) == ("300", "400")
    assert unit.authority(a) == (1_000, 700, 400, 0)
    assert unit.problems() == []


def test_the_release_moves_with_the_money_when_the_giving_line_would_stay_released_above_its_budget(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    unit.allotted("0.9", (1, 3))

    unit.done(unit.transfer(a, b, 250))

    # 900 were released of a; 750 is its budget now: 150 go along, and b has its own 450 beside.
    assert (unit.released(a), unit.released(b)) == (750, 600)
    assert unit.problems() == []


def test_a_node_above_two_lines_stays_where_it_was(unit: Changing):
    parent = call_as(
        unit.budget.ImportAppropriation, unit.import_request([new_line(0, line_no=9)]), unit.token("budget_officer")
    )
    node = parent.budget_line_ids[0]
    children = call_as(
        unit.budget.ImportAppropriation,
        unit.import_request(
            [
                new_line(60, parent_budget_line_id=node, uncontrolled=True, account=SUPPLIES),
                new_line(40, parent_budget_line_id=node, uncontrolled=True, account=MATERIALS),
            ],
            appropriation_id=parent.appropriation.appropriation_id,
        ),
        unit.token("budget_officer"),
    )
    unit.activated(children.appropriation)
    a, b = children.budget_line_ids
    unit.did("ReserveFunds", [an_item(b, 60)])  # b has only 40; its node has 100

    short = unit.not_proposed(unit.transfer(b, a, 1))
    unit.done(unit.transfer(a, b, 25))
    unit.done(unit.change(FREEZE, lines=[changed(a, 35)]))

    assert short.metadata["budget_line_id"] == b
    assert unit.authority(node) == (100, 100, 35, 5)
    assert unit.problems() == []


# --- freezes ---------------------------------------------------------------------------------------------------


def test_what_is_frozen_cannot_be_reserved_and_nothing_used_can_be_frozen(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    unit.did("ReserveFunds", [an_item(a, 100)])

    assert unit.not_proposed(unit.change(FREEZE, lines=[changed(a, 901)])).reason == "BUDGET_EXCEEDED"
    unit.done(unit.change(FREEZE, lines=[changed(a, 900)]))
    short = unit.refused("ReserveFunds", [an_item(a, 1)])
    assert unit.not_proposed(unit.change(UNFREEZE, lines=[changed(a, 901)])).reason == "AUTHORITY_BELOW_ZERO"
    unit.done(unit.change(UNFREEZE, lines=[changed(a, 500)]))
    unit.did("ReserveFunds", [an_item(a, 500)])

    assert short.metadata["frozen"] == "900"
    assert unit.authority(a) == (1_000, 1_000, 400, 0)
    assert minor(unit.movements(a)[1].frozen_change) == -500_00
    assert unit.problems() == []


# --- the document ----------------------------------------------------------------------------------------------


def test_whoever_proposed_neither_approves_nor_rejects_and_recalls_alone(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    proposed = unit.proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, 1)]))
    proposer = unit.persons["budget_officer"]
    same = unit.books.token([unit.agency_id], "finance.budget_authority", person_id=proposer)
    rejection = budget_change_pb2.RejectBudgetChangeRequest(name=proposed.name, reason="no", request_id=rid())

    recall = budget_change_pb2.RecallBudgetChangeRequest(name=proposed.name, request_id=rid())
    stranger = unit.as_role("finance.budget_officer")

    assert unit.not_approved(proposed, same).reason == "SAME_PERSON"
    assert refused(unit.changes.RejectBudgetChange, rejection, same).reason == "SAME_PERSON"
    assert refused(unit.changes.RecallBudgetChange, recall, stranger).reason == "NOT_THE_PROPOSER"
    recalled = call_as(unit.changes.RecallBudgetChange, recall, unit.token("budget_officer")).budget_change
    assert recalled.status == budget_change_pb2.BUDGET_CHANGE_STATUS_RECALLED
    assert unit.not_approved(proposed).reason == "BUDGET_CHANGE_NOT_PROPOSED"
    assert events(unit, proposed) == [("BudgetChangeProposed", 1), ("BudgetChangeEnded", 2)]
    assert unit.authority(a)[1] == 1_000


def test_a_rejection_keeps_its_reason_and_moves_nothing(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    proposed = unit.proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, 1)]))
    request = budget_change_pb2.RejectBudgetChangeRequest(name=proposed.name, reason="no money", request_id=rid())

    call_as(unit.changes.RejectBudgetChange, request, unit.token("budget_authority"))

    seen = call_as(
        unit.changes.GetBudgetChange,
        budget_change_pb2.GetBudgetChangeRequest(name=proposed.name),
        unit.token("budget_officer"),
    )
    assert (seen.status, seen.decision_reason) == (budget_change_pb2.BUDGET_CHANGE_STATUS_REJECTED, "no money")
    assert unit.authority(a)[1] == 1_000


def test_an_approval_is_repeated_byte_for_byte_and_moves_once(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    request = unit.approval(unit.proposed(unit.transfer(a, b, 10)))
    token = unit.token("budget_authority")

    first = call_as(unit.changes.ApproveBudgetChange, request, token)
    again = call_as(unit.changes.ApproveBudgetChange, request, token)

    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert unit.authority(a)[1] == 990


def test_the_number_of_a_change_is_given_once_a_year(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    unit.proposed(unit.change(FREEZE, lines=[changed(a, 1)], document_number="CHG/once"))

    again = unit.not_proposed(unit.change(FREEZE, lines=[changed(a, 1)], document_number="CHG/once"))

    assert again.reason == "DOCUMENT_NUMBER_TAKEN"


def test_changes_are_listed_newest_first_by_kind_and_state_a_page_at_a_time(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    frozen = [unit.proposed(unit.change(FREEZE, lines=[changed(a, n)])).name for n in (1, 2, 3)]
    unit.done(unit.transfer(a, b, 1))

    def names(**values) -> list[str]:
        request = budget_change_pb2.ListBudgetChangesRequest(agency_id=str(unit.agency_id), page_size=2, **values)
        seen = []
        while True:
            page = call_as(unit.changes.ListBudgetChanges, request, unit.token("budget_officer"))
            seen += [one.name for one in page.budget_changes]
            if not page.next_page_token:
                return seen
            request.page_token = page.next_page_token

    assert len(names()) == 4
    assert names(kind=FREEZE) == frozen[::-1]
    assert len(names(kind=VIREMENT, status=budget_change_pb2.BUDGET_CHANGE_STATUS_APPROVED)) == 1
    assert names(fiscal_year=YEAR - 1) == []


def test_a_change_in_a_closed_month_is_accounted_in_the_next_open_one(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 1_000))
    unit.agency.close(4)

    unit.done(unit.change(SUPPLEMENTARY, lines=[changed(a, 5)]))

    movement = unit.movements(a)[0]
    assert (movement.effective_on.month, movement.accounting_on.month) == (4, 5)


def test_what_was_approved_is_told_line_by_line(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    in_force = unit.done(unit.transfer(a, b, 10))

    (body,) = unit.agency.row("select body from outbox where key = %s and sequence = 2", in_force.budget_change_id)
    told = budget_events_pb2.AppropriationChanged.FromString(bytes(body))

    assert told.change_kind == VIREMENT
    assert [(one.budget_line_id, minor(one.revised_change)) for one in told.line_changes] == [
        (a, -10_00),
        (b, 10_00),
    ]
    assert minor(told.total) == 0


def test_the_rules_of_the_pack_are_listed_with_their_law(unit: Changing):
    reply = call_as(
        unit.changes.ListVirementRules,
        budget_change_pb2.ListVirementRulesRequest(page_size=500),
        unit.token("invoice_clerk"),
    )

    rules = {rule.code: rule for rule in reply.virement_rules}
    assert rules["OBJECT-IN-TYPE"].approver_role == SECRETARY
    assert all("PP 12/2019" in rule.legal_source for code, rule in rules.items() if not code.startswith("N08"))


# --- many at once ----------------------------------------------------------------------------------------------


def test_16_writers_between_three_lines_leave_sums_exact_and_no_line_below_zero(unit: Changing, seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    lines = unit.lines_of((SUPPLIES, 300), (MATERIALS, 200), (PRINTING, 100))
    officer, authority = unit.token("budget_officer"), unit.token("budget_authority")
    plans = [(*rng.sample(lines, 2), rng.randint(1, 120), rng.random() < 0.3) for _ in range(96)]
    reasons: list[str] = []

    def act(plan) -> int:
        from_id, to_id, amount, reserves = plan
        try:
            if reserves:
                call_as(
                    unit.budget.ReserveFunds, unit.funds("ReserveFunds", [an_item(from_id, amount // 8 + 1)]), officer
                )
                return 0
            # Both orders of the legs, and two transfers that cross, in one document.
            transfers = [moved(from_id, to_id, amount), moved(to_id, from_id, 1)]
            proposed = call_as(unit.changes.CreateBudgetChange, unit.change(VIREMENT, transfers=transfers), officer)
            call_as(unit.changes.ApproveBudgetChange, unit.approval(proposed), authority)
        except grpc.RpcError as failure:
            reasons.append(refusal(failure).reason)
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        approved = sum(pool.map(act, plans))

    print("approved", approved, "refused", len(reasons))
    assert approved > 0
    assert set(reasons) <= {"BUDGET_EXCEEDED", "AUTHORITY_BELOW_ZERO"}
    figures = [unit.authority(line) for line in lines]
    assert sum(revised for _, revised, _, _ in figures) == 600
    assert min(available for *_, available in figures) >= 0
    assert unit.problems() == []


@pytest.mark.parametrize("method", ["CreateBudgetChange", "ApproveBudgetChange", "BatchCreateVirementRules"])
def test_roles_without_the_permission_do_not_change_the_budget(unit: Changing, method: str):
    request = {
        "CreateBudgetChange": unit.change(FREEZE, lines=[changed(unit.lines_of((SUPPLIES, 1))[0], 1)]),
        "ApproveBudgetChange": budget_change_pb2.ApproveBudgetChangeRequest(name="budgetChanges/x", request_id=rid()),
        "BatchCreateVirementRules": budget_change_pb2.BatchCreateVirementRulesRequest(
            virement_rules=virement_rules(), request_id=rid()
        ),
    }[method]

    assert refused(getattr(unit.changes, method), request, unit.token("invoice_clerk")).code is (
        grpc.StatusCode.PERMISSION_DENIED
    )


def test_a_purchase_order_uses_what_a_virement_brought(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 500))
    unit.done(unit.transfer(a, b, 1_000))

    unit.did("ObligateFunds", [an_item(b, 1_500, 3)], effective_on=to_date(date(YEAR, 4, 2)))

    assert unit.figures(b)[1] == 1_500
    assert unit.authority(a)[1:] == (0, 0, 0)
