"""Contracts of several years on PostgreSQL over gRPC: slices, the opening of a year, listed exceptions."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_years_pb2, budget_years_pb2_grpc
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.changing import SUPPLEMENTARY, SUPPLIES, Changing, changed
from tests.integration.finance.funds import a_document, activation, an_item, new_line

NEXT = YEAR + 1


@dataclass
class Building(Changing):
    """A unit with contracts of several years."""

    years: Any = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.years = budget_years_pb2_grpc.MultiYearServiceStub(self.books.service.channel)
        self.agency.open_year(NEXT)

    def contract(self, line_id: str, *amounts: int, **values: Any) -> Any:
        """The request to authorise slices of whole rupiah from this year on."""
        return budget_years_pb2.CreateMultiYearAuthorisationRequest(
            multi_year_authorisation=budget_years_pb2.MultiYearAuthorisation(
                **{
                    "agency_id": str(self.agency_id),
                    "document_number": f"MYC/{uuid4().hex[:8]}",
                    "legal_reference": "Perda 3/2025",
                    "explanation": "a bridge",
                    "contract_id": str(uuid4()),
                    "contract_number": "KTR/1",
                    "ceiling": rupiah(sum(amounts)),
                    "price": rupiah(sum(amounts)),
                    "effective_on": to_date(date(YEAR, 2, 1)),
                    "slices": [
                        budget_years_pb2.MultiYearSlice(
                            fiscal_year=YEAR + n, amount=rupiah(amount), budget_line_id=line_id if n == 0 else ""
                        )
                        for n, amount in enumerate(amounts)
                    ],
                    **values,
                }
            ),
            request_id=rid(),
        )

    def authorised(self, request: Any) -> budget_years_pb2.MultiYearAuthorisation:
        """Proposed and approved."""
        proposed = call_as(self.years.CreateMultiYearAuthorisation, request, self.token("budget_officer"))
        return call_as(
            self.years.ApproveMultiYearAuthorisation, self.approve_request(proposed), self.token("budget_authority")
        ).multi_year_authorisation

    def approve_request(self, one: Any) -> Any:
        """The request to approve."""
        return budget_years_pb2.ApproveMultiYearAuthorisationRequest(name=one.name, request_id=rid())

    def now(self, one: budget_years_pb2.MultiYearAuthorisation) -> budget_years_pb2.MultiYearAuthorisation:
        """The authorisation as it stands."""
        request = budget_years_pb2.GetMultiYearAuthorisationRequest(name=one.name)
        return call_as(self.years.GetMultiYearAuthorisation, request, self.token("budget_officer"))

    def next_year(self, *amounts: int) -> list[str]:
        """Active lines of next year with the segments of this year's, in the order of line numbers."""
        lines = [new_line(amount, account=SUPPLIES, line_no=number) for number, amount in enumerate(amounts, start=1)]
        request = self.import_request(lines, fiscal_year=NEXT)
        draft = call_as(self.budget.ImportAppropriation, request, self.token("budget_officer"))
        call_as(
            self.budget.ActivateAppropriation,
            activation(draft.appropriation, effective_on=to_date(date(NEXT, 1, 2))),
            self.token("budget_authority"),
        )
        return list(draft.budget_line_ids)

    def waiting(self) -> list[str]:
        """Names of the authorisations whose slice of next year waits."""
        request = budget_years_pb2.ListMultiYearAuthorisationsRequest(agency_id=str(self.agency_id), waiting_year=NEXT)
        reply = call_as(self.years.ListMultiYearAuthorisations, request, self.token("budget_officer"))
        return [one.name for one in reply.multi_year_authorisations]


@pytest.fixture
def unit(books: Books) -> Building:
    return Building(books)


def test_n06_a_year_obligates_its_slice_and_the_opening_of_the_next_comes_before_anybody(unit: Building):
    (line,) = unit.lines_of((SUPPLIES, 500))

    contract = unit.authorised(unit.contract(line, 300, 400, 200))
    assert unit.figures(line)[:2] == (0, 300)
    assert minor(contract.future) == 600_00
    (opened,) = unit.next_year(400)
    short = unit.refused("ReserveFunds", [an_item(opened, 1)], effective_on=to_date(date(NEXT, 1, 2)))

    assert unit.figures(opened)[:2] == (0, 400)
    assert short.reason == "BUDGET_EXCEEDED"
    after = unit.now(contract)
    assert minor(after.future) == 200_00
    assert [one.obligated_on.year for one in after.slices] == [YEAR, NEXT, 0]
    assert after.slices[1].budget_line_id == opened
    assert unit.waiting() == []
    assert unit.problems() == []


def test_a_slice_without_budget_is_listed_with_its_reason_and_obligated_when_budget_has_come(unit: Building):
    lines = unit.lines_of((SUPPLIES, 300), (SUPPLIES, 300))
    fits, short = (unit.authorised(unit.contract(line, 100, 250)) for line in lines)

    first, second = unit.next_year(250, 200)

    assert unit.waiting() == [short.name]
    assert "short by IDR 50" in unit.now(short).slices[1].exception
    assert unit.figures(first)[1] == 250
    unit.done(
        unit.change(
            SUPPLEMENTARY,
            fiscal_year=NEXT,
            effective_on=to_date(date(NEXT, 2, 1)),
            lines=[changed(second, 50)],
        )
    )
    request = budget_years_pb2.OpenMultiYearSlicesRequest(
        agency_id=str(unit.agency_id),
        fiscal_year=NEXT,
        effective_on=to_date(date(NEXT, 2, 1)),
        request_id=rid(),
    )
    call_as(unit.years.OpenMultiYearSlices, request, unit.token("budget_authority"))

    assert unit.waiting() == []
    assert unit.now(short).slices[1].exception == ""
    assert unit.figures(second)[1] == 250
    assert minor(unit.now(fits).future) == 0
    assert unit.problems() == []


