"""The migrations make what the tables say, behind the agency wall."""

from __future__ import annotations

import importlib
import pkgutil

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

import services.finance
from chassis.database import sqlalchemy_url
from chassis.tables import SHARED_TABLES
from services.finance.tables import FinanceTable
from tests.integration.finance.books import Agency, Books, line

# The classification belongs to the whole government; what else has no wall is named here, with its reason.
WITHOUT_A_WALL = {"account", "dimension_value", "account_mapping", "virement_rule"}

# What is imported is in the MetaData: the tables of every area, whatever areas there are.
for _module in pkgutil.walk_packages(services.finance.__path__, "services.finance."):
    if _module.name.endswith(".tables"):
        importlib.import_module(_module.name)


def test_the_migrations_make_what_the_tables_say(books: Books):
    engine = create_engine(sqlalchemy_url(books.superuser_url))
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), FinanceTable.metadata)
    engine.dispose()

    assert differences == []


def test_every_table_of_an_agency_is_behind_the_wall(books: Books):
    engine = create_engine(sqlalchemy_url(books.superuser_url))
    with engine.connect() as connection:
        walls = dict(
            connection.execute(
                text("select relname, relrowsecurity and relforcerowsecurity from pg_class where relkind = 'r'")
            )
            .tuples()
            .all()
        )
    engine.dispose()

    tables = set(FinanceTable.metadata.tables) - set(SHARED_TABLES)
    open_tables = {name for name in tables if not walls[name]}
    assert open_tables == {name for name in tables if "agency_id" not in FinanceTable.metadata.tables[name].columns}
    assert open_tables >= WITHOUT_A_WALL


def test_the_app_sees_no_books_without_an_agency_and_edits_no_line(books: Books, agency: Agency):
    agency.post(agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5)))

    engine = create_engine(sqlalchemy_url(books.database.app_url))
    with engine.connect() as connection:
        seen = {
            table: connection.execute(text(f"select count(*) from {table}")).scalar_one()
            for table in (
                *("journal_entry", "journal_line", "account_balance", "account_turnover"),
                *("fiscal_period", "budget_line"),
            )
        }
        rights = {
            (table, right): connection.execute(
                text("select has_table_privilege(current_user, :table, :right)"), {"table": table, "right": right}
            ).scalar_one()
            for table in ("journal_entry", "journal_line", "funds_movement")
            for right in ("update", "delete", "truncate")
        }
    engine.dispose()

    assert set(seen.values()) == {0}
    assert not any(rights.values()), rights
