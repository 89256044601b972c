"""Rules of the matrix name nodes of any segment, and hold for what the chart has below them, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import account_pb2, approval_pb2
from tests.integration.finance.books import YEAR, Books, rid
from tests.integration.finance.changing import FREEZE, Changing, changed
from tests.integration.finance.funds import new_line
from tests.integration.finance.routed import INSURANCE, OBJECT, OFFICE
from tests.integration.finance.routing import HEAD, OFFICER, Routes, under

SEGMENTS = ("fund", "organisation", "program", "function", "location", "project", "funding_source")
LONG_AGO = date(2021, 1, 1)


class Chart:
    """Codes of one test, in trees where no code is spelled like the one above it."""

    def __init__(self, books: Books) -> None:
        self.books, self.mark = books, uuid4().hex[:8].upper()

    def code(self, segment: str, name: str) -> str:
        return f"{name}-{segment[:4].upper()}-{self.mark}"

    def has(self, segment: str, name: str, above: str = "", **values: Any) -> str:
        """The code of a new value, below the one of that name."""
        value = dimension_value(
            segment.upper(),
            self.code(segment, name),
            f"{name} of a test",
            values.pop("valid_from", LONG_AGO),
            self.code(segment, above) if above else "",
        )
        if "valid_to" in values:
            value.valid_to.CopyFrom(to_date(values["valid_to"]))
        request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
        call_as(self.books.accounts.BatchCreateDimensionValues, request, self.books.token([uuid4()]))
        return self.code(segment, name)


@pytest.fixture
def chart(books: Books) -> Chart:
    return Chart(books)


class Freezing(Changing):
    """A unit that freezes lines, and the steps that its freezes take."""

    rules: list[approval_pb2.ApprovalRule]

    def ruled(self, step: str, nodes: Sequence[approval_pb2.ApprovalRuleNode]) -> None:
        self.rules = [*getattr(self, "rules", [])]
        self.rules.append(Routes.of(self).rule("BUDGET_FREEZE", HEAD, display_name=step, nodes=nodes))

    def lines_with(self, *codes: dict[str, str]) -> list[str]:
        """Active lines with these codes."""
        lines = [
            new_line(1_000, line_no=number, account=OFFICE if number == 1 else INSURANCE, **one)
            for number, one in enumerate(codes, start=1)
        ]
        draft = call_as(self.budget.ImportAppropriation, self.import_request(lines), self.token("budget_officer"))
        self.activated(draft.appropriation)
        return list(draft.budget_line_ids)

    def steps(self, *lines: str) -> list[str]:
        """The steps of a freeze of these lines."""
        change = self.proposed(self.change(FREEZE, lines=[changed(one, 10) for one in lines]))
        return sorted(step.display_name for step in Routes.of(self).route(change.budget_change_id).steps)


@pytest.fixture
def unit(books: Books) -> Iterator[Freezing]:
    made = Freezing(books)
    yield made
    if rules := getattr(made, "rules", []):
        Routes.of(made).ended(*rules)


def test_a_rule_may_name_any_segment_and_holds_for_all_that_is_below_it(unit: Freezing, chart: Chart):
    codes = {}
    for one in SEGMENTS:
        chart.has(one, "TOP")
        chart.has(one, "MIDDLE", "TOP")
        codes[f"{one}_code"] = chart.has(one, "LEAF", "MIDDLE")
        chart.has(one, "BESIDE", "TOP")
        unit.ruled(one, under(**{one: chart.code(one, "TOP")}))
        unit.ruled(f"beside {one}", under(**{one: chart.code(one, "BESIDE")}))
    unit.ruled("account", under(account=OBJECT, project=chart.code("project", "LEAF")))
    unit.ruled("all", under(**{one: chart.code(one, "MIDDLE") for one in SEGMENTS}))

    (line,) = unit.lines_with(codes)

    assert unit.steps(line) == sorted([*SEGMENTS, "account", "all"])


def test_a_document_takes_the_rules_of_all_its_lines_and_of_none_between_them(unit: Freezing, chart: Chart):
    north, south = chart.has("location", "NORTH"), chart.has("location", "SOUTH")
    bridge, school = chart.has("project", "BRIDGE"), chart.has("project", "SCHOOL")
    unit.ruled("north", under(location=north))
    unit.ruled("school", under(project=school))
    unit.ruled("a bridge in the north", under(project=bridge, location=north))
    unit.ruled("a school in the north", under(project=school, location=north))

    lines = unit.lines_with(
        {"location_code": north, "project_code": bridge}, {"location_code": south, "project_code": school}
    )

    assert unit.steps(*lines) == ["a bridge in the north", "north", "school"]
    assert unit.steps(lines[1]) == ["school"]


def test_the_tree_of_the_day_counts_and_a_code_that_ended_stands_where_it_last_stood(unit: Freezing, chart: Chart):
    for name in ("BEFORE", "NOW"):
        chart.has("project", name)
    chart.has("project", "MOVED", "BEFORE", valid_to=date(2024, 1, 1))
    moved = chart.has("project", "MOVED", "NOW", valid_from=date(2024, 1, 1))
    ended = chart.has("project", "ENDED", "BEFORE", valid_to=date(2024, 1, 1))
    unit.ruled("before", under(project=chart.code("project", "BEFORE")))
    unit.ruled("now", under(project=chart.code("project", "NOW")))

    of_moved, of_ended = unit.lines_with({"project_code": moved}, {"project_code": ended})

    assert unit.steps(of_moved) == ["now"]
    assert unit.steps(of_ended) == ["before"]


def test_a_rule_that_names_an_unknown_an_expired_or_a_cyclic_node_is_refused_by_name(unit: Freezing, chart: Chart):
    here = Routes.of(unit)
    expired = chart.has("location", "EXPIRED", valid_to=date(2023, 1, 1))
    ring = [chart.code("location", name) for name in ("A", "B")]
    with psycopg.connect(unit.books.superuser_url) as connection:
        # No RPC makes such a tree on purpose; a chart that was loaded from elsewhere may be one.
        for code, above in zip(ring, reversed(ring), strict=True):
            connection.execute(
                "insert into dimension_value (dimension_value_id, kind, code, parent_code, display_name, valid_from)"
                " values (%s, 'LOCATION', %s, %s, 'a ring', %s)",
                (uuid4(), code, above, LONG_AGO),
            )

    def why(code: str, token: str | None = None) -> Any:
        rule = here.a_rule("BUDGET_FREEZE", nodes=under(location=code), valid_from=to_date(date(YEAR, 1, 1)))
        request = here.changing(additions=[rule])
        return refused(here.rules.CreateApprovalRuleChange, request, token or here.token(OFFICER))

    unknown, late, cyclic = why(f"NOWHERE-{chart.mark}"), why(expired), why(ring[0])
    by_a_clerk = why(expired, here.token("finance.verifier"))

    assert unknown.reason == late.reason == "SEGMENT_UNKNOWN"
    assert f"LOCATION NOWHERE-{chart.mark} on {YEAR}-01-01" in unknown.message
    assert f"LOCATION {expired} on {YEAR}-01-01" in late.message
    assert cyclic.reason == "APPROVAL_NODE_CYCLIC"
    assert (cyclic.metadata["segment"], cyclic.metadata["code"]) == ("LOCATION", ring[0])
    assert by_a_clerk.metadata["permission"] == "finance.approval_rule.create"


def test_two_nodes_of_one_segment_are_refused_with_their_field(unit: Freezing):
    here = Routes.of(unit)
    rule = here.a_rule("BUDGET_FREEZE", nodes=[*under(account=OBJECT), *under(account=OFFICE)])

    why = refused(here.rules.CreateApprovalRuleChange, here.changing(additions=[rule]), here.token(OFFICER))

    assert why.fields == ("approval_rule_change.additions[0].nodes",)
