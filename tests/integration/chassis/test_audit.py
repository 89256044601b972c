"""T13: whatever a superuser does to the audit chain is found, and the first bad row is named."""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import UTC
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis import audit, audit_heads, relay
from chassis.database import sqlalchemy_url
from chassis.verify import verify
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, pb

ROWS = 60
KEY = Ed25519PrivateKey.generate()
PUBLIC = {audit.key_id(KEY.public_key()): KEY.public_key()}


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def superuser(settings, postgres):
    name = settings.database_owner_url.rpartition("/")[2]
    engine = create_engine(sqlalchemy_url(postgres.url(name)), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def chained(settings, superuser):
    """A chain of ROWS rows, with heads signed on the way and at the end."""
    write(settings, ROWS)
    with superuser.begin():
        for _ in range(3):
            audit.chain(superuser, limit=ROWS // 3)
            audit.sign_head(superuser, KEY)
    return superuser


def write(settings, count):
    with parcels.transactions(settings) as db:
        for number in range(count):
            with db.begin(parcels.call()) as work:
                work.reply(pb.Parcel(name=f"parcels/{number}", agency_id=str(AGENCY)))


def unchained(settings):
    return parcels.query(settings, "select count(*) as n from audit where position is null")[0].n


def problems(connection):
    with connection.begin():
        return audit.verify(connection, public_keys=PUBLIC)


def test_an_honest_chain_holds(chained):
    assert problems(chained) == []


def test_rows_are_chained_by_the_relay_without_a_broker_and_heads_signed_at_its_end(settings, superuser):
    write(settings, 5)

    with parcels.relaying(settings, signing_key=KEY):
        parcels.until(
            lambda: parcels.query(settings, "select count(*) as n from audit where position is null")[0].n == 0
        )

    assert problems(superuser) == []
    assert [row.position for row in parcels.query(settings, "select position from audit_head")] == [5]


def test_late_committers_are_chained_too(settings, superuser):
    stop = threading.Event()

    def keep_writing():
        with parcels.transactions(settings) as db:
            while not stop.is_set():
                with db.begin(parcels.call()) as work:
                    work.session.execute(text("select pg_sleep(random() * 0.02)"))
                    work.reply(pb.Parcel())

    writers = [threading.Thread(target=keep_writing) for _ in range(8)]
    with parcels.relaying(settings):
        for writer in writers:
            writer.start()
        parcels.until(lambda: parcels.query(settings, "select count(*) as n from audit")[0].n > 300)
        stop.set()
        for writer in writers:
            writer.join()
        parcels.until(
            lambda: parcels.query(settings, "select count(*) as n from audit where position is null")[0].n == 0
        )

    assert problems(superuser) == []


def altered(connection, chance, position):
    column, value = chance.choice(
        [
            ("subject", "'nobody'"),
            ("action", "'nothing'"),
            ("outcome", "'DENIED'"),
            ("agency_id", "gen_random_uuid()"),
            ("resource", "null"),
            ("request_id", "'x'"),
            ("recorded_at", "recorded_at + interval '1 microsecond'"),
            ("details", """'{"a": "b"}'::jsonb"""),
        ]
    )
    connection.execute(text(f"update audit set {column} = {value} where position = :p"), {"p": position})
    return {position}


def deleted(connection, chance, position):
    connection.execute(text("delete from audit where position = :p"), {"p": position})
    return {position}


def swapped(connection, chance, position):
    for old, new in ((position, -1), (position + 1, position), (-1, position + 1)):
        connection.execute(text("update audit set position = :new where position = :old"), {"new": new, "old": old})
    return {position}


def inserted(connection, chance, position):
    """A row between two, with a hash that is right in itself."""
    for moved in range(ROWS, position - 1, -1):
        connection.execute(text("update audit set position = position + 1 where position = :p"), {"p": moved})
    forged = dict(
        connection.execute(text("select * from audit where position = :p"), {"p": position + 1}).mappings().one()
    )
    forged |= {"audit_id": uuid4(), "subject": "forger", "position": position}
    forged["hash"] = audit.row_hash(forged, position, bytes(forged["prev_hash"]))
    connection.execute(
        text(
            "insert into audit (audit_id, recorded_at, action, outcome, subject, person_id, service, agency_id,"
            " resource, request_id, trace_id, details, position, prev_hash, hash) values (:audit_id, :recorded_at,"
            " :action, :outcome, :subject, :person_id, :service, :agency_id, :resource, :request_id, :trace_id,"
            " '{}', :position, :prev_hash, :hash)"
        ),
        forged,
    )
    # A head that was signed at its place gives the forged row away; else the row after it does.
    return {position, position + 1}


@pytest.mark.parametrize("tamper", [altered, deleted, swapped, inserted])
def test_t13_the_first_bad_row_is_named(chained, seed, tamper):
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(25):
        position = chance.randint(1, ROWS - 1)
        transaction = chained.begin()
        expected = tamper(chained, chance, position)

        found = audit.verify(chained, public_keys=PUBLIC)
        transaction.rollback()

        assert found
        assert found[0].position in expected


def test_a_chain_that_was_cut_is_found(chained):
    chained.begin()
    chained.execute(text(f"delete from audit where position > {ROWS - 5}"))
    # Whoever cuts the chain puts the relay's note right as well: the signed head remains.
    chained.execute(
        text(
            "update relay_state set audit_position = last.position, audit_hash = last.hash"
            " from (select position, hash from audit order by position desc limit 1) as last"
        )
    )

    found = audit.verify(chained, public_keys=PUBLIC)

    assert [problem.position for problem in found] == [ROWS]
    assert "cut" in found[0].description


def test_a_chain_that_was_rewritten_whole_is_found_by_its_heads(chained):
    chained.begin()
    chained.execute(text("update audit set subject = 'nobody' where position = 10"))
    chained.execute(text("update audit set position = null, prev_hash = null, hash = null"))
    chained.execute(text("update relay_state set audit_position = 0, audit_hash = decode(repeat('00', 32), 'hex')"))
    audit.chain(chained)

    found = audit.verify(chained, public_keys=PUBLIC)

    assert [problem.position for problem in found] == [ROWS // 3, ROWS // 3 * 2, ROWS]
    assert all("rewritten" in problem.description for problem in found)


def test_a_head_signed_by_another_key_is_found(chained):
    chained.begin()
    stranger = Ed25519PrivateKey.generate()
    chained.execute(text("delete from audit_head"))
    audit.sign_head(chained, stranger)

    found = audit.verify(chained, public_keys=PUBLIC)
    forged = audit.verify(chained, public_keys={audit.key_id(stranger.public_key()): KEY.public_key()})

    assert "unknown key" in found[0].description
    assert "does not hold" in forged[0].description


@pytest.fixture
def filed(chained, tmp_path):
    """The heads of the honest chain, in a file outside of the database."""
    file = tmp_path / "heads" / "parcels.jsonl"
    audit_heads.HeadFile("parcels", file).add(chained)
    return file


def rewrite(connection, *, until):
    """What a superuser with the service's key can do: alter a row, chain anew up to `until`, sign all heads anew."""
    heads = [row.position for row in connection.execute(text("select position from audit_head order by position"))]
    connection.execute(text("delete from audit_head"))
    connection.execute(text(f"delete from audit where position > {until}"))
    connection.execute(text("update audit set position = null, prev_hash = null, hash = null"))
    connection.execute(text("update relay_state set audit_position = 0, audit_hash = decode(repeat('00', 32), 'hex')"))
    before = 0
    for position in heads:
        audit.chain(connection, limit=position - before)
        audit.sign_head(connection, KEY)
        before = position


def test_t13_a_chain_rewritten_together_with_its_heads_is_found_by_the_file_alone(chained, filed):
    chained.begin()
    chained.execute(text(f"update audit set subject = 'nobody' where position = {ROWS // 2}"))
    rewrite(chained, until=ROWS)

    unaided = audit.verify(chained, public_keys=PUBLIC)
    found = audit.verify(chained, public_keys=PUBLIC, anchors=audit_heads.read(filed, service="parcels"))

    assert unaided == []
    assert [problem.position for problem in found] == [ROWS // 3, ROWS // 3 * 2, ROWS]
    assert all("kept outside" in problem.description for problem in found)
    # Up to the first head nothing was altered; but it was signed anew.
    assert "no longer in audit_head" in found[0].description
    assert all("rewritten" in problem.description for problem in found[1:])


def test_t13_a_chain_cut_together_with_its_heads_is_found_by_the_file_alone(chained, filed):
    chained.begin()
    chained.execute(text(f"delete from audit where position > {ROWS - 5}"))
    chained.execute(text(f"delete from audit_head where position > {ROWS - 5}"))
    chained.execute(
        text(
            "update relay_state set audit_position = last.position, audit_hash = last.hash"
            " from (select position, hash from audit order by position desc limit 1) as last"
        )
    )

    unaided = audit.verify(chained, public_keys=PUBLIC)
    found = audit.verify(chained, public_keys=PUBLIC, anchors=audit_heads.read(filed, service="parcels"))

    assert unaided == []
    assert [(problem.position, "cut" in problem.description) for problem in found] == [(ROWS, True)]


def test_a_head_that_is_gone_from_its_table_is_found_by_the_file(chained, filed):
    chained.begin()
    chained.execute(text(f"delete from audit_head where position = {ROWS // 3}"))

    found = audit.verify(chained, public_keys=PUBLIC, anchors=audit_heads.read(filed, service="parcels"))

    assert [(problem.position, "no longer in audit_head" in problem.description) for problem in found] == [
        (ROWS // 3, True)
    ]


def test_a_forged_line_of_the_file_accuses_nobody(chained, filed):
    """Its signature does not hold, and that is what is said."""
    honest = filed.read_text().splitlines()
    forged = json.loads(honest[0]) | {"hash": "00" * 32}
    filed.write_text("\n".join([json.dumps(forged), *honest[1:]]) + "\n")

    with chained.begin():
        found = audit.verify(chained, public_keys=PUBLIC, anchors=audit_heads.read(filed, service="parcels"))

    assert [(problem.position, "signature" in problem.description) for problem in found] == [(ROWS // 3, True)]


@pytest.mark.parametrize("line", ["{", "17", '{"service": "parcels"}', '{"service": "finance", "position": 1}'])
def test_a_line_that_is_no_head_of_the_service_is_named(chained, filed, settings, line):
    with filed.open("a") as file:
        file.write(line + "\n")

    with pytest.raises(audit_heads.HeadFileBroken, match="line 4 of"):
        audit_heads.read(filed, service="parcels")
    report = verify("parcels", settings.database_reader_url, audit_keys=PUBLIC, audit_head_file=filed)
    assert [(problem.invariant, "line 4 of" in problem.what) for problem in report.problems] == [("I10", True)]


def test_verify_takes_the_file_and_an_honest_chain_holds_against_it(chained, filed, settings):
    asked = {"audit_keys": PUBLIC, "audit_head_file": filed}

    assert verify("parcels", settings.database_reader_url, **asked).problems == []

    with chained.begin():
        rewrite(chained, until=ROWS - 5)
    found = verify("parcels", settings.database_reader_url, **asked).problems
    assert {problem.invariant for problem in found} == {"I10"}
    assert found != []


def test_half_a_line_that_a_crash_left_is_cut_off_and_missing_heads_are_added(chained, filed):
    whole = filed.read_bytes()
    filed.write_bytes(whole[: len(whole) - 40])
    assert len(audit_heads.read(filed, service="parcels")) == 2

    audit_heads.HeadFile("parcels", filed).add(chained)
    audit_heads.HeadFile("parcels", filed).add(chained)

    assert filed.read_bytes() == whole


def test_a_file_that_cannot_be_written_stops_nothing_and_is_filled_later(chained, tmp_path):
    folder = tmp_path / "heads"
    folder.write_text("a file where the folder should be")
    file = audit_heads.HeadFile("parcels", folder / "parcels.jsonl")

    file.add(chained)
    folder.unlink()
    file.add(chained)

    assert len(audit_heads.read(folder / "parcels.jsonl", service="parcels")) == 3


def test_a_head_is_published_to_topic_and_file_alike_and_causes_no_other(settings, superuser, broker, tmp_path):
    file = tmp_path / "parcels.jsonl"
    told = settings.model_copy(update={"broker_servers": broker.bootstrap, "audit_head_file": file})
    write(settings, 5)
    for _ in range(3):
        # Each relay signs at its end. What it tells of that is no act, so the next one has nothing to sign.
        with parcels.relaying(told, signing_key=KEY):
            parcels.until(lambda: unchained(settings) == 0)
    write(settings, 2)
    with parcels.relaying(told, signing_key=KEY):
        parcels.until(lambda: unchained(settings) == 0)

    heads = audit_heads.read(file, service="parcels")
    rows = parcels.query(settings, "select * from outbox order by id")
    assert [head.position for head in heads] == [5, 7]
    assert [(row.topic, row.type, row.key, row.sequence) for row in rows] == [
        ("kelola.parcels.audit.v1", "kelola.parcels.v1.AuditHeadSigned", "parcels", head.position) for head in heads
    ]
    assert [row.position for row in rows] == [1, 2]
    sent = records(broker.bootstrap, "kelola.parcels.audit.v1", {str(row.event_id) for row in rows})
    assert [head_of(pb.AuditHeadSigned.FromString(body)) for body in sent] == heads
    assert [row.signed_at for row in parcels.query(settings, "select * from audit_head order by position")] == [
        head.signed_at for head in heads
    ]
    assert problems(superuser) == []


def head_of(message):
    return audit.Head(
        position=message.position,
        hash=message.hash,
        signed_at=message.signed_at.ToDatetime(UTC),
        key_id=message.key_id,
        signature=message.signature,
    )


def records(servers, topic, event_ids):
    """The bodies of these events on the topic, in its order (they have one key)."""
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        bodies, end = [], time.monotonic() + 20
        while len(bodies) < len(event_ids) and time.monotonic() < end:
            for polled in consumer.poll(timeout_ms=300).values():
                bodies += [r.value for r in polled if dict(r.headers)["ce_id"].decode() in event_ids]
        return bodies
    finally:
        consumer.close()


def test_heads_are_signed_and_published_as_time_passes(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(relay, "_HEAD_EVERY_SECONDS", 0.2)
    file = tmp_path / "parcels.jsonl"
    told = settings.model_copy(update={"audit_head_file": file})

    with parcels.relaying(told, signing_key=KEY):
        write(settings, 2)
        parcels.until(lambda: file.exists() and audit_heads.read(file, service="parcels")[-1].position == 2)
        write(settings, 1)
        parcels.until(lambda: audit_heads.read(file, service="parcels")[-1].position == 3)

    positions = [head.position for head in audit_heads.read(file, service="parcels")]
    assert positions == sorted(set(positions))


def test_a_relay_whose_service_cannot_tell_of_its_heads_does_not_start(settings):
    strange = settings.model_copy(update={"service": "nowhere"})

    with pytest.raises(RuntimeError, match=r"protos/kelola/nowhere/v1/audit_events\.proto"):
        relay.run(strange, None, threading.Event(), signing_key=KEY)


def test_the_unchained_tail_is_counted(settings, superuser):
    write(settings, 3)

    with superuser.begin():
        assert audit.unchained(superuser) == 3
        assert audit.verify(superuser) == []


def test_reads_of_personal_data_are_noted(settings):
    person_id = uuid4()
    with parcels.transactions(settings) as db, db.work([AGENCY], subject="test") as session:
        audit.personal_data_read(session, parcels.call(), person_id=person_id, fields=["name", "address"])

    row = parcels.query(settings, "select * from audit where resource = :r", r=f"persons/{person_id}")[0]
    assert row.details == {"read_fields": ["address", "name"]}
