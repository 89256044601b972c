"""The relay loses nothing, keeps the order of keys, survives its own death, and fills a broker that forgot."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import text

from chassis import relay
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, TOPIC, pb


@pytest.fixture
def settings(database, broker):
    # The run's broker is shared: what other tests sent is not looked at.
    _begun[broker.bootstrap] = ends(broker.bootstrap)
    return parcels.migrated(database, broker_servers=broker.bootstrap)


_begun: dict[str, dict[TopicPartition, int]] = {}


def ends(servers):
    consumer = KafkaConsumer(bootstrap_servers=servers)
    try:
        partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()]
        return consumer.end_offsets(partitions) if partitions else {}
    finally:
        consumer.close()


def on_topic(servers, keys):
    """(key, sequence, event id) of the records of these keys, partition by partition in their order."""
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False)
    try:
        partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, _begun.get(servers, {}).get(partition, 0))
        ends = consumer.end_offsets(partitions)
        found, idle = [], 0
        while idle < 5 and any(consumer.position(partition) < ends[partition] for partition in partitions):
            polled = consumer.poll(timeout_ms=300)
            idle = 0 if polled else idle + 1
            for records in polled.values():
                for record in records:
                    headers = dict(record.headers)
                    if record.key.decode() in keys:
                        found.append((record.key.decode(), int(headers["ce_sequence"]), headers["ce_id"].decode()))
        return found
    finally:
        consumer.close()


def first_of_each(records):
    seen, kept = set(), []
    for record in records:
        if record[2] not in seen:
            seen.add(record[2])
            kept.append(record)
    return kept


def by_key(records):
    sequences = defaultdict(list)
    for key, sequence, _ in records:
        sequences[key].append(sequence)
    return sequences


def test_what_is_committed_is_sent_marked_and_numbered(settings, broker):
    keys = [uuid4() for _ in range(3)]

    with parcels.relaying(settings):
        parcels.send(settings, *keys, *keys)
        parcels.until(lambda: parcels.unsent(settings) == 0)

    rows = parcels.query(settings, "select id, position, sent_at from outbox order by id")
    assert [row.position for row in rows] == [1, 2, 3, 4, 5, 6]
    records = on_topic(broker.bootstrap, {str(key) for key in keys})
    assert by_key(records) == {str(key): [1, 2] for key in keys}


@pytest.mark.parametrize("relays", [1, 3])
def test_t3_24_writers_on_8_keys_lose_nothing_and_keep_each_keys_order(settings, broker, seed, relays):
    """Each writer claims, sleeps, takes the key's lock, then tells; some use savepoints or roll back."""
    print(f"seed {seed}")
    keys = [uuid4() for _ in range(8)]
    done = threading.Event()
    told = defaultdict(int)
    lock = threading.Lock()

    def write(number):
        chance = random.Random(seed + number)
        with parcels.transactions(settings) as db:
            while not done.is_set():
                key, fate = chance.choice(keys), chance.random()
                try:
                    with db.begin(parcels.call()) as work:
                        if fate < 0.2:
                            time.sleep(chance.random() * 0.03)
                        with work.session.begin_nested():
                            parcels.move(work.session, key)
                        if fate > 0.9:
                            raise Undone
                        if 0.2 <= fate < 0.3:
                            time.sleep(chance.random() * 0.02)
                        work.reply(pb.Parcel())
                    with lock:
                        told[str(key)] += 1
                except Undone:
                    continue

    writers = [threading.Thread(target=write, args=(number,)) for number in range(24)]
    with contextmanager(_all)(settings, relays):
        for writer in writers:
            writer.start()
        # One that began early and writes late, with an unrelated one open beside it.
        late(settings, keys[0], told)
        time.sleep(6)
        done.set()
        for writer in writers:
            writer.join()
        parcels.until(lambda: parcels.unsent(settings) == 0)

    records = on_topic(broker.bootstrap, set(map(str, keys)))
    assert sum(told.values()) > 500
    assert len(records) == len({event_id for _, _, event_id in records})
    assert by_key(records) == {key: list(range(1, count + 1)) for key, count in told.items()}
    positions = parcels.query(settings, "select key, sequence from outbox order by position")
    assert by_key([(row.key, row.sequence, "") for row in positions]) == by_key(records)


