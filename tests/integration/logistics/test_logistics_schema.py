"""The migrations make what the tables say, and the wall stands where it should."""

from __future__ import annotations

from typing import Any

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from services.logistics import service
from services.logistics.tables import LogisticsTable

# Outside the wall by decision: what serves the whole government, and what the chassis keeps for the service.
OUTSIDE = {"item", "legal_entity", "supplier", "debarment"}


def test_the_migrations_make_what_the_tables_say(database: Any):
    assert service.LogisticsService.name == "logistics"  # its areas' tables are registered by this import
    engine = create_engine(sqlalchemy_url(database("logistics").owner_url), poolclass=NullPool)

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name in LogisticsTable.metadata.tables},
        )
        differences = compare_metadata(context, LogisticsTable.metadata)

    assert differences == []


def test_every_table_with_an_agency_is_behind_the_wall(database: Any):
    with psycopg.connect(database("logistics").superuser_url) as connection:
        rows = connection.execute(
            "select relname, relrowsecurity and relforcerowsecurity,"
            " exists (select 1 from pg_attribute where attrelid = pg_class.oid and attname = 'agency_id')"
            " from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        ).fetchall()
    ours = set(LogisticsTable.metadata.tables) & {name for name, _, _ in rows}
    shared = {
        table.__tablename__
        for table in LogisticsTable.__subclasses__()
        if table.__module__ == LogisticsTable.__module__
    }
    walled = {name for name, secured, _ in rows if secured and name in ours}

    assert OUTSIDE & walled == set()
    assert {name for name, _, has_agency in rows if has_agency and name in ours} - walled <= shared
    assert {"requisition", "purchase_order", "receipt", "stock_movement", "stock_cut", "number_series"} <= walled
