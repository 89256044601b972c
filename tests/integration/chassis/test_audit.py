"""T13: whatever a superuser does to the audit chain is found, and the first bad row is named."""

from __future__ import annotations

import random
import threading
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis import audit
from chassis.database import sqlalchemy_url
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
