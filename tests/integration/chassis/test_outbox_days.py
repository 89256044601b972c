"""The outbox's days: made ahead, dropped when they are old and all sent, and never in a writer's way for long."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis import outbox_days, relay_sender
from chassis.database import sqlalchemy_url
from chassis.verify import verify
from tests.integration.chassis import parcels

KEEP = timedelta(days=8)


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def owner(settings, postgres):
    """The owner of the tables, who may do what no role of a running service may."""
    with psycopg.connect(postgres.url(settings.database_owner_url.rpartition("/")[2]), autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set role parcels_owner")
        yield connection


@pytest.fixture
def relay_side(settings):
    """A connection as the relay has it."""
    engine = create_engine(
        sqlalchemy_url(settings.database_reader_url),
        poolclass=NullPool,
        connect_args={"options": relay_sender.CONNECTION_OPTIONS, "prepare_threshold": None},
    )
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def keep_up(relay_side):
    return outbox_days.keep_up(relay_side, keep=KEEP)


def days(owner):
    rows = owner.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'public.outbox'::regclass order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def name_of(day):
    return f"d{day:%Y%m%d}"


def day(back):
    return (datetime.now(UTC) - timedelta(days=back)).date()


def make_old_day(owner, back, *, sent=True, rows=3):
    """The table of a day in the past with rows of that day, and their positions after those that are given."""
    begin = day(back)
    owner.execute(f"select outbox_day.make('{name_of(begin)}')")
    owner.execute(
        f"alter table outbox attach partition outbox_day.{name_of(begin)}"
        f" for values from ('{begin}') to ('{begin + timedelta(days=1)}')"
    )
    return add_rows(owner, back, sent=sent, rows=rows)


def add_rows(owner, back, *, sent=True, rows=3):
    moment = datetime.now(UTC).replace(hour=12) - timedelta(days=back)
    for _ in range(rows):
        owner.execute(
            "insert into outbox (event_id, type, topic, key, sequence, body, recorded_at, sent_at, position)"
            " values (gen_random_uuid(), 'kelola.parcels.v1.ParcelMoved', 'kelola.parcels.post.v1',"
            " gen_random_uuid()::text, 1, '', %(moment)s, case when %(sent)s then %(moment)s end,"
            " case when %(sent)s then (select position + 1 from relay_state) end)",
            {"moment": moment, "sent": sent},
        )
        if sent:
            owner.execute("update relay_state set position = position + 1")
    return moment


def floor(owner):
    return owner.execute("select outbox_floor from relay_state").fetchone()[0]


def placed(owner):
    """table -> rows"""
    return dict(owner.execute("select tableoid::regclass::text, count(*) from outbox group by 1").fetchall())


def test_the_coming_days_are_there_from_the_first_migration_on(owner):
    assert days(owner) == [name_of(day(-ahead)) for ahead in range(outbox_days.DAYS_AHEAD + 1)] + ["late"]


def test_an_event_lands_in_the_day_of_its_transaction(settings, owner):
    parcels.send(settings, uuid4())

    assert placed(owner) == {f"outbox_day.{name_of(day(0))}": 1}


def test_missing_days_are_made_once(owner, relay_side):
    for ahead in (3, 5):
        owner.execute(f"drop table outbox_day.{name_of(day(-ahead))}")
    before = days(owner)

    keep_up(relay_side)
    after = days(owner)
    keep_up(relay_side)

    assert set(after) - set(before) == {name_of(day(-3)), name_of(day(-5))}
    assert days(owner) == after


def test_a_day_that_is_old_and_sent_is_dropped_whole_and_no_younger_one(owner, relay_side):
    for back in (12, 10, 8, 1):
        make_old_day(owner, back)

    for _ in range(5):
        keep_up(relay_side)

    gone = {name_of(day(12)), name_of(day(10))}
    assert gone & set(days(owner)) == set()
    assert {name_of(day(8)), name_of(day(1))} <= set(days(owner))
    assert floor(owner) == 6


def test_days_leave_one_at_a_time(owner, relay_side):
    for back in (12, 10):
        make_old_day(owner, back)

    assert keep_up(relay_side)
    assert name_of(day(12)) not in days(owner)
    assert name_of(day(10)) in days(owner)


def test_a_day_with_an_unsent_row_stays_and_is_counted(owner, relay_side, settings):
    make_old_day(owner, 12)
    add_rows(owner, 12, sent=False, rows=1)
    make_old_day(owner, 10)

    for _ in range(3):
        keep_up(relay_side)

    assert name_of(day(12)) in days(owner)
    assert name_of(day(10)) not in days(owner)
    with relay_side.begin():
        assert outbox_days.days_held(relay_side, keep=KEEP) == 1

    owner.execute("update outbox set sent_at = recorded_at, position = 7 where sent_at is null")
    keep_up(relay_side)

    assert name_of(day(12)) not in days(owner)
    with relay_side.begin():
        assert outbox_days.days_held(relay_side, keep=KEEP) == 0


def test_an_old_day_that_was_sent_lately_stays_for_its_time(owner, relay_side):
    """The broker was away: what counts is when it was sent, since topics keep it from then on."""
    make_old_day(owner, 12)
    owner.execute("update outbox set sent_at = clock_timestamp() - interval '2 days'")

    keep_up(relay_side)

    assert name_of(day(12)) in days(owner)


def test_replays_stay_whole_above_the_floor_though_days_and_positions_interleave(settings, owner, relay_side):
    """A transaction that began before midnight is sent after events of the next day."""
    make_old_day(owner, 10, rows=2)  # 1, 2
    make_old_day(owner, 9, rows=1)  # 3
    add_rows(owner, 10, rows=1)  # 4
    add_rows(owner, 9, rows=2)  # 5, 6
    add_rows(owner, 0, rows=3)  # 7, 8, 9
    owner.execute("update outbox set sent_at = clock_timestamp() - interval '1 hour' where position >= 5")

    for _ in range(3):
        keep_up(relay_side)
    report = verify("parcels", settings.database_reader_url)
    left = [row[0] for row in owner.execute("select position from outbox order by position").fetchall()]

    assert floor(owner) == 4
    assert left == [3, 5, 6, 7, 8, 9]
    assert [problem for problem in report.problems if problem.invariant == "I6"] == []
    owner.execute("delete from outbox where position = 6")
    assert [problem.what for problem in verify("parcels", settings.database_reader_url).problems] == [
        "outbox position 7 follows 5"
    ]


def test_an_event_id_that_came_twice_by_hand_is_found(settings, owner):
    add_rows(owner, 0, rows=1)
    make_old_day(owner, 1, rows=1)
    owner.execute("update outbox set event_id = '0b5c1f52-8a30-4e55-9f0a-5f2f3a6b7c01'")

    assert [problem.what for problem in verify("parcels", settings.database_reader_url).problems] == [
        "event 0b5c1f52-8a30-4e55-9f0a-5f2f3a6b7c01 is in the outbox 2 times"
    ]
    with pytest.raises(psycopg.errors.UniqueViolation):
        owner.execute(
            "insert into outbox (event_id, type, topic, key, sequence, body) select event_id, '', '', '', 1, ''"
            " from outbox limit 1"
        )


def test_a_missing_day_fails_no_business_and_its_rows_are_moved_when_it_is_made(settings, owner, relay_side):
    today = name_of(day(0))
    owner.execute(f"drop table outbox_day.{today}")
    parcel_id = uuid4()

    parcels.send(settings, parcel_id, parcel_id)
    before = placed(owner)
    ids = owner.execute("select id, event_id from outbox order by id").fetchall()
    keep_up(relay_side)

    assert before == {"outbox_day.late": 2}
    assert placed(owner) == {f"outbox_day.{today}": 2}
    assert owner.execute("select id, event_id from outbox order by id").fetchall() == ids


def test_a_clock_far_off_fails_no_business_and_what_was_sent_is_drained(settings, owner, relay_side):
    add_rows(owner, 4_000)
    add_rows(owner, -4_000, sent=False)

    keep_up(relay_side)

    assert placed(owner) == {"outbox_day.late": 3}
    assert owner.execute("select count(*) from outbox where sent_at is null").fetchone() == (3,)
    assert floor(owner) == 3


def test_many_rows_of_a_missing_day_stay_where_they_are_and_the_days_after_it_are_made(owner, relay_side):
    for ahead in (0, 1):
        owner.execute(f"drop table outbox_day.{name_of(day(-ahead))}")
    owner.execute(
        "insert into outbox (event_id, type, topic, key, sequence, body)"
        " select gen_random_uuid(), '', 'kelola.parcels.post.v1', '', 1, '' from generate_series(1, 1001)"
    )

    keep_up(relay_side)

    assert name_of(day(0)) not in days(owner)
    assert name_of(day(-1)) in days(owner)
    assert placed(owner) == {"outbox_day.late": 1001}


def test_the_relay_reads_marks_and_finds_its_rows_across_days(settings, owner, relay_side):
    """By the partial index of each day, merged in the order of ids; the mark looks at the row's own day alone."""
    for back in range(8, 0, -1):
        make_old_day(owner, back, rows=40)
    # The planner's figures are from before the outage: nothing waits.
    owner.execute("analyze outbox")
    parcels.send(settings, uuid4(), uuid4())
    add_rows(owner, 5, sent=False, rows=1)

    with relay_side.begin():
        rows = relay_sender.unsent(relay_side)
        read = "\n".join(
            relay_side.execute(text(f"explain {relay_sender._UNSENT.text}"), {"batch": 500}).scalars().all()
        )
        # Days of a few rows would be read whole.
        relay_side.execute(text("set local enable_seqscan = off"))
        marked = "\n".join(
            relay_side.execute(
                text(f"explain (analyze, costs off) {relay_sender._MARK.text}"),
                {
                    "ids": [row["id"] for row in rows],
                    "days": [row["recorded_at"] for row in rows],
                    "positions": [1_000, 1_001, 1_002],
                },
            )
            .scalars()
            .all()
        )

    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert len(rows) == 3
    assert "Merge Append" in read
    assert "Sort Key: outbox.id" in read
    assert "  Sort  (" not in read
    # The days that hold none of the rows were not gone into.
    assert marked.count("(never executed)") >= 8


