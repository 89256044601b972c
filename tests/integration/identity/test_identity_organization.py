"""OrganizationService over the wire, on PostgreSQL."""

from __future__ import annotations

import grpc
import psycopg
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.testing import call_as, refused
from kelola.identity.v1 import organization_events_pb2, organization_pb2
from tests.integration.identity.identity_service import Identity, a_person, an_agency, request_id

TREASURY = organization_pb2.AGENCY_KIND_TREASURY


def created(service: Identity, agency: organization_pb2.Agency, token: str):
    request = organization_pb2.CreateAgencyRequest(agency=agency, request_id=request_id())
    return refused(service.organization.CreateAgency, request, token)


def update_request(agency: organization_pb2.Agency, **fields) -> organization_pb2.UpdateAgencyRequest:
    changed = organization_pb2.Agency()
    changed.CopyFrom(agency)
    for name, value in fields.items():
        setattr(changed, name, value)
    return organization_pb2.UpdateAgencyRequest(
        agency=changed, update_mask=FieldMask(paths=list(fields)), request_id=request_id()
    )


def administrator(service: Identity, agency: organization_pb2.Agency, name: str = "Ani Admin") -> str:
    """The token of a person who administers `agency`."""
    person = service.registered(a_person(name))
    service.granted(person, "identity.administrator", agency)
    return service.token(person.person_id)


def test_a_tree_grows_from_its_government_and_is_listed_by_code(service):
    government = service.created_agency("11")
    token = service.token()
    treasury = service.created_agency("5.02", government, kind=TREASURY, token=token)
    health = service.created_agency("1.02", government, token=token)
    clinic = service.created_agency("1.02.01", health, token=token)

    everything = call_as(service.organization.ListAgencies, organization_pb2.ListAgenciesRequest(), token)
    below = call_as(
        service.organization.ListAgencies,
        organization_pb2.ListAgenciesRequest(parent_agency_id=government.agency_id),
        token,
    )
    by_code = call_as(service.organization.ListAgencies, organization_pb2.ListAgenciesRequest(code="1.02.01"), token)

    assert list(everything.agencies) == [health, clinic, government, treasury]
    assert list(below.agencies) == [health, treasury]
    assert list(by_code.agencies) == [clinic]
    assert (clinic.depth, clinic.government_agency_id) == (2, government.agency_id)
    got = call_as(service.organization.GetAgency, organization_pb2.GetAgencyRequest(name=clinic.name), token)
    assert got == clinic


def test_pages_of_agencies_give_each_once(service):
    government = service.created_agency("11")
    token = service.token()
    for number in range(5):
        service.created_agency(f"1.{number:02d}", government, token=token)

    codes, page_token = [], ""
    while True:
        page = call_as(
            service.organization.ListAgencies,
            organization_pb2.ListAgenciesRequest(page_size=2, page_token=page_token),
            token,
        )
        codes += [agency.code for agency in page.agencies]
        page_token = page.next_page_token
        if not page_token:
            break

    assert codes == ["1.00", "1.01", "1.02", "1.03", "1.04", "11"]
    assert (
        refused(
            service.organization.ListAgencies,
            organization_pb2.ListAgenciesRequest(code="11", page_token=page_token or "forged"),
            token,
        ).reason
        == "PAGE_TOKEN_INVALID"
    )


def test_a_code_is_unique_in_its_government_alone(service):
    first, second = service.created_agency("11"), service.created_agency("12")
    token = service.token()
    health = service.created_agency("1.02", first, token=token)

    answer = created(service, an_agency("1.02", health), token)

    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "AGENCY_EXISTS")
    assert answer.metadata["agency_id"] == health.agency_id
    assert service.created_agency("1.02", second, token=token).government_agency_id == second.agency_id


def test_a_government_has_one_treasury(service):
    government = service.created_agency("11")
    token = service.token()
    treasury = service.created_agency("5.02", government, kind=TREASURY, token=token)

    answer = created(service, an_agency("5.03", government, kind=TREASURY), token)

    assert answer.code is grpc.StatusCode.ALREADY_EXISTS
    assert answer.metadata == {"agency_id": treasury.agency_id, "field": "agency.kind"}


def test_an_administrator_creates_below_his_own_agency_also_in_what_was_created_since_and_nowhere_else(service):
    government = service.created_agency("11")
    operator = service.token()
    health = service.created_agency("1.02", government, token=operator)
    roads = service.created_agency("1.03", government, token=operator)
    token = administrator(service, health)

    clinic = service.created_agency("1.02.01", health, token=token)
    ward = service.created_agency("1.02.01.1", clinic, token=token)

    assert ward.depth == 3
    for agency in (an_agency("1.03.01", roads), an_agency("1.04", government)):
        answer = created(service, agency, token)
        assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    answer = created(service, an_agency("12"), token)
    assert answer.metadata["permission"] == "identity.government.create"


