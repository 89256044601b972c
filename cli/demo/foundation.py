"""Act one: persons, the tree of agencies, and who may do what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from chassis.wire import to_date
from cli.demo import cast
from cli.demo.acting import OPERATOR, Government, each
from cli.demo.cast import GOVERNMENT, TREASURY
from kelola.identity.v1 import (
    access_pb2,
    access_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    person_pb2,
    person_pb2_grpc,
)

_SINCE = date(cast.FISCAL_YEAR, 1, 1)


@dataclass(frozen=True)
class Foundation:
    """What later acts refer to: ids by label."""

    agencies: dict[str, str]
    persons: dict[str, str]
    legal_entities: list[str]


def lay(government: Government, scale: cast.Scale) -> Foundation:
    """Register persons, found the agencies, give the officers their roles."""
    agencies = found_agencies(government, cast.units())
    people = [*cast.officers(), *cast.owners(), *cast.officials(scale.officials)]
    ids = each(people, lambda person: register(government, person))
    persons = {person.label: person_id for person, person_id in zip(people, ids, strict=True)}
    for label, role in cast.OFFICERS.items():
        grant(government, persons[label], role, agencies[GOVERNMENT], label)
        government.persons[label] = persons[label]
    government.forget_tokens()
    legal_entities = [
        legal_entity(government, number, persons[f"owner-{number}"]) for number in range(1, cast.SUPPLIER_OWNERS + 1)
    ]
    return Foundation(agencies, persons, legal_entities)


def found_agencies(government: Government, units: Iterable[cast.Agency]) -> dict[str, str]:
    """Found the government, its treasury and these units; their ids by label."""

    def found(label: str, code: str, name: str, kind: organization_pb2.AgencyKind.ValueType, parent: str) -> str:
        agency = organization_pb2.Agency(
            parent_agency_id=parent, kind=kind, code=code, display_name=name, region_code="11"
        )
        reply = government.do(
            organization_pb2_grpc.OrganizationServiceStub,
            "CreateAgency",
            organization_pb2.CreateAgencyRequest(agency=agency),
            by=OPERATOR,
            step=f"agency/{label}",
        )
        government.forget_tokens()
        return str(reply.agency_id)

    top = found(GOVERNMENT, "11", "Pemerintah Aceh", organization_pb2.AGENCY_KIND_GOVERNMENT, "")
    agencies = {GOVERNMENT: top}
    agencies[TREASURY] = found(TREASURY, "BUD", "Bendahara Umum Daerah", organization_pb2.AGENCY_KIND_TREASURY, top)
    for unit in units:
        agencies[unit.label] = found(unit.label, unit.code, unit.display_name, organization_pb2.AGENCY_KIND_AGENCY, top)
    return agencies


def register(government: Government, person: cast.Person) -> str:
    """Register a person; the id."""
    reply = government.do(
        person_pb2_grpc.PersonServiceStub,
        "RegisterPerson",
        person_pb2.RegisterPersonRequest(
            person=person_pb2.Person(
                national_id=person.national_id,
                full_name=person.full_name,
                birth_date=to_date(person.birth_date),
                birth_place="Banda Aceh",
                sex=person_pb2.SEX_FEMALE if person.female else person_pb2.SEX_MALE,
            )
        ),
        by=OPERATOR,
        step=f"person/{person.label}",
    )
    return str(reply.person.person_id)


def grant(government: Government, person_id: str, role: str, agency_id: str, label: str) -> None:
    """Give a person a role in an agency and in all below it, from the first day of the year on."""
    government.do(
        access_pb2_grpc.AccessServiceStub,
        "CreateGrant",
        access_pb2.CreateGrantRequest(
            grant=access_pb2.Grant(person_id=person_id, role=role, agency_id=agency_id, valid_from=to_date(_SINCE))
        ),
        by=OPERATOR,
        step=f"grant/{label}",
    )


def legal_entity(government: Government, number: int, owner_person_id: str) -> str:
    """Register a supplier's company with its owner; the id."""
    reply = government.do(
        organization_pb2_grpc.OrganizationServiceStub,
        "CreateLegalEntity",
        organization_pb2.CreateLegalEntityRequest(
            legal_entity=organization_pb2.LegalEntity(
                display_name=f"CV Demo Supplier {number}",
                tax_number=f"0{number}234567{number}012000",
                owners=[
                    organization_pb2.Owner(
                        person_id=owner_person_id, kind=organization_pb2.OWNERSHIP_KIND_BENEFICIAL_OWNER
                    )
                ],
            )
        ),
        by="access_administrator",
        step=f"legal-entity/{number}",
    )
    return str(reply.legal_entity_id)
