"""Every RPC of identity × every role of the policies × every kind of bad token (T8), and every mutation twice (T5)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from chassis import auth
from chassis.policy import Policy
from chassis.testing import call_as, refused
from kelola.identity.v1 import access_pb2, organization_pb2, person_pb2, token_pb2
from kelola.type.v1 import options_pb2
from tests.integration.identity.identity_service import Identity, a_person, an_agency, request_id

# The reviewed table: who may call what. `everyone` is every role that the policies know.
EVERYONE = "everyone"
REGISTRARS = {"operator", "identity.administrator", "hr.officer", "logistics.procurement_officer"}
SERVICES = {"service.finance", "service.hr", "service.logistics"}
WHO_MAY: dict[str, set[str] | str] = {
    "PersonService.RegisterPerson": REGISTRARS,
    "PersonService.GetPerson": {*REGISTRARS, *SERVICES, "auditor"},
    "PersonService.LookUpPerson": REGISTRARS,
    "PersonService.ListPersons": {*REGISTRARS, *SERVICES, "auditor"},
    "PersonService.UpdatePerson": {"operator", "identity.administrator", "hr.officer"},
    "OrganizationService.CreateAgency": {"operator", "identity.administrator"},
    "OrganizationService.GetAgency": EVERYONE,
    "OrganizationService.ListAgencies": EVERYONE,
    "OrganizationService.UpdateAgency": {"operator", "identity.administrator"},
    "OrganizationService.CreateLegalEntity": {
        "operator",
        "identity.administrator",
        "logistics.procurement_officer",
    },
    "OrganizationService.GetLegalEntity": {
        "operator",
        "identity.administrator",
        "logistics.procurement_officer",
        "auditor",
        *SERVICES,
    },
    "OrganizationService.ListLegalEntities": {
        "operator",
        "identity.administrator",
        "logistics.procurement_officer",
        "auditor",
        *SERVICES,
    },
    "AccessService.ListRoles": {"operator", "identity.administrator", "auditor"},
    "AccessService.CreateGrant": {"operator", "identity.administrator"},
    "AccessService.ListGrants": {"operator", "identity.administrator", "auditor"},
    "AccessService.RevokeGrant": {"operator", "identity.administrator"},
}
PUBLIC = {"TokenService.IssueToken", "TokenService.GetJsonWebKeySet"}
MUTATIONS = {
    "PersonService.RegisterPerson",
    "PersonService.UpdatePerson",
    "OrganizationService.CreateAgency",
    "OrganizationService.UpdateAgency",
    "OrganizationService.CreateLegalEntity",
    "AccessService.CreateGrant",
    "AccessService.RevokeGrant",
}
SERVICES_OF_IDENTITY = [
    service
    for module in (person_pb2, organization_pb2, access_pb2, token_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]
ROLES = Policy.load(Path(__file__).parents[3] / "deploy" / "policies").roles()


@dataclass
class World:
    """A service with one of everything."""

    service: Identity
    person: person_pb2.Person
    government: organization_pb2.Agency
    agency: organization_pb2.Agency
    other_agency: organization_pb2.Agency
    legal_entity: organization_pb2.LegalEntity

    def stub(self, rpc: str) -> Callable[..., Any]:
        """The stub's method for `PersonService.GetPerson`."""
        name, _, method = rpc.partition(".")
        stubs = {
            "PersonService": self.service.persons,
            "OrganizationService": self.service.organization,
            "AccessService": self.service.access,
            "TokenService": self.service.tokens,
        }
        return getattr(stubs[name], method)

    def request(self, rpc: str) -> Message:
        """A fresh request that succeeds for those who may."""
        return getattr(self, rpc.partition(".")[2])()

    def RegisterPerson(self) -> Message:  # named as the RPC
        return person_pb2.RegisterPersonRequest(person=a_person(), request_id=request_id())

    def GetPerson(self) -> Message:
        return person_pb2.GetPersonRequest(name=self.person.name)

    def LookUpPerson(self) -> Message:
        return person_pb2.LookUpPersonRequest(national_id="3273991708909991")

    def ListPersons(self) -> Message:
        return person_pb2.ListPersonsRequest()

    def UpdatePerson(self) -> Message:
        changed = person_pb2.Person(name=self.person.name, phone=f"+62 {uuid4().int % 10**9}")
        return person_pb2.UpdatePersonRequest(
            person=changed, update_mask=FieldMask(paths=["phone"]), request_id=request_id()
        )

    def CreateAgency(self) -> Message:
        agency = an_agency(uuid4().hex[:12], self.agency)
        return organization_pb2.CreateAgencyRequest(agency=agency, request_id=request_id())

    def GetAgency(self) -> Message:
        return organization_pb2.GetAgencyRequest(name=self.agency.name)

    def ListAgencies(self) -> Message:
        return organization_pb2.ListAgenciesRequest()

    def UpdateAgency(self) -> Message:
        changed = organization_pb2.Agency(name=self.agency.name, display_name=uuid4().hex)
        return organization_pb2.UpdateAgencyRequest(
            agency=changed, update_mask=FieldMask(paths=["display_name"]), request_id=request_id()
        )

    def CreateLegalEntity(self) -> Message:
        number = f"0{uuid4().int % 10**12:012d}000"
        entity = organization_pb2.LegalEntity(display_name="CV Maju", tax_number=number)
        return organization_pb2.CreateLegalEntityRequest(legal_entity=entity, request_id=request_id())

    def GetLegalEntity(self) -> Message:
        return organization_pb2.GetLegalEntityRequest(name=self.legal_entity.name)

    def ListLegalEntities(self) -> Message:
        return organization_pb2.ListLegalEntitiesRequest()

    def ListRoles(self) -> Message:
        return access_pb2.ListRolesRequest()

    def CreateGrant(self) -> Message:
        person = self.service.registered()
        grant = access_pb2.Grant(person_id=person.person_id, role="auditor", agency_id=self.agency.agency_id)
        return access_pb2.CreateGrantRequest(grant=grant, request_id=request_id())

    def ListGrants(self) -> Message:
        return access_pb2.ListGrantsRequest(agency_id=self.agency.agency_id)

    def RevokeGrant(self) -> Message:
        grant = self.service.granted(self.service.registered(), "auditor", self.agency)
        return access_pb2.RevokeGrantRequest(name=grant.name, reason="moved", request_id=request_id())


