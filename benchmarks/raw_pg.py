"""The least that durable entries of this kind cost here: the same rows, by one connection, in commits of a hundred.

A database of its own on the same server. Each entry is a header, two lines, two kept balances, its budget line, a
funds movement, an outbox row and an idempotency row with the answer; a hundred of them are one statement and one
commit, and nothing is checked. Kelola writes more for one entry (an audit row, more indexes), and less: it tells
of entries that were posted together in one event.
"""

from __future__ import annotations

import os
import random
import time
from datetime import date
from typing import Any

import psycopg

from chassis.ids import new_id
from chassis.local.postgres import PostgresServer

COMMIT = 100
_DATABASE = "raw_pg"
_AGENCIES, _EXPENSES = 6, 6
# The sizes of what Kelola keeps with one entry.
_EVENT = os.urandom(330)
_ANSWER = os.urandom(560)

_SCHEMA = """
create table journal_entry (journal_entry_id uuid primary key, agency_id uuid not null, effective_on date not null,
    accounting_on date not null, fiscal_year int not null, period_number smallint not null,
    recorded_at timestamptz not null, description text not null, source_kind text not null, person_id uuid not null);
create table journal_line (journal_entry_id uuid not null, line_no smallint not null, agency_id uuid not null,
    basis text not null, fund_code text not null, account_code text not null, currency text not null,
    debit_minor bigint not null, credit_minor bigint not null, functional_debit_minor bigint not null,
    functional_credit_minor bigint not null, organisation_code text not null, budget_line_id uuid not null,
    funds_movement_id uuid, accounting_on date not null, fiscal_year int not null, period_number smallint not null,
    recorded_at timestamptz not null, primary key (journal_entry_id, line_no));
create index on journal_line (agency_id, account_code, accounting_on, journal_entry_id, line_no);
create table account_balance (agency_id uuid not null, account_code text not null, debit_minor bigint not null,
    credit_minor bigint not null, line_count bigint not null, primary key (agency_id, account_code))
    with (fillfactor = 50);
create table budget_line (budget_line_id uuid primary key, agency_id uuid not null, original_minor bigint not null,
    expended_minor bigint not null) with (fillfactor = 50);
create table funds_movement (funds_movement_id uuid primary key, agency_id uuid not null, budget_line_id uuid not null,
    kind text not null, expended_minor bigint not null, document_id uuid not null, effective_on date not null,
    accounting_on date not null, recorded_at timestamptz not null, person_id uuid not null);
create index on funds_movement (budget_line_id, recorded_at);
create table outbox (id bigint generated always as identity primary key, event_id uuid not null unique,
    type text not null, topic text not null, key text not null, agency_id uuid not null, body bytea not null,
    recorded_at timestamptz not null default transaction_timestamp(), sent_at timestamptz);
create index on outbox (id) where sent_at is null;
create table idempotency (subject text not null, method text not null, request_id uuid not null,
    request_hash bytea not null, answer bytea, recorded_at timestamptz not null default transaction_timestamp(),
    primary key (subject, method, request_id));
"""

_POST = """
with src as (
    select * from unnest(%(entry)s::uuid[], %(agency)s::uuid[], %(account)s::text[], %(line)s::uuid[],
                         %(movement)s::uuid[], %(event)s::uuid[], %(request)s::uuid[], %(amount)s::bigint[])
        as u (entry, agency, account, line, movement, event, request, amount)
), header as (
    insert into journal_entry
    select entry, agency, %(day)s, %(day)s, 2025, 1, transaction_timestamp(), 'a durable entry', 'MANUAL', %(person)s
    from src
), lines as (
    insert into journal_line
    select entry, v.no, agency, 'ACCRUAL', 'APBA', v.account, 'IDR', v.debit, v.credit, v.debit, v.credit, '1.02.01',
           line, case when v.no = 1 then movement end, %(day)s, 2025, 1, transaction_timestamp()
    from src, lateral (values (1::smallint, account, amount, 0::bigint),
                              (2::smallint, '2.1.06.99', 0::bigint, amount)) v (no, account, debit, credit)
), movement as (
    insert into funds_movement
    select movement, agency, line, 'EXPEND', amount, entry, %(day)s, %(day)s, transaction_timestamp(), %(person)s
    from src
), event as (
    insert into outbox (event_id, type, topic, key, agency_id, body)
    select event, 'kelola.finance.v1.JournalEntriesPosted', 'kelola.finance.ledger.v1', entry::text, agency, %(body)s
    from src
), answer as (
    insert into idempotency (subject, method, request_id, request_hash, answer)
    select 'bench', 'kelola.finance.v1.LedgerService/CreateJournalEntry', request, sha256(request::text::bytea),
           %(answer)s
    from src
), spent as (
    select line, sum(amount)::bigint as amount from src group by line
), locked as (
    select budget_line_id from budget_line where budget_line_id in (select line from spent)
    order by budget_line_id for update
), budget as (
    update budget_line b set expended_minor = b.expended_minor + s.amount
    from spent s join locked k on k.budget_line_id = s.line where b.budget_line_id = s.line
), moved as (
    select agency, account, sum(debit)::bigint as debit, sum(credit)::bigint as credit, count(*) as lines
    from (select agency, account, amount as debit, 0 as credit from src
          union all select agency, '2.1.06.99', 0, amount from src) z
    group by agency, account
)
update account_balance b set debit_minor = b.debit_minor + m.debit, credit_minor = b.credit_minor + m.credit,
                             line_count = b.line_count + m.lines
from moved m where b.agency_id = m.agency and b.account_code = m.account
"""


