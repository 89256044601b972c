"""The migrations make what the tables say, and fill in what was there before."""

from __future__ import annotations

import importlib
from datetime import date

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from services.hr import service
from services.hr.tables import HrTable
from tests.integration.hr.conftest import Building
from tests.integration.hr.office import Office


def test_the_migrations_make_what_the_tables_say(building: Building) -> None:
    assert service.HrService.name == "hr"  # its areas' tables are registered by this import
    engine = create_engine(sqlalchemy_url(building.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in HrTable.metadata.tables}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), HrTable.metadata)

    assert differences == []


def test_runs_of_before_are_borne_by_the_calendar_year_of_their_month(building: Building, office: Office) -> None:
    office.hire(hired_on=date(2026, 4, 1))
    run = office.run(4)
    revision = importlib.import_module("services.hr.migrations.0002_fiscal_years")

    # As the owner, who is behind the wall as well: what a revision fills in must reach every agency's rows.
    engine = create_engine(sqlalchemy_url(building.database.owner_url), poolclass=NullPool)
    with engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        revision.downgrade()
        revision.upgrade()
        connection.execute(text("select set_config('kelola.agencies', :agency, true)"), {"agency": run.agency_id})
        found = connection.execute(text("select fiscal_year, year from payroll_run")).all()
        connection.rollback()

    assert found == [(2026, 2026)]
