"""Where a document is, who has it, since when, what next; and that every kind declares what its RPCs really ask."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

import services.finance
from chassis.money import Money
from kelola.finance.v1 import approval_pb2, document_status_pb2
from services.finance.approval import domain as approval
from services.finance.approval.domain import Act, Caller, Route, Rule, Subject
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.documents import domain, verify
from services.finance.documents.domain import Deputy, DocumentKind, DocumentType, NextAct, State
from services.finance.documents.kinds import KINDS
from services.finance.tables import FinanceTable
from tools.descriptors import contracts

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAKER = uuid4()
SORT = DocumentType(
    DocumentKind.BUDGET_CHANGE,
    "things",
    "finance.thing.read",
    {
        "PROPOSED": (
            NextAct("ApproveThing", "finance.thing.approve", apart=frozenset({"proposed"}), routed=True),
            NextAct("RecallThing", "finance.thing.create", only="proposed", onward=False),
        )
    },
)


def state(status: str = "PROPOSED") -> State:
    return State(
        uuid4(), uuid4(), DocumentKind.BUDGET_CHANGE, "T/1", status, AT, None, {"proposed": frozenset({MAKER})}
    )


def rule(role: str = "chief", step_number: int = 1, **values: Any) -> Rule:
    made = Rule(
        approval_rule_id=uuid4(),
        document_kind=RoutedKind.VIREMENT,
        step_number=step_number,
        display_name=f"step {step_number}",
        role=role,
        approvers=1,
        amount_from=Money(0, "IDR"),
        nodes=frozenset(),
        deadline_days=2,
        escalation_role="head",
        legal_source="a made-up regulation",
        valid_from=AT.date(),
    )
    return replace(made, **values)


def route(one: State, *rules: Rule) -> Route:
    subject = Subject(RoutedKind.VIREMENT, one.document_id, one.agency_id, None, frozenset(), MAKER)
    return approval.routed(rules, subject, [uuid4() for _ in rules], AT)


def roles_of(permission: str) -> tuple[str, ...]:
    return (permission.rpartition(".")[2] + "r",)


def stands(one: State, its_route: Route | None = None, **values: Any) -> domain.Standing:
    return domain.standing(SORT, one, its_route, roles_of=roles_of, **values)


def test_without_a_route_it_is_with_who_may_put_it_in_force_but_not_its_maker():
    found = stands(state())

    (holder,) = found.holders
    assert (holder.what, holder.roles, holder.since, holder.apart) == ("ApproveThing", ("approver",), AT, (MAKER,))
    assert [(act.rpc, act.only, act.waits_for) for act in found.possible] == [
        ("ApproveThing", (), ""),
        ("RecallThing", (MAKER,), ""),
    ]


def test_with_an_open_step_it_is_with_the_roles_of_the_step_until_its_deadline():
    one = state()

    found = stands(one, route(one, rule(), rule("legal", 2)))

    (holder,) = found.holders
    assert (holder.what, holder.roles, holder.due_at) == ("step 1", ("chief",), AT + timedelta(days=2))
    assert found.due_at == holder.due_at
    waits = {act.rpc: act.waits_for for act in found.possible}
    assert waits == {"ApproveStep": "", "RejectStep": "", "ApproveThing": "APPROVAL_ROUTE_OPEN", "RecallThing": ""}


def test_a_deputy_has_it_unless_he_or_whom_he_stands_for_took_a_part():
    one = state()
    deputy, other = uuid4(), uuid4()
    deputies = [Deputy("chief", deputy, other), Deputy("chief", MAKER, other), Deputy("chief", uuid4(), MAKER)]

    (holder,) = stands(one, route(one, rule()), deputies=deputies).holders

    assert holder.deputies == (deputy,)


def test_an_escalated_step_is_with_both_roles():
    one = state()

    (holder,) = stands(one, approval.escalated(route(one, rule()), AT + timedelta(days=3))).holders

    assert holder.roles == ("chief", "head")


def test_once_approved_it_is_with_who_puts_it_in_force_and_not_with_who_approved_the_step():
    one, approver = state(), uuid4()
    done = approval.decided(route(one, rule()), Caller(approver, frozenset({"chief"})), Act.APPROVE, "", AT)

    (holder,) = stands(one, done).holders

    assert (holder.what, set(holder.apart)) == ("ApproveThing", {MAKER, approver})


def test_once_rejected_it_is_with_who_may_take_it_back():
    one = state()
    ended = approval.decided(route(one, rule()), Caller(uuid4(), frozenset({"chief"})), Act.REJECT, "no", AT)

    found = stands(one, ended)

    assert [(holder.what, holder.only) for holder in found.holders] == [("RecallThing", (MAKER,))]
    assert {act.rpc: act.waits_for for act in found.possible}["ApproveThing"] == "APPROVAL_ROUTE_ENDED"


def test_what_is_finished_or_carried_on_is_with_nobody():
    assert stands(state("APPROVED")).holders == ()
    carried = stands(state(), carried_by=uuid4())
    assert carried.holders == ()
    assert [act.rpc for act in carried.possible] == ["RecallThing"]


@pytest.mark.parametrize(
    ("person", "roles", "concerned"),
    [(uuid4(), ("approver",), True), (uuid4(), ("other",), False), (MAKER, ("approver",), False)],
)
def test_it_concerns_whoever_holds_the_role_and_took_no_other_part(
    person: UUID, roles: tuple[str, ...], concerned: bool
):
    assert domain.concerns(stands(state()), SORT, person, roles) is concerned


# --- what the areas declare -------------------------------------------------------------------------------------------

# What is imported is in the MetaData: the tables of every area.
for _module in pkgutil.walk_packages(services.finance.__path__, "services.finance."):
    if _module.name.endswith(".tables"):
        importlib.import_module(_module.name)

_ACTS = [(kind, status, act) for kind in KINDS.values() for status, acts in kind.acts.items() for act in acts]


def test_every_kind_is_declared_and_has_its_number():
    assert set(KINDS) == set(DocumentKind)
    assert {f"DOCUMENT_KIND_{kind.value}" for kind in DocumentKind} == {
        name for name in document_status_pb2.DocumentKind.DESCRIPTOR.values_by_name if not name.endswith("_UNSPECIFIED")
    }
    assert {f"APPROVAL_DOCUMENT_KIND_{kind.value}" for kind in RoutedKind} == {
        name
        for name in approval_pb2.ApprovalDocumentKind.DESCRIPTOR.values_by_name
        if not name.endswith("_UNSPECIFIED")
    }


def test_the_declared_acts_are_rpcs_and_ask_for_the_permission_that_the_contract_says():
    asked = {
        method.proto.name: method.access.permission
        for method in contracts().methods
        if method.service.startswith("kelola.finance.v1.")
    }

    wrong = {f"{act.rpc}: {act.permission}" for _, _, act in _ACTS if asked.get(act.rpc) != act.permission}
    unread = {kind.read_permission for kind in KINDS.values()} - set(asked.values())

    assert (wrong, unread) == (set(), set())


def test_every_table_with_a_maker_and_a_checker_is_a_document():
    """A new kind of document that two persons take part in declares itself, or says here why it does not."""
    elsewhere = {
        # Versions speak for their request; decisions, instructions and history rows belong to their document.
        "budget_request_version": "BUDGET_REQUEST",
    }
    checked = {
        elsewhere.get(name, name.upper())
        for name, table in FinanceTable.metadata.tables.items()
        if {"approved_by_person_id", "decided_by_person_id", "verified_by_person_id"} & set(table.columns.keys())
    }

    assert checked - {kind.value for kind in DocumentKind} == set()


def test_verify_asks_of_every_kind_whether_it_stands_where_its_table_says():
    asked = {table.upper() for table, _ in verify.TABLES}

    # Of a request the latest version speaks, by a query of its own.
    assert asked | {"BUDGET_REQUEST"} == {kind.value for kind in DocumentKind}
    assert all(key == f"{table}_id" for table, key in verify.TABLES)


def test_the_declared_parts_are_columns_of_the_documents():
    extra = {"imported", "holder", "maker", "request_maker"}
    for kind, _, act in _ACTS:
        table = "budget_request_version" if kind.kind is DocumentKind.BUDGET_REQUEST else kind.kind.value.lower()
        columns = set(FinanceTable.metadata.tables[table].columns.keys())
        for part in act.apart | ({act.only} if act.only else set()):
            assert part in extra or f"{part}_by_person_id" in columns, f"{kind.kind.value}: {part}"


def test_the_declared_states_are_states_of_the_documents():
    for kind in KINDS.values():
        table = "budget_request_version" if kind.kind is DocumentKind.BUDGET_REQUEST else kind.kind.value.lower()
        (check,) = [
            str(one.sqltext)  # type: ignore[attr-defined]  # a check constraint has one
            for one in FinanceTable.metadata.tables[table].constraints
            if str(one.name or "").endswith("status") and hasattr(one, "sqltext")
        ]
        for status in kind.acts:
            assert f"'{status}'" in check, f"{kind.kind.value}: {status}"