def test_a_year_without_the_line_is_an_exception_too_and_stops_no_activation(unit: Building):
    (line,) = unit.lines_of((SUPPLIES, 300))
    contract = unit.authorised(unit.contract(line, 100, 250))
    lines = [new_line(1_000, account="5.1.02.01.02", line_no=1)]
    draft = call_as(
        unit.budget.ImportAppropriation, unit.import_request(lines, fiscal_year=NEXT), unit.token("budget_officer")
    )

    call_as(
        unit.budget.ActivateAppropriation,
        activation(draft.appropriation, effective_on=to_date(date(NEXT, 1, 2))),
        unit.token("budget_authority"),
    )

    assert unit.waiting() == [contract.name]
    assert line in unit.now(contract).slices[1].exception


def test_without_room_for_the_first_slice_nothing_is_authorised(unit: Building):
    (line,) = unit.lines_of((SUPPLIES, 299))
    proposed = call_as(
        unit.years.CreateMultiYearAuthorisation, unit.contract(line, 300, 400), unit.token("budget_officer")
    )

    short = refused(
        unit.years.ApproveMultiYearAuthorisation, unit.approve_request(proposed), unit.token("budget_authority")
    )

    assert (short.reason, short.metadata["short_by"]) == ("BUDGET_EXCEEDED", "1")
    assert unit.figures(line)[1] == 0
    assert unit.problems() == []


def test_a_contract_has_one_authorisation_and_another_person_decides(unit: Building):
    (line,) = unit.lines_of((SUPPLIES, 500))
    contract_id = str(uuid4())
    proposed = call_as(
        unit.years.CreateMultiYearAuthorisation,
        unit.contract(line, 100, 100, contract_id=contract_id),
        unit.token("budget_officer"),
    )
    same = unit.as_role("finance.budget_authority", unit.persons["budget_officer"])

    again = refused(
        unit.years.CreateMultiYearAuthorisation,
        unit.contract(line, 100, 100, contract_id=contract_id),
        unit.token("budget_officer"),
    )
    by_maker = refused(unit.years.ApproveMultiYearAuthorisation, unit.approve_request(proposed), same)
    recall = budget_years_pb2.RecallMultiYearAuthorisationRequest(name=proposed.name, request_id=rid())
    call_as(unit.years.RecallMultiYearAuthorisation, recall, unit.token("budget_officer"))
    anew = unit.authorised(unit.contract(line, 100, 100, contract_id=contract_id))

    assert (again.reason, by_maker.reason) == ("MULTI_YEAR_AUTHORISATION_EXISTS", "SAME_PERSON")
    assert anew.status == budget_years_pb2.MULTI_YEAR_AUTHORISATION_STATUS_APPROVED


def test_the_slice_is_delivered_as_any_obligation(unit: Building):
    (line,) = unit.lines_of((SUPPLIES, 500))
    contract = unit.authorised(unit.contract(line, 300, 400))
    accepted = an_item(line, 120, liquidates_document_line_id=contract.slices[0].document_line_id)

    unit.did("ExpendFunds", [accepted], by="budget_user", document=a_document(7))

    assert unit.figures(line)[:3] == (0, 180, 120)
    assert unit.problems() == []


@pytest.mark.parametrize("method", ["CreateMultiYearAuthorisation", "OpenMultiYearSlices"])
def test_roles_without_the_permission_bind_no_years(unit: Building, method: str):
    request = {
        "CreateMultiYearAuthorisation": unit.contract(unit.lines_of((SUPPLIES, 1))[0], 1, 1),
        "OpenMultiYearSlices": budget_years_pb2.OpenMultiYearSlicesRequest(
            agency_id=str(unit.agency_id),
            fiscal_year=NEXT,
            effective_on=to_date(date(NEXT, 1, 2)),
            request_id=rid(),
        ),
    }[method]

    assert refused(getattr(unit.years, method), request, unit.token("invoice_clerk")).code is (
        grpc.StatusCode.PERMISSION_DENIED
    )


def test_lines_of_waiting_slices_are_locked_in_their_one_order_whatever_the_order_of_approval(unit: Building):
    lines = unit.lines_of((SUPPLIES, 500), (SUPPLIES, 500))
    for line in reversed(lines):
        unit.authorised(unit.contract(line, 100, 200))
    low, high = unit.next_year(0, 0)
    assert low < high, "ids grow with time"
    request = budget_years_pb2.OpenMultiYearSlicesRequest(
        agency_id=str(unit.agency_id), fiscal_year=NEXT, effective_on=to_date(date(NEXT, 1, 5)), request_id=rid()
    )

    with psycopg.connect(unit.books.superuser_url) as other, ThreadPoolExecutor(1) as pool:
        lock = "select 1 from budget_line where budget_line_id = %s for update"
        other.execute(lock, (low,))
        opening = pool.submit(call_as, unit.years.OpenMultiYearSlices, request, unit.token("budget_authority"))
        _wait_for_a_blocked_one(other.info.backend_pid, unit.books.superuser_url)
        # Whoever has the lower one takes the higher one too: the opening waits without it.
        other.execute(f"{lock} nowait", (high,))
        other.rollback()

    assert len(opening.result().multi_year_authorisations) == 2


def _wait_for_a_blocked_one(by: int, url: str) -> None:
    deadline = time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as connection:
        blocked = "select exists (select from pg_stat_activity where %s = any (pg_blocking_pids(pid)))"
        while connection.execute(blocked, (by,)).fetchone() != (True,):
            assert time.monotonic() < deadline, "nobody waits for the line"
            time.sleep(0.02)