class Undone(Exception):
    """A writer changed its mind."""


def _all(settings, relays):
    from contextlib import ExitStack

    with ExitStack() as stack:
        for _ in range(relays):
            stack.enter_context(parcels.relaying(settings))
        yield


def late(settings, key, told):
    with parcels.transactions(settings) as db:
        with db.work([AGENCY], subject="late") as session:
            session.execute(text("insert into inbox (consumer, event_id) values ('late', :id)"), {"id": uuid4()})
            time.sleep(2)
            parcels.move(session, key)
    told[str(key)] += 1


class Killed(BaseException):
    """The process died here."""


def test_t2_a_relay_that_dies_between_the_answer_and_the_mark_loses_nothing(settings, broker, seed):
    """Deaths in process; the effects in subscribers are counted in test_consumer."""
    print(f"seed {seed}")
    deaths, chance = 180, random.Random(seed)
    keys = [uuid4() for _ in range(8)]
    stop = threading.Event()

    def strike(place):
        if place == "sent":
            raise Killed

    with parcels.transactions(settings) as db:
        for _ in range(deaths):
            for key in chance.choices(keys, k=chance.randint(1, 3)):
                with db.work([AGENCY], subject="test") as session:
                    parcels.move(session, key)
            with pytest.raises(Killed):
                relay.run(settings, parcels.ParcelsTable, stop, failpoint=strike)
    with parcels.relaying(settings):
        parcels.until(lambda: parcels.unsent(settings) == 0)

    records = on_topic(broker.bootstrap, set(map(str, keys)))
    told = parcels.query(settings, "select key, max(sequence) as last, count(*) as events from outbox group by key")
    assert len(records) >= sum(row.events for row in told) + deaths
    assert by_key(first_of_each(records)) == {row.key: list(range(1, row.last + 1)) for row in told}


def test_a_relay_that_is_asked_to_end_sends_what_is_there_first(settings):
    stop = threading.Event()

    def end_in_the_middle(place):
        if place == "marked" and not stop.is_set():
            stop.set()
            parcels.send(settings, uuid4(), uuid4())

    parcels.send(settings, uuid4())
    relay.run(settings, parcels.ParcelsTable, stop, failpoint=end_in_the_middle)

    assert parcels.unsent(settings) == 0
    assert len(parcels.query(settings, "select 1 from outbox")) == 3


def test_a_broker_that_is_away_delays_and_loses_nothing(database, fresh_broker):
    server = fresh_broker()
    settings = parcels.migrated(database, broker_servers=server.bootstrap)
    keys = [uuid4() for _ in range(5)]

    with parcels.relaying(settings):
        parcels.send(settings, *keys)
        parcels.until(lambda: parcels.unsent(settings) == 0)
        server.child.kill()
        parcels.send(settings, *keys)
        time.sleep(1)
        server.restart()
        parcels.until(lambda: parcels.unsent(settings) == 0, seconds=60)

    assert by_key(first_of_each(on_topic(server.bootstrap, set(map(str, keys))))) == {str(k): [1, 2] for k in keys}


