"""The wall between agencies inside PostgreSQL, tried past the services, with their own database role (trust T8)."""

from __future__ import annotations

import psycopg
import pytest

SERVICES = ("identity", "finance", "hr", "logistics")

# Tables of the machinery, the same in every service: they hold an agency's id as a fact of the row, or none.
# Rows are reached by their own keys; idempotency by subject, saga and operation by their runner and by caller.
_SHARED = {
    "alembic_version",
    "audit",
    "audit_head",
    "broker_offset",
    "idempotency",
    "inbox",
    "operation",
    "outbox",
    "parked",
    "relay_state",
    "saga",
}
# Each service's own tables outside the wall. Whoever adds one says why.
_OUTSIDE = {
    "identity": {
        "agency": "how governments are organised is public",
        "client_assertion": "used assertions of clients, before any agency is known",
        "legal_entity": "one registry for all",
        "legal_entity_owner": "one registry for all",
        "person": "one person registry for all, its numbers sealed",
    },
    "finance": {
        "account": "one chart for all",
        "approval_due": "the clock's work list: ids and instants alone",
        "approval_rule": "one approval matrix for all",
        "account_mapping": "one chart for all",
        "class_mapping": "one chart for all",
        "code_succession": "one chart for all",
        "combination_rule": "one set of rules about the chart for all",
        "dimension_value": "one chart for all",
        "exchange_rate": "one set of rates for all",
        "foreign_commitment_clock": "the work list of the monthly revaluation: ids and days alone",
        "joint_reversal": "the work list of acts in several books that reverse by themselves: ids and days alone",
        "journal_clock": "the work list of the scheduled round: ids and days alone",
        "number_queue": "the numberer's work list: ids alone",
        "number_series": "the last number of a series",
        "proof_clock": "the work list of the daily proofs: ids and days alone",
        "reporting_class": "classes of international standards",
        "virement_rule": "one law of virement for all",
    },
    "hr": {},
    "logistics": {
        "debarment": "a supplier is barred for every agency",
        "item": "one catalogue for all",
        "legal_entity": "what identity tells of suppliers",
        "supplier": "a supplier serves every agency",
    },
}

_TABLES = """
    select c.relname, c.relrowsecurity and c.relforcerowsecurity,
           exists (select from pg_attribute as a
                   where a.attrelid = c.oid and a.attname = 'agency_id' and not a.attisdropped)
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = 'public' order by 1
"""


def _tables(lived, service: str) -> list[tuple[str, bool, bool]]:
    """(table, behind the wall, has an agency_id)."""
    with psycopg.connect(lived.platform.databases[service].reader_url) as connection:
        return connection.execute(_TABLES).fetchall()


@pytest.mark.parametrize("service", SERVICES)
def test_every_table_is_behind_the_wall_or_listed_with_its_reason(lived, service):
    tables = _tables(lived, service)

    outside = {name for name, walled, _ in tables if not walled}
    assert outside == _SHARED | set(_OUTSIDE[service])
    assert not [name for name, walled, agency in tables if walled and not agency]


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_role_sees_no_row_unless_its_agency_is_named(lived, service):
    database = lived.platform.databases[service]
    walled = [name for name, behind, _ in _tables(lived, service) if behind]
    filled = 0

    with psycopg.connect(database.reader_url) as reader, psycopg.connect(database.app_url) as app:
        for table in walled:
            expected = dict(reader.execute(f'select agency_id, count(*) from "{table}" group by 1').fetchall())
            filled += bool(expected)
            assert _seen(app, table, None) == {}, f"{table} without kelola.agencies"
            assert _seen(app, table, "") == {}, f"{table} with an empty kelola.agencies"
            for agency_id, count in expected.items():
                assert _seen(app, table, str(agency_id)) == {agency_id: count}, table
            everybody = ",".join(str(agency_id) for agency_id in expected)
            assert _seen(app, table, everybody) == expected, table

    assert filled >= len(walled) * 0.7, "most tables must have rows, or nothing was tried"


def _seen(app: psycopg.Connection, table: str, agencies: str | None) -> dict[object, int]:
    """Agency -> rows, as the app role sees them with this setting; the transaction ends, and its setting with it."""
    with app.transaction():
        if agencies is not None:
            app.execute("select set_config('kelola.agencies', %s, true)", (agencies,))
        return dict(app.execute(f'select agency_id, count(*) from "{table}" group by 1').fetchall())


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_role_owns_nothing_and_cannot_step_over_the_wall(lived, service):
    with psycopg.connect(lived.platform.databases[service].app_url, autocommit=True) as app:
        role = app.execute(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles"
            " where rolname = current_user"
        ).fetchone()
        owned = app.execute("select relname from pg_class where relowner = current_user::regrole").fetchall()
        member = app.execute(
            "select r.rolname from pg_auth_members as m join pg_roles as r on r.oid = m.roleid"
            " where m.member = current_user::regrole"
        ).fetchall()
        walled = next(name for name, behind, _ in _tables(lived, service) if behind)

        assert role == (False,) * 5
        assert owned == []
        assert member == []
        for statement in (
            "create table mine (id int)",
            f'alter table "{walled}" disable row level security',
            f'alter table "{walled}" no force row level security',
            f'drop policy agency_wall on "{walled}"',
            f'truncate "{walled}"',
            "set session authorization postgres",
            f"set role {service}_owner",
            f"set role {service}_reader",
            "delete from audit",
            "update audit set subject = 'nobody'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)


@pytest.mark.parametrize("service", SERVICES)
def test_no_row_can_be_put_into_or_moved_to_another_agency(lived, service):
    """The policy's check: what a transaction writes must belong to the agencies that it was begun for."""
    database = lived.platform.databases[service]
    tried = 0
    with psycopg.connect(database.reader_url) as reader, psycopg.connect(database.app_url) as app:
        for table, behind, _ in _tables(lived, service):
            if not behind:
                continue
            row = reader.execute(f'select agency_id from "{table}" limit 1').fetchone()
            may = app.execute("select has_column_privilege(%s, 'agency_id', 'update')", (table,)).fetchone()
            app.rollback()
            if row is None or may is None or not may[0]:
                continue
            tried += 1
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"), app.transaction():
                app.execute("select set_config('kelola.agencies', %s, true)", (str(row[0]),))
                app.execute(f'update "{table}" set agency_id = gen_random_uuid()')

    assert tried, "some table of every service can be updated"
