"""Statements that travel together: in their order, all or none, and nothing of what a savepoint took back."""

from __future__ import annotations

from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from chassis import outbox, sql_batch, sql_spans
from chassis.errors import Unavailable
from chassis.sql_batch import Statement
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, Moved, pb

ADD = text("insert into parcel (parcel_id, agency_id, version) values (:parcel_id, :agency_id, 1)")
COUNT = text("select count(*), :label from parcel where parcel_id = :parcel_id")


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def db(settings):
    with parcels.transactions(settings) as made:
        yield made


def adding(parcel_id):
    return Statement(ADD, {"parcel_id": parcel_id, "agency_id": AGENCY})


def counting(parcel_id, label="a label with 100 %"):
    return Statement(COUNT, {"parcel_id": parcel_id, "label": label})


def told(settings):
    return [row.key for row in parcels.query(settings, "select key from outbox order by id")]


def test_statements_run_in_their_order_and_each_has_its_own_outcome(db):
    parcel_id = uuid4()

    with db.work([AGENCY], subject="test") as session:
        before, added, after = sql_batch.run(session, [counting(parcel_id), adding(parcel_id), counting(parcel_id)])

    assert [list(before.rows), added.rowcount, list(after.rows)] == [
        [(0, "a label with 100 %")],
        1,
        [(1, "a label with 100 %")],
    ]


def test_the_first_failure_is_raised_as_any_statements_and_leaves_nothing(db, settings):
    twice, behind = uuid4(), uuid4()

    with pytest.raises(IntegrityError) as failure, db.work([AGENCY], subject="test") as session:
        sql_batch.run(session, [adding(twice), adding(twice), adding(behind)])

    assert failure.value.orig.sqlstate == "23505"
    assert str(twice) not in str(failure.value.statement), "values are not shown"
    assert parcels.query(settings, "select 1 from parcel where parcel_id = any (:ids)", ids=[twice, behind]) == []
    with db.work([AGENCY], subject="test") as session:
        assert sql_batch.run(session, [adding(behind)])[0].rowcount == 1, "the connection is as good as before"


def test_a_connection_killed_at_work_is_unavailable_and_not_used_again(db, postgres):
    with pytest.raises(Unavailable), db.work([AGENCY], subject="test") as session:
        pid = session.execute(text("select pg_backend_pid()")).scalar()
        with postgres.connect() as admin:
            admin.execute("select pg_terminate_backend(%s)", (pid,))
        sql_batch.run(session, [counting(uuid4()), counting(uuid4())])

    with db.work([AGENCY], subject="test") as session:
        assert session.execute(text("select pg_backend_pid()")).scalar() != pid


def test_what_is_for_later_comes_last_in_its_order_with_the_transaction(db, settings):
    first, second = uuid4(), uuid4()

    with db.work([AGENCY], subject="test") as session:
        outbox.emit(session, Moved(first, 1))
        parcels.move(session, second)
        within = session.execute(text("select count(*) from outbox")).scalar()

    assert within == 0
    assert told(settings) == [str(first), str(second)]


def test_what_is_for_later_goes_with_the_transaction_that_is_undone(db, settings):
    with pytest.raises(RuntimeError, match="never mind"), db.begin(parcels.call()) as work:
        parcels.move(work.session, uuid4())
        work.reply(pb.Parcel())
        raise RuntimeError("never mind")

    assert told(settings) == []
    assert parcels.query(settings, "select 1 from audit") == []


def test_a_savepoint_takes_back_what_was_told_within_it_alone(db, settings):
    before, undone, deeper, kept, after = (uuid4() for _ in range(5))

    with db.work([AGENCY], subject="test") as session:
        parcels.move(session, before)
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            parcels.move(session, undone)
            with session.begin_nested():
                parcels.move(session, deeper)
            raise ZeroDivisionError
        with session.begin_nested():
            parcels.move(session, kept)
            with pytest.raises(ZeroDivisionError), session.begin_nested():
                parcels.move(session, undone)
                raise ZeroDivisionError
        parcels.move(session, after)

    assert told(settings) == [str(before), str(kept), str(after)]


def test_a_session_that_gathers_nothing_runs_at_once(db, settings):
    with Session(db.engine) as session:
        session.execute(text("select set_config('kelola.agencies', :agency, true)"), {"agency": str(AGENCY)})
        outbox.emit(session, Moved(uuid4(), 1))
        within = session.execute(text("select count(*) from outbox")).scalar()

    assert within == 1
    assert told(settings) == [], "and is undone with what was never committed"


def test_statements_that_travel_together_have_one_span(db, monkeypatch):
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(sql_spans, "_TRACER", provider.get_tracer("test"))
    parcel_id = uuid4()

    with db.work([AGENCY], subject="test") as session, provider.get_tracer("test").start_as_current_span("a call"):
        sql_batch.run(session, [counting(parcel_id), adding(parcel_id)])
        with pytest.raises(IntegrityError), session.begin_nested():
            sql_batch.run(session, [adding(parcel_id)])

    both, failed = [
        span for span in kept.get_finished_spans() if span.name in ("select parcel; insert parcel", "insert parcel")
    ]
    assert both.attributes["db.operation.name"] == "BATCH"
    assert both.attributes["db.operation.batch.size"] == 2
    assert str(parcel_id) not in both.attributes["db.query.text"]
    assert (failed.attributes["error.type"], failed.attributes["db.response.status_code"]) == (
        "UniqueViolation",
        "23505",
    )