def test_a_broker_that_came_back_empty_is_filled_again(database, fresh_broker):
    """Nothing new is written: the relay finds out by itself. Places in the order of replays stay."""
    server = fresh_broker()
    if server.keeps_records:
        pytest.skip("this broker does not forget")
    settings = parcels.migrated(database, broker_servers=server.bootstrap)
    keys = [uuid4() for _ in range(5)]

    with parcels.relaying(settings):
        parcels.send(settings, *keys, *keys)
        parcels.until(lambda: parcels.unsent(settings) == 0)
        before = parcels.query(settings, "select id, position from outbox order by id")
        server.child.kill()
        server.restart()
        records = parcels.until(lambda: on_topic(server.bootstrap, set(map(str, keys))), seconds=60)
        parcels.until(lambda: parcels.unsent(settings) == 0, seconds=60)
        records = on_topic(server.bootstrap, set(map(str, keys)))

    assert by_key(records) == {str(key): [1, 2] for key in keys}
    assert parcels.query(settings, "select id, position from outbox order by id") == before


def test_a_smaller_end_tells_that_the_log_was_lost(settings, broker):
    key = uuid4()
    with parcels.relaying(settings):
        parcels.send(settings, key)
        parcels.until(lambda: parcels.unsent(settings) == 0)
    first = len(on_topic(broker.bootstrap, {str(key)}))
    ended = parcels.query(settings, "select max(end_offset) as high from broker_offset")[0].high

    parcels.query(settings, "update broker_offset set end_offset = end_offset + 1000 returning 1")
    with parcels.relaying(settings):
        parcels.until(lambda: len(on_topic(broker.bootstrap, {str(key)})) > first)
        parcels.until(lambda: parcels.unsent(settings) == 0)

    assert parcels.query(settings, "select max(end_offset) as high from broker_offset")[0].high < ended + 1000


def test_a_poison_row_is_parked_and_blocks_its_key_alone(settings, broker):
    poisoned, healthy = uuid4(), uuid4()
    with parcels.transactions(settings) as db, db.work([AGENCY], subject="test") as session:
        parcels.move(session, healthy)
        # Larger than any broker takes; emit would refuse it, so it is written by hand.
        session.execute(
            text(
                "insert into outbox (event_id, type, topic, key, sequence, body)"
                " values (gen_random_uuid(), 'kelola.parcels.v1.ParcelMoved', :topic, :key, 0,"
                " decode(repeat('00', 2000000), 'hex'))"
            ),
            {"topic": TOPIC, "key": str(poisoned)},
        )
        parcels.move(session, poisoned)
        parcels.move(session, healthy)

    with parcels.relaying(settings):
        parcels.until(lambda: parcels.query(settings, "select 1 from outbox where parked_at is not null"))
        parcels.send(settings, healthy)
        parcels.until(lambda: len(on_topic(broker.bootstrap, {str(healthy)})) == 3)
        time.sleep(0.5)

    records = on_topic(broker.bootstrap, {str(healthy), str(poisoned)})
    assert by_key(records) == {str(healthy): [1, 2, 3]}
    parked = parcels.query(settings, "select tries, error from outbox where parked_at is not null")
    assert [tuple(row) for row in parked] == [(relay.TRIES_MAX, "MessageSizeTooLargeError")]


def test_a_database_that_goes_away_is_waited_for(settings, postgres):
    key: UUID = uuid4()

    with parcels.relaying(settings):
        parcels.send(settings, key)
        parcels.until(lambda: parcels.unsent(settings) == 0)
        with postgres.connect() as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parcels-relay'"
            )
        parcels.send(settings, key)
        parcels.until(lambda: parcels.unsent(settings) == 0)


def test_a_second_relay_waits_and_takes_over(settings):
    stop = threading.Event()
    first = threading.Thread(target=lambda: relay.run(settings, parcels.ParcelsTable, stop))
    first.start()
    parcels.send(settings, uuid4())
    parcels.until(lambda: parcels.unsent(settings) == 0)

    with parcels.relaying(settings):
        parcels.send(settings, uuid4())
        parcels.until(lambda: parcels.unsent(settings) == 0)
        stop.set()
        first.join(20)
        parcels.send(settings, uuid4())
        parcels.until(lambda: parcels.unsent(settings) == 0)

    assert not first.is_alive()
