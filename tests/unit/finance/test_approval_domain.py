"""A document's way through the approval matrix: in turn, by different persons, also through deputies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from chassis.money import Money
from services.finance.approval import domain
from services.finance.approval.domain import (
    Act,
    ApprovalStatus,
    Caller,
    Deputy,
    DocumentKind,
    Route,
    Rule,
    StepStatus,
    Subject,
)
from services.finance.approval.nodes import Line, Node, NodeCyclic, Trees
from services.finance.classification.segments import Segment

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAY = AT.date()
MAKER = uuid4()


def rule(step_number: int = 1, role: str = "chief", **values: Any) -> Rule:
    made = Rule(
        approval_rule_id=uuid4(),
        document_kind=DocumentKind.PAYMENT_REQUEST,
        step_number=step_number,
        display_name=f"step {step_number}",
        role=role,
        approvers=1,
        amount_from=Money(0, "IDR"),
        nodes=frozenset(),
        deadline_days=0,
        escalation_role="",
        legal_source="a made-up regulation",
        valid_from=date(2026, 1, 1),
    )
    return replace(made, **values)


def on(**codes: str) -> Line:
    """The codes of a line, or the nodes of a rule, by the names of their segments."""
    return frozenset(Node(Segment[name.upper()], code) for name, code in codes.items())


LINE = on(organisation="1.02", account="5.1.02", fund="APBD", program="4.01", project="BRIDGE")
# What stands above each code; neither the fund nor the project is spelled like the one above it.
TREES = Trees(
    {
        **{Node(Segment.ORGANISATION, code): above for code, above in {"1": "", "1.02": "1", "2": ""}.items()},
        **{Node(Segment.ACCOUNT, code): above for code, above in {"5": "", "5.1": "5", "5.1.02": "5.1"}.items()},
        Node(Segment.FUND, "APBD"): "GENERAL",
        Node(Segment.FUND, "GENERAL"): "",
        Node(Segment.PROGRAM, "4.01"): "4",
        Node(Segment.PROGRAM, "4"): "",
        Node(Segment.PROJECT, "BRIDGE"): "",
        Node(Segment.LOCATION, "NORTH"): "",
    }
)


def subject(amount: int = 1_000, lines: frozenset[Line] = frozenset({LINE})) -> Subject:
    return Subject(DocumentKind.PAYMENT_REQUEST, uuid4(), uuid4(), Money(amount, "IDR"), lines, MAKER)


def route(*rules: Rule, of: Subject | None = None) -> Route:
    return domain.routed(rules, of or subject(), [uuid4() for _ in rules], AT)


def caller(*roles: str, deputies: tuple[Deputy, ...] = (), person_id: UUID | None = None) -> Caller:
    return Caller(person_id or uuid4(), frozenset(roles), deputies)


def approved(one: Route, by: Caller, **values: Any) -> Route:
    return domain.decided(one, by, Act.APPROVE, "", AT, **values)


def test_without_a_rule_there_is_nothing_to_approve():
    assert route().status is ApprovalStatus.APPROVED


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"amount_from": Money(1_000, "IDR")}, True),
        ({"amount_from": Money(1_001, "IDR")}, False),
        ({"amount_from": Money(0, "USD")}, False),
        ({"valid_from": date(2026, 3, 3)}, False),
        ({"valid_to": date(2026, 3, 2)}, False),
        ({"valid_to": date(2026, 3, 3)}, True),
        ({"nodes": on(organisation="1")}, True),
        ({"nodes": on(organisation="1.02")}, True),
        ({"nodes": on(organisation="1.0")}, False),
        ({"nodes": on(account="5.1")}, True),
        ({"nodes": on(account="5.2")}, False),
        ({"nodes": on(fund="GENERAL")}, True),
        ({"nodes": on(program="4")}, True),
        ({"nodes": on(project="BRIDGE")}, True),
        ({"nodes": on(location="NORTH")}, False),
        ({"nodes": on(fund="GENERAL", program="4.01", organisation="1")}, True),
        ({"nodes": on(fund="GENERAL", location="NORTH")}, False),
    ],
)
def test_a_rule_applies_by_day_amount_currency_and_nodes(values: dict[str, Any], taken: bool):
    assert domain.applies(rule(**values), subject(), DAY, TREES) is taken


def test_all_nodes_must_hold_on_one_line():
    mixed = subject(lines=frozenset({on(organisation="1.02", account="5"), on(organisation="2", account="5.1.02")}))

    assert not domain.applies(rule(nodes=on(organisation="1", account="5.1")), mixed, DAY, TREES)
    assert domain.applies(rule(nodes=on(organisation="2", account="5.1")), mixed, DAY, TREES)


def test_nodes_are_above_by_the_tree_and_not_by_how_codes_are_spelled():
    moved = Trees({Node(Segment.ORGANISATION, "1.02"): "9", Node(Segment.ORGANISATION, "9"): ""})

    assert domain.applies(rule(nodes=on(organisation="9")), subject(), DAY, moved)
    assert not domain.applies(rule(nodes=on(organisation="1")), subject(), DAY, moved)


def test_a_node_above_which_a_code_stands_above_itself_is_refused_by_name():
    ring = Trees({Node(Segment.LOCATION, code): above for code, above in {"A": "B", "B": "C", "C": "B"}.items()})

    TREES.check_acyclic(Node(Segment.ORGANISATION, "1.02"))
    with pytest.raises(NodeCyclic, match=r"LOCATION A has no place.*comes to B twice \(A < B < C < B\)"):
        ring.check_acyclic(Node(Segment.LOCATION, "A"))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount_from": Money(-1, "IDR")}, "amount_from"),
        ({"valid_to": date(2026, 1, 1)}, "valid_to"),
        ({"nodes": on(fund="A") | on(fund="B")}, "nodes"),
        ({"role": "cheif"}, "role"),
        ({"escalation_role": "haed"}, "escalation_role"),
    ],
)
def test_a_rule_that_says_nothing_sound_is_refused_by_its_field(values: dict[str, Any], field: str):
    with pytest.raises(InvalidArgument, match="approval_rules") as refused:
        domain.check_form(rule(**values), "approval_rules[3]", deciders=("chief", "head"))

    assert f"approval_rules[3].{field}" in str(refused.value)


def test_a_rule_that_ends_on_its_first_day_is_taken_by_no_document_and_none_ends_before_it():
    one = domain.ended(rule(valid_from=DAY), DAY, "valid_to")

    assert not domain.applies(one, subject(), DAY, TREES)
    with pytest.raises(InvalidArgument, match="endings"):
        domain.ended(rule(valid_from=DAY), DAY - timedelta(days=1), "endings[0].valid_to")


def test_a_rule_that_has_ended_is_not_brought_back_by_a_later_end():
    one = domain.ended(rule(), date(2026, 3, 1), "valid_to")

    assert domain.ended(one, date(2026, 2, 1), "valid_to").valid_to == date(2026, 2, 1)
    for day in (date(2026, 3, 1), date(2027, 1, 1)):
        with pytest.raises(domain.ApprovalRuleEnded, match="2026-03-01"):
            domain.ended(one, day, "valid_to")


@pytest.mark.parametrize(("amount_from", "taken"), [(0, True), (1, False)])
def test_what_is_about_no_amount_takes_the_rules_that_begin_at_zero(amount_from: int, taken: bool):
    without = replace(subject(), amount=None)

    assert domain.applies(rule(amount_from=Money(amount_from, "IDR")), without, DAY, TREES) is taken


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (on(organisation="1.02", account="5.1.02"), True),
        (on(), True),
        (on(organisation="1", account="5"), True),
        (on(organisation="1.02"), True),
        (on(organisation="1.02", account="5.2"), False),
        (on(organisation="2"), False),
    ],
)
def test_a_head_stands_for_all_that_is_below_it(head: Line, taken: bool):
    heads = replace(subject(lines=frozenset({head})), of_heads=True)

    assert domain.applies(rule(nodes=on(organisation="1.02", account="5.1")), heads, DAY, TREES) is taken


def test_a_document_that_changed_begins_a_round_of_its_own_and_its_approver_names_the_step():
    first = approved(route(rule(1), rule(2, "head")), caller("chief"))
    again = domain.renewed(first, route(rule(1), of=replace(first.subject, amount=Money(2_000, "IDR"))))

    assert (again.round_number, again.version, again.persons) == (2, 2, frozenset())
    with pytest.raises(domain.ApprovalOutOfTurn, match="changed"):
        approved(again, caller("chief"))
    named = approved(again, caller("chief"), step_id=again.steps[0].approval_step_id)
    assert named.status is ApprovalStatus.APPROVED


def test_a_route_anew_has_the_same_steps_and_no_decision():
    model = approved(route(rule(1, "chief"), rule(2, "head", approvers=2)), caller("chief"))

    again = domain.anew(model, model.subject, [uuid4(), uuid4()], AT)

    assert [(step.role, step.approvers, step.status) for step in again.steps] == [
        ("chief", 1, StepStatus.OPEN),
        ("head", 2, StepStatus.WAITING),
    ]
    assert again.persons == frozenset()


def test_steps_open_one_after_the_other_and_equal_numbers_together():
    one = route(rule(1, "chief"), rule(2, "legal"), rule(2, "audit"), rule(3, "head"))

    assert [step.role for step in one.open_steps] == ["chief"]
    one = approved(one, caller("chief"))
    assert sorted(step.role for step in one.open_steps) == ["audit", "legal"]
    one = approved(approved(one, caller("legal")), caller("audit"))
    assert [step.role for step in one.open_steps] == ["head"]
    assert approved(one, caller("head")).status is ApprovalStatus.APPROVED


def test_a_step_of_two_needs_two_persons():
    one = route(rule(approvers=2))
    first = caller("chief")

    one = approved(one, first)
    assert one.status is ApprovalStatus.PENDING
    with pytest.raises(domain.ApprovalSamePerson):
        approved(one, first)
    assert approved(one, caller("chief")).status is ApprovalStatus.APPROVED


def test_the_maker_approves_nothing_not_even_for_somebody():
    one = route(rule())

    with pytest.raises(domain.ApprovalSamePerson, match="you made"):
        approved(one, caller("chief", person_id=MAKER))
    with pytest.raises(domain.ApprovalSamePerson, match="you made"):
        approved(one, caller(deputies=(Deputy("chief", uuid4()),), person_id=MAKER))
    with pytest.raises(domain.ApprovalSamePerson, match="for whom you act"):
        approved(one, caller(deputies=(Deputy("chief", MAKER),)))


def test_who_took_another_step_of_the_document_approves_nothing_of_its_route():
    verifier = uuid4()
    one = replace(route(rule()), others=frozenset({verifier}))

    with pytest.raises(domain.ApprovalSamePerson):
        approved(one, caller("chief", person_id=verifier))


def test_a_deputy_decides_for_whom_he_stands_and_both_are_used_up():
    absent, deputy = uuid4(), uuid4()
    one = route(rule(1, "chief"), rule(2, "head"))

    one = approved(one, caller(deputies=(Deputy("chief", absent),), person_id=deputy))

    assert one.steps[0].decisions[0].on_behalf_of_person_id == absent
    for person in (absent, deputy):
        with pytest.raises(domain.ApprovalSamePerson):
            approved(one, caller("head", person_id=person))


def test_a_deputy_of_two_acts_for_the_one_who_took_no_part():
    absent = uuid4()
    both = (Deputy("chief", MAKER), Deputy("chief", absent))

    one = approved(route(rule()), caller(deputies=both))

    assert one.steps[0].decisions[0].on_behalf_of_person_id == absent


def test_a_role_that_is_not_asked_is_told_who_is():
    with pytest.raises(domain.ApprovalNotYours, match=r"step 1 \(chief\)"):
        approved(route(rule(), rule(2, "head")), caller("head"))


def test_rejecting_ends_the_route():
    one = domain.decided(route(rule(), rule(2, "head")), caller("chief"), Act.REJECT, "no papers", AT)

    assert one.status is ApprovalStatus.REJECTED
    with pytest.raises(domain.ApprovalOutOfTurn):
        approved(one, caller("head"))


def test_one_who_holds_two_open_steps_names_the_one_he_means():
    one = route(rule(1, "legal"), rule(1, "audit"))
    both = caller("legal", "audit")

    with pytest.raises(domain.ApprovalOutOfTurn, match="several steps"):
        approved(one, both)
    after = approved(one, both, step_id=one.steps[1].approval_step_id)
    assert [step.status for step in after.steps] == [StepStatus.OPEN, StepStatus.APPROVED]


def test_an_overdue_step_is_open_for_the_escalation_role_too():
    one = route(rule(deadline_days=2, escalation_role="deputy head"))

    early = domain.escalated(one, AT + timedelta(days=2, seconds=-1))
    late = domain.escalated(one, AT + timedelta(days=2))
    again = domain.escalated(late, AT + timedelta(days=3))

    assert early == one
    assert late.steps[0].roles == ("chief", "deputy head")
    assert again == late
    assert approved(late, caller("deputy head")).status is ApprovalStatus.APPROVED
    assert approved(late, caller("chief")).status is ApprovalStatus.APPROVED


def test_a_recalled_route_is_closed_and_an_ended_one_stays():
    done = approved(route(rule()), caller("chief"))

    assert domain.recalled(route(rule())).status is ApprovalStatus.RECALLED
    assert domain.recalled(done) == done


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=6), st.randoms(use_true_random=False)
)
def test_any_order_of_approvers_ends_approved_by_distinct_persons(shape: list[tuple[int, int]], random: Any):
    """Whoever comes first among the open steps: every route ends, in step order, with a new person each time."""
    rules = [
        rule(number, f"role{nth}", approvers=needed, approval_rule_id=UUID(int=nth))
        for nth, (number, needed) in enumerate(shape)
    ]
    one = route(*rules)
    seen: list[int] = []
    while one.status is ApprovalStatus.PENDING:
        step = random.choice(one.open_steps)
        seen.append(step.step_number)
        one = approved(one, caller(step.role))

    assert one.status is ApprovalStatus.APPROVED
    assert seen == sorted(seen)
    assert len(one.persons) == sum(needed for _, needed in shape)
