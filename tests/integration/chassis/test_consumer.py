"""The consumer: each event has its effect exactly once, whatever dies; what cannot be taken in is parked in order."""

from __future__ import annotations

import random
import threading
import time
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from chassis import events, relay
from chassis.broker import consumer as consumer_of
from chassis.container import NativeContainer
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, OTHER_AGENCY, TOPIC, ParcelsService, arrivals


@pytest.fixture
def settings(database, broker):
    return parcels.migrated(database, broker_servers=broker.bootstrap)


@pytest.fixture(autouse=True)
def open_post_office():
    ParcelsService.refused.clear()


def parked(settings, key):
    return parcels.query(
        settings, "select * from parked where key = :key and state = 'PARKED' order by parked_id", key=str(key)
    )


def test_an_event_has_its_effect_in_its_agency(settings):
    parcel_id, elsewhere = uuid4(), uuid4()

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id)
        with parcels.transactions(settings) as db, db.work([OTHER_AGENCY], subject="test") as session:
            parcels.move(session, elsewhere, agency_id=OTHER_AGENCY)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1])
        parcels.until(lambda: arrivals(settings, elsewhere) == [1])

    audit = parcels.query(settings, "select * from audit where action = 'kelola.parcels.v1.ParcelMoved'")
    assert {row.agency_id for row in audit} == {AGENCY, OTHER_AGENCY}
    assert {row.subject for row in audit} == {"service:parcels"}


def test_a_restart_continues_where_it_was(settings):
    parcel_id = uuid4()
    with parcels.relaying(settings):
        for _ in range(3):
            with parcels.consuming(settings):
                parcels.send(settings, parcel_id)
                count = parcels.query(settings, "select version from parcel")[0].version
                parcels.until(lambda count=count: arrivals(settings, parcel_id) == list(range(1, count + 1)))
            parcels.send(settings, parcel_id)
        with parcels.consuming(settings):
            parcels.until(lambda: len(arrivals(settings, parcel_id)) == 6)

    assert arrivals(settings, parcel_id) == [1, 2, 3, 4, 5, 6]


def test_the_whole_topic_delivered_again_has_no_new_effect(settings, broker):
    """T10, small: every event is unsent again, as after a broker that lost its log."""
    keys = [uuid4() for _ in range(5)]
    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, *keys, *keys)
        parcels.until(lambda: all(arrivals(settings, key) == [1, 2] for key in keys))

        parcels.query(settings, "update outbox set sent_at = null returning 1")
        parcels.until(lambda: parcels.unsent(settings) == 0)
        mark = uuid4()
        parcels.send(settings, mark)
        parcels.until(lambda: arrivals(settings, mark) == [1])
        # The mark may be on a partition that is ahead of the others.
        time.sleep(1)

    assert all(arrivals(settings, key) == [1, 2] for key in keys)


def test_two_consumers_of_a_service_share_and_take_each_event_once(settings):
    keys = [uuid4() for _ in range(8)]

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, *keys)
        parcels.until(lambda: all(arrivals(settings, key) == [1] for key in keys))
        # The group is shared out anew while events come in.
        with parcels.consuming(settings):
            for _ in range(4):
                parcels.send(settings, *keys)
                time.sleep(1)
            parcels.until(lambda: all(len(arrivals(settings, key)) == 5 for key in keys))

    assert all(arrivals(settings, key) == [1, 2, 3, 4, 5] for key in keys)


def test_a_group_that_a_member_stranded_is_freed(database, fresh_broker):
    """A member that leaves in the midst of its join, as no consumer of ours does, leaves a ghost behind."""
    server = fresh_broker()
    settings = parcels.migrated(database, broker_servers=server.bootstrap)
    parcel_id = uuid4()
    with parcels.relaying(settings):
        parcels.send(settings, parcel_id)
        parcels.until(lambda: parcels.unsent(settings) == 0)
        ghost = consumer_of(settings, "kelola-parcels")
        ghost.subscribe(topics=[TOPIC])
        begun = time.monotonic()
        while time.monotonic() - begun < 1:
            ghost.poll(timeout_ms=100)
        ghost.close(timeout_ms=1_000)

        with parcels.consuming(settings):
            parcels.until(lambda: arrivals(settings, parcel_id) == [1], seconds=60)


class Killed(BaseException):
    """The process died here."""


def test_t2_relays_that_die_between_send_and_mark_double_nothing_in_subscribers(settings, seed):
    print(f"seed {seed}")
    chance, stop = random.Random(seed), threading.Event()
    keys = [uuid4() for _ in range(4)]

    def strike(place):
        if place == "sent":
            raise Killed

    with parcels.consuming(settings):
        for _ in range(30):
            parcels.send(settings, *chance.choices(keys, k=2))
            with pytest.raises(Killed):
                relay.run(settings, parcels.ParcelsTable, stop, failpoint=strike)
        with parcels.relaying(settings):
            last = told(settings)
            parcels.until(lambda: all(arrivals(settings, key) == list(range(1, last[key] + 1)) for key in last))

    assert sum(last.values()) == 60


