"""Units and positions."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest
from google.protobuf import field_mask_pb2

from kelola.hr.v1 import position_pb2, unit_pb2
from tests.integration.hr.conftest import Building
from tests.integration.hr.office import Office, request_id, rupiah


def create(office: Office, **fields: object) -> position_pb2.CreatePositionRequest:
    position = position_pb2.Position(
        **{
            "agency_id": str(office.agency_id),
            "unit_id": office.unit().unit_id,
            "code": "P",
            "title": "Analis",
            "staff_kind": position_pb2.STAFF_KIND_CIVIL_SERVANT,
            "position_kind": position_pb2.POSITION_KIND_GENERAL,
            "funding": [
                position_pb2.ComponentFunding(fiscal_year=2026, component="BASE_PAY", budget_line_id=str(uuid4()))
            ],
            **fields,
        }
    )
    return position_pb2.CreatePositionRequest(position=position, request_id=request_id())


def test_units_form_a_tree_without_circles(office: Office) -> None:
    top = office.unit()
    below = office.unit(parent_unit_id=top.unit_id)

    request = unit_pb2.UpdateUnitRequest(
        unit=unit_pb2.Unit(
            name=top.name, agency_id=top.agency_id, code=top.code, title=top.title, parent_unit_id=below.unit_id
        ),
        update_mask=field_mask_pb2.FieldMask(paths=["parent_unit_id"]),
        request_id=request_id(),
    )
    refusal = office.refused(office.units.UpdateUnit, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UNIT_ABOVE_ITSELF")


def test_a_unit_code_is_unique_in_its_agency(office: Office, building: Building) -> None:
    office.unit(code="SEKRETARIAT")
    building.office().unit(code="SEKRETARIAT")

    unit = unit_pb2.Unit(agency_id=str(office.agency_id), code="SEKRETARIAT", title="Lagi")
    refusal = office.refused(office.units.CreateUnit, unit_pb2.CreateUnitRequest(unit=unit, request_id=request_id()))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "UNIT_CODE_TAKEN")


def test_pages_of_units_are_the_whole_list_once(office: Office) -> None:
    made = sorted(office.unit().code for _ in range(7))

    found, token = [], ""
    while True:
        request = unit_pb2.ListUnitsRequest(agency_id=str(office.agency_id), page_size=3, page_token=token)
        page = office.ask(office.units.ListUnits, request)
        found += [unit.code for unit in page.units]
        token = page.next_page_token
        if not token:
            break

    assert found == made


@pytest.mark.parametrize(
    "fields",
    [
        {"position_kind": position_pb2.POSITION_KIND_STRUCTURAL},
        {"echelon": "III.a"},
        {"position_kind": position_pb2.POSITION_KIND_FUNCTIONAL},
        {"functional_allowance": rupiah(1)},
    ],
    ids=["structural without echelon", "echelon of none", "functional without allowance", "allowance of none"],
)
def test_a_position_carries_the_allowance_of_its_kind_and_no_other(office: Office, fields: dict) -> None:
    refusal = office.refused(office.positions.CreatePosition, create(office, **fields))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


def test_funding_names_components_that_exist(office: Office) -> None:
    line = position_pb2.ComponentFunding(fiscal_year=2026, component="LUNCH", budget_line_id=str(uuid4()))

    refusal = office.refused(office.positions.CreatePosition, create(office, funding=[line]))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "LUNCH" in refusal.message


def test_a_held_position_keeps_its_funding_and_takes_that_of_another_year(office: Office) -> None:
    position = office.position()
    office.hire(position_id=position.position_id, hired_on=date(2026, 4, 1))
    held = office.ask(office.positions.GetPosition, position_pb2.GetPositionRequest(name=position.name))
    held.funding.add(fiscal_year=2027, component="BASE_PAY", budget_line_id=str(uuid4()))
    mask = field_mask_pb2.FieldMask(paths=["funding"])

    more = position_pb2.UpdatePositionRequest(position=held, update_mask=mask, request_id=request_id())
    changed = office.ask(office.positions.UpdatePosition, more)
    changed.funding[0].budget_line_id = str(uuid4())
    other = position_pb2.UpdatePositionRequest(position=changed, update_mask=mask, request_id=request_id())
    refusal = office.refused(office.positions.UpdatePosition, other)

    assert len(changed.funding) == len(position.funding) + 1
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POSITION_FILLED")


def test_a_unit_of_another_agency_is_not_there(office: Office, building: Building) -> None:
    foreign = building.office().unit()

    refusal = office.refused(office.positions.CreatePosition, create(office, unit_id=foreign.unit_id))

    assert refusal.code == grpc.StatusCode.NOT_FOUND


def test_who_holds_no_role_in_the_agency_creates_nothing_there(office: Office) -> None:
    unit = unit_pb2.Unit(agency_id=str(office.agency_id), code="X", title="X")
    request = unit_pb2.CreateUnitRequest(unit=unit, request_id=request_id())

    elsewhere = office.refused(office.units.CreateUnit, request, agencies=[uuid4()])
    maker = office.refused(office.units.CreateUnit, request, "hr.payroll_officer")

    assert elsewhere.code == grpc.StatusCode.PERMISSION_DENIED
    assert maker.code == grpc.StatusCode.PERMISSION_DENIED