@pytest.fixture
def world(service: Identity) -> World:
    """One of everything."""
    government = service.created_agency("11")
    token = service.token()
    agency, other = (service.created_agency(code, government, token=token) for code in ("1.02", "1.03"))
    person = service.registered(a_person(national_id="3273991708909991"), token)
    entity = organization_pb2.LegalEntity(display_name="PT Jaya", tax_number="0999999998999000")
    request = organization_pb2.CreateLegalEntityRequest(legal_entity=entity, request_id=request_id())
    registered = call_as(service.organization.CreateLegalEntity, request, token)
    return World(service, person, government, agency, other, registered)


def rpcs() -> Iterator[tuple[str, Any]]:
    for service in SERVICES_OF_IDENTITY:
        for method in service.methods:
            yield f"{service.name}.{method.name}", method


def outcome(method: Callable[..., Any], request: Message, token: str | None) -> grpc.StatusCode:
    try:
        call_as(method, request, token)
    except grpc.RpcError as failure:
        return failure.code()
    return grpc.StatusCode.OK


def test_every_rpc_is_in_the_reviewed_table():
    public = {name for name, method in rpcs() if method.GetOptions().Extensions[options_pb2.access].public}
    mutating = {name for name, method in rpcs() if "request_id" in method.input_type.fields_by_name}

    assert public == PUBLIC
    assert set(WHO_MAY) == {name for name, _ in rpcs()} - PUBLIC
    assert mutating == MUTATIONS
    named = {role for roles in WHO_MAY.values() if roles != EVERYONE for role in roles}
    assert named <= set(ROLES)
    assert {name.partition(".")[2] for name in WHO_MAY} <= {name for name, _ in inspect.getmembers(World)}