def test_consumers_that_die_after_the_effect_and_before_the_offset_double_nothing(settings, seed, monkeypatch):
    """The thread is struck between the database's commit and the offset's, again and again."""
    print(f"seed {seed}")
    from kafka import KafkaConsumer

    deaths, chance, keys = 5, random.Random(seed), [uuid4() for _ in range(4)]
    struck = []
    commit = KafkaConsumer.commit

    def strike(self, *args, **kwargs):
        if len(struck) < deaths:
            struck.append(1)
            raise Killed
        return commit(self, *args, **kwargs)

    monkeypatch.setattr(KafkaConsumer, "commit", strike)
    with parcels.relaying(settings):
        for death in range(1, deaths + 1):
            parcels.send(settings, *chance.choices(keys, k=8))
            container = NativeContainer(ParcelsService, settings)
            container.start()
            # The thread's end is the process's: `wait` raises what ended it.
            with pytest.raises(Killed):
                container.wait()
            container.stop(20)
            assert len(struck) == death
        with parcels.consuming(settings):
            parcels.until(lambda: all(len(arrivals(settings, key)) == last for key, last in told(settings).items()))

    assert {key: arrivals(settings, key) for key in keys} == {
        key: list(range(1, last + 1)) for key, last in told(settings).items()
    }


def told(settings):
    return {row.parcel_id: row.version for row in parcels.query(settings, "select * from parcel")}


def test_a_refused_event_is_tried_five_times_then_parked_with_later_ones_of_its_key(settings):
    refused, healthy = uuid4(), uuid4()
    ParcelsService.refused[str(refused)] = 10_000

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, refused, healthy, refused, healthy, refused)
        parcels.until(lambda: len(parked(settings, refused)) == 3)
        parcels.until(lambda: arrivals(settings, healthy) == [1, 2])

        # Read again, they are not parked twice.
        parcels.query(settings, "update outbox set sent_at = null returning 1")
        parcels.until(lambda: parcels.unsent(settings) == 0)
        parcels.send(settings, healthy)
        parcels.until(lambda: arrivals(settings, healthy) == [1, 2, 3])
        time.sleep(1)

    assert arrivals(settings, refused) == []
    rows = parked(settings, refused)
    assert len(rows) == 3
    assert rows[0].tries >= 5
    assert rows[0].error == "FAILED_PRECONDITION: the post office is closed"
    assert [row.error for row in rows[1:]] == ["an earlier event of this key is parked"] * 2


def test_other_keys_flow_on_within_a_second(settings):
    refused, healthy = uuid4(), uuid4()

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, healthy)
        parcels.until(lambda: arrivals(settings, healthy) == [1])
        ParcelsService.refused[str(refused)] = 10_000
        parcels.send(settings, refused, healthy)
        begun = time.monotonic()
        parcels.until(lambda: arrivals(settings, healthy) == [1, 2])
        waited = time.monotonic() - begun

    # 0.75 s of pauses between the tries, and what the machine takes.
    assert waited < 3


def test_parked_events_are_taken_in_in_order_once_their_cause_is_gone(settings):
    """They are tried again by themselves: an event may only have come before what it rests on."""
    parcel_id = uuid4()
    ParcelsService.refused[str(parcel_id)] = 6

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id, parcel_id, parcel_id)
        parcels.until(lambda: parked(settings, parcel_id))
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2, 3], seconds=40)
        parcels.send(settings, parcel_id)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2, 3, 4])

    assert parked(settings, parcel_id) == []


def test_a_person_retries_now(settings):
    parcel_id = uuid4()
    ParcelsService.refused[str(parcel_id)] = 10_000
    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id, parcel_id)
        parcels.until(lambda: len(parked(settings, parcel_id)) == 2)
        ParcelsService.refused.clear()
        parcels.query(settings, "update parked set retry_at = retry_at + interval '1 hour' returning 1")

        with parcels.transactions(settings) as db, db.work([], subject="test") as session:
            listed = [entry for entry in events.parked(session) if entry.key == str(parcel_id)]
            assert events.retry(session, parked_ids=[entry.parked_id for entry in listed]) == 2
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2])


def test_a_person_drops_with_a_reason_and_those_behind_go_on(settings):
    parcel_id = uuid4()
    ParcelsService.refused[str(parcel_id)] = 10_000
    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id, parcel_id)
        parcels.until(lambda: len(parked(settings, parcel_id)) == 2)
        ParcelsService.refused.clear()
        parcels.query(settings, "update parked set retry_at = retry_at + interval '1 hour' where tries > 0 returning 1")

        first = parked(settings, parcel_id)[0]
        with parcels.transactions(settings) as db, db.work([], subject="test") as session:
            events.drop(session, parked_id=first.parked_id, reason="a duplicate", by="somebody")
        parcels.until(lambda: arrivals(settings, parcel_id) == [2])

        # A replay does not bring it back.
        parcels.query(settings, "update outbox set sent_at = null returning 1")
        parcels.until(lambda: parcels.unsent(settings) == 0)
        mark = uuid4()
        parcels.send(settings, mark)
        parcels.until(lambda: arrivals(settings, mark) == [1])
        time.sleep(1)
        assert arrivals(settings, parcel_id) == [2]

    row = parcels.query(settings, "select * from parked where parked_id = :id", id=first.parked_id)[0]
    assert (row.state, row.resolved_by, row.resolved_reason) == ("DROPPED", "somebody", "a duplicate")