class RawPg:
    """The database, made anew; `entries_per_second` may be asked again and again."""

    def __init__(self, server: PostgresServer, *, budget_lines: int) -> None:
        with server.connect() as connection:
            connection.execute(f"drop database if exists {_DATABASE} with (force)")
        server.create_database(_DATABASE)
        self._url = server.url(_DATABASE)
        self._chance = random.Random(7)
        self._agencies = [new_id() for _ in range(_AGENCIES)]
        self._accounts = [f"8.1.02.{number:02d}" for number in range(1, _EXPENSES + 1)]
        self._lines = [(new_id(), self._chance.choice(self._agencies)) for _ in range(budget_lines)]
        self._person = new_id()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_SCHEMA)
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into budget_line values (%s, %s, 1000000000000, 0)",
                    self._lines,
                )
                cursor.executemany(
                    "insert into account_balance values (%s, %s, 0, 0, 0)",
                    [(agency, account) for agency in self._agencies for account in [*self._accounts, "2.1.06.99"]],
                )
            connection.execute("analyze")

    def entries_per_second(self, seconds: float) -> float:
        """Post for `seconds`; durable entries a second."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            self._commit(connection)  # prepares the statement
            began = time.monotonic()
            end, count = began + seconds, 0
            while time.monotonic() < end:
                self._commit(connection)
                count += COMMIT
            return count / (time.monotonic() - began)

    def single_latencies(self, seconds: float) -> list[float]:
        """Post one entry a commit for `seconds`, one after the other; how long each took, in seconds."""
        taken = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            for _ in range(10):
                self._commit(connection, 1)  # the plan is kept from the fifth time on
            end = time.monotonic() + seconds
            while (began := time.monotonic()) < end:
                self._commit(connection, 1)
                taken.append(time.monotonic() - began)
        return taken

    def _commit(self, connection: psycopg.Connection[Any], entries: int = COMMIT) -> None:
        lines = [self._chance.choice(self._lines) for _ in range(entries)]
        values: dict[str, Any] = {
            name: [new_id() for _ in range(entries)] for name in ("entry", "movement", "event", "request")
        }
        values |= {
            "line": [line for line, _ in lines],
            "agency": [agency for _, agency in lines],
            "account": [self._chance.choice(self._accounts) for _ in range(entries)],
            "amount": [self._chance.randrange(100, 300) for _ in range(entries)],
            "day": date(2025, 1, 6),
            "person": self._person,
            "body": _EVENT,
            "answer": _ANSWER,
        }
        connection.execute(_POST, values, prepare=True)


def fsyncs_per_second(server: PostgresServer, seconds: float) -> float:
    """Commits a second of one row by one connection: what a durable commit alone costs here."""
    with psycopg.connect(server.url(_DATABASE), autocommit=True) as connection:
        connection.execute("create table if not exists durable (id uuid primary key)")
        began, count = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            connection.execute("insert into durable values (%s)", (new_id(),), prepare=True)
            count += 1
        return count / (time.monotonic() - began)


def settings_of(server: PostgresServer) -> dict[str, str]:
    """What a commit is worth on this server."""
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "jit", "shared_buffers")
    with server.connect() as connection:
        return {name: str(connection.execute(f"show {name}").fetchone()[0]) for name in names}  # type: ignore[index]  # a show always has its row