def test_a_day_that_is_in_use_is_left_for_the_next_time_and_writers_wait_but_shortly(settings, owner, relay_side):
    make_old_day(owner, 12)
    waits = []

    def keep_writing(stop):
        while not stop.is_set():
            began = time.monotonic()
            parcels.send(settings, uuid4())
            waits.append(time.monotonic() - began)

    stop = threading.Event()
    with psycopg.connect(settings.database_app_url) as writer:
        writer.execute("select count(*) from outbox")  # holds its lock until the transaction ends
        thread = threading.Thread(target=keep_writing, args=(stop,))
        thread.start()
        keep_up(relay_side)
        held = days(owner)
        stop.set()
        thread.join()
    keep_up(relay_side)

    assert name_of(day(12)) in held
    assert name_of(day(12)) not in days(owner)
    assert waits
    assert max(waits) < 2.0


@pytest.mark.parametrize("url", ["database_app_url", "database_reader_url"])
def test_no_role_of_the_service_makes_or_drops_a_day_by_itself(settings, url):
    today = name_of(day(0))
    with psycopg.connect(getattr(settings, url), autocommit=True) as connection:
        for statement in (
            f"drop table outbox_day.{today}",
            f"select * from outbox_day.{today}",
            "create table outbox_day.mine (id int)",
            "select outbox_day.make('mine')",
            "alter table outbox detach partition outbox_day.late",
            "delete from outbox",
            "truncate outbox",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_the_functions_of_the_days_are_the_relays_alone_and_do_nothing_else(settings, postgres):
    with psycopg.connect(settings.database_app_url, autocommit=True) as app:
        for call in ("outbox_make_days(1)", "outbox_drop_day('8 days')", "outbox_drain_late('8 days', 1)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(f"select {call}")
    with psycopg.connect(settings.database_reader_url, autocommit=True) as reader:
        for call in ("outbox_make_days(32)", "outbox_drop_day('1 hour')", "outbox_drain_late('1 hour', 1)"):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                reader.execute(f"select {call}")
        # Objects of a caller's own temporary schema are not taken for PostgreSQL's.
        definers = reader.execute(
            "select proname, proconfig::text, proowner::regrole::text from pg_proc"
            " where prosecdef and pronamespace = 'public'::regnamespace order by 1"
        ).fetchall()
    assert [name for name, _, _ in definers] == [
        "outbox_add_audit_head",
        "outbox_drain_late",
        "outbox_drop_day",
        "outbox_make_days",
        "remove_old",
    ]
    for name, config, owner in definers:
        assert "search_path=pg_catalog, pg_temp" in config, name
        assert owner == "parcels_owner"


def test_the_relay_keeps_the_days_as_it_works(settings, owner, broker):
    with_broker = settings.model_copy(update={"broker_servers": broker.bootstrap})
    make_old_day(owner, 12)
    owner.execute(f"drop table outbox_day.{name_of(day(-2))}")

    with parcels.relaying(with_broker):
        parcels.send(settings, uuid4())
        parcels.until(lambda: parcels.unsent(settings) == 0)
        parcels.until(lambda: name_of(day(12)) not in days(owner))

    assert name_of(day(-2)) in days(owner)
    positions = parcels.query(settings, "select position from outbox")
    assert [row.position for row in positions] == [4]