def test_t11_poison_records_are_parked_and_the_rest_flows(settings, broker):
    from tests.integration.chassis.test_outbox import headers

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=4_000_000)
    body = parcels.pb.ParcelMoved(parcel_id=str(uuid4()), agency_id=str(AGENCY), version=1).SerializeToString()
    good = headers()

    def put(name, value=body, given=good, key=None):
        producer.send(TOPIC, value, key=(key or name).encode(), headers=given, partition=0).get(10)
        return key or name

    run = uuid4().hex[:8]
    healthy = uuid4()
    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, healthy)
        parcels.until(lambda: arrivals(settings, healthy) == [1])
        poison = {
            put(f"no-id-{run}", given=[pair for pair in good if pair[0] != "ce_id"]),
            put(f"no-type-{run}", given=[pair for pair in good if pair[0] != "ce_type"]),
            put(f"wrong-schema-{run}", value=b"\xff\xff\xff"),
            put(f"large-{run}", value=bytes(900_000)),
            put(f"utf8-{run}", given=[(n, b"\xff\xfe" if n == "ce_id" else v) for n, v in good]),
            put(f"future-{run}", given=[(n, b"2999-01-01T00:00:00Z" if n == "ce_time" else v) for n, v in good]),
            put(f"tombstone-{run}", value=None),
        }
        put(f"unknown-{run}", given=headers(type_name="kelola.parcels.v1.ParcelWeighed"))
        parcels.send(settings, healthy)
        parcels.until(lambda: arrivals(settings, healthy) == [1, 2])
        rows = parcels.until(lambda: (found := mine(settings, run)) and len(found) == len(poison) and found)
    producer.close()

    assert {row.key for row in rows} == poison
    assert all(row.malformed and row.error and row.record_offset >= 0 for row in rows)


def mine(settings, run):
    return parcels.query(settings, "select * from parked where key like :mine and state = 'PARKED'", mine=f"%{run}")


def test_what_follows_a_malformed_record_of_its_key_waits_behind_it(settings, broker):
    parcel_id = uuid4()
    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1])
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
        producer.send(TOPIC, b"nonsense", key=str(parcel_id).encode()).get(10)
        producer.close()
        parcels.until(lambda: parked(settings, parcel_id))
        parcels.send(settings, parcel_id)
        parcels.until(lambda: len(parked(settings, parcel_id)) == 2)
        assert arrivals(settings, parcel_id) == [1]

        with parcels.transactions(settings) as db, db.work([], subject="test") as session:
            events.drop(session, parked_id=parked(settings, parcel_id)[0].parked_id, reason="noise", by="somebody")
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2])


def test_a_broker_that_is_away_is_knocked_at_again(database, fresh_broker):
    server = fresh_broker()
    settings = parcels.migrated(database, broker_servers=server.bootstrap)
    parcel_id = uuid4()
    server.child.kill()

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id)
        time.sleep(1)
        server.restart()
        parcels.until(lambda: arrivals(settings, parcel_id) == [1], seconds=60)
        server.child.kill()
        time.sleep(1)
        server.restart()
        parcels.send(settings, parcel_id)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2], seconds=60)


def test_a_database_that_is_away_is_waited_for_and_no_try_is_counted(database, fresh_postgres, broker):
    from chassis.local.databases import prepare

    server = fresh_postgres()
    made = prepare(server, "parcels", name="parcels")
    urls = {
        "database_owner_url": made.owner_url,
        "database_app_url": made.app_url,
        "database_reader_url": made.reader_url,
    }
    settings = parcels.migrated(lambda *_, **__: FixedSettings(urls), broker_servers=broker.bootstrap)
    parcel_id = uuid4()

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1])
        parcels.send(settings, parcel_id)
        server.child.kill()
        time.sleep(2)
        server.restart()
        parcels.until(lambda: arrivals(settings, parcel_id) == [1, 2], seconds=60)

    assert parked(settings, parcel_id) == []


class FixedSettings:
    """Settings of a database that a test made itself."""

    def __init__(self, urls):
        self.urls = urls

    def settings(self, **more):
        from chassis.settings import ServiceSettings

        return ServiceSettings(service="parcels", **self.urls, **more)


def test_an_effect_and_its_inbox_row_are_one(settings):
    parcel_id = uuid4()
    ParcelsService.refused[str(parcel_id)] = 2

    with parcels.relaying(settings), parcels.consuming(settings):
        parcels.send(settings, parcel_id)
        parcels.until(lambda: arrivals(settings, parcel_id) == [1])

    # The topic is shared: an event that another test left behind may have come in as well.
    inbox = parcels.query(
        settings,
        "select 1 from inbox join outbox using (event_id) where consumer = 'on_parcel_moved' and key = :key",
        key=str(parcel_id),
    )
    assert len(inbox) == 1
    assert parked(settings, parcel_id) == []
