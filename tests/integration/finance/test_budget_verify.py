"""`verify` finds what a superuser breaks in changes, overrides, slices and year ends, and nothing in sound ones."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.wire import to_date
from services.finance.billing import verify as billing_verify
from services.finance.budget import verify
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.changing import FREEZE, MATERIALS, SUPPLEMENTARY, SUPPLIES, changed
from tests.integration.finance.ending import NEXT, Ending
from tests.integration.finance.funds import GOODS, Unit, an_item
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.works import WORKS, Contract


@pytest.fixture(scope="module")
def lived(books: Books) -> dict[str, str]:
    """A unit whose budget changed, with an open override and a contract of two years; another whose year ended."""
    unit = Building(books)
    line, other = unit.lines_of((SUPPLIES, 1_000), (MATERIALS, 1_000))
    virement = unit.done(unit.transfer(line, other, 100))
    unit.done(unit.change(FREEZE, lines=[changed(line, 50)]))
    unit.done(unit.change(SUPPLEMENTARY, lines=[changed(other, 30)]))
    override = unit.opened(unit.override((line, 20)))
    contract = unit.authorised(unit.contract(line, 100, 200))
    ending = Ending(books)
    (ended,) = ending.lines(500)
    ending.did("ObligateFunds", [an_item(ended, 70)])
    (following,) = ending.next_year(0)
    bridge = Contract(ending, 1_000)
    bridge.paid(bridge.prepaid(200).payable_id)
    (going_on,) = ending.next_year(0, account=WORKS)
    year_end = ending.ended()
    bridge.certified(400, billed_on=to_date(date(NEXT, 3, 20)))
    assert unit.problems() == []
    return {
        "line": line,
        "other": other,
        "virement": virement.budget_change_id,
        "override": override.budget_override_id,
        "contract": contract.multi_year_authorisation_id,
        "ended": ended,
        "following": following,
        "year_end": year_end.budget_year_end_id,
        "paid_in_advance": bridge.line,
        "going_on": going_on,
        "contract_line": bridge.line_id,
    }


BROKEN = {
    "a leg of a virement that is larger": (
        "F7",
        "update funds_movement set authority_minor = authority_minor + 1"
        " where document_id = :virement and authority_minor > 0",
    ),
    "a virement in that no movement knows": (
        "F1",
        "update budget_line set virement_in_minor = virement_in_minor + 1,"
        " supplementary_minor = supplementary_minor - 1 where budget_line_id = :other",
    ),
    "virements of a year that do not meet": (
        "F7",
        "update budget_line set virement_in_minor = virement_in_minor + 1 where budget_line_id = :other",
    ),
    "a change that says another amount": (
        "F7",
        "update budget_change_line set amount_minor = amount_minor + 1 where budget_change_id = :virement",
    ),
    "a freeze without a movement": (
        "F1",
        "update budget_line set frozen_minor = frozen_minor - 1 where budget_line_id = :line",
    ),
    "authority of an override that nobody gave": (
        "F2",
        "update budget_line set override_minor = override_minor + 1 where budget_line_id = :line",
    ),
    "an override that outlives its year": (
        "F2",
        f"update budget_override set expires_on = '{date(YEAR + 1, 1, 1)}' where budget_override_id = :override",
    ),
    "a closed override that gives": (
        "F2",
        "update budget_override set status = 'CLOSED' where budget_override_id = :override",
    ),
    "a change that its proposer approved": (
        "I9",
        "alter table budget_change drop constraint ck_budget_change_two_persons;"
        " update budget_change set decided_by_person_id = proposed_by_person_id where budget_change_id = :virement",
    ),
    "a slice that is obligated without funds": (
        "F4",
        "update multi_year_slice set obligated_on = '2026-01-02', budget_line_id = :line"
        " where multi_year_authorisation_id = :contract and obligated_on is null",
    ),
    "slices that are not the price": (
        "F4",
        "update multi_year_slice set amount_minor = amount_minor + 1"
        " where multi_year_authorisation_id = :contract and obligated_on is null",
    ),
    "an ended line that takes something": (
        "F7",
        "update budget_line set reserved_minor = reserved_minor + 1 where budget_line_id = :ended",
    ),
    "an advance that the year's end did not close": (
        "F7",
        "update budget_year_end_line set closed_advances_minor = closed_advances_minor - 1"
        " where budget_line_id = :paid_in_advance",
    ),
    "more carried in than was carried out": (
        "F7",
        "update budget_line set carried_in_minor = carried_in_minor + 1 where budget_line_id = :following",
    ),
}


BROKEN_ADVANCES = {
    "an advance that is neither open nor closed": (
        "update funds_movement set paid_minor = paid_minor - 1"
        " where kind = 'CLOSE_ADVANCE' and position_document_line_id = :contract_line"
    ),
    "an advance that is open again after its year": (
        "update funds_position set advanced_minor = 1"
        " where document_line_id = :contract_line and budget_line_id = :going_on"
    ),
    "a recovery that no bill made": (
        "update contract_line set recovered_minor = recovered_minor + 1 where document_line_id = :contract_line"
    ),
}


def problems_after(books: Books, statements: str, names: dict[str, str]) -> set[str]:
    engine = create_engine(sqlalchemy_url(books.superuser_url), poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements.split(";"):
            used = {name: value for name, value in names.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
        found = {problem.invariant for area in (verify, billing_verify) for problem in area.problems(connection)}
        connection.rollback()
    return found


@pytest.mark.parametrize("what", BROKEN)
def test_verify_finds_what_was_broken_in_the_acts_of_the_budget(books: Books, lived: dict[str, str], what: str):
    invariant, statements = BROKEN[what]

    assert invariant in problems_after(books, statements, lived)


@pytest.mark.parametrize("what", BROKEN_ADVANCES)
def test_verify_finds_an_advance_that_its_account_does_not_bear_out(books: Books, lived: dict[str, str], what: str):
    assert "F5" in problems_after(books, BROKEN_ADVANCES[what], lived)


def test_the_table_refuses_a_hard_stop_below_zero_whatever_code_runs(books: Books):
    unit = Unit(books)
    (line,) = unit.lines(100, account=GOODS)
    unit.did("ReserveFunds", [an_item(line, 100)])

    with pytest.raises(Exception, match="ck_budget_line_available_not_negative"):
        problems_after(books, "update budget_line set frozen_minor = 1 where budget_line_id = :line", {"line": line})
