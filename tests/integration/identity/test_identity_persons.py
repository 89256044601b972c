"""PersonService over the wire, on PostgreSQL."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis import telemetry
from chassis.testing import call_as, refused
from kelola.identity.v1 import identity_number_pb2, person_events_pb2, person_pb2
from tests.integration.identity.identity_service import Identity, a_person, identity, national_id, request_id


def rows(service: Identity, query: str, *parameters) -> list[tuple]:
    with psycopg.connect(service.settings.database_reader_url) as connection:
        return connection.execute(query, parameters).fetchall()


def full(service: Identity, person: person_pb2.Person, token: str) -> person_pb2.Person:
    request = person_pb2.GetPersonRequest(name=person.name, view=person_pb2.PERSON_VIEW_FULL)
    return call_as(service.persons.GetPerson, request, token)


def updated(service: Identity, person: person_pb2.Person, token: str, paths: list[str]) -> person_pb2.Person:
    request = person_pb2.UpdatePersonRequest(person=person, update_mask=FieldMask(paths=paths), request_id=request_id())
    return call_as(service.persons.UpdatePerson, request, token)


def test_a_registered_person_is_shown_masked_and_in_full_to_those_who_may(service):
    asked = a_person(
        "Siti Rahmawati",
        birth_place="Bandung",
        tax_number="999999998999000",
        civil_servant_number="199008172015032999",
        email="siti@example.invalid",
        phone="+62 22 1234567",
    )

    person = service.registered(asked)

    assert person.full_name == "S*** R***"
    assert person.national_id == "*" * 12 + asked.national_id[-4:]
    assert person.tax_number == "************9000"
    assert (person.email, person.phone, person.birth_place, person.sex) == ("", "", "", 0)
    assert not person.HasField("birth_date")
    shown = full(service, person, service.token())
    for field in ("national_id", "full_name", "birth_place", "sex", "civil_servant_number", "email", "phone"):
        assert getattr(shown, field) == getattr(asked, field)
    assert shown.birth_date == asked.birth_date
    assert shown.tax_number == "0999999998999000"
    assert list(shown.warnings) == []


def test_nothing_personal_lies_in_the_clear_in_database_logs_spans_or_refusals(database, tmp_path, caplog):
    asked = a_person("Rahasia Kanari", birth_place="Kotakanari", email="kanari@example.invalid")
    refusals = []

    with identity(database("identity"), tmp_path) as service:
        person, token = service.registered(asked), service.token()
        full(service, person, token)
        person.phone = "+62 99 8877665544"
        updated(service, person, token, ["phone"])
        look_up = person_pb2.LookUpPersonRequest(national_id=asked.national_id)
        call_as(service.persons.LookUpPerson, look_up, token)
        for wrong in ({}, {"full_name": "Kanari " * 40}, {"email": "kanari@"}, {"phone": "8877665544 Kanari"}):
            twin = a_person(**{"full_name": "Rahasia", "national_id": asked.national_id, **wrong})
            request = person_pb2.RegisterPersonRequest(person=twin, request_id=request_id())
            refusals.append(str(refused(service.persons.RegisterPerson, request, token)))
        tables = [
            row[0]
            for row in rows(
                service,
                "select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'",
            )
        ]
        dumped = "".join(
            str(row[0])
            for table in tables
            for row in rows(service, f"select encode(convert_to(t::text, 'UTF8'), 'escape') from {table} t")
        )
    telemetry.flush()
    spans = "".join(file.read_text() for file in (tmp_path / "spans").iterdir())

    assert "person" in tables
    places = {"database": dumped, "spans": spans, "log": caplog.text, "refusals": "".join(refusals)}
    assert person.person_id in dumped
    assert "RegisterPerson" in spans
    assert "RegisterPerson" in caplog.text
    for place, content in places.items():
        for secret in (asked.national_id, "Rahasia", "Kanari", "Kotakanari", "kanari@", "8877665544"):
            assert secret not in content, place
            assert secret.encode().hex() not in content, place


def test_a_national_id_is_registered_once_and_the_refusal_says_who_without_saying_anything_else(service):
    asked = a_person()
    person = service.registered(asked)
    twin = a_person("Orang Lain", national_id=asked.national_id)

    answer = refused(
        service.persons.RegisterPerson,
        person_pb2.RegisterPersonRequest(person=twin, request_id=request_id()),
        service.token(),
    )

    assert answer.code is grpc.StatusCode.ALREADY_EXISTS
    assert answer.reason == "PERSON_EXISTS"
    assert answer.metadata == {"person_id": person.person_id, "field": "person.national_id"}
    assert asked.national_id not in answer.message


@pytest.mark.parametrize(
    ("field", "value"), [("tax_number", "0999999998999000"), ("civil_servant_number", "199008172015032999")]
)
def test_the_other_numbers_belong_to_one_person_too(service, field, value):
    first, second = service.registered(a_person(**{field: value})), service.registered()
    token = service.token()

    by_registration = refused(
        service.persons.RegisterPerson,
        person_pb2.RegisterPersonRequest(person=a_person(**{field: value}), request_id=request_id()),
        token,
    )
    by_change = refused(
        service.persons.UpdatePerson,
        person_pb2.UpdatePersonRequest(
            person=person_pb2.Person(name=second.name, **{field: value}),
            update_mask=FieldMask(paths=[field]),
            request_id=request_id(),
        ),
        token,
    )

    for answer in (by_registration, by_change):
        assert answer.code is grpc.StatusCode.ALREADY_EXISTS
        assert answer.metadata["person_id"] == first.person_id


def test_of_sixteen_at_once_with_one_national_id_one_is_registered(service):
    asked, token = a_person(), service.token()

    def register(_: int) -> str:
        try:
            request = person_pb2.RegisterPersonRequest(person=asked, request_id=request_id())
            return call_as(service.persons.RegisterPerson, request, token).person.person_id
        except grpc.RpcError as failure:
            return failure.code().name

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(register, range(16)))

    assert answers.count("ALREADY_EXISTS") == 15
    assert rows(service, "select count(*) from person") == [(1,)]
    assert rows(service, "select count(*) from outbox") == [(1,)]


def test_a_repeated_request_id_returns_the_first_answer_and_registers_nobody_else(service):
    token = service.token()
    request = person_pb2.RegisterPersonRequest(person=a_person(), request_id=request_id())

    first = call_as(service.persons.RegisterPerson, request, token)
    again = call_as(service.persons.RegisterPerson, request, service.token())
    request.person.full_name = "Orang Lain"
    mismatch = refused(service.persons.RegisterPerson, request, token)

    assert again.SerializeToString() == first.SerializeToString()
    assert mismatch.reason == "IDEMPOTENCY_MISMATCH"
    assert rows(service, "select count(*) from person") == [(1,)]


def test_the_event_carries_the_id_and_nothing_else(service):
    person = service.registered()

    [(topic, key, sequence, agency_id, body)] = rows(
        service, "select topic, key, sequence, agency_id, body from outbox"
    )

    assert (topic, key, sequence, agency_id) == ("kelola.identity.person.v1", person.person_id, 1, None)
    assert person_events_pb2.PersonRegistered.FromString(body) == person_events_pb2.PersonRegistered(
        person_id=person.person_id
    )


def test_a_person_is_found_by_national_id_and_an_unknown_number_is_not_repeated(service):
    asked = a_person()
    person, token = service.registered(asked), service.token()

    found = call_as(service.persons.LookUpPerson, person_pb2.LookUpPersonRequest(national_id=asked.national_id), token)
    unknown = national_id(date(1971, 1, 1), person_pb2.SEX_MALE, serial=9999)
    missing = refused(service.persons.LookUpPerson, person_pb2.LookUpPersonRequest(national_id=unknown), token)

    assert found.person == person
    assert missing.code is grpc.StatusCode.NOT_FOUND
    assert unknown not in missing.message


def test_readings_of_personal_data_are_recorded_with_the_fields_seen(service):
    administrator, other = service.registered(), service.registered(a_person("Budi Santoso"))
    government = service.created_agency("11")
    service.granted(administrator, "identity.administrator", government)
    token = service.token(administrator.person_id)

    call_as(service.persons.GetPerson, person_pb2.GetPersonRequest(name=other.name), token)
    full(service, other, token)

    found = rows(
        service, "select action, person_id::text, resource, details from audit where resource = %s", other.name
    )
    recorded = [row for row in found if "read_fields" in row[3]]
    assert recorded == [
        (
            "kelola.identity.v1.PersonService.GetPerson",
            administrator.person_id,
            other.name,
            {"read_fields": ["birth_date", "full_name", "national_id", "sex"]},
        )
    ]


def test_the_full_view_needs_its_own_permission(service):
    person, auditor = service.registered(), service.registered(a_person("Agus Auditor"))
    service.granted(auditor, "auditor", service.created_agency("11"))
    token = service.token(auditor.person_id)

    masked = call_as(service.persons.GetPerson, person_pb2.GetPersonRequest(name=person.name), token)
    answer = refused(
        service.persons.GetPerson,
        person_pb2.GetPersonRequest(name=person.name, view=person_pb2.PERSON_VIEW_FULL),
        token,
    )

    assert masked == person
    assert answer.code is grpc.StatusCode.PERMISSION_DENIED
    assert answer.metadata["permission"] == "identity.person.read_personal_data"


def test_pages_give_every_person_once_while_others_are_registered(service):
    token = service.token()
    there = [service.registered(token=token).person_id for _ in range(7)]

    seen, page_token = [], ""
    while True:
        page = call_as(
            service.persons.ListPersons,
            person_pb2.ListPersonsRequest(page_size=3, page_token=page_token),
            token,
        )
        seen += [person.person_id for person in page.persons]
        page_token = page.next_page_token
        if not page_token:
            break
        if len(seen) < 7:
            service.registered(token=token)

    assert [person_id for person_id in seen if person_id in there] == there
    assert len(seen) == len(set(seen))


def test_a_change_is_written_emitted_and_answered_masked(service):
    token = service.token()
    person = full(service, service.registered(token=token), token)
    person.full_name, person.email, person.national_id = "Siti Aminah", "aminah@example.invalid", "ignored"

    answer = updated(service, person, token, ["full_name", "email", "updated_at"])

    assert (answer.full_name, answer.email, answer.etag) == ("S*** A***", "", "2")
    shown = full(service, person, token)
    assert (shown.full_name, shown.email) == ("Siti Aminah", "aminah@example.invalid")
    assert rows(service, "select type, sequence from outbox order by id") == [
        ("kelola.identity.v1.PersonRegistered", 1),
        ("kelola.identity.v1.PersonUpdated", 2),
    ]


def test_read_then_write_with_the_same_mask_changes_nothing(service):
    token = service.token()
    person = full(service, service.registered(token=token), token)

    answer = updated(service, person, token, ["full_name", "birth_date", "sex", "tax_number"])

    assert answer.etag == "1"
    assert rows(service, "select count(*) from outbox") == [(1,)]


def test_the_national_id_cannot_be_changed(service):
    token = service.token()
    request = person_pb2.UpdatePersonRequest(
        person=service.registered(token=token),
        update_mask=FieldMask(paths=["national_id"]),
        request_id=request_id(),
    )

    answer = refused(service.persons.UpdatePerson, request, token)

    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("update_mask",))


def test_of_eight_writers_with_one_etag_one_wins(service):
    token = service.token()
    person = full(service, service.registered(token=token), token)

    def write(number: int) -> str:
        mine = person_pb2.Person()
        mine.CopyFrom(person)
        mine.phone = f"+62 22 12345{number}"
        try:
            return updated(service, mine, token, ["phone"]).etag
        except grpc.RpcError as failure:
            return failure.code().name

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(8)))

    assert sorted(answers) == ["2"] + ["ABORTED"] * 7


def test_an_odd_number_is_registered_and_noted(service):
    asked = a_person(national_id=national_id(date(1991, 8, 17), person_pb2.SEX_MALE))

    person = service.registered(asked)

    assert [identity_number_pb2.IdentityNumberWarning.Name(number) for number in person.warnings] == [
        "IDENTITY_NUMBER_WARNING_NATIONAL_ID_BIRTH_DATE_DIFFERS",
        "IDENTITY_NUMBER_WARNING_NATIONAL_ID_SEX_DIFFERS",
    ]


def test_what_is_wrong_is_named_by_its_field(service):
    for fields, named in [
        ({"national_id": "3273991713909991"}, "person.national_id"),
        ({"full_name": " "}, "person.full_name"),
        ({"sex": person_pb2.SEX_UNSPECIFIED, "national_id": "3273991708909991"}, "person.sex"),
        ({"born": date(2099, 1, 1)}, "person.birth_date"),
        ({"full_name": "x" * 201}, "person.full_name"),
    ]:
        request = person_pb2.RegisterPersonRequest(person=a_person(**fields), request_id=request_id())

        answer = refused(service.persons.RegisterPerson, request, service.token())

        assert (fields, answer.code, answer.fields) == (fields, grpc.StatusCode.INVALID_ARGUMENT, (named,))


def test_a_database_of_other_keys_is_refused_before_a_duplicate_slips_in(service):
    token = service.token()
    service.registered(token=token)
    with psycopg.connect(service.settings.database_owner_url) as connection:
        connection.execute("update person set index_key_id = 'another'")

    answer = refused(
        service.persons.RegisterPerson,
        person_pb2.RegisterPersonRequest(person=a_person(), request_id=request_id()),
        token,
    )

    assert answer.reason == "SEALING_KEY_FOREIGN"
    assert json.loads(service.settings.key_file("sealing_keys").read_text())["current"] == "1"
