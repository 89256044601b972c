"""Migrations: Alembic by `Config()`, without an ini file; an advisory lock first, so that running twice is safe.

A service keeps only its revisions, `services/<service>/migrations/0001_title.py`; `env.py` is the chassis's.

    revision, down_revision = "finance_0001", None
    def upgrade():
        migrate.shared_tables(op, "finance")
        op.create_table("budget_line", ...)
        migrate.secure(op, "finance", "budget_line")
        migrate.secure(op, "finance", "fiscal_period", agency=False, app="select")

Three roles a service: `<service>_owner` runs migrations and owns the tables; `<service>_app` serves calls and is
never owner or superuser; `<service>_reader` reads all and writes only the relay's marks.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from chassis import shared_schema
from chassis.database import sqlalchemy_url
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.migrate")

# Any number, the same for all: one migration at a time in a database.
_LOCK = 5_107_001
# The same for the making of roles and databases, which belong to the whole server.
_SERVER_LOCK = 5_107_002
_ENVIRONMENT = Path(__file__).parent / "alembic_environment"

# A migration that cannot get its lock gives up instead of making every call wait behind it.
_LOCK_TIMEOUT_SECONDS = 10

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")

# Unset and empty see nothing: the setting of a pooled connection is '' after a commit, not null.
# The sub-select is worked out once a statement; without it the text would be cut and cast anew for every row.
_SEES_AGENCY = (
    "agency_id = any ((select string_to_array(current_setting('kelola.agencies', true), ',')::uuid[])::uuid[])"
)


def secure(op: Any, service: str, table: str, *, agency: bool = True, app: str = "select, insert, update") -> None:
    """Grant the service's roles what they need on `table`, and put it behind the agency wall (`agency`).

    `app` are the privileges of `<service>_app`, for instance "select, insert" on what is only ever added. A table
    without an `agency_id` is given `agency=False`, which is thereby visible in review.
    """
    for name in (service, table):
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no snake_case name")
    if not re.fullmatch(r"(select|insert|update|delete)(, (select|insert|update|delete))*", app):
        raise ValueError(f"app={app!r}: name some of select, insert, update, delete")
    op.execute(f"revoke all on {table} from public")
    op.execute(f"grant {app} on {table} to {service}_app")
    op.execute(f"grant select on {table} to {service}_reader")
    if agency:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy agency_wall on {table} using ({_SEES_AGENCY}) with check ({_SEES_AGENCY})")
        op.execute(f"create policy reader_sees_all on {table} for select to {service}_reader using (true)")


def shared_tables(op: Any, service: str) -> None:
    """Make the shared tables of `chassis.tables` and grant their rights. Call it in the first revision."""
    shared_schema.create(op, service)


def run(settings: ServiceSettings, base: type[SQLModel], *, migrations: Path | None = None, to: str = "head") -> None:
    """Bring the service's database to the newest revision; safe to run several times at once.

    The roles are made when they are missing and the connecting role may make roles. `migrations` is the folder of
    revisions; the default is `migrations/` beside the module that defines `base`. `to` is the revision to stop at: what
    a later one does to books is tried on books of the one before it.
    """
    if settings.database_owner_url is None:
        raise ValueError("set KELOLA_DATABASE_OWNER_URL: migrations run as the database's owner")
    folder = migrations or Path(str(_module(base).__file__)).parent / "migrations"
    engine = create_engine(sqlalchemy_url(settings.database_owner_url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
            connection.commit()
            try:
                _create_roles(connection.connection.driver_connection, settings)
                connection.commit()
                connection.execute(text(f"set lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'"))
                connection.commit()
                config = Config()
                config.set_main_option("script_location", str(_ENVIRONMENT).replace("%", "%%"))
                config.set_main_option("path_separator", "newline")
                config.set_main_option("version_locations", str(folder).replace("%", "%%"))
                config.attributes.update(connection=connection, metadata=base.metadata)
                command.upgrade(config, to)
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
                connection.commit()
    finally:
        engine.dispose()
    log.info("database migrated", service=settings.service)


def provision(admin_url: str, settings: ServiceSettings) -> None:
    """Make the service's roles and its database on the server of `admin_url` (a superuser's); safe to repeat.

    Names and passwords are those of the settings' three URLs; a role that is there gets the password anew.
    """
    if settings.database_owner_url is None:
        raise ValueError("set KELOLA_DATABASE_OWNER_URL: it names the database to make")
    database = urlsplit(settings.database_owner_url).path.removeprefix("/")
    owner = role_names(settings.service)[0]
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_SERVER_LOCK,))
        _create_roles(connection, settings)
        if not connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            name = sql.Identifier(database)
            connection.execute(sql.SQL("create database {} owner {}").format(name, sql.Identifier(owner)))
            connection.execute(sql.SQL("revoke all on database {} from public").format(name))
        connection.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(database), sql.SQL(", ").join(map(sql.Identifier, role_names(settings.service)))
            )
        )
        connection.execute("select pg_advisory_unlock(%s)", (_SERVER_LOCK,))


def role_names(service: str) -> tuple[str, str, str]:
    """The service's three roles: owner, app, reader."""
    return f"{service}_owner", f"{service}_app", f"{service}_reader"


def _module(base: type) -> ModuleType:
    return importlib.import_module(base.__module__)


def _create_roles(connection: Any, settings: ServiceSettings) -> None:
    """Make the roles that are missing, with the passwords of the URLs."""
    urls = (settings.database_owner_url, settings.database_app_url, settings.database_reader_url)
    roles = role_names(settings.service)
    for role, url in zip(roles, urls, strict=True):
        parts = urlsplit(url or "")
        if url and parts.username and unquote(parts.username) != role:
            raise ValueError(f"the URL of role {role} names the user {parts.username}: each role has its own URL")
    present = {
        row[0]
        for row in connection.execute(
            "select rolname from pg_roles where rolname = any (%s)", (list(roles),)
        ).fetchall()
    }
    may = connection.execute("select rolsuper or rolcreaterole from pg_roles where rolname = current_user").fetchone()[
        0
    ]
    missing = [role for role in roles if role not in present]
    if missing and not may:
        raise ValueError(
            f"the roles {', '.join(missing)} are missing and this connection may not make roles: "
            "run `kelola migrate` once with an administrator's URL"
        )
    if not may:
        return
    for role, url in zip(roles, urls, strict=True):
        password = unquote(urlsplit(url or "").password or "")
        options = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
        verb = "alter" if role in present else "create"
        statement = sql.SQL(f"{verb} role {{}} {options}").format(sql.Identifier(role))
        if password:
            statement += sql.SQL(" password {}").format(sql.Literal(password))
        connection.execute(statement)