def test_those_who_may_do_and_all_others_do_not(world):
    for rpc, may in sorted(WHO_MAY.items()):
        for role in ROLES:
            expected = grpc.StatusCode.OK if may == EVERYONE or role in may else grpc.StatusCode.PERMISSION_DENIED
            token = world.service.role_token(role, [world.agency.agency_id])

            assert (rpc, role, outcome(world.stub(rpc), world.request(rpc), token)) == (rpc, role, expected)


def test_a_bad_token_opens_nothing(world):
    agencies = [world.agency.agency_id]
    unauthenticated, denied = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
    bad = {
        "none": (None, unauthenticated),
        "nonsense": ("nonsense", unauthenticated),
        "expired": (world.service.role_token("operator", agencies, lifetime_seconds=-60), unauthenticated),
        "another audience": (world.service.role_token("operator", agencies, audience="finance"), unauthenticated),
        "another key": (world.service.role_token("operator", agencies, key=auth.new_key("token-1")), unauthenticated),
        "no role": (world.service.role_token("no.such.role", agencies), denied),
    }
    for rpc, may in sorted(WHO_MAY.items()):
        for name, (token, expected) in bad.items():
            if name == "no role" and may == EVERYONE:
                continue  # the agency tree is public among those whose token has any grant

            assert (rpc, name, outcome(world.stub(rpc), world.request(rpc), token)) == (rpc, name, expected)


def test_an_agencys_business_is_closed_to_those_who_hold_the_role_elsewhere(world):
    elsewhere = world.service.role_token("identity.administrator", [world.other_agency.agency_id])
    closed = {
        "OrganizationService.CreateAgency": grpc.StatusCode.PERMISSION_DENIED,
        "OrganizationService.UpdateAgency": grpc.StatusCode.PERMISSION_DENIED,
        "AccessService.CreateGrant": grpc.StatusCode.PERMISSION_DENIED,
        "AccessService.ListGrants": grpc.StatusCode.PERMISSION_DENIED,
        # Named by resource name alone, a grant elsewhere is not there.
        "AccessService.RevokeGrant": grpc.StatusCode.NOT_FOUND,
    }
    for rpc, expected in closed.items():
        assert (rpc, outcome(world.stub(rpc), world.request(rpc), elsewhere)) == (rpc, expected)


def test_a_mutation_has_one_effect_and_one_answer(world):
    token, stranger = (
        world.service.role_token("identity.administrator", [world.agency.agency_id], person_id=uuid4())
        for _ in range(2)
    )
    for rpc in sorted(MUTATIONS):
        request, other, method = world.request(rpc), world.request(rpc), world.stub(rpc)
        other.request_id = request.request_id

        first = call_as(method, request, token)
        again = call_as(method, request, token)
        mismatch = refused(method, other, token)

        assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True), rpc
        assert (rpc, mismatch.reason) == (rpc, "IDEMPOTENCY_MISMATCH")
        assert outcome(method, other, stranger) is grpc.StatusCode.OK, f"{rpc}: another's request ids are his own"


def test_public_rpcs_need_no_token(world):
    request = token_pb2.IssueTokenRequest(client_assertion="x", subject="operator", audiences=["hr"])

    assert refused(world.service.tokens.IssueToken, request, None).reason == "CLIENT_ASSERTION_INVALID"
    assert outcome(world.service.tokens.GetJsonWebKeySet, token_pb2.GetJsonWebKeySetRequest(), None) is (
        grpc.StatusCode.OK
    )
    wrong = token_pb2.GetJsonWebKeySetRequest(name="other")
    assert outcome(world.service.tokens.GetJsonWebKeySet, wrong, None) is grpc.StatusCode.INVALID_ARGUMENT
