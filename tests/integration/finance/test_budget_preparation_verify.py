"""`verify` finds what a superuser breaks in budget preparation and in control modes, and nothing in sound ones."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import call_as
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2
from services.finance.budget.controls import verify as control_verify
from services.finance.budget.preparation import verify as preparation_verify
from tests.integration.finance.books import Books
from tests.integration.finance.funds import activation
from tests.integration.finance.preparing import NEXT_YEAR, Preparing, asked, head
from tests.integration.finance.test_budget_controls import WARNING, Controlled


@pytest.fixture(scope="module")
def lived(books: Books) -> dict[str, str]:
    """A request that became a budget in force under a ceiling that it fills, and a line that only warns."""
    unit = Preparing(books)
    ceiling = unit.ceiling(head(100, 50))
    final = unit.final(asked(100, 50))
    made = unit.appropriated(final)
    draft = call_as(
        unit.budget.GetAppropriation,
        budget_pb2.GetAppropriationRequest(name=f"appropriations/{made.appropriation_id}"),
        unit.token("budget_officer"),
    )
    unit.agency.open_year(NEXT_YEAR)
    call_as(
        unit.budget.ActivateAppropriation,
        activation(draft, effective_on=to_date(date(NEXT_YEAR, 1, 1))),
        unit.token("budget_authority"),
    )
    other = Controlled(books)
    (line,) = other.lines(100)
    other.controlled((line, WARNING))
    assert unit.preparation_problems() == []
    assert other.control_problems() == []
    return {
        "ceiling": ceiling.budget_ceiling_id,
        "request": final.budget_request_id,
        "appropriation": made.appropriation_id,
        "maker": str(unit.persons["budget_user"]),
        "line": line,
    }


BROKEN = {
    "a ceiling below what is approved": (
        "P1",
        "update budget_ceiling_head set amounts_minor[1] = amounts_minor[1] - 1 where budget_ceiling_id = :ceiling",
    ),
    "a ceiling of a medium-term year below what is approved": (
        "P1",
        "update budget_ceiling_head set amounts_minor[2] = amounts_minor[2] - 1 where budget_ceiling_id = :ceiling",
    ),
    "a version that keeps another total": (
        "P2",
        "update budget_request_version set totals_minor[1] = 1 where budget_request_id = :request",
    ),
    "two approved versions of one request": (
        "P2",
        "update budget_request_version set status = 'APPROVED' where budget_request_id = :request",
    ),
    "a line that was edited after all": (
        "P3",
        "alter table budget_request_line disable trigger line_of_a_draft;"
        " update budget_request_line set amounts_minor[1] = 1 where budget_request_id = :request",
    ),
    "a line that the appropriation lost": (
        "P3",
        "update budget_line set line_no = 99 where appropriation_id = :appropriation",
    ),
    "a maker who activated": (
        "I9",
        "update appropriation set activated_by_person_id = :maker where appropriation_id = :appropriation",
    ),
    "a line that is controlled nowhere": (
        "C2",
        "update budget_line set warning = false, controlling = false where budget_line_id = :line",
    ),
    "a mode that nobody decided": (
        "C1",
        "update budget_line set warning = false, controlling = true where budget_line_id = :line",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_verify_finds_what_was_broken_in_the_preparation(books: Books, lived: dict[str, str], what: str):
    invariant, statements = BROKEN[what]

    engine = create_engine(sqlalchemy_url(books.superuser_url), poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements.split(";"):
            used = {name: value for name, value in lived.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
        found = {one.invariant for area in (preparation_verify, control_verify) for one in area.problems(connection)}
        connection.rollback()

    assert invariant in found
