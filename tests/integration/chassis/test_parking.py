"""The parking lot keeps an event once: however often it is delivered, and whoever takes it in meanwhile."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from chassis import events, parking
from chassis.cloudevent import Record
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import TOPIC, ParcelsService, arrivals


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


def rows(settings):
    return parcels.query(settings, "select * from parked order by parked_id")


def record(body: bytes = b"nonsense", *, key: str | None = "a key", offset: int = 0) -> Record:
    return Record(TOPIC, 0, offset, key, (("ce_type", b"kelola.parcels.v1.ParcelMoved"),), body)


def park(settings, one: Record, *, event_id=None, consumer="on_parcel_moved"):
    with parcels.transactions(settings) as db, db.work([], subject="test") as session:
        parking.park(
            session,
            one,
            consumer=consumer,
            event_id=event_id,
            type_name=None,
            error="the body is no event",
            tries=5,
            malformed=event_id is None,
        )


def test_a_malformed_record_that_is_sent_again_is_the_same_record(settings):
    park(settings, record(offset=1))
    park(settings, record(offset=7))
    park(settings, record(offset=7, key="another key"))
    park(settings, record(b"other nonsense", offset=8))
    park(settings, record(offset=9), consumer="another")

    assert [row.record_offset for row in rows(settings)] == [1, 7, 8, 9]


def test_a_malformed_record_that_was_dropped_stays_dropped(settings):
    park(settings, record(key=None, offset=1))
    with parcels.transactions(settings) as db, db.work([], subject="test") as session:
        events.drop(session, parked_id=rows(settings)[0].parked_id, reason="noise", by="somebody")

    park(settings, record(key=None, offset=7))

    assert [row.state for row in rows(settings)] == ["DROPPED"]


def test_an_event_that_was_taken_in_meanwhile_is_not_parked(settings):
    """A retry may have its effect between a replay's look at the parking lot and its park."""
    event_id = uuid4()
    park(settings, record(offset=1), event_id=event_id)
    with parcels.transactions(settings) as db, db.work([], subject="test") as session:
        session.execute(
            text("insert into inbox (consumer, event_id) values ('on_parcel_moved', :id)"), {"id": event_id}
        )
        parking.done(session, rows(settings)[0].parked_id)

    park(settings, record(offset=7), event_id=event_id)

    assert [row.state for row in rows(settings)] == ["DONE"]


def test_two_consumers_at_once_park_an_event_once(settings):
    for attempt in range(5):
        event_id, gate = uuid4(), threading.Barrier(4)

        def one(number, event_id=event_id, gate=gate, attempt=attempt):
            gate.wait(10)
            park(settings, record(offset=10 * attempt + number), event_id=event_id)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len([row for row in rows(settings) if row.event_id == event_id]) == 1


def test_a_retry_leaves_malformed_records_where_they_are(settings):
    park(settings, record(offset=1))
    park(settings, record(offset=2), event_id=uuid4())

    with parcels.transactions(settings) as db, db.work([], subject="test") as session:
        malformed, sound = (entry.parked_id for entry in events.parked(session))
        assert events.retry(session, parked_ids=[malformed]) == 0
        assert events.retry(session) == 1

    assert [(row.parked_id, row.tries) for row in rows(settings)] == [(malformed, 5), (sound, 0)]


def test_a_replayed_topic_parks_nothing_a_second_time(database, broker):
    """Poison and a refused event, each delivered three times by a live broker."""
    settings = parcels.migrated(database, broker_servers=broker.bootstrap)
    refused, healthy, run = uuid4(), uuid4(), uuid4().hex
    ParcelsService.refused.clear()
    ParcelsService.refused[str(refused)] = 10_000
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    try:
        with parcels.relaying(settings), parcels.consuming(settings):
            parcels.send(settings, refused, refused)
            for again in range(3):
                producer.send(TOPIC, b"nonsense", key=run.encode()).get(10)
                parcels.query(settings, "update outbox set sent_at = null returning 1")
                parcels.until(lambda: parcels.unsent(settings) == 0)
                # What comes after it on every partition has been taken in, so the replay was too.
                marks = [uuid4() for _ in range(12)]
                parcels.send(settings, *marks, healthy)
                parcels.until(lambda marks=marks: all(arrivals(settings, mark) == [1] for mark in marks))
                parcels.until(lambda again=again: len(arrivals(settings, healthy)) == again + 1)
    finally:
        producer.close()
        ParcelsService.refused.clear()

    mine = [row for row in rows(settings) if row.key in (run, str(refused))]
    assert sorted((row.key == run, row.state) for row in mine) == [(False, "PARKED")] * 2 + [(True, "PARKED")]
