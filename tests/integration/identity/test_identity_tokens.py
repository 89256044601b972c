"""TokenService: who gets a token, and who does not."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import grpc
import psycopg
from google.protobuf.duration_pb2 import Duration

from chassis import auth
from chassis.testing import call_as, refused, wait_until
from kelola.identity.v1 import organization_pb2, person_pb2, token_pb2
from services.identity.token.keys import TokenKeys
from tests.integration.identity.identity_service import ISSUER, Identity, identity


def token_request(service: Identity, **fields) -> token_pb2.IssueTokenRequest:
    known = {"client_assertion": service.assertion(), "subject": "operator", "audiences": ["identity"]}
    return token_pb2.IssueTokenRequest(**{**known, **fields})


def not_issued(service: Identity, **fields):
    return refused(service.tokens.IssueToken, token_request(service, **fields), None)


def test_an_assertion_is_used_once(service):
    request = token_request(service)

    first = call_as(service.tokens.IssueToken, request, None)
    again = refused(service.tokens.IssueToken, request, None)

    assert first.token_type == "Bearer"
    assert (again.code, again.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CLIENT_ASSERTION_INVALID")


def test_an_assertion_that_does_not_hold_gives_no_token(service):
    for wrong in [
        {"aud": "https://elsewhere.invalid"},
        {"iss": "other"},
        {"lifetime_seconds": -60},
        {"lifetime_seconds": 3600},
    ]:
        answer = not_issued(service, client_assertion=service.assertion(**wrong))

        assert (wrong, answer.reason) == (wrong, "CLIENT_ASSERTION_INVALID")


def test_a_stranger_and_a_forger_get_the_same_answer(service):
    stranger, forger = auth.new_key("stranger"), auth.new_key("operator")

    answers = [
        not_issued(service, client_assertion=text)
        for text in (
            service.assertion(key=stranger),
            service.assertion(key=forger),
            "no token at all",
            "a.b.c",
            # alg none, and HMAC under a public key, are the classic forgeries.
            "eyJhbGciOiJub25lIiwia2lkIjoib3BlcmF0b3IifQ.e30.",
            "eyJhbGciOiJIUzI1NiIsImtpZCI6Im9wZXJhdG9yIn0.e30.c2ln",
        )
    ]

    assert {answer.code for answer in answers} == {grpc.StatusCode.UNAUTHENTICATED}
    assert len({answer.message for answer in answers}) == 1


def test_a_persons_client_gets_no_token_of_the_operator(database, tmp_path):
    portal = auth.new_key("portal")
    [entry] = auth.public_jwks([portal])["keys"]

    with identity(database("identity"), tmp_path, clients=[entry]) as service:
        person = service.registered()
        own = {"client_assertion": service.assertion(key=portal)}
        answer = not_issued(service, **own)
        issued = service.issued(person.person_id, client_assertion=service.assertion(key=portal))

    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SUBJECT_NOT_ALLOWED")
    assert issued.access_token


def test_a_client_registered_while_the_service_runs_is_known_and_one_removed_is_not(service):
    portal = auth.new_key("portal")
    person = service.registered()
    file = Path(service.settings.client_jwks)
    before = file.read_text()

    file.write_text(before.replace('{"keys": [', '{"keys": [' + _json(portal) + ", "))
    issued = service.issued(person.person_id, client_assertion=service.assertion(key=portal))
    file.write_text(before)
    answer = not_issued(service, subject=person.person_id, client_assertion=service.assertion(key=portal))

    assert issued.access_token
    assert answer.reason == "CLIENT_ASSERTION_INVALID"


def _json(key: auth.SigningKey) -> str:
    return json.dumps(auth.public_jwks([key])["keys"][0])


def test_nobody_who_is_not_registered_gets_a_token(service):
    answer = not_issued(service, subject=str(uuid4()))

    assert answer.code is grpc.StatusCode.NOT_FOUND


def test_a_request_that_breaks_the_contract_is_refused(service):
    for fields in [
        {"subject": "somebody"},
        {"audiences": []},
        {"audiences": ["hr", "hr"]},
        {"audiences": ["Not A Service"]},
        {"lifetime": Duration(seconds=3601)},
        {"lifetime": Duration(seconds=1)},
        {"agency_ids": ["x"]},
        {"client_assertion": ""},
    ]:
        assert (fields, not_issued(service, **fields).code) == (fields, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_token_is_narrowed_to_the_agencies_asked_for(service):
    government = service.created_agency("11")
    health = service.created_agency("1.02", government, token=service.token())
    person = service.registered()
    service.granted(person, "identity.administrator", government)

    narrow = service.token(person.person_id, agency_ids=[health.agency_id])
    request = organization_pb2.CreateAgencyRequest(
        agency=organization_pb2.Agency(
            parent_agency_id=government.agency_id,
            kind=organization_pb2.AGENCY_KIND_AGENCY,
            code="9",
            display_name="x",
        ),
        request_id=str(uuid4()),
    )

    assert refused(service.organization.CreateAgency, request, narrow).code is grpc.StatusCode.PERMISSION_DENIED
    request.agency.parent_agency_id = health.agency_id
    assert call_as(service.organization.CreateAgency, request, narrow).depth == 2


def test_a_token_is_good_for_its_audiences_alone(service):
    token = service.token(audiences=["finance"])

    answer = refused(service.persons.ListPersons, person_pb2.ListPersonsRequest(), token)

    assert answer.code is grpc.StatusCode.UNAUTHENTICATED


def test_issuing_is_recorded_and_the_token_is_stored_nowhere(service):
    token = service.issued().access_token

    with psycopg.connect(service.settings.database_reader_url) as connection:
        audits = connection.execute("select subject, resource, details from audit").fetchall()
        [[stored]] = connection.execute("select count(*) from idempotency").fetchall()
        text = str(connection.execute("select t::text from audit t").fetchall())

    assert audits == [
        (
            "anonymous",
            "tokens/operator",
            {"client_id": "operator", "subject": "operator", "audiences": ["identity"], "agencies_named": 0},
        )
    ]
    assert stored == 0
    assert token.split(".")[2] not in text


def test_used_assertions_are_forgotten_once_they_have_expired(database, tmp_path):
    fresh = database("identity")

    def remembered() -> list[str]:
        with psycopg.connect(fresh.owner_url) as connection:
            return [row[0] for row in connection.execute("select jti from client_assertion order by jti")]

    with psycopg.connect(fresh.owner_url) as connection:
        connection.execute(
            "insert into client_assertion (client_id, jti, expires_at)"
            " values ('portal', 'past', now() - interval '1 second'),"
            " ('portal', 'still good', now() + interval '1 hour')"
        )

    with identity(fresh, tmp_path):
        wait_until(lambda: remembered() == ["still good"], what="the end of the expired assertion")


def test_the_keys_of_the_first_start_are_those_of_the_next(database, tmp_path):
    fresh = database("identity")
    with identity(fresh, tmp_path) as service:
        person = service.registered()
        token = service.token()
    kept = {name: (tmp_path / name).read_bytes() for name in ("token_keys.json", "sealing_keys.json")}

    with identity(fresh, tmp_path) as service:
        shown = call_as(service.persons.GetPerson, person_pb2.GetPersonRequest(name=person.name), token)

    assert shown == person
    assert kept == {name: (tmp_path / name).read_bytes() for name in kept}
    assert (tmp_path / "token_keys.json").stat().st_mode & 0o777 == 0o600


def test_a_second_key_is_published_and_the_first_signs(tmp_path):
    keys = [auth.new_key("new"), auth.new_key("old")]
    file = tmp_path / "token_keys.json"
    file.write_text(json.dumps({"keys": [dict(key.as_dict(private=True)) for key in keys]}))

    found = TokenKeys.from_file(file)

    assert found.signing.kid == "new"
    assert [key["kid"] for key in found.public()["keys"]] == ["new", "old"]
    assert ISSUER not in json.dumps(found.public())
