"""The databases from outside, by the readers' roles: how many rows each table has, and when all is at rest."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psycopg

from chassis.local.platform import Platform

# What the machinery writes about itself while nothing happens: the relay's place, signed heads, the days of its jobs;
# and audit, which grows with denied calls and with reads of personal data (its acts are counted apart).
_RESTLESS = {"alembic_version", "relay_state", "audit_head", "audit", "job"}
_PARTS = {
    # The relay tells of each signed head.
    "outbox": "where topic not like 'kelola.%.audit.v1'",
    # The service's own rounds are logged as time passes; what a person had run is an act.
    "job_run": "where person_id is not null",
}
# Used once, a row each: asking for a token is no business act.
_TOKENS = {"client_assertion"}

_TABLES = """
    select c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = 'public' order by 1
"""
_AT_REST = """
    select (select count(*) from outbox where sent_at is null and parked_at is null)
         + (select count(*) from saga where status in ('RUNNING', 'COMPENSATING'))
"""

Counts = Mapping[str, int]


def row_counts(platform: Platform) -> dict[str, int]:
    """`finance.journal_entry` -> rows, of every table of every service but those that are never at rest."""
    counts: dict[str, int] = {}
    for service, database in platform.databases.items():
        with psycopg.connect(database.reader_url) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                if table not in _RESTLESS | _TOKENS:
                    where = _PARTS.get(table, "")
                    row = connection.execute(f'select count(*) from "{table}" {where}').fetchone()
                    assert row is not None, "count(*) gives one row"
                    counts[f"{service}.{table}"] = row[0]
            done = connection.execute(
                "select count(*) from audit where outcome = 'DONE' and request_id is not null"
            ).fetchone()
            assert done is not None, "count(*) gives one row"
            counts[f"{service}.audit of acts"] = done[0]
    return counts


def changes(before: Counts, after: Counts) -> dict[str, str]:
    """The tables whose counts differ."""
    return {
        table: f"{before.get(table, 0)} -> {after.get(table, 0)}"
        for table in sorted({*before, *after})
        if before.get(table, 0) != after.get(table, 0)
    }


def at_rest(platform: Platform, *, seconds: float = 60.0, quiet_seconds: float = 1.0) -> dict[str, int]:
    """Wait until every event is sent, every saga has ended and no table grows; the counts then."""
    end = time.monotonic() + seconds
    counts, since = row_counts(platform), time.monotonic()
    while True:
        time.sleep(0.25)
        seen = row_counts(platform)
        if seen != counts or waiting(platform):
            counts, since = seen, time.monotonic()
        if time.monotonic() - since >= quiet_seconds:
            return counts
        assert time.monotonic() < end, f"the system is not at rest after {seconds:g} s: {waiting(platform)} wait"


def waiting(platform: Platform) -> int:
    """Events that are not sent and sagas that have not ended."""
    total = 0
    for database in platform.databases.values():
        with psycopg.connect(database.reader_url) as connection:
            row = connection.execute(_AT_REST).fetchone()
            assert row is not None, "a sum gives one row"
            total += row[0]
    return total


def one(platform: Platform, service: str, query: str, *values: object) -> tuple[object, ...]:
    """One row of a service's database."""
    with psycopg.connect(platform.databases[service].reader_url) as connection:
        row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]  # the tests' own queries
    assert row is not None, f"no row: {query}"
    return tuple(row)
