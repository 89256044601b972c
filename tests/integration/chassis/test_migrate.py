"""Migrations: safe when run at once, roles that may what they need, every table walled or listed."""

from __future__ import annotations

import threading

import psycopg
import pytest

from chassis import migrate, shared_schema, tables
from tests.integration.chassis import parcels


def test_three_migrations_at_once_all_succeed(database):
    settings = database("parcels", migrate=False).settings()
    failures: list[BaseException] = []

    def upgrade():
        try:
            migrate.run(settings, parcels.ParcelsTable, migrations=parcels.MIGRATIONS)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert parcels.query(settings, "select count(*) from relay_state")[0][0] == 1


def test_a_migration_run_again_changes_nothing(database):
    settings = parcels.migrated(database)

    migrate.run(settings, parcels.ParcelsTable, migrations=parcels.MIGRATIONS)

    assert parcels.query(settings, "select count(*) from relay_state")[0][0] == 1


def test_provisioning_twice_changes_nothing(database, postgres):
    settings = parcels.migrated(database)

    migrate.provision(postgres.url(), settings)

    assert parcels.query(settings, "select 1 as one")[0].one == 1


def test_roles_hold_no_more_than_they_need(database, postgres):
    parcels.migrated(database)

    with postgres.connect() as admin:
        rows = admin.execute(
            "select rolname from pg_roles where rolname = any (%s)"
            " and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)",
            (list(migrate.role_names("parcels")),),
        ).fetchall()

    assert rows == []


def test_every_table_with_an_agency_is_walled_or_listed(database):
    settings = parcels.migrated(database)

    rows = parcels.query(
        settings,
        "select c.relname, c.relrowsecurity and c.relforcerowsecurity as walled from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid and a.attname = 'agency_id' and not a.attisdropped"
        " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    )

    assert {row.relname for row in rows if not row.walled} <= set(tables.SHARED_TABLES)
    assert {row.relname for row in rows if row.walled} == {"parcel", "arrival"}


def test_the_shared_tables_of_the_mixins_are_the_listed_ones():
    assert set(shared_schema.metadata().tables) == set(tables.SHARED_TABLES)


def test_the_database_is_closed_to_other_roles(database):
    one = parcels.migrated(database)
    other = database("greeter", migrate=False)

    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        name = one.database_app_url.rpartition("/")[2]
        psycopg.connect(other.app_url.rpartition("/")[0] + "/" + name)


@pytest.mark.parametrize("statement", ["delete from outbox", "update outbox set body = ''", "delete from audit"])
def test_the_app_cannot_undo_what_was_told(database, statement):
    settings = parcels.migrated(database)

    with psycopg.connect(settings.database_app_url) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["update audit set subject = 'x'", "delete from audit", "insert into parcel values (gen_random_uuid())"],
)
def test_the_reader_writes_only_the_relays_marks(database, statement):
    settings = parcels.migrated(database)

    with psycopg.connect(settings.database_reader_url) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_name_or_privilege_that_is_none_is_refused():
    with pytest.raises(ValueError, match="snake_case"):
        migrate.secure(None, "parcels", "parcel; drop table parcel")
    with pytest.raises(ValueError, match="app="):
        migrate.secure(None, "parcels", "parcel", app="all")
