"""HR under Sembara's law: a payroll over the end of its fiscal year, June to July, named by the year that follows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from uuid import uuid4

import pytest

from chassis import country_pack
from chassis.local.databases import prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.money import Money
from chassis.settings import ROOT, ServiceSettings
from chassis.testing import TestKeys, running
from chassis.wire import from_money
from kelola.finance.v1 import budget_pb2
from kelola.hr.v1 import payroll_pb2, position_pb2
from services.hr.payroll import pack
from services.hr.service import HrService
from tests.integration.hr.office import Office
from tests.integration.hr.peer_desk import peer_desk

SEMBARA = ROOT / "tests" / "data" / "sembara"
COMPONENTS = sorted(pack.load(SEMBARA).cost_components)
FACTS = {"grade": "B2", "service_years": 4, "tax_status": "S"}
# In minor units (thousandths): what a month of 2026 costs its lines, and the extra pay of May and September.
MONTH, EXTRA = 5 * 133_000, 5 * 100_000


@pytest.fixture(scope="module")
def office(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """HR under Sembara's law. One process serves one government, so the pack is put back at the end."""
    database = prepare(postgres, "hr", name="hr_sembara")
    upgrade(database.settings())
    keys = TestKeys(tmp_path_factory.mktemp("sembara"))
    try:
        with peer_desk() as (desk, address):
            settings = ServiceSettings(
                **keys.settings_values("hr"),
                database_app_url=database.app_url,
                database_owner_url=database.owner_url,
                database_reader_url=database.reader_url,
                peers={"finance": address, "identity": address},
                country_pack_dir=SEMBARA,
            )
            with running(HrService, settings) as service:
                yield Office(service, desk, keys, database.reader_url, postgres.url("hr_sembara"))
    finally:
        country_pack.choose(ROOT / "data" / "id")


def minor(message: object) -> int:
    amount = from_money(message, "amount")
    assert amount == Money(amount.minor, "BHD")
    return amount.minor


def scheduled(items: list[budget_pb2.FundsItem]) -> dict[tuple[int, int], int]:
    """(calendar year, month) -> minor units, over all items."""
    found: dict[tuple[int, int], int] = {}
    for item in items:
        for share in item.schedule:
            key = share.year, share.month
            found[key] = found.get(key, 0) + minor(share.amount)
    return found


def test_a_payroll_over_the_end_of_the_fiscal_year_is_borne_by_the_lines_of_each_year(office: Office):
    lines = {(year, component): uuid4() for year in (2026, 2027) for component in COMPONENTS}
    of_year = {year: {str(line) for (name, _), line in lines.items() if name == year} for year in (2026, 2027)}
    funding = [
        position_pb2.ComponentFunding(fiscal_year=year, component=component, budget_line_id=str(line))
        for (year, component), line in lines.items()
    ]

    employee = office.hire(
        position_id=office.position(funding=funding).position_id, hired_on=date(2026, 5, 1), facts=FACTS
    )

    # A hire in the fiscal year's last two months commits these, and May's extra pay, on the year's own lines.
    (obligated,) = office.desk.of("ObligateFundsRequest")
    assert scheduled(obligated.items) == {(2026, 5): MONTH + EXTRA, (2026, 6): MONTH}
    assert {item.budget_line_id for item in obligated.items} <= of_year[2026]
    assert {item.fiscal_year for item in employee.commitment} == {2026}

    june = office.approve(office.run(6))
    july = office.approve(office.run(7))

    assert [(run.year, run.month, run.fiscal_year) for run in (june, july)] == [(2026, 6, 2026), (2026, 7, 2027)]
    assert {june.state, july.state} == {payroll_pb2.PAYROLL_RUN_STATE_APPROVED}
    charged = [
        {charge.budget_line_id for charge in request.charges} for request in office.desk.of("AcceptPayrollRequest")
    ]
    assert charged[0] <= of_year[2026]
    assert charged[1] <= of_year[2027]
    # After July's run the rest of the new year is obligated: eleven months and both extra pays.
    *_, rest = office.desk.of("ObligateFundsRequest")
    months = [*((2026, number) for number in range(8, 13)), *((2027, number) for number in range(1, 7))]
    assert scheduled(rest.items) == {
        **dict.fromkeys(months, MONTH),
        (2026, 9): MONTH + EXTRA,
        (2027, 5): MONTH + EXTRA,
    }
    assert {item.budget_line_id for item in rest.items} <= of_year[2027]
    held = {item.fiscal_year: 0 for item in office.get(employee.name).commitment}
    for item in office.get(employee.name).commitment:
        held[item.fiscal_year] += minor(item.open)
    # June was used; May was not run, so it is still obligated in the year in which it lies.
    assert held == {2026: MONTH + EXTRA, 2027: 11 * MONTH + 2 * EXTRA}
