"""The beginning: persons and their duties, agencies, suppliers; the first year's books, budget and first release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo import budgeting as month_budgeting
from cli.demo import cast as month_cast
from cli.demo import foundation as month_foundation
from cli.demo.acting import Government, each
from cli.demo.cast import GOVERNMENT
from cli.demo.foundation import Foundation
from cli.demo_year import cast
from cli.demo_year.year import BUDGET, Year, decimal, rupiah, shown
from cli.load.published_budget import PublishedLine
from kelola.finance.v1 import budget_pb2
from kelola.logistics.v1 import supplier_pb2, supplier_pb2_grpc

_QUARTER_SHARES = ("0.25", "0.5", "0.75", "1")
_MONTHS_OF_A_QUARTER = 3


def lay_the_foundation(government: Government) -> Year:
    """Persons, agencies, roles, suppliers."""
    agencies = month_foundation.found_agencies(government, cast.UNITS)
    people = [*cast.officers(), *month_cast.owners()]
    ids = each(people, lambda person: month_foundation.register(government, person))
    persons = {person.label: person_id for person, person_id in zip(people, ids, strict=True)}
    for label, role in cast.OFFICERS.items():
        month_foundation.grant(government, persons[label], role, agencies[GOVERNMENT], label)
        government.persons[label] = persons[label]
    government.forget_tokens()
    entities = [
        month_foundation.legal_entity(government, number, persons[f"owner-{number}"])
        for number in range(1, month_cast.SUPPLIER_OWNERS + 1)
    ]
    suppliers = [
        government.do(
            supplier_pb2_grpc.SupplierServiceStub,
            "CreateSupplier",
            supplier_pb2.CreateSupplierRequest(
                supplier=supplier_pb2.Supplier(
                    legal_entity_id=legal_entity_id, categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS]
                )
            ),
            by="procurement_officer",
            step=f"supplier/{number}",
        ).supplier_id
        for number, legal_entity_id in enumerate(entities, start=1)
    ]
    return Year(government, Foundation(agencies, persons, entities), suppliers)


def open_the_first_year(year: Year) -> None:
    """The chart and the calendars."""
    month_budgeting.load_chart(year.government, [line for lines in cast.published().values() for line in lines])
    open_books(year, cast.FISCAL_YEAR)


def open_books(year: Year, fiscal_year: int) -> None:
    """A fiscal year with twelve open months in every agency that keeps books."""
    for label, agency_id in year.bookkeepers().items():
        month_budgeting.open_year(year.government, label, agency_id, fiscal_year)


def import_drafts(year: Year, budget: Mapping[str, Sequence[PublishedLine]], fiscal_year: int) -> dict[str, str]:
    """Import each unit's lines as they were adopted; the draft appropriations' names by unit."""
    return {
        unit: year.government.do(
            BUDGET,
            "ImportAppropriation",
            budget_pb2.ImportAppropriationRequest(
                agency_id=year.unit_id(unit),
                fiscal_year=fiscal_year,
                document_number=f"DPA-{unit}-{fiscal_year}",
                lines=[month_budgeting.appropriation_line(line) for line in lines],
                control_total=rupiah(sum(line.amount for line in lines)),
            ),
            by="budget_officer",
            step=f"appropriation/{unit}/{fiscal_year}",
        ).appropriation.name
        for unit, lines in budget.items()
    }


def bring_into_force(
    year: Year, budget: Mapping[str, Sequence[PublishedLine]], drafts: Mapping[str, str], fiscal_year: int
) -> list[dict[str, Any]]:
    """Activate each unit's draft (DPA), which another person has made."""
    rows = []
    for unit, lines in budget.items():
        active = year.government.do(
            BUDGET,
            "ActivateAppropriation",
            budget_pb2.ActivateAppropriationRequest(
                name=drafts[unit],
                control_line_count=len(lines),
                control_total=rupiah(sum(line.amount for line in lines)),
                effective_on=to_date(date(fiscal_year, 1, 2)),
            ),
            by="budget_authority",
            step=f"activate/{unit}/{fiscal_year}",
        ).appropriation
        year.learn_lines(unit, fiscal_year)
        rows.append({"unit": unit, "lines": active.line_count, "budget": shown(active.total)})
    return rows


def release_quarter(year: Year, quarter: int, fiscal_year: int = cast.FISCAL_YEAR) -> list[dict[str, Any]]:
    """Release a quarter's funds (SPD): cumulative shares, so that the last one takes the rest."""
    first, rows = (quarter - 1) * _MONTHS_OF_A_QUARTER + 1, []
    for unit in cast.LINES:
        released = year.government.do(
            BUDGET,
            "AllotFunds",
            budget_pb2.AllotFundsRequest(
                agency_id=year.unit_id(unit),
                fiscal_year=fiscal_year,
                document_number=f"SPD-{unit}-{fiscal_year}-{quarter}",
                month_from=first,
                month_to=first + _MONTHS_OF_A_QUARTER - 1,
                organisation_code=unit,
                cumulative_share=decimal(_QUARTER_SHARES[quarter - 1]),
                effective_on=to_date(date(fiscal_year, first, 2)),
            ),
            by="budget_authority",
            step=f"allot/{unit}/{fiscal_year}/{quarter}",
        )
        rows.append({"unit": unit, "lines": released.line_count, "released": shown(released.total)})
    return rows
