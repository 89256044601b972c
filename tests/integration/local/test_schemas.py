"""Every service's database as its migrations make it: walls, rights, and amounts that cannot round."""

from __future__ import annotations

import importlib

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from chassis.local.services import service_names, table_base, upgrade
from chassis.settings import ROOT
from chassis.tables import SHARED_TABLES

# Tables with an agency_id that everybody may see, each with its reason.
_OPEN = {
    "identity": {"agency": "the tree of agencies is no secret: every service and every citizen may know it"},
}


@pytest.fixture(params=service_names())
def service(request) -> str:
    return request.param


@pytest.fixture
def connection(database, service):
    with psycopg.connect(database(service).superuser_url) as connection:
        yield connection


def _names(rows) -> list[str]:
    return sorted(row[0] for row in rows)


def test_every_table_of_an_agency_is_behind_the_wall(connection, service):
    open_tables = connection.execute(
        """
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p')
          and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'agency_id')
          and not (c.relrowsecurity and c.relforcerowsecurity
                   and exists (select 1 from pg_policy p where p.polrelid = c.oid))
        """
    )

    assert set(_names(open_tables)) - set(SHARED_TABLES) == set(_OPEN.get(service, {}))


def test_the_app_role_owns_nothing_and_cannot_rewrite_what_is_only_added(connection, service):
    owned = connection.execute(
        "select relname from pg_class where relowner in (select oid from pg_roles where rolname in (%s, %s))",
        (f"{service}_app", f"{service}_reader"),
    )
    editable_audit = connection.execute(
        "select has_table_privilege(%s, 'audit', 'update') or has_table_privilege(%s, 'audit', 'delete')",
        (f"{service}_app", f"{service}_app"),
    ).fetchone()

    assert _names(owned) == []
    assert editable_audit == (False,)


def test_amounts_are_whole_minor_units(connection):
    wrong = connection.execute(
        """
        select table_name || '.' || column_name || ' is ' || data_type from information_schema.columns
        where table_schema = 'public'
          and ((column_name like '%\\_minor' and data_type not in ('bigint', 'ARRAY'))
               or data_type in ('real', 'double precision', 'money'))
        """
    )

    assert _names(wrong) == []


def test_migrations_and_tables_say_the_same(database, service):
    made = database(service)
    base = table_base(service)
    for file in (ROOT / "services" / service).rglob("tables.py"):
        # The areas' tables join the metadata.
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))

    engine = create_engine(sqlalchemy_url(made.superuser_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [
            difference
            for difference in compare_metadata(context, base.metadata)
            # Indexes for queries that only SQL knows need no declaration.
            if not (isinstance(difference, tuple) and difference[0] == "remove_index")
        ]

    assert differences == []


def test_migrating_again_changes_nothing(database, service):
    made = database(service)

    upgrade(made.settings())

    with psycopg.connect(made.app_url) as connection:
        assert connection.execute("select count(*) from outbox").fetchone() == (0,)
