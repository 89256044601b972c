"""What has ended goes when it is old: a bounded number at a time, by a function that takes nothing else."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from pydantic import ValidationError

from chassis import operations, retention
from chassis.call import Replayed
from chassis.container import NativeContainer
from chassis.database import Database
from chassis.settings import ServiceSettings
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, pb

TABLES = ("idempotency", "inbox", "saga", "operation")


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def superuser(settings, postgres):
    with psycopg.connect(postgres.url(settings.database_owner_url.rpartition("/")[2]), autocommit=True) as connection:
        yield connection


class TidyService(retention.RetentionEntrypoints):
    """A service that does nothing but remove what is old."""

    name = "parcels"
    db = Database(parcels.ParcelsTable)


def a_pass(settings):
    """What the first run of the job removes, right after the start."""
    container = NativeContainer(TidyService, settings.model_copy(update={"broker_servers": None}))
    kept = retention.Retention().bind(container, "retention")
    kept.setup()
    with parcels.transactions(settings) as db:
        return kept.remove_old(db)


def counts(connection):
    return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}


def write(superuser, *, days, count=1):
    """Rows that ended so many days ago, of each table."""
    age = timedelta(days=days)
    superuser.execute(
        "insert into idempotency (subject, method, request_id, request_hash, answer, claimed_at)"
        " select 's', 'm', gen_random_uuid(), '', '', clock_timestamp() - %s from generate_series(1, %s)",
        (age, count),
    )
    superuser.execute(
        "insert into inbox (consumer, event_id, taken_at)"
        " select 'c', gen_random_uuid(), clock_timestamp() - %s from generate_series(1, %s)",
        (age, count),
    )
    for status in ("DONE", "COMPENSATED"):
        saga_row(superuser, days=days, status=status, ended=True, count=count)
    superuser.execute(
        "insert into operation (operation_id, kind, subject, done, updated_at)"
        " select gen_random_uuid(), 'k', 's', true, clock_timestamp() - %s from generate_series(1, %s)",
        (age, count),
    )


def saga_row(superuser, *, days, status, ended, document_id=None, count=1):
    age = timedelta(days=days)
    superuser.execute(
        "insert into saga (saga_id, kind, round, document_id, state, status, started_at, deadline_at, retry_at, tries,"
        " failures, ended_at) select gen_random_uuid(), 'k', 0, coalesce(%(document)s, gen_random_uuid()), '{}',"
        " %(status)s, now() - %(age)s, now() - %(age)s, now() - %(age)s, 0, 0,"
        " case when %(ended)s then clock_timestamp() - %(age)s end from generate_series(1, %(count)s)",
        {"age": age, "status": status, "ended": ended, "document": document_id, "count": count},
    )


def test_what_is_older_than_its_time_goes_and_what_is_younger_stays(settings, superuser):
    write(superuser, days=401, count=3)
    write(superuser, days=399, count=2)
    superuser.execute(
        "insert into inbox (consumer, event_id, taken_at) values ('c', gen_random_uuid(),"
        " clock_timestamp() - interval '61 days'), ('c', gen_random_uuid(),"
        " clock_timestamp() - interval '59 days')"
    )

    gone = a_pass(settings)

    # Inbox rows have their own, shorter time.
    assert gone == {"idempotency": 3, "inbox": 6, "saga": 6, "operation": 3}
    assert counts(superuser) == {"idempotency": 2, "inbox": 1, "saga": 4, "operation": 2}
    assert sum(a_pass(settings).values()) == 0


def test_nothing_that_is_open_goes_however_old_it_is(settings, superuser):
    operation_id = uuid4()
    for status in ("RUNNING", "COMPENSATING", "STUCK"):
        saga_row(superuser, days=4_000, status=status, ended=False)
    saga_row(superuser, days=4_000, status="RUNNING", ended=False, document_id=operation_id)
    superuser.execute(
        "insert into operation (operation_id, kind, subject, done, updated_at) values"
        " (gen_random_uuid(), 'k', 's', false, now() - interval '4000 days'),"
        " (%s, 'k', 's', true, now() - interval '4000 days')",
        (operation_id,),
    )
    superuser.execute(
        "insert into idempotency (subject, method, request_id, request_hash, claimed_at)"
        " values ('s', 'm', gen_random_uuid(), '', now() - interval '4000 days')"
    )
    before = counts(superuser)

    assert sum(a_pass(settings).values()) == 0
    assert counts(superuser) == before


def test_what_the_chassis_wrote_itself_ages_and_goes(settings, superuser):
    """The rows as claims, sagas and operations leave them, not as this test would write them."""
    call = parcels.call()
    with parcels.transactions(settings) as db:
        with db.begin(call) as work:
            operation_id = operations.start(
                work.session, call, kind="tidy.up", agency_id=AGENCY, metadata=pb.Parcel(name="1")
            )
            work.reply(pb.Parcel(name="done"))
        with pytest.raises(Replayed), db.begin(call):
            pass
        with db.work([AGENCY], subject="test") as session:
            operations.finish(session, operation_id, pb.Parcel(name="2"))
            session.connection().exec_driver_sql(
                "update saga set status = 'DONE', ended_at = clock_timestamp() where document_id = %s", (operation_id,)
            )
    assert sum(a_pass(settings).values()) == 0
    for table, column in (("idempotency", "claimed_at"), ("saga", "ended_at"), ("operation", "updated_at")):
        superuser.execute(f"update {table} set {column} = {column} - interval '401 days'")

    assert a_pass(settings) == {"idempotency": 1, "inbox": 0, "saga": 1, "operation": 1}
    with parcels.transactions(settings) as db, db.begin(call) as work:
        # Its key is free again: the request is a new one.
        work.reply(pb.Parcel(name="anew"))


def test_a_pass_ends_at_its_limit_and_the_next_goes_on(settings, superuser, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    monkeypatch.setattr(retention, "BATCHES_MAX", 2)
    write(superuser, days=500, count=8)

    passes = [a_pass(settings)["idempotency"] for _ in range(3)]

    assert passes == [6, 2, 0]


def test_passes_that_run_at_once_share_the_rows(settings, superuser, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 50)
    write(superuser, days=500, count=400)
    gone, failures = [], []

    def one():
        try:
            gone.append(a_pass(settings))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gone.append(a_pass(settings))

    assert failures == []
    assert {table: sum(each[table] for each in gone) for table in TABLES} == {
        "idempotency": 400,
        "inbox": 400,
        "saga": 800,
        "operation": 400,
    }


def test_a_row_that_another_transaction_holds_is_skipped(settings, superuser):
    write(superuser, days=500, count=2)
    with psycopg.connect(settings.database_app_url) as other:
        other.execute("update idempotency set answer = 'x' where ctid = (select min(ctid) from idempotency)")

        assert a_pass(settings)["idempotency"] == 1

    assert a_pass(settings)["idempotency"] == 1


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("idempotency", "ix_idempotency_claimed_at"),
        ("inbox", "ix_inbox_taken_at"),
        ("saga", "ix_saga_ended_at"),
        ("operation", "ix_operation_done"),
    ],
)
def test_old_rows_are_found_by_an_index(superuser, settings, table, index):
    write(superuser, days=1, count=3_000)
    superuser.execute("analyze")
    conditions = {
        "idempotency": "claimed_at < before and answer is not null order by claimed_at",
        "inbox": "taken_at < before order by taken_at",
        "saga": "ended_at < before and status in ('DONE', 'COMPENSATED') order by ended_at",
        "operation": "done and updated_at < before order by updated_at",
    }
    condition = conditions[table]
    # The condition that is explained is the one that is run.
    text = superuser.execute("select prosrc from pg_proc where proname = 'remove_old'").fetchone()[0]
    assert condition.partition(" order by")[0] in " ".join(text.split())

    plan = superuser.execute(
        f"explain select ctid from {table} where "
        + condition.replace("before", "timestamptz '2001-01-01'")
        + " limit 2000 for update skip locked"
    ).fetchall()

    assert any(index in line for (line,) in plan), plan


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        (
            "database_app_url",
            ["delete from inbox", "delete from saga", "delete from operation", "truncate idempotency"],
        ),
        (
            "database_reader_url",
            [
                "delete from inbox",
                "delete from saga",
                "delete from idempotency",
                "select remove_old('inbox', '9 days', 1)",
            ],
        ),
    ],
)
def test_the_roles_remove_nothing_but_by_the_function(settings, role, refused):
    with psycopg.connect(getattr(settings, role), autocommit=True) as connection:
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("call", ["'inbox', '1 hour', 1", "'audit', '400 days', 1", "'inbox', null, 1"])
def test_the_function_removes_nothing_young_and_nothing_else(settings, call):
    with psycopg.connect(settings.database_app_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute(f"select remove_old({call})")


def test_a_service_removes_what_is_old_as_it_runs(settings, superuser):
    write(superuser, days=500, count=2)
    container = NativeContainer(TidyService, settings)
    container.start()
    try:
        parcels.until(lambda: sum(counts(superuser).values()) == 0)
    finally:
        assert container.stop(10)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"outbox_retention_days": 6}, "outbox_retention_days is below topic_retention_days"),
        ({"inbox_retention_days": 41}, "inbox_retention_days is below topic_retention_days"),
        ({"ended_retention_days": 399}, "ended_retention_days is below idempotency_retention_days"),
    ],
)
def test_times_that_do_not_fit_one_another_are_refused_at_the_start(given, why):
    with pytest.raises(ValidationError, match=why):
        ServiceSettings(service="parcels", **given)
