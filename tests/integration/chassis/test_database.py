"""The transactions of a call: idempotent, walled by agency, bounded in time, and never on an unsafe server."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis import database_errors
from chassis.call import Replayed, TransactionConflict
from chassis.database import check_server, make_engine
from chassis.errors import Aborted, DeadlineExceeded, OutOfRange, PermissionDenied, Unavailable
from chassis.local.postgres import PostgresServer
from chassis.transaction_flag import transaction_is_open
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, OTHER_AGENCY, pb


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def db(settings):
    with parcels.transactions(settings) as made:
        yield made


def add(session, parcel_id, agency_id=AGENCY):
    session.execute(
        text("insert into parcel (parcel_id, agency_id, version) values (:p, :a, 1)"), {"p": parcel_id, "a": agency_id}
    )


def seen(session):
    return {row.parcel_id for row in session.execute(text("select parcel_id from parcel"))}


def test_a_call_sees_its_agencies_alone(db):
    mine, theirs = uuid4(), uuid4()
    with db.work([AGENCY, OTHER_AGENCY], subject="test") as session:
        add(session, mine)
        add(session, theirs, OTHER_AGENCY)

    with db.read(parcels.call(agencies=frozenset({AGENCY}))) as session:
        assert seen(session) == {mine}
    with db.read(parcels.call(agencies=frozenset({AGENCY, OTHER_AGENCY}))) as session:
        assert seen(session) == {mine, theirs}


def test_the_database_knows_what_is_done_and_by_whom_while_it_is_done(db):
    asked = text("select current_setting('kelola.act', true), current_setting('kelola.person_id', true)")
    call = parcels.call(agencies=frozenset({AGENCY}))
    with db.begin(call) as work:
        during = work.session.execute(asked).one()
        work.reply(pb.Parcel())
    with db.work([AGENCY], subject="timer") as session:
        by_itself = session.execute(asked).one()

    assert tuple(during) == (call.method.rpartition(".")[2], str(call.principal.person_id))
    assert tuple(by_itself) == ("timer", "")


def test_unset_and_empty_agencies_see_nothing(db):
    with db.work([AGENCY], subject="test") as session:
        add(session, uuid4())

    with db.work([], subject="test") as session:
        assert seen(session) == set()
    # The same pooled connection, without any setting of ours: '' is left behind by the commit before.
    with db.engine.connect() as connection:
        assert connection.execute(text("select count(*) from parcel")).scalar() == 0
    fresh = make_engine(str(db.engine.url.render_as_string(False)), application_name="test", pool_size=1)
    with fresh.connect() as connection:
        assert connection.execute(text("select current_setting('kelola.agencies', true)")).scalar() is None
        assert connection.execute(text("select count(*) from parcel")).scalar() == 0
    fresh.dispose()


def test_a_row_of_another_agency_cannot_be_written(db):
    with pytest.raises(PermissionDenied), db.work([AGENCY], subject="test") as session:
        add(session, uuid4(), OTHER_AGENCY)


def test_the_app_role_cannot_alter_what_is_only_added(db):
    with pytest.raises(Exception, match="permission denied"), db.work([AGENCY], subject="test") as session:
        session.execute(text("update audit set subject = 'nobody'"))


def test_a_read_cannot_write(db):
    with pytest.raises(Exception, match="read-only"), db.read(parcels.call()) as session:
        add(session, uuid4())


def test_a_snapshot_read_sees_one_state(db):
    with db.read(parcels.call(), snapshot=True) as session:
        before = seen(session)
        other = threading.Thread(target=lambda: add_elsewhere(db))
        other.start()
        other.join()

        assert seen(session) == before


def add_elsewhere(db):
    with db.work([AGENCY], subject="test") as session:
        add(session, uuid4())


def test_effect_answer_and_audit_commit_together(db, settings):
    call, parcel_id = parcels.call(), uuid4()

    with db.begin(call) as work:
        add(work.session, parcel_id)
        work.reply(pb.Parcel(name=f"parcels/{parcel_id}", agency_id=str(AGENCY), version=1))

    assert pb.Parcel.FromString(work.answer).name == f"parcels/{parcel_id}"
    audit = parcels.query(settings, "select * from audit where request_id = :id", id=call.request_id)
    assert [(row.subject, row.resource, row.agency_id, row.outcome) for row in audit] == [
        (call.principal.subject, f"parcels/{parcel_id}", AGENCY, "DONE")
    ]


def test_the_calls_span_names_the_document_and_its_agency(db):
    parcel_id = uuid4()

    with TracerProvider().get_tracer("test").start_as_current_span("call") as span, db.begin(parcels.call()) as work:
        work.reply(pb.Parcel(name=f"parcels/{parcel_id}", agency_id=str(AGENCY)))

    shown = {name: span.attributes[name] for name in ("kelola.document", "kelola.agency")}
    assert shown == {"kelola.document": str(parcel_id), "kelola.agency": str(AGENCY)}


def test_a_mutation_without_a_reply_is_our_mistake_and_leaves_nothing(db, settings):
    parcel_id = uuid4()

    with pytest.raises(RuntimeError, match=r"without work\.reply"), db.begin(parcels.call()) as work:
        add(work.session, parcel_id)

    assert parcels.query(settings, "select 1 from parcel where parcel_id = :id", id=parcel_id) == []


def test_a_second_transaction_on_one_thread_is_refused(db):
    with db.work([], subject="test"), pytest.raises(RuntimeError, match="transaction open"):
        with db.work([], subject="test"):
            pass


def test_the_flag_that_keeps_peers_from_being_called_is_set(db):
    with db.work([], subject="test"):
        assert transaction_is_open()

    assert not transaction_is_open()


def test_a_statement_stops_at_the_deadline(db):
    begun = time.monotonic()

    with pytest.raises(DeadlineExceeded), db.read(parcels.call(seconds=0.4)) as session:
        session.execute(text("select pg_sleep(5)"))

    assert time.monotonic() - begun < 1.5


def test_a_call_whose_time_is_over_begins_nothing(db):
    with pytest.raises(DeadlineExceeded), db.begin(parcels.call(seconds=-1)):
        pytest.fail("the block must not run")


def test_nothing_is_committed_after_the_deadline(db, settings):
    parcel_id = uuid4()

    with pytest.raises(DeadlineExceeded), db.begin(parcels.call(seconds=0.3)) as work:
        add(work.session, parcel_id)
        work.reply(pb.Parcel())
        time.sleep(0.4)

    assert parcels.query(settings, "select 1 from parcel where parcel_id = :id", id=parcel_id) == []


def test_a_lock_that_is_held_too_long_aborts(db):
    parcel_id = uuid4()
    with db.work([AGENCY], subject="test") as session:
        add(session, parcel_id)
    held, free = threading.Event(), threading.Event()

    def hold():
        with db.work([AGENCY], subject="test") as session:
            session.execute(text("select 1 from parcel where parcel_id = :p for update"), {"p": parcel_id})
            held.set()
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    begun = time.monotonic()
    with pytest.raises(Aborted), db.work([AGENCY], subject="test") as session:
        session.execute(text("select 1 from parcel where parcel_id = :p for update"), {"p": parcel_id})
    waited = time.monotonic() - begun
    free.set()
    holder.join()

    assert 1.5 < waited < 4


def test_a_deadlock_is_a_conflict_to_be_run_again(db):
    first, second = uuid4(), uuid4()
    with db.work([AGENCY], subject="test") as session:
        add(session, first)
        add(session, second)
    both, outcomes = threading.Barrier(2), []

    def cross(one, other):
        try:
            with db.work([AGENCY], subject="test") as session:
                session.execute(text("select 1 from parcel where parcel_id = :p for update"), {"p": one})
                both.wait(5)
                session.execute(text("select 1 from parcel where parcel_id = :p for update"), {"p": other})
            outcomes.append("done")
        except TransactionConflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=cross, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["conflict", "done"]


def test_a_serialization_failure_is_a_conflict(db):
    with pytest.raises(TransactionConflict), db.work([AGENCY], subject="test") as session:
        session.execute(text("do $$ begin raise exception using errcode = '40001'; end $$"))


def test_a_sum_beyond_64_bits_is_out_of_range(db):
    with pytest.raises(OutOfRange), db.read(parcels.call()) as session:
        session.execute(text("select 9223372036854775807::bigint + 1::bigint"))


def test_a_unique_violation_is_left_to_the_store(db):
    parcel_id = uuid4()
    with db.work([AGENCY], subject="test") as session:
        add(session, parcel_id)

    with pytest.raises(IntegrityError), db.work([AGENCY], subject="test") as session:
        add(session, parcel_id)


def test_a_pool_in_full_use_is_unavailable(database):
    settings = parcels.migrated(database, database_pool_size=1, database_pool_wait_seconds=0.2)
    with parcels.transactions(settings) as db, db.work([], subject="test"):
        outcome = []

        def other():
            try:
                with db.work([], subject="test"):
                    outcome.append("done")
            except Unavailable:
                outcome.append("unavailable")

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert outcome == ["unavailable"]


def test_connections_killed_in_the_pool_are_replaced_unseen(db, postgres):
    for _ in range(3):
        with db.work([], subject="test"):
            pass
    with postgres.connect() as admin:
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parcels'")

    with db.work([], subject="test") as session:
        assert session.execute(text("select 1")).scalar() == 1


def test_a_connection_killed_at_work_is_unavailable_and_the_next_call_works(db, postgres):
    with pytest.raises(Unavailable), db.work([], subject="test") as session:
        pid = session.execute(text("select pg_backend_pid()")).scalar()
        with postgres.connect() as admin:
            admin.execute("select pg_terminate_backend(%s)", (pid,))
        session.execute(text("select 1"))

    with db.work([], subject="test") as session:
        assert session.execute(text("select 1")).scalar() == 1


def test_a_denied_decision_is_audited(db, settings):
    who = parcels.principal()

    db.audit_denied(
        method="kelola.parcels.v1.ParcelService.MoveParcel",
        permission="parcels.parcel.move",
        principal=who,
        agency_id=OTHER_AGENCY,
        reason="PERMISSION_DENIED",
    )

    rows = parcels.query(settings, "select * from audit where subject = :subject", subject=who.subject)
    assert [(row.outcome, row.agency_id, row.details["reason"]) for row in rows] == [
        ("DENIED", OTHER_AGENCY, "PERMISSION_DENIED")
    ]


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_forget_commits_is_refused(scratch, name):
    with PostgresServer(scratch / f"unsafe-{name}", settings={name: "off"}) as server:
        with server.connect() as admin:
            admin.execute("create role keeper login password 'keeper'")
        engine = make_engine(server.url(user="keeper", password="keeper"), application_name="test", pool_size=1)

        with pytest.raises(RuntimeError, match=name):
            check_server(engine, durable=True)
        check_server(engine, durable=False)
        engine.dispose()


def test_a_role_that_sees_past_the_wall_is_refused(postgres):
    engine = make_engine(postgres.url(), application_name="test", pool_size=1)

    with pytest.raises(RuntimeError, match="row-level security"):
        check_server(engine, durable=True)
    engine.dispose()


def test_the_owner_is_refused(settings):
    engine = make_engine(settings.database_owner_url, application_name="test", pool_size=1)

    with pytest.raises(RuntimeError, match="owns"):
        check_server(engine, durable=True)
    engine.dispose()


def test_a_replayed_claim_is_no_database_error():
    with pytest.raises(Replayed), database_errors.translated():
        raise Replayed(b"answer")
