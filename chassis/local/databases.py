"""A service's database and its three roles on the embedded server.

Each service owns one database and reaches it by roles of its own, never as superuser: `<service>_owner` migrates,
`<service>_app` serves calls behind row-level security, `<service>_reader` reads all rows for the relay, `verify`
and the audit. `chassis.migrate.provision` makes them, here and in production; this module makes the passwords.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from chassis import migrate
from chassis.local.postgres import PostgresServer
from chassis.settings import ServiceSettings


@dataclass(frozen=True)
class ServiceDatabase:
    """Where a service's database is: one URL a role."""

    service: str
    name: str
    owner_url: str
    app_url: str
    reader_url: str

    def environment(self) -> dict[str, str]:
        """The variables from which `chassis.settings` takes the URLs."""
        return {
            "KELOLA_DATABASE_OWNER_URL": self.owner_url,
            "KELOLA_DATABASE_APP_URL": self.app_url,
            "KELOLA_DATABASE_READER_URL": self.reader_url,
        }

    def settings(self) -> ServiceSettings:
        """Settings that know the database and nothing else: enough to migrate, verify or relay."""
        return ServiceSettings(
            service=self.service,
            database_owner_url=self.owner_url,
            database_app_url=self.app_url,
            database_reader_url=self.reader_url,
        )


def prepare(
    server: PostgresServer, service: str, *, name: str | None = None, template: str | None = None
) -> ServiceDatabase:
    """Make the roles and the database (`name`, by default the service's) unless they are there. Safe to repeat.

    `template` is a database to copy, with its tables and rights; nobody may be connected to it.
    """
    name = name or service
    passwords = _passwords(server, service)
    roles = migrate.role_names(service)
    urls = [server.url(name, role, password) for role, password in zip(roles, passwords, strict=True)]
    database = ServiceDatabase(service, name, *urls)
    if template is not None:
        with server.connect() as connection:
            parts = [sql.Identifier(part) for part in (name, roles[0], template)]
            connection.execute(sql.SQL("create database {} owner {} template {}").format(*parts))
            # The rights on the database itself are not copied: without this, every role could connect.
            connection.execute(sql.SQL("revoke all on database {} from public").format(parts[0]))
    migrate.provision(server.url(), database.settings())
    return database


def _passwords(server: PostgresServer, service: str) -> list[str]:
    """Owner's, app's and reader's passwords: made once, kept beside the data, readable by our user alone."""
    kept = server.directory / "roles" / f"{service}.json"
    if kept.exists():
        found: list[str] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    made = [secrets.token_urlsafe(18) for _ in migrate.role_names(service)]
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(kept, json.dumps(made))
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that only our user may read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.rename(path)
