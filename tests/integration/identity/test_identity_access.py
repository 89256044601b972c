"""AccessService over the wire, and the wall in the database behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import grpc
import psycopg
import pytest
from google.type import date_pb2

from chassis.clock import BusinessClock
from chassis.testing import call_as, refused
from kelola.identity.v1 import access_events_pb2, access_pb2
from services.identity.tables import OUTSIDE_THE_WALL
from tests.integration.identity.identity_service import Identity, a_person, request_id


@pytest.fixture
def tree(service: Identity):
    """A government with two agencies."""
    government = service.created_agency("11")
    token = service.token()
    return (
        government,
        service.created_agency("1.02", government, token=token),
        service.created_agency("1.03", government, token=token),
    )


def grant_request(person, role: str, agency, **fields) -> access_pb2.CreateGrantRequest:
    grant = access_pb2.Grant(person_id=person.person_id, role=role, agency_id=agency.agency_id, **fields)
    return access_pb2.CreateGrantRequest(grant=grant, request_id=request_id())


def a_day(service: Identity, offset: int) -> date_pb2.Date:
    day = BusinessClock.of(service.settings).today() + timedelta(days=offset)
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def listed(service: Identity, token: str, **fields) -> list[str]:
    request = access_pb2.ListGrantsRequest(**fields)
    return [grant.grant_id for grant in call_as(service.access.ListGrants, request, token).grants]


def revoked(service: Identity, grant, token: str) -> access_pb2.Grant:
    request = access_pb2.RevokeGrantRequest(name=grant.name, reason="moved", request_id=request_id())
    return call_as(service.access.RevokeGrant, request, token).grant


def test_roles_are_those_of_the_policies(service):
    token = service.token()

    roles = {role.role: role for role in call_as(service.access.ListRoles, access_pb2.ListRolesRequest(), token).roles}

    administrator = roles["identity.administrator"]
    assert administrator.grantable
    assert "identity.grant.create" in administrator.permissions
    assert "identity.government.create" not in administrator.permissions
    assert not roles["operator"].grantable
    assert not roles["service.hr"].grantable


def test_pages_of_roles_give_each_once(service):
    token = service.token()
    whole = call_as(service.access.ListRoles, access_pb2.ListRolesRequest(page_size=500), token)

    names, page_token = [], ""
    while True:
        page = call_as(service.access.ListRoles, access_pb2.ListRolesRequest(page_size=2, page_token=page_token), token)
        names += [role.name for role in page.roles]
        page_token = page.next_page_token
        if not page_token:
            break

    assert names == [role.name for role in whole.roles]


def test_nobody_grants_to_himself_through_whatever_role(service, tree):
    government, health, _ = tree
    person, other = service.registered(), service.registered(a_person("Budi"))
    service.granted(person, "identity.administrator", government)
    token = service.token(person.person_id)

    answer = refused(service.access.CreateGrant, grant_request(person, "auditor", health), token)
    given = call_as(service.access.CreateGrant, grant_request(other, "auditor", health), token)

    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "OWN_GRANT")
    assert given.granted_by_person_id == person.person_id
    with psycopg.connect(service.settings.database_reader_url) as connection:
        denied = connection.execute("select details from audit where outcome = 'DENIED'").fetchall()
    assert [row[0]["reason"] for row in denied] == ["OWN_GRANT"]


def test_an_administrator_grants_and_sees_only_in_his_part_of_the_tree(service, tree):
    government, health, roads = tree
    administrator, person = service.registered(), service.registered(a_person("Budi"))
    above = service.granted(administrator, "auditor", government)
    own = service.granted(administrator, "identity.administrator", health)
    elsewhere = service.granted(person, "auditor", roads)
    token = service.token(administrator.person_id)
    here = call_as(service.access.CreateGrant, grant_request(person, "hr.officer", health), token)

    outside = refused(service.access.CreateGrant, grant_request(person, "hr.officer", roads), token)
    hidden = refused(
        service.access.RevokeGrant,
        access_pb2.RevokeGrantRequest(name=elsewhere.name, reason="x", request_id=request_id()),
        token,
    )

    assert outside.code is grpc.StatusCode.PERMISSION_DENIED
    assert hidden.code is grpc.StatusCode.NOT_FOUND
    # As an auditor of the whole government the same person reads every grant.
    assert listed(service, token) == [above.grant_id, own.grant_id, elsewhere.grant_id, here.grant_id]
    revoked(service, above, service.token())
    narrower = service.token(administrator.person_id)
    assert listed(service, narrower) == [own.grant_id, here.grant_id]
    assert listed(service, narrower, person_id=person.person_id) == [here.grant_id]
    assert listed(service, narrower, role="identity.administrator") == [own.grant_id]


def test_an_overlap_is_refused_and_the_days_after_are_free(service, tree):
    _, health, _ = tree
    person, token = service.registered(), service.token()
    first = service.granted(person, "auditor", health, valid_to=a_day(service, 10))

    overlap = refused(
        service.access.CreateGrant, grant_request(person, "auditor", health, valid_from=a_day(service, 9)), token
    )
    after = call_as(
        service.access.CreateGrant,
        grant_request(person, "auditor", health, valid_from=a_day(service, 10)),
        token,
    )

    assert (overlap.reason, overlap.metadata["grant_id"]) == ("GRANT_OVERLAPS", first.grant_id)
    assert after.valid_from == a_day(service, 10)
    assert not after.HasField("valid_to")


def test_of_eight_equal_grants_at_once_one_is_made(service, tree):
    _, health, _ = tree
    person, token = service.registered(), service.token()

    def grant(_: int) -> str:
        try:
            call_as(service.access.CreateGrant, grant_request(person, "auditor", health), token)
        except grpc.RpcError as failure:
            return failure.code().name
        return "OK"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(grant, range(8)))

    assert sorted(answers) == ["ALREADY_EXISTS"] * 7 + ["OK"]


def test_a_revoked_grant_is_out_of_the_next_token_and_kept_for_the_record(service, tree):
    _, health, _ = tree
    person, token = service.registered(), service.token()
    grant = service.granted(person, "identity.administrator", health)
    before = service.token(person.person_id)

    ended = revoked(service, grant, token)

    assert ended.revocation_reason == "moved"
    assert ended.HasField("revoked_at")
    assert listed(service, token) == []
    assert listed(service, token, include_ended=True) == [grant.grant_id]
    after = service.token(person.person_id)
    assert refused(service.access.ListGrants, access_pb2.ListGrantsRequest(), after).code is (
        grpc.StatusCode.PERMISSION_DENIED
    )
    assert listed(service, before) == []
    again = refused(
        service.access.RevokeGrant,
        access_pb2.RevokeGrantRequest(name=grant.name, reason="again", request_id=request_id()),
        token,
    )
    assert again.reason == "GRANT_REVOKED"


def test_the_events_carry_the_grant_and_its_agency(service, tree):
    _, health, _ = tree
    person = service.registered()
    grant = service.granted(person, "auditor", health)
    revoked(service, grant, service.token())

    with psycopg.connect(service.settings.database_reader_url) as connection:
        events = connection.execute(
            "select type, key, agency_id::text, sequence, body from outbox"
            " where topic = 'kelola.identity.access.v1' order by id"
        ).fetchall()

    assert [row[:4] for row in events] == [
        ("kelola.identity.v1.GrantCreated", grant.grant_id, health.agency_id, 1),
        ("kelola.identity.v1.GrantRevoked", grant.grant_id, health.agency_id, 2),
    ]
    event = access_events_pb2.GrantCreated.FromString(events[0][4])
    assert (event.person_id, event.role, event.valid_from) == (person.person_id, "auditor", a_day(service, 0))


def test_a_grant_that_cannot_be_is_refused(service, tree):
    for fields, code, reason in [
        ({"role": "finance.emperor"}, grpc.StatusCode.INVALID_ARGUMENT, "ROLE_UNKNOWN"),
        ({"role": "operator"}, grpc.StatusCode.INVALID_ARGUMENT, "ROLE_UNKNOWN"),
        ({"person_id": str(uuid4())}, grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        ({"agency_id": str(uuid4())}, grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
        ({"valid_to": date_pb2.Date(year=2001, month=1, day=1)}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"valid_to": date_pb2.Date(year=2001, month=13, day=1)}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ]:
        _, health, _ = tree
        request = grant_request(service.registered(), "auditor", health)
        request.grant.MergeFrom(access_pb2.Grant(**fields))

        answer = refused(service.access.CreateGrant, request, service.token())

        assert (fields, answer.code, answer.reason) == (fields, code, reason)


def test_the_wall_in_the_database_hides_grants_of_other_agencies(service, tree):
    _, health, roads = tree
    person = service.registered()
    service.granted(person, "auditor", health)
    service.granted(person, "auditor", roads)

    with psycopg.connect(service.settings.database_app_url) as connection:

        def seen(agencies: str | None) -> list[str]:
            if agencies is not None:
                connection.execute("select set_config('kelola.agencies', %s, true)", (agencies,))
            found = connection.execute("select agency_id::text from access_grant").fetchall()
            connection.rollback()
            return sorted(row[0] for row in found)

        assert seen(None) == []
        assert seen("") == []
        assert seen(health.agency_id) == [health.agency_id]
        assert seen(f"{health.agency_id},{roads.agency_id}") == sorted([health.agency_id, roads.agency_id])
        connection.execute("select set_config('kelola.agencies', %s, true)", (health.agency_id,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "insert into access_grant (grant_id, person_id, role, agency_id, valid_from, created_at,"
                " revocation_reason) values (gen_random_uuid(), %s, 'auditor', %s, current_date, now(), '')",
                (person.person_id, roads.agency_id),
            )


def test_tables_with_an_agency_are_behind_the_wall_unless_they_are_listed(service):
    with psycopg.connect(service.settings.database_reader_url) as connection:
        open_tables = {
            row[0]
            for row in connection.execute(
                "select relname from pg_class join pg_attribute on attrelid = pg_class.oid"
                " where relkind = 'r' and relnamespace = 'public'::regnamespace and attname = 'agency_id'"
                " and not (relrowsecurity and relforcerowsecurity)"
            )
        }

    assert open_tables - {"outbox", "audit", "saga", "operation"} == {"agency"}
    assert "agency" in OUTSIDE_THE_WALL


def test_the_database_itself_refuses_a_grant_by_its_holder(service, tree):
    _, health, _ = tree
    grant = service.granted(service.registered(), "auditor", health)

    with psycopg.connect(service.settings.database_app_url) as connection:
        connection.execute("select set_config('kelola.agencies', %s, true)", (health.agency_id,))
        with pytest.raises(psycopg.errors.CheckViolation, match="maker_is_not_holder"):
            connection.execute(
                "update access_grant set granted_by_person_id = person_id where grant_id = %s", (grant.grant_id,)
            )
