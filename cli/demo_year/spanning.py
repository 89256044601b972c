"""A contract of three years: only the current year's slice binds a line, the next one is the first act of its year.

The bills of a year are against its slice: the terms that were registered with the first one take the next one in.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from chassis.wire import from_date, to_date
from cli.demo.acting import DemoStopped
from cli.demo_year import cast, contracting
from cli.demo_year.contracting import Contract
from cli.demo_year.year import Year, rupiah, shown
from kelola.finance.v1 import budget_years_pb2, budget_years_pb2_grpc

_YEARS = budget_years_pb2_grpc.MultiYearServiceStub
# Whole rupiah by year, the first year's first; the price is their sum.
SLICES = (3_000_000_000, 4_000_000_000, 2_000_000_000)
# What is built of the second slice in that year's first days.
RUNNING = 1_500_000_000


def authorise(year: Year) -> tuple[Contract, str, list[dict[str, Any]]]:
    """The authorisation proposed by one person and approved by another, the terms of what it binds now.

    The contract as its bills of this year name it, the authorisation's name, its slices.
    """
    signed, until = date(cast.FISCAL_YEAR, 3, 4), date(cast.FISCAL_YEAR + len(SLICES), 6, 30)
    contract = Contract("KTR-3", cast.MOSQUE, year.suppliers[2], SLICES[0], signed, until)
    proposed = year.government.do(
        _YEARS,
        "CreateMultiYearAuthorisation",
        budget_years_pb2.CreateMultiYearAuthorisationRequest(
            multi_year_authorisation=budget_years_pb2.MultiYearAuthorisation(
                agency_id=year.unit_id(contract.unit),
                document_number="TJ-1",
                legal_reference="Qanun Aceh 2/2025",
                explanation="Masjid rumah sakit, tiga tahun",
                contract_id=contract.contract_id,
                contract_number=contract.number,
                ceiling=rupiah(sum(SLICES)),
                price=rupiah(sum(SLICES)),
                effective_on=to_date(signed),
                slices=[
                    budget_years_pb2.MultiYearSlice(
                        fiscal_year=cast.FISCAL_YEAR + nth,
                        amount=rupiah(amount),
                        budget_line_id="" if nth else year.line(contract.key, unit=contract.unit),
                    )
                    for nth, amount in enumerate(SLICES)
                ],
            )
        ),
        by="budget_officer",
        step=f"{contract.number}/authorisation",
    )
    approved = year.government.do(
        _YEARS,
        "ApproveMultiYearAuthorisation",
        budget_years_pb2.ApproveMultiYearAuthorisationRequest(name=proposed.name),
        by="budget_authority",
        step=f"{contract.number}/authorisation/approve",
    ).multi_year_authorisation
    contract = replace(contract, document_line_id=approved.slices[0].document_line_id)
    contracting.register(year, contract)
    return contract, approved.name, _slices(approved)


def opened(year: Year, contract: Contract, name: str) -> tuple[Contract, list[dict[str, Any]]]:
    """The contract as its bills of the second year name it, and the slices; DemoStopped when its slice was not bound
    when that year's budget came into force.
    """
    found = year.government.read(
        _YEARS,
        "GetMultiYearAuthorisation",
        budget_years_pb2.GetMultiYearAuthorisationRequest(name=name),
        by="auditor",
    )
    if not found.slices[1].HasField("obligated_on"):
        raise DemoStopped(f"the slice of {cast.NEXT_YEAR} is not bound: {found.slices[1].exception}")
    second = replace(contract, price=SLICES[1], document_line_id=found.slices[1].document_line_id)
    return second, _slices(found)


def _slices(authorisation: Any) -> list[dict[str, Any]]:
    return [
        {
            "year": one.fiscal_year,
            "slice": shown(one.amount),
            "bound since": str(from_date(one.obligated_on)) if one.HasField("obligated_on") else "",
            "future": shown(authorisation.future),
        }
        for one in authorisation.slices
    ]
