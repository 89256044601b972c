"""What the tests of identity stand on: the running service, the operator, persons with valid numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
from google.protobuf.duration_pb2 import Duration
from google.type import date_pb2

from chassis import auth
from chassis.testing import TestKeys, call_as, running
from kelola.identity.v1 import (
    access_pb2,
    access_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    person_pb2,
    person_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
)
from services.identity.service import IdentityService
from services.identity.settings import IdentitySettings
from services.identity.token.keys import TokenKeys

ISSUER = "https://identity.test.kelola.invalid"
_serials = count(1)


def request_id() -> str:
    """A fresh request id."""
    return str(uuid4())


def national_id(born: date, sex: int, *, serial: int | None = None) -> str:
    """A valid NIK that identifies nobody: district 99 of Bandung, which does not exist."""
    day = born.day + (40 if sex == person_pb2.SEX_FEMALE else 0)
    return f"327399{day:02d}{born.month:02d}{born.year % 100:02d}{serial or next(_serials):04d}"


def a_person(name: str = "Siti Rahmawati", *, born: date = date(1990, 8, 17), **fields: Any) -> person_pb2.Person:
    """A person to register."""
    sex = fields.pop("sex", person_pb2.SEX_FEMALE)
    known = {"national_id": national_id(born, sex), "full_name": name, "sex": sex}
    message = person_pb2.Person(**{**known, **fields})
    message.birth_date.CopyFrom(date_pb2.Date(year=born.year, month=born.month, day=born.day))
    return message


@dataclass
class Identity:
    """The running service, and what tests ask of it again and again."""

    channel: grpc.Channel
    settings: IdentitySettings
    client_key: auth.SigningKey
    keys: TestKeys  # of the services that call it

    def __post_init__(self) -> None:
        self.persons = person_pb2_grpc.PersonServiceStub(self.channel)
        self.organization = organization_pb2_grpc.OrganizationServiceStub(self.channel)
        self.access = access_pb2_grpc.AccessServiceStub(self.channel)
        self.tokens = token_pb2_grpc.TokenServiceStub(self.channel)

    def assertion(self, *, key: auth.SigningKey | None = None, **claims: Any) -> str:
        """A client assertion of the operator's key; `claims` replace its own."""
        key = key or self.client_key
        return auth.issue_token(
            key,
            issuer=claims.pop("iss", key.kid),
            subject=claims.pop("sub", key.kid),
            audience=[claims.pop("aud", ISSUER)],
            lifetime_seconds=claims.pop("lifetime_seconds", 60),
            claims=claims,
        )

    def issued(self, subject: UUID | str = "operator", **asked: Any) -> token_pb2.IssueTokenResponse:
        """A token as TokenService issues it."""
        request = token_pb2.IssueTokenRequest(
            client_assertion=asked.pop("client_assertion", None) or self.assertion(),
            subject=str(subject),
            audiences=asked.pop("audiences", ["identity"]),
            **asked,
        )
        return call_as(self.tokens.IssueToken, request, None)

    def token(self, subject: UUID | str = "operator", **asked: Any) -> str:
        """A token for a person, or for the operator."""
        return self.issued(subject, lifetime=Duration(seconds=600), **asked).access_token

    def role_token(self, role: str, agency_ids: Sequence[str], *, person_id: UUID | None = None, **more: Any) -> str:
        """A token of somebody who holds `role`, signed as the service signs, whatever grants there are."""
        if role.startswith("service."):
            agencies = [UUID(agency_id) for agency_id in agency_ids]
            name = role.removeprefix("service.")
            return self.keys.service_token(name, audience="identity", person_id=person_id, agencies=agencies)
        return auth.issue_token(
            more.pop("key", TokenKeys.from_file(self.settings.key_file("token_keys")).signing),
            issuer=ISSUER,
            subject="operator" if role == "operator" else str(person_id or uuid4()),
            audience=[more.pop("audience", "identity")],
            lifetime_seconds=more.pop("lifetime_seconds", 600),
            claims={"grants": [{"role": role, "agencies": list(agency_ids)}]},
        )

    def registered(self, person: person_pb2.Person | None = None, token: str | None = None) -> person_pb2.Person:
        """A registered person."""
        request = person_pb2.RegisterPersonRequest(person=person or a_person(), request_id=request_id())
        return call_as(self.persons.RegisterPerson, request, token or self.token()).person

    def created_agency(
        self,
        code: str,
        parent: organization_pb2.Agency | None = None,
        *,
        kind: int | None = None,
        token: str | None = None,
    ) -> organization_pb2.Agency:
        """An agency below `parent`, or a government."""
        request = organization_pb2.CreateAgencyRequest(
            agency=an_agency(code, parent, kind=kind), request_id=request_id()
        )
        return call_as(self.organization.CreateAgency, request, token or self.token())

    def granted(
        self,
        person: person_pb2.Person,
        role: str,
        agency: organization_pb2.Agency,
        token: str | None = None,
        **fields: Any,
    ) -> access_pb2.Grant:
        """A grant."""
        request = access_pb2.CreateGrantRequest(
            grant=access_pb2.Grant(person_id=person.person_id, role=role, agency_id=agency.agency_id, **fields),
            request_id=request_id(),
        )
        return call_as(self.access.CreateGrant, request, token or self.token())


def an_agency(
    code: str, parent: organization_pb2.Agency | None = None, *, kind: int | None = None
) -> organization_pb2.Agency:
    """An agency to create."""
    usual = organization_pb2.AGENCY_KIND_AGENCY if parent else organization_pb2.AGENCY_KIND_GOVERNMENT
    return organization_pb2.Agency(
        parent_agency_id=parent.agency_id if parent else "",
        kind=kind or usual,
        code=code,
        display_name=f"Dinas {code}",
    )


@contextmanager
def identity(database: Any, folder: Path, *, clients: Sequence[dict[str, Any]] | None = None) -> Iterator[Identity]:
    """The identity service on `database`, which checks tokens with the keys that it issues them under."""
    folder.mkdir(parents=True, exist_ok=True)
    client_key = auth.new_key("operator")
    entries = auth.public_jwks([client_key])["keys"] + list(clients or [])
    (folder / "clients.jwks.json").write_text(json.dumps({"keys": entries}), encoding="utf-8")
    # The file of public keys must be there when the first token is checked: made as the service would.
    TokenKeys.from_file(folder / "token_keys.json")
    (folder / "peers").mkdir(exist_ok=True)
    keys = TestKeys(folder / "peers")
    settings = database.settings(
        IdentitySettings,
        service_jwks_url=keys.service_jwks_file.as_uri(),
        data_dir=folder,
        client_jwks=folder / "clients.jwks.json",
        jwks_file=folder / "jwks.json",
        jwks_url=(folder / "jwks.json").as_uri(),
        http_address_file=folder / "http.address",
        trace_dir=folder / "spans",
        token_issuer=ISSUER,
    )
    with running(IdentityService, settings) as service:
        yield Identity(service.channel, settings, client_key, keys)
