"""Verify finds each broken invariant, and nothing in sound books."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.verify import verify
from services.identity import verify as own
from services.identity.tables import IdentityTable
from tests.integration.identity.identity_service import Identity, a_person


@pytest.fixture
def books(service: Identity, monkeypatch: pytest.MonkeyPatch) -> Identity:
    """Two persons, a government with an agency, two grants."""
    monkeypatch.setenv("KELOLA_DATA_DIR", str(service.settings.data_dir))
    operator = service.token()
    government = service.created_agency("11", token=operator)
    token = service.token()
    service.created_agency("1.02", government, token=token)
    numbers = {"tax_number": "0999999998999000", "civil_servant_number": "199008172015032999"}
    for name, known in (("Siti Rahmawati", numbers), ("Budi Santoso", {})):
        service.granted(service.registered(a_person(name, **known), token), "auditor", government, token)
    return service


def found(service: Identity) -> list[tuple[str, str]]:
    report = verify("identity", service.settings.database_reader_url, own=own.problems)
    return [(problem.invariant, problem.what) for problem in report.problems]


def as_superuser(service: Identity, statement: str) -> None:
    """Break the books past the service's rules and the wall."""
    url = service.settings.database_owner_url
    with psycopg.connect(url) as connection:
        # The owner may lift the wall and the checks; whoever can do that is whom verify is there for.
        for table in ("access_grant",):
            connection.execute(f"alter table {table} no force row level security")
            connection.execute(f"alter table {table} drop constraint if exists ck_access_grant_maker_is_not_holder")
            connection.execute(f"alter table {table} drop constraint if exists maker_is_not_holder")
        connection.execute(statement)


def test_sound_books_have_no_problem(books):
    assert found(books) == []


@pytest.mark.parametrize(
    ("statement", "invariant", "says"),
    [
        ("update access_grant set granted_by_person_id = person_id", "I9", "made by its holder"),
        (
            "update access_grant set granted_by_person_id = gen_random_uuid()",
            "I9",
            "who is no registered person",
        ),
        (
            "insert into access_grant select gen_random_uuid(), person_id, role, agency_id, valid_from + 3, null,"
            " null, created_at, null, null, '' from access_grant",
            "IDENTITY-1",
            "on the same days",
        ),
        ("update person set national_id_index = sha256(national_id_index)", "IDENTITY-2", "national_id_index"),
        (
            "update person set tax_number_index = null where tax_number_index is not null",
            "IDENTITY-2",
            "tax_number_index",
        ),
        ("update person set sealed = sealed || '\\x00'", "IDENTITY-2", "does not open"),
        (
            "update person set sealed = other.sealed, wrapped_key = other.wrapped_key"
            " from person as other where other.person_id <> person.person_id",
            "IDENTITY-2",
            "does not open",
        ),
        ("update agency set depth = 5 where depth = 1", "IDENTITY-3", "depth 5 after 0"),
        (
            "insert into audit (audit_id, action, outcome, subject, details) values (gen_random_uuid(), 'x', 'DONE',"
            " 'x', '{\"note\": \"of 3273991708909991\"}')",
            "I12",
            "audit",
        ),
        ("update outbox set body = body || convert_to(chr(16) || '3273991708909991', 'UTF8')", "I12", "outbox"),
    ],
)
def test_each_broken_invariant_is_named(books, statement, invariant, says):
    as_superuser(books, statement)

    problems = found(books)

    assert problems
    assert {name for name, _ in problems} == {invariant}
    assert all(says in what for _, what in problems)


def test_without_the_keys_the_rest_is_still_checked(books, monkeypatch):
    monkeypatch.setenv("KELOLA_DATA_DIR", str(books.settings.data_dir / "elsewhere"))

    as_superuser(books, "update agency set depth = 5 where depth = 1")

    assert [invariant for invariant, _ in found(books)] == ["IDENTITY-3"]


def test_the_migration_makes_what_the_tables_say(books):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    import services.identity.service  # noqa: F401  # every area's tables

    engine = create_engine(sqlalchemy_url(books.settings.database_owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, IdentityTable.metadata)
    engine.dispose()

    assert differences == []