def test_what_is_wrong_with_an_agency_is_named_by_its_field(service):
    for fields, named in [
        ({"kind": organization_pb2.AGENCY_KIND_UNSPECIFIED}, "agency.kind"),
        ({"kind": organization_pb2.AGENCY_KIND_AGENCY}, "agency.kind"),
        ({"code": "  "}, "agency.code"),
        ({"display_name": ""}, "agency.display_name"),
        ({"region_code": "99.99"}, "agency.region_code"),
        ({"parent_agency_id": "no uuid"}, "agency.parent_agency_id"),
    ]:
        agency = an_agency("11")
        for name, value in fields.items():
            setattr(agency, name, value)

        answer = created(service, agency, service.token())

        assert (fields, answer.code, answer.fields) == (fields, grpc.StatusCode.INVALID_ARGUMENT, (named,))


def test_a_change_is_written_and_emitted_with_the_new_values(service):
    government = service.created_agency("11")
    token = service.token()

    changed = call_as(
        service.organization.UpdateAgency, update_request(government, display_name="Pemerintah Aceh"), token
    )

    assert (changed.display_name, changed.code, changed.etag) == ("Pemerintah Aceh", "11", "2")
    with psycopg.connect(service.settings.database_reader_url) as connection:
        events = connection.execute(
            "select type, topic, key, agency_id::text, sequence, body from outbox order by id"
        ).fetchall()
    assert [row[:5] for row in events] == [
        (
            f"kelola.identity.v1.{name}",
            "kelola.identity.organization.v1",
            government.agency_id,
            government.agency_id,
            sequence,
        )
        for name, sequence in (("AgencyCreated", 1), ("AgencyChanged", 2))
    ]
    event = organization_events_pb2.AgencyChanged.FromString(events[1][5])
    assert (event.display_name, event.code, event.parent_agency_id) == ("Pemerintah Aceh", "11", "")
    stale = refused(service.organization.UpdateAgency, update_request(government, code="12"), token)
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_an_agency_is_changed_only_by_who_administers_it_also_when_the_request_hides_its_id(service):
    government = service.created_agency("11")
    operator = service.token()
    health = service.created_agency("1.02", government, token=operator)
    roads = service.created_agency("1.03", government, token=operator)
    token = administrator(service, health)

    for request in (update_request(roads, code="x"), update_request(roads, code="x", agency_id="")):
        answer = refused(service.organization.UpdateAgency, request, token)
        assert answer.code in (grpc.StatusCode.PERMISSION_DENIED,)
    assert call_as(service.organization.UpdateAgency, update_request(health, code="1.2"), token).code == "1.2"


def test_a_legal_entity_is_registered_once_with_its_owners(service):
    token = service.token()
    director, shareholder = service.registered(token=token), service.registered(a_person("Budi"), token=token)
    owners = [
        organization_pb2.Owner(person_id=director.person_id, kind=organization_pb2.OWNERSHIP_KIND_DIRECTOR),
        organization_pb2.Owner(person_id=shareholder.person_id, kind=organization_pb2.OWNERSHIP_KIND_SHAREHOLDER),
    ]
    asked = organization_pb2.LegalEntity(display_name="CV Maju", tax_number="99.999.999.8-999.000", owners=owners)
    request = organization_pb2.CreateLegalEntityRequest(legal_entity=asked, request_id=request_id())

    entity = call_as(service.organization.CreateLegalEntity, request, token)
    request.request_id = request_id()
    answer = refused(service.organization.CreateLegalEntity, request, token)

    assert entity.tax_number == "0999999998999000"
    assert sorted(owner.person_id for owner in entity.owners) == sorted([director.person_id, shareholder.person_id])
    assert (answer.reason, answer.metadata["legal_entity_id"]) == ("LEGAL_ENTITY_EXISTS", entity.legal_entity_id)
    got = call_as(service.organization.GetLegalEntity, organization_pb2.GetLegalEntityRequest(name=entity.name), token)
    assert got == entity


def test_legal_entities_are_found_by_number_and_by_owner(service):
    token = service.token()
    owner = service.registered(token=token)
    entities = []
    for number, owners in (("0999999998999000", [owner]), ("0987654324999000", [])):
        asked = organization_pb2.LegalEntity(
            display_name="PT Jaya",
            tax_number=number,
            owners=[
                organization_pb2.Owner(
                    person_id=person.person_id, kind=organization_pb2.OWNERSHIP_KIND_BENEFICIAL_OWNER
                )
                for person in owners
            ],
        )
        request = organization_pb2.CreateLegalEntityRequest(legal_entity=asked, request_id=request_id())
        entities.append(call_as(service.organization.CreateLegalEntity, request, token))

    def listed(**fields) -> list[organization_pb2.LegalEntity]:
        request = organization_pb2.ListLegalEntitiesRequest(**fields)
        return list(call_as(service.organization.ListLegalEntities, request, token).legal_entities)

    assert listed() == entities
    assert listed(tax_number="98.765.432.4-999.000") == entities[1:]
    assert listed(owner_person_id=owner.person_id) == entities[:1]
    assert listed(page_size=1) == entities[:1]


def test_an_owner_must_be_a_registered_person(service):
    asked = organization_pb2.LegalEntity(
        display_name="PT Jaya",
        tax_number="0999999998999000",
        owners=[organization_pb2.Owner(person_id=request_id(), kind=organization_pb2.OWNERSHIP_KIND_DIRECTOR)],
    )

    answer = refused(
        service.organization.CreateLegalEntity,
        organization_pb2.CreateLegalEntityRequest(legal_entity=asked, request_id=request_id()),
        service.token(),
    )

    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNER_UNKNOWN")
